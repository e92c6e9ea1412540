//! Where a consumer starts without a position (`auto.offset.reset`).

use std::fmt;
use std::time::Duration;

use super::choice::Choice;
use super::value;

/// Where to start when there is no valid position (`auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AutoOffsetReset {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
    /// Nowhere: the partition stops, with an event.
    None,
    /// At the oldest record that is no older than this when the position is wanted (KIP-1106); after the newest where
    /// all are older.
    ByDuration(Duration),
}

/// Its words; a duration stands behind the last.
pub(super) static WORDS: &[Choice] = &[
    Choice::new("earliest", &["smallest", "beginning"]),
    Choice::new("latest", &["largest", "end"]),
    Choice::new("none", &["error"]),
];

const BY_DURATION: &str = "by_duration";
const EXAMPLES: &str = "`by_duration:PT36H`, `by_duration:P7D` or `by_duration:36h`";

impl AutoOffsetReset {
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some((word, duration)) = text.split_once(':')
            && word.trim().eq_ignore_ascii_case(BY_DURATION)
        {
            let duration = duration.trim();
            let read = match duration.chars().next() {
                Some('P' | 'p') => iso_8601(duration),
                _ => value::duration(duration).ok(),
            };
            return read.map(AutoOffsetReset::ByDuration).ok_or_else(|| {
                format!("has no duration of the past behind the colon: give {EXAMPLES}")
            });
        }
        if text.eq_ignore_ascii_case(BY_DURATION) {
            return Err(format!("lacks the duration: give {EXAMPLES}"));
        }
        match value::choice(text, WORDS) {
            Ok(0) => Ok(AutoOffsetReset::Earliest),
            Ok(1) => Ok(AutoOffsetReset::Latest),
            Ok(_) => Ok(AutoOffsetReset::None),
            Err(wrong) => Err(format!("{wrong}, and {BY_DURATION}:<duration>")),
        }
    }
}

impl fmt::Display for AutoOffsetReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AutoOffsetReset::Earliest => f.write_str("earliest"),
            AutoOffsetReset::Latest => f.write_str("latest"),
            AutoOffsetReset::None => f.write_str("none"),
            AutoOffsetReset::ByDuration(past) => {
                write!(f, "{BY_DURATION}:PT{}S", past.as_secs_f64())
            }
        }
    }
}

/// A duration as Java's `Duration` reads it, `PnDTnHnMn.nS`, but not below zero.
fn iso_8601(text: &str) -> Option<Duration> {
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
        return None;
    }
    let upper = text.to_ascii_uppercase();
    let (days, time) = match upper.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some(both) => both,
        None => (&upper[1..], ""),
    };
    const SECOND: i128 = 1_000_000_000;
    let mut nanos = 0;
    let mut parts = 0;
    for (mut rest, mut units) in [
        (days, &[('D', 86_400)][..]),
        (time, &[('H', 3_600), ('M', 60), ('S', 1)]),
    ] {
        while !rest.is_empty() {
            let number = value::number(rest)?;
            let unit = number.unit.chars().next()?;
            // Each unit once, the larger first.
            let at = units.iter().position(|(name, _)| *name == unit)?;
            if number.nano % SECOND != 0 && unit != 'S' {
                return None;
            }
            nanos += number.nano * units[at].1;
            units = &units[at + 1..];
            rest = &number.unit[1..];
            parts += 1;
        }
    }
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    (parts > 0).then(|| Duration::new(seconds, (nanos % SECOND) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_java_reads_them() {
        let by = |seconds: u64| Ok(AutoOffsetReset::ByDuration(Duration::from_secs(seconds)));
        for (text, seconds) in [
            ("by_duration:PT0S", 0),
            ("by_duration:PT36H", 129_600),
            ("by_duration:P2DT3H4M5S", 183_845),
            ("BY_DURATION: p7d", 604_800),
            ("by_duration:PT90M", 5_400),
            ("by_duration:36h", 129_600),
            ("by_duration:1500", 1),
        ] {
            let read = AutoOffsetReset::parse(text);
            match (text, read) {
                ("by_duration:1500", Ok(AutoOffsetReset::ByDuration(d))) => {
                    assert_eq!(d, Duration::from_millis(1500));
                }
                (_, read) => assert_eq!(read, by(seconds), "{text}"),
            }
        }
        let half = AutoOffsetReset::ByDuration(Duration::from_millis(2500));
        assert_eq!(AutoOffsetReset::parse("by_duration:PT2.5S"), Ok(half));
        assert_eq!(half.to_string(), "by_duration:PT2.5S");
        assert_eq!(AutoOffsetReset::parse(&half.to_string()), Ok(half));
        for wrong in [
            "",
            "P",
            "PT",
            "P1DT",
            "PT5",
            "P5H",
            "PT1S2M",
            "PT1H1H",
            "PT-5S",
            "-PT5S",
            "PT1.5H",
            "P1Y",
            "PT.5S",
            "-5",
            "soon",
            "PT99999999999999999999S",
        ] {
            let text = format!("by_duration:{wrong}");
            let error = AutoOffsetReset::parse(&text).unwrap_err();
            assert!(error.contains("by_duration:PT36H"), "{text}: {error}");
        }
        let error = AutoOffsetReset::parse("by_duration").unwrap_err();
        assert!(error.starts_with("lacks the duration"), "{error}");
    }
}
