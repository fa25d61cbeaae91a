//! Who a client is by its certificate.

use std::sync::Arc;

use tokio_rustls::server::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::certificate::{MOST_NAMES, address_of};

/// What the certificate is for that a client showed; it verified, or there were no connection. `None` where none was shown.
pub fn client_names<I>(stream: &TlsStream<I>) -> Option<Arc<[String]>> {
    let chain = stream.get_ref().1.peer_certificates()?;
    Some(names(chain.first()?).into())
}

/// The common names of its subject (RFC 5280 §4.1.2.6) and the host names, addresses, email addresses and URIs among the
/// alternative ones (§4.2.1.6), as they are written there; at most 16.
fn names(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(der) else { return Vec::new() };
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative.into_iter().flat_map(|names| &names.value.general_names);
    let alternative = alternative.filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(address) => address_of(address),
        _ => None,
    });
    common.map(str::to_owned).chain(alternative).take(MOST_NAMES).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_client_is_its_common_name_and_every_alternative_one() {
        let mut params = CertificateParams::new(vec!["grafana.example".into(), "192.0.2.7".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Grafana at Example");
        params.subject_alt_names.push(SanType::URI("spiffe://example/grafana".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("ops@example".try_into().unwrap()));
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let expected =
            ["Grafana at Example", "grafana.example", "192.0.2.7", "spiffe://example/grafana", "ops@example"];
        assert_eq!(names(made.der()), expected);
        assert!(names(b"no certificate").is_empty());
    }
}
