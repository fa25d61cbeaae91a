//! One entry brought up to date: made when it is missing, changed where it differs, left alone when it is not
//! the sink's.

use rolecall_sink_api::Action;

use crate::config::OnExisting;
use crate::departure;
use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes, Entry, Value};
use crate::leavers::Undo;
use crate::lock::Lock;
use crate::mark::Owner;
use crate::outcome::{Failure, Operation, Verdict, explain, verdict};
use crate::password;
use crate::plan::{Aim, plan};
use crate::query::{Condition, Query};
use crate::remote;
use crate::request::Request;
use crate::template::{EntryTemplate, Rendered};
use crate::work::Work;

/// The result code of a server that wants a value to be unique, among others.
const CONSTRAINT_VIOLATION: u32 = 19;

/// An entry that should be.
pub(crate) struct Upsert<'a> {
    pub(crate) template: &'a EntryTemplate,
    /// The attributes to fetch, should it have to be read.
    pub(crate) fetch: &'a [AttributeName],
    pub(crate) mark: &'a str,
    pub(crate) rendered: &'a Rendered,
    /// What the sink last wrote.
    pub(crate) before: Option<&'a Rendered>,
    /// The numbers that the entry gets, unless it has some.
    pub(crate) numbers: &'a [(AttributeName, Value)],
    /// Whether somebody else's entry is found otherwise than by its name: then one with the name is not it.
    pub(crate) found_otherwise: bool,
    /// Further marks that an entry which is there already gets.
    pub(crate) notes: &'a [Value],
    /// What only a new entry gets: a group's first members.
    pub(crate) first: Option<(&'a AttributeName, Vec<Value>)>,
    /// Whether its user may have access; `None` for what is no user.
    pub(crate) active: Option<bool>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) struct Upserted {
    pub(crate) dn: Dn,
    pub(crate) remote: String,
    pub(crate) action: Action,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The entry is as it should be.
    Done(Upserted),
    /// Another entry has the name. With another name it may work; without, it failed so.
    Taken(Failure),
    /// There is an entry that is none of the sink's business, and is to be left alone without a word.
    Ignored,
}

/// What came of trying to add.
enum Added {
    /// A new entry.
    New(Upserted),
    /// There is one already that is the sink's, or may be made so.
    Existing(Box<Entry>),
    /// There is one already that may not be used.
    Not(Ending),
}

/// Makes `found` what `upsert` says, or makes the entry when there is none.
pub(crate) async fn upsert(
    work: &Work<'_>,
    upsert: &Upsert<'_>,
    found: Option<Entry>,
) -> Result<Ending, Failure> {
    let entry = match found {
        Some(entry) => entry,
        None => match add(work, upsert).await? {
            Added::New(upserted) => return Ok(Ending::Done(upserted)),
            Added::Existing(entry) => *entry,
            Added::Not(ending) => return Ok(ending),
        },
    };
    let marks = &work.mapping.marks;
    let mut present = vec![(marks.attribute.clone(), Value::from(upsert.mark))];
    let mut undo = Vec::new();
    let was_inactive = marks.is_inactive(&entry);
    match upsert.active {
        Some(false) => {
            present.push((marks.attribute.clone(), marks.inactive()));
            if !was_inactive && lock(work, upsert).is_some_and(|lock| lock.holds(&entry.attributes)) {
                present.push((marks.attribute.clone(), marks.locked_before()));
            }
            let memory = if was_inactive { Vec::new() } else { departure::memory(work.mapping, &entry) };
            present.extend(memory.into_iter().map(|mark| (marks.attribute.clone(), mark)));
            let due = marks.password_due();
            if !upsert.notes.contains(&due) {
                undo.push((marks.attribute.clone(), Undo::Value(due)));
            }
        }
        Some(true) => {
            undo = work.mapping.leavers.undo(marks, &entry);
            departure::recall(marks, &entry, &mut undo);
        }
        None => {}
    }
    present.extend(upsert.notes.iter().map(|mark| (marks.attribute.clone(), mark.clone())));
    let aim = Aim {
        rendered: upsert.rendered,
        before: upsert.before,
        classes: &upsert.template.classes,
        given: upsert.numbers,
        present,
        undo,
        lock: lock(work, upsert),
        rules: &work.mapping.rules,
    };
    let requests = plan(&entry, &aim);
    for request in &requests {
        let operation = match request {
            Request::Rename { .. } => Operation::Rename,
            _ => Operation::Modify,
        };
        let reply = work.write(request).await?;
        if let Some(failure) = Failure::of(request, operation, &reply) {
            return match verdict(reply.code, operation, &reply.text) {
                Verdict::Taken => Ok(Ending::Taken(failure)),
                _ if operation == Operation::Rename
                    && is_taken_elsewhere(work, upsert, reply.code).await? =>
                {
                    Ok(Ending::Taken(failure))
                }
                _ => Err(failure),
            };
        }
    }
    upsert.template.numbers.settled(upsert.mark);
    let action = match upsert.active {
        _ if requests.is_empty() => Action::Unchanged,
        Some(false) if !was_inactive => Action::Deactivated,
        Some(true) if was_inactive => Action::Reactivated,
        _ => Action::Updated,
    };
    Ok(Ending::Done(Upserted {
        dn: upsert.rendered.dn.clone(),
        remote: remote_of(work, upsert, &entry),
        action,
    }))
}

/// What the daemon is to keep of `entry`, with the numbers that it has just been given.
fn remote_of(work: &Work<'_>, upsert: &Upsert<'_>, entry: &Entry) -> String {
    let mut entry = Entry { dn: upsert.rendered.dn.clone(), attributes: entry.attributes.clone() };
    for (name, number) in upsert.numbers {
        if entry.attributes.get(name).is_empty() {
            entry.attributes.push(name.clone(), number.clone());
        }
    }
    work.mapping.remote_of(upsert.template, &entry)
}

async fn add(work: &Work<'_>, upsert: &Upsert<'_>) -> Result<Added, Failure> {
    let dn = &upsert.rendered.dn;
    let request = Request::Add { dn: dn.clone(), attributes: new_entry(work, upsert) };
    let reply = work.write(&request).await?;
    match verdict(reply.code, Operation::Add, &reply.text) {
        Verdict::Done => {
            if upsert.active.is_some() {
                first_password(work, dn).await?;
            }
            let id = match reply.id {
                Some(id) => id,
                None => read_id(work, dn).await?,
            };
            upsert.template.numbers.settled(upsert.mark);
            let numbers = upsert.numbers.iter().filter_map(|(name, number)| Some((name, number.as_text()?)));
            let remote = remote::join(&id, numbers);
            Ok(Added::New(Upserted { dn: dn.clone(), remote, action: Action::Created }))
        }
        Verdict::Taken => {
            let entry = work.directory.read(dn, upsert.fetch).await?;
            Ok(match entry {
                Some(entry) => whose(work, upsert, entry),
                // What is taken is not the name, then, but something else that must be unique.
                None => Added::Not(Ending::Taken(Failure::Doubt(explain(&request, &reply)))),
            })
        }
        _ => {
            let failure = Failure::of(&request, Operation::Add, &reply)
                .unwrap_or_else(|| Failure::Retry(explain(&request, &reply)));
            match is_taken_elsewhere(work, upsert, reply.code).await? {
                true => Ok(Added::Not(Ending::Taken(failure))),
                false => Err(failure),
            }
        }
    }
}

/// Whether the server refused because another entry has the values of the new name, be it below another parent: a rule
/// that they be unique.
async fn is_taken_elsewhere(work: &Work<'_>, upsert: &Upsert<'_>, code: u32) -> Result<bool, Failure> {
    if code != CONSTRAINT_VIOLATION {
        return Ok(false);
    }
    let parts = upsert.rendered.dn.rdn_parts().iter();
    let query = Query {
        base: upsert.template.base.clone(),
        conditions: parts
            .map(|(name, value)| Condition::Any(vec![(name.as_str().into(), value.as_str().into())]))
            .collect(),
        attributes: vec![work.mapping.marks.attribute.clone()],
    };
    let found = work.directory.search(&query).await?;
    Ok(found.iter().any(|entry| work.mapping.marks.owner(entry, upsert.mark) != Owner::This))
}

/// Whether an entry that has the name already may be used.
fn whose(work: &Work<'_>, upsert: &Upsert<'_>, entry: Entry) -> Added {
    let dn = &entry.dn;
    let on_existing = match upsert.found_otherwise {
        // It is not the one that the filter finds, or that would have been found.
        true => OnExisting::Refuse,
        false => upsert.template.on_existing,
    };
    match (work.mapping.marks.owner(&entry, upsert.mark), on_existing) {
        (Owner::This, _) | (Owner::Nobody, OnExisting::Adopt) => Added::Existing(Box::new(entry)),
        // That one may be about to go or to be renamed.
        (Owner::Other(mark), _) => Added::Not(Ending::Taken(Failure::Doubt(format!(
            "add {dn}: the name belongs to {mark}; if both are to stay, make the DN template tell them apart, or set \
             people.on_collision: number"
        )))),
        (Owner::Nobody, OnExisting::Ignore) => Added::Not(Ending::Ignored),
        (Owner::Nobody, OnExisting::Refuse) => Added::Not(Ending::Taken(Failure::Reject(format!(
            "add {dn}: an entry that rolecall did not make is there already, and it is left alone; rename or remove \
             it, give it the value {} in {}, or set on_existing: adopt",
            upsert.mark, work.mapping.marks.attribute
        )))),
    }
}

fn new_entry(work: &Work<'_>, upsert: &Upsert<'_>) -> Attributes {
    let marks = &work.mapping.marks;
    let mut attributes = upsert.template.new_entry(upsert.rendered);
    attributes.push(marks.attribute.clone(), upsert.mark.into());
    if upsert.active == Some(false) {
        attributes.push(marks.attribute.clone(), marks.inactive());
    }
    if let Some(lock) = lock(work, upsert) {
        lock.put_on(&mut attributes);
    }
    if upsert.active.is_some() && work.mapping.password_comes_with_the_entry() {
        attributes.set("unicodePwd".into(), vec![password::unicode(&password::random())]);
    }
    for (name, number) in upsert.numbers {
        attributes.set(name.clone(), vec![number.clone()]);
    }
    if let Some((name, values)) = &upsert.first {
        attributes.set((*name).clone(), values.clone());
    }
    attributes
}

/// Gives a new account its password, where that is a request of its own. An account that cannot get one is taken back:
/// the next attempt would find it and take it for done.
async fn first_password(work: &Work<'_>, dn: &Dn) -> Result<(), Failure> {
    if !work.mapping.password_comes_after_the_entry() {
        return Ok(());
    }
    let reply = work.directory.set_password(dn, &password::random()).await?;
    let Some(failure) = Failure::of_password(dn, &reply) else { return Ok(()) };
    work.send(&Request::Delete { dn: dn.clone() }, Operation::Delete).await?;
    Err(failure)
}

/// The lock that must be on the entry: that of a person without access.
fn lock(work: &Work<'_>, upsert: &Upsert<'_>) -> Option<Lock> {
    work.mapping.leavers.lock().filter(|_| upsert.active == Some(false))
}

async fn read_id(work: &Work<'_>, dn: &Dn) -> Result<String, Failure> {
    let entry = work.directory.read(dn, std::slice::from_ref(&work.mapping.id.name)).await?;
    let id = entry.and_then(|entry| work.mapping.id.of(&entry));
    Ok(id.unwrap_or_else(|| format!("dn:{dn}")))
}
