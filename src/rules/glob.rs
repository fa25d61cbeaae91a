//! Globs for names: `*` for any characters, `?` for exactly one, and nothing else that is special.
//!
//! globset does the work, so that a thousand globs are one automaton. It is made for paths, and so its own
//! syntax has more to it (`[…]`, `{…}`, `**/`, escapes) and its `?` is a byte; both are kept out here.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Many globs, matched at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    set: GlobSet,
    /// For a glob with `?`: itself, to be sure of a match.
    exact: Vec<Option<Vec<char>>>,
}

impl Globs {
    /// Compiles the globs, which then go by their place in the list.
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, globset::Error> {
        let mut builder = GlobSetBuilder::new();
        let mut exact = Vec::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(&for_globset(pattern))
                .backslash_escape(true)
                .literal_separator(false)
                .build()?;
            builder.add(glob);
            exact.push(pattern.contains('?').then(|| pattern.chars().collect()));
        }
        Ok(Self { set: builder.build()?, exact })
    }

    /// Which globs match the whole name.
    pub(super) fn matches(&self, name: &str) -> Vec<usize> {
        let mut matches = self.set.matches(name);
        matches.retain(|&index| match &self.exact[index] {
            Some(pattern) => matches_exactly(pattern, name),
            None => true,
        });
        matches
    }
}

/// The pattern in globset's syntax. It matches all that the pattern should, and more where there is a `?`.
fn for_globset(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    for c in pattern.chars() {
        match c {
            // `**` would mean something else, and a `?` beside a `*` adds nothing here.
            '*' | '?' if out.ends_with('*') => {}
            '*' | '?' => out.push('*'),
            '[' | ']' | '{' | '}' | '\\' | '!' | ',' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// Whether the whole name matches: on a mismatch, the last `*` takes one character more. Never slower than
/// the product of both lengths.
fn matches_exactly(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn globs(pattern: &str, name: &str) -> bool {
        !Globs::new([pattern]).unwrap().matches(name).is_empty()
    }

    /// What the two characters mean, said in the plainest way.
    fn plainly(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), None) => plainly(rest, name),
            (Some(('*', rest)), Some((_, others))) => plainly(rest, name) || plainly(pattern, others),
            (Some((&p, rest)), Some((&n, others))) => (p == '?' || p == n) && plainly(rest, others),
            _ => false,
        }
    }

    #[test]
    fn a_star_is_anything_and_a_question_mark_one_character() {
        for (pattern, name, expected) in [
            ("eng-*", "eng-platform", true),
            ("eng-*", "eng-", true),
            ("eng-*", "Eng-platform", false),
            ("eng-*", "my-eng-platform", false),
            ("*", "Corp/EMEA/Sales", true),
            ("Corp/*", "Corp/EMEA/Sales", true),
            ("*/Sales", "Corp/EMEA/Sales", true),
            ("**/Sales", "Sales", false),
            ("caf?", "café", true),
            ("team-??", "team-1", false),
            ("team-??", "team-12", true),
            ("[admins] *", "[admins] EU", true),
            ("[ab]", "a", false),
            ("{a,b}", "a", false),
            ("CORP\\*", "CORP\\staff", true),
            ("a\\*", "a*", false),
            ("a*", "a\nb", true),
        ] {
            assert_eq!(globs(pattern, name), expected, "{pattern} {name:?}");
        }
    }

    proptest! {
        #[test]
        fn globset_agrees_with_the_plain_meaning(
            pattern in r"[*?a./\[\]{}\\!,é-]{0,8}", name in r"[*?a./\[\]{}\\!,é-]{0,8}"
        ) {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            prop_assert_eq!(globs(&pattern, &name), plainly(&chars(&pattern), &chars(&name)));
        }

        #[test]
        fn a_name_matches_itself_with_parts_left_open(name in ".{1,20}", from in 0usize..20, to in 0usize..20) {
            let chars: Vec<char> = name.chars().collect();
            let (from, to) = (from.min(chars.len()), to.min(chars.len()));
            let (from, to) = (from.min(to), from.max(to));
            let open = chars[..from].iter().chain(['*'].iter()).chain(&chars[to..]).collect::<String>();
            prop_assert!(globs(&open, &name), "{} {}", open, name);
        }
    }
}
