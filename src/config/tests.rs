//! Every refusal with its whole message, every default, and the rules between keys.

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
    assert_eq!(p.common.bootstrap_servers, [HostPort { host: "localhost".to_owned(), port: 9092 }]);
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
    assert_eq!(p.compression_lz4_level, 9);
    assert_eq!(p.compression_zstd_level, 3);
    assert_eq!(p.delivery_timeout, ms(120_000));
    assert_eq!(p.retries, 2_147_483_647);
    assert_eq!(p.partitioner, Partitioner::Default);
    assert!(!p.partitioner_ignore_keys && p.partitioner_adaptive);
    assert_eq!(p.partitioner_availability_timeout, ms(0));
    assert_eq!(p.metadata_max_idle, ms(300_000));

    let c = consumer(&[]);
    assert!(c.common.notes.is_empty(), "{:?}", c.common.notes);
    assert_eq!(c.group_id, None);
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
