//! Globs and regular expressions for names. Both match a name as a whole, in time that grows with its length and
//! never faster: the regex crate does not backtrack.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// The longest pattern, in characters.
pub(super) const MAX_PATTERN: usize = 512;
/// How large one compiled pattern may be, in bytes, and what may be cached to match it.
const MAX_SIZE: usize = 1024 * 1024;
/// The same for all patterns of a file together.
const MAX_SET: usize = 64 * 1024 * 1024;
/// How deep groups may nest.
const MAX_NESTED: u32 = 64;

/// A pattern that is known to compile, as a regular expression for whole names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pattern(String);

impl Pattern {
    /// From a glob: `*` is any characters, `?` exactly one, and everything else stands for itself.
    pub(super) fn glob(glob: &str, ignore_case: bool) -> Self {
        let mut out = String::with_capacity(glob.len() + 16);
        for c in glob.chars() {
            match c {
                // A second star in a row adds nothing but work.
                '*' if out.ends_with(".*") => {}
                '*' => out.push_str(".*"),
                '?' => out.push('.'),
                _ => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        Self::whole(&out, ignore_case, "s")
    }

    /// From a regular expression.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(super) fn regex(regex: &str, ignore_case: bool) -> Result<Self, String> {
        // Alone first: an error must not speak of what is put around it.
        builder(regex).build().map_err(|error| in_short(&error))?;
        let pattern = Self::whole(regex, ignore_case, "");
        builder(&pattern.0).build().map_err(|error| in_short(&error))?;
        Ok(pattern)
    }

    fn whole(regex: &str, ignore_case: bool, flags: &str) -> Self {
        let case = if ignore_case { "i" } else { "" };
        let flags =
            if case.is_empty() && flags.is_empty() { "?:".into() } else { format!("?{flags}{case}:") };
        Self(format!(r"\A({flags}{regex})\z"))
    }

    /// The pattern, ready to match and to capture.
    ///
    /// # Errors
    /// When it is too large.
    pub(super) fn compile(&self) -> Result<Regex, regex::Error> {
        builder(&self.0).build()
    }
}

/// The names of a regular expression's captures.
pub(super) fn captures(regex: &Regex) -> impl Iterator<Item = &str> {
    regex.capture_names().flatten()
}

fn builder(pattern: &str) -> RegexBuilder {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(MAX_SIZE).dfa_size_limit(MAX_SIZE).nest_limit(MAX_NESTED);
    builder
}

/// regex shows the pattern with a caret over several lines; a report has its own.
fn in_short(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large once compiled: repeat less in it".into(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

/// Many patterns, matched at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns(RegexSet);

impl Patterns {
    /// Compiles the patterns, which then go by their place in the list.
    pub(super) fn new(patterns: &[Pattern]) -> Result<Self, regex::Error> {
        RegexSetBuilder::new(patterns.iter().map(|pattern| &pattern.0))
            .size_limit(MAX_SET)
            .dfa_size_limit(MAX_SET)
            .nest_limit(MAX_NESTED)
            .build()
            .map(Self)
    }

    /// Which patterns match the whole name.
    pub(super) fn matches(&self, name: &str) -> impl Iterator<Item = u32> {
        let matches = (!self.0.is_empty()).then(|| self.0.matches(name));
        matches.into_iter().flat_map(|matches| matches.into_iter().filter_map(|at| u32::try_from(at).ok()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn globs(pattern: &str, name: &str) -> bool {
        Patterns::new(&[Pattern::glob(pattern, false)]).unwrap().matches(name).next().is_some()
    }

    fn matches(regex: &str, ignore_case: bool, name: &str) -> bool {
        Pattern::regex(regex, ignore_case).unwrap().compile().unwrap().is_match(name)
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

    #[test]
    fn case_is_ignored_on_request_alone() {
        let glob = Pattern::glob("Straße-*", true).compile().unwrap();
        assert!(glob.is_match("STRAßE-x") && !globs("Straße-*", "STRAßE-x"));
        assert!(matches("team-[a-z]+", true, "Team-OPS") && !matches("team-[a-z]+", false, "Team-OPS"));
    }

    #[test]
    fn a_regular_expression_matches_a_name_as_a_whole() {
        assert!(matches("admin|root", false, "root"));
        for name in ["sysadmin", "admins", "root\n"] {
            assert!(!matches("admin|root", false, name), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_regular_expression_is_told_in_one_line() {
        let told = |regex: &str| Pattern::regex(regex, false).unwrap_err();
        assert_eq!(told("(a"), "unclosed group");
        assert_eq!(told(r"(a)\1"), "backreferences are not supported");
        assert_eq!(told(r"\w{1000}{1000}"), "it is too large once compiled: repeat less in it");
        assert!(told("(?x) a # b").contains("unclosed"), "{}", told("(?x) a # b"));
        assert!(!told(&"(".repeat(1000)).contains('\n'));
    }

    proptest! {
        #[test]
        fn a_glob_is_what_its_two_characters_say(
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
