//! Signatures of webhooks: Standard Webhooks, symmetric, version 1
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! A message carries `webhook-id`, `webhook-timestamp` (Unix seconds of this attempt) and `webhook-signature`
//! (a list of `v1,<base64>`, separated by spaces). Signed is `{id}.{timestamp}.{body}`, by HMAC-SHA256. Pure:
//! the time comes from the caller.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::Secret;
use sha2::Sha256;

/// Names the message; the same on every retry.
pub const ID_HEADER: &str = "webhook-id";
/// When this attempt was made, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The longest message id that is accepted, in bytes.
pub const MAX_MESSAGE_ID: usize = 255;
/// The longest signature header that is accepted, in bytes.
const MAX_SIGNATURE_HEADER: usize = 4096;
/// How many listed signatures are looked at: a sender lists one for each secret that it rotates through.
const MAX_SIGNATURES: usize = 16;
/// Unix seconds of the year 9999 have twelve digits.
const MAX_TIMESTAMP_DIGITS: usize = 12;

const KEY_PREFIX: &str = "whsec_";
const VERSION: &str = "v1";
/// The shortest key that is accepted, in bytes: what is shorter can be guessed.
const MIN_KEY: usize = 16;

/// Base64 with or without its padding: Scalekit's own library accepts either, and both say the same bytes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret shared with a sender, ready to sign and to verify.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Reads a key as a sender shows it: `whsec_` and base64.
    ///
    /// # Errors
    /// When the secret is not written so or is too short. The message holds nothing of the secret.
    pub fn new(secret: &Secret) -> Result<Self, BadKey> {
        let text = secret.expose().strip_prefix(KEY_PREFIX).ok_or(BadKey::Prefix)?;
        let key = BASE64.decode(text).map_err(|_| BadKey::Base64)?;
        if key.len() < MIN_KEY {
            return Err(BadKey::Short);
        }
        // HMAC takes keys of every length.
        Hmac::new_from_slice(&key).map(Self).map_err(|_| BadKey::Base64)
    }

    /// Signs one attempt at sending `body` as the message `id`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> SignedHeaders {
        let timestamp = at.as_second().to_string();
        let signature = self.mac(id, &timestamp, body).finalize().into_bytes();
        SignedHeaders {
            id: id.to_owned(),
            timestamp,
            signature: format!("{VERSION},{}", BASE64.encode(signature)),
        }
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a secret cannot be a signing key; holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Another kind of secret.
    #[error("a webhook secret starts with `whsec_`; copy it from the endpoint's page, prefix and all")]
    Prefix,
    /// Cut off or mistyped.
    #[error("what follows `whsec_` is not base64; copy the whole secret")]
    Base64,
    /// Not from a sender that means it.
    #[error("the key is shorter than {MIN_KEY} bytes")]
    Short,
}

/// The three headers of a signed message, to send it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// The value of [`ID_HEADER`].
    pub id: String,
    /// The value of [`TIMESTAMP_HEADER`].
    pub timestamp: String,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: String,
}

/// The headers of a message that says it is signed: well-formed and recent, and not verified yet.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    id: &'a str,
    timestamp: &'a str,
    at: Timestamp,
    signatures: &'a str,
}

impl<'a> Claim<'a> {
    /// The message's id.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// When the attempt says that it was signed.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// Tells the messages of one sender from everybody else's.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Vec<SigningKey>,
    tolerance: SignedDuration,
}

impl Verifier {
    /// Accepts what any of `keys` signed, `tolerance` or less before or after now.
    pub fn new(keys: Vec<SigningKey>, tolerance: SignedDuration) -> Self {
        Self { keys, tolerance }
    }

    /// Judges the headers alone, so that what cannot be authentic is refused before its body is read. Each is
    /// the header's raw value, `None` when it is missing.
    ///
    /// # Errors
    /// When a header is missing or malformed, or the timestamp is not within the tolerance of `now`.
    pub fn claim<'a>(
        &self,
        id: Option<&'a [u8]>,
        timestamp: Option<&'a [u8]>,
        signatures: Option<&'a [u8]>,
        now: Timestamp,
    ) -> Result<Claim<'a>, Refused> {
        let id = visible(id, ID_HEADER, MAX_MESSAGE_ID)?;
        let timestamp = visible(timestamp, TIMESTAMP_HEADER, MAX_TIMESTAMP_DIGITS)?;
        let signatures = visible(signatures, SIGNATURE_HEADER, MAX_SIGNATURE_HEADER)?;
        if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::Malformed(TIMESTAMP_HEADER));
        }
        let at = timestamp
            .parse()
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or(Refused::Malformed(TIMESTAMP_HEADER))?;
        // Whole seconds on both sides: a message that is 300 seconds old by its own count passes.
        let age = SignedDuration::from_secs(now.as_second().saturating_sub(at.as_second()));
        if age > self.tolerance {
            return Err(Refused::Old(age));
        }
        if -age > self.tolerance {
            return Err(Refused::Ahead(-age));
        }
        Ok(Claim { id, timestamp, at, signatures })
    }

    /// Whether one of the listed signatures is right for `body`, compared in constant time.
    ///
    /// # Errors
    /// When none is.
    pub fn verify(&self, claim: &Claim<'_>, body: &[u8]) -> Result<(), Refused> {
        let mut listed = [[0_u8; 32]; MAX_SIGNATURES];
        let mut count = 0;
        let candidates = claim
            .signatures
            .split(' ')
            .filter_map(|signature| signature.split_once(','))
            .filter(|(version, _)| *version == VERSION);
        for (_, signature) in candidates {
            let Some(slot) = listed.get_mut(count) else { return Err(Refused::TooMany) };
            let mut bytes = [0_u8; 48];
            if let Ok(32) = BASE64.decode_slice(signature, &mut bytes) {
                slot.copy_from_slice(&bytes[..32]);
                count += 1;
            }
        }
        let listed = &listed[..count];
        if listed.is_empty() {
            return Err(Refused::NoSignature);
        }
        for key in &self.keys {
            let mac = key.mac(claim.id, claim.timestamp, body);
            if listed.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()) {
                return Ok(());
            }
        }
        Err(Refused::NoMatch)
    }
}

/// The header as text, when it is there, not too long and holds printable ASCII alone.
fn visible<'a>(value: Option<&'a [u8]>, header: &'static str, max: usize) -> Result<&'a str, Refused> {
    let value = value.filter(|value| !value.is_empty()).ok_or(Refused::Missing(header))?;
    if value.len() > max {
        return Err(Refused::TooLong(header));
    }
    let text = str::from_utf8(value).map_err(|_| Refused::Malformed(header))?;
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Refused::Malformed(header));
    }
    Ok(text)
}

/// Why a message was not accepted as authentic. For the log: the sender is told nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such header, or it is empty.
    #[error("it has no {0} header")]
    Missing(&'static str),
    /// The header is not what the standard allows.
    #[error("its {0} header is malformed")]
    Malformed(&'static str),
    /// The header is longer than anybody needs.
    #[error("its {0} header is too long")]
    TooLong(&'static str),
    /// The attempt was signed too long ago: replayed, or the clocks differ.
    #[error("it was signed {0:#} ago: a replay, a late delivery, or this host's clock is ahead")]
    Old(SignedDuration),
    /// The attempt was signed in the future.
    #[error("it was signed {0:#} in the future: this host's clock or the sender's is wrong")]
    Ahead(SignedDuration),
    /// Nothing that could be a signature of version 1.
    #[error("it lists no v1 signature")]
    NoSignature,
    /// More signatures than a sender has secrets.
    #[error("it lists more than {MAX_SIGNATURES} signatures")]
    TooMany,
    /// Signed with another secret, or changed on its way.
    #[error(
        "no signature matches: the configured secret is another endpoint's, or the body was changed on its way"
    )]
    NoMatch,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_cm9sZWNhbGwtc2lnbmF0dXJlLXRlc3Qta2V5LTAwMDE=";
    const OTHER: &str = "whsec_YW5vdGhlci1rZXktYW5vdGhlci1rZXktYW5vdGhlciE=";

    fn key(secret: &str) -> SigningKey {
        SigningKey::new(&Secret::new(secret)).unwrap()
    }

    fn verifier(secrets: &[&str]) -> Verifier {
        Verifier::new(secrets.iter().map(|secret| key(secret)).collect(), SignedDuration::from_secs(300))
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }

    fn judge(verifier: &Verifier, headers: &SignedHeaders, body: &[u8]) -> Result<(), Refused> {
        let claim = verifier.claim(
            Some(headers.id.as_bytes()),
            Some(headers.timestamp.as_bytes()),
            Some(headers.signature.as_bytes()),
            now(),
        )?;
        verifier.verify(&claim, body)
    }

    #[derive(serde::Deserialize)]
    struct Cases {
        now: i64,
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        secret: String,
        id: Option<String>,
        timestamp: Option<String>,
        body: String,
        signature: Option<String>,
        verdicts: Verdicts,
    }

    #[derive(serde::Deserialize)]
    struct Verdicts {
        scalekit_node: String,
    }

    #[test]
    fn every_recorded_case_is_judged_as_scalekits_own_library_judges_it() {
        let file: Cases =
            serde_json::from_str(include_str!("../../tests/data/signature-cases.json")).unwrap();
        let now = Timestamp::from_second(file.now).unwrap();
        assert!(file.cases.len() > 20, "the file lost its cases");
        for case in file.cases {
            let verifier = verifier(&[&case.secret]);
            let verdict = verifier
                .claim(
                    case.id.as_deref().map(str::as_bytes),
                    case.timestamp.as_deref().map(str::as_bytes),
                    case.signature.as_deref().map(str::as_bytes),
                    now,
                )
                .and_then(|claim| verifier.verify(&claim, case.body.as_bytes()));
            assert_eq!(
                verdict.is_ok(),
                case.verdicts.scalekit_node == "accept",
                "{}: {verdict:?}",
                case.name
            );
        }
    }

    #[test]
    fn what_the_public_library_signs_is_accepted_and_the_other_way_round() {
        let body = r#"{"name":"Zoë 渡辺"}"#;
        let public = standardwebhooks::Webhook::new(SECRET).unwrap();
        let at = Timestamp::now();
        let signature = public.sign("msg_1", at.as_second(), body.as_bytes()).unwrap();
        let ours = key(SECRET).sign("msg_1", at, body.as_bytes());
        assert_eq!(ours.signature, signature);

        let verifier = verifier(&[SECRET]);
        let timestamp = at.as_second().to_string();
        let claim = verifier
            .claim(Some(b"msg_1"), Some(timestamp.as_bytes()), Some(signature.as_bytes()), at)
            .unwrap();
        assert_eq!(verifier.verify(&claim, body.as_bytes()), Ok(()));

        let mut headers = http::HeaderMap::new();
        headers.insert(ID_HEADER, ours.id.parse().unwrap());
        headers.insert(TIMESTAMP_HEADER, ours.timestamp.parse().unwrap());
        headers.insert(SIGNATURE_HEADER, ours.signature.parse().unwrap());
        public.verify(body.as_bytes(), &headers).unwrap();
    }

    #[test]
    fn while_secrets_rotate_either_one_is_accepted() {
        let signed_by_the_new = key(OTHER).sign("msg_1", now(), b"{}");
        assert_eq!(judge(&verifier(&[SECRET, OTHER]), &signed_by_the_new, b"{}"), Ok(()));
        assert_eq!(judge(&verifier(&[SECRET]), &signed_by_the_new, b"{}"), Err(Refused::NoMatch));
    }

    #[test]
    fn exactly_the_tolerance_passes_and_a_second_more_does_not() {
        for (seconds, verdict) in [
            (300, Ok(())),
            (301, Err(Refused::Old(SignedDuration::from_secs(301)))),
            (-300, Ok(())),
            (-301, Err(Refused::Ahead(SignedDuration::from_secs(301)))),
        ] {
            let headers = key(SECRET).sign("msg_1", now() - SignedDuration::from_secs(seconds), b"{}");
            assert_eq!(judge(&verifier(&[SECRET]), &headers, b"{}"), verdict, "{seconds} s old");
        }
    }

    #[test]
    fn headers_are_bounded() {
        let good = key(SECRET).sign("msg_1", now(), b"{}");
        let verdict = |headers: SignedHeaders| judge(&verifier(&[SECRET]), &headers, b"{}");
        let long_id = "m".repeat(MAX_MESSAGE_ID + 1);
        assert_eq!(verdict(key(SECRET).sign(&long_id, now(), b"{}")), Err(Refused::TooLong(ID_HEADER)));
        assert_eq!(verdict(key(SECRET).sign("msg\u{7f}", now(), b"{}")), Err(Refused::Malformed(ID_HEADER)));

        let many = format!("{} ", good.signature).repeat(17);
        assert_eq!(verdict(SignedHeaders { signature: many, ..good.clone() }), Err(Refused::TooMany));
        let long = "v1,AAAA ".repeat(600) + &good.signature;
        assert_eq!(
            verdict(SignedHeaders { signature: long, ..good.clone() }),
            Err(Refused::TooLong(SIGNATURE_HEADER))
        );
        for timestamp in ["+1767225600", "1767225600.0", " 1767225600", "1e9", "999999999999"] {
            let verdict = verdict(SignedHeaders { timestamp: timestamp.into(), ..good.clone() });
            assert_eq!(verdict, Err(Refused::Malformed(TIMESTAMP_HEADER)), "{timestamp}");
        }
    }

    #[test]
    fn a_signature_of_another_length_is_no_signature() {
        let good = key(SECRET).sign("msg_1", now(), b"{}");
        for signature in ["v1,AAAA", "v1,", "v1", "v2,AAAA", &format!("{}AAAA", good.signature)] {
            let headers = SignedHeaders { signature: signature.into(), ..good.clone() };
            assert_eq!(
                judge(&verifier(&[SECRET]), &headers, b"{}"),
                Err(Refused::NoSignature),
                "{signature}"
            );
        }
    }

    #[test]
    fn a_secret_that_is_no_key_says_why_and_nothing_else() {
        for (secret, error) in [
            ("test_4f2a9c", BadKey::Prefix),
            ("whsec_not base64!", BadKey::Base64),
            ("whsec_c2hvcnQ=", BadKey::Short),
        ] {
            let found = SigningKey::new(&Secret::new(secret)).unwrap_err();
            assert_eq!(found, error);
            assert!(!found.to_string().contains("4f2a9c"));
        }
        assert_eq!(format!("{:?}", key(SECRET)), "[secret]");
    }
}
