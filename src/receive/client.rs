//! Who sent a request, where it may have come through proxies.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};

/// Each proxy adds the address from which it was connected to, at the end.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The most proxies that are followed on the way back. Nobody has as many; who claims to is not worth the time.
const MOST_HOPS: usize = 32;

/// The address of whoever sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Client(pub(super) IpAddr);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies whose word on whom they forward is taken.
#[derive(Clone, Debug)]
pub(super) struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    pub(super) fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Who sent a request that came with these headers over a connection from `peer`: going back from there, the first
    /// who is not trusted. What stands before that in the header may be made up.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let mut client = peer.to_canonical();
        if !self.trust(client) {
            return Client(client);
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.take(MOST_HOPS) {
            // No proxy writes what is no address, so it was there before.
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.trust(client) {
                break;
            }
        }
        Client(client)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|Network(network)| network.contains(&address))
    }
}

/// An address, which may have a port, and if it is of IPv6, brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop.trim_ascii()).ok()?;
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// One address, or all that begin alike: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| {
            format!(
                "{text:?} is no network: write an address such as 192.0.2.7, or a network such as 10.0.0.0/8"
            )
        })?;
        Ok(Self(network.trunc()))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "One address, or a network of them: 192.0.2.7, 10.0.0.0/8, 2001:db8::/32.",
            "examples": ["192.0.2.7", "10.0.0.0/8", "2001:db8::/32"]
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies() -> TrustedProxies {
        let networks = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"];
        TrustedProxies::new(networks.map(|network| network.parse().unwrap()).to_vec())
    }

    fn headers<'l>(lines: impl IntoIterator<Item = &'l [u8]>) -> HeaderMap {
        let line = |line: &[u8]| (FORWARDED_FOR.parse().unwrap(), HeaderValue::from_bytes(line).unwrap());
        lines.into_iter().map(line).collect()
    }

    fn client(proxies: &TrustedProxies, peer: &str, lines: &[&str]) -> String {
        let headers = headers(lines.iter().map(|line| line.as_bytes()));
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_client_is_the_last_that_is_no_proxy_of_ours() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["203.0.113.5"][..], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5, 10.1.1.1,192.0.2.7"], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5", "10.1.1.1", "192.0.2.7"], "203.0.113.5"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.5, 10.1.1.1"], "203.0.113.5"),
            ("10.0.0.1", &["10.0.0.2, 192.0.2.8"], "192.0.2.8"),
            ("2001:db8::1", &["2001:db9::5"], "2001:db9::5"),
            ("::ffff:10.0.0.1", &["::ffff:203.0.113.5"], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5:61000"], "203.0.113.5"),
            ("10.0.0.1", &["[2001:db9::5]:443"], "2001:db9::5"),
            ("10.0.0.1", &["[2001:db9::5]"], "2001:db9::5"),
            ("10.0.0.1", &["  203.0.113.5\t"], "203.0.113.5"),
            // All of them are ours: the one that is farthest away began it.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            assert_eq!(client(&proxies(), peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_not_followed() {
        for line in
            ["", ",", "unknown", "_hidden", "203.0.113.5, junk", "999.1.1.1", "\"203.0.113.5\"", "[::1"]
        {
            assert_eq!(client(&proxies(), "10.0.0.1", &[line]), "10.0.0.1", "{line:?}");
        }
        assert_eq!(client(&proxies(), "10.0.0.1", &["203.0.113.5, junk, 10.9.9.9"]), "10.9.9.9");
    }

    #[test]
    fn nobody_else_is_believed() {
        assert_eq!(client(&proxies(), "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client(&TrustedProxies::new(Vec::new()), "10.0.0.1", &["198.51.100.1"]), "10.0.0.1");
    }

    #[test]
    fn a_way_without_end_is_not_followed_to_its_end() {
        let line = "10.0.0.2,".repeat(1000) + "10.0.0.2";
        assert_eq!(client(&proxies(), "10.0.0.1", &["203.0.113.5", &line]), "10.0.0.2");
    }

    #[test]
    fn a_network_is_written_as_usual() {
        let parsed = |text: &str| text.parse::<Network>().map(|Network(network)| network.to_string());
        assert_eq!(parsed("10.1.2.3/8").unwrap(), "10.0.0.0/8");
        assert_eq!(parsed("192.0.2.7").unwrap(), "192.0.2.7/32");
        assert_eq!(parsed("::1").unwrap(), "::1/128");
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0.0/8/8", "10.0.0"] {
            assert!(parsed(wrong).unwrap_err().contains("is no network"), "{wrong}");
        }
    }

    proptest! {
        /// Whatever a stranger puts first, what the proxies add behind it decides.
        #[test]
        fn nothing_that_a_stranger_writes_makes_them_another(
            forged in prop::collection::vec("[ -~\t]{0,80}", 0..4),
            client in any::<u32>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
            hops in prop::collection::vec(any::<[u8; 3]>(), 0..8),
        ) {
            let proxies = proxies();
            prop_assume!(!proxies.trust(client));
            let way = hops.iter().map(|[a, b, c]| format!("10.{a}.{b}.{c}"));
            let added = std::iter::once(client.to_string()).chain(way).collect::<Vec<_>>().join(", ");
            let lines = forged.iter().map(|line| line.as_bytes()).chain([added.as_bytes()]);
            let said = proxies.client("10.0.0.1".parse().unwrap(), &headers(lines));
            prop_assert_eq!(said, Client(client));
        }

        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(32_u8..=255, 0..200)) {
            let line: Vec<u8> = line.into_iter().filter(|byte| *byte != 127).collect();
            proxies().client("10.0.0.1".parse().unwrap(), &headers([line.as_slice()]));
        }
    }
}
