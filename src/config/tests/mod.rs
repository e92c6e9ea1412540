//! Every refusal with its whole message, every default, and the rules between keys.

mod reference;
mod refusals;

use std::collections::HashSet;
use std::time::Duration;

use super::*;

const B: (&str, &str) = ("bootstrap.servers", "localhost:9092");

fn producer(pairs: &[(&'static str, &'static str)]) -> ProducerConfig {
    ProducerConfig::from_pairs([B].into_iter().chain(pairs.iter().copied())).unwrap()
}

fn consumer(pairs: &[(&'static str, &'static str)]) -> ConsumerConfig {
    ConsumerConfig::from_pairs([B].into_iter().chain(pairs.iter().copied())).unwrap()
}

#[test]
fn defaults_of_every_client() {
    let ms = Duration::from_millis;
    let p = producer(&[]);
    assert_eq!(
        p.common.bootstrap_servers,
        [HostPort {
            host: "localhost".to_owned(),
            port: 9092
        }]
    );
    assert_eq!(p.common.client_id, "ottla");
    assert_eq!(p.common.client_rack, None);
    assert_eq!(p.common.request_timeout, ms(30_000));
    assert_eq!(p.common.connection_setup_timeout, ms(10_000));
    assert_eq!(p.common.connection_setup_timeout_max, ms(30_000));
    assert_eq!(p.common.reconnect_backoff, ms(50));
    assert_eq!(p.common.reconnect_backoff_max, ms(1000));
    assert_eq!(p.common.retry_backoff, ms(100));
    assert_eq!(p.common.retry_backoff_max, ms(1000));
    assert_eq!(p.common.send_buffer_bytes, None);
    assert_eq!(p.common.receive_buffer_bytes, None);
    assert_eq!(p.common.receive_message_max_bytes, 104_857_600);
    assert!(p.common.allow_auto_create_topics);
    assert_eq!(p.common.log_level, Some(crate::log::Level::Info));
    assert!(p.common.notes.is_empty(), "{:?}", p.common.notes);
    assert_eq!(p.acks, Acks::All);
    assert!(p.enable_idempotence);
    assert_eq!(p.linger, ms(5));
    assert_eq!(p.batch_size, 1_000_000);
    assert_eq!(p.max_request_size, 1_048_576);
    assert_eq!(p.buffer_memory, 64 << 20);
    assert_eq!(p.max_block, ms(60_000));
    assert_eq!(p.max_in_flight, 5);
    assert_eq!(p.compression, Compression::None);
    assert_eq!(p.compression_gzip_level, -1);
    assert_eq!(p.compression_zstd_level, 3);
    assert_eq!(p.compression_level(), None);
    assert_eq!(p.delivery_timeout, ms(120_000));
    assert_eq!(p.retries, 2_147_483_647);
    assert_eq!(p.partitioner, Partitioner::Default);
    assert!(!p.partitioner_ignore_keys && p.partitioner_adaptive && !p.partitioner_rack_aware);
    assert_eq!(p.partitioner_availability_timeout, ms(0));
    assert_eq!(p.metadata_max_idle, ms(300_000));

    let c = consumer(&[]);
    assert!(c.common.notes.is_empty(), "{:?}", c.common.notes);
    assert_eq!(c.group_id, None);
    let java = "org.apache.kafka.clients.consumer.";
    let strategies = format!("{java}StickyAssignor, {java}RangeAssignor");
    let c = ConsumerConfig::from_pairs([
        ("bootstrap.servers", "h"),
        ("session.timeout.ms", "1500"),
        ("partition.assignment.strategy", &strategies),
    ])
    .unwrap();
    assert_eq!(c.assignors, [Assignor::Sticky, Assignor::Range]);
    assert_eq!(c.heartbeat_interval, Duration::from_millis(500));
    assert_eq!(c.fetch_min_bytes, 1);
    assert_eq!(c.fetch_max_bytes, 50 << 20);
    assert_eq!(c.fetch_max_wait, ms(500));
    assert_eq!(c.max_partition_fetch_bytes, 1 << 20);
    assert_eq!(c.max_poll_records, 10_000);
    assert_eq!(c.auto_offset_reset, AutoOffsetReset::Latest);
    assert_eq!(c.isolation_level, IsolationLevel::ReadUncommitted);
    assert!(c.check_crcs && c.exclude_internal_topics);
    assert_eq!(c.fetch_memory_bytes, 64 << 20);
    assert_eq!(c.decompression_max_bytes, 256 << 20);
    assert_eq!(c.default_api_timeout, ms(60_000));

    let a = AdminConfig::from_pairs([B]).unwrap();
    assert_eq!(a.default_api_timeout, ms(60_000));
    assert_eq!(a.retries, 2_147_483_647);
    assert!(!a.common.allow_auto_create_topics);
}

#[test]
fn other_names_and_units() {
    let p = producer(&[
        ("queue.buffering.max.ms", "0.5"),
        ("request.required.acks", "-1"),
        ("compression.codec", "zstd"),
        ("compression.zstd.level", "19"),
        ("compression.lz4.level", "9"),
        ("compression.gzip.level", "-1"),
        ("message.max.bytes", "4MiB"),
        ("queue.buffering.max.kbytes", "131072"),
        ("message.timeout.ms", "0"),
        ("max.in.flight", "3"),
        ("message.send.max.retries", "7"),
        (
            "partitioner.class",
            "org.apache.kafka.clients.producer.RoundRobinPartitioner",
        ),
        ("socket.send.buffer.bytes", "0"),
        ("socket.receive.buffer.bytes", "64KiB"),
        ("socket.timeout.ms", "1min"),
        ("topic.metadata.refresh.interval.ms", "-1"),
        ("connections.max.idle.ms", "0"),
        ("client.rack", "a1"),
        ("log.level", "off"),
    ]);
    assert_eq!(p.linger, Duration::from_micros(500));
    assert_eq!(p.acks, Acks::All);
    assert_eq!(p.compression, Compression::Zstd);
    assert_eq!(p.compression_level(), Some(19));
    assert_eq!(p.max_request_size, 4 << 20);
    assert_eq!(p.buffer_memory, 128 << 20);
    assert_eq!(p.delivery_timeout, FOREVER);
    assert_eq!((p.max_in_flight, p.retries), (3, 7));
    assert_eq!(p.partitioner, Partitioner::RoundRobin);
    assert_eq!(p.common.send_buffer_bytes, None);
    assert_eq!(p.common.receive_buffer_bytes, Some(65536));
    assert_eq!(p.common.request_timeout, Duration::from_secs(60));
    assert_eq!(p.common.metadata_max_age, FOREVER);
    assert_eq!(p.common.connections_max_idle, FOREVER);
    assert_eq!(p.common.client_rack.as_deref(), Some("a1"));
    assert_eq!(p.common.log_level, None);

    let c = ConsumerConfig::from_pairs([
        ("metadata.broker.list", "h1:1,h2:2"),
        ("fetch.message.max.bytes", "2MB"),
        ("fetch.wait.max.ms", "100ms"),
        ("queued.max.messages.kbytes", "65536"),
        ("auto.offset.reset", "smallest"),
        ("isolation.level", "read_committed"),
        ("group.id", ""),
        ("enable.auto.commit", "false"),
        ("security.protocol", "plaintext"),
    ])
    .unwrap();
    assert_eq!(c.common.bootstrap_servers.len(), 2);
    assert_eq!(c.max_partition_fetch_bytes, 2_000_000);
    assert_eq!(c.fetch_max_wait, Duration::from_millis(100));
    assert_eq!(c.fetch_memory_bytes, 64 << 20);
    assert_eq!(c.auto_offset_reset, AutoOffsetReset::Earliest);
    assert_eq!(c.isolation_level, IsolationLevel::ReadCommitted);
    assert_eq!(c.group_id, None);
}

#[test]
fn every_choice_reads_as_itself() {
    for (word, value) in [
        ("all", Acks::All),
        ("-1", Acks::All),
        ("1", Acks::Leader),
        ("0", Acks::None),
    ] {
        assert_eq!(producer(&[("acks", word)]).acks, value);
    }
    assert_eq!(
        [Acks::All, Acks::Leader, Acks::None].map(Acks::wire),
        [-1, 1, 0]
    );
    for level in ["off", "error", "warn", "info", "debug", "trace"] {
        let read = producer(&[("log.level", level)]).common.log_level;
        assert_eq!(read.map_or("off", crate::log::Level::name), level);
    }
    for key in keys() {
        let Kind::Choice(choices) = key.kind else {
            continue;
        };
        for choice in choices.iter().filter(|choice| !choice.not_yet) {
            let pairs = [B, (key.name, choice.name)];
            let value = if key.clients.contains(ClientKind::Producer) {
                let p = ProducerConfig::from_pairs(pairs).unwrap();
                match key.name {
                    "compression.type" => p.compression.name(),
                    "partitioner" => p.partitioner.name(),
                    "acks" => p.acks.name(),
                    "client.dns.lookup" => p.common.client_dns_lookup.name(),
                    "broker.address.family" => p.common.broker_address_family.name(),
                    _ => choice.name,
                }
            } else if key.clients == Clients::SHARE_CONSUMER {
                let pairs = pairs.into_iter().chain([("group.id", "workers")]);
                let c = ShareConfig::from_pairs(pairs).unwrap();
                match key.name {
                    "share.acknowledgement.mode" => c.acknowledgement.name(),
                    "share.acquire.mode" => c.acquire.name(),
                    _ => choice.name,
                }
            } else {
                let c = ConsumerConfig::from_pairs(pairs).unwrap();
                match key.name {
                    "isolation.level" => c.isolation_level.name(),
                    _ => choice.name,
                }
            };
            assert_eq!(value, choice.name, "{}", key.name);
        }
    }
}

#[test]
fn idempotence_gives_way_unless_asked_for() {
    for pair in [("acks", "1"), ("acks", "0"), ("retries", "0")] {
        let p = producer(&[pair]);
        assert!(!p.enable_idempotence);
        let [note] = p.common.notes.as_slice() else {
            panic!("{:?}", p.common.notes)
        };
        assert!(
            note.starts_with("`enable.idempotence` is off, because"),
            "{note}"
        );
    }
    let p = producer(&[
        ("enable.idempotence", "false"),
        ("acks", "1"),
        ("max.in.flight", "10"),
    ]);
    assert!(!p.enable_idempotence && p.common.notes.is_empty());
    assert!(
        producer(&[("acks", "all"), ("retries", "1"), ("max.in.flight", "5")]).enable_idempotence
    );
}

#[test]
fn defaults_give_way_with_a_note() {
    let p = producer(&[("request.timeout.ms", "5min")]);
    assert_eq!(p.delivery_timeout, Duration::from_millis(300_005));
    assert_eq!(
        p.common.notes,
        [
            "`delivery.timeout.ms` (120000 ms, the default) is less than `linger.ms` (5 ms, the default) plus \
          `request.timeout.ms` (5min): `delivery.timeout.ms` is raised to their sum"
        ]
    );
    let p = producer(&[("buffer.memory", "100kB")]);
    assert_eq!((p.max_request_size, p.batch_size), (100_000, 100_000));
    assert_eq!(p.common.notes.len(), 2);
    let p = producer(&[("max.request.size", "16KiB")]);
    assert_eq!(p.batch_size, 16_384);
    let p = producer(&[("reconnect.backoff.ms", "3s")]);
    assert_eq!(p.common.reconnect_backoff_max, Duration::from_secs(3));
    let p = producer(&[("reconnect.backoff.max.ms", "20")]);
    assert_eq!(p.common.reconnect_backoff, Duration::from_millis(20));
    let c = consumer(&[("fetch.max.bytes", "200MiB")]);
    assert_eq!(c.common.receive_message_max_bytes, (200 << 20) + 512);
    let c = consumer(&[("receive.message.max.bytes", "1MiB")]);
    assert_eq!(c.fetch_max_bytes, (1 << 20) - 512);
    let c = consumer(&[("request.timeout.ms", "400")]);
    assert_eq!(c.fetch_max_wait, Duration::from_millis(200));
    assert_eq!(
        consumer(&[("default.api.timeout.ms", "5s")])
            .common
            .request_timeout
            .as_secs(),
        30
    );
    let a = AdminConfig::from_pairs([B, ("request.timeout.ms", "2min")]).unwrap();
    assert_eq!(a.default_api_timeout, Duration::from_secs(120));
}

#[test]
fn the_table_is_consistent() {
    let mut names = HashSet::new();
    for key in keys() {
        for name in std::iter::once(key.name).chain(key.aliases.iter().map(|alias| alias.name)) {
            assert!(names.insert(name), "{name} stands twice");
        }
        assert!(
            !key.doc.is_empty() && key.doc.ends_with('.'),
            "{}",
            key.name
        );
        assert!(key.clients.iter().next().is_some(), "{}", key.name);
        let required = key.name == "bootstrap.servers";
        let not_yet = matches!(key.kind, Kind::NotYet);
        assert_eq!(key.default.is_none(), required || not_yet, "{}", key.name);
    }
    for (foreign, _) in table::FOREIGN {
        assert!(names.insert(foreign), "{foreign} is a key and foreign");
    }
}

/// A user who writes down a default must get what a user who says nothing gets.
#[test]
fn every_default_is_accepted_when_given() {
    for key in keys() {
        let Some(default) = key.default else { continue };
        let pairs = [B, (key.name, default)];
        for client in key.clients.iter() {
            let same = match client {
                ClientKind::Producer => {
                    format!("{:?}", ProducerConfig::from_pairs(pairs))
                        == format!("{:?}", ProducerConfig::from_pairs([B]))
                }
                ClientKind::Consumer => {
                    format!("{:?}", ConsumerConfig::from_pairs(pairs))
                        == format!("{:?}", ConsumerConfig::from_pairs([B]))
                }
                ClientKind::Admin => {
                    format!("{:?}", AdminConfig::from_pairs(pairs))
                        == format!("{:?}", AdminConfig::from_pairs([B]))
                }
                ClientKind::ShareConsumer => {
                    // Its group is required, and its own number of records has another default.
                    let group = ("group.id", "workers");
                    let with = match key.name {
                        "group.id" | "max.poll.records" => vec![B, group],
                        _ => vec![B, group, (key.name, default)],
                    };
                    format!("{:?}", ShareConfig::from_pairs(with))
                        == format!("{:?}", ShareConfig::from_pairs([B, group]))
                }
            };
            assert!(same, "{} for {client}", key.name);
        }
    }
}
