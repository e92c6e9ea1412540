//! The nearest right word for a wrong one.

/// The candidate closest to `word`, if it is close enough to be what was meant. Case, `_` and `-` for
/// `.`, and blanks around count as nothing. Of equally close ones the first wins.
pub(super) fn nearest(
    word: &str,
    candidates: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    let word = normal(word);
    // Longer words hold more typing mistakes; beyond a quarter the guess would only mislead, and a
    // word of two letters is near to too many.
    let limit = if word.len() < 3 {
        0
    } else {
        (word.len() / 4).clamp(1, 4)
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &normal(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Cut to the length of the longest key with room, since the word is anything a user passes.
fn normal(word: &str) -> Vec<char> {
    word.trim()
        .chars()
        .take(100)
        .map(|c| {
            if c == '_' || c == '-' {
                '.'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Inserted, lost, wrong and swapped letters between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (i, &ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        let mut left = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let mut cost = (above[j] + usize::from(ca != cb))
                .min(above[j + 1] + 1)
                .min(left + 1);
            if j > 0 && previous_a == Some(cb) && b[j - 1] == ca {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
            left = cost;
        }
        before = std::mem::replace(&mut above, row);
        previous_a = Some(ca);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(a: &str, b: &str) -> usize {
        distance(
            &a.chars().collect::<Vec<_>>(),
            &b.chars().collect::<Vec<_>>(),
        )
    }

    #[test]
    fn distances() {
        assert_eq!(between("", ""), 0);
        assert_eq!(between("abc", ""), 3);
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("linger", "linger"), 0);
        assert_eq!(between("lingre", "linger"), 1);
        assert_eq!(between("linge", "linger"), 1);
        assert_eq!(between("lingerr", "linger"), 1);
        assert_eq!(between("kitten", "sitting"), 3);
    }

    #[test]
    fn near_and_far() {
        let keys = ["linger.ms", "acks", "bootstrap.servers"];
        assert_eq!(nearest("linger_ms", keys), Some("linger.ms"));
        assert_eq!(nearest(" Linger.MS ", keys), Some("linger.ms"));
        assert_eq!(nearest("ack", keys), Some("acks"));
        assert_eq!(nearest("bootstrap.server", keys), Some("bootstrap.servers"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest("2", ["1", "0"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), keys), None);
    }
}
