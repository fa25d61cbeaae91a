//! What stands for a person in a group: the name of their entry, or their uid.

use crate::config::MemberValue;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::template::Rendered;

/// One value of a group's member attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Member {
    /// The name of an entry.
    Dn(Dn),
    /// A uid, whose case counts (RFC 2307 §3: caseExactIA5Match).
    Uid(String),
}

impl Member {
    /// The value as it stands in the group.
    pub(crate) fn value(&self) -> Value {
        match self {
            Member::Dn(dn) => dn.as_str().into(),
            Member::Uid(uid) => uid.as_str().into(),
        }
    }

    /// What a value that stands in a group means; `None` when it means nothing.
    pub(crate) fn read(kind: MemberValue, text: &str) -> Option<Self> {
        match kind {
            MemberValue::Dn => Dn::parse(text).ok().map(Member::Dn),
            MemberValue::Uid => Some(Member::Uid(text.to_owned())),
        }
    }
}

/// By what groups know a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) dn: Dn,
    uid: Option<String>,
}

impl Identity {
    /// That of an entry, whose `uid` was fetched unless its name has it.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self::new(&entry.dn, entry.attributes.get(&uid()))
    }

    /// That of an entry as the mapping wants it.
    pub(crate) fn of_rendered(rendered: &Rendered) -> Self {
        Self::new(&rendered.dn, rendered.attributes.get(&uid()).map_or(&[], Vec::as_slice))
    }

    fn new(dn: &Dn, uids: &[Value]) -> Self {
        let named = dn.rdn_parts().iter().find(|(name, _)| uid() == AttributeName::new(name.as_str()));
        let named = named.map(|(_, value)| value.as_str());
        let uid = named.or_else(|| uids.iter().find_map(Value::as_text)).map(str::to_owned);
        Self { dn: dn.clone(), uid }
    }

    /// How a group that holds values of this kind names the person; `None` when it cannot.
    pub(crate) fn member(&self, kind: MemberValue) -> Option<Member> {
        match kind {
            MemberValue::Dn => Some(Member::Dn(self.dn.clone())),
            MemberValue::Uid => self.uid.clone().map(Member::Uid),
        }
    }
}

/// The attribute with a person's uid.
pub(crate) fn uid() -> AttributeName {
    "uid".into()
}
