//! What a certificate says of itself: for whom it is, and until when.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::Moment;
use rustls::pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// The most names that are kept of one certificate.
pub(super) const MOST_NAMES: usize = 16;
/// How long before its end a certificate is said to end soon. Whoever renews on time has done it by then.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// One that lives for a few days only ends soon when this part of its life is left.
const SOON_PART: i32 = 5;

/// The certificate that a listener shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// The host names and addresses that it is for; at most 16.
    pub names: Vec<String>,
    /// Its serial number: hexadecimal bytes joined by colons.
    pub serial: String,
    /// It is valid from then on.
    #[schemars(with = "Moment")]
    pub not_before: Timestamp,
    /// It is valid until then.
    #[schemars(with = "Moment")]
    pub not_after: Timestamp,
}

/// Whether a certificate is taken by those who check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// It is, and for long enough.
    Valid,
    /// It is, but not for long: less than 14 days, or less than a fifth of its life if that is shorter.
    EndsSoon,
    /// It is not any more.
    Expired,
    /// It is not yet. Or this host's clock is wrong.
    NotYetValid,
}

impl Certificate {
    /// Reads a certificate (RFC 5280).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) = parse_x509_certificate(der).map_err(|error| error.to_string())?;
        let time = |seconds: i64| Timestamp::from_second(seconds).map_err(|error| error.to_string());
        let validity = certificate.validity();
        Ok(Self {
            names: names(&certificate),
            serial: certificate.raw_serial_as_string(),
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
        })
    }

    /// How it is at this time.
    pub fn validity(&self, now: Timestamp) -> Validity {
        let soon = SOON.min(self.not_before.duration_until(self.not_after) / SOON_PART);
        if now < self.not_before {
            Validity::NotYetValid
        } else if now >= self.not_after {
            Validity::Expired
        } else if now.duration_until(self.not_after) < soon {
            Validity::EndsSoon
        } else {
            Validity::Valid
        }
    }
}

/// For whom it is and until when, in the middle of a sentence.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = if self.names.is_empty() { "no name".to_owned() } else { self.names.join(", ") };
        write!(f, "the certificate for {names} (serial {}, valid until {})", self.serial, self.not_after)
    }
}

/// The subject's alternative names; who verifies a server looks at nothing else (RFC 9525 §2).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.escape_default().to_string()),
        GeneralName::IPAddress(address) => address_of(address),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(shown).take(MOST_NAMES).collect()
}

pub(super) fn address_of(bytes: &[u8]) -> Option<String> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string());
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).to_string());
    v4().or_else(v6)
}
