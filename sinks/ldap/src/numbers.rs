//! Numbers that an entry is given once and keeps, such as `uidNumber` and `gidNumber`: each from a range, none twice.
//!
//! The next free number of a range stands in an entry of its own, the counter. It is raised by a modification that
//! deletes the number that was read and adds the one that follows: of several writers who read the same, one gets
//! through, and the others read again. So it only grows, and a number that was given and is not used any more is
//! never given to anybody else. To its own user it returns, because the daemon keeps it with the entry's id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rolecall_sink_api::{ConfigError, RemoteId, SinkDown};

use crate::config;
use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes, Entry, Value};
use crate::outcome::{Failure, Operation};
use crate::query::{Condition, MAX_VALUES, Query};
use crate::remote;
use crate::request::{Modification, Request, Tolerance};
use crate::template;
use crate::work::Work;

/// How often the counter is read again because another writer was faster.
const MOST_RACES: usize = 20;
/// How many numbers that are kept for somebody are remembered; then all of them are forgotten, which costs numbers
/// and nothing else.
const MOST_KEPT: usize = 10_000;
/// The attribute of the counter that holds the number: one that the schema of every server has.
const COUNTER: &str = "serialNumber";

/// One attribute with the numbers it may have.
#[derive(Debug)]
struct Range {
    attribute: AttributeName,
    from: u32,
    to: u32,
    counter: Dn,
}

/// The numbers of one kind of entry.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    ranges: Vec<Range>,
    /// What was taken from a counter for somebody whose entry does not have it yet, so that an entry that the server
    /// refuses again and again costs one number and not many.
    kept: Mutex<BTreeMap<(String, AttributeName), u32>>,
}

/// One entry that should have its numbers.
pub(crate) struct Need<'a> {
    pub(crate) mark: &'a str,
    /// The entry, where there is one.
    pub(crate) entry: Option<&'a Entry>,
    pub(crate) remote: Option<&'a RemoteId>,
}

/// The numbers that one entry lacks.
pub(crate) type Given = Vec<(AttributeName, Value)>;

impl Numbers {
    pub(crate) fn compile(config: &config::Numbers, section: &str) -> Result<Self, ConfigError> {
        let mut ranges = Vec::new();
        for (name, range) in config {
            let path = format!("{section}.numbers.{name}");
            let attribute = template::attribute_name(name, &path)?;
            let config::NumberRange { from, to, counter } = range;
            if from > to {
                return Err(ConfigError::new(format!("{path}.to"), "must not be less than from"));
            }
            let counter =
                Dn::parse(counter).map_err(|e| ConfigError::new(format!("{path}.counter"), e.to_string()))?;
            ranges.push(Range { attribute, from: *from, to: *to, counter });
        }
        Ok(Self { ranges, kept: Mutex::default() })
    }

    /// The attributes that hold numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &AttributeName> {
        self.ranges.iter().map(|range| &range.attribute)
    }

    /// What each entry lacks, for many at once: a counter is raised once for all of them.
    pub(crate) async fn give(
        &self,
        work: &Work<'_>,
        base: &Dn,
        needs: &[Need<'_>],
    ) -> Result<Vec<Result<Given, Failure>>, SinkDown> {
        let mut all: Vec<Result<Given, Failure>> = needs.iter().map(|_| Ok(Given::new())).collect();
        let root = work.directory.root_of(base).unwrap_or_else(|| base.clone());
        for range in &self.ranges {
            let lacks =
                |need: &Need<'_>| need.entry.is_none_or(|e| e.attributes.get(&range.attribute).is_empty());
            let lacking: Vec<usize> = (0..needs.len()).filter(|&at| lacks(&needs[at])).collect();
            if lacking.is_empty() {
                continue;
            }
            let numbers = match self.numbers(work, range, &root, needs, &lacking).await {
                Ok(numbers) => numbers,
                Err(Failure::Down(down)) => return Err(down),
                Err(failure) => {
                    lacking.iter().for_each(|&at| all[at] = Err(failure.clone()));
                    continue;
                }
            };
            for (&at, number) in lacking.iter().zip(numbers) {
                match (&mut all[at], number) {
                    (Ok(given), Some(number)) => {
                        given.push((range.attribute.clone(), number.to_string().into()));
                    }
                    (result, None) => *result = Err(range.used_up()),
                    (Err(_), _) => {}
                }
            }
        }
        Ok(all)
    }

    /// Forgets what was kept for somebody: their entry has it now.
    pub(crate) fn settled(&self, mark: &str) {
        let mut kept = self.lock();
        for range in &self.ranges {
            kept.remove(&(mark.to_owned(), range.attribute.clone()));
        }
    }

    /// A number for each of `lacking`, as far as there are any.
    async fn numbers(
        &self,
        work: &Work<'_>,
        range: &Range,
        root: &Dn,
        needs: &[Need<'_>],
        lacking: &[usize],
    ) -> Result<Vec<Option<u32>>, Failure> {
        let key = |at: usize| (needs[at].mark.to_owned(), range.attribute.clone());
        let had = |at: usize| remote::number(needs[at].remote?.as_str(), &range.attribute);
        // Somebody may have given it to another entry by hand meanwhile.
        let used = range.used(work, root, lacking.iter().filter_map(|&at| had(at)).collect()).await?;
        let mut numbers: Vec<Option<u32>> = lacking
            .iter()
            .map(|&at| {
                let kept = self.lock().get(&key(at)).copied();
                kept.or_else(|| had(at).filter(|number| !used.contains(number)))
            })
            .collect();
        let missing = numbers.iter().filter(|number| number.is_none()).count();
        let mut new = range.take(work, root, missing).await?.into_iter();
        let mut kept = self.lock();
        if kept.len() + missing > MOST_KEPT {
            kept.clear();
        }
        for (&at, number) in lacking.iter().zip(&mut numbers) {
            if number.is_none()
                && let Some(next) = new.next()
            {
                kept.insert(key(at), next);
                *number = Some(next);
            }
        }
        Ok(numbers)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, AttributeName), u32>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Range {
    /// Takes up to `count` numbers that nobody has out of the range, for good.
    async fn take(&self, work: &Work<'_>, root: &Dn, count: usize) -> Result<Vec<u32>, Failure> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let counter: AttributeName = COUNTER.into();
        for _ in 0..MOST_RACES {
            let entry = work.directory.read(&self.counter, std::slice::from_ref(&counter)).await?;
            let now = match &entry {
                Some(entry) => self.read(entry)?,
                None => None,
            };
            let (numbers, next) = self.free_from(work, root, now.unwrap_or(self.from), count).await?;
            if numbers.is_empty() {
                return Ok(numbers);
            }
            let request = match entry {
                None => self.new_counter(next),
                Some(_) => {
                    let deleted = now.map(|now| Modification::delete(&counter, vec![now.to_string().into()]));
                    let added = Modification::add(&counter, vec![next.to_string().into()]);
                    let modifications = deleted.into_iter().chain([added]).collect();
                    Request::Modify { dn: self.counter.clone(), modifications, tolerance: Tolerance::Strict }
                }
            };
            let reply = work.write(&request).await?;
            let operation = match request {
                Request::Add { .. } => Operation::Add,
                _ => Operation::Modify,
            };
            match reply.code {
                // noSuchAttribute, attributeOrValueExists, entryAlreadyExists: another writer was faster.
                16 | 20 | 68 => {}
                _ => {
                    return match Failure::of(&request, operation, &reply) {
                        None => Ok(numbers),
                        Some(failure) => Err(failure),
                    };
                }
            }
        }
        Err(Failure::Retry(format!(
            "take a {} from {}: other writers were faster {MOST_RACES} times",
            self.attribute, self.counter
        )))
    }

    /// The next number by the counter; `None` when it holds none yet.
    fn read(&self, counter: &Entry) -> Result<Option<u32>, Failure> {
        let mut texts = counter.attributes.texts(&COUNTER.into());
        let Some(text) = texts.next() else { return Ok(None) };
        match (text.parse::<u32>(), texts.next()) {
            (Ok(number), None) => Ok(Some(number.max(self.from))),
            _ => Err(Failure::Reject(format!(
                "{}: {COUNTER} must be one number, the next {} to give",
                self.counter, self.attribute
            ))),
        }
    }

    /// Up to `count` numbers from `next` on that nobody has, and the number that follows them.
    async fn free_from(
        &self,
        work: &Work<'_>,
        root: &Dn,
        mut next: u32,
        count: usize,
    ) -> Result<(Vec<u32>, u32), Failure> {
        let mut free = Vec::with_capacity(count);
        while free.len() < count && next <= self.to {
            let last =
                next.saturating_add(u32::try_from(count - free.len()).unwrap_or(u32::MAX) - 1).min(self.to);
            let used = self.used(work, root, (next..=last).collect()).await?;
            free.extend((next..=last).filter(|number| !used.contains(number)));
            next = last.saturating_add(1);
        }
        Ok((free, next))
    }

    /// Which of `numbers` an entry has already.
    async fn used(&self, work: &Work<'_>, root: &Dn, numbers: Vec<u32>) -> Result<BTreeSet<u32>, Failure> {
        let mut used = BTreeSet::new();
        for some in numbers.chunks(MAX_VALUES) {
            let any = some.iter().map(|number| (self.attribute.clone(), number.to_string().into()));
            let query = Query {
                base: root.clone(),
                conditions: vec![Condition::Any(any.collect())],
                attributes: vec![self.attribute.clone()],
            };
            for entry in work.directory.search(&query).await? {
                used.extend(
                    entry.attributes.texts(&self.attribute).filter_map(|text| text.parse::<u32>().ok()),
                );
            }
        }
        Ok(used)
    }

    fn new_counter(&self, next: u32) -> Request {
        let mut attributes = Attributes::default();
        attributes.set("objectClass".into(), ["top", "device"].map(Value::from).to_vec());
        for (name, value) in self.counter.rdn_parts() {
            attributes.push(name.as_str().into(), value.as_str().into());
        }
        let about = format!("The next {} that rolecall gives. It never goes back.", self.attribute);
        attributes.set("description".into(), vec![about.into()]);
        attributes.set(COUNTER.into(), vec![next.to_string().into()]);
        Request::Add { dn: self.counter.clone(), attributes }
    }

    fn used_up(&self) -> Failure {
        Failure::Reject(format!(
            "no {} is left between {} and {}: raise `to` in numbers.{}",
            self.attribute, self.from, self.to, self.attribute
        ))
    }
}
