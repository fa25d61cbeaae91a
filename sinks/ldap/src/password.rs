//! First passwords: long, random, known to nobody.

use rand::RngExt as _;
use rolecall_sink_api::Secret;

use crate::entry::Value;

/// What passwords are made of, none of it easily mistaken. Each kind is in every password: policies ask for that.
const KINDS: [&[u8]; 4] =
    [b"abcdefghijkmnopqrstuvwxyz", b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"23456789", b"-_.+=:%#"];
/// Characters of each kind: more than 160 bits in all.
const OF_EACH: usize = 8;

/// A random password.
pub(crate) fn random() -> Secret {
    let mut rng = rand::rng();
    let mut text: Vec<u8> = KINDS
        .iter()
        .flat_map(|kind| (0..OF_EACH).map(|_| kind[rng.random_range(0..kind.len())]).collect::<Vec<_>>())
        .collect();
    // Where which kind stands is chance too (Fisher and Yates).
    for at in (1..text.len()).rev() {
        text.swap(at, rng.random_range(0..=at));
    }
    Secret::new(text.into_iter().map(char::from).collect::<String>())
}

/// The value of `unicodePwd`: the password in quotes, in UTF-16 with the lower octet first ([MS-ADTS] §3.1.1.3.1.5).
pub(crate) fn unicode(password: &Secret) -> Value {
    let quoted = format!("\"{}\"", password.expose());
    quoted.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_password_is_another_and_has_every_kind_of_character() {
        let passwords = [random(), random()];
        assert_ne!(passwords[0], passwords[1]);
        for password in &passwords {
            assert_eq!(password.expose().len(), KINDS.len() * OF_EACH);
            for kind in KINDS {
                assert!(password.expose().bytes().any(|c| kind.contains(&c)));
            }
        }
    }

    #[test]
    fn active_directory_gets_it_quoted_in_utf_16() {
        assert_eq!(unicode(&Secret::new("aB")), vec![b'"', 0, b'a', 0, b'B', 0, b'"', 0].into());
    }
}
