//! The producer against the embedded broker: what is accepted ends exactly once, in order, with the truth told.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use ottla::config::{ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::producer::{Completion, Outcome, Producer, Record, Wait, partitioner};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};

const LIMIT: Duration = Duration::from_secs(30);

fn broker(nodes: usize) -> Broker {
    Broker::start(BrokerOptions::new().nodes(nodes)).unwrap()
}

fn producer(broker: &Broker, more: &[(&str, &str)]) -> Producer {
    let servers = broker.bootstrap_servers();
    let pairs = [("bootstrap.servers", servers.as_str())]
        .into_iter()
        .chain(more.iter().copied());
    Producer::new(ProducerConfig::from_pairs(pairs).unwrap()).unwrap()
}

/// Drains completions until `records` have ended.
fn ends(producer: &Producer, records: u64) -> Vec<Completion> {
    let by = Instant::now() + LIMIT;
    let mut out = Vec::new();
    let count = |c: &[Completion]| c.iter().map(|c| u64::from(c.count)).sum::<u64>();
    while count(&out) < records {
        assert!(Instant::now() < by, "{} of {records} ended", count(&out));
        producer
            .completions(1000, Duration::from_millis(200), &mut out)
            .unwrap();
    }
    assert_eq!(count(&out), records, "no record ends twice");
    out
}

/// Every value of a topic, by partition, in order.
fn values(broker: &Broker, topic: &str, partitions: i32) -> Vec<Vec<Vec<u8>>> {
    let servers = broker.bootstrap_servers();
    let config = ConsumerConfig::from_pairs([("bootstrap.servers", servers.as_str())]).unwrap();
    let consumer = Consumer::new(config).unwrap();
    let wanted: Vec<(&str, i32, Start)> = (0..partitions)
        .map(|p| (topic, p, Start::Earliest))
        .collect();
    consumer.assign(&wanted).unwrap();
    let total: i64 = (0..partitions)
        .map(|p| broker.offsets(topic, p).unwrap().unwrap().1)
        .sum();
    let mut out = vec![Vec::new(); partitions as usize];
    let by = Instant::now() + LIMIT;
    let mut got = 0;
    while got < total {
        assert!(Instant::now() < by, "{got} of {total} read");
        if let Polled::Batch(batch) = consumer.poll(0, Duration::from_millis(200)).unwrap() {
            for record in batch.iter() {
                out[record.partition() as usize].push(record.value().unwrap().to_vec());
                got += 1;
            }
        }
    }
    out
}

fn numbered(n: usize) -> (Vec<u8>, Vec<i32>) {
    let mut blob = Vec::new();
    let lengths = (0..n)
        .map(|i| {
            let value = format!("value-{i:08}");
            blob.extend_from_slice(value.as_bytes());
            value.len() as i32
        })
        .collect();
    (blob, lengths)
}

/// Sends `n` numbered values as one column call.
fn send_column(producer: &Producer, topic: &str, partition: Option<i32>, n: usize, token: u64) {
    let (blob, lengths) = numbered(n);
    let mut starts = Vec::new();
    let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
    let records = Records::new(
        n,
        Bytes::Null,
        values,
        None,
        Timestamps::One(1_700_000_000_000),
    )
    .unwrap();
    let (accepted, result) = producer.send_batch(topic, partition, &records, token, Wait::MaxBlock);
    result.unwrap();
    assert_eq!(accepted, n);
}

fn assert_numbered(values: &[Vec<u8>], n: usize) {
    assert_eq!(values.len(), n);
    for (i, value) in values.iter().enumerate() {
        assert_eq!(value, format!("value-{i:08}").as_bytes(), "at offset {i}");
    }
}

#[test]
fn completions_tell_every_records_place() {
    let broker = broker(1);
    broker.create_topic("t", 3, &[]).unwrap();
    let p = producer(&broker, &[("batch.size", "2000")]);
    // Keys spread the rows of one call over partitions: completions come back by indices.
    let n = 1000;
    let (blob, lengths) = numbered(n);
    let (mut s1, mut s2) = (Vec::new(), Vec::new());
    let column = |starts| Bytes::Blob(Blob::new("values", &blob, &lengths, starts).unwrap());
    let records = Records::new(
        n,
        column(&mut s1),
        column(&mut s2),
        None,
        Timestamps::One(7),
    )
    .unwrap();
    let (accepted, result) = p.send_batch("t", None, &records, 42, Wait::MaxBlock);
    result.unwrap();
    assert_eq!(accepted, n);
    let done = ends(&p, n as u64);
    let stored = values(&broker, "t", 3);
    let mut seen = vec![false; n];
    for c in &done {
        assert_eq!((c.token, c.outcome, c.timestamp), (42, Outcome::Written, 7));
        assert!(c.error.is_none());
        for k in 0..c.count {
            let row = c.indices.as_ref().map_or(c.first + k, |i| i[k as usize]) as usize;
            assert!(!std::mem::replace(&mut seen[row], true), "row {row} twice");
            let want = format!("value-{row:08}");
            let offset = (c.base_offset + i64::from(k)) as usize;
            assert_eq!(stored[c.partition as usize][offset], want.as_bytes());
            let hash = partitioner::murmur2(want.as_bytes()) & 0x7fff_ffff;
            assert_eq!(c.partition, (hash % 3) as i32);
        }
    }
    assert!(seen.iter().all(|s| *s));
    p.close(LIMIT).unwrap();
}

#[test]
fn single_records_keep_their_order_and_tokens() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(&broker, &[("batch.size", "1000"), ("linger.ms", "1")]);
    for i in 0..500u64 {
        let value = format!("value-{i:08}");
        let record = Record {
            topic: "t",
            value: Some(value.as_bytes()),
            token: i + 1,
            ..Default::default()
        };
        p.send(&record, Wait::MaxBlock).unwrap();
    }
    let done = ends(&p, 500);
    for c in &done {
        assert_eq!(c.base_offset, c.token as i64 - 1);
    }
    assert_numbered(&values(&broker, "t", 1)[0], 500);
    p.close(LIMIT).unwrap();
}

#[test]
fn records_leave_within_linger_without_another_call() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(&broker, &[("linger.ms", "20")]);
    p.connect(LIMIT).unwrap();
    let record = Record {
        topic: "t",
        value: Some(b"x"),
        token: 1,
        ..Default::default()
    };
    p.send(&record, Wait::MaxBlock).unwrap();
    ends(&p, 1);
    // An idle partition that wakes again needs the I/O thread to be woken for its new deadline.
    std::thread::sleep(Duration::from_millis(60));
    p.send(&record, Wait::MaxBlock).unwrap();
    ends(&p, 1);
    p.close(LIMIT).unwrap();
}

#[test]
fn every_codec_arrives() {
    let broker = broker(1);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        broker.create_topic(codec, 1, &[]).unwrap();
        let p = producer(
            &broker,
            &[("compression.type", codec), ("batch.size", "20000")],
        );
        send_column(&p, codec, None, 5000, 0);
        p.close(LIMIT).unwrap();
        assert_numbered(&values(&broker, codec, 1)[0], 5000);
    }
}

#[test]
fn records_for_a_topic_that_appears_later_wait_for_it() {
    let broker = broker(1);
    let p = producer(&broker, &[]);
    send_column(&p, "late", None, 300, 9);
    let record = Record {
        topic: "late",
        partition: Some(1),
        value: Some(b"own"),
        token: 10,
        ..Default::default()
    };
    p.send(&record, Wait::MaxBlock).unwrap();
    let mut out = Vec::new();
    assert_eq!(
        p.completions(10, Duration::from_millis(300), &mut out)
            .unwrap(),
        0
    );
    broker.create_topic("late", 2, &[]).unwrap();
    let done = ends(&p, 301);
    assert!(done.iter().all(|c| c.outcome == Outcome::Written));
    assert!(done.iter().any(|c| c.token == 10 && c.partition == 1));
    let stored = values(&broker, "late", 2);
    assert_eq!(stored[0].len() + stored[1].len(), 301);
    p.close(LIMIT).unwrap();
}

#[test]
fn a_buffer_filled_before_the_topic_is_known_leaves_in_full_batches() {
    let broker = broker(1);
    let p = producer(
        &broker,
        &[("buffer.memory", "1000000"), ("batch.size", "16384")],
    );
    let value = vec![b'x'; 1000];
    let mut sent = 0;
    // Partitions in turns, so that each of them has a little of every batch that waits.
    while p
        .send(
            &Record {
                topic: "late",
                partition: Some(sent as i32 % 8),
                value: Some(&value),
                token: 1,
                ..Default::default()
            },
            Wait::UpTo(Duration::ZERO),
        )
        .is_ok()
    {
        sent += 1;
        assert!(sent < 2000, "the buffer never filled");
    }
    assert!(sent > 100, "{sent} records filled the buffer");
    broker.create_topic("late", 8, &[]).unwrap();
    ends(&p, sent);
    // A request has a batch of each partition at most; 16 records fill one.
    let requests = broker.requests_seen(None, api_key::PRODUCE).unwrap();
    let full = sent / 8 / 16 + 1;
    assert!(
        requests <= 2 * full,
        "{sent} records in {requests} requests"
    );
    p.close(LIMIT).unwrap();
}

#[test]
fn an_unknown_topic_is_named_with_what_to_do() {
    let broker = broker(1);
    let p = producer(&broker, &[("max.block.ms", "400")]);
    let record = Record {
        topic: "nowhere",
        value: Some(b"x"),
        token: 5,
        ..Default::default()
    };
    p.send(&record, Wait::MaxBlock).unwrap();
    let done = ends(&p, 1);
    assert_eq!(done[0].outcome, Outcome::NotWritten);
    let error = done[0].error.clone().unwrap();
    assert_eq!(error.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    for part in [
        "topic 'nowhere' does not exist",
        &broker.bootstrap_servers(),
        "create it",
        "spelling",
    ] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    // Now it is known: the next call says so at once.
    let error = p.send(&record, Wait::MaxBlock).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    // An illegal name needs no broker to be refused.
    let error = p
        .send(
            &Record {
                topic: "a b",
                ..record
            },
            Wait::MaxBlock,
        )
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert!(error.message().contains("'a b'"), "{error}");
    // Without a token the failure is told by flush.
    p.close(LIMIT).unwrap();
}

#[test]
fn a_partition_that_is_not_there_is_refused() {
    let broker = broker(1);
    broker.create_topic("t", 2, &[]).unwrap();
    let p = producer(&broker, &[]);
    let record = Record {
        topic: "t",
        partition: Some(1),
        value: Some(b"x"),
        ..Default::default()
    };
    p.send(&record, Wait::MaxBlock).unwrap();
    p.flush(LIMIT).unwrap();
    let error = p
        .send(
            &Record {
                partition: Some(2),
                ..record
            },
            Wait::MaxBlock,
        )
        .unwrap_err();
    assert_eq!(
        error.message(),
        "topic 't' has no partition 2: it has 2, numbered from 0"
    );
    p.close(LIMIT).unwrap();
}

#[test]
fn a_record_too_large_is_refused_here_or_told_by_the_broker() {
    let broker = broker(1);
    broker
        .create_topic("t", 1, &[("max.message.bytes", "2000")])
        .unwrap();
    let p = producer(
        &broker,
        &[("max.request.size", "10000"), ("batch.size", "10000")],
    );
    let big = vec![b'x'; 20_000];
    let record = Record {
        topic: "t",
        value: Some(&big),
        ..Default::default()
    };
    let error = p.send(&record, Wait::MaxBlock).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RECORD_TOO_LARGE);
    for part in ["topic 't'", "20097 bytes", "max.request.size=10000"] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    // A batch above the topic's limit is split; only the record that can't fit alone fails.
    for i in 0..20u64 {
        let value = vec![b'a' + i as u8; if i == 7 { 3000 } else { 500 }];
        let record = Record {
            topic: "t",
            value: Some(&value),
            token: i + 1,
            ..Default::default()
        };
        p.send(&record, Wait::MaxBlock).unwrap();
    }
    let done = ends(&p, 20);
    for c in &done {
        let want = if c.token == 8 {
            Outcome::NotWritten
        } else {
            Outcome::Written
        };
        assert_eq!(c.outcome, want, "{c:?}");
    }
    let error = done.iter().find_map(|c| c.error.clone()).unwrap();
    assert_eq!(error.code(), ErrorCode::MESSAGE_TOO_LARGE);
    for part in ["t-0", "30", "max.message.bytes"] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    let stored = &values(&broker, "t", 1)[0];
    let firsts: Vec<u8> = stored.iter().map(|v| v[0] - b'a').collect();
    assert_eq!(firsts, (0..20).filter(|i| *i != 7).collect::<Vec<u8>>());
    p.close(LIMIT).unwrap();
}

#[test]
fn a_full_buffer_answers_again_or_waits() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(
        &broker,
        &[
            ("buffer.memory", "200000"),
            ("batch.size", "16384"),
            ("max.request.size", "50000"),
            ("linger.ms", "0"),
        ],
    );
    let value = vec![b'x'; 1000];
    let record = Record {
        topic: "t",
        value: Some(&value),
        ..Default::default()
    };
    p.send(&record, Wait::MaxBlock).unwrap();
    p.flush(LIMIT).unwrap();
    broker.pause_node(1).unwrap();
    let mut sent = 1u64;
    let error = loop {
        match p.send(&record, Wait::UpTo(Duration::ZERO)) {
            Ok(()) => sent += 1,
            Err(e) => break e,
        }
        assert!(sent < 1000, "the buffer never filled");
    };
    assert_eq!(error.code(), ErrorCode::AGAIN);
    assert!(error.message().contains("buffer.memory=200000"), "{error}");
    assert!(
        p.counts().buffered_bytes <= 200_000 + 32_768,
        "{:?}",
        p.counts()
    );
    let error = p
        .send(&record, Wait::UpTo(Duration::from_millis(50)))
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::BUFFER_FULL);
    // A caller that waits gets in when room comes.
    let p = Arc::new(p);
    let waiter = {
        let p = p.clone();
        std::thread::spawn(move || {
            let value = vec![b'y'; 1000];
            p.send(
                &Record {
                    topic: "t",
                    value: Some(&value),
                    ..Default::default()
                },
                Wait::UpTo(LIMIT),
            )
        })
    };
    std::thread::sleep(Duration::from_millis(50));
    broker.resume_node(1).unwrap();
    waiter.join().unwrap().unwrap();
    p.flush(LIMIT).unwrap();
    assert_eq!(broker.offsets("t", 0).unwrap().unwrap().1, sent as i64 + 1);
    assert_eq!(p.counts().buffered_bytes, 0);
    p.close(LIMIT).unwrap();
}

/// Sends numbered records while a fault strikes; all must be there once and in order.
fn survives(fault: impl Fn(&Broker), nodes: usize) {
    let broker = broker(nodes);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(
        &broker,
        &[
            ("batch.size", "3000"),
            ("linger.ms", "0"),
            ("request.timeout.ms", "1500"),
            ("retry.backoff.ms", "10"),
        ],
    );
    send_column(&p, "t", Some(0), 10, 0);
    p.flush(LIMIT).unwrap();
    fault(&broker);
    for i in 10..2000 {
        let value = format!("value-{i:08}");
        let record = Record {
            topic: "t",
            partition: Some(0),
            value: Some(value.as_bytes()),
            token: i,
            ..Default::default()
        };
        p.send(&record, Wait::MaxBlock).unwrap();
    }
    let done = ends(&p, 1990);
    assert!(
        done.iter().all(|c| c.outcome == Outcome::Written),
        "{:?}",
        done.iter().find(|c| c.outcome != Outcome::Written)
    );
    assert_numbered(&values(&broker, "t", 1)[0], 2000);
    p.close(LIMIT).unwrap();
}

#[test]
fn dropped_connections_lose_and_double_nothing() {
    survives(
        |b| {
            let rule = FaultRule::new(Fault::Drop).api(api_key::PRODUCE).times(3);
            b.add_fault(rule).unwrap();
        },
        1,
    );
}

#[test]
fn a_lost_reply_is_resent_with_the_same_sequence() {
    survives(
        |b| {
            let rule = FaultRule::new(Fault::SwallowReply { close: true })
                .api(api_key::PRODUCE)
                .times(3);
            b.add_fault(rule).unwrap();
        },
        1,
    );
}

#[test]
fn a_batch_that_was_there_already_is_told_with_its_own_timestamp() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(&broker, &[("linger.ms", "20")]);
    send_column(&p, "t", Some(0), 1, 0);
    p.flush(LIMIT).unwrap();
    let rule = FaultRule::new(Fault::SwallowReply { close: true }).api(api_key::PRODUCE);
    broker.add_fault(rule).unwrap();
    // The broker answers the second attempt with the batch's largest timestamp as if it were the append time.
    for timestamp in [7, 9] {
        let record = Record {
            topic: "t",
            value: Some(b"x"),
            timestamp: Some(timestamp),
            token: 1,
            ..Default::default()
        };
        p.send(&record, Wait::MaxBlock).unwrap();
    }
    let done = ends(&p, 2);
    assert!(p.counts().retries > 0);
    assert_eq!((done[0].outcome, done[0].timestamp), (Outcome::Written, 7));
    assert_eq!(done[0].base_offset, 1);
    p.close(LIMIT).unwrap();
}

#[test]
fn an_unanswered_request_times_out_and_is_resent() {
    survives(
        |b| {
            let rule = FaultRule::new(Fault::SwallowReply { close: false }).api(api_key::PRODUCE);
            b.add_fault(rule).unwrap();
        },
        1,
    );
}

#[test]
fn a_reply_cut_short_is_never_misread() {
    survives(
        |b| {
            let rule = FaultRule::new(Fault::PartialReply { bytes: 9 })
                .api(api_key::PRODUCE)
                .times(2);
            b.add_fault(rule).unwrap();
        },
        1,
    );
}

#[test]
fn retriable_refusals_keep_the_order() {
    for code in [
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::REQUEST_TIMED_OUT,
    ] {
        survives(
            |b| {
                let rule = FaultRule::new(Fault::Error { code })
                    .api(api_key::PRODUCE)
                    .times(4);
                b.add_fault(rule).unwrap();
            },
            1,
        );
    }
}

#[test]
fn a_refused_sequence_begins_another_epoch() {
    for code in [
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode::UNKNOWN_PRODUCER_ID,
    ] {
        survives(
            |b| {
                let rule = FaultRule::new(Fault::Error { code })
                    .api(api_key::PRODUCE)
                    .times(2);
                b.add_fault(rule).unwrap();
            },
            1,
        );
    }
}

#[test]
fn a_throttled_connection_rests() {
    const REST: Duration = Duration::from_millis(1200);
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    broker.create_topic("later", 1, &[]).unwrap();
    let p = producer(&broker, &[("linger.ms", "0")]);
    send_column(&p, "t", Some(0), 1, 0);
    p.flush(LIMIT).unwrap();
    let rule = FaultRule::new(Fault::Throttle(REST)).api(api_key::PRODUCE);
    broker.add_fault(rule).unwrap();
    // Its reply tells of the throttling, and is written all the same.
    send_column(&p, "t", Some(0), 1, 1);
    ends(&p, 1);
    let begun = Instant::now();
    let seen = broker.requests_seen(None, api_key::PRODUCE).unwrap();
    let asked = broker.requests_seen(None, api_key::METADATA).unwrap();
    send_column(&p, "t", Some(0), 5, 2);
    // Other requests are not held up: the partitions of a topic not seen before are asked for.
    send_column(&p, "later", Some(0), 5, 3);
    while broker.requests_seen(None, api_key::METADATA).unwrap() == asked {
        assert!(begun.elapsed() < REST, "metadata waits, too");
        std::thread::sleep(Duration::from_millis(10));
    }
    let now = broker.requests_seen(None, api_key::PRODUCE).unwrap();
    assert!(now == seen || begun.elapsed() >= REST, "nothing is sent");
    let done = ends(&p, 10);
    assert!(done.iter().all(|c| c.outcome == Outcome::Written));
    assert!(begun.elapsed() > REST * 8 / 10, "{:?}", begun.elapsed());
    assert_eq!(p.counts().retries, 0);
    p.close(LIMIT).unwrap();
}

#[test]
fn a_leader_that_moves_is_followed_in_order() {
    survives(
        |b| {
            let old = b.leader("t", 0).unwrap().unwrap();
            b.move_leader("t", 0, old % 3 + 1).unwrap();
        },
        3,
    );
}

#[test]
fn a_stopped_leader_that_comes_back_is_found_again() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(&broker, &[("linger.ms", "0")]);
    send_column(&p, "t", None, 10, 0);
    p.flush(LIMIT).unwrap();
    broker.stop_node(1).unwrap();
    let value = b"value-00000010";
    p.send(
        &Record {
            topic: "t",
            value: Some(value),
            token: 1,
            ..Default::default()
        },
        Wait::MaxBlock,
    )
    .unwrap();
    let mut out = Vec::new();
    assert_eq!(
        p.completions(1, Duration::from_millis(200), &mut out)
            .unwrap(),
        0
    );
    broker.start_node(1).unwrap();
    assert_eq!(ends(&p, 1)[0].base_offset, 10);
    p.close(LIMIT).unwrap();
}

#[test]
fn delivery_timeout_says_what_was_in_the_way() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(
        &broker,
        &[
            ("linger.ms", "0"),
            ("delivery.timeout.ms", "700"),
            ("request.timeout.ms", "500"),
        ],
    );
    send_column(&p, "t", None, 1, 0);
    p.flush(LIMIT).unwrap();
    let rule = FaultRule::new(Fault::Error {
        code: ErrorCode::NOT_ENOUGH_REPLICAS,
    })
    .api(api_key::PRODUCE)
    .forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "t", None, 3, 8);
    let done = ends(&p, 3);
    let error = done[0].error.clone().unwrap();
    // The broker refused it every time: it is certain that it was not written.
    assert_eq!(done[0].outcome, Outcome::NotWritten);
    for part in [
        "3 records",
        "t-0",
        "NOT_ENOUGH_REPLICAS",
        "delivery.timeout.ms",
    ] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    broker.clear_faults().unwrap();
    // The next ones are written, in a new epoch.
    send_column(&p, "t", None, 5, 9);
    let done = ends(&p, 5);
    assert_eq!(done[0].outcome, Outcome::Written, "{:?}", done[0].error);
    assert_eq!(broker.offsets("t", 0).unwrap().unwrap().1, 6);
    p.close(LIMIT).unwrap();
}

#[test]
fn what_was_sent_without_an_answer_is_possibly_written() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(&broker, &[("linger.ms", "0")]);
    send_column(&p, "t", None, 1, 0);
    p.flush(LIMIT).unwrap();
    let rule = FaultRule::new(Fault::SwallowReply { close: false })
        .api(api_key::PRODUCE)
        .forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "t", None, 2, 3);
    let seen = Instant::now() + LIMIT;
    while broker.offsets("t", 0).unwrap().unwrap().1 < 3 {
        assert!(Instant::now() < seen);
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    let error = p.close(Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TIMED_OUT);
    assert!(begun.elapsed() < Duration::from_secs(5), "close is bounded");
    let mut out = Vec::new();
    p.completions(10, Duration::ZERO, &mut out).unwrap();
    assert_eq!(
        (out[0].count, out[0].outcome),
        (2, Outcome::PossiblyWritten)
    );
    assert_eq!(
        p.completions(1, LIMIT, &mut out).unwrap_err().code(),
        ErrorCode::CLOSED
    );
    let record = Record {
        topic: "t",
        value: Some(b"x"),
        ..Default::default()
    };
    assert_eq!(
        p.send(&record, Wait::MaxBlock).unwrap_err().code(),
        ErrorCode::CLOSED
    );
}

#[test]
fn one_partitions_doubt_is_nothing_to_the_others() {
    let broker = broker(1);
    for topic in ["short", "long"] {
        broker.create_topic(topic, 1, &[]).unwrap();
    }
    // Each lost reply takes the connection with it; waiting longer for the next would use up the short time.
    let p = producer(
        &broker,
        &[
            ("linger.ms", "0"),
            ("retry.backoff.ms", "10"),
            ("retry.backoff.max.ms", "20"),
            ("reconnect.backoff.ms", "10"),
            ("reconnect.backoff.max.ms", "20"),
        ],
    );
    let short = [
        ("delivery.timeout.ms", "600"),
        ("request.timeout.ms", "500"),
    ];
    p.set_topic_config("short", short).unwrap();
    for topic in ["short", "long"] {
        send_column(&p, topic, Some(0), 2, 0);
    }
    p.flush(LIMIT).unwrap();
    // Both are appended, and no reply comes: whether they were is unknown.
    let swallow = Fault::SwallowReply { close: true };
    let rule = FaultRule::new(swallow).api(api_key::PRODUCE).forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "long", Some(0), 3, 1);
    send_column(&p, "short", Some(0), 3, 2);
    let done = ends(&p, 3);
    assert_eq!(done[0].token, 2);
    assert_eq!(done[0].outcome, Outcome::PossiblyWritten);
    // The one whose time is over begins another epoch; the other is sent again as it was, and found to be there.
    send_column(&p, "short", Some(0), 5, 3);
    std::thread::sleep(Duration::from_millis(100));
    broker.clear_faults().unwrap();
    let mut done = ends(&p, 8);
    done.sort_by_key(|c| c.token);
    for c in &done {
        assert_eq!(c.outcome, Outcome::Written, "{:?}", c.error);
    }
    assert_eq!((done[0].token, done[0].base_offset), (1, 2));
    assert_eq!(broker.offsets("long", 0).unwrap().unwrap().1, 5);
    p.close(LIMIT).unwrap();
}

#[test]
fn what_a_broker_appended_and_then_refused_is_possibly_written() {
    // As a leader that is deposed while it waits for its replicas does.
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let broker = broker(1);
        broker.create_topic("t", 1, &[]).unwrap();
        let settings = [
            ("linger.ms", "0"),
            ("request.timeout.ms", "300"),
            ("delivery.timeout.ms", "600"),
        ];
        let p = producer(&broker, &settings);
        let rule = FaultRule::new(Fault::ErrorAfterAppend { code })
            .api(api_key::PRODUCE)
            .forever();
        broker.add_fault(rule).unwrap();
        send_column(&p, "t", None, 2, 3);
        let done = ends(&p, 2);
        assert_eq!(
            done[0].outcome,
            Outcome::PossiblyWritten,
            "{code:?}: {:?}",
            done[0].error
        );
        assert_eq!(broker.offsets("t", 0).unwrap().unwrap().1, 2);
    }
}

#[test]
fn a_delivery_time_that_ends_while_a_request_is_unanswered() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let settings = [
        ("linger.ms", "0"),
        ("request.timeout.ms", "300"),
        ("delivery.timeout.ms", "500"),
    ];
    let p = producer(&broker, &settings);
    let rule = FaultRule::new(Fault::SwallowReply { close: false })
        .api(api_key::PRODUCE)
        .forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "t", None, 2, 3);
    let done = ends(&p, 2);
    assert_eq!(done[0].outcome, Outcome::PossiblyWritten);
    let error = done[0].error.as_ref().unwrap();
    assert_eq!(error.code(), ErrorCode::TIMED_OUT, "{error}");
    // The I/O thread is there for others.
    broker.clear_faults().unwrap();
    send_column(&p, "t", None, 1, 4);
    assert_eq!(ends(&p, 1)[0].outcome, Outcome::Written);
    p.close(LIMIT).unwrap();
}

#[test]
fn flush_tells_the_first_silent_failure_once() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(
        &broker,
        &[("linger.ms", "60000"), ("delivery.timeout.ms", "120000")],
    );
    send_column(&p, "t", None, 3, 0);
    // Lingering for a minute, but a flush doesn't.
    p.flush(LIMIT).unwrap();
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    broker
        .add_fault(FaultRule::new(Fault::Error { code }).api(api_key::PRODUCE))
        .unwrap();
    send_column(&p, "t", None, 4, 0);
    let error = p.flush(LIMIT).unwrap_err();
    assert_eq!(error.code(), code);
    for part in ["4 records failed", "t-0", "ACL"] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    p.flush(LIMIT).unwrap();
    p.close(LIMIT).unwrap();
}

#[test]
fn acks_0_and_1_need_no_producer_id() {
    let broker = broker(1);
    for acks in ["0", "1"] {
        let topic = format!("acks{acks}");
        broker.create_topic(&topic, 1, &[]).unwrap();
        let p = producer(&broker, &[("acks", acks)]);
        send_column(&p, &topic, None, 1000, 4);
        let done = ends(&p, 1000);
        let offset = if acks == "0" { -1 } else { 0 };
        assert_eq!(
            (done[0].outcome, done[0].base_offset),
            (Outcome::Written, offset)
        );
        let by = Instant::now() + LIMIT;
        while broker.offsets(&topic, 0).unwrap().unwrap().1 < 1000 {
            assert!(Instant::now() < by);
            std::thread::sleep(Duration::from_millis(5));
        }
        p.close(LIMIT).unwrap();
    }
    assert_eq!(
        broker
            .requests_seen(None, api_key::INIT_PRODUCER_ID)
            .unwrap(),
        0
    );
}

#[test]
fn keyless_records_spread_over_all_partitions_in_large_batches() {
    let broker = broker(3);
    broker.create_topic("t", 8, &[]).unwrap();
    let p = producer(&broker, &[("batch.size", "10000")]);
    for _ in 0..20 {
        send_column(&p, "t", None, 10_000, 0);
    }
    p.close(LIMIT).unwrap();
    let mut counts = BTreeMap::new();
    for i in 0..8 {
        let end = broker.offsets("t", i).unwrap().unwrap().1;
        assert!(
            (8_000..50_000).contains(&end),
            "partition {i} got {end} of 200000"
        );
        counts.insert(i, end);
    }
    assert_eq!(counts.values().sum::<i64>(), 200_000);
    let c = p.counts();
    assert!(c.batches < 200_000 * 22 / 10_000 * 2, "{c:?}");
}

#[test]
fn many_threads_lose_nothing() {
    let broker = broker(1);
    broker.create_topic("t", 4, &[]).unwrap();
    let p = Arc::new(producer(
        &broker,
        &[("batch.size", "5000"), ("linger.ms", "1")],
    ));
    let threads: Vec<_> = (0..8u32)
        .map(|t| {
            let p = p.clone();
            std::thread::spawn(move || {
                for i in 0..2000u32 {
                    let value = format!("{t}:{i}");
                    let record = Record {
                        topic: "t",
                        partition: Some((t % 4) as i32),
                        value: Some(value.as_bytes()),
                        ..Default::default()
                    };
                    p.send(&record, Wait::MaxBlock).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    p.close(LIMIT).unwrap();
    let stored = values(&broker, "t", 4);
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    for value in stored.iter().flatten() {
        let text = std::str::from_utf8(value).unwrap();
        let (t, i) = text.split_once(':').unwrap();
        let expected = next.entry(t.parse().unwrap()).or_insert(0);
        assert_eq!(i.parse::<u32>().unwrap(), *expected, "thread {t} in order");
        *expected += 1;
    }
    assert_eq!(next.values().sum::<u32>(), 16_000);
}

#[test]
fn partitions_added_later_are_used() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(
        &broker,
        &[
            ("metadata.max.age.ms", "200"),
            ("partitioner", "round_robin"),
        ],
    );
    send_column(&p, "t", None, 10, 0);
    p.flush(LIMIT).unwrap();
    let config = ottla::config::AdminConfig::from_pairs([(
        "bootstrap.servers",
        broker.bootstrap_servers().as_str(),
    )])
    .unwrap();
    let admin = ottla::admin::Admin::new(config).unwrap();
    let more = ottla::admin::NewPartitions {
        name: "t".into(),
        total: 4,
    };
    let result = admin.create_partitions(&[more], LIMIT, false).unwrap();
    assert!(result[0].error.is_none());
    let by = Instant::now() + LIMIT;
    while broker
        .offsets("t", 3)
        .unwrap()
        .is_none_or(|(_, end)| end == 0)
    {
        assert!(Instant::now() < by);
        send_column(&p, "t", None, 8, 0);
        p.flush(LIMIT).unwrap();
    }
    p.close(LIMIT).unwrap();
}

#[test]
fn closing_amid_sends_ends_every_accepted_record_once() {
    let broker = broker(1);
    broker.create_topic("t", 2, &[]).unwrap();
    for round in 0..20u64 {
        let p = Arc::new(producer(&broker, &[("batch.size", "500")]));
        let accepted: Vec<_> = (0..2u64)
            .map(|thread| {
                let p = p.clone();
                std::thread::spawn(move || {
                    let mut accepted = Vec::new();
                    for i in 0.. {
                        let token = 1 + thread + 2 * i;
                        let record = Record {
                            // Now and then a topic nobody has: its records are pending when the producer closes.
                            topic: if i % 50 == 49 { "nobody-has" } else { "t" },
                            value: Some(b"some value"),
                            token,
                            ..Default::default()
                        };
                        match p.send(&record, Wait::MaxBlock) {
                            Ok(()) => accepted.push(token),
                            Err(e) => {
                                assert!(
                                    matches!(e.code(), ErrorCode::CLOSED | ErrorCode::PURGED),
                                    "{e}"
                                );
                                return accepted;
                            }
                        }
                    }
                    accepted
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(round));
        let _ = p.close(Duration::from_millis(5));
        let mut accepted: Vec<u64> = accepted
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect();
        let mut ended = Vec::new();
        loop {
            let mut out = Vec::new();
            match p.completions(1000, LIMIT, &mut out) {
                Ok(_) => ended.extend(
                    out.iter()
                        .flat_map(|c| (0..u64::from(c.count)).map(|_| c.token)),
                ),
                Err(e) => {
                    assert_eq!(e.code(), ErrorCode::CLOSED);
                    break;
                }
            }
        }
        accepted.sort_unstable();
        ended.sort_unstable();
        assert!(
            ended == accepted,
            "round {round}: {} accepted, {} ended",
            accepted.len(),
            ended.len()
        );
    }
}
