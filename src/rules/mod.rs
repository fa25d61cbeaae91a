//! Rules: from groups to roles, with reasons. Pure: no I/O, no clock, no async.
