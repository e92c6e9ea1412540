//! Every mistake a user can make, with the whole message.

use super::super::*;
use super::B;
use crate::error::{ErrorCode, Result};

fn message<T>(result: Result<T>) -> String {
    let Err(error) = result else {
        panic!("accepted")
    };
    assert_eq!(error.code(), ErrorCode::CONFIG);
    error.message().to_owned()
}

/// The message of a producer with a good `bootstrap.servers` and these pairs.
fn producer(pairs: &[(&'static str, &'static str)]) -> String {
    message(ProducerConfig::from_pairs(
        [B].into_iter().chain(pairs.iter().copied()),
    ))
}

fn consumer(pairs: &[(&'static str, &'static str)]) -> String {
    message(ConsumerConfig::from_pairs(
        [B].into_iter().chain(pairs.iter().copied()),
    ))
}

fn admin(pairs: &[(&'static str, &'static str)]) -> String {
    message(AdminConfig::from_pairs(
        [B].into_iter().chain(pairs.iter().copied()),
    ))
}

#[test]
fn misspelt_key() {
    assert_eq!(
        producer(&[("linger.mss", "5")]),
        "`linger.mss` is not a known key: did you mean `linger.ms`?"
    );
    for variant in ["linger_ms", "Linger.MS", " linger.ms", "linger-ms"] {
        assert_eq!(
            message(ProducerConfig::from_pairs([B, (variant, "5")])),
            format!("`{variant}` is not a known key: did you mean `linger.ms`?")
        );
    }
    assert_eq!(
        message(ProducerConfig::from_pairs([("bootstrap.server", "h:1")])),
        "`bootstrap.server` is not a known key: did you mean `bootstrap.servers`?"
    );
    assert_eq!(
        producer(&[("queue.bufering.max.ms", "5")]),
        "`queue.bufering.max.ms` is not a known key: did you mean `queue.buffering.max.ms`?"
    );
    assert_eq!(
        consumer(&[("lingerms", "5")]),
        "`lingerms` is not a known key: did you mean `linger.ms` (a key of the producer, and this \
         is a consumer)?"
    );
    assert_eq!(
        producer(&[("favourite.colour", "blue")]),
        "`favourite.colour` is not a known key, and none is like it; docs/configuration.md lists them all"
    );
    assert_eq!(producer(&[("", "5")]), "a configuration key is empty");
    assert_eq!(producer(&[("  ", "5")]), "a configuration key is empty");
}

#[test]
fn keys_of_other_clients_without_a_counterpart() {
    assert_eq!(
        producer(&[("key.serializer", "org.example.S")]),
        "`key.serializer` is not a key of Ottla: keys are bytes here: serialize before sending"
    );
    assert_eq!(
        producer(&[("batch.num.messages", "1000")]),
        "`batch.num.messages` is not a key of Ottla: batches are bounded by bytes alone: set `batch.size`"
    );
}

#[test]
fn wrong_type() {
    assert_eq!(
        producer(&[("linger.ms", "soon")]),
        "`linger.ms` is set to `soon`, which is not a duration: give milliseconds as a plain number (`5`), or a number \
         with a unit (`5ms`, `1.5s`, `2min`, `1h`)"
    );
    assert_eq!(
        producer(&[("max.block.ms", "")]),
        "`max.block.ms` is set to ``, which is not a duration: give milliseconds as a plain number (`5`), or a number \
         with a unit (`5ms`, `1.5s`, `2min`, `1h`), or `inf`"
    );
    assert_eq!(
        producer(&[("buffer.memory", "64M")]),
        "`buffer.memory` is set to `64M`, which is not a size: give bytes as a plain number (`1000`), or a number with a \
         unit (`64kB` is 64000, `64MB` 64 million, `64KiB` 65536, `64MiB` 67108864 bytes)"
    );
    assert_eq!(
        producer(&[("enable.idempotence", "yes")]),
        "`enable.idempotence` is set to `yes`, which is not a boolean: give `true` or `false`"
    );
    assert_eq!(
        consumer(&[("max.poll.records", "many")]),
        "`max.poll.records` is set to `many`, which is not a whole number: 1 to 2147483647 are allowed"
    );
    assert_eq!(
        producer(&[("batch.size", "1.5")]),
        "`batch.size` is set to `1.5`, which is not a whole number of bytes"
    );
    assert_eq!(
        producer(&[("queue.buffering.max.ms", "x\ny")]),
        "`queue.buffering.max.ms` (another name of `linger.ms`) is set to `x\\ny`, which is not a duration: give \
         milliseconds as a plain number (`5`), or a number with a unit (`5ms`, `1.5s`, `2min`, `1h`)"
    );
}

#[test]
fn out_of_range() {
    assert_eq!(
        producer(&[("linger.ms", "-5")]),
        "`linger.ms` is set to `-5`, which is out of range: 0 ms and more are allowed"
    );
    assert_eq!(
        producer(&[("request.timeout.ms", "30d")]),
        "`request.timeout.ms` is set to `30d`, which is out of range: 1 ms to 2147483647 ms are allowed"
    );
    assert_eq!(
        producer(&[("max.block.ms", "-2")]),
        "`max.block.ms` is set to `-2`, which is out of range: 0 ms and more, or `inf`, are allowed"
    );
    assert_eq!(
        producer(&[("max.in.flight.requests.per.connection", "0")]),
        "`max.in.flight.requests.per.connection` is set to `0`, which is out of range: 1 to 1000000 are allowed"
    );
    assert_eq!(
        producer(&[("batch.size", "3GiB")]),
        "`batch.size` is set to `3GiB`, which is out of range: 1 to 2147483647 bytes are allowed"
    );
    assert_eq!(
        producer(&[("buffer.memory", "0")]),
        "`buffer.memory` is set to `0`, which is out of range: 65536 and more bytes are allowed"
    );
    assert_eq!(
        producer(&[("queue.buffering.max.kbytes", "1")]),
        "`queue.buffering.max.kbytes` (another name of `buffer.memory`) is set to `1`, which is out of range: 65536 and more \
         bytes are allowed"
    );
    assert_eq!(
        producer(&[("compression.gzip.level", "0")]),
        "`compression.gzip.level` is set to `0`, which is out of range: 1 to 9, or -1, are allowed"
    );
    assert_eq!(
        producer(&[("compression.lz4.level", "18")]),
        "`compression.lz4.level` is set to `18`, which is out of range: 1 to 17 are allowed"
    );
    assert_eq!(
        producer(&[("send.buffer.bytes", "-2")]),
        "`send.buffer.bytes` is set to `-2`, which is out of range: -1 (the operating system decides), 0 to 2147483647 \
         bytes are allowed"
    );
}

#[test]
fn bootstrap_servers() {
    let servers = |text| message(ProducerConfig::from_pairs([("bootstrap.servers", text)]));
    assert_eq!(
        message(ProducerConfig::from_pairs([])),
        "`bootstrap.servers` is not set: give at least one broker as host:port, for example `localhost:9092`"
    );
    assert_eq!(
        servers(""),
        "`bootstrap.servers` is empty: give at least one broker as host:port, for example `localhost:9092`"
    );
    assert_eq!(
        servers("localhost:99999"),
        "`bootstrap.servers` has the entry `localhost:99999` with port `99999`: ports are 1 to 65535"
    );
    assert_eq!(
        message(AdminConfig::from_pairs([("metadata.broker.list", "h:0")])),
        "`metadata.broker.list` (another name of `bootstrap.servers`) has the entry `h:0` with port `0`: ports are 1 to 65535"
    );
}

#[test]
fn a_key_of_another_client() {
    assert_eq!(
        producer(&[("auto.offset.reset", "latest")]),
        "`auto.offset.reset` is a key of the consumer, and this is a producer: remove it"
    );
    assert_eq!(
        consumer(&[("linger.ms", "1")]),
        "`linger.ms` is a key of the producer, and this is a consumer: remove it"
    );
    assert_eq!(
        admin(&[("allow.auto.create.topics", "true")]),
        "`allow.auto.create.topics` is a key of the producer and the consumer, and this is an admin client: remove it"
    );
}

#[test]
fn twice() {
    assert_eq!(
        producer(&[("linger.ms", "1"), ("linger.ms", "1")]),
        "`linger.ms` is set twice: keep one"
    );
    assert_eq!(
        producer(&[("queue.buffering.max.ms", "1"), ("linger.ms", "1")]),
        "`queue.buffering.max.ms` and `linger.ms` are two names of one key: keep one"
    );
    assert_eq!(
        producer(&[("metadata.broker.list", "h:1")]),
        "`bootstrap.servers` and `metadata.broker.list` are two names of one key: keep one"
    );
}

#[test]
fn unknown_choice() {
    assert_eq!(
        producer(&[("compression.type", "lz5")]),
        "`compression.type` is set to `lz5`, which is not one of its values: none, gzip, snappy, lz4, zstd are allowed; \
         did you mean `lz4`?"
    );
    assert_eq!(
        consumer(&[("auto.offset.reset", "oldest")]),
        "`auto.offset.reset` is set to `oldest`, which is not one of its values: earliest, latest, none are allowed, and by_duration:<duration>"
    );
    assert_eq!(
        producer(&[("acks", "2")]),
        "`acks` is set to `2`, which is not one of its values: all, 1, 0 are allowed"
    );
}

#[test]
fn not_there_yet() {
    assert_eq!(
        producer(&[("transaction.two.phase.commit.enable", "true")]),
        "`transaction.two.phase.commit.enable` is known, but not there yet in this version: remove it"
    );
    assert_eq!(
        producer(&[("security.protocol", "SASL_SSL")]),
        "`security.protocol` is set to `SASL_SSL`, which is not there yet in this version: only PLAINTEXT is allowed"
    );
}

#[test]
fn groups() {
    assert_eq!(
        consumer(&[("group.instance.id", "a")]),
        "`group.instance.id` (a) needs a group: set `group.id`"
    );
    assert_eq!(
        consumer(&[
            ("group.id", "g"),
            ("heartbeat.interval.ms", "6s"),
            ("session.timeout.ms", "6000"),
        ]),
        "`heartbeat.interval.ms` (6s) is not less than `session.timeout.ms` (6000): lower `heartbeat.interval.ms`, to a \
         third or less, or raise `session.timeout.ms`"
    );
    assert_eq!(
        consumer(&[
            ("group.id", "g"),
            ("group.protocol", "consumer"),
            ("session.timeout.ms", "10s"),
        ]),
        "`session.timeout.ms` (10s) is only for group.protocol=classic, and `group.protocol` (consumer) is given: remove \
         one"
    );
    assert_eq!(
        consumer(&[
            ("group.id", "g"),
            ("group.remote.assignor", "range"),
            ("partition.assignment.strategy", "sticky"),
        ]),
        "`partition.assignment.strategy` (sticky) is only for group.protocol=classic, and `group.remote.assignor` (range) \
         is given: remove one"
    );
    assert_eq!(
        consumer(&[("partition.assignment.strategy", "range, stiky")]),
        "`partition.assignment.strategy` (range, stiky) has `stiky`, which is none of range, roundrobin, sticky, \
         cooperative-sticky; did you mean `sticky`?"
    );
    assert_eq!(
        consumer(&[("partition.assignment.strategy", "sticky,sticky")]),
        "`partition.assignment.strategy` (sticky,sticky) has `sticky` twice"
    );
}

#[test]
fn java_partitioner_classes() {
    assert_eq!(
        producer(&[("partitioner.class", "com.example.Mine")]),
        "`partitioner.class` (another name of `partitioner`) is set to `com.example.Mine`, which is a class of Java, which \
         cannot be loaded here: set `partitioner`, or give records explicit partitions"
    );
}

#[test]
fn secrets_are_never_shown() {
    for key in keys().filter(|key| key.secret) {
        let given = [B, (key.name, "hunter2")];
        let errors = [
            ProducerConfig::from_pairs(given).map(|_| ()),
            ConsumerConfig::from_pairs(given).map(|_| ()),
            AdminConfig::from_pairs(given).map(|_| ()),
        ];
        for error in errors.into_iter().map(|result| result.unwrap_err()) {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
    assert!(!producer(&[("sasl.pasword", "hunter2")]).contains("hunter2"));
    assert!(!producer(&[("linger.ms", "1"), ("sasl.password", "hunter2")]).contains("hunter2"));
}

#[test]
fn contradictions_name_both_keys_and_values() {
    assert_eq!(
        producer(&[("delivery.timeout.ms", "10s")]),
        "`delivery.timeout.ms` (10s) is less than `linger.ms` (5 ms, the default) plus `request.timeout.ms` \
         (30000 ms, the default): raise `delivery.timeout.ms`, or lower `request.timeout.ms` or `linger.ms`"
    );
    assert_eq!(
        producer(&[("acks", "1"), ("enable.idempotence", "true")]),
        "`enable.idempotence` (true) needs acks=all, but `acks` (1) is set: change one of them"
    );
    assert_eq!(
        producer(&[
            ("message.send.max.retries", "0"),
            ("enable.idempotence", "true")
        ]),
        "`enable.idempotence` (true) needs at least one retry, but `message.send.max.retries` (0) is set: change one of them"
    );
    assert_eq!(
        producer(&[("max.in.flight", "6")]),
        "`enable.idempotence` (true, the default) allows at most 5 requests in flight, but `max.in.flight` (6) is set: \
         change one of them"
    );
    assert_eq!(
        producer(&[("batch.size", "2MiB")]),
        "`batch.size` (2MiB) is more than `max.request.size` (1048576 bytes, the default): lower `batch.size` or raise \
         `max.request.size`"
    );
    assert_eq!(
        producer(&[("max.request.size", "1MB"), ("buffer.memory", "100kB")]),
        "`max.request.size` (1MB) is more than `buffer.memory` (100kB): lower `max.request.size` or raise `buffer.memory`"
    );
    assert_eq!(
        producer(&[("batch.size", "200kB"), ("buffer.memory", "100kB")]),
        "`batch.size` (200kB) is more than `max.request.size` (100000 bytes, adjusted): lower `batch.size` or raise \
         `max.request.size`"
    );
    assert_eq!(
        producer(&[
            ("reconnect.backoff.ms", "5s"),
            ("reconnect.backoff.max.ms", "2s")
        ]),
        "`reconnect.backoff.ms` (5s) is more than `reconnect.backoff.max.ms` (2s): lower `reconnect.backoff.ms` or raise \
         `reconnect.backoff.max.ms`"
    );
    assert_eq!(
        consumer(&[("fetch.max.wait.ms", "30s")]),
        "`fetch.max.wait.ms` (30s) is not less than `request.timeout.ms` (30000 ms, the default): lower `fetch.max.wait.ms` or \
         raise `request.timeout.ms`"
    );
    assert_eq!(
        consumer(&[
            ("fetch.max.bytes", "1MB"),
            ("receive.message.max.bytes", "1MB")
        ]),
        "`fetch.max.bytes` (1MB) plus 512 bytes of headers is more than `receive.message.max.bytes` (1MB): lower \
         `fetch.max.bytes` or raise `receive.message.max.bytes`"
    );
    assert_eq!(
        consumer(&[("fetch.min.bytes", "2MB"), ("fetch.max.bytes", "1MB")]),
        "`fetch.min.bytes` (2MB) is more than `fetch.max.bytes` (1MB): lower `fetch.min.bytes` or raise `fetch.max.bytes`"
    );
    assert_eq!(
        admin(&[
            ("request.timeout.ms", "10s"),
            ("default.api.timeout.ms", "5s")
        ]),
        "`request.timeout.ms` (10s) is more than `default.api.timeout.ms` (5s): lower `request.timeout.ms` or raise \
         `default.api.timeout.ms`"
    );
}

#[test]
fn long_and_odd_values_are_shortened() {
    let long = "x".repeat(10_000);
    let message = message(ProducerConfig::from_pairs([
        B,
        ("linger.ms", long.as_str()),
    ]));
    assert!(message.starts_with(&format!(
        "`linger.ms` is set to `{}…`, which",
        "x".repeat(100)
    )));
    let long_key = message_of_key(&long);
    assert!(long_key.len() < 250, "{long_key}");
}

fn message_of_key(key: &str) -> String {
    message(ProducerConfig::from_pairs([B, (key, "1")]))
}

#[test]
fn transactions_need_what_idempotence_needs() {
    let with = |key, value| producer(&[("transactional.id", "t"), (key, value)]);
    assert_eq!(
        with("enable.idempotence", "false"),
        "`transactional.id` (t) needs idempotence, but `enable.idempotence` (false) is set: change one of them"
    );
    assert_eq!(
        with("acks", "1"),
        "`transactional.id` (t) needs acks=all, but `acks` (1) is set: change one of them"
    );
    assert_eq!(
        with("retries", "0"),
        "`transactional.id` (t) needs at least one retry, but `retries` (0) is set: change one of them"
    );
    assert!(with("max.in.flight", "6").contains("at most 5 requests in flight"));
    assert!(with("transaction.timeout.ms", "0").contains("`transaction.timeout.ms`"));
}
