//! The admin API: what a running daemon tells and takes from its operator.
