//! Where reading starts, and where it goes on.

use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::consumer::{EventKind, Polled, Start};
use ottla::protocol::compress::Codec;

use super::support::{
    LIMIT, batch, broker, consumer, event, numbered, offsets, produce, read, until,
};

#[test]
fn starts() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    produce(
        &broker,
        "t",
        0,
        &[
            batch(&numbered(0..50), Codec::None),
            batch(&numbered(50..100), Codec::None),
        ],
    );
    for (start, first) in [
        (Start::Earliest, 0),
        (Start::Offset(70), 70),
        (Start::Timestamp(60), 60),
        (Start::Timestamp(0), 0),
        (Start::Timestamp(1000), 100),
        (Start::Latest, 100),
        (Start::Reset, 100),
    ] {
        let consumer = consumer(&broker.bootstrap_servers(), &[]);
        consumer.assign(&[("t", 0, start)]).unwrap();
        until(&format!("{start:?}"), || {
            consumer.position("t", 0).unwrap() == Some(first)
        });
        if first == 100 {
            assert!(matches!(
                consumer.poll(0, Duration::from_millis(20)).unwrap(),
                Polled::Nothing
            ));
        } else {
            let got = read(&consumer, 100 - first as usize);
            assert_eq!(offsets(&got), (first..100).collect::<Vec<_>>(), "{start:?}");
        }
    }
    for bad in [Start::Offset(-1), Start::Timestamp(-5)] {
        let consumer = consumer(&broker.bootstrap_servers(), &[]);
        assert_eq!(
            consumer.assign(&[("t", 0, bad)]).unwrap_err().code(),
            ErrorCode::INVALID_ARGUMENT
        );
    }
}

#[test]
fn seeks_drop_what_was_fetched() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    produce(&broker, "t", 0, &[batch(&numbered(0..1000), Codec::None)]);
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    consumer.assign(&[("t", 0, Start::Earliest)]).unwrap();
    for round in 0..20 {
        let from = (round * 37) % 900;
        consumer.seek("t", 0, Start::Offset(from)).unwrap();
        assert_eq!(consumer.position("t", 0).unwrap(), Some(from));
        assert_eq!(
            offsets(&read(&consumer, 5)),
            (from..from + 5).collect::<Vec<_>>()
        );
    }
    consumer.seek("t", 0, Start::Earliest).unwrap();
    assert_eq!(offsets(&read(&consumer, 3)), [0, 1, 2]);
    consumer.seek("t", 0, Start::Latest).unwrap();
    until("the end", || {
        consumer.position("t", 0).unwrap() == Some(1000)
    });
    assert_eq!(
        consumer.seek("t", 1, Start::Latest).unwrap_err().code(),
        ErrorCode::INVALID_ARGUMENT
    );
}

#[test]
fn assigning_again_keeps_what_is_in_both() {
    let broker = broker(1);
    broker.create_topic("t", 3, &[]).unwrap();
    for partition in 0..3 {
        produce(
            &broker,
            "t",
            partition,
            &[batch(&numbered(0..100), Codec::None)],
        );
    }
    let consumer = consumer(&broker.bootstrap_servers(), &[]);
    consumer.assign(&[("t", 0, Start::Earliest)]).unwrap();
    read(&consumer, 40);
    consumer
        .assign(&[("t", 0, Start::Earliest), ("t", 1, Start::Offset(90))])
        .unwrap();
    let mut got: Vec<_> = read(&consumer, 70)
        .iter()
        .map(|g| (g.partition, g.offset))
        .collect();
    got.sort_unstable();
    let want: Vec<_> = (40..100)
        .map(|o| (0, o))
        .chain((90..100).map(|o| (1, o)))
        .collect();
    assert_eq!(got, want);
    consumer.assign(&[("t", 2, Start::Offset(99))]).unwrap();
    let got = read(&consumer, 1);
    assert_eq!((got[0].partition, got[0].offset), (2, 99));
    assert!(consumer.position("t", 0).is_err());
    consumer.unassign().unwrap();
    assert!(consumer.assignment().unwrap().is_empty());
}

#[test]
fn out_of_range_is_reported_and_follows_the_policy() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    produce(&broker, "t", 0, &[batch(&numbered(0..10), Codec::None)]);
    let c = consumer(
        &broker.bootstrap_servers(),
        &[("auto.offset.reset", "earliest")],
    );
    c.assign(&[("t", 0, Start::Offset(500))]).unwrap();
    let e = event(&c);
    assert_eq!(
        (e.kind, e.partition, e.from, e.to),
        (EventKind::PositionReset, 0, 500, 0)
    );
    let text = e.error.unwrap().to_string();
    assert!(
        text.contains("t-0") && text.contains("500") && text.contains("auto.offset.reset=earliest"),
        "{text}"
    );
    assert_eq!(offsets(&read(&c, 10)), (0..10).collect::<Vec<_>>());

    let c = consumer(
        &broker.bootstrap_servers(),
        &[("auto.offset.reset", "none")],
    );
    c.assign(&[("t", 0, Start::Offset(500))]).unwrap();
    let e = event(&c);
    assert_eq!((e.kind, e.from), (EventKind::PartitionStopped, 500));
    let error = e.error.unwrap();
    assert_eq!(error.code(), ErrorCode::OFFSET_RESET);
    assert!(error.message().contains("seek"), "{error}");
    c.seek("t", 0, Start::Offset(9)).unwrap();
    assert_eq!(offsets(&read(&c, 1)), [9]);
    c.seek("t", 0, Start::Reset).unwrap();
    assert_eq!(event(&c).error.unwrap().code(), ErrorCode::OFFSET_RESET);
}

#[test]
fn a_reset_by_duration_starts_with_what_is_young_enough() {
    let broker = broker(1);
    broker.create_topic("t", 2, &[]).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let hour = 3_600_000;
    let mut rows = numbered(0..10);
    for (row, age) in rows.iter_mut().zip((1..=10).rev()) {
        row.timestamp = now - age * hour + hour / 2;
    }
    for row in &rows {
        produce(
            &broker,
            "t",
            0,
            &[batch(std::slice::from_ref(row), Codec::None)],
        );
    }
    produce(&broker, "t", 1, &[batch(&rows[..5], Codec::None)]);
    for (policy, first) in [("by_duration:PT3H", 7), ("by_duration: 1d", 0)] {
        let c = consumer(
            &broker.bootstrap_servers(),
            &[("auto.offset.reset", policy)],
        );
        c.assign(&[("t", 0, Start::Reset)]).unwrap();
        assert_eq!(
            offsets(&read(&c, 10 - first)),
            (first as i64..10).collect::<Vec<_>>()
        );
    }
    // All are older: what comes next is read. And what the log no longer holds goes by the same rule.
    let c = consumer(
        &broker.bootstrap_servers(),
        &[("auto.offset.reset", "by_duration:PT1H")],
    );
    c.assign(&[("t", 1, Start::Offset(500))]).unwrap();
    let e = event(&c);
    assert_eq!((e.kind, e.from, e.to), (EventKind::PositionReset, 500, 5));
    let text = e.error.unwrap().to_string();
    assert!(
        text.contains("auto.offset.reset=by_duration:PT3600S"),
        "{text}"
    );
    produce(&broker, "t", 1, &[batch(&numbered(0..1), Codec::None)]);
    assert_eq!(offsets(&read(&c, 1)), [5]);
}

#[test]
fn lookups() {
    let broker = broker(2);
    broker.create_topic("t", 2, &[]).unwrap();
    produce(&broker, "t", 0, &[batch(&numbered(0..10), Codec::None)]);
    produce(&broker, "t", 1, &[batch(&numbered(0..20), Codec::None)]);
    let c = consumer(&broker.bootstrap_servers(), &[]);
    assert_eq!(
        c.end_offsets(&[("t", 1), ("t", 0)], LIMIT).unwrap(),
        [20, 10]
    );
    assert_eq!(
        c.beginning_offsets(&[("t", 0), ("t", 0)], LIMIT).unwrap(),
        [0, 0]
    );
    let found = c
        .offsets_for_times(&[("t", 0, 7), ("t", 1, 99)], LIMIT)
        .unwrap();
    assert_eq!(found, [Some((7, 7)), None]);
    assert!(c.end_offsets(&[], LIMIT).unwrap().is_empty());
    let partitions = c.partitions_for("t", LIMIT).unwrap();
    assert_eq!(
        partitions
            .iter()
            .map(|p| (p.partition, p.leader))
            .collect::<Vec<_>>(),
        [(0, 1), (1, 2)]
    );
    let error = c.end_offsets(&[("t", 2)], LIMIT).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(
        error.message().contains("t-2") && error.message().contains("2 partitions"),
        "{error}"
    );
}

#[test]
fn unknown_topics_are_named() {
    let broker = broker(1);
    let c = consumer(
        &broker.bootstrap_servers(),
        &[("allow.auto.create.topics", "false")],
    );
    for error in [
        c.partitions_for("nowhere", LIMIT).unwrap_err(),
        c.end_offsets(&[("nowhere", 0)], LIMIT).unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(error.message().contains("'nowhere'"), "{error}");
    }
    c.assign(&[("later", 0, Start::Earliest)]).unwrap();
    let e = event(&c);
    assert_eq!(e.kind, EventKind::TopicFailing);
    let text = e.error.unwrap().to_string();
    assert!(
        text.contains("'later'") && text.contains("create it"),
        "{text}"
    );
    broker.create_topic("later", 1, &[]).unwrap();
    produce(&broker, "later", 0, &[batch(&numbered(0..3), Codec::None)]);
    assert_eq!(offsets(&read(&c, 3)), [0, 1, 2]);
}

#[test]
fn what_is_sought_resumed_or_assigned_does_not_wait_for_the_long_poll() {
    let broker = broker(1);
    broker.create_topic("t", 2, &[]).unwrap();
    for partition in 0..2 {
        produce(
            &broker,
            "t",
            partition,
            &[batch(&numbered(0..100), Codec::None)],
        );
    }
    // Each of the three would wait for most of this.
    let c = consumer(&broker.bootstrap_servers(), &[("fetch.max.wait.ms", "10s")]);
    let quickly = |what: &str, n: usize| {
        let begun = Instant::now();
        let got = read(&c, n);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{what} took {took:?}");
        offsets(&got)
    };
    c.assign(&[("t", 0, Start::Earliest)]).unwrap();
    quickly("assigning", 100);
    c.seek("t", 0, Start::Offset(40)).unwrap();
    assert_eq!(quickly("seeking", 60), (40..100).collect::<Vec<_>>());
    c.pause(&[("t", 0)]).unwrap();
    c.assign(&[("t", 0, Start::Earliest), ("t", 1, Start::Offset(90))])
        .unwrap();
    assert_eq!(
        quickly("assigning another", 10),
        (90..100).collect::<Vec<_>>()
    );
    produce(&broker, "t", 0, &[batch(&numbered(0..5), Codec::None)]);
    c.resume(&[("t", 0)]).unwrap();
    assert_eq!(quickly("resuming", 5), (100..105).collect::<Vec<_>>());
}

#[test]
fn a_partition_that_does_not_exist_is_told_and_read_once_it_does() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let c = consumer(&broker.bootstrap_servers(), &[]);
    c.assign(&[("t", 1, Start::Earliest)]).unwrap();
    let begun = Instant::now();
    let e = event(&c);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((e.kind, e.partition), (EventKind::PartitionFailing, 1));
    assert!(
        e.message().contains("t-1 does not exist"),
        "{}",
        e.message()
    );
    assert!(broker.delete_topic("t").unwrap());
    broker.create_topic("t", 2, &[]).unwrap();
    produce(&broker, "t", 1, &[batch(&numbered(0..10), Codec::None)]);
    // Far less than metadata.max.age.ms.
    assert_eq!(
        offsets(&read_past_events(&c, 10)),
        (0..10).collect::<Vec<_>>()
    );
}

/// Reads `n` records, whatever events come between.
fn read_past_events(c: &ottla::consumer::Consumer, n: usize) -> Vec<super::support::Got> {
    let end = Instant::now() + LIMIT;
    let mut got = Vec::new();
    while got.len() < n {
        assert!(Instant::now() < end, "{} of {n}", got.len());
        if let Polled::Batch(batch) = c.poll(0, Duration::from_millis(100)).unwrap() {
            got.extend(super::support::rows(&batch));
        }
    }
    got
}
