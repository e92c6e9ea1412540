//! The producer against the embedded broker: what is accepted ends exactly once, in order, with the truth told.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod doubt;
mod faults;
mod refusals;
#[path = "../support/sending.rs"]
mod sending;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::api_key;
use ottla::producer::{Outcome, Record, Wait, partitioner};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};

use sending::{LIMIT, broker, ends, producer};
use values::{assert_numbered, numbered, send_column, values};

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
