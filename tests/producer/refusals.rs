//! Records that wait for their topic or for room, and those that are refused.

use std::sync::Arc;
use std::time::Duration;

use ottla::ErrorCode;
use ottla::broker::api_key;
use ottla::producer::{Outcome, Record, Wait};

use super::sending::{LIMIT, broker, ends, producer};
use super::values::{send_column, values};

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
