//! The configurations as the client's code reads them: every value checked, in Rust's types.

use std::time::Duration;

use super::FOREVER;
use super::choice::{
    Acks, AddressFamily, Assignor, Compression, DnsLookup, GroupProtocol, IsolationLevel,
    MetadataRecovery, Partitioner,
};
use super::hosts::HostPort;
use super::reset::AutoOffsetReset;
use super::rules;
use super::settings::Settings;
use super::table::{self, ClientKind};
use crate::error::{Error, Result};
use crate::log::Level;

/// What every kind of client has. Sizes are in bytes; each field's key is its name with dots.
#[derive(Clone, Debug)]
pub struct CommonConfig {
    /// `bootstrap.servers`: at least one, without duplicates, in the user's order.
    pub bootstrap_servers: Vec<HostPort>,
    /// `client.id`
    pub client_id: String,
    /// `client.dns.lookup`
    pub client_dns_lookup: DnsLookup,
    /// `client.rack`; `None` when not set or empty.
    pub client_rack: Option<String>,
    /// `broker.address.family`
    pub broker_address_family: AddressFamily,
    /// `bootstrap.resolve.timeout.ms`; zero for no limit.
    pub bootstrap_resolve_timeout: Duration,
    /// `metadata.recovery.strategy`
    pub metadata_recovery: MetadataRecovery,
    /// `metadata.recovery.rebootstrap.trigger.ms`
    pub rebootstrap_trigger: Duration,
    /// `metadata.cluster.check.enable`
    pub metadata_cluster_check: bool,
    /// `metadata.max.age.ms`; [`super::FOREVER`] means no periodic refresh.
    pub metadata_max_age: Duration,
    /// `connections.max.idle.ms`; [`super::FOREVER`] means never closed for idleness.
    pub connections_max_idle: Duration,
    /// `socket.connection.setup.timeout.ms`
    pub connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`
    pub connection_setup_timeout_max: Duration,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `reconnect.backoff.ms`
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`; never below `reconnect_backoff`.
    pub reconnect_backoff_max: Duration,
    /// `retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`; never below `retry_backoff`.
    pub retry_backoff_max: Duration,
    /// `send.buffer.bytes`; `None` leaves it to the operating system.
    pub send_buffer_bytes: Option<usize>,
    /// `receive.buffer.bytes`; `None` leaves it to the operating system.
    pub receive_buffer_bytes: Option<usize>,
    /// `receive.message.max.bytes`: the largest response frame that is accepted.
    pub receive_message_max_bytes: usize,
    /// `enable.metrics.push`
    pub enable_metrics_push: bool,
    /// `statistics.interval.ms`; zero means never, as for an admin client.
    pub statistics_interval: Duration,
    /// `allow.auto.create.topics`; an admin client never asks for it.
    pub allow_auto_create_topics: bool,
    /// `log.level`; `None` is off.
    pub log_level: Option<Level>,
    /// Where defaults gave way to what the user set: one line each, to be logged at info.
    pub notes: Vec<String>,
}

/// A producer's configuration.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// What every kind of client has.
    pub common: CommonConfig,
    /// `acks`; [`Acks::All`] where `enable_idempotence` is set.
    pub acks: Acks,
    /// `enable.idempotence`, after the rules about `acks`, `retries` and requests in flight.
    pub enable_idempotence: bool,
    /// `transactional.id`; `None` when not set or empty. Where set, `enable_idempotence` is.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`
    pub transaction_timeout: Duration,
    /// `linger.ms`
    pub linger: Duration,
    /// `batch.size`; at most `max_request_size` and `buffer_memory`.
    pub batch_size: usize,
    /// `max.request.size`; at most `buffer_memory`.
    pub max_request_size: usize,
    /// `buffer.memory`
    pub buffer_memory: usize,
    /// `buffer.records`; `usize::MAX` for no limit.
    pub buffer_records: usize,
    /// `max.block.ms`
    pub max_block: Duration,
    /// `max.in.flight.requests.per.connection`; 1 to 5 where `enable_idempotence` is set.
    pub max_in_flight: usize,
    /// `compression.type`
    pub compression: Compression,
    /// `compression.gzip.level`: 1 to 9, or -1 for the library's own choice.
    pub compression_gzip_level: i32,
    /// `compression.lz4.level`: 1 to 17; 9 is the fast compressor.
    pub compression_lz4_level: i32,
    /// `compression.zstd.level`: -131072 to 22.
    pub compression_zstd_level: i32,
    /// `delivery.timeout.ms`; at least `linger` plus the request timeout.
    pub delivery_timeout: Duration,
    /// `retries`; at least 1 where `enable_idempotence` is set.
    pub retries: u32,
    /// `partitioner`
    pub partitioner: Partitioner,
    /// `partitioner.ignore.keys`
    pub partitioner_ignore_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`
    pub partitioner_adaptive: bool,
    /// `partitioner.availability.timeout.ms`; zero turns it off.
    pub partitioner_availability_timeout: Duration,
    /// `partitioner.rack.aware`; without `client.rack` it changes nothing.
    pub partitioner_rack_aware: bool,
    /// `metadata.max.idle.ms`
    pub metadata_max_idle: Duration,
    /// What it was made of.
    given: Given,
}

/// Pairs as the user gave them. Values may be secrets, so they are never shown.
#[derive(Clone)]
struct Given(Vec<(String, String)>);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(as given)")
    }
}

/// A consumer's configuration.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// What every kind of client has.
    pub common: CommonConfig,
    /// `group.id`; `None` when not set or empty.
    pub group_id: Option<String>,
    /// `group.instance.id`; `None` when not set or empty.
    pub group_instance_id: Option<String>,
    /// `group.protocol`, settled where a key is set that only one protocol has.
    pub group_protocol: GroupProtocol,
    /// `group.remote.assignor`; `None` when not set or empty.
    pub group_remote_assignor: Option<String>,
    /// `partition.assignment.strategy`: at least one, each once, the favourite first.
    pub assignors: Vec<Assignor>,
    /// `session.timeout.ms`
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`; less than `session_timeout`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`
    pub max_poll_interval: Duration,
    /// `enable.auto.commit`; has no effect without `group_id`.
    pub enable_auto_commit: bool,
    /// `auto.commit.interval.ms`
    pub auto_commit_interval: Duration,
    /// `fetch.min.bytes`
    pub fetch_min_bytes: usize,
    /// `fetch.max.bytes`; less than `receive_message_max_bytes`.
    pub fetch_max_bytes: usize,
    /// `fetch.max.wait.ms`; less than the request timeout.
    pub fetch_max_wait: Duration,
    /// `max.partition.fetch.bytes`
    pub max_partition_fetch_bytes: usize,
    /// `max.poll.records`
    pub max_poll_records: usize,
    /// `auto.offset.reset`
    pub auto_offset_reset: AutoOffsetReset,
    /// `isolation.level`
    pub isolation_level: IsolationLevel,
    /// `check.crcs`
    pub check_crcs: bool,
    /// `exclude.internal.topics`
    pub exclude_internal_topics: bool,
    /// `fetch.memory.bytes`: the cap on fetched data the user has not polled yet.
    pub fetch_memory_bytes: usize,
    /// `decompression.max.bytes`: the most one batch may expand to.
    pub decompression_max_bytes: usize,
    /// `default.api.timeout.ms`: the limit of calls that are given none.
    pub default_api_timeout: Duration,
}

/// An admin client's configuration.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// What every kind of client has.
    pub common: CommonConfig,
    /// `default.api.timeout.ms`: the limit of calls that are given none.
    pub default_api_timeout: Duration,
    /// `retries`
    pub retries: u32,
}

impl CommonConfig {
    pub(super) fn read(s: &Settings) -> Result<Self> {
        let allow_auto_create_topics = match s.client() {
            ClientKind::Admin | ClientKind::ShareConsumer => false,
            ClientKind::Producer | ClientKind::Consumer => s.bool("allow.auto.create.topics")?,
        };
        Ok(CommonConfig {
            bootstrap_servers: s.hosts("bootstrap.servers")?,
            client_id: s.text("client.id")?.unwrap_or_default(),
            client_dns_lookup: s.choice("client.dns.lookup")?,
            client_rack: s.text("client.rack")?,
            broker_address_family: s.choice("broker.address.family")?,
            bootstrap_resolve_timeout: s.duration("bootstrap.resolve.timeout.ms")?,
            metadata_recovery: s.choice("metadata.recovery.strategy")?,
            rebootstrap_trigger: s.duration("metadata.recovery.rebootstrap.trigger.ms")?,
            metadata_cluster_check: s.bool("metadata.cluster.check.enable")?,
            metadata_max_age: s.duration("metadata.max.age.ms")?,
            connections_max_idle: Some(s.duration("connections.max.idle.ms")?)
                .filter(|idle| !idle.is_zero())
                .unwrap_or(FOREVER),
            connection_setup_timeout: s.duration("socket.connection.setup.timeout.ms")?,
            connection_setup_timeout_max: s.duration("socket.connection.setup.timeout.max.ms")?,
            request_timeout: s.duration("request.timeout.ms")?,
            reconnect_backoff: s.duration("reconnect.backoff.ms")?,
            reconnect_backoff_max: s.duration("reconnect.backoff.max.ms")?,
            retry_backoff: s.duration("retry.backoff.ms")?,
            retry_backoff_max: s.duration("retry.backoff.max.ms")?,
            send_buffer_bytes: Some(s.size("send.buffer.bytes")?).filter(|n| *n > 0),
            receive_buffer_bytes: Some(s.size("receive.buffer.bytes")?).filter(|n| *n > 0),
            receive_message_max_bytes: s.size("receive.message.max.bytes")?,
            enable_metrics_push: s.bool("enable.metrics.push")?,
            statistics_interval: match s.client() {
                ClientKind::Admin | ClientKind::ShareConsumer => Duration::ZERO,
                ClientKind::Producer | ClientKind::Consumer => {
                    s.duration("statistics.interval.ms")?
                }
            },
            allow_auto_create_topics,
            log_level: s.choice("log.level")?,
            notes: s.notes().to_vec(),
        })
    }
}

impl ProducerConfig {
    /// The level for the codec of `compression`; `None` for one that has no choice of levels.
    pub fn compression_level(&self) -> Option<i32> {
        match self.compression {
            Compression::Gzip => Some(self.compression_gzip_level),
            Compression::Zstd => Some(self.compression_zstd_level),
            Compression::Lz4 => Some(self.compression_lz4_level),
            Compression::None | Compression::Snappy => None,
        }
    }

    /// Reads a producer's configuration from pairs of key and value.
    ///
    /// # Errors
    /// `CONFIG` for the first mistake found; the message names the key, the value and what is allowed.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let given: Vec<(String, String)> = pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let pairs = given.iter().map(|(key, value)| (&**key, &**value));
        let mut s = Settings::read(ClientKind::Producer, pairs)?;
        rules::common(&mut s)?;
        rules::producer(&mut s)?;
        Ok(ProducerConfig {
            common: CommonConfig::read(&s)?,
            acks: s.choice("acks")?,
            enable_idempotence: s.bool("enable.idempotence")?,
            transactional_id: s.text("transactional.id")?,
            transaction_timeout: s.duration("transaction.timeout.ms")?,
            linger: s.duration("linger.ms")?,
            batch_size: s.size("batch.size")?,
            max_request_size: s.size("max.request.size")?,
            buffer_memory: s.size("buffer.memory")?,
            buffer_records: match s.int("buffer.records")? {
                0 => usize::MAX,
                records => records,
            },
            max_block: s.duration("max.block.ms")?,
            max_in_flight: s.int("max.in.flight.requests.per.connection")?,
            compression: s.choice("compression.type")?,
            compression_gzip_level: s.int("compression.gzip.level")?,
            compression_lz4_level: s.int("compression.lz4.level")?,
            compression_zstd_level: s.int("compression.zstd.level")?,
            delivery_timeout: s.duration("delivery.timeout.ms")?,
            retries: s.int("retries")?,
            partitioner: s.choice("partitioner")?,
            partitioner_ignore_keys: s.bool("partitioner.ignore.keys")?,
            partitioner_adaptive: s.bool("partitioner.adaptive.partitioning.enable")?,
            partitioner_availability_timeout: s.duration("partitioner.availability.timeout.ms")?,
            partitioner_rack_aware: s.bool("partitioner.rack.aware")?,
            metadata_max_idle: s.duration("metadata.max.idle.ms")?,
            given: Given(given),
        })
    }

    /// The configuration as one topic has it, which overrides what the producer's own pairs say; and whether the
    /// topic's name a partitioner.
    pub(crate) fn for_topic<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(Self, bool)> {
        let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        let mut own = Vec::new();
        for (name, _) in &pairs {
            match table::find(name) {
                Some((key, _)) if key.per_topic => own.push(key.name),
                // One that is unknown, or another client's, is refused below, in the words for that.
                Some((key, _)) if key.clients.contains(ClientKind::Producer) => {
                    let all: Vec<String> = table::keys()
                        .filter(|key| key.per_topic)
                        .map(|key| format!("`{}`", key.name))
                        .collect();
                    return Err(Error::config(format!(
                        "`{name}` is for the whole producer; what a topic may have of its own is {}",
                        all.join(", ")
                    )));
                }
                _ => {}
            }
        }
        let overridden =
            |name: &str| table::find(name).is_some_and(|(key, _)| own.contains(&key.name));
        let common = self.given.0.iter().filter(|(key, _)| !overridden(key));
        let common = common.map(|(key, value)| (&**key, &**value));
        let config = Self::from_pairs(common.chain(pairs.iter().copied()))?;
        Ok((config, own.contains(&"partitioner")))
    }
}

impl ConsumerConfig {
    /// Reads a consumer's configuration from pairs of key and value.
    ///
    /// # Errors
    /// `CONFIG` for the first mistake found; the message names the key, the value and what is allowed.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut s = Settings::read(ClientKind::Consumer, pairs)?;
        rules::common(&mut s)?;
        rules::consumer(&mut s)?;
        Ok(ConsumerConfig {
            common: CommonConfig::read(&s)?,
            group_id: s.text("group.id")?,
            group_instance_id: s.text("group.instance.id")?,
            group_protocol: rules::group_protocol(&s)?,
            group_remote_assignor: s.text("group.remote.assignor")?,
            assignors: {
                let key = "partition.assignment.strategy";
                let list = Assignor::list(&s.text(key)?.unwrap_or_default());
                list.map_err(|wrong| Error::config(format!("{} {wrong}", s.describe(key))))?
            },
            session_timeout: s.duration("session.timeout.ms")?,
            heartbeat_interval: s.duration("heartbeat.interval.ms")?,
            max_poll_interval: s.duration("max.poll.interval.ms")?,
            enable_auto_commit: s.bool("enable.auto.commit")?,
            auto_commit_interval: s.duration("auto.commit.interval.ms")?,
            fetch_min_bytes: s.size("fetch.min.bytes")?,
            fetch_max_bytes: s.size("fetch.max.bytes")?,
            fetch_max_wait: s.duration("fetch.max.wait.ms")?,
            max_partition_fetch_bytes: s.size("max.partition.fetch.bytes")?,
            max_poll_records: s.int("max.poll.records")?,
            auto_offset_reset: s.reset("auto.offset.reset")?,
            isolation_level: s.choice("isolation.level")?,
            check_crcs: s.bool("check.crcs")?,
            exclude_internal_topics: s.bool("exclude.internal.topics")?,
            fetch_memory_bytes: s.size("fetch.memory.bytes")?,
            decompression_max_bytes: s.size("decompression.max.bytes")?,
            default_api_timeout: s.duration("default.api.timeout.ms")?,
        })
    }
}

impl AdminConfig {
    /// Reads an admin client's configuration from pairs of key and value.
    ///
    /// # Errors
    /// `CONFIG` for the first mistake found; the message names the key, the value and what is allowed.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut s = Settings::read(ClientKind::Admin, pairs)?;
        rules::common(&mut s)?;
        rules::admin(&mut s)?;
        Ok(AdminConfig {
            common: CommonConfig::read(&s)?,
            default_api_timeout: s.duration("default.api.timeout.ms")?,
            retries: s.int("retries")?,
        })
    }
}
