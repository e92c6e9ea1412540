//! What takes short locks, faults, or several nodes of a test's own: the embedded broker only.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use ottla::config::{ConsumerConfig, ShareConfig};
use ottla::consumer::{Consumer, EventKind, Polled};
use ottla::share::{AcknowledgeType, ShareConsumer};

use super::support::{self, Ground, LIMIT};

#[test]
fn a_lock_that_runs_out_is_told() {
    let lock = Duration::from_millis(300);
    let ground = Ground::embedded(BrokerOptions::new().share_lock(lock), "lock", 1);
    let explicit = [("share.acknowledgement.mode", "explicit")];
    let slow = ground.joined(&explicit);
    ground.send(0..3, &[]);
    let batch = support::records(&slow, 3);
    let quick = ground.subscribed(&[]);
    let again = support::records(&quick, 3);
    assert_eq!(again.delivery_counts(), [2; 3]);
    slow.acknowledge(&batch, 0..3, AcknowledgeType::Accept)
        .unwrap();
    let late = slow.commit(LIMIT).unwrap_err();
    assert_eq!(late.code(), ErrorCode::INVALID_RECORD_STATE);
    for part in ["-0, offsets 0 to 2", "300 ms", "max.poll.records"] {
        assert!(late.message().contains(part), "no {part:?} in {late}");
    }
    quick.commit(LIMIT).unwrap();

    // The same of one that nobody waits for.
    ground.send(3..4, &[]);
    let batch = support::records(&slow, 1);
    std::thread::sleep(2 * lock);
    slow.acknowledge(&batch, 0..1, AcknowledgeType::Accept)
        .unwrap();
    let event = support::event(&slow);
    assert_eq!(event.kind, EventKind::AcknowledgementFailed);
    assert_eq!((event.partition, event.from, event.to), (0, 3, 4));
    assert_eq!(event.error.unwrap().code(), ErrorCode::INVALID_RECORD_STATE);
}

#[test]
fn a_close_tells_of_acknowledgements_that_were_lost() {
    let ground = Ground::embedded(BrokerOptions::new(), "close", 1);
    let member = ground.joined(&[("share.acknowledgement.mode", "explicit")]);
    ground.send(0..2, &[]);
    let batch = support::records(&member, 2);
    member
        .acknowledge(&batch, 0..2, AcknowledgeType::Accept)
        .unwrap();
    let code = ErrorCode::SHARE_SESSION_NOT_FOUND;
    let rule = FaultRule::new(Fault::Error { code }).api(79).times(1);
    ground.broker.as_ref().unwrap().add_fault(rule).unwrap();
    let lost = member.close(LIMIT).unwrap_err();
    assert_eq!(lost.code(), code);
    assert!(lost.message().contains("offsets 0 to 1"), "{lost}");

    // Left without a word from the broker: what is subscribed to next is read all the same.
    let member = ground.subscribed(&[("request.timeout.ms", "1000")]);
    support::records(&member, 2);
    let rule = FaultRule::new(Fault::SwallowReply { close: false })
        .api(79)
        .times(1);
    ground.broker.as_ref().unwrap().add_fault(rule).unwrap();
    member.commit_async().unwrap();
    let late = member.unsubscribe(Duration::from_millis(300));
    assert!(late.is_ok(), "nothing was left to say: {late:?}");
    member.subscribe(&[&ground.topic]).unwrap();
    ground.send(2..3, &[]);
    let told = support::event(&member);
    assert_eq!(told.kind, EventKind::AcknowledgementFailed);
    assert_eq!(told.error.unwrap().code(), ErrorCode::TIMED_OUT);
    let again = support::records(&member, 1);
    assert_eq!(again.columns().offsets, [2]);
}

#[test]
fn renewing_keeps_a_lock_for_as_long_as_it_takes() {
    let lock = Duration::from_millis(500);
    let ground = Ground::embedded(BrokerOptions::new().share_lock(lock), "renew", 1);
    let explicit = [("share.acknowledgement.mode", "explicit")];
    let member = ground.joined(&explicit);
    ground.send(0..2, &[]);
    let batch = support::records(&member, 2);
    let other = ground.subscribed(&[]);
    for _ in 0..6 {
        std::thread::sleep(lock / 3);
        member
            .acknowledge(&batch, 0..2, AcknowledgeType::Renew)
            .unwrap();
        member.commit(LIMIT).unwrap();
        assert!(matches!(
            other.poll(Duration::ZERO).unwrap(),
            Polled::Nothing
        ));
    }
    member
        .acknowledge(&batch, 0..2, AcknowledgeType::Accept)
        .unwrap();
    member.commit(LIMIT).unwrap();
}

/// Reads rounds of records while `trouble` goes on. A record whose acknowledgement was lost comes again; none is lost.
fn reads_on(nodes: usize, trouble: impl Fn(&Broker, &str, usize)) {
    let options = BrokerOptions::new()
        .nodes(nodes)
        .share_lock(Duration::from_secs(2))
        .share_deliveries(50)
        .share_from_earliest(true);
    let ground = Ground::embedded(options, "on", 3);
    let quick = [("retry.backoff.ms", "10"), ("reconnect.backoff.ms", "10")];
    let members = [ground.joined(&quick), ground.joined(&quick)];
    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..8 {
        let from = round as u64 * 60;
        ground.send(from..from + 60, &[]);
        trouble(ground.broker.as_ref().unwrap(), &ground.topic, round);
        let end = Instant::now() + LIMIT;
        while got.len() < (round + 1) * 60 {
            let logs = || members[0].log_lines(100);
            assert!(
                Instant::now() < end,
                "{} in {round}: {:?}",
                got.len(),
                logs()
            );
            for member in &members {
                match member.poll(Duration::from_millis(50)).unwrap() {
                    Polled::Batch(batch) => {
                        for record in batch.iter() {
                            let value = record.value().unwrap().to_vec();
                            let value = String::from_utf8(value).unwrap();
                            *got.entry(value).or_default() += 1;
                        }
                    }
                    Polled::Event(e) => {
                        let kinds = [
                            EventKind::AcknowledgementFailed,
                            EventKind::PartitionFailing,
                            EventKind::GroupFailing,
                        ];
                        assert!(kinds.contains(&e.kind), "{e:?}");
                    }
                    Polled::Nothing => {}
                }
            }
        }
    }
    ground.broker.as_ref().unwrap().clear_faults().unwrap();
    for member in &members {
        // What was given last may have been lost with its session, of which this tells.
        let _ = member.commit(LIMIT);
        member.close(LIMIT).unwrap();
    }
}

#[test]
fn leaders_move() {
    reads_on(3, |broker, topic, round| {
        for partition in 0..3 {
            let node = ((partition as usize + round) % 3 + 1) as i32;
            broker.move_leader(topic, partition, node).unwrap();
        }
    });
}

#[test]
fn connections_break() {
    reads_on(2, |broker, _, round| {
        let fault = match round % 3 {
            0 => Fault::Drop,
            1 => Fault::SwallowReply { close: true },
            _ => Fault::PartialReply {
                bytes: 30 + round * 20,
            },
        };
        for api in [78, 79] {
            let rule = FaultRule::new(fault.clone()).api(api).times(2);
            broker.add_fault(rule).unwrap();
        }
    });
}

#[test]
fn sessions_coordinators_and_members_are_refused() {
    let codes = [
        ErrorCode::SHARE_SESSION_NOT_FOUND,
        ErrorCode::INVALID_SHARE_SESSION_EPOCH,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ];
    reads_on(1, |broker, _, round| {
        let code = codes[round % codes.len()];
        let rule = FaultRule::new(Fault::Error { code }).api(78).times(2);
        broker.add_fault(rule).unwrap();
        let code = [
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::UNKNOWN_MEMBER_ID,
            ErrorCode::FENCED_MEMBER_EPOCH,
        ][round % 4];
        let rule = FaultRule::new(Fault::Error { code }).api(76).times(1);
        broker.add_fault(rule).unwrap();
    });
}

#[test]
fn a_node_that_goes_takes_its_locks_with_it() {
    reads_on(2, |broker, topic, round| {
        let node = (round % 2 + 1) as i32;
        broker.stop_node(node).unwrap();
        for partition in 0..3 {
            let other = 3 - node;
            if broker.leader(topic, partition).unwrap() == Some(node) {
                broker.move_leader(topic, partition, other).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(100));
        broker.start_node(node).unwrap();
    });
}

#[test]
fn corrupt_batches_are_given_back() {
    let options = BrokerOptions::new().share_from_earliest(true);
    let ground = Ground::embedded(options, "corrupt", 1);
    ground.send(0..5, &[]);
    let rule = FaultRule::new(Fault::CorruptBatch).api(78).times(1);
    ground.broker.as_ref().unwrap().add_fault(rule).unwrap();
    let member = ground.subscribed(&[]);
    let event = support::event(&member);
    assert_eq!((event.kind, event.from), (EventKind::PartitionFailing, 0));
    let error = event.error.unwrap();
    assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
    assert!(error.message().contains("given back"), "{error}");
    let again = support::records(&member, 5);
    assert_eq!(again.delivery_counts(), [2; 5]);
}

#[test]
fn what_is_in_the_way_is_told() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    let bootstrap = broker.bootstrap_servers();
    broker.create_topic("t", 1, &[]).unwrap();
    let pairs = [("bootstrap.servers", &*bootstrap), ("group.id", "taken")];
    let member = || ShareConsumer::new(ShareConfig::from_pairs(pairs).unwrap()).unwrap();

    let missing = member();
    missing.subscribe(&["no-such-topic"]).unwrap();
    let event = support::event(&missing);
    assert_eq!(event.kind, EventKind::TopicFailing);
    assert_eq!(event.topic.as_deref(), Some("no-such-topic"));
    missing.close(LIMIT).unwrap();

    // The name is a consumer group's.
    let pairs = [("bootstrap.servers", &*bootstrap), ("group.id", "other")];
    let other = Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap();
    other.subscribe(&["t"]).unwrap();
    while !matches!(other.poll(0, LIMIT).unwrap(), Polled::Event(_)) {}
    let taken = ShareConsumer::new(ShareConfig::from_pairs(pairs).unwrap()).unwrap();
    taken.subscribe(&["t"]).unwrap();
    let event = support::event(&taken);
    assert_eq!(event.kind, EventKind::GroupFailing);
    let error = event.error.unwrap();
    for part in ["'other'", "group of another kind"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
    taken.close(LIMIT).unwrap();
    assert!(broker.requests_seen(None, api_key::METADATA).unwrap() > 0);

    let nameless = ShareConfig::from_pairs([("bootstrap.servers", "localhost:9092")]);
    assert!(
        nameless
            .unwrap_err()
            .message()
            .contains("`group.id` is not set")
    );
    let foreign = [
        ("bootstrap.servers", "localhost:9092"),
        ("group.id", "g"),
        ("auto.offset.reset", "earliest"),
    ];
    let foreign = ShareConfig::from_pairs(foreign).unwrap_err();
    assert!(
        foreign.message().contains("this is a share consumer"),
        "{foreign}"
    );
}

#[test]
fn an_answer_larger_than_the_limit_is_told() {
    let ground = Ground::embedded(BrokerOptions::new(), "large", 1);
    let member = ground.joined(&[("receive.message.max.bytes", "3000")]);
    ground.send(0..1000, &[("linger.ms", "100"), ("batch.size", "100kB")]);
    let event = support::event(&member);
    assert_eq!(event.kind, EventKind::PartitionFailing);
    let error = event.error.unwrap();
    assert_eq!(error.code(), ErrorCode::CONFIG);
    for part in ["receive.message.max.bytes=3000", "raise", &ground.topic] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
}
