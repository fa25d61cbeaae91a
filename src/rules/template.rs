//! Roles that are made from what a regular expression captured.

use regex::Captures;

/// A role's name with captures in braces: `project-{project}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Capture(String),
}

impl Template {
    /// Reads a name; `None` when it has no braces and is a role as it stands.
    ///
    /// # Errors
    /// What is wrong with the braces.
    pub(super) fn read(name: &str) -> Result<Option<Self>, &'static str> {
        if !name.contains(['{', '}']) {
            return Ok(None);
        }
        const WRONG: &str = "a capture stands in braces as `{name}`, and braces stand for nothing else";
        let mut parts = Vec::new();
        let mut rest = name;
        while let Some((text, after)) = rest.split_once('{') {
            let (capture, after) = after.split_once('}').ok_or(WRONG)?;
            let is_name = !capture.is_empty() && capture.chars().all(|c| c == '_' || c.is_alphanumeric());
            if text.contains('}') || !is_name {
                return Err(WRONG);
            }
            parts.extend([Part::Text(text.to_owned()), Part::Capture(capture.to_owned())]);
            rest = after;
        }
        if rest.contains('}') {
            return Err(WRONG);
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Some(Self(parts)))
    }

    /// The names of the captures that it needs.
    pub(super) fn captures(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// What stands before the first capture.
    pub(super) fn prefix(&self) -> &str {
        match self.0.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The role, when every capture took part in the match.
    pub(super) fn fill(&self, captures: &Captures<'_>) -> Option<String> {
        let part = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Capture(name) => captures.name(name).map(|found| found.as_str().to_owned()),
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_hold_the_names_of_captures_and_nothing_else() {
        let template = Template::read("{env}-project-{project}").unwrap().unwrap();
        assert_eq!(template.captures().collect::<Vec<_>>(), ["env", "project"]);
        assert_eq!(template.prefix(), "");
        assert_eq!(Template::read("team-{t}").unwrap().unwrap().prefix(), "team-");
        assert_eq!(Template::read("plain"), Ok(None));
        for wrong in ["{", "}", "{}", "{a", "a}", "{{a}}", "{a b}", "{a}}", "}{a}"] {
            assert!(Template::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_capture_that_took_no_part_makes_no_role() {
        let regex = regex::Regex::new("^(?<a>x)|(?<b>y)$").unwrap();
        let template = Template::read("r-{a}").unwrap().unwrap();
        assert_eq!(template.fill(&regex.captures("x").unwrap()).as_deref(), Some("r-x"));
        assert_eq!(template.fill(&regex.captures("y").unwrap()), None);
    }
}
