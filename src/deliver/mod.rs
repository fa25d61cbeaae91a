//! Delivery: one worker per sink brings due entities up to date.
