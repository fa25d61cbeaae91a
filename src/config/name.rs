//! The names of sources and sinks.

/// The longest name, in characters.
const MAX_NAME: usize = 63;

/// Whether a name can stand in a URL, a metric, and an environment variable, where two underscores separate.
pub(super) fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= MAX_NAME
        && name.chars().all(inner)
        && name.starts_with(ends)
        && name.ends_with(ends)
        && !name.contains("__")
}
