//! The topic settings that Kafka 4.4 knows: names, defaults, types. The broker acts on a few and remembers the rest.

use std::collections::BTreeMap;

use ottla_protocol::compress::Codec;

use crate::log::SegmentLimits;

/// Kafka's numbers for the types of settings in DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
    /// One of some words; on the wire a string.
    Word = 2,
}

/// One setting of a topic.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
    /// The broker setting the default comes from, if there is one.
    pub(crate) broker_name: Option<&'static str>,
    /// Smallest number, or the words that are allowed.
    allowed: Allowed,
}

pub(crate) enum Allowed {
    Any,
    AtLeast(i64),
    Within(i64, i64),
    /// The first number, or from the second to the third.
    OneOf(i64, i64, i64),
    Words(&'static [&'static str]),
    /// Where a share group begins.
    Reset,
}

pub(crate) const fn setting(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    broker_name: Option<&'static str>,
    allowed: Allowed,
) -> Setting {
    Setting {
        name,
        default,
        kind,
        broker_name,
        allowed,
    }
}

use Allowed::{Any, AtLeast, OneOf, Within, Words};
use Kind::{Boolean, Double, Int, List, Long, Word};

const MAX: &str = "9223372036854775807";

/// Every setting, sorted by name.
#[rustfmt::skip]
pub(crate) static SETTINGS: &[Setting] = &[
    setting("cleanup.policy", "delete", List, Some("log.cleanup.policy"), Words(&["compact", "delete"])),
    setting("compression.gzip.level", "-1", Int, Some("compression.gzip.level"), OneOf(-1, 1, 9)),
    setting("compression.lz4.level", "9", Int, Some("compression.lz4.level"), Within(1, 17)),
    setting("compression.type", "producer", Word, Some("compression.type"), Words(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])),
    setting("compression.zstd.level", "3", Int, Some("compression.zstd.level"), Within(-131_072, 22)),
    setting("delete.retention.ms", "86400000", Long, Some("log.cleaner.delete.retention.ms"), AtLeast(0)),
    setting("errors.deadletterqueue.group.enable", "false", Boolean, None, Any),
    setting("file.delete.delay.ms", "60000", Long, Some("log.segment.delete.delay.ms"), AtLeast(0)),
    setting("flush.messages", MAX, Long, Some("log.flush.interval.messages"), AtLeast(1)),
    setting("flush.ms", MAX, Long, None, AtLeast(0)),
    setting("follower.replication.throttled.replicas", "", List, None, Any),
    setting("index.interval.bytes", "4096", Int, Some("log.index.interval.bytes"), AtLeast(0)),
    setting("leader.replication.throttled.replicas", "", List, None, Any),
    setting("local.retention.bytes", "-2", Long, Some("log.local.retention.bytes"), AtLeast(-2)),
    setting("local.retention.ms", "-2", Long, Some("log.local.retention.ms"), AtLeast(-2)),
    setting("max.compaction.lag.ms", MAX, Long, Some("log.cleaner.max.compaction.lag.ms"), AtLeast(1)),
    setting("max.decompressed.message.bytes", "2147483639", Int, Some("max.decompressed.message.bytes"), AtLeast(0)),
    setting("max.message.bytes", "1048588", Int, Some("message.max.bytes"), AtLeast(0)),
    setting("message.timestamp.after.max.ms", "3600000", Long, Some("log.message.timestamp.after.max.ms"), AtLeast(0)),
    setting("message.timestamp.before.max.ms", MAX, Long, Some("log.message.timestamp.before.max.ms"), AtLeast(0)),
    setting("message.timestamp.type", "CreateTime", Word, Some("log.message.timestamp.type"), Words(&["CreateTime", "LogAppendTime"])),
    setting("min.cleanable.dirty.ratio", "0.5", Double, Some("log.cleaner.min.cleanable.ratio"), Any),
    setting("min.compaction.lag.ms", "0", Long, Some("log.cleaner.min.compaction.lag.ms"), AtLeast(0)),
    setting("min.insync.replicas", "1", Int, Some("min.insync.replicas"), AtLeast(1)),
    setting("preallocate", "false", Boolean, Some("log.preallocate"), Any),
    setting("remote.copy.lag.bytes", "-1", Long, Some("log.remote.copy.lag.bytes"), AtLeast(-1)),
    setting("remote.copy.lag.ms", "0", Long, Some("log.remote.copy.lag.ms"), AtLeast(-1)),
    setting("remote.log.copy.disable", "false", Boolean, None, Any),
    setting("remote.log.delete.on.disable", "false", Boolean, None, Any),
    setting("remote.storage.enable", "false", Boolean, None, Any),
    setting("retention.bytes", "-1", Long, Some("log.retention.bytes"), AtLeast(-1)),
    setting("retention.ms", "604800000", Long, None, AtLeast(-1)),
    setting("segment.bytes", "1073741824", Int, Some("log.segment.bytes"), AtLeast(1_048_576)),
    setting("segment.index.bytes", "10485760", Int, Some("log.index.size.max.bytes"), AtLeast(4)),
    setting("segment.jitter.ms", "0", Long, None, AtLeast(0)),
    setting("segment.ms", "604800000", Long, None, AtLeast(1)),
    setting("unclean.leader.election.enable", "false", Boolean, Some("unclean.leader.election.enable"), Any),
];

impl Setting {
    /// The broker's setting that can be changed at run time to change this one's default.
    pub(crate) fn dynamic_name(&self) -> Option<&'static str> {
        match self.name {
            "flush.ms" => Some("log.flush.interval.ms"),
            "retention.ms" => Some("log.retention.ms"),
            "segment.jitter.ms" => Some("log.roll.jitter.ms"),
            "segment.ms" => Some("log.roll.ms"),
            _ => self.broker_name,
        }
    }

    /// What Kafka would say about `value`, or `Ok`.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let name = self.name;
        let not_a = |what: &str| {
            format!("Invalid value {value} for configuration {name}: Not a number of type {what}")
        };
        match self.kind {
            Boolean if !matches!(value.trim().to_ascii_lowercase().as_str(), "true" | "false") => {
                return Err(format!(
                    "Invalid value {value} for configuration {name}: Expected value to be either true or false"
                ));
            }
            Int if value.trim().parse::<i32>().is_err() => return Err(not_a("INT")),
            Long if value.trim().parse::<i64>().is_err() => return Err(not_a("LONG")),
            Double => match value.trim().parse::<f64>() {
                Err(_) => return Err(not_a("DOUBLE")),
                Ok(number) if number > 1.0 => {
                    return Err(format!(
                        "Invalid value {number} for configuration {name}: Value must be no more than 1"
                    ));
                }
                Ok(number) if number < 0.0 => {
                    return Err(format!(
                        "Invalid value {number} for configuration {name}: Value must be at least 0"
                    ));
                }
                Ok(_) => {}
            },
            _ => {}
        }
        let number = || value.trim().parse::<i64>().unwrap_or(0);
        match self.allowed {
            AtLeast(min) | Within(min, _) if number() < min => Err(format!(
                "Invalid value {} for configuration {name}: Value must be at least {min}",
                number()
            )),
            Within(_, max) if number() > max => Err(format!(
                "Invalid value {} for configuration {name}: Value must be no more than {max}",
                number()
            )),
            OneOf(one, min, max) if number() != one && !(min..=max).contains(&number()) => {
                Err(format!(
                    "Invalid value {} for configuration {name}: Value must be between {min} and {max} or equal to {one}",
                    number()
                ))
            }
            Allowed::Reset if super::share::Reset::parse(value).is_none() => Err(format!(
                "Invalid value {value} for configuration {name}: Invalid value `{value}` for configuration {name}. The \
                 value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
            )),
            // A list may be empty.
            Words(_) if self.kind == List && value.is_empty() => Ok(()),
            Words(words) => {
                let given: Vec<&str> = if self.kind == List {
                    value.split(',').map(str::trim).collect()
                } else {
                    vec![value]
                };
                match given.iter().find(|word| !words.contains(word)) {
                    Some(word) => Err(format!(
                        "Invalid value {word} for configuration {name}: String must be one of: {}",
                        words.join(", ")
                    )),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// The settings given for one topic, checked, and the ones the broker acts on.
#[derive(Clone, Debug)]
pub struct TopicConfig {
    given: BTreeMap<String, String>,
    /// What is set of the brokers.
    defaults: BTreeMap<String, String>,
    pub(crate) max_message_bytes: usize,
    pub(crate) append_time: bool,
    pub(crate) min_insync_replicas: usize,
    /// `retention.bytes` and `retention.ms`, where the cleanup policy says that old records are deleted.
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) retention_ms: Option<i64>,
    /// How the log is compacted, where the cleanup policy says so.
    pub(crate) compaction: Option<Compaction>,
    /// What records are to be compressed with; `None` as the producer did.
    pub(crate) compression: Option<(Codec, Option<i32>)>,
    pub(crate) segments: SegmentLimits,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) timestamp_before_max_ms: i64,
}

/// When and how a log is compacted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compaction {
    /// `min.cleanable.dirty.ratio`.
    pub(crate) dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub(crate) min_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub(crate) max_lag_ms: i64,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
}

impl TopicConfig {
    /// Checks names and values. `defaults` are those that hold in place of Kafka's.
    ///
    /// # Errors
    /// What is wrong, in Kafka's words.
    pub(crate) fn new(
        given: BTreeMap<String, String>,
        defaults: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        for (name, value) in &given {
            match SETTINGS
                .binary_search_by(|s| s.name.cmp(name))
                .ok()
                .and_then(|i| SETTINGS.get(i))
            {
                None => return Err(format!("Unknown topic config name: {name}")),
                Some(setting) => setting.check(value)?,
            }
        }
        let value = |name: &str| value_of(&given, defaults, name).0;
        let number = |name: &str| -> i64 { value(name).trim().parse().unwrap_or(0) };
        let policy = |word: &str| value("cleanup.policy").split(',').any(|p| p.trim() == word);
        let (compacts, deletes) = (policy("compact"), policy("delete"));
        let compression = match value("compression.type") {
            "uncompressed" => Some(Codec::None),
            other => Codec::parse(other),
        };
        let level = |codec| {
            let level = |name: &str| i32::try_from(number(name)).ok();
            match codec {
                Codec::Gzip => level("compression.gzip.level").filter(|&l| l != -1),
                Codec::Lz4 => level("compression.lz4.level"),
                Codec::Zstd => level("compression.zstd.level"),
                _ => None,
            }
        };
        Ok(Self {
            max_message_bytes: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            append_time: value("message.timestamp.type") == "LogAppendTime",
            min_insync_replicas: usize::try_from(number("min.insync.replicas")).unwrap_or(1),
            retention_bytes: u64::try_from(number("retention.bytes"))
                .ok()
                .filter(|_| deletes),
            retention_ms: Some(number("retention.ms")).filter(|&ms| deletes && ms >= 0),
            compaction: compacts.then(|| Compaction {
                dirty_ratio: value("min.cleanable.dirty.ratio")
                    .trim()
                    .parse()
                    .unwrap_or(0.5),
                min_lag_ms: number("min.compaction.lag.ms"),
                max_lag_ms: number("max.compaction.lag.ms"),
                delete_retention_ms: number("delete.retention.ms"),
            }),
            compression: compression.map(|codec| (codec, level(codec))),
            segments: SegmentLimits {
                bytes: u64::try_from(number("segment.bytes")).unwrap_or(u64::MAX),
                ms: number("segment.ms"),
            },
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            defaults: defaults.clone(),
            given,
        })
    }

    /// Whether old records are deleted, and can be by request.
    pub(crate) fn deletes_records(&self) -> bool {
        self.get("cleanup.policy")
            .0
            .split(',')
            .any(|p| p.trim() == "delete")
    }

    /// The value in force of the setting `name` and whether the topic itself sets it.
    pub(crate) fn get(&self, name: &str) -> (&str, bool) {
        value_of(&self.given, &self.defaults, name)
    }

    /// What the topic itself sets.
    pub(crate) fn given(&self) -> &BTreeMap<String, String> {
        &self.given
    }
}

fn value_of<'a>(
    given: &'a BTreeMap<String, String>,
    defaults: &'a BTreeMap<String, String>,
    name: &str,
) -> (&'a str, bool) {
    if let Some(value) = given.get(name) {
        return (value, true);
    }
    let built_in = || SETTINGS.iter().find(|s| s.name == name).map(|s| s.default);
    let value = defaults.get(name).map(String::as_str).or_else(built_in);
    (value.unwrap_or(""), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<TopicConfig, String> {
        TopicConfig::new(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            &BTreeMap::new(),
        )
    }

    #[test]
    fn the_table_is_sorted_and_its_defaults_pass_its_own_checks() {
        assert!(SETTINGS.is_sorted_by_key(|s| s.name));
        for setting in SETTINGS {
            assert_eq!(setting.check(setting.default), Ok(()), "{}", setting.name);
        }
    }

    #[test]
    fn wrong_names_and_values_are_named() {
        assert_eq!(
            config(&[("foo", "1")]).unwrap_err(),
            "Unknown topic config name: foo"
        );
        for (name, value) in [
            ("retention.ms", "x"),
            ("retention.ms", "-2"),
            ("cleanup.policy", "shred"),
            ("compression.gzip.level", "10"),
            ("preallocate", "maybe"),
            ("min.cleanable.dirty.ratio", "1.5"),
        ] {
            let error = config(&[(name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_the_broker_acts_on_is_read() {
        let c = config(&[
            ("max.message.bytes", "100"),
            ("message.timestamp.type", "LogAppendTime"),
        ])
        .unwrap();
        assert_eq!(
            (c.max_message_bytes, c.append_time, c.retention_bytes),
            (100, true, None)
        );
        assert_eq!(c.get("max.message.bytes"), ("100", true));
        assert_eq!(c.get("retention.ms"), ("604800000", false));
    }
}
