//! Share groups, on the embedded broker or on the Kafka that OTTLA_TEST_BOOTSTRAP names; what needs an embedded broker's
//! settings or faults is in `embedded`.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "share/dead_letters.rs"]
mod dead_letters;
#[path = "share/embedded.rs"]
mod embedded;
#[path = "share/support.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::consumer::{EventKind, Polled};
use ottla::share::AcknowledgeType;

use support::{Ground, LIMIT, old_kafka};

#[test]
fn members_read_each_record_once_between_them() {
    if old_kafka() {
        return says_that_the_brokers_are_too_old();
    }
    let ground = Ground::new("between", 3);
    let members = [
        ground.joined(&[("max.poll.records", "10")]),
        ground.joined(&[("max.poll.records", "10")]),
    ];
    // Batches are acquired whole, so there have to be many.
    let sent = ground.send(0..600, &[("batch.size", "1000")]);
    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    let mut of_member = [0, 0];
    let end = Instant::now() + LIMIT;
    while got.len() < sent.len() {
        assert!(Instant::now() < end, "{} of {}", got.len(), sent.len());
        for (member, count) in members.iter().zip(&mut of_member) {
            match member.poll(Duration::from_millis(100)).unwrap() {
                Polled::Batch(batch) => {
                    assert_eq!(batch.delivery_counts().len(), batch.len());
                    for (record, deliveries) in batch.iter().zip(batch.delivery_counts()) {
                        assert_eq!(*deliveries, 1, "{}", record.offset());
                        let value = String::from_utf8(record.value().unwrap().to_vec()).unwrap();
                        *got.entry(value).or_default() += 1;
                        *count += 1;
                    }
                }
                Polled::Event(e) => panic!("{e:?}"),
                Polled::Nothing => {}
            }
        }
    }
    assert!(got.values().all(|n| *n == 1), "{got:?}");
    assert_eq!(got.into_keys().collect::<BTreeSet<_>>(), sent);
    assert!(of_member.iter().all(|n| *n > 0), "{of_member:?}");
    for member in &members {
        member.commit(LIMIT).unwrap();
        member.close(LIMIT).unwrap();
    }
    // What was accepted does not come again.
    let late = ground.subscribed(&[]);
    assert!(matches!(
        late.poll(Duration::from_secs(1)).unwrap(),
        Polled::Nothing
    ));
}

fn says_that_the_brokers_are_too_old() {
    let ground = Ground::new("old", 1);
    let member = ground.member(&[]);
    member.subscribe(&[&ground.topic]).unwrap();
    let event = support::event(&member);
    assert_eq!(event.kind, EventKind::GroupFailing);
    let error = event.error.unwrap();
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED);
    for part in [&*ground.group, "ShareGroupHeartbeat", "Kafka 4.1 or newer"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
    member.close(LIMIT).unwrap();
}

#[test]
fn each_word_has_its_meaning() {
    if old_kafka() {
        return;
    }
    let ground = Ground::new("words", 1);
    let explicit = [("share.acknowledgement.mode", "explicit")];
    let first = ground.joined(&explicit);
    ground.send(0..4, &[]);
    let batch = support::records(&first, 4);
    assert_eq!(batch.columns().offsets, [0, 1, 2, 3]);

    let refused = first.poll(Duration::ZERO).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::INVALID_ARGUMENT);
    for part in ["4 records", "-0 at offset 0", "explicit"] {
        assert!(refused.message().contains(part), "no {part:?} in {refused}");
    }
    first
        .acknowledge(&batch, 0..2, AcknowledgeType::Accept)
        .unwrap();
    first
        .acknowledge(&batch, 1..2, AcknowledgeType::Release)
        .unwrap();
    first
        .acknowledge(&batch, 2..3, AcknowledgeType::Reject)
        .unwrap();
    first
        .acknowledge_offset(&ground.topic, 0, 3, AcknowledgeType::Renew)
        .unwrap();
    first.commit(LIMIT).unwrap();
    assert!(first.lock_duration().unwrap().unwrap() > Duration::ZERO);

    // The one that was released comes again; the renewed one is still held, and does not stand in the way of the poll.
    let again = support::records(&first, 1);
    assert_eq!(again.columns().offsets, [1]);
    assert_eq!(again.delivery_counts(), [2]);
    first
        .acknowledge(&again, 0..1, AcknowledgeType::Accept)
        .unwrap();
    first
        .acknowledge(&batch, 3..4, AcknowledgeType::Accept)
        .unwrap();
    first.commit(LIMIT).unwrap();
    let twice = first
        .acknowledge(&batch, 0..1, AcknowledgeType::Accept)
        .unwrap_err();
    assert_eq!(twice.code(), ErrorCode::INVALID_ARGUMENT);
    assert!(twice.message().contains("does not have"), "{twice}");
    let outside = first.acknowledge(&batch, 3..5, AcknowledgeType::Accept);
    assert!(outside.unwrap_err().message().contains("a batch of 4"));
    assert!(matches!(
        first.poll(Duration::from_millis(700)).unwrap(),
        Polled::Nothing
    ));
    first.close(LIMIT).unwrap();
    let closed = first.poll(Duration::ZERO).unwrap_err();
    assert_eq!(closed.code(), ErrorCode::CLOSED);
}

#[test]
fn whoever_leaves_gives_back_what_it_has() {
    if old_kafka() {
        return;
    }
    let ground = Ground::new("back", 1);
    let first = ground.joined(&[]);
    ground.send(0..10, &[]);
    let batch = support::records(&first, 10);
    // What something else was said of is accepted by no later poll or close.
    first
        .acknowledge(&batch, 0..5, AcknowledgeType::Accept)
        .unwrap();
    first.close(LIMIT).unwrap();
    let second = ground.subscribed(&[]);
    let again = support::records(&second, 5);
    assert_eq!(again.columns().offsets, [5, 6, 7, 8, 9]);
    assert_eq!(again.delivery_counts(), [2; 5]);
    // Batches outlive their consumer.
    assert_eq!(batch.len(), 10);
    second.unsubscribe(LIMIT).unwrap();
    let idle = second.poll(Duration::ZERO).unwrap_err();
    assert!(idle.message().contains("subscribed to nothing"), "{idle}");
    second.subscribe(&[&ground.topic]).unwrap();
    assert_eq!(support::records(&second, 5).delivery_counts(), [3; 5]);
    second.commit(LIMIT).unwrap();
}

#[test]
fn a_limit_of_records_is_held_to() {
    if old_kafka() {
        return;
    }
    let ground = Ground::new("limit", 2);
    let limited = [
        ("share.acquire.mode", "record_limit"),
        ("max.poll.records", "3"),
    ];
    let member = ground.joined(&limited);
    let sent = ground.send(0..40, &[("linger.ms", "50")]);
    let mut got = BTreeSet::new();
    let end = Instant::now() + LIMIT;
    while got.len() < sent.len() {
        assert!(Instant::now() < end, "{} of {}", got.len(), sent.len());
        if let Polled::Batch(batch) = member.poll(Duration::from_millis(500)).unwrap() {
            assert!(batch.len() <= 3, "{}", batch.len());
            for record in batch.iter() {
                let new = String::from_utf8(record.value().unwrap().to_vec()).unwrap();
                assert!(got.insert(new), "twice");
            }
        }
    }
    assert_eq!(got, sent);
    member.commit(LIMIT).unwrap();
}

#[test]
fn every_codec_and_what_transactions_leave_behind() {
    if old_kafka() {
        return;
    }
    let ground = Ground::new("codecs", 1);
    let member = ground.joined(&[]);
    let mut sent = BTreeSet::new();
    for (i, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().enumerate() {
        let from = i as u64 * 20;
        sent.append(&mut ground.send(from..from + 20, &[("compression.type", codec)]));
    }
    sent.append(&mut ground.send_in_transaction(100..120));
    let mut got = BTreeSet::new();
    let end = Instant::now() + LIMIT;
    while got.len() < sent.len() {
        assert!(Instant::now() < end, "{} of {}", got.len(), sent.len());
        match member.poll(Duration::from_millis(500)).unwrap() {
            Polled::Batch(batch) => {
                for record in batch.iter() {
                    let headers: Vec<_> = record.headers().collect();
                    assert_eq!(headers, [(&b"h"[..], Some(&b"v"[..]))]);
                    let new = String::from_utf8(record.value().unwrap().to_vec()).unwrap();
                    assert!(got.insert(new), "twice");
                }
            }
            Polled::Event(e) => panic!("{e:?}"),
            Polled::Nothing => {}
        }
    }
    assert_eq!(got, sent);
    member.commit(LIMIT).unwrap();
    // Neither the records nor the transaction's marker come again.
    assert!(matches!(
        member.poll(Duration::from_millis(700)).unwrap(),
        Polled::Nothing
    ));
}

#[test]
fn polls_are_woken_and_refused() {
    if old_kafka() {
        return;
    }
    let ground = Ground::new("woken", 1);
    let member = ground.member(&[]);
    let idle = member.poll(Duration::ZERO).unwrap_err();
    assert_eq!(idle.code(), ErrorCode::INVALID_ARGUMENT);
    assert!(member.subscribe(&[]).is_err());
    assert!(member.subscribe(&[""]).is_err());
    member.subscribe(&[&ground.topic]).unwrap();
    assert_eq!(&*member.subscription().unwrap()[0], &*ground.topic);
    std::thread::scope(|s| {
        let polling = s.spawn(|| {
            loop {
                match member.poll(LIMIT) {
                    Err(e) if e.code() == ErrorCode::IN_USE => {}
                    other => return other,
                }
            }
        });
        let end = Instant::now() + LIMIT;
        loop {
            assert!(Instant::now() < end);
            match member.poll(Duration::ZERO) {
                Err(e) if e.code() == ErrorCode::IN_USE => break,
                other => assert!(matches!(other, Ok(Polled::Nothing)), "{other:?}"),
            }
        }
        member.wake().unwrap();
        let woken = polling.join().unwrap().unwrap_err();
        assert_eq!(woken.code(), ErrorCode::WOKEN);
    });
    assert!(member.descriptor().unwrap() >= 0);
    assert_eq!(member.held_bytes().unwrap(), 0);
    member.commit(LIMIT).unwrap();
    member.commit_async().unwrap();
}

#[test]
fn closing_does_not_wait_for_a_fetch_under_way() {
    if old_kafka() {
        return;
    }
    let ground = Ground::new("prompt", 1);
    let member = ground.joined(&[("fetch.max.wait.ms", "1500")]);
    let polled = member.poll(Duration::from_millis(50)).unwrap();
    assert!(matches!(polled, Polled::Nothing), "{polled:?}");
    let begun = Instant::now();
    member.close(LIMIT).unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(700), "{took:?}");
    // What comes while that fetch is there is read by others all the same.
    ground.send(0..5, &[]);
    let other = ground.subscribed(&[]);
    support::records(&other, 5);
    other.close(LIMIT).unwrap();
}
