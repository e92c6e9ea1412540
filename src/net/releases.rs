//! Which release of Kafka brought what: for errors that say how old a broker is.

/// Versions of requests that something depends on, with the release that brought them; by API key, then by version.
static BROUGHT: &[(i16, i16, &str)] = &[
    (0, 3, "0.11"),
    (0, 7, "2.1"),
    (0, 13, "4.1"),
    (1, 4, "0.11"),
    (1, 10, "2.1"),
    (1, 12, "2.7"),
    (1, 13, "3.1"),
    (2, 1, "0.10.1"),
    (2, 2, "0.11"),
    (2, 7, "3.0"),
    (3, 4, "0.11"),
    (8, 7, "2.3"),
    (8, 9, "4.0"),
    (9, 7, "2.5"),
    (9, 9, "4.0"),
    (10, 1, "0.11"),
    (10, 4, "3.0"),
    (11, 5, "2.3"),
    (12, 3, "2.3"),
    (13, 3, "2.4"),
    (14, 3, "2.3"),
    (19, 2, "0.11"),
    (19, 4, "2.4"),
    (20, 1, "0.11"),
    (21, 0, "0.11"),
    (22, 0, "0.11"),
    (22, 3, "2.5"),
    (23, 2, "2.1"),
    (24, 0, "0.11"),
    (25, 0, "0.11"),
    (26, 0, "0.11"),
    (26, 5, "4.0"),
    (28, 0, "0.11"),
    (28, 3, "2.5"),
    (32, 0, "0.11"),
    (37, 0, "1.0"),
    (42, 0, "1.1"),
    (44, 0, "2.3"),
    (47, 0, "2.4"),
    (60, 0, "2.8"),
    (61, 0, "2.8"),
    (65, 0, "3.0"),
    (66, 0, "3.0"),
    (68, 0, "3.7"),
    (68, 1, "4.0"),
    (69, 0, "3.7"),
    (71, 0, "3.7"),
    (72, 0, "3.7"),
    (75, 0, "3.8"),
    (76, 1, "4.1"),
    (77, 1, "4.1"),
    (78, 1, "4.1"),
    (79, 1, "4.1"),
    (90, 0, "4.1"),
    (91, 0, "4.1"),
    (92, 0, "4.1"),
];

/// The first release of Kafka whose brokers speak this version of a request, if the table has it.
pub(crate) fn since(key: i16, version: i16) -> Option<&'static str> {
    let found = BROUGHT.iter().find(|(k, v, _)| (*k, *v) == (key, version));
    found.map(|(.., release)| *release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_claims_nothing_that_it_does_not_have() {
        assert!(BROUGHT.is_sorted_by_key(|(key, version, _)| (*key, *version)));
        assert_eq!((since(11, 5), since(11, 4)), (Some("2.3"), None));
        assert_eq!((since(19, 4), since(19, 5)), (Some("2.4"), None));
        assert_eq!((since(78, 1), since(999, 0)), (Some("4.1"), None));
    }
}
