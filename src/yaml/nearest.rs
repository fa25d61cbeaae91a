//! What was probably meant by a misspelt name.

/// The candidate nearest to `name`, when one is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::jaro_winkler(&wanted, &candidate.to_lowercase().replace('-', "_")), candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        // Of two that are equally near, the first by name: errors do not depend on the order of candidates.
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_the_name() {
        let names = ["address", "tls", "max_body_bytes", "max_connections"];
        assert_eq!(nearest("adress", names), Some("address"));
        assert_eq!(nearest("max-body-byte", names), Some("max_body_bytes"));
        assert_eq!(nearest("TLS", names), Some("tls"));
    }

    #[test]
    fn another_word_finds_nothing() {
        assert_eq!(nearest("banana", ["address", "tls"]), None);
    }
}
