//! Signing requests as Standard Webhooks do (<https://www.standardwebhooks.com>), so that an application can
//! check that a request is ours, unchanged and not an old one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use rolecall_sink_api::{ConfigError, Secret, SecretSource};
use sha2::Sha256;

/// What a secret in text form begins with.
const PREFIX: &str = "whsec_";

/// Signs with one or more secrets: with two, the application can go over from one to the other.
pub(crate) struct Signer(Vec<Hmac<Sha256>>);

impl Signer {
    /// Reads the secrets.
    pub(crate) fn read(sources: &[SecretSource]) -> Result<Self, ConfigError> {
        let read = |(n, source): (usize, &SecretSource)| {
            let at = format!("sign_with.{n}");
            let secret = source.read().map_err(|e| ConfigError::new(&at, e.to_string()))?;
            keyed(&secret).ok_or_else(|| {
                ConfigError::new(&at, format!("{source} is not {PREFIX} with 24 to 64 bytes in base64"))
            })
        };
        sources.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The headers for the message `id` with this body, sent now.
    pub(crate) fn headers(&self, id: &str, body: &[u8], now: Timestamp) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.0.is_empty() {
            return headers;
        }
        let seconds = now.as_second().to_string();
        let signatures: Vec<String> = self
            .0
            .iter()
            .map(|key| {
                let mut mac = key.clone();
                for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
                    mac.update(part);
                }
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            })
            .collect();
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", seconds.as_str()),
            ("webhook-signature", signatures.join(" ").as_str()),
        ] {
            // The key is hexadecimal, the rest digits and base64.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

fn keyed(secret: &Secret) -> Option<Hmac<Sha256>> {
    let bytes = zeroize::Zeroizing::new(STANDARD.decode(secret.expose().strip_prefix(PREFIX)?).ok()?);
    // The specification's bounds.
    (24..=64).contains(&bytes.len()).then(|| Hmac::new_from_slice(&bytes).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const SECRETS: [&str; 2] =
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];

    fn signer(secrets: &[&str]) -> Result<Signer, ConfigError> {
        let files: Vec<_> = secrets
            .iter()
            .map(|secret| {
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(secret.as_bytes()).unwrap();
                file
            })
            .collect();
        let sources: Vec<_> = files.iter().map(|file| SecretSource::File(file.path().into())).collect();
        Signer::read(&sources)
    }

    #[test]
    fn each_secret_verifies_with_the_specifications_own_library() {
        let headers = signer(&SECRETS).unwrap().headers("id-1", b"{\"a\": 1}", Timestamp::now());
        for secret in SECRETS {
            let webhook = standardwebhooks::Webhook::new(secret).unwrap();
            webhook.verify(b"{\"a\": 1}", &headers).unwrap();
            assert!(webhook.verify(b"{\"a\": 2}", &headers).is_err());
        }
    }

    #[test]
    fn the_specifications_example_is_signed_as_it_says() {
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let headers = signer(&SECRETS[..1]).unwrap().headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            br#"{"test": 2432232314}"#,
            now,
        );
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        for secret in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?", "whsec_c2hvcnQ="] {
            let Err(error) = signer(&[secret]) else { panic!("{secret} is taken") };
            assert_eq!(error.path, "sign_with.0");
            assert!(!error.message.contains(secret), "{error}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        assert!(signer(&[]).unwrap().headers("id", b"", Timestamp::now()).is_empty());
    }
}
