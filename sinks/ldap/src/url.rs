//! The server's URL: scheme and where to connect to.

use std::fmt;
use std::path::PathBuf;

/// A server's URL, known to be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    text: String,
    pub(crate) scheme: Scheme,
}

/// How the server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// TCP, readable on the way unless StartTLS is used.
    Ldap {
        /// Host and port.
        address: String,
    },
    /// TCP with TLS from the first byte.
    Ldaps {
        /// Host and port.
        address: String,
    },
    /// A Unix socket: nobody on a network can read it.
    Ldapi {
        /// The socket.
        path: PathBuf,
    },
}

impl ServerUrl {
    /// Parses `ldap://host[:port]`, `ldaps://host[:port]` or `ldapi://%2Fpath`.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let hint = "write ldap://host[:port], ldaps://host[:port] or ldapi://%2Fpath%2Fto%2Fsocket";
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| format!("{text:?} is not a URL: {hint}"))?;
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.is_empty() {
            return Err(format!("{text:?} names no server: {hint}"));
        }
        if host.contains(['/', '?', '#', '@', ' ']) {
            return Err(format!("{text:?}: only the server belongs here, no path, query or user: {hint}"));
        }
        let address = |port: u16| match host.rsplit_once(':') {
            Some((_, given)) if !given.contains(']') => match given.parse::<u16>() {
                Ok(_) => Ok(host.to_owned()),
                Err(_) => Err(format!("{text:?}: {given:?} is not a port")),
            },
            _ => Ok(format!("{host}:{port}")),
        };
        let scheme = match scheme {
            "ldap" => Scheme::Ldap { address: address(389)? },
            "ldaps" => Scheme::Ldaps { address: address(636)? },
            "ldapi" => Scheme::Ldapi { path: percent_decode(host).into() },
            other => return Err(format!("{text:?}: {other:?} is not a scheme of LDAP: {hint}")),
        };
        Ok(Self { text: text.to_owned(), scheme })
    }

    /// Whether a referral (RFC 4511 §4.1.10: an LDAP URL, with a DN and more behind the server) is to this host.
    pub(crate) fn is_host_of(&self, referral: &str) -> bool {
        let (Scheme::Ldap { address } | Scheme::Ldaps { address }) = &self.scheme else { return false };
        let Some((_, rest)) = referral.split_once("://") else { return false };
        let theirs = rest.split(['/', '?']).next().unwrap_or_default();
        !theirs.is_empty() && host_of(address).eq_ignore_ascii_case(host_of(theirs))
    }

    /// The URL as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The host of `host:port`; an IPv6 address stands in brackets.
fn host_of(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => address,
    }
}

fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = (byte == b'%').then(|| after.get(..2)).flatten().and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = &after[2..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_the_schemes_unless_given() {
        let scheme = |text: &str| ServerUrl::parse(text).unwrap().scheme;
        assert_eq!(scheme("ldap://a"), Scheme::Ldap { address: "a:389".into() });
        assert_eq!(scheme("ldaps://a.b/"), Scheme::Ldaps { address: "a.b:636".into() });
        assert_eq!(scheme("ldap://10.0.0.1:1389"), Scheme::Ldap { address: "10.0.0.1:1389".into() });
        assert_eq!(scheme("ldap://[::1]"), Scheme::Ldap { address: "[::1]:389".into() });
        assert_eq!(scheme("ldapi://%2Frun%2Fldapi"), Scheme::Ldapi { path: "/run/ldapi".into() });
    }

    #[test]
    fn a_referral_counts_by_its_host() {
        let to = |url: &str, referral: &str| ServerUrl::parse(url).unwrap().is_host_of(referral);
        assert!(to("ldaps://a.example.com", "ldap://A.example.com/ou=people,dc=x??sub"));
        assert!(to("ldaps://a.example.com:1636", "ldap://a.example.com:389"));
        assert!(to("ldaps://[::1]", "ldap://[::1]:389/"));
        assert!(!to("ldaps://a.example.com", "ldap://b.example.com/dc=x"));
        assert!(!to("ldaps://a.example.com", "ldap:///dc=x") && !to("ldaps://a", "a"));
    }

    #[test]
    fn what_is_no_server_says_what_would_be() {
        for text in ["example.com", "http://a", "ldap://", "ldap://a/dc=x", "ldap://a:b", "ldap://u@a"] {
            assert!(ServerUrl::parse(text).is_err(), "{text}");
        }
    }
}
