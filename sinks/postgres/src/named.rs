//! SQL of the operator's with named parameters: `:user_id` becomes `$1`, and a place that the server names is found
//! again in what was written.

use std::fmt;
use std::str::CharIndices;

/// A statement as it is sent, each parameter under a number of its own, so that the server may find another type for
/// it at each place.
#[derive(Clone, Debug)]
pub(crate) struct Named<P> {
    /// With `$1`, `$2`, … for the parameters.
    pub(crate) text: String,
    /// What stands for each number.
    pub(crate) parameters: Vec<P>,
    source: String,
    /// Characters into `text` and into `source`, at each end of each parameter: between them both run alike.
    ends: Vec<(usize, usize)>,
}

/// A place in what the operator wrote, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl<P> Named<P> {
    /// Reads `source`. `parameter` says what a name stands for and with which SQL type it is cast, or `None` where the
    /// server shall find the type.
    ///
    /// # Errors
    /// When a name stands for nothing, with what `parameter` says of it, or a string or comment does not end.
    pub(crate) fn parse(
        source: &str,
        parameter: impl Fn(&str) -> Result<(P, Option<&'static str>), String>,
    ) -> Result<Self, String> {
        let mut named =
            Self { text: String::new(), parameters: Vec::new(), source: source.into(), ends: Vec::new() };
        let mut rest = Lexer { source, chars: source.char_indices() };
        while let Some(piece) = rest.next()? {
            let Some(name) = piece.strip_prefix(':').filter(|name| !name.is_empty() && *name != ":") else {
                named.text.push_str(piece);
                continue;
            };
            let (meaning, cast) = parameter(name)
                .map_err(|why| format!("{}: {why}", place(source, rest.offset() - piece.len())))?;
            named.parameters.push(meaning);
            named.end(rest.offset() - piece.len());
            named.text.push_str(&format!("${}", named.parameters.len()));
            if let Some(cast) = cast {
                named.text.push_str("::");
                named.text.push_str(cast);
            }
            named.end(rest.offset());
        }
        Ok(named)
    }

    /// Where in the source the character `position` (from 1) of the text stands.
    pub(crate) fn place(&self, position: u32) -> Place {
        let position = usize::try_from(position).unwrap_or(usize::MAX).saturating_sub(1);
        let before = self.ends.iter().rev().find(|(text, _)| *text <= position).copied();
        let after = self.ends.iter().find(|(text, _)| *text > position).map(|(_, source)| *source);
        let (text, source) = before.unwrap_or((0, 0));
        let found = (source + (position - text)).min(after.unwrap_or(usize::MAX));
        self.place_at(found)
    }

    /// Where in the source the parameter with this index stands.
    pub(crate) fn parameter_place(&self, index: usize) -> Place {
        let start = self.ends.get(index * 2).map_or(0, |(_, source)| *source);
        self.place_at(start)
    }

    fn place_at(&self, character: usize) -> Place {
        let offset =
            self.source.char_indices().nth(character).map_or(self.source.len(), |(offset, _)| offset);
        place(&self.source, offset)
    }

    fn end(&mut self, offset: usize) {
        let source = self.source.get(..offset).unwrap_or_default().chars().count();
        self.ends.push((self.text.chars().count(), source));
    }
}

fn place(source: &str, offset: usize) -> Place {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Place { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}

/// Cuts SQL into pieces as far as it takes to tell a parameter from everything that only looks like one (PostgreSQL's
/// manual §4.1): strings, quoted names, comments, `::` casts.
struct Lexer<'a> {
    source: &'a str,
    chars: CharIndices<'a>,
}

impl<'a> Lexer<'a> {
    fn offset(&self) -> usize {
        self.chars.offset()
    }

    fn rest(&self) -> &'a str {
        self.chars.as_str()
    }

    /// The next piece; a parameter is one that starts with a single colon and has more than that.
    fn next(&mut self) -> Result<Option<&'a str>, String> {
        let start = self.offset();
        let Some((_, first)) = self.chars.next() else { return Ok(None) };
        match first {
            '\'' => self.quoted(start, '\'', false)?,
            '"' => self.quoted(start, '"', false)?,
            '-' if self.rest().starts_with('-') => self.skip_while(|c| c != '\n'),
            '/' if self.rest().starts_with('*') => self.comment(start)?,
            '$' => self.dollar_quoted(start)?,
            ':' if self.rest().starts_with(':') => drop(self.chars.next()),
            ':' if self.rest().starts_with(is_name_start) => self.skip_while(is_name),
            c if is_name_start(c) => {
                self.skip_while(|c| is_name(c) || c == '$');
                let word = self.source.get(start..self.offset()).unwrap_or_default();
                if word.eq_ignore_ascii_case("e") && self.rest().starts_with('\'') {
                    self.chars.next();
                    self.quoted(start, '\'', true)?;
                }
            }
            _ => {}
        }
        Ok(self.source.get(start..self.offset()))
    }

    fn skip_while(&mut self, goes_on: impl Fn(char) -> bool) {
        while self.rest().chars().next().is_some_and(&goes_on) {
            self.chars.next();
        }
    }

    /// To the quote's end; a doubled one is two pieces, which does no harm.
    fn quoted(&mut self, start: usize, quote: char, backslashes: bool) -> Result<(), String> {
        while let Some((_, c)) = self.chars.next() {
            match c {
                '\\' if backslashes => drop(self.chars.next()),
                c if c == quote => return Ok(()),
                _ => {}
            }
        }
        Err(format!("{}: the quote {quote} that begins here does not end", place(self.source, start)))
    }

    fn comment(&mut self, start: usize) -> Result<(), String> {
        let mut depth = 1;
        self.chars.next();
        while depth > 0 {
            if self.rest().starts_with("*/") {
                depth -= 1;
                self.chars.next();
            } else if self.rest().starts_with("/*") {
                depth += 1;
                self.chars.next();
            }
            if self.chars.next().is_none() {
                return Err(format!(
                    "{}: the comment that begins here does not end",
                    place(self.source, start)
                ));
            }
        }
        Ok(())
    }

    /// `$tag$ … $tag$`; a `$1` of the operator's own is left for the server to refuse.
    fn dollar_quoted(&mut self, start: usize) -> Result<(), String> {
        let Some((tag, _)) = self.rest().split_once('$') else { return Ok(()) };
        if !tag.chars().all(is_name) || tag.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(());
        }
        let mark = format!("${tag}$");
        let body = self.rest().get(tag.len() + 1..).unwrap_or_default();
        let Some(length) = body.find(&mark) else {
            return Err(format!(
                "{}: the quote {mark} that begins here does not end",
                place(self.source, start)
            ));
        };
        let end = self.offset() + tag.len() + 1 + length + mark.len();
        while self.offset() < end {
            self.chars.next();
        }
        Ok(())
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Named<String>, String> {
        Named::parse(source, |name| match name {
            "unknown" => Err("there is no such parameter".into()),
            "flag" => Ok((name.to_owned(), Some("boolean"))),
            _ => Ok((name.to_owned(), None)),
        })
    }

    #[test]
    fn each_place_of_a_parameter_has_a_number_of_its_own() {
        let named = parse("UPDATE t SET a = :a, b=:flag WHERE id = :a").unwrap();
        assert_eq!(named.text, "UPDATE t SET a = $1, b=$2::boolean WHERE id = $3");
        assert_eq!(named.parameters, ["a", "flag", "a"]);
    }

    #[test]
    fn what_only_looks_like_a_parameter_stands_as_it_is() {
        for sql in [
            "SELECT x::text, y :: int, z[1:2], q := 1, :: text",
            "SELECT ':a', 'it''s :a', E'\\':a', \":a\", \"x\"\":a\"",
            "SELECT $$:a$$, $f$ :a $$ :a $f$, a$b, $1",
            "SELECT 1 -- :a\n, /* :a /* :a */ :a */ 2",
        ] {
            let named = parse(sql).unwrap();
            assert_eq!(named.text, sql);
            assert!(named.parameters.is_empty(), "{sql}: {:?}", named.parameters);
        }
    }

    #[test]
    fn a_place_of_the_servers_is_found_in_what_was_written() {
        let source = "INSERT INTO pëople (id)\nVALUES (:user_id, :flag, wrong)";
        let named = parse(source).unwrap();
        let at = |what: &str| {
            let offset = named.text.find(what).unwrap();
            let position = named.text[..offset].chars().count() + 1;
            named.place(u32::try_from(position).unwrap()).to_string()
        };
        assert_eq!(at("pëople"), "line 1, column 13");
        assert_eq!(at("$1"), "line 2, column 9");
        assert_eq!(at("$2"), "line 2, column 19");
        assert_eq!(at("wrong"), "line 2, column 26");
    }

    #[test]
    fn a_mistake_is_found_where_it_is() {
        assert!(parse("SELECT 1,\n  :unknown").unwrap_err().starts_with("line 2, column 3: there is no"));
        for sql in ["SELECT 'a", "SELECT \"a", "SELECT $x$ a", "SELECT /* /* */"] {
            let error = parse(sql).unwrap_err();
            assert!(error.starts_with("line 1, column 8: ") && error.contains("does not end"), "{error}");
        }
    }
}
