//! Which group is which in the application.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rolecall_sink_api::{GroupId, RemoteId};

/// More groups than this are looked up again when they are needed.
const MOST_GROUPS: usize = 100_000;

/// The application's ids of groups, as far as they came by: a saving only, which a restart may lose.
#[derive(Default)]
pub struct GroupIds(Mutex<HashMap<GroupId, RemoteId>>);

impl GroupIds {
    /// The id of the group, if it came by.
    pub fn get(&self, id: &GroupId) -> Option<RemoteId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Notes the id of the group, or that it is not known any more.
    pub fn put(&self, id: &GroupId, remote: Option<&RemoteId>) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match remote {
            Some(remote) if ids.len() < MOST_GROUPS || ids.contains_key(id) => {
                ids.insert(id.clone(), remote.clone());
            }
            _ => {
                ids.remove(id);
            }
        }
    }
}
