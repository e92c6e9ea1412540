//! Records that were given up: what is told of them is the truth, doubt included.

use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Fault, FaultRule, api_key};
use ottla::producer::{Outcome, Record, Wait};

use super::sending::{LIMIT, broker, ends, producer};
use super::values::send_column;

#[test]
fn delivery_timeout_says_what_was_in_the_way() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(
        &broker,
        &[
            ("linger.ms", "0"),
            ("delivery.timeout.ms", "700"),
            ("request.timeout.ms", "500"),
        ],
    );
    send_column(&p, "t", None, 1, 0);
    p.flush(LIMIT).unwrap();
    let rule = FaultRule::new(Fault::Error {
        code: ErrorCode::NOT_ENOUGH_REPLICAS,
    })
    .api(api_key::PRODUCE)
    .forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "t", None, 3, 8);
    let done = ends(&p, 3);
    let error = done[0].error.clone().unwrap();
    // The broker refused it every time: it is certain that it was not written.
    assert_eq!(done[0].outcome, Outcome::NotWritten);
    for part in [
        "3 records",
        "t-0",
        "NOT_ENOUGH_REPLICAS",
        "delivery.timeout.ms",
    ] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    broker.clear_faults().unwrap();
    // The next ones are written, in a new epoch.
    send_column(&p, "t", None, 5, 9);
    let done = ends(&p, 5);
    assert_eq!(done[0].outcome, Outcome::Written, "{:?}", done[0].error);
    assert_eq!(broker.offsets("t", 0).unwrap().unwrap().1, 6);
    p.close(LIMIT).unwrap();
}

#[test]
fn what_was_sent_without_an_answer_is_possibly_written() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(&broker, &[("linger.ms", "0")]);
    send_column(&p, "t", None, 1, 0);
    p.flush(LIMIT).unwrap();
    let rule = FaultRule::new(Fault::SwallowReply { close: false })
        .api(api_key::PRODUCE)
        .forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "t", None, 2, 3);
    let seen = Instant::now() + LIMIT;
    while broker.offsets("t", 0).unwrap().unwrap().1 < 3 {
        assert!(Instant::now() < seen);
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    let error = p.close(Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TIMED_OUT);
    assert!(begun.elapsed() < Duration::from_secs(5), "close is bounded");
    let mut out = Vec::new();
    p.completions(10, Duration::ZERO, &mut out).unwrap();
    assert_eq!(
        (out[0].count, out[0].outcome),
        (2, Outcome::PossiblyWritten)
    );
    assert_eq!(
        p.completions(1, LIMIT, &mut out).unwrap_err().code(),
        ErrorCode::CLOSED
    );
    let record = Record {
        topic: "t",
        value: Some(b"x"),
        ..Default::default()
    };
    assert_eq!(
        p.send(&record, Wait::MaxBlock).unwrap_err().code(),
        ErrorCode::CLOSED
    );
}

#[test]
fn one_partitions_doubt_is_nothing_to_the_others() {
    let broker = broker(1);
    for topic in ["short", "long"] {
        broker.create_topic(topic, 1, &[]).unwrap();
    }
    // Each lost reply takes the connection with it; waiting longer for the next would use up the short time.
    let p = producer(
        &broker,
        &[
            ("linger.ms", "0"),
            ("retry.backoff.ms", "10"),
            ("retry.backoff.max.ms", "20"),
            ("reconnect.backoff.ms", "10"),
            ("reconnect.backoff.max.ms", "20"),
        ],
    );
    let short = [
        ("delivery.timeout.ms", "600"),
        ("request.timeout.ms", "500"),
    ];
    p.set_topic_config("short", short).unwrap();
    for topic in ["short", "long"] {
        send_column(&p, topic, Some(0), 2, 0);
    }
    p.flush(LIMIT).unwrap();
    // Both are appended, and no reply comes: whether they were is unknown.
    let swallow = Fault::SwallowReply { close: true };
    let rule = FaultRule::new(swallow).api(api_key::PRODUCE).forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "long", Some(0), 3, 1);
    send_column(&p, "short", Some(0), 3, 2);
    let done = ends(&p, 3);
    assert_eq!(done[0].token, 2);
    assert_eq!(done[0].outcome, Outcome::PossiblyWritten);
    // The one whose time is over begins another epoch; the other is sent again as it was, and found to be there.
    send_column(&p, "short", Some(0), 5, 3);
    std::thread::sleep(Duration::from_millis(100));
    broker.clear_faults().unwrap();
    let mut done = ends(&p, 8);
    done.sort_by_key(|c| c.token);
    for c in &done {
        assert_eq!(c.outcome, Outcome::Written, "{:?}", c.error);
    }
    assert_eq!((done[0].token, done[0].base_offset), (1, 2));
    assert_eq!(broker.offsets("long", 0).unwrap().unwrap().1, 5);
    p.close(LIMIT).unwrap();
}

#[test]
fn what_a_broker_appended_and_then_refused_is_possibly_written() {
    // As a leader that is deposed while it waits for its replicas does.
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let broker = broker(1);
        broker.create_topic("t", 1, &[]).unwrap();
        let settings = [
            ("linger.ms", "0"),
            ("request.timeout.ms", "300"),
            ("delivery.timeout.ms", "600"),
        ];
        let p = producer(&broker, &settings);
        let rule = FaultRule::new(Fault::ErrorAfterAppend { code })
            .api(api_key::PRODUCE)
            .forever();
        broker.add_fault(rule).unwrap();
        send_column(&p, "t", None, 2, 3);
        let done = ends(&p, 2);
        assert_eq!(
            done[0].outcome,
            Outcome::PossiblyWritten,
            "{code:?}: {:?}",
            done[0].error
        );
        assert_eq!(broker.offsets("t", 0).unwrap().unwrap().1, 2);
    }
}

#[test]
fn a_delivery_time_that_ends_while_a_request_is_unanswered() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let settings = [
        ("linger.ms", "0"),
        ("request.timeout.ms", "300"),
        ("delivery.timeout.ms", "500"),
    ];
    let p = producer(&broker, &settings);
    let rule = FaultRule::new(Fault::SwallowReply { close: false })
        .api(api_key::PRODUCE)
        .forever();
    broker.add_fault(rule).unwrap();
    send_column(&p, "t", None, 2, 3);
    let done = ends(&p, 2);
    assert_eq!(done[0].outcome, Outcome::PossiblyWritten);
    let error = done[0].error.as_ref().unwrap();
    assert_eq!(error.code(), ErrorCode::TIMED_OUT, "{error}");
    // The I/O thread is there for others.
    broker.clear_faults().unwrap();
    send_column(&p, "t", None, 1, 4);
    assert_eq!(ends(&p, 1)[0].outcome, Outcome::Written);
    p.close(LIMIT).unwrap();
}

#[test]
fn flush_tells_the_first_silent_failure_once() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let p = producer(
        &broker,
        &[("linger.ms", "60000"), ("delivery.timeout.ms", "120000")],
    );
    send_column(&p, "t", None, 3, 0);
    // Lingering for a minute, but a flush doesn't.
    p.flush(LIMIT).unwrap();
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    broker
        .add_fault(FaultRule::new(Fault::Error { code }).api(api_key::PRODUCE))
        .unwrap();
    send_column(&p, "t", None, 4, 0);
    let error = p.flush(LIMIT).unwrap_err();
    assert_eq!(error.code(), code);
    for part in ["4 records failed", "t-0", "ACL"] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    p.flush(LIMIT).unwrap();
    p.close(LIMIT).unwrap();
}
