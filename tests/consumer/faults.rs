//! What goes wrong between broker and consumer, and what must hold all the same.

use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Fault, FaultRule, api_key};
use ottla::consumer::{EventKind, Polled, Start};
use ottla::protocol::compress::Codec;

use super::support::{LIMIT, batch, broker, consumer, event, numbered, offsets, produce, read};

#[test]
fn a_corrupt_batch_is_never_delivered() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    produce(&broker, "t", 0, &[batch(&numbered(0..10), Codec::None)]);
    broker
        .add_fault(FaultRule::new(Fault::CorruptBatch).api(api_key::FETCH))
        .unwrap();
    let c = consumer(&broker.bootstrap_servers(), &[]);
    c.assign(&[("t", 0, Start::Earliest)]).unwrap();
    let e = event(&c);
    assert_eq!(
        (e.kind, e.partition, e.from),
        (EventKind::PartitionStopped, 0, 0)
    );
    let error = e.error.unwrap();
    assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
    for part in ["t-0", "offset 0", "seek to offset 10"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
    assert!(matches!(
        c.poll(0, Duration::from_millis(100)).unwrap(),
        Polled::Nothing
    ));
    assert_eq!(c.position("t", 0).unwrap(), Some(0));
    produce(&broker, "t", 0, &[batch(&numbered(10..20), Codec::None)]);
    c.seek("t", 0, Start::Offset(0)).unwrap();
    assert_eq!(offsets(&read(&c, 20)), (0..20).collect::<Vec<_>>());
}

/// Reads 3 times 1,000 records while `trouble` goes on; none may be lost, doubled or out of order.
fn reads_on(nodes: usize, trouble: impl Fn(&ottla::broker::Broker, usize)) {
    let broker = broker(nodes);
    broker.create_topic("t", 3, &[]).unwrap();
    let c = consumer(
        &broker.bootstrap_servers(),
        &[("retry.backoff.ms", "10"), ("reconnect.backoff.ms", "10")],
    );
    c.assign_topic("t", Start::Earliest).unwrap();
    let mut next = [0; 3];
    for round in 0..10 {
        for partition in 0..3 {
            let from = round as u64 * 100;
            produce(
                &broker,
                "t",
                partition,
                &[batch(&numbered(from..from + 100), Codec::None)],
            );
        }
        trouble(&broker, round);
        let end = Instant::now() + LIMIT;
        while next.iter().any(|n| *n < (round as i64 + 1) * 100) {
            assert!(
                Instant::now() < end,
                "stuck at {next:?} in round {round}: {:?}",
                c.log_lines(100)
            );
            match c.poll(0, Duration::from_millis(500)).unwrap() {
                Polled::Batch(batch) => {
                    for r in batch.iter() {
                        let next = &mut next[r.partition() as usize];
                        assert_eq!(r.offset(), *next, "partition {}", r.partition());
                        *next += 1;
                    }
                }
                Polled::Event(e) => assert_eq!(e.kind, EventKind::PartitionFailing, "{e:?}"),
                Polled::Nothing => {}
            }
        }
    }
}

#[test]
fn leaders_move() {
    reads_on(3, |broker, round| {
        for partition in 0..3 {
            broker
                .move_leader(
                    "t",
                    partition,
                    ((partition as usize + round) % 3 + 1) as i32,
                )
                .unwrap();
        }
    });
}

#[test]
fn connections_break_at_every_place() {
    reads_on(2, |broker, round| {
        let fault = match round % 3 {
            0 => Fault::Drop,
            1 => Fault::SwallowReply { close: true },
            _ => Fault::PartialReply {
                bytes: 30 + round * 100,
            },
        };
        broker
            .add_fault(FaultRule::new(fault).api(api_key::FETCH).times(2))
            .unwrap();
    });
}

#[test]
fn refusals_are_retried() {
    let codes = [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::OFFSET_NOT_AVAILABLE,
        ErrorCode::REPLICA_NOT_AVAILABLE,
        ErrorCode::CORRUPT_MESSAGE,
    ];
    reads_on(1, |broker, round| {
        let fault = Fault::Error { code: codes[round] };
        broker
            .add_fault(
                FaultRule::new(fault)
                    .api(api_key::FETCH)
                    .topic("t")
                    .times(3),
            )
            .unwrap();
    });
}

#[test]
fn authorization_is_named_once_and_retried() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    produce(&broker, "t", 0, &[batch(&numbered(0..3), Codec::None)]);
    let fault = Fault::Error {
        code: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    };
    broker
        .add_fault(
            FaultRule::new(fault)
                .api(api_key::FETCH)
                .topic("t")
                .forever(),
        )
        .unwrap();
    let c = consumer(
        &broker.bootstrap_servers(),
        &[("retry.backoff.ms", "10"), ("retry.backoff.max.ms", "20")],
    );
    c.assign(&[("t", 0, Start::Offset(0))]).unwrap();
    let e = event(&c);
    assert_eq!(e.kind, EventKind::PartitionFailing);
    let error = e.error.unwrap();
    assert_eq!(error.code(), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert!(
        error.message().contains("t-0") && error.message().contains("ACL"),
        "{error}"
    );
    assert!(
        matches!(
            c.poll(0, Duration::from_millis(200)).unwrap(),
            Polled::Nothing
        ),
        "told once"
    );
    broker.clear_faults().unwrap();
    assert_eq!(read(&c, 3).len(), 3);
}

#[test]
fn a_slow_broker_delays_nobody_else() {
    let broker = broker(2);
    broker.create_topic("t", 2, &[]).unwrap();
    for partition in 0..2 {
        produce(
            &broker,
            "t",
            partition,
            &[batch(&numbered(0..1000), Codec::None)],
        );
    }
    let fault = Fault::Delay(Duration::from_secs(10));
    broker
        .add_fault(FaultRule::new(fault).api(api_key::FETCH).node(2).forever())
        .unwrap();
    let c = consumer(
        &broker.bootstrap_servers(),
        &[("max.partition.fetch.bytes", "1000")],
    );
    c.assign(&[("t", 0, Start::Offset(0)), ("t", 1, Start::Offset(0))])
        .unwrap();
    let start = Instant::now();
    let got = read(&c, 1000);
    assert!(got.iter().all(|g| g.partition == 0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn polls_fail_until_the_first_contact() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let c = consumer(&address, &[("socket.connection.setup.timeout.ms", "300")]);
    c.assign(&[("t", 0, Start::Earliest)]).unwrap();
    let start = Instant::now();
    let error = c.poll(0, LIMIT).unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert!(error.message().contains(&address), "{error}");
    assert_eq!(c.poll(0, Duration::ZERO).unwrap_err().code(), error.code());
    assert!(
        c.end_offsets(&[("t", 0)], LIMIT)
            .unwrap_err()
            .message()
            .contains(&address)
    );
    assert!(
        c.connect(Duration::from_millis(50))
            .unwrap_err()
            .message()
            .contains(&address)
    );
}

#[test]
fn an_answer_larger_than_the_limit_is_told_and_asked_for_calmly() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    produce(&broker, "t", 0, &[batch(&numbered(0..2000), Codec::None)]);
    let c = consumer(
        &broker.bootstrap_servers(),
        &[("receive.message.max.bytes", "10000")],
    );
    c.assign(&[("t", 0, Start::Earliest)]).unwrap();
    let e = event(&c);
    assert_eq!((e.kind, e.partition), (EventKind::PartitionFailing, 0));
    let error = e.error.unwrap();
    assert_eq!(error.code(), ErrorCode::CONFIG);
    for part in ["receive.message.max.bytes=10000", "raise", "t-0"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
    let seen = || broker.requests_seen(None, api_key::FETCH).unwrap();
    let before = seen();
    let polled = c.poll(0, Duration::from_secs(2)).unwrap();
    assert!(matches!(polled, Polled::Nothing), "{polled:?}");
    let fetches = seen() - before;
    assert!((1..=12).contains(&fetches), "{fetches} in two seconds");
}

#[test]
fn a_broker_that_stops_answering_or_is_gone_is_told() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let c = consumer(
        &broker.bootstrap_servers(),
        &[
            ("request.timeout.ms", "1s"),
            ("socket.connection.setup.timeout.ms", "1s"),
        ],
    );
    c.assign(&[("t", 0, Start::Earliest)]).unwrap();
    for round in 0..2 {
        produce(&broker, "t", 0, &[batch(&numbered(0..10), Codec::None)]);
        assert_eq!(read(&c, 10)[0].offset, round * 10);
        if round == 0 {
            broker.pause_node(1).unwrap();
        } else {
            broker.stop_node(1).unwrap();
        }
        let e = event(&c);
        assert_eq!(e.kind, EventKind::BrokerUnreachable, "{e:?}");
        assert!(e.message().contains("broker 1 "), "{}", e.message());
        if round == 0 {
            broker.resume_node(1).unwrap();
        } else {
            broker.start_node(1).unwrap();
        }
    }
    produce(&broker, "t", 0, &[batch(&numbered(0..10), Codec::None)]);
    assert_eq!(read(&c, 10)[0].offset, 20);
}
