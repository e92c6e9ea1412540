//! Committed offsets without membership.

use std::time::Duration;

use ottla::ErrorCode;
use ottla::consumer::{EventKind, OffsetAndMetadata, Polled, Start};
use ottla::protocol::compress::Codec;

use super::support::{LIMIT, batch, broker, consumer, numbered, offsets, produce, read, until};

#[test]
fn what_is_committed_is_where_reading_starts() {
    let broker = broker(2);
    broker.create_topic("t", 3, &[]).unwrap();
    for partition in 0..3 {
        produce(
            &broker,
            "t",
            partition,
            &[batch(&numbered(0..10), Codec::None)],
        );
    }
    let bootstrap = broker.bootstrap_servers();
    let group = [("group.id", "g"), ("auto.offset.reset", "earliest")];
    let first = consumer(&bootstrap, &group);
    let all = [("t", 0), ("t", 1), ("t", 2)];
    assert_eq!(first.committed(&all, LIMIT).unwrap(), [None, None, None]);
    let noted = OffsetAndMetadata {
        offset: 4,
        leader_epoch: 0,
        metadata: "half way".to_owned(),
    };
    first
        .commit(&[("t", 1, noted.clone()), ("t", 2, 10.into())], LIMIT)
        .unwrap();
    assert_eq!(
        first
            .committed(&[("t", 2), ("t", 1), ("t", 0)], LIMIT)
            .unwrap(),
        [Some(10.into()), Some(noted), None]
    );
    let second = consumer(&bootstrap, &group);
    second
        .assign(&all.map(|(topic, partition)| (topic, partition, Start::Reset)))
        .unwrap();
    let got = read(&second, 16);
    for (partition, expected) in [(0, 0..10), (1, 4..10)] {
        let of_partition: Vec<i64> = got
            .iter()
            .filter(|r| r.partition == partition)
            .map(|r| r.offset)
            .collect();
        assert_eq!(of_partition, expected.collect::<Vec<i64>>());
    }
    until("the end of the third", || {
        second.position("t", 2).unwrap() == Some(10)
    });
    // A start that is given counts, and so does a seek.
    let third = consumer(&bootstrap, &group);
    third.assign(&[("t", 1, Start::Offset(8))]).unwrap();
    assert_eq!(offsets(&read(&third, 2)), [8, 9]);
    third.seek("t", 1, Start::Reset).unwrap();
    assert_eq!(offsets(&read(&third, 6))[0], 4);
}

#[test]
fn commits_in_the_background_are_told_of_in_order() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let consumer = consumer(&broker.bootstrap_servers(), &[("group.id", "g")]);
    let tokens: Vec<u64> = (1..=20)
        .map(|offset| consumer.commit_async(&[("t", 0, offset.into())]).unwrap())
        .collect();
    let mut told = Vec::new();
    while told.len() < tokens.len() {
        match consumer.poll(0, LIMIT).unwrap() {
            Polled::Event(event) => {
                assert_eq!(event.kind, EventKind::OffsetsCommitted);
                assert!(event.error.is_none(), "{event:?}");
                told.push(event.token);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, tokens);
    assert_eq!(
        consumer.committed(&[("t", 0)], LIMIT).unwrap(),
        [Some(20.into())]
    );
}

#[test]
fn what_can_not_be_committed_says_why() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let bootstrap = broker.bootstrap_servers();
    let alone = consumer(&bootstrap, &[]);
    for error in [
        alone.commit(&[("t", 0, 1.into())], LIMIT).unwrap_err(),
        alone.commit_async(&[("t", 0, 1.into())]).unwrap_err(),
        alone.committed(&[("t", 0)], LIMIT).unwrap_err(),
        alone.group_metadata().unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
        assert!(error.message().contains("configure group.id"), "{error}");
    }
    let grouped = consumer(&bootstrap, &[("group.id", "g")]);
    let error = grouped.commit(&[("t", 0, (-1).into())], LIMIT).unwrap_err();
    assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
    let short = Duration::from_millis(300);
    let error = grouped.commit(&[("t", 7, 1.into())], short).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TIMED_OUT);
    assert!(
        error.message().contains("t-7") && error.message().contains("UNKNOWN_TOPIC_OR_PARTITION"),
        "{error}"
    );
    let metadata = grouped.group_metadata().unwrap();
    assert_eq!(
        (
            &*metadata.group_id,
            metadata.generation,
            &*metadata.member_id
        ),
        ("g", -1, "")
    );
}

#[test]
fn a_coordinator_that_goes_is_looked_for_again() {
    let broker = broker(3);
    broker.create_topic("t", 1, &[]).unwrap();
    let consumer = consumer(&broker.bootstrap_servers(), &[("group.id", "g")]);
    consumer.commit(&[("t", 0, 1.into())], LIMIT).unwrap();
    for node in 1..=3 {
        broker.stop_node(node).unwrap();
        consumer
            .commit(&[("t", 0, i64::from(node + 1).into())], LIMIT)
            .unwrap();
        broker.start_node(node).unwrap();
    }
    assert_eq!(
        consumer.committed(&[("t", 0)], LIMIT).unwrap(),
        [Some(4.into())]
    );
}
