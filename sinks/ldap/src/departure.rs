//! What else becomes of a leaver's entry beside its lock: another place, another shell, a password that nobody knows,
//! and an end when its time is over. Everything but the password is undone when the user is active again: what the
//! mapping does not say, marks in the entry remember.

use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::ConfigError;

use crate::config::{self, OnDeactivate, OnDelete};
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::leavers::Undo;
use crate::mapping::Mapping;
use crate::mark::Marks;
use crate::outcome::{Failure, Operation};
use crate::password;
use crate::request::{Modification, Request, Tolerance};
use crate::server_kind::ServerKind;
use crate::template::Rendered;
use crate::work::Work;

/// The longest mark: what several servers allow in the marker's default attribute. A longer value is not remembered.
const MOST_REMEMBERED: usize = 128;

/// That part of the section `leavers`, compiled.
pub(crate) struct Departure {
    place: Option<Dn>,
    shell: Option<Value>,
    pub(crate) random_password: bool,
    grace: Option<SignedDuration>,
}

/// What becomes of the entry of a user who is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes now.
    Now,
    /// It stays for so long, with this mark that says since when they are gone.
    After(SignedDuration, Value),
}

impl Departure {
    /// Compiles it; `base` is where people are looked for.
    pub(crate) fn compile(config: &config::Leavers, base: &Dn) -> Result<Self, ConfigError> {
        let refused = |key: &str, what: String| Err(ConfigError::new(format!("leavers.{key}"), what));
        let place = match config.move_to.as_deref().map(Dn::parse).transpose() {
            Ok(place) => place,
            Err(e) => return refused("move_to", e.to_string()),
        };
        if let Some(place) = place.as_ref().filter(|place| !place.is_within(base)) {
            let what = format!("{place} is not below {base}: set people.base to an entry above both");
            return refused("move_to", what);
        }
        let deletes = config.on_deactivate == OnDeactivate::Delete;
        if config.grace.is_some() && (config.on_delete != OnDelete::Delete || deletes) {
            return refused(
                "grace",
                "is for on_delete: delete beside an on_deactivate that keeps the entry".into(),
            );
        }
        let grace =
            config.grace.map(|grace| SignedDuration::try_from(grace.get()).unwrap_or(SignedDuration::MAX));
        let shell = config.login_shell.as_deref().map(Value::from);
        Ok(Self { place, shell, random_password: config.random_password, grace })
    }

    /// The attributes to fetch for it.
    pub(crate) fn attribute_names(&self) -> impl Iterator<Item = AttributeName> {
        self.shell.iter().map(|_| login_shell())
    }

    /// The name that the entry `dn` has while its user is inactive.
    pub(crate) fn place(&self, dn: &Dn) -> Dn {
        let placed = self.place.as_ref().and_then(|place| dn.below(place).ok());
        placed.unwrap_or_else(|| dn.clone())
    }

    /// Sets the shell of those who have one.
    pub(crate) fn set_shell(&self, rendered: &mut Rendered, entry: Option<&Entry>) {
        let name = login_shell();
        let has = entry.is_some_and(|entry| !entry.attributes.get(&name).is_empty());
        let wanted = rendered.attributes.get(&name).is_some_and(|values| !values.is_empty());
        if let Some(shell) = self.shell.clone().filter(|_| has || wanted) {
            rendered.attributes.insert(name, vec![shell]);
        }
    }

    /// When the entry of a user who is gone goes too.
    pub(crate) fn end(&self, marks: &Marks, entry: &Entry, now: Timestamp) -> End {
        let Some(grace) = self.grace else { return End::Now };
        let since = marks.gone_since(entry).unwrap_or(now);
        let left = grace.saturating_sub(now.duration_since(since));
        if left.is_positive() { End::After(left, marks.gone(since)) } else { End::Now }
    }
}

/// The marks that remember what deactivation is about to overwrite and the mapping does not say.
pub(crate) fn memory(mapping: &Mapping, entry: &Entry) -> Vec<Value> {
    let names = mapping.leavers.attribute_names().cloned().chain(mapping.departure.attribute_names());
    let unmapped = names.filter(|name| !mapping.people.attribute_names().any(|mapped| mapped == name));
    unmapped
        .flat_map(|name| {
            let marks = entry.attributes.texts(&name).map(|text| mapping.marks.was(&name, text));
            marks.collect::<Vec<_>>()
        })
        .filter(|mark| mark.as_bytes().len() <= MOST_REMEMBERED)
        .collect()
}

/// Adds to `undo` what the entry's marks remember, and the end of those marks.
pub(crate) fn recall(marks: &Marks, entry: &Entry, undo: &mut Vec<(AttributeName, Undo)>) {
    for (name, values) in marks.remembered(entry) {
        undo.retain(|(undone, _)| *undone != name);
        undo.push((name, Undo::Restore(values)));
    }
    let own = marks.of_departure(entry);
    undo.extend(own.map(|mark| (marks.attribute.clone(), Undo::Value(mark.into()))));
}

/// Gives an account a random password that nobody keeps.
pub(crate) async fn forget_password(work: &Work<'_>, dn: &Dn) -> Result<(), Failure> {
    let password = password::random();
    if work.mapping.kind == ServerKind::ActiveDirectory {
        let value = vec![password::unicode(&password)];
        let modifications = vec![Modification::replace(&"unicodePwd".into(), value)];
        let request = Request::Modify { dn: dn.clone(), modifications, tolerance: Tolerance::Strict };
        return work.send(&request, Operation::Modify).await.map(drop);
    }
    let reply = work.directory.set_password(dn, &password).await?;
    Failure::of_password(dn, &reply).map_or(Ok(()), Err)
}

/// The attribute with a user's shell (RFC 2307).
fn login_shell() -> AttributeName {
    "loginShell".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Marker;
    use crate::entry::Attributes;

    fn departure(grace_days: i64) -> Departure {
        let grace = Some(SignedDuration::from_hours(24 * grace_days));
        Departure { place: None, shell: None, random_password: false, grace }
    }

    #[test]
    fn the_grace_begins_when_the_user_is_gone_and_ends_in_time() {
        let marks = Marks::new(&Marker::default(), "businessCategory").unwrap();
        let since: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut entry = Entry { dn: Dn::parse("uid=a,dc=x").unwrap(), attributes: Attributes::default() };
        let month = departure(30);
        let End::After(left, mark) = month.end(&marks, &entry, since) else { panic!("it goes at once") };
        assert_eq!(left, SignedDuration::from_hours(24 * 30));
        entry.attributes.push(marks.attribute.clone(), mark.clone());

        let later = since + SignedDuration::from_hours(24 * 29);
        assert_eq!(month.end(&marks, &entry, later), End::After(SignedDuration::from_hours(24), mark));
        assert_eq!(month.end(&marks, &entry, since + SignedDuration::from_hours(24 * 30)), End::Now);
    }
}
