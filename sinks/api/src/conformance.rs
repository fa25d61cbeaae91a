//! The suite that every sink passes, against its real target.
