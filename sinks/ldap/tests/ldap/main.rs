//! The LDAP sink on a real slapd.

mod conformance;
mod fixture;
