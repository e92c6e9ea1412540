//! From text to values of a key's type.
//!
//! Every error here is the rest of a sentence that begins "`key` is set to `value`, which".

use std::time::Duration;

use super::FOREVER;
use super::choice::Choice;
use super::hosts::{self, HostPort};
use super::nearest::nearest;
use super::reset::AutoOffsetReset;
use super::table::{Convert, Key, Kind};

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Duration(Duration),
    /// Bytes; 0 where the operating system decides.
    Size(u64),
    Text(String),
    /// The position in the key's list of choices.
    Choice(usize),
    Hosts(Vec<HostPort>),
    Reset(AutoOffsetReset),
}

/// Why a text is no value of its key.
pub(super) enum Wrong {
    /// Continues "`key` is set to `value`, which …".
    Value(String),
    /// Continues "`key` …"; the value is not repeated whole.
    Hosts(String),
}

impl From<String> for Wrong {
    fn from(problem: String) -> Self {
        Wrong::Value(problem)
    }
}

/// Parses `text` as a value of `key`, given under a name with this conversion.
pub(super) fn parse(key: &Key, convert: Convert, text: &str) -> Result<Value, Wrong> {
    let text = text.trim();
    let text = match convert {
        Convert::ZeroIsInfinite if text == "0" => "inf",
        Convert::JavaPartitioner => java_partitioner(text)?,
        _ => text,
    };
    Ok(match &key.kind {
        Kind::Bool => Value::Bool(parse_bool(text)?),
        Kind::Int { min, max, or } => Value::Int(parse_int(text, *min, *max, *or)?),
        Kind::Duration {
            min_ms,
            max_ms,
            infinite,
        } => Value::Duration(parse_duration(text, *min_ms, *max_ms, *infinite)?),
        Kind::Size { min, max, system } => {
            let unit = if convert == Convert::Kibibytes {
                1024
            } else {
                1
            };
            Value::Size(parse_size(text, unit, *min, *max, *system)?)
        }
        Kind::Text => Value::Text(text.to_owned()),
        Kind::Choice(choices) => Value::Choice(choice(text, choices)?),
        Kind::Reset => Value::Reset(AutoOffsetReset::parse(text)?),
        Kind::Hosts => Value::Hosts(hosts::parse_list(text).map_err(Wrong::Hosts)?),
        Kind::NotYet => return Err(Wrong::Value("is not there yet in this version".to_owned())),
    })
}

fn parse_bool(text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err("is not a boolean: give `true` or `false`".to_owned())
    }
}

fn parse_int(text: &str, min: i64, max: i64, or: Option<i64>) -> Result<i64, String> {
    let allowed = match or {
        _ if min == max => format!("only {min} is allowed"),
        None => format!("{min} to {max} are allowed"),
        Some(or) => format!("{min} to {max}, or {or}, are allowed"),
    };
    let value: i128 = text
        .parse()
        .map_err(|_| format!("is not a whole number: {allowed}"))?;
    match i64::try_from(value) {
        Ok(value) if (min..=max).contains(&value) || or == Some(value) => Ok(value),
        _ => Err(format!("is out of range: {allowed}")),
    }
}

/// A number as written: thousandths of millionths avoid binary fractions.
pub(super) struct Number<'a> {
    /// The number times 10^9.
    pub(super) nano: i128,
    /// What follows it.
    pub(super) unit: &'a str,
}

/// Splits `1.5s` into its number and unit; `None` if it does not begin with a decimal number.
pub(super) fn number(text: &str) -> Option<Number<'_>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    let (number, unit) = digits.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plausible = !whole.is_empty() && whole.len() <= 19 && fraction.len() <= 9;
    if !plausible || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    // A second point stays in the fraction and fails here.
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    let nano = whole.parse::<i128>().ok()? * 1_000_000_000 + fraction;
    Some(Number {
        nano: if negative { -nano } else { nano },
        unit: unit.trim_start(),
    })
}

fn parse_duration(
    text: &str,
    min_ms: i64,
    max_ms: i64,
    infinite: bool,
) -> Result<Duration, String> {
    if infinite && (text == "-1" || text.eq_ignore_ascii_case("inf")) {
        return Ok(FOREVER);
    }
    let not = || {
        let inf = if infinite { ", or `inf`" } else { "" };
        format!(
            "is not a duration: give milliseconds as a plain number (`5`), or a number with a unit \
             (`5ms`, `1.5s`, `2min`, `1h`){inf}"
        )
    };
    let number = number(text).ok_or_else(not)?;
    let nanos_per_unit: i128 = match number.unit.to_ascii_lowercase().as_str() {
        "us" | "µs" => 1_000,
        "" | "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(not()),
    };
    let nanos = number.nano * nanos_per_unit / 1_000_000_000;
    let range = i128::from(min_ms) * 1_000_000..=i128::from(max_ms) * 1_000_000;
    if !range.contains(&nanos) {
        let upper = if max_ms == i64::MAX {
            "and more"
        } else {
            &format!("to {max_ms} ms")
        };
        let inf = if infinite { ", or `inf`," } else { "" };
        return Err(format!(
            "is out of range: {min_ms} ms {upper}{inf} are allowed"
        ));
    }
    let forever = FOREVER.as_nanos();
    let nanos = u128::try_from(nanos).unwrap_or(0).min(forever);
    let second = 1_000_000_000;
    Ok(Duration::new(
        (nanos / second) as u64,
        (nanos % second) as u32,
    ))
}

/// A duration outside the table: milliseconds as a plain number, or a number with a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text, 0, i64::MAX, false)
}

/// A size outside the table: bytes as a plain number, or a number with a unit.
#[cfg(feature = "broker")]
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size(text.trim(), 1, 0, i64::MAX, false)
}

fn parse_size(text: &str, plain: i128, min: i64, max: i64, system: bool) -> Result<u64, String> {
    if system && text == "-1" {
        return Ok(0);
    }
    let not = || {
        "is not a size: give bytes as a plain number (`1000`), or a number with a unit \
         (`64kB` is 64000, `64MB` 64 million, `64KiB` 65536, `64MiB` 67108864 bytes)"
            .to_owned()
    };
    let number = number(text).ok_or_else(not)?;
    let bytes_per_unit: i128 = match number.unit.to_ascii_lowercase().as_str() {
        "" => plain,
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(not()),
    };
    let nano = number.nano * bytes_per_unit;
    if nano % 1_000_000_000 != 0 {
        return Err("is not a whole number of bytes".to_owned());
    }
    let bytes = nano / 1_000_000_000;
    if !(i128::from(min)..=i128::from(max)).contains(&bytes) {
        let lower = if system {
            "-1 (the operating system decides), ".to_owned()
        } else {
            String::new()
        };
        let upper = if max == i64::MAX {
            "and more"
        } else {
            &format!("to {max}")
        };
        return Err(format!(
            "is out of range: {lower}{min} {upper} bytes are allowed"
        ));
    }
    u64::try_from(bytes).map_err(|_| not())
}

pub(super) fn choice(text: &str, choices: &'static [Choice]) -> Result<usize, String> {
    let named = |choice: &Choice| choice.name == text || choice.aliases.contains(&text);
    if let Some(at) = choices.iter().position(named) {
        return match &choices[at] {
            Choice { not_yet: true, .. } => Err(format!(
                "is not there yet in this version: {}",
                allowed(choices)
            )),
            _ => Ok(at),
        };
    }
    let meant = match nearest(text, choices.iter().map(|choice| choice.name)) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    };
    Err(format!(
        "is not one of its values: {}{meant}",
        allowed(choices)
    ))
}

fn allowed(choices: &[Choice]) -> String {
    let names: Vec<&str> = choices
        .iter()
        .filter(|choice| !choice.not_yet)
        .map(|choice| choice.name)
        .collect();
    match names.as_slice() {
        [only] => format!("only {only} is allowed"),
        _ => format!("{} are allowed", names.join(", ")),
    }
}

/// The partitioner that does what a class of Java's client does.
fn java_partitioner(class: &str) -> Result<&'static str, String> {
    match class.rsplit_once('.').map_or(class, |(_, name)| name) {
        "" | "DefaultPartitioner" => Ok("default"),
        "RoundRobinPartitioner" => Ok("round_robin"),
        "UniformStickyPartitioner" => Err("has no value of `partitioner` that does the same: set \
             `partitioner.ignore.keys=true` with `partitioner=default`"
            .to_owned()),
        _ => Err(
            "is a class of Java, which cannot be loaded here: set `partitioner`, or give records \
             explicit partitions"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let parse = |text| parse_duration(text, 0, i64::MAX, true);
        let ms = Duration::from_millis;
        assert_eq!(parse("5"), Ok(ms(5)));
        assert_eq!(parse("5ms"), Ok(ms(5)));
        assert_eq!(parse("5 ms"), Ok(ms(5)));
        assert_eq!(parse("1.5s"), Ok(ms(1500)));
        assert_eq!(parse("0.1"), Ok(Duration::from_micros(100)));
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse("2min"), Ok(ms(120_000)));
        assert_eq!(parse("1h"), Ok(ms(3_600_000)));
        assert_eq!(parse("1D"), Ok(ms(86_400_000)));
        assert_eq!(parse("inf"), Ok(FOREVER));
        assert_eq!(parse("-1"), Ok(FOREVER));
        assert_eq!(parse("9223372036854775807"), Ok(FOREVER));
        for bad in [
            "",
            "ms",
            "5m",
            "5 minutes",
            "1.5.5s",
            "1.s",
            ".5s",
            "1e3",
            "0x5",
            "5\u{665}",
            "--5",
            "1.0000000001s",
        ] {
            assert!(
                parse(bad).unwrap_err().starts_with("is not a duration"),
                "{bad}"
            );
        }
        for out in [
            "-5",
            "-1ms",
            "-0.5s",
            "99999999999999999999d",
            "9999999999999999999",
        ] {
            let problem = parse(out).unwrap_err();
            assert!(
                problem.starts_with("is out of range") || out.len() > 20,
                "{out}: {problem}"
            );
        }
        assert!(parse_duration("inf", 0, 10, false).is_err());
        assert_eq!(parse_duration("10", 0, 10, false), Ok(ms(10)));
        assert_eq!(
            parse_duration("10.001", 0, 10, false),
            Err("is out of range: 0 ms to 10 ms are allowed".to_owned())
        );
    }

    #[test]
    fn sizes() {
        let parse = |text| parse_size(text, 1, 0, i64::MAX, false);
        assert_eq!(parse("1000"), Ok(1000));
        assert_eq!(parse("64kB"), Ok(64_000));
        assert_eq!(parse("64KB"), Ok(64_000));
        assert_eq!(parse("64MB"), Ok(64_000_000));
        assert_eq!(parse("64MiB"), Ok(67_108_864));
        assert_eq!(parse("1.5 KiB"), Ok(1536));
        assert_eq!(parse("2GB"), Ok(2_000_000_000));
        assert_eq!(parse("2GiB"), Ok(2_147_483_648));
        assert_eq!(parse("7B"), Ok(7));
        for bad in ["", "MB", "64M", "64k", "64 megs", "-", "1.2.3kB"] {
            assert!(
                parse(bad).unwrap_err().starts_with("is not a size"),
                "{bad}"
            );
        }
        assert_eq!(
            parse("1.5"),
            Err("is not a whole number of bytes".to_owned())
        );
        assert_eq!(
            parse("-1"),
            Err("is out of range: 0 and more bytes are allowed".to_owned())
        );
        assert_eq!(parse_size("-1", 1, 0, 10, true), Ok(0));
        assert_eq!(parse_size("4", 1024, 0, 5000, false), Ok(4096));
        assert_eq!(parse_size("4kB", 1024, 0, 5000, false), Ok(4000));
    }

    #[test]
    fn booleans_and_integers() {
        assert_eq!(parse_bool("TRUE"), Ok(true));
        assert_eq!(parse_bool("false"), Ok(false));
        assert!(parse_bool("1").is_err());
        assert_eq!(parse_int("-3", -5, 5, None), Ok(-3));
        assert!(
            parse_int("6", -5, 5, None)
                .unwrap_err()
                .starts_with("is out of range")
        );
        assert!(
            parse_int("99999999999999999999", -5, 5, None)
                .unwrap_err()
                .starts_with("is out of range")
        );
        assert!(
            parse_int("5.0", -5, 5, None)
                .unwrap_err()
                .starts_with("is not a whole number")
        );
    }
}
