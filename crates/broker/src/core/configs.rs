//! What was set at run time of brokers and groups (IncrementalAlterConfigs), and the settings of groups. What is set of
//! topics is theirs (`topic_config`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::BrokerCore;
use super::groups::GroupOptions;
use super::share::{Reset, ShareOptions};
use super::topic_config::Allowed::{Any, AtLeast, Reset as ResetWord, Words};
use super::topic_config::Kind::{Boolean, Int, Long, Word};
use super::topic_config::{SETTINGS, Setting, TopicConfig, setting};

/// In place of a node's id: what is set for all of them.
pub const ALL_BROKERS: i32 = -1;

type Values = BTreeMap<String, String>;

/// What was set at run time of brokers, by node, and of groups, by name.
#[derive(Clone, Debug)]
pub struct DynamicConfigs {
    brokers: BTreeMap<i32, Values>,
    groups: BTreeMap<String, Values>,
}

impl Default for DynamicConfigs {
    /// As in a Kafka 4 that was just formatted.
    fn default() -> Self {
        let mut configs = Self::empty();
        configs
            .broker_mut(ALL_BROKERS)
            .insert("min.insync.replicas".to_owned(), "1".to_owned());
        configs
    }
}

impl DynamicConfigs {
    pub(crate) fn empty() -> Self {
        Self {
            brokers: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// What is set for a broker, or for all.
    pub(crate) fn broker(&self, node: i32) -> Option<&Values> {
        self.brokers.get(&node)
    }

    pub fn broker_mut(&mut self, node: i32) -> &mut Values {
        self.brokers.entry(node).or_default()
    }

    /// What is set of a group.
    pub(crate) fn group(&self, group: &str) -> Option<&Values> {
        self.groups.get(group)
    }

    pub(crate) fn group_mut(&mut self, group: &str) -> &mut Values {
        self.groups.entry(group.to_owned()).or_default()
    }

    /// The groups of which something is set.
    pub(crate) fn group_names(&self) -> impl Iterator<Item = &str> {
        let set = self.groups.iter().filter(|(_, values)| !values.is_empty());
        set.map(|(group, _)| group.as_str())
    }

    /// Node, name and value of all that is set of brokers.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = (i32, &str, &str)> {
        self.brokers.iter().flat_map(|(&node, values)| {
            values
                .iter()
                .map(move |(name, value)| (node, name.as_str(), value.as_str()))
        })
    }

    /// Group, name and value of all that is set of groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.groups.iter().flat_map(|(group, values)| {
            values
                .iter()
                .map(move |(name, value)| (group.as_str(), name.as_str(), value.as_str()))
        })
    }

    /// How often it is looked whether a log is to be compacted. There is one core for all brokers: as in
    /// [`for_topics`](Self::for_topics) what is set for any of them holds.
    pub(crate) fn compaction_interval(&self) -> Duration {
        let set = self
            .brokers
            .values()
            .rev()
            .find_map(|v| millis(v, COMPACTION_INTERVAL));
        set.unwrap_or(Duration::from_secs(15))
    }

    /// The values that topics have which don't set them. Each partition is one log for all of its replicas: what is set
    /// for any broker holds for it, and the one with the largest number wins.
    pub(crate) fn for_topics(&self) -> Values {
        let mut values = Values::new();
        for set in self.brokers.values() {
            for setting in SETTINGS {
                if let Some(value) = setting.dynamic_name().and_then(|name| set.get(name)) {
                    values.insert(setting.name.to_owned(), value.clone());
                }
            }
        }
        values
    }
}

/// The settings of brokers that can be changed at run time and are not the defaults of topics' settings.
static BROKER_SETTINGS: &[Setting] = &[setting(
    COMPACTION_INTERVAL,
    "15000",
    Long,
    Some(COMPACTION_INTERVAL),
    AtLeast(0),
)];

/// How often it is looked whether a log is to be compacted.
const COMPACTION_INTERVAL: &str = "log.cleaner.backoff.ms";

/// The settings of brokers that can be changed at run time, by the names that brokers have for them.
pub(crate) fn broker_settings() -> impl Iterator<Item = (&'static str, &'static Setting)> {
    SETTINGS
        .iter()
        .chain(BROKER_SETTINGS)
        .filter_map(|s| Some((s.dynamic_name()?, s)))
}

/// The settings of a group that Kafka 4.3 knows, sorted by name; the broker acts on those of consumer and share groups.
#[rustfmt::skip]
pub(crate) static GROUP_SETTINGS: &[Setting] = &[
    setting("consumer.assignment.interval.ms", "1000", Int, Some("group.consumer.assignment.interval.ms"), AtLeast(0)),
    setting("consumer.heartbeat.interval.ms", "5000", Int, Some("group.consumer.heartbeat.interval.ms"), AtLeast(1)),
    setting("consumer.session.timeout.ms", "45000", Int, Some("group.consumer.session.timeout.ms"), AtLeast(1)),
    setting("share.assignment.interval.ms", "1000", Int, Some("group.share.assignment.interval.ms"), AtLeast(0)),
    setting("share.auto.offset.reset", "latest", Word, Some("share.auto.offset.reset"), ResetWord),
    setting("share.delivery.count.limit", "5", Int, Some("group.share.delivery.count.limit"), AtLeast(2)),
    setting("share.heartbeat.interval.ms", "5000", Int, Some("group.share.heartbeat.interval.ms"), AtLeast(1)),
    setting("share.isolation.level", "read_uncommitted", Word, Some("share.isolation.level"), Words(&["read_committed", "read_uncommitted"])),
    setting("share.partition.max.record.locks", "2000", Int, Some("group.share.partition.max.record.locks"), AtLeast(100)),
    setting("share.record.lock.duration.ms", "30000", Int, Some("group.share.record.lock.duration.ms"), AtLeast(1000)),
    setting("share.renew.acknowledge.enable", "true", Boolean, Some("share.renew.acknowledge.enable"), Any),
    setting("share.session.timeout.ms", "45000", Int, Some("group.share.session.timeout.ms"), AtLeast(1)),
    setting("streams.assignment.interval.ms", "1000", Int, Some("group.streams.assignment.interval.ms"), AtLeast(0)),
    setting("streams.heartbeat.interval.ms", "5000", Int, Some("group.streams.heartbeat.interval.ms"), AtLeast(1)),
    setting("streams.initial.rebalance.delay.ms", "3000", Int, Some("group.streams.initial.rebalance.delay.ms"), AtLeast(0)),
    setting("streams.num.standby.replicas", "0", Int, Some("group.streams.num.standby.replicas"), AtLeast(0)),
    setting("streams.session.timeout.ms", "45000", Int, Some("group.streams.session.timeout.ms"), AtLeast(1)),
];

/// What the broker's own settings allow, as they are by default: name, smallest, largest, and which settings say so.
const GROUP_LIMITS: &[(&str, i64, i64)] = &[
    ("consumer.heartbeat.interval.ms", 5_000, 15_000),
    ("consumer.session.timeout.ms", 45_000, 60_000),
    ("share.delivery.count.limit", 2, 10),
    ("share.heartbeat.interval.ms", 5_000, 15_000),
    ("share.partition.max.record.locks", 100, 10_000),
    ("share.record.lock.duration.ms", 15_000, 60_000),
    ("share.session.timeout.ms", 45_000, 60_000),
    ("streams.heartbeat.interval.ms", 5_000, 15_000),
    ("streams.session.timeout.ms", 45_000, 60_000),
];

/// Checks what is to be set of a group.
///
/// # Errors
/// What is wrong, in Kafka's words.
pub(crate) fn check_group(values: &Values) -> Result<(), String> {
    for (name, value) in values {
        let Some(setting) = GROUP_SETTINGS.iter().find(|s| s.name == name) else {
            return Err(format!("Unknown group config name: {name}"));
        };
        setting.check(value)?;
    }
    for &(name, min, max) in GROUP_LIMITS {
        let Some(number) = values.get(name).and_then(|v| v.trim().parse::<i64>().ok()) else {
            continue;
        };
        if !(min..=max).contains(&number) {
            return Err(format!(
                "{name} must be in the range {min} to {max} inclusive."
            ));
        }
    }
    Ok(())
}

impl BrokerCore {
    /// The value of a group's setting that holds where the group sets none.
    pub(crate) fn group_default(&self, setting: &Setting) -> String {
        let (share, modern) = (&self.share.options, &self.groups.options.modern);
        let duration = match setting.name {
            "consumer.assignment.interval.ms" => modern.assignment_interval,
            "consumer.heartbeat.interval.ms" => modern.heartbeat_interval,
            "consumer.session.timeout.ms" => modern.session_timeout,
            "share.heartbeat.interval.ms" => share.heartbeat,
            "share.record.lock.duration.ms" => share.lock,
            "share.session.timeout.ms" => share.session,
            "share.auto.offset.reset" if share.reset == Reset::Earliest => {
                return "earliest".to_owned();
            }
            "share.delivery.count.limit" => return share.max_deliveries.to_string(),
            "share.partition.max.record.locks" => return share.max_locks.to_string(),
            _ => return setting.default.to_owned(),
        };
        duration.as_millis().to_string()
    }

    /// Has what is set of a group be in force.
    pub(crate) fn apply_group_configs(&mut self, group: &str) {
        let values = self.configs.group(group).cloned().unwrap_or_default();
        let share = share_options(self.share.options, &values);
        self.share.own_options.insert(group.to_owned(), share);
        let options = modern_options(self.groups.options.clone(), &values);
        self.groups.set_options(group, options);
    }

    /// Has what is set of brokers be in force.
    pub(crate) fn apply_broker_configs(&mut self) {
        let defaults = self.configs.for_topics();
        for topic in self.cluster.topics_mut() {
            let given = topic.config.given().clone();
            // What was given and what is set was checked before.
            if let Ok(config) = TopicConfig::new(given, &defaults) {
                topic.configure(config);
            }
        }
    }
}

fn millis(values: &Values, name: &str) -> Option<Duration> {
    let ms = values.get(name)?.trim().parse().ok()?;
    Some(Duration::from_millis(ms))
}

fn share_options(mut options: ShareOptions, values: &Values) -> ShareOptions {
    let number = |name: &str| values.get(name)?.trim().parse::<u16>().ok();
    if let Some(reset) = values
        .get("share.auto.offset.reset")
        .and_then(|v| Reset::parse(v))
    {
        options.reset = reset;
    }
    if let Some(level) = values.get("share.isolation.level") {
        options.read_committed = level == "read_committed";
    }
    if let Some(lock) = millis(values, "share.record.lock.duration.ms") {
        options.lock = lock;
    }
    if let Some(session) = millis(values, "share.session.timeout.ms") {
        options.session = session;
    }
    if let Some(heartbeat) = millis(values, "share.heartbeat.interval.ms") {
        options.heartbeat = heartbeat;
    }
    if let Some(limit) = number("share.delivery.count.limit") {
        options.max_deliveries = limit as i16;
    }
    if let Some(limit) = number("share.partition.max.record.locks") {
        options.max_locks = limit.into();
    }
    options
}

fn modern_options(mut options: GroupOptions, values: &Values) -> GroupOptions {
    if let Some(timeout) = millis(values, "consumer.session.timeout.ms") {
        options.modern.session_timeout = timeout;
    }
    if let Some(interval) = millis(values, "consumer.heartbeat.interval.ms") {
        options.modern.heartbeat_interval = interval;
    }
    if let Some(interval) = millis(values, "consumer.assignment.interval.ms") {
        options.modern.assignment_interval = interval;
    }
    options
}
