//! Consuming from the embedded broker, or from the Kafka that OTTLA_TEST_BOOTSTRAP names; transactions and deleted
//! records from the latter only, since the embedded broker has none.

#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "consumer/support.rs"]
#[allow(dead_code)]
mod support;

use std::time::{Duration, Instant};

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use kafka_protocol::messages::{
    EndTxnRequest, InitProducerIdRequest, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use ottla::ErrorCode;
use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::AdminConfig;
use ottla::consumer::{EventKind, Polled, Start};
use ottla::protocol::compress::Codec;
use ottla::protocol::record::{Attempt, BatchBuilder};

use cluster::{cluster, fresh};
use support::{LIMIT, Raw, batch, consumer, event, numbered, offsets, read, until};

struct Ground {
    bootstrap: String,
    topic: String,
    _broker: Option<Broker>,
}

/// A cluster of one broker with a topic of our own, and a connection to produce to it.
fn ground(word: &str, partitions: i32) -> (Ground, Raw) {
    let (bootstrap, broker) = cluster(BrokerOptions::new().nodes(1));
    let topic = fresh(word);
    let admin =
        Admin::new(AdminConfig::from_pairs([("bootstrap.servers", &*bootstrap)]).unwrap()).unwrap();
    let created = admin
        .create_topics(&[NewTopic::new(&topic, partitions, 1)], LIMIT, false)
        .unwrap();
    assert!(created[0].error.is_none(), "{:?}", created[0].error);
    let raw = Raw::connect(&bootstrap);
    let ground = Ground {
        bootstrap,
        topic,
        _broker: broker,
    };
    // Leaders come about a moment after the topic.
    let c = consumer(&ground.bootstrap, &[]);
    until("leaders", || {
        c.partitions_for(&ground.topic, LIMIT)
            .is_ok_and(|p| p.len() == partitions as usize && p.iter().all(|p| p.leader >= 0))
    });
    (ground, raw)
}

fn is_real() -> bool {
    std::env::var("OTTLA_TEST_BOOTSTRAP").is_ok()
}

#[test]
fn every_codec_from_every_start() {
    let (ground, mut raw) = ground("codecs", 5);
    let topic = &ground.topic;
    for (partition, codec) in Codec::ALL.into_iter().enumerate() {
        let batches: Vec<_> = (0..10)
            .map(|i| batch(&numbered(i * 100..(i + 1) * 100), codec))
            .collect();
        assert_eq!(raw.produce(topic, partition as i32, &batches), 0);
    }
    for (start, first) in [
        (Start::Earliest, 0),
        (Start::Offset(0), 0),
        (Start::Offset(555), 555),
        (Start::Timestamp(700), 700),
        (Start::Timestamp(5000), 1000),
        (Start::Latest, 1000),
    ] {
        let c = consumer(&ground.bootstrap, &[]);
        let all: Vec<_> = (0..5).map(|p| (&**topic, p, start)).collect();
        c.assign(&all).unwrap();
        until("positions", || {
            (0..5).all(|p| {
                c.position(topic, p)
                    .is_ok_and(|position| position == Some(first))
            })
        });
        let got = read(&c, 5 * (1000 - first as usize));
        for partition in 0..5 {
            let of_partition: Vec<_> = got
                .iter()
                .filter(|g| g.partition == partition)
                .cloned()
                .collect();
            assert_eq!(
                offsets(&of_partition),
                (first..1000).collect::<Vec<_>>(),
                "{start:?}"
            );
            for g in of_partition {
                assert_eq!(g.row, numbered(g.offset as u64..g.offset as u64 + 1)[0]);
            }
        }
        assert!(matches!(
            c.poll(0, Duration::from_millis(50)).unwrap(),
            Polled::Nothing
        ));
        until("the lag", || {
            let _ = c.poll(0, Duration::from_millis(20));
            (0..5).all(|p| c.lag(topic, p).unwrap() == Some(0))
        });
    }
}

#[test]
fn lookups_agree_with_the_log() {
    let (ground, mut raw) = ground("lookups", 2);
    let topic = &*ground.topic;
    raw.produce(topic, 0, &[batch(&numbered(0..10), Codec::None)]);
    let c = consumer(&ground.bootstrap, &[]);
    assert_eq!(
        c.end_offsets(&[(topic, 1), (topic, 0)], LIMIT).unwrap(),
        [0, 10]
    );
    assert_eq!(c.beginning_offsets(&[(topic, 0)], LIMIT).unwrap(), [0]);
    assert_eq!(
        c.offsets_for_times(&[(topic, 0, 7), (topic, 1, 7)], LIMIT)
            .unwrap(),
        [Some((7, 7)), None]
    );
}

#[test]
fn new_records_come_to_a_waiting_poll() {
    let (ground, mut raw) = ground("waiting", 1);
    let topic = &*ground.topic;
    let c = consumer(&ground.bootstrap, &[("fetch.max.wait.ms", "5s")]);
    c.assign(&[(topic, 0, Start::Earliest)]).unwrap();
    assert!(matches!(
        c.poll(0, Duration::from_millis(500)).unwrap(),
        Polled::Nothing
    ));
    for round in 0..5u64 {
        raw.produce(topic, 0, &[batch(&numbered(round..round + 1), Codec::None)]);
        let start = Instant::now();
        assert_eq!(offsets(&read(&c, 1)), [round as i64]);
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "a parked fetch is answered when records come"
        );
    }
}

#[test]
fn out_of_range_is_reported() {
    let (ground, mut raw) = ground("range", 1);
    let topic = &*ground.topic;
    raw.produce(topic, 0, &[batch(&numbered(0..10), Codec::None)]);
    let c = consumer(&ground.bootstrap, &[("auto.offset.reset", "earliest")]);
    c.assign(&[(topic, 0, Start::Offset(500))]).unwrap();
    let e = event(&c);
    assert_eq!((e.kind, e.from, e.to), (EventKind::PositionReset, 500, 0));
    assert_eq!(read(&c, 10).len(), 10);
    if !is_real() {
        return;
    }
    let partition = DeleteRecordsPartition::default().with_offset(4);
    let of_topic = DeleteRecordsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![partition]);
    let answer = raw.call(
        2,
        &DeleteRecordsRequest::default()
            .with_topics(vec![of_topic])
            .with_timeout_ms(10_000),
    );
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    c.seek(topic, 0, Start::Offset(1)).unwrap();
    let e = event(&c);
    assert_eq!((e.kind, e.from, e.to), (EventKind::PositionReset, 1, 4));
    assert_eq!(offsets(&read(&c, 6)), (4..10).collect::<Vec<_>>());
    assert_eq!(c.beginning_offsets(&[(topic, 0)], LIMIT).unwrap(), [4]);
}

/// Retried while the coordinator comes about.
fn settled(mut step: impl FnMut() -> i16) {
    let end = Instant::now() + LIMIT;
    loop {
        match ErrorCode(i32::from(step())) {
            ErrorCode::NONE => return,
            code if code.is_retriable() => assert!(Instant::now() < end, "{code:?}"),
            code => panic!("{code:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A transaction of three records, as an old client would write it; gives the producer.
fn transaction(raw: &mut Raw, id: &'static str, topic: &str, commit: Option<bool>) {
    let transactional_id = || TransactionalId(StrBytes::from_static_str(id));
    let mut producer = (0, 0);
    // The first transactional id of a cluster makes it create the coordinators' topic.
    let find = kafka_protocol::messages::FindCoordinatorRequest::default()
        .with_key(StrBytes::from_static_str(id))
        .with_key_type(1);
    settled(|| raw.call(3, &find).error_code);
    settled(|| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = raw.call(3, &request);
        producer = (answer.producer_id.0, answer.producer_epoch);
        answer.error_code
    });
    let added = AddPartitionsToTxnTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![0]);
    settled(|| {
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id())
            .with_v3_and_below_producer_id(ProducerId(producer.0))
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(vec![added.clone()]);
        let answer = raw.call(3, &request);
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    });
    let mut builder = BatchBuilder::new(usize::MAX, 1024);
    for _ in 0..3 {
        builder.append(None, Some(id.as_bytes()), &[], 1).unwrap();
    }
    let sealed = builder.seal(Codec::Lz4, None).unwrap();
    let attempt = Attempt {
        producer_id: producer.0,
        producer_epoch: producer.1,
        base_sequence: 0,
        transactional: true,
    };
    let bytes = [&sealed.header(&attempt)[..], &sealed.body()[..]].concat();
    settled(|| raw.produce_as(Some(id), topic, 0, &bytes).0);
    if let Some(commit) = commit {
        settled(|| {
            let request = EndTxnRequest::default()
                .with_transactional_id(transactional_id())
                .with_producer_id(ProducerId(producer.0))
                .with_producer_epoch(producer.1)
                .with_committed(commit);
            raw.call(3, &request).error_code
        });
    }
}

#[test]
fn only_what_was_committed() {
    if !is_real() {
        return; // no transactions on the embedded broker
    }
    let (ground, mut raw) = ground("transactions", 1);
    let topic = &*ground.topic;
    transaction(&mut raw, "committed", topic, Some(true));
    transaction(&mut raw, "aborted", topic, Some(false));
    raw.produce(topic, 0, &[batch(&numbered(0..2), Codec::None)]);
    transaction(&mut raw, "open", topic, None);
    raw.produce(topic, 0, &[batch(&numbered(2..4), Codec::None)]);
    // Markers lie at 3 and 7, the open transaction begins at 10.
    let c = consumer(&ground.bootstrap, &[("isolation.level", "read_committed")]);
    until("the markers", || {
        c.end_offsets(&[(topic, 0)], LIMIT).unwrap() == [10]
    });
    c.assign(&[(topic, 0, Start::Earliest)]).unwrap();
    assert_eq!(offsets(&read(&c, 5)), [0, 1, 2, 8, 9]);
    assert!(matches!(
        c.poll(0, Duration::from_millis(300)).unwrap(),
        Polled::Nothing
    ));
    assert_eq!(
        (c.position(topic, 0).unwrap(), c.lag(topic, 0).unwrap()),
        (Some(10), Some(0))
    );
    c.seek(topic, 0, Start::Offset(5)).unwrap();
    assert_eq!(
        offsets(&read(&c, 2)),
        [8, 9],
        "from inside an aborted batch"
    );
    let c = consumer(&ground.bootstrap, &[]);
    c.assign(&[(topic, 0, Start::Earliest)]).unwrap();
    assert_eq!(
        offsets(&read(&c, 13)),
        [0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]
    );
}

/// Row 19: offsets of a topic that was deleted and created again begin anew, and the reader is told.
#[test]
fn a_recreated_topic_begins_anew() {
    let (ground, mut raw) = ground("recreated", 1);
    let topic = &*ground.topic;
    raw.produce(topic, 0, &[batch(&numbered(0..50), Codec::None)]);
    let c = consumer(
        &ground.bootstrap,
        &[
            ("auto.offset.reset", "earliest"),
            ("metadata.max.age.ms", "300"),
        ],
    );
    c.assign(&[(topic, 0, Start::Earliest)]).unwrap();
    assert_eq!(read(&c, 50).len(), 50);

    let admin = AdminConfig::from_pairs([("bootstrap.servers", &*ground.bootstrap)]).unwrap();
    let admin = Admin::new(admin).unwrap();
    let deleted = admin.delete_topics(&[topic], LIMIT).unwrap();
    assert!(deleted[0].error.is_none(), "{:?}", deleted[0].error);
    // A broker takes a moment to let go of the name.
    until("the topic is there again", || {
        let new = [NewTopic::new(topic, 1, 1)];
        admin.create_topics(&new, LIMIT, false).unwrap()[0]
            .error
            .is_none()
    });
    raw.produce(topic, 0, &[batch(&numbered(100..105), Codec::None)]);
    let (mut told, mut got) = (Vec::new(), Vec::new());
    let end = Instant::now() + LIMIT;
    while got.len() < 5 {
        assert!(Instant::now() < end, "{got:?}, told {told:?}");
        match c.poll(0, Duration::from_millis(100)).unwrap() {
            Polled::Batch(batch) => got.extend(batch.iter().map(|r| (r.offset(), r.timestamp()))),
            Polled::Event(event) => told.push(event.kind),
            Polled::Nothing => {}
        }
    }
    assert_eq!(got, (0..5).map(|n| (n, 100 + n)).collect::<Vec<_>>());
    assert!(told.contains(&EventKind::TopicRecreated), "{told:?}");
}
