//! Random histories: whatever happens in whatever order, the target ends as it should be.

use super::{Case, case};
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, group_entity, user, user_entity};
use crate::conformance::random::Random;
use crate::conformance::report::Step;
use crate::{Entity, Group, RoleName, User};

pub(super) const CASES: &[Case] = &[case!(
    random_histories,
    "after every batch of a random history, with crashes and restarts in it, the target holds what it should"
)];

const HISTORIES: u64 = 6;
const STEPS: usize = 12;
const USERS: usize = 6;
const GROUPS: usize = 4;
const ROLES: [&str; 3] = ["reader", "writer", "admin"];

async fn random_histories(daemon: &mut Daemon<'_>) -> Step {
    for seed in 0..HISTORIES {
        *daemon = Daemon::start(daemon.target).await?;
        let mut world = World { random: Random::new(seed), users: Vec::new(), groups: Vec::new() };
        for step in 0..STEPS {
            let when = format!("history {seed}, step {step}");
            play(daemon, &mut world).await.map_err(|stop| stop.when(&when))?;
        }
    }
    Ok(())
}

/// What the directory holds.
struct World {
    random: Random,
    users: Vec<User>,
    groups: Vec<Group>,
}

async fn play(daemon: &mut Daemon<'_>, world: &mut World) -> Step {
    for _ in 0..=world.random.below(5) {
        world.mutate(daemon);
    }
    let due = daemon.due();
    if due.is_empty() {
        return Ok(());
    }
    match world.random.below(6) {
        0 => daemon.attempt_unnoted(&due).await?,
        1 => {
            let polls = world.random.below(12);
            daemon.cut_off(&due, polls).await?;
        }
        2 => daemon.restart().await?,
        _ => {}
    }
    if world.random.one_in(3) {
        world.mutate(daemon);
    }
    let due = daemon.due();
    daemon.deliver(&due).await?;
    daemon.expect_held().await?;
    if let Some(observed) = daemon.observe().await? {
        daemon.expect_observed(&observed).map_err(|stop| stop.when("observe"))?;
    }
    Ok(())
}

impl World {
    fn mutate(&mut self, daemon: &mut Daemon<'_>) {
        match self.random.below(10) {
            0 | 1 => self.group_comes_or_is_renamed(daemon),
            2 => self.group_goes(daemon),
            3 => self.user_goes(daemon),
            _ => self.user_comes_or_changes(daemon),
        }
    }

    fn group_comes_or_is_renamed(&mut self, daemon: &mut Daemon<'_>) {
        let id = format!("group{}", self.random.below(GROUPS));
        let renamed = Group { name: format!("{id} name {}", self.random.below(1000)), ..group(&id) };
        // A group that went in this same batch stays gone: its members have yet to hear of it.
        let went = daemon
            .book
            .get(&group_entity(&id))
            .is_some_and(|entry| entry.desired.is_none() && (entry.uncertain || entry.applied.is_some()));
        if went {
            return;
        }
        self.groups.retain(|group| group.id != renamed.id);
        self.groups.push(renamed.clone());
        for user in self.users.iter_mut().filter(|user| user.groups.contains_key(&renamed.id)) {
            user.groups.insert(renamed.id.clone(), renamed.name.clone());
            daemon.want_user(user.clone());
        }
        daemon.want_group(renamed);
    }

    fn group_goes(&mut self, daemon: &mut Daemon<'_>) {
        if self.groups.is_empty() {
            return;
        }
        let gone = self.groups.swap_remove(self.random.below(self.groups.len()));
        for user in &mut self.users {
            if user.groups.remove(&gone.id).is_some() {
                daemon.want_user(user.clone());
            }
        }
        daemon.want_gone(Entity::Group(gone.id));
    }

    fn user_goes(&mut self, daemon: &mut Daemon<'_>) {
        let id = format!("user{}", self.random.below(USERS));
        self.users.retain(|user| user.id.as_str() != id);
        daemon.want_gone(user_entity(&id));
    }

    fn user_comes_or_changes(&mut self, daemon: &mut Daemon<'_>) {
        let id = format!("user{}", self.random.below(USERS));
        let name = format!("{id} name {}", self.random.below(1000));
        let mut changed = user(&id).called(&name);
        for group in &self.groups {
            if self.random.one_in(2) {
                changed.groups.insert(group.id.clone(), group.name.clone());
            }
        }
        if self.random.one_in(4) {
            changed = changed.deactivated();
        } else {
            changed
                .roles
                .extend(ROLES.iter().filter(|_| self.random.one_in(2)).map(|role| RoleName::new(*role)));
        }
        self.users.retain(|user| user.id != changed.id);
        self.users.push(changed.clone());
        daemon.want_user(changed);
    }
}
