//! One entry brought up to date: made when it is missing, changed where it differs, left alone when it is not
//! the sink's.

use rolecall_sink_api::Action;

use crate::config::OnExisting;
use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes, Entry, Value};
use crate::lock::Lock;
use crate::mark::Owner;
use crate::outcome::{Failure, Operation, Verdict, explain, verdict};
use crate::password;
use crate::plan::{Aim, plan};
use crate::request::Request;
use crate::template::{EntryTemplate, Rendered};
use crate::work::Work;

/// An entry that should be.
pub(crate) struct Upsert<'a> {
    pub(crate) template: &'a EntryTemplate,
    /// The attributes to fetch, should it have to be read.
    pub(crate) fetch: &'a [AttributeName],
    pub(crate) mark: &'a str,
    pub(crate) rendered: &'a Rendered,
    /// What the sink last wrote.
    pub(crate) before: Option<&'a Rendered>,
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

/// What came of trying to add.
enum Added {
    /// A new entry.
    New(Upserted),
    /// There is one already that is the sink's, or may be made so.
    Existing(Entry),
}

/// Makes `found` what `upsert` says, or makes the entry when there is none.
pub(crate) async fn upsert(
    work: &Work<'_>,
    upsert: &Upsert<'_>,
    found: Option<Entry>,
) -> Result<Upserted, Failure> {
    let entry = match found {
        Some(entry) => entry,
        None => match add(work, upsert).await? {
            Added::New(upserted) => return Ok(upserted),
            Added::Existing(entry) => entry,
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
        }
        Some(true) => undo = work.mapping.leavers.undo(marks, &entry),
        None => {}
    }
    let aim = Aim {
        rendered: upsert.rendered,
        before: upsert.before,
        classes: &upsert.template.classes,
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
        work.send(request, operation).await?;
    }
    let action = match upsert.active {
        _ if requests.is_empty() => Action::Unchanged,
        Some(false) if !was_inactive => Action::Deactivated,
        Some(true) if was_inactive => Action::Reactivated,
        _ => Action::Updated,
    };
    Ok(Upserted { dn: upsert.rendered.dn.clone(), remote: work.mapping.remote_of(&entry), action })
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
            let remote = match reply.id {
                Some(id) => id,
                None => read_id(work, dn).await?,
            };
            Ok(Added::New(Upserted { dn: dn.clone(), remote, action: Action::Created }))
        }
        Verdict::Taken => {
            let entry = work.directory.read(dn, upsert.fetch).await?;
            // What is taken is not the name, then, but something else that must be unique.
            let entry = entry.ok_or_else(|| Failure::Doubt(explain(&request, &reply)))?;
            whose(work, upsert, entry).map(Added::Existing)
        }
        _ => Err(Failure::of(&request, Operation::Add, &reply)
            .unwrap_or_else(|| Failure::Retry(explain(&request, &reply)))),
    }
}

/// Whether an entry that has the name already may be used.
fn whose(work: &Work<'_>, upsert: &Upsert<'_>, entry: Entry) -> Result<Entry, Failure> {
    let dn = &entry.dn;
    match work.mapping.marks.owner(&entry, upsert.mark) {
        Owner::This => Ok(entry),
        // That one may be about to go or to be renamed.
        Owner::Other(mark) => Err(Failure::Doubt(format!(
            "add {dn}: the name belongs to {mark}; if both are to stay, make the DN template tell them apart"
        ))),
        Owner::Nobody => match upsert.template.on_existing {
            OnExisting::Adopt => Ok(entry),
            OnExisting::Refuse => Err(Failure::Reject(format!(
                "add {dn}: an entry that rolecall did not make is there already, and it is left alone; rename or \
                 remove it, give it the value {} in {}, or set on_existing: adopt",
                upsert.mark, work.mapping.marks.attribute
            ))),
        },
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
    Ok(entry.map_or_else(|| format!("dn:{dn}"), |entry| work.mapping.remote_of(&entry)))
}
