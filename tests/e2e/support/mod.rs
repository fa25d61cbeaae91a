//! The wiring: a site with a configuration, the daemon that runs on it, the servers it keeps in step, and the company
//! whose events arrive. What is asserted stands in the tests.

mod browser;
mod company;
mod daemon;
mod ldap;
mod program;
mod scim;
mod servers;
mod service_manager;
mod site;
mod tables;

use std::time::Duration;

pub(crate) use browser::Browser;
pub(crate) use company::{Event, Group, Person};
pub(crate) use daemon::{Answer, Daemon, Sender};
pub(crate) use ldap::Ldap;
pub(crate) use program::{Ended, end, rolecall};
pub(crate) use scim::Scim;
pub(crate) use servers::{Application, People, Standing, Stores, everywhere, people, postgres, slapd};
pub(crate) use service_manager::ServiceManager;
pub(crate) use site::{SIGNING_SECRET, Site, secret};
pub(crate) use tables::Tables;

/// How long anything that must happen may take: far longer than it does, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
