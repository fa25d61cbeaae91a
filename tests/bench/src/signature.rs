//! Signing and verifying as Standard Webhooks has it (symmetric, v1).
//!
//! The daemon has its own; a driver that used it could not find it wrong.

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long a signature is in base64.
pub const SIGNATURE: usize = 44;

/// A secret's key, with its part of the hash done.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key in a secret such as `whsec_…`.
    ///
    /// # Errors
    /// When what follows `whsec_` is not base64. The message does not hold it.
    pub fn from_secret(secret: &str) -> anyhow::Result<Self> {
        let encoded =
            secret.trim().strip_prefix("whsec_").context("the secret does not begin with whsec_")?;
        let key = BASE64_STANDARD.decode(encoded).ok().context("the secret is not base64 after whsec_")?;
        Ok(Self(Hmac::new_from_slice(&key).context("the secret's key cannot be used")?))
    }

    /// The signature of a message, in base64.
    pub fn sign(&self, id: &[u8], timestamp: &[u8], body: &[u8]) -> [u8; SIGNATURE] {
        let mut text = [0; SIGNATURE];
        // 32 bytes are 44 in base64, so there is always room.
        let _ =
            BASE64_STANDARD.encode_slice(self.mac(id, timestamp, body).finalize().into_bytes(), &mut text);
        text
    }

    /// Whether one of the signatures in a `webhook-signature` header is this message's.
    pub fn verifies(&self, id: &[u8], timestamp: &[u8], body: &[u8], header: &str) -> bool {
        header
            .split(' ')
            .filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok())
            .any(|signature| self.mac(id, timestamp, body).verify_slice(&signature).is_ok())
    }

    fn mac(&self, id: &[u8], timestamp: &[u8], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [id, b".", timestamp, b".", body] {
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_one_that_the_public_library_makes() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let theirs =
            standardwebhooks::Webhook::new(secret).unwrap().sign("msg_1", 1_700_000_000, b"{}").unwrap();
        let key = Key::from_secret(secret).unwrap();
        let ours = key.sign(b"msg_1", b"1700000000", b"{}");
        assert_eq!(theirs, format!("v1,{}", std::str::from_utf8(&ours).unwrap()));
        assert!(key.verifies(b"msg_1", b"1700000000", b"{}", &format!("v1,AAAA {theirs}")));
        assert!(!key.verifies(b"msg_2", b"1700000000", b"{}", &theirs));
    }
}
