//! rolecall's ldap sink.
