//! Transactions from both sides: what a transactional producer promises, and what readers with
//! `isolation.level=read_committed` see; on the embedded broker, or on the Kafka that OTTLA_TEST_BOOTSTRAP names.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "support/cluster.rs"]
mod cluster;

use std::time::{Duration, Instant};

use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions, CoordinatorKind, Fault, FaultRule, api_key};
use ottla::config::{AdminConfig, ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, GroupMetadata, OffsetAndMetadata, Polled, Start};
use ottla::producer::{Completion, Outcome, Producer, Record, Wait};
use ottla::{Error, ErrorCode};

use cluster::{cluster, fresh};

const LIMIT: Duration = Duration::from_secs(30);

/// A cluster with a topic and names of our own.
struct Ground {
    bootstrap: String,
    topic: String,
    name: String,
    _broker: Option<Broker>,
}

fn is_real() -> bool {
    std::env::var("OTTLA_TEST_BOOTSTRAP").is_ok()
}

/// True where the brokers do transactions the second way (KIP-890).
fn is_v2() -> bool {
    std::env::var("OTTLA_TEST_KAFKA_VERSION").map_or(true, |version| !version.starts_with("3."))
}

fn ground(word: &str, partitions: i32, configs: &[(&str, &str)]) -> Ground {
    let (bootstrap, broker) = cluster(BrokerOptions::new().nodes(1));
    let name = fresh(word);
    let admin =
        Admin::new(AdminConfig::from_pairs([("bootstrap.servers", &*bootstrap)]).unwrap()).unwrap();
    let mut topic = NewTopic::new(&name, partitions, 1);
    for (key, value) in configs {
        topic = topic.config(*key, *value);
    }
    let created = admin.create_topics(&[topic], LIMIT, false).unwrap();
    assert!(created[0].error.is_none(), "{:?}", created[0].error);
    Ground {
        bootstrap,
        topic: name.clone(),
        name,
        _broker: broker,
    }
}

impl Ground {
    fn producer(&self, more: &[(&str, &str)]) -> Producer {
        let pairs = [
            ("bootstrap.servers", &*self.bootstrap),
            ("transactional.id", &*self.name),
        ];
        let pairs = pairs.into_iter().chain(more.iter().copied());
        Producer::new(ProducerConfig::from_pairs(pairs).unwrap()).unwrap()
    }

    /// A producer that is ready for its first transaction.
    fn ready(&self, more: &[(&str, &str)]) -> Producer {
        let producer = self.producer(more);
        producer.init_transactions(LIMIT).unwrap();
        producer
    }

    fn consumer(&self, more: &[(&str, &str)]) -> Consumer {
        let pairs = [
            ("bootstrap.servers", &*self.bootstrap),
            ("isolation.level", "read_committed"),
            ("group.id", &*self.name),
        ];
        let pairs = pairs
            .into_iter()
            .filter(|(key, _)| more.iter().all(|(given, _)| given != key))
            .chain(more.iter().copied());
        Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap()
    }

    /// The committed values of a partition, in order: at least `least` of them, and then what comes in a moment.
    fn committed_values(&self, partition: i32, least: usize) -> Vec<String> {
        let consumer = self.consumer(&[]);
        consumer
            .assign(&[(&*self.topic, partition, Start::Earliest)])
            .unwrap();
        let by = Instant::now() + LIMIT;
        let mut values = Vec::new();
        let mut quiet_since = Instant::now();
        while values.len() < least || quiet_since.elapsed() < Duration::from_millis(300) {
            assert!(
                Instant::now() < by,
                "{} of {least} read: {values:?}",
                values.len()
            );
            if let Polled::Batch(batch) = consumer.poll(0, Duration::from_millis(100)).unwrap() {
                for record in batch.iter() {
                    values.push(String::from_utf8(record.value().unwrap().to_vec()).unwrap());
                }
                quiet_since = Instant::now();
            }
        }
        values
    }

    fn committed_offset(&self) -> Option<i64> {
        let committed = self
            .consumer(&[])
            .committed(&[(&self.topic, 0)], LIMIT)
            .unwrap();
        committed[0].as_ref().map(|o| o.offset)
    }

    fn group(&self) -> GroupMetadata {
        GroupMetadata {
            group_id: self.name.clone(),
            generation: -1,
            member_id: String::new(),
            instance_id: None,
        }
    }
}

fn try_send(producer: &Producer, topic: &str, partition: i32, value: &str) -> Result<(), Error> {
    let record = Record {
        topic,
        partition: Some(partition),
        value: Some(value.as_bytes()),
        token: 1,
        ..Record::default()
    };
    producer.send(&record, Wait::MaxBlock)
}

fn send(producer: &Producer, ground: &Ground, partition: i32, value: &str) {
    try_send(producer, &ground.topic, partition, value).unwrap();
}

/// Drains completions until `records` have ended.
fn ends(producer: &Producer, records: u32) -> Vec<Completion> {
    let by = Instant::now() + LIMIT;
    let mut out: Vec<Completion> = Vec::new();
    while out.iter().map(|c| c.count).sum::<u32>() < records {
        assert!(Instant::now() < by, "{out:?}");
        producer
            .completions(1000, Duration::from_millis(200), &mut out)
            .unwrap();
    }
    out
}

/// An error is exactly one kind: what can be done about it.
fn kind(error: &Error) -> &'static str {
    match (error.is_retriable(), error.needs_abort(), error.is_fatal()) {
        (true, false, false) => "retriable",
        (false, true, false) => "abortable",
        (false, false, true) => "fatal",
        (false, false, false) => "plain",
        more => panic!("{error}: {more:?}"),
    }
}

#[test]
fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    let ground = ground("seen", 2, &[]);
    let producer = ground.ready(&[]);
    let mut expected = [Vec::new(), Vec::new()];
    for round in 0..6 {
        producer.begin_transaction().unwrap();
        for i in 0..20 {
            let partition = i % 2;
            let value = format!("{round}-{i}");
            send(&producer, &ground, partition, &value);
            if round % 3 != 1 {
                expected[partition as usize].push(value);
            }
        }
        if round % 3 == 1 {
            producer.abort_transaction(LIMIT).unwrap();
        } else {
            producer.commit_transaction(LIMIT).unwrap();
        }
    }
    for partition in 0..2 {
        let wanted = &expected[partition as usize];
        assert_eq!(&ground.committed_values(partition, wanted.len()), wanted);
    }
    producer.close(LIMIT).unwrap();
}

#[test]
fn an_empty_transaction_ends_without_a_word() {
    let ground = ground("empty", 1, &[]);
    let producer = ground.ready(&[]);
    for commit in [true, false, true] {
        producer.begin_transaction().unwrap();
        if commit {
            producer.commit_transaction(LIMIT).unwrap();
        } else {
            producer.abort_transaction(LIMIT).unwrap();
        }
    }
    producer.begin_transaction().unwrap();
    send(&producer, &ground, 0, "a");
    producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(ground.committed_values(0, 1), ["a"]);
}

#[test]
fn misuse_is_told_at_once() {
    let ground = ground("misuse", 1, &[]);
    let told = |result: Result<(), Error>, words: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_TXN_STATE, "{error}");
        assert_eq!(kind(&error), "plain", "{error}");
        assert!(error.message().contains(words), "{error}");
    };
    let pairs = [("bootstrap.servers", &*ground.bootstrap)];
    let plain = Producer::new(ProducerConfig::from_pairs(pairs).unwrap()).unwrap();
    told(plain.init_transactions(LIMIT), "configure transactional.id");
    told(plain.begin_transaction(), "configure transactional.id");

    let producer = ground.producer(&[]);
    // Records of a topic that asks for less would be written outside of the transaction.
    let less = producer.set_topic_config(&ground.topic, [("acks", "1")]);
    assert_eq!(less.unwrap_err().code(), ErrorCode::CONFIG);
    told(producer.begin_transaction(), "call init_transactions first");
    let early = try_send(&producer, &ground.topic, 0, "early");
    told(early, "call init_transactions, then begin_transaction");
    producer.init_transactions(LIMIT).unwrap();
    told(producer.init_transactions(LIMIT), "it was called before");
    let outside = || try_send(&producer, &ground.topic, 0, "outside");
    told(outside(), "no transaction is open");
    told(producer.commit_transaction(LIMIT), "no transaction is open");
    told(producer.abort_transaction(LIMIT), "no transaction is open");
    let offsets = [(&*ground.topic, 0, OffsetAndMetadata::from(1))];
    let given = producer.send_offsets(&offsets, &ground.group(), LIMIT);
    told(given, "no transaction is open");
    producer.begin_transaction().unwrap();
    told(producer.begin_transaction(), "a transaction is open");
    send(&producer, &ground, 0, "inside");
    producer.commit_transaction(LIMIT).unwrap();
    told(outside(), "no transaction is open");
    assert_eq!(ground.committed_values(0, 1), ["inside"]);
}

#[test]
fn a_fenced_twin_writes_nothing_and_is_told() {
    let ground = ground("fenced", 1, &[]);
    let first = ground.ready(&[]);
    first.begin_transaction().unwrap();
    send(&first, &ground, 0, "first-open");
    first.flush(LIMIT).unwrap();

    let second = ground.ready(&[]);
    second.begin_transaction().unwrap();
    send(&second, &ground, 0, "second");

    // The zombie may still take the record; it never gets it written.
    if try_send(&first, &ground.topic, 0, "first-late").is_ok() {
        let ended = ends(&first, 2);
        let last = ended.last().unwrap();
        assert_eq!(last.outcome, Outcome::NotWritten, "{ended:?}");
        let error = last.error.as_ref().unwrap();
        assert_eq!(error.code(), ErrorCode::INVALID_PRODUCER_EPOCH, "{error}");
        assert_eq!(kind(error), "abortable", "{error}");
    }
    let refused = first.commit_transaction(LIMIT).unwrap_err();
    assert_ne!(kind(&refused), "retriable", "{refused}");
    let told = first.abort_transaction(LIMIT).unwrap_err();
    assert_eq!(kind(&told), "fatal", "{told}");
    assert!(
        [
            ErrorCode::PRODUCER_FENCED,
            ErrorCode::INVALID_PRODUCER_EPOCH
        ]
        .contains(&told.code()),
        "{told}"
    );
    assert!(
        told.message()
            .contains("has taken the transactional.id over"),
        "{told}"
    );
    for again in [
        first.begin_transaction(),
        try_send(&first, &ground.topic, 0, "zombie"),
    ] {
        assert_eq!(kind(&again.unwrap_err()), "fatal");
    }

    second.commit_transaction(LIMIT).unwrap();
    assert_eq!(ground.committed_values(0, 1), ["second"]);
    second.begin_transaction().unwrap();
    send(&second, &ground, 0, "second-again");
    second.commit_transaction(LIMIT).unwrap();
    assert_eq!(ground.committed_values(0, 2), ["second", "second-again"]);
}

#[test]
fn a_failed_send_refuses_the_commit_until_aborted() {
    let ground = ground("failed", 1, &[("max.message.bytes", "2000")]);
    let producer = ground.ready(&[("max.request.size", "5000"), ("batch.size", "5000")]);
    let large = "x".repeat(3000);
    let refused_by_both = ["x".repeat(6000), large];
    for (round, value) in refused_by_both.iter().enumerate() {
        producer.begin_transaction().unwrap();
        send(&producer, &ground, 0, "before");
        producer.flush(LIMIT).unwrap();
        let sent = try_send(&producer, &ground.topic, 0, value);
        assert_eq!(
            sent.is_err(),
            round == 0,
            "the client's own limit refuses the first"
        );
        if let Err(error) = sent {
            assert_eq!(kind(&error), "abortable", "{error}");
        }
        let refused = producer.commit_transaction(LIMIT).unwrap_err();
        assert_eq!(kind(&refused), "abortable", "{refused}");
        let code = [ErrorCode::RECORD_TOO_LARGE, ErrorCode::MESSAGE_TOO_LARGE][round];
        assert_eq!(refused.code(), code, "{refused}");
        assert!(
            refused.message().contains(&ground.topic),
            "which: {refused}"
        );
        // It stays refused, and so does everything else.
        let again = producer.commit_transaction(LIMIT).unwrap_err();
        assert_eq!((again.code(), kind(&again)), (code, "abortable"), "{again}");
        assert!(again.message().contains("abort_transaction"), "{again}");
        let more = try_send(&producer, &ground.topic, 0, "more").unwrap_err();
        assert_eq!(kind(&more), "abortable", "{more}");
        assert_eq!(
            kind(&producer.begin_transaction().unwrap_err()),
            "abortable"
        );
        producer.abort_transaction(LIMIT).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, &ground, 0, &format!("after-{round}"));
        producer.commit_transaction(LIMIT).unwrap();
    }
    assert_eq!(ground.committed_values(0, 2), ["after-0", "after-1"]);
}

#[test]
fn an_abort_drops_what_was_not_sent() {
    let ground = ground("dropped", 1, &[]);
    let producer = ground.ready(&[("linger.ms", "60000"), ("delivery.timeout.ms", "120000")]);
    producer.begin_transaction().unwrap();
    send(&producer, &ground, 0, "dropped");
    let unknown = format!("{}-unknown", ground.topic);
    try_send(&producer, &unknown, 0, "dropped").unwrap();
    producer.abort_transaction(LIMIT).unwrap();
    for end in ends(&producer, 2) {
        assert_eq!(end.outcome, Outcome::NotWritten);
        let error = end.error.unwrap();
        assert_eq!(error.code(), ErrorCode::PURGED, "{error}");
        assert!(error.message().contains("aborted"), "{error}");
    }
    producer.begin_transaction().unwrap();
    send(&producer, &ground, 0, "kept");
    // A commit doesn't linger either.
    producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(ground.committed_values(0, 1), ["kept"]);
}

#[test]
fn a_groups_offsets_are_committed_with_the_transaction_or_not_at_all() {
    let ground = ground("offsets", 1, &[]);
    let producer = ground.ready(&[]);
    let offsets = |n: i64| [(&*ground.topic, 0, OffsetAndMetadata::from(n))];
    for (n, commit) in [(7, false), (8, true), (9, false)] {
        producer.begin_transaction().unwrap();
        send(&producer, &ground, 0, &format!("{n}"));
        producer
            .send_offsets(&offsets(n), &ground.group(), LIMIT)
            .unwrap();
        if commit {
            producer.commit_transaction(LIMIT).unwrap();
            assert_eq!(ground.committed_offset(), Some(n));
        } else {
            producer.abort_transaction(LIMIT).unwrap();
            assert_eq!(ground.committed_offset(), (n == 9).then_some(8));
        }
    }
    // Offsets alone make a transaction too.
    producer.begin_transaction().unwrap();
    producer
        .send_offsets(&offsets(10), &ground.group(), LIMIT)
        .unwrap();
    producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(ground.committed_offset(), Some(10));

    // A member that the group doesn't know is refused, and its transaction with it (KIP-447).
    producer.begin_transaction().unwrap();
    let mut stranger = ground.group();
    stranger.generation = 3;
    stranger.member_id = "stranger".to_owned();
    let refused = producer
        .send_offsets(&offsets(11), &stranger, LIMIT)
        .unwrap_err();
    assert_eq!(kind(&refused), "abortable", "{refused}");
    assert!(
        [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION].contains(&refused.code()),
        "{refused}"
    );
    let commit = producer.commit_transaction(LIMIT).unwrap_err();
    assert_eq!(kind(&commit), "abortable", "{commit}");
    producer.abort_transaction(LIMIT).unwrap();
    assert_eq!(ground.committed_offset(), Some(10));
}

#[test]
fn closing_aborts_what_is_open() {
    let ground = ground("closed", 1, &[]);
    let producer = ground.ready(&[("transaction.timeout.ms", "600000")]);
    producer.begin_transaction().unwrap();
    send(&producer, &ground, 0, "open");
    producer.flush(LIMIT).unwrap();
    producer.close(LIMIT).unwrap();
    let next = ground.ready(&[]);
    next.begin_transaction().unwrap();
    send(&next, &ground, 0, "next");
    next.commit_transaction(LIMIT).unwrap();
    assert_eq!(ground.committed_values(0, 1), ["next"]);
    let closed = next.close(LIMIT).and_then(|()| next.begin_transaction());
    assert_eq!(closed.unwrap_err().code(), ErrorCode::CLOSED);
}

#[test]
fn a_transaction_that_outlives_its_time_is_aborted_whole() {
    let ground = ground("expired", 1, &[]);
    // Kafka looks for those that are over every 10 s.
    let producer = ground.ready(&[("transaction.timeout.ms", "500")]);
    for late in [false, true] {
        producer.begin_transaction().unwrap();
        send(&producer, &ground, 0, "expired");
        producer.flush(LIMIT).unwrap();
        std::thread::sleep(Duration::from_secs(if is_real() { 12 } else { 2 }));
        if late {
            // A record tells before the commit does.
            send(&producer, &ground, 0, "late");
        }
        let refused = producer.commit_transaction(LIMIT).unwrap_err();
        assert!(
            refused.message().contains("transaction.timeout.ms"),
            "{refused}"
        );
        if !is_v2() {
            // Old brokers answer as to a fenced producer.
            let end = producer.abort_transaction(LIMIT).unwrap_err();
            assert_eq!(kind(&end), "fatal", "{end}");
            assert!(ground.committed_values(0, 0).is_empty());
            return;
        }
        assert_eq!(kind(&refused), "abortable", "{refused}");
        producer.abort_transaction(LIMIT).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, &ground, 0, "on");
        producer.commit_transaction(LIMIT).unwrap();
    }
    assert_eq!(ground.committed_values(0, 2), ["on", "on"]);
}

/// Ends a transaction, calling again while only the time was over.
fn end(producer: &Producer, commit: bool) -> Result<(), Error> {
    let by = Instant::now() + LIMIT;
    loop {
        let ended = if commit {
            producer.commit_transaction(Duration::from_millis(300))
        } else {
            producer.abort_transaction(Duration::from_millis(300))
        };
        match ended {
            Err(e) if e.code() == ErrorCode::TIMED_OUT && Instant::now() < by => {}
            ended => return ended,
        }
    }
}

/// Every request of a transaction goes wrong in every way that is survived, on brokers of both versions; a commit is
/// whole, an abort leaves nothing, and no call but the one that is to be made again ever fails.
#[test]
fn every_request_may_go_wrong_and_be_made_again() {
    let faults = [
        Fault::Drop,
        Fault::SwallowReply { close: true },
        Fault::PartialReply { bytes: 9 },
        Fault::Error {
            code: ErrorCode::CONCURRENT_TRANSACTIONS,
        },
        Fault::Error {
            code: ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        },
        Fault::Error {
            code: ErrorCode::NOT_COORDINATOR,
        },
    ];
    let of_leaders = Fault::Error {
        code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
    };
    // FindCoordinator, InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn, Produce.
    for version in [1, 2] {
        for api in [10, 22, 24, 25, 28, 26, api_key::PRODUCE] {
            let is_v1_only = matches!(api, 24 | 25);
            if version == 2 && is_v1_only {
                continue;
            }
            let options = BrokerOptions::new().nodes(3).transaction_version(version);
            let broker = Broker::start(options).unwrap();
            let ground = Ground {
                bootstrap: broker.bootstrap_servers(),
                topic: "t".to_owned(),
                name: "t".to_owned(),
                _broker: None,
            };
            broker.create_topic("t", 1, &[]).unwrap();
            let mut expected = Vec::new();
            let mut round = 0;
            for fault in &faults {
                let is_answer_of_coordinators = matches!(
                    fault,
                    Fault::Error { code } if *code != ErrorCode::CONCURRENT_TRANSACTIONS
                );
                let fault = match (api, is_answer_of_coordinators) {
                    (10, true) => continue,
                    (api_key::PRODUCE, true) => &of_leaders,
                    _ => fault,
                };
                let at = format!("version {version}, API {api}, {fault:?}");
                broker
                    .add_fault(FaultRule::new(fault.clone()).api(api).times(2))
                    .unwrap();
                let producer = ground.producer(&[
                    ("retry.backoff.ms", "5"),
                    ("reconnect.backoff.ms", "5"),
                    ("linger.ms", "0"),
                ]);
                producer.init_transactions(LIMIT).expect(&at);
                for commit in [true, false, true] {
                    round += 1;
                    producer.begin_transaction().expect(&at);
                    for i in 0..3 {
                        let value = format!("{round}-{i}");
                        send(&producer, &ground, 0, &value);
                        if commit {
                            expected.push(value);
                        }
                    }
                    let offset = OffsetAndMetadata::from(round);
                    producer
                        .send_offsets(&[("t", 0, offset)], &ground.group(), LIMIT)
                        .expect(&at);
                    end(&producer, commit).expect(&at);
                }
                assert_eq!(ground.committed_offset(), Some(round), "{at}");
                broker.clear_faults().unwrap();
            }
            let read = ground.committed_values(0, expected.len());
            assert_eq!(read, expected, "version {version}, API {api}");
        }
    }
}

/// Its coordinator moves, dies, and comes back, again and again.
#[test]
fn a_coordinator_that_moves_amid_commits() {
    let broker = Broker::start(BrokerOptions::new().nodes(3)).unwrap();
    let ground = Ground {
        bootstrap: broker.bootstrap_servers(),
        topic: "t".to_owned(),
        name: "t".to_owned(),
        _broker: None,
    };
    broker.create_topic("t", 1, &[]).unwrap();
    let producer = ground.ready(&[("retry.backoff.ms", "5"), ("reconnect.backoff.ms", "5")]);
    let mut expected = Vec::new();
    for round in 0..30 {
        producer.begin_transaction().unwrap();
        let value = format!("{round}");
        send(&producer, &ground, 0, &value);
        expected.push(value);
        broker
            .move_coordinator(
                CoordinatorKind::Transaction,
                "t",
                1 + round % 3,
                Duration::from_millis(20),
            )
            .unwrap();
        end(&producer, true).unwrap();
    }
    assert_eq!(ground.committed_values(0, expected.len()), expected);
}

/// Begin, one record, end, as fast as a thread can: whatever the I/O thread is about at that moment, the end waits for
/// the record.
#[test]
fn a_transaction_never_ends_before_its_records() {
    let ground = ground("small", 1, &[]);
    let producer = ground.ready(&[]);
    let mut expected = Vec::new();
    for round in 0..300 {
        producer.begin_transaction().unwrap();
        let value = format!("{round}");
        send(&producer, &ground, 0, &value);
        if round % 3 == 1 {
            producer.abort_transaction(LIMIT).unwrap();
        } else {
            producer.commit_transaction(LIMIT).unwrap();
            expected.push(value);
        }
        // A moment's pause, so that it begins at all points of the I/O thread's turns.
        std::thread::sleep(Duration::from_micros(7 * (round % 150)));
    }
    assert_eq!(ground.committed_values(0, expected.len()), expected);
}

/// A batch's commit covers the markers that follow it, so that nothing lags behind (KIP-1094).
#[test]
fn a_committed_batch_covers_the_markers_behind_it() {
    let ground = ground("markers", 1, &[]);
    let producer = ground.ready(&[("linger.ms", "0")]);
    for values in [["a", "b", "c"], ["d", "e", "f"]] {
        producer.begin_transaction().unwrap();
        for value in values {
            send(&producer, &ground, 0, value);
        }
        producer.commit_transaction(LIMIT).unwrap();
    }
    // Of the last batch the records end at 7, and the marker is there.
    for (isolation, max) in [
        ("read_committed", 0),
        ("read_committed", 3),
        ("read_committed", 6),
        ("read_uncommitted", 3),
    ] {
        let group = format!("{}-{isolation}-{max}", ground.name);
        let consumer = ground.consumer(&[("group.id", &group), ("isolation.level", isolation)]);
        consumer
            .assign(&[(&ground.topic, 0, Start::Earliest)])
            .unwrap();
        let (by, mut last) = (Instant::now() + LIMIT, -1);
        while last < 6 {
            assert!(Instant::now() < by, "{isolation} {max}: {last}");
            if let Polled::Batch(batch) = consumer.poll(max, Duration::from_millis(200)).unwrap() {
                last = batch.iter().map(|r| r.offset()).max().unwrap();
                consumer.commit_batch(&batch, LIMIT).unwrap();
            }
        }
        let committed = consumer.committed(&[(&ground.topic, 0)], LIMIT).unwrap();
        let committed = committed[0].as_ref().map(|o| o.offset);
        assert_eq!(committed, Some(8), "{isolation} {max}");
    }
}
