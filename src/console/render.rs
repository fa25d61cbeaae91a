//! From a template and values to HTML. Whatever a value holds, it stands there as text: escaped, without characters that
//! turn the direction of writing, and of bounded length.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use minijinja::value::{Value, ValueKind};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, HtmlEscape, Output, State, UndefinedBehavior, escape_formatter,
};

use crate::text;

/// Steps of the template engine for a page; the longest takes some hundred thousand.
const FUEL: u64 = 5_000_000;
/// The longest text in a cell or a sentence, in characters.
const MOST_SHOWN: usize = 300;
/// The longest text in a block of its own, in characters.
const MOST_BLOCK: usize = 256 * 1024;

/// Every page, by its name.
const TEMPLATES: [(&str, &str); 27] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("sink.html", include_str!("templates/sink.html")),
    ("pause.html", include_str!("templates/pause.html")),
    ("probed.html", include_str!("templates/probed.html")),
    ("items.html", include_str!("templates/items.html")),
    ("lines.html", include_str!("templates/lines.html")),
    ("queue.html", include_str!("templates/queue.html")),
    ("drop.html", include_str!("templates/drop.html")),
    ("holds.html", include_str!("templates/holds.html")),
    ("hold.html", include_str!("templates/hold.html")),
    ("decide.html", include_str!("templates/decide.html")),
    ("groups.html", include_str!("templates/groups.html")),
    ("group.html", include_str!("templates/group.html")),
    ("people.html", include_str!("templates/people.html")),
    ("standing.html", include_str!("templates/standing.html")),
    ("users.html", include_str!("templates/users.html")),
    ("user.html", include_str!("templates/user.html")),
    ("events.html", include_str!("templates/events.html")),
    ("event.html", include_str!("templates/event.html")),
    ("rules.html", include_str!("templates/rules.html")),
    ("version.html", include_str!("templates/version.html")),
    ("plan.html", include_str!("templates/plan.html")),
    ("planned.html", include_str!("templates/planned.html")),
    ("login.html", include_str!("templates/login.html")),
    ("trouble.html", include_str!("templates/trouble.html")),
];

/// The pages.
pub(super) struct Templates(Environment<'static>);

impl Templates {
    /// # Errors
    /// When a template is wrong, which a test rules out.
    pub(super) fn new() -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(formatted);
        environment.add_filter("ago", ago);
        environment.add_filter("exactly", exactly);
        environment.add_filter("after", after);
        environment.add_filter("length_of_time", |from: String, to: String| {
            Ok::<_, Error>(span(time(&to)?.duration_since(time(&from)?)))
        });
        environment.add_filter("bytes", text::bytes);
        environment.add_filter("number", number);
        environment.add_filter("count", |n: u64, one: &str, many: &str| {
            format!("{} {}", number(n), if n == 1 { one } else { many })
        });
        environment.add_filter("short", |text: &str, most: usize| cut(text, most));
        environment.add_filter("words", |text: &str| text.replace('_', " "));
        environment.add_filter("query", |text: &str| {
            form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
        });
        environment.add_filter("block", block);
        // What comes back with a form or a link must come back as it was.
        environment.add_filter("whole", |text: &str| Value::from_safe_string(HtmlEscape(text).to_string()));
        environment.add_filter("clock", |at: &str| Ok::<_, Error>(readable(time(at)?)));
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// A page.
    ///
    /// # Errors
    /// When the template asks for what is not there: a bug.
    pub(super) fn page(&self, name: &str, context: Value) -> Result<String, Error> {
        self.0.get_template(name)?.render(context)
    }
}

/// How every `{{ … }}` is written.
fn formatted(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() => {
            escape_formatter(out, state, &Value::from(text::plain(&cut(text, MOST_SHOWN))))
        }
        None if matches!(value.kind(), ValueKind::None) => Ok(()),
        _ => escape_formatter(out, state, value),
    }
}

/// The text, or the beginning of it.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A text of several lines, as it stands in `<pre>` or `<textarea>`.
fn block(text: &str) -> Value {
    Value::from_safe_string(HtmlEscape(&text::plain_lines(&cut(text, MOST_BLOCK))).to_string())
}

fn time(text: &str) -> Result<Timestamp, Error> {
    text.parse().map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("no time: {error}")))
}

fn now(state: &State<'_, '_>) -> Result<Timestamp, Error> {
    time(state.lookup("now").as_ref().and_then(Value::as_str).unwrap_or_default())
}

/// How long ago something was; the exact time shows when it is pointed at, and to programs.
fn ago(state: &State<'_, '_>, at: &str) -> Result<Value, Error> {
    let at = time(at)?;
    Ok(marked(at, &text::relative(now(state)?, at)))
}

/// When something was, to the second, and how long ago.
fn exactly(state: &State<'_, '_>, at: &str) -> Result<Value, Error> {
    let at = time(at)?;
    let mut html = marked(at, &readable(at)).to_string();
    // Writing to a string does not fail.
    let _ = write!(html, " <span class=faint>({})</span>", text::relative(now(state)?, at));
    Ok(Value::from_safe_string(html))
}

/// How long after another time something was: `+420 ms`.
fn after(at: &str, before: &str) -> Result<Value, Error> {
    let (at, before) = (time(at)?, time(before)?);
    Ok(marked(at, &format!("+{}", span(at.duration_since(before)))))
}

fn marked(at: Timestamp, shown: &str) -> Value {
    Value::from_safe_string(format!("<time datetime=\"{at}\" title=\"{}\">{shown}</time>", readable(at)))
}

fn readable(at: Timestamp) -> String {
    text::exact(at).replace('T', " ").replace('Z', " UTC")
}

/// A length of time that may be less than a second.
fn span(span: SignedDuration) -> String {
    let span = span.max(SignedDuration::ZERO);
    match span.as_millis() {
        0 => "under 1 ms".into(),
        ms @ 1..1000 => format!("{ms} ms"),
        ms @ 1000..10_000 => format!("{}.{} s", ms / 1000, ms / 100 % 10),
        _ => text::length(span),
    }
}

/// A number with its thousands set apart, so that it can be read.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len());
    for (at, digit) in digits.char_indices() {
        if at > 0 && digits.len() > 4 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn rendered(template: &'static str, context: Value) -> String {
        let mut templates = Templates::new().unwrap();
        templates.0.add_template("test.html", template).unwrap();
        templates.page("test.html", context).unwrap()
    }

    #[test]
    fn a_hostile_name_is_only_text() {
        let name = "<script>alert('x')</script>\u{202e}\"onload=&\n";
        assert_eq!(
            rendered("<b title=\"{{ name }}\">{{ name }}</b>", context! { name }),
            "<b title=\"&lt;script&gt;alert(&#x27;x&#x27;)&lt;&#x2f;script&gt;\u{fffd}&quot;onload=&amp; \">\
             &lt;script&gt;alert(&#x27;x&#x27;)&lt;&#x2f;script&gt;\u{fffd}&quot;onload=&amp; </b>"
        );
        let block = rendered("<pre>{{ name|block }}</pre>", context! { name });
        assert!(!block.contains("<script") && !block.contains('\u{202e}') && block.contains('\n'), "{block}");
        assert_eq!(rendered("?id={{ 'a b&c=d/é'|query }}", context! {}), "?id=a+b%26c%3Dd%2F%C3%A9");
    }

    #[test]
    fn a_long_name_is_cut() {
        let shown = rendered("{{ name }}", context! { name => "x".repeat(10_000) });
        assert_eq!(shown, format!("{}…", "x".repeat(MOST_SHOWN)));
    }

    #[test]
    fn times_are_told_from_now_and_exactly() {
        let context = context! { now => "2026-11-24T10:00:00Z", at => "2026-11-24T09:48:00.25Z", next => "2026-11-24T09:48:01.75Z" };
        assert_eq!(
            rendered("{{ at|ago }} {{ at|exactly }} {{ next|after(at) }}", context),
            "<time datetime=\"2026-11-24T09:48:00.25Z\" title=\"2026-11-24 09:48:00 UTC\">11 min ago</time> \
             <time datetime=\"2026-11-24T09:48:00.25Z\" title=\"2026-11-24 09:48:00 UTC\">2026-11-24 09:48:00 UTC</time> \
             <span class=faint>(11 min ago)</span> \
             <time datetime=\"2026-11-24T09:48:01.75Z\" title=\"2026-11-24 09:48:01 UTC\">+1.5 s</time>"
        );
    }

    #[test]
    fn numbers_and_spans_can_be_read() {
        assert_eq!(
            [0, 999, 9999, 12_345, 1_234_567].map(number),
            ["0", "999", "9999", "12\u{202f}345", "1\u{202f}234\u{202f}567"]
        );
        let spans = [0, 42, 1999, 61_000].map(|ms| span(SignedDuration::from_millis(ms)));
        assert_eq!(spans, ["under 1 ms", "42 ms", "1.9 s", "1 min"]);
    }

    #[test]
    fn what_is_missing_is_a_bug_and_no_empty_cell() {
        let mut templates = Templates::new().unwrap();
        templates.0.add_template("test.html", "{{ mistyped }}").unwrap();
        assert!(templates.page("test.html", context! {}).is_err());
    }
}
