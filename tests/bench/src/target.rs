//! Where the events go.

use std::str::FromStr;

use anyhow::{Context, bail};

/// An `http://` URL, in the parts that a request needs. No TLS: it would be measured along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port`, to connect to and for the `Host` header.
    pub address: String,
    /// The path, with the query if there is one.
    pub path: String,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        let url: http::Uri = url.parse().context("this is no URL")?;
        let authority = url.authority().context("the URL has no host")?;
        if url.scheme_str() != Some("http") {
            bail!("only http:// URLs are driven");
        }
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let path = url.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { address, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_an_address_and_a_path() {
        let target: Target = "http://127.0.0.1:8080/webhooks/scalekit?x=1".parse().unwrap();
        assert_eq!(
            (target.address.as_str(), target.path.as_str()),
            ("127.0.0.1:8080", "/webhooks/scalekit?x=1")
        );
        assert_eq!("http://localhost".parse::<Target>().unwrap().address, "localhost:80");
        assert!("https://localhost/".parse::<Target>().is_err());
        assert!("/webhooks".parse::<Target>().is_err());
    }
}
