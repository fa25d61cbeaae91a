//! The ways in, and what a request must show before anything is done for it: that its browser was sent to this host, and
//! not to another name that happens to lead here, and that a form comes from one of the console's own pages.

use std::net::IpAddr;

use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, StatusCode};

use super::api::Refused;
use super::session::SessionId;
use crate::config::AdminListenConfig;

/// The names that a browser on the same host, or behind `ssh -L`, uses.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Where a browser came in.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// The Unix socket: whoever can connect to it may do everything.
    Socket,
    /// An address on the network.
    Network {
        /// Where it listens.
        address: IpAddr,
        /// The names that lead there.
        names: Vec<String>,
        /// Whether connections are encrypted.
        encrypted: bool,
    },
}

impl Door {
    /// The address that is listened on.
    pub(super) fn network(listen: &AdminListenConfig) -> Self {
        Door::Network {
            address: listen.address.ip(),
            names: listen.names.clone(),
            encrypted: listen.tls.is_some(),
        }
    }

    /// What the cookie of a session is called here. Nothing more is asked of the browser over TLS: HSTS would hold for every
    /// port of the host (RFC 6797 §8.3), also where others speak plain HTTP; here, nobody answers to that anyway.
    /// A browser takes one with the prefix over TLS alone.
    fn cookie(&self) -> &'static str {
        match self {
            Door::Network { encrypted: true, .. } => "__Secure-rolecall_session",
            Door::Network { encrypted: false, .. } | Door::Socket => "rolecall_session",
        }
    }

    /// `Set-Cookie` for a session.
    pub(super) fn set_cookie(&self, id: &SessionId) -> String {
        let secure = if matches!(self, Door::Network { encrypted: true, .. }) { "; Secure" } else { "" };
        format!("{}={}; Path=/console; HttpOnly; SameSite=Strict{secure}", self.cookie(), id.expose())
    }

    /// The session that a request names.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<SessionId> {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie()).and_then(|(_, value)| SessionId::parse(value))
    }

    /// Whether a browser asks for this host when it means this door. An address cannot be made to lead elsewhere, a name
    /// can.
    fn answers_to(&self, host: &str) -> bool {
        let is = |name: &str| name.eq_ignore_ascii_case(host);
        match self {
            Door::Socket => LOCAL.into_iter().any(is),
            Door::Network { address, names, .. } => {
                let asked: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
                let is_local = address.is_loopback() || address.is_unspecified();
                names.iter().any(|name| is(name))
                    || (is_local && LOCAL.into_iter().any(is))
                    || asked.is_some_and(|asked| asked == *address || address.is_unspecified())
            }
        }
    }

    /// What to ask for.
    fn names(&self) -> String {
        match self {
            Door::Socket => LOCAL.join(" or "),
            Door::Network { address, names, .. } => {
                let names = names.iter().map(String::as_str);
                let names = names.chain([address.to_string().as_str()]).collect::<Vec<_>>().join(" or ");
                format!("{names}, or name it in admin.listen.names")
            }
        }
    }

    /// Whether the browser meant this host. A page elsewhere whose name is made to lead here, which would let it read the
    /// answers (DNS rebinding), sends that name.
    pub(super) fn check_host(&self, head: &Parts) -> Result<(), Refused> {
        let asked = authority(head);
        if asked.as_ref().is_some_and(|asked| self.answers_to(asked.host())) {
            return Ok(());
        }
        let asked = asked.map_or_else(|| "no host".to_owned(), |asked| format!("{:?}", asked.host()));
        Err(Refused::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!("the console was asked for as {asked}; ask for {}", self.names()),
        ))
    }
}

/// The host that was asked for: in the target (HTTP/2), or in the header.
fn authority(head: &Parts) -> Option<Authority> {
    let header = || head.headers.get(HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    head.uri.authority().cloned().or_else(header)
}

/// Whether a form was sent by a page of this very origin, as far as the browser tells.
pub(super) fn check_same_origin(head: &Parts) -> Result<(), Refused> {
    let refused = || {
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            "this form was sent from another site, so nothing was done; open the page here and send it again",
        ))
    };
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if header("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return refused();
    }
    let asked = authority(head);
    let is_ours = |origin: &str| {
        origin
            .split_once("://")
            .is_some_and(|(_, host)| asked.as_ref().is_some_and(|asked| asked.as_str() == host))
    };
    if header(ORIGIN.as_str()).is_some_and(|origin| !is_ours(origin)) { refused() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::yaml;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::post("/console/queue/retry"), |request, (name, value)| {
            request.header(*name, *value)
        });
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_name_that_only_leads_here_is_not_answered_to() {
        for host in ["localhost", "LOCALHOST:8081", "127.0.0.1:8081", "[::1]:8081", "[::1]"] {
            assert_eq!(Door::Socket.check_host(&head(&[("host", host)])), Ok(()), "{host}");
        }
        for host in ["rebound.example", "localhost.rebound.example", "127.0.0.1.nip.io:8081", "127.0.0.2", ""]
        {
            let refused = Door::Socket.check_host(&head(&[("host", host)])).unwrap_err();
            assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
        assert!(Door::Socket.check_host(&head(&[])).is_err());
    }

    #[test]
    fn on_the_network_it_is_the_address_or_a_configured_name() {
        let door = |address: &str| Door::Network {
            address: address.parse().unwrap(),
            names: vec!["rolecall.corp.example".into()],
            encrypted: true,
        };
        let answers = |address: &str, host: &str| door(address).check_host(&head(&[("host", host)])).is_ok();
        for (address, host) in [
            ("192.0.2.7", "192.0.2.7:8443"),
            ("192.0.2.7", "Rolecall.corp.example"),
            ("0.0.0.0", "192.0.2.9"),
            ("::", "[2001:db8::1]:8443"),
            ("127.0.0.1", "localhost:8443"),
        ] {
            assert!(answers(address, host), "{address} {host}");
        }
        for (address, host) in [
            ("192.0.2.7", "192.0.2.8"),
            ("192.0.2.7", "localhost"),
            ("0.0.0.0", "rebound.example"),
            ("127.0.0.1", "rebound.example:8443"),
        ] {
            assert!(!answers(address, host), "{address} {host}");
        }
    }

    #[test]
    fn over_tls_a_session_stays_there() {
        let tls = "{certificate: cert.pem, key: key.pem}";
        let door = |tls: &str| {
            let listen = format!("{{address: '192.0.2.7:8443', allow_plaintext: true{tls}}}");
            Door::network(&yaml::decode(&yaml::parse(&listen).unwrap()).unwrap())
        };
        let cookie = door(&format!(", tls: {tls}")).set_cookie(&SessionId::random());
        assert!(cookie.starts_with("__Secure-rolecall_session="), "{cookie}");
        assert!(cookie.ends_with("; Path=/console; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
        let cookie = door("").set_cookie(&SessionId::random());
        assert!(cookie.starts_with("rolecall_session=") && !cookie.contains("ecure"), "{cookie}");
    }

    #[test]
    fn a_form_of_another_site_is_refused_whichever_header_tells() {
        let host = ("host", "localhost:8081");
        for mine in [
            vec![host],
            vec![host, ("origin", "http://localhost:8081")],
            vec![host, ("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8081")],
        ] {
            assert_eq!(check_same_origin(&head(&mine)), Ok(()), "{mine:?}");
        }
        for theirs in [
            vec![host, ("origin", "http://evil.example")],
            vec![host, ("origin", "http://localhost:9999")],
            vec![host, ("origin", "null")],
            vec![host, ("sec-fetch-site", "same-site"), ("origin", "http://localhost:8081")],
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![host, ("sec-fetch-site", "none")],
        ] {
            assert!(check_same_origin(&head(&theirs)).is_err(), "{theirs:?}");
        }
    }

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let id = SessionId::random();
        let cookie = Door::Socket.set_cookie(&id);
        let pair = cookie.split(';').next().unwrap();
        let headers = head(&[("cookie", "theme=dark; x"), ("cookie", &format!("a=b; {pair}"))]).headers;
        assert!(Door::Socket.session(&headers) == Some(id));
        assert!(Door::Socket.session(&head(&[("cookie", "rolecall_session=short")]).headers).is_none());
    }
}
