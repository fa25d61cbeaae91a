//! The LDAP sink on a real slapd.

mod check;
mod conformance;
mod connection;
mod fixture;
mod groups;
mod ldif;
mod leavers;
mod people;
