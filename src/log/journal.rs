//! systemd's journal, as fields (systemd.journal-fields(7)).

use std::fmt;
use std::io;

use tracing::field::{Field, Value, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::FormatFields as _;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// What the names of our own fields begin with: an event's `sink` is `ROLECALL_SINK`.
const PREFIX: &str = "ROLECALL";
/// `SYSLOG_IDENTIFIER`, for `journalctl -t`.
const IDENTIFIER: &str = "rolecall";
/// The most fields that tracing allows an event to have.
const MOST_FIELDS: usize = 32;

/// Sends each event to the journal: every field as a field, and all of them in `MESSAGE` too, which is the only one that
/// `journalctl` shows by itself. Without that it would say that a sink is down, but not which and why.
pub(super) struct Journal(tracing_journald::Layer);

impl Journal {
    /// # Errors
    /// When nobody listens at the journal's socket.
    pub(super) fn connect() -> io::Result<Self> {
        // As syslog has them. The library would have what goes well stand out as a notice.
        let priorities = PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            ..PriorityMappings::new()
        };
        let layer = tracing_journald::layer()?
            .with_field_prefix(Some(PREFIX.to_owned()))
            .with_syslog_identifier(IDENTIFIER.to_owned())
            .with_priority_mappings(priorities);
        Ok(Self(layer))
    }
}

impl<S> Layer<S> for Journal
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Layer::<S>::on_record(&self.0, id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        with_a_whole_message(event, |event| self.0.on_event(event, context));
    }
}

/// Hands on the event with a message that says all of its fields, as the text on a terminal does.
fn with_a_whole_message(event: &Event<'_>, hand_on: impl FnOnce(&Event<'_>)) {
    let mut message = String::new();
    let written = DefaultFields::new().format_fields(Writer::new(&mut message), event);
    let names = event.metadata().fields();
    let (Ok(()), Some(field)) = (written, names.field("message")) else {
        return hand_on(event);
    };
    let mut fields = Fields(vec![(field, message)]);
    event.record(&mut fields);
    let Some((first, _)) = fields.0.first() else { return hand_on(event) };
    let values: [(&Field, Option<&dyn Value>); MOST_FIELDS] = std::array::from_fn(|at| {
        fields.0.get(at).map_or((first, None), |(field, value)| (field, Some(value as &dyn Value)))
    });
    hand_on(&Event::new(event.metadata(), &names.value_set(&values)));
}

/// The fields of an event as text, its message apart.
struct Fields(Vec<(Field, String)>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.0.push((field.clone(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps what the journal would be sent.
    struct Kept(Arc<Mutex<Vec<(String, String)>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            struct All<'a>(&'a mut Vec<(String, String)>);
            impl Visit for All<'_> {
                fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                    self.0.push((field.name().to_owned(), format!("{value:?}")));
                }
                fn record_str(&mut self, field: &Field, value: &str) {
                    self.0.push((field.name().to_owned(), value.to_owned()));
                }
            }
            with_a_whole_message(event, |event| event.record(&mut All(&mut self.0.lock().unwrap())));
        }
    }

    fn kept(say: impl FnOnce()) -> Vec<(String, String)> {
        let kept = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Kept(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, say);
        let kept = kept.lock().unwrap();
        kept.clone()
    }

    #[test]
    fn the_message_says_all_and_each_field_is_there_by_itself() {
        let sink = "corp-ldap";
        let fields = kept(|| {
            tracing::warn!(%sink, reason = "it hangs", tries = 3, "the sink is down; deliveries wait");
        });
        let expected = [
            ("message", r#"the sink is down; deliveries wait sink=corp-ldap reason="it hangs" tries=3"#),
            ("sink", "corp-ldap"),
            ("reason", "it hangs"),
            ("tries", "3"),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_field_without_a_value_is_left_out() {
        let fields = kept(|| tracing::info!(sink = None::<&str>, "items were made due"));
        assert_eq!(fields, [("message".to_owned(), "items were made due".to_owned())]);
    }
}
