//! The LDAP sink on a real slapd.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests: a panic is the report")]

mod attached;
mod check;
mod conformance;
mod connection;
mod cost;
mod fixture;
mod groups;
mod layout;
mod ldif;
mod ldif_writer;
mod leavers;
mod limits;
mod passwords;
mod people;
mod referrals;
