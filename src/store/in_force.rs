//! The rules in force: one owner, the committer, and whoever asks.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::{Adopted, NewRules, StoreError};
use crate::rules::{Rules, Scopes};

/// How many changes of the rules wait at most; who comes later waits.
const WAITING: usize = 4;

/// What is in force at one time.
#[derive(Clone, Debug)]
pub(super) struct Force {
    pub(super) rules: Arc<Rules>,
    pub(super) scopes: Arc<Scopes>,
}

/// Rules to put into force, and who waits for it.
pub(super) struct Order {
    pub(super) rules: NewRules,
    pub(super) answer: oneshot::Sender<Result<Adopted, StoreError>>,
}

/// The committer's end.
pub(super) struct Seat {
    pub(super) current: watch::Sender<Force>,
    pub(super) orders: mpsc::Receiver<Order>,
    handle: RulesInForce,
}

/// The rules in force, to be looked at and to be replaced. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RulesInForce {
    current: watch::Receiver<Force>,
    orders: mpsc::Sender<Order>,
}

impl Seat {
    pub(super) fn new(rules: Arc<Rules>, scopes: Arc<Scopes>) -> Self {
        let (current, looked_at) = watch::channel(Force { rules, scopes });
        let (sender, orders) = mpsc::channel(WAITING);
        Self { current, orders, handle: RulesInForce { current: looked_at, orders: sender } }
    }

    pub(super) fn handle(&self) -> RulesInForce {
        self.handle.clone()
    }
}

impl RulesInForce {
    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.current.borrow().rules)
    }

    /// What each sink is given.
    pub fn scopes(&self) -> Arc<Scopes> {
        Arc::clone(&self.current.borrow().scopes)
    }

    /// Puts other rules into force, between two batches. When this returns it is on disk, and everybody who is evaluated
    /// from now on is so by them.
    ///
    /// # Errors
    /// When they cannot be stored; then the old ones stay in force.
    pub async fn replace(&self, rules: NewRules) -> Result<Adopted, StoreError> {
        let (answer, adopted) = oneshot::channel();
        self.orders.send(Order { rules, answer }).await.map_err(|_| StoreError::Closed)?;
        adopted.await.map_err(|_| StoreError::Closed)?
    }
}
