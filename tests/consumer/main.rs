//! The consumer on the embedded broker.

#![allow(clippy::unwrap_used)]

mod committed;
mod faults;
mod groups;
mod groups_mixed;
mod own_assignor;
mod positions;
mod support;

use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::consumer::{EventKind, Polled, Start};
use ottla::protocol::compress::Codec;

use support::{
    LIMIT, Row, batch, broker, consumer, event, numbered, offsets, produce, read, rows, until,
};

/// Records of every shape.
fn shapes() -> Vec<Row> {
    let mut shapes = Vec::new();
    for key in [None, Some(vec![]), Some(b"key".to_vec())] {
        for value in [None, Some(vec![]), Some(vec![b'v'; 3000])] {
            for headers in [
                vec![],
                vec![
                    (b"h".to_vec(), None),
                    (b"h".to_vec(), Some(b"again".to_vec())),
                    (vec![], Some(vec![])),
                ],
            ] {
                let timestamp = 1_700_000_000_000 + shapes.len() as i64;
                shapes.push(Row {
                    key: key.clone(),
                    value: value.clone(),
                    headers,
                    timestamp,
                });
            }
        }
    }
    shapes
}

#[test]
fn every_shape_in_every_codec_from_every_partition() {
    let broker = broker(2);
    broker.create_topic("t", 5, &[]).unwrap();
    for (partition, codec) in Codec::ALL.into_iter().enumerate() {
        let batches: Vec<_> = (0..3).map(|_| batch(&shapes(), codec)).collect();
        produce(&broker, "t", partition as i32, &batches);
    }
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    consumer.assign_topic("t", Start::Earliest).unwrap();
    let want: Vec<Row> = (0..3).flat_map(|_| shapes()).collect();
    let got = read(&consumer, 5 * want.len());
    for partition in 0..5 {
        let of_partition: Vec<_> = got
            .iter()
            .filter(|g| g.partition == partition)
            .cloned()
            .collect();
        assert_eq!(
            offsets(&of_partition),
            (0..want.len() as i64).collect::<Vec<_>>()
        );
        for (got, want) in of_partition.iter().zip(&want) {
            assert_eq!(
                &got.row, want,
                "partition {partition} offset {}",
                got.offset
            );
        }
    }
    assert_eq!(consumer.assignment().unwrap().len(), 5);
}

#[test]
fn bounded_polls_go_on_inside_a_batch() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    for codec in [Codec::None, Codec::Zstd] {
        produce(
            &broker,
            "t",
            0,
            &[
                batch(&numbered(0..100), codec),
                batch(&numbered(100..101), codec),
            ],
        );
    }
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    consumer.assign(&[("t", 0, Start::Offset(3))]).unwrap();
    let mut next = 3;
    while next < 202 {
        let Polled::Batch(batch) = consumer.poll(7, LIMIT).unwrap() else {
            panic!("no batch")
        };
        assert!(batch.len() <= 7);
        assert_eq!(
            consumer.position("t", 0).unwrap(),
            Some(next),
            "before the batch, until the next is asked for"
        );
        for got in rows(&batch) {
            assert_eq!(got.offset, next);
            let number = next % 101;
            assert_eq!(
                got.row.value.unwrap(),
                format!("value-{number:08}").into_bytes()
            );
            next += 1;
        }
    }
    assert!(matches!(
        consumer.poll(7, Duration::ZERO).unwrap(),
        Polled::Nothing
    ));
    assert_eq!(consumer.position("t", 0).unwrap(), Some(202));
    assert_eq!(consumer.lag("t", 0).unwrap(), Some(0));
}

#[test]
fn a_batch_outlives_its_consumer_and_can_be_compacted() {
    let broker = broker(1);
    broker.create_topic("t", 2, &[]).unwrap();
    produce(
        &broker,
        "t",
        0,
        &[
            batch(&shapes(), Codec::None),
            batch(&numbered(0..5000), Codec::None),
        ],
    );
    produce(&broker, "t", 1, &[batch(&shapes(), Codec::Lz4)]);
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    consumer
        .assign(&[("t", 0, Start::Earliest), ("t", 1, Start::Earliest)])
        .unwrap();
    until("both chunks", || {
        consumer.buffered_bytes().unwrap() > 60_000 && {
            std::thread::sleep(Duration::from_millis(50));
            true
        }
    });
    let Polled::Batch(batch) = consumer.poll(18, LIMIT).unwrap() else {
        panic!("no batch")
    };
    let before = rows(&batch);
    assert!(consumer.held_bytes().unwrap() >= batch.held_bytes());
    let large = batch.held_bytes();
    let small = batch.compact();
    assert!(
        small.held_bytes() < large,
        "{} of {large} bytes",
        small.held_bytes()
    );
    assert_eq!(rows(&small), before);
    for (i, got) in before.iter().enumerate() {
        assert_eq!(small.record(i).unwrap().offset(), got.offset);
    }
    assert!(small.record(before.len()).is_none());
    consumer.close(LIMIT).unwrap();
    drop(consumer);
    drop(broker);
    assert_eq!(rows(&small), before);
    std::thread::spawn(move || drop(small)).join().unwrap();
}

#[test]
fn pausing_keeps_what_was_fetched() {
    let broker = broker(1);
    broker.create_topic("t", 2, &[]).unwrap();
    for partition in 0..2 {
        produce(
            &broker,
            "t",
            partition,
            &[batch(&numbered(0..1000), Codec::None)],
        );
    }
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    consumer
        .assign(&[("t", 0, Start::Earliest), ("t", 1, Start::Earliest)])
        .unwrap();
    let first = read(&consumer, 100);
    let paused = first[0].partition;
    consumer.pause(&[("t", paused)]).unwrap();
    assert_eq!(consumer.paused().unwrap().len(), 1);
    let held = consumer.buffered_bytes().unwrap();
    assert!(held > 0);
    let other = read(
        &consumer,
        1000 - first.iter().filter(|g| g.partition != paused).count(),
    );
    assert!(other.iter().all(|g| g.partition != paused));
    assert!(matches!(
        consumer.poll(0, Duration::from_millis(100)).unwrap(),
        Polled::Nothing
    ));
    assert!(consumer.buffered_bytes().unwrap() > 0, "kept");
    let fetches = broker
        .requests_seen(None, ottla::broker::api_key::FETCH)
        .unwrap();
    consumer.resume(&[("t", paused)]).unwrap();
    let rest = read(
        &consumer,
        1000 - first.iter().filter(|g| g.partition == paused).count(),
    );
    let from_paused: Vec<i64> = first
        .iter()
        .chain(&rest)
        .filter(|g| g.partition == paused)
        .map(|g| g.offset)
        .collect();
    assert_eq!(from_paused, (0..1000).collect::<Vec<_>>());
    assert!(
        broker
            .requests_seen(None, ottla::broker::api_key::FETCH)
            .unwrap()
            <= fetches + 3,
        "not fetched again"
    );
    let error = consumer.pause(&[("t", 0), ("u", 0)]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
    assert!(consumer.paused().unwrap().is_empty());
}

#[test]
fn a_reader_that_lags_costs_no_more_than_the_cap() {
    const CAP: usize = 1 << 20;
    let broker = broker(1);
    broker.create_topic("t", 4, &[]).unwrap();
    let value = Row {
        value: Some(vec![7; 1000]),
        ..Row::default()
    };
    for partition in 0..4 {
        let batches: Vec<_> = (0..40)
            .map(|_| batch(&vec![value.clone(); 50], Codec::None))
            .collect();
        produce(&broker, "t", partition, &batches);
    }
    let consumer = consumer(
        &broker.bootstrap_servers(),
        &[("fetch.memory.bytes", "1MiB")],
    );
    consumer.assign_topic("t", Start::Earliest).unwrap();
    until("a full buffer", || {
        consumer.buffered_bytes().unwrap() > CAP / 2
    });
    let mut count = 0;
    let end = Instant::now() + LIMIT;
    while count < 4 * 40 * 50 {
        // Pooled buffers are up to half larger than what is in them.
        assert!(
            consumer.buffered_bytes().unwrap() <= CAP * 3 / 2,
            "{}",
            consumer.buffered_bytes().unwrap()
        );
        assert!(Instant::now() < end, "{count} came");
        if let Polled::Batch(batch) = consumer.poll(100, Duration::from_millis(100)).unwrap() {
            count += batch.len();
        }
    }
    assert_eq!(count, 4 * 40 * 50);
    until("nothing held", || {
        consumer.held_bytes().unwrap() == 0 && consumer.buffered_bytes().unwrap() == 0
    });
}

#[test]
fn wakes_and_the_second_poll() {
    let broker = broker(1);
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    consumer.connect(LIMIT).unwrap();
    consumer.wake().unwrap();
    assert_eq!(
        consumer.poll(0, LIMIT).unwrap_err().code(),
        ErrorCode::WOKEN
    );
    std::thread::scope(|s| {
        let polling = s.spawn(|| consumer.poll(0, LIMIT));
        until(
            "the second poller's refusal",
            || matches!(consumer.poll(0, Duration::ZERO), Err(e) if e.code() == ErrorCode::IN_USE),
        );
        consumer.wake().unwrap();
        assert_eq!(
            polling.join().unwrap().unwrap_err().code(),
            ErrorCode::WOKEN
        );
        let polling = s.spawn(|| consumer.poll(0, LIMIT));
        consumer.close(LIMIT).unwrap();
        assert_eq!(
            polling.join().unwrap().unwrap_err().code(),
            ErrorCode::CLOSED
        );
    });
    consumer.close(LIMIT).unwrap();
    assert_eq!(
        consumer.seek("t", 0, Start::Latest).unwrap_err().code(),
        ErrorCode::CLOSED
    );
}

#[cfg(unix)]
#[test]
fn the_descriptor_says_when_there_is_something() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    let fd = consumer.descriptor().unwrap() as i32;
    let readable = |ms: i32| {
        let mut p = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid pollfd.
        unsafe { libc::poll(&mut p, 1, ms) == 1 }
    };
    consumer.assign(&[("t", 0, Start::Earliest)]).unwrap();
    assert!(!readable(50));
    produce(&broker, "t", 0, &[batch(&numbered(0..10), Codec::None)]);
    assert!(readable(20_000));
    assert_eq!(read(&consumer, 4).len(), 4);
    assert!(readable(0), "after a partial drain");
    consumer.pause(&[("t", 0)]).unwrap();
    assert!(!readable(0), "paused");
    consumer.resume(&[("t", 0)]).unwrap();
    assert!(readable(0));
    assert_eq!(read(&consumer, 6).len(), 6);
    assert!(!readable(0));
}

#[test]
fn a_topic_read_whole_grows() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let consumer = consumer(
        &broker.bootstrap_servers(),
        &[("metadata.max.age.ms", "100")],
    );
    consumer.assign_topic("t", Start::Latest).unwrap();
    until("the assignment", || {
        consumer.position("t", 0).is_ok_and(|p| p == Some(0))
    });
    assert!(broker.delete_topic("t").unwrap());
    broker.create_topic("t", 3, &[]).unwrap();
    for partition in 0..3 {
        produce(
            &broker,
            "t",
            partition,
            &[batch(&numbered(0..10), Codec::None)],
        );
    }
    let mut kinds = vec![event(&consumer), event(&consumer)];
    while kinds.iter().any(|e| e.kind == EventKind::TopicFailing) {
        kinds.retain(|e| e.kind != EventKind::TopicFailing);
        kinds.push(event(&consumer));
    }
    kinds.sort_by_key(|e| e.kind as i32);
    assert_eq!(kinds[0].kind, EventKind::TopicRecreated);
    assert_eq!(
        (kinds[1].kind, kinds[1].from, kinds[1].to),
        (EventKind::PartitionsAdded, 1, 3)
    );
    assert_eq!(consumer.assignment().unwrap().len(), 3);
}
