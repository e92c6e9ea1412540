//! What strikes brokers and connections: all records must be there once and in order.

use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Broker, Fault, FaultRule, api_key};
use ottla::producer::{Outcome, Record, Wait};

use super::sending::{LIMIT, broker, ends, producer};
use super::values::{assert_numbered, send_column, values};

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
