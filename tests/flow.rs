//! What goes where, how much is held, what is given up: partitioners, topics' own settings, bounds and purges.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "support/sending.rs"]
mod sending;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Fault, FaultRule, api_key};
use ottla::producer::{Completion, Outcome, Producer, Purge, Record, Wait};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};

use sending::{LIMIT, broker, ends, producer};

/// Sends each key as a record of its own call or as one batch; the partition each came to, by its index.
fn placed(producer: &Producer, topic: &str, keys: &[Option<&[u8]>], batch: bool) -> Vec<i32> {
    if batch {
        let blob: Vec<u8> = keys
            .iter()
            .flat_map(|k| k.unwrap_or(b""))
            .copied()
            .collect();
        let lengths: Vec<i32> = keys
            .iter()
            .map(|k| k.map_or(-1, |k| k.len() as i32))
            .collect();
        let mut starts = Vec::new();
        let keys_column = Bytes::Blob(Blob::new("keys", &blob, &lengths, &mut starts).unwrap());
        let time = Timestamps::One(1);
        let records = Records::new(keys.len(), keys_column, Bytes::Null, None, time).unwrap();
        let (n, sent) = producer.send_batch(topic, None, &records, 1, Wait::MaxBlock);
        sent.unwrap();
        assert_eq!(n, keys.len());
    } else {
        for (i, key) in keys.iter().enumerate() {
            let record = Record {
                topic,
                key: *key,
                token: i as u64 + 1,
                ..Record::default()
            };
            producer.send(&record, Wait::MaxBlock).unwrap();
        }
    }
    let mut out = vec![-1; keys.len()];
    for c in ends(producer, keys.len() as u64) {
        assert_eq!(c.outcome, Outcome::Written, "{:?}", c.error);
        for i in 0..c.count {
            let row = match &c.indices {
                Some(indices) => indices[i as usize],
                None => c.first + i,
            };
            let at = if batch {
                row as usize
            } else {
                c.token as usize - 1
            };
            out[at] = c.partition;
        }
    }
    out
}

#[test]
fn a_programs_own_partitioner_is_asked_on_the_senders_thread_for_records_without_a_partition() {
    let broker = broker(1);
    for topic in ["mine", "plain", "named"] {
        broker.create_topic(topic, 5, &[]).unwrap();
    }
    let producer = Arc::new(producer(&broker, &[("linger.ms", "0")]));
    let me = std::thread::current().id();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    producer
        .set_partitioner(None, move |topic: &str, key: Option<&[u8]>, n: i32| {
            assert_eq!(std::thread::current().id(), me);
            assert_eq!((topic == "mine" || topic == "plain", n), (true, 5));
            count.fetch_add(1, Ordering::Relaxed);
            key.map(|key| key.len() as i32 % n)
        })
        .unwrap();
    producer
        .set_topic_config("named", [("partitioner", "murmur2")])
        .unwrap();
    let keys: Vec<Vec<u8>> = (0..40).map(|i| vec![b'k'; i]).collect();
    let keys: Vec<Option<&[u8]>> = keys.iter().map(|k| Some(k.as_slice())).collect();
    let by_length: Vec<i32> = (0..40).map(|i| i % 5).collect();
    // The first records meet a topic whose partitions are not known yet.
    assert_eq!(placed(&producer, "mine", &keys, false), by_length);
    assert_eq!(placed(&producer, "plain", &keys, true), by_length);
    assert_eq!(asked.load(Ordering::Relaxed), 80);
    // The topic's own key comes before the partitioner for all; so does a partition that the record names.
    let named: Vec<i32> = (0..40)
        .map(|i| {
            let hash = ottla::producer::partitioner::murmur2(&vec![b'k'; i]);
            ((hash & 0x7fff_ffff) % 5) as i32
        })
        .collect();
    assert_eq!(placed(&producer, "named", &keys, true), named);
    let record = Record {
        topic: "mine",
        partition: Some(3),
        key: Some(b"k"),
        token: 7,
        ..Record::default()
    };
    producer.send(&record, Wait::MaxBlock).unwrap();
    assert_eq!(ends(&producer, 1)[0].partition, 3);
    assert_eq!(asked.load(Ordering::Relaxed), 80);
    // Without a key this one leaves the choice to the configured one.
    assert!((0..5).contains(&placed(&producer, "mine", &[None], false)[0]));
    let e = producer
        .set_partitioner(None, |_: &str, _: Option<&[u8]>, _: i32| None)
        .unwrap_err();
    assert!(e.message().contains("in use already"), "{e}");
}

#[test]
fn a_partition_that_is_not_there_is_the_senders_error_and_takes_nothing() {
    let broker = broker(1);
    broker.create_topic("t", 3, &[]).unwrap();
    let producer = producer(&broker, &[]);
    producer
        .set_partitioner(Some("t"), |_: &str, key: Option<&[u8]>, _: i32| {
            Some(if key == Some(b"bad") { 3 } else { -5 })
        })
        .unwrap();
    for (key, told) in [
        (&b"bad"[..], "chose partition 3"),
        (b"worse", "chose partition -5"),
    ] {
        let record = Record {
            topic: "t",
            key: Some(key),
            ..Record::default()
        };
        let e = producer.send(&record, Wait::MaxBlock).unwrap_err();
        assert_eq!(e.code(), ErrorCode::INVALID_ARGUMENT);
        assert!(
            e.message().contains(told) && e.message().contains("the topic has 3"),
            "{e}"
        );
    }
    let mut starts = Vec::new();
    let keys = Bytes::Blob(Blob::new("keys", b"bad", &[3], &mut starts).unwrap());
    let records = Records::new(1, keys, Bytes::Null, None, Timestamps::One(1)).unwrap();
    let (n, sent) = producer.send_batch("t", None, &records, 1, Wait::MaxBlock);
    assert_eq!(n, 0);
    assert!(sent.unwrap_err().message().contains("row 0 of the call"));
    producer.flush(LIMIT).unwrap();
    assert_eq!(producer.counts().written, 0);
}

#[test]
fn a_partitioner_may_send_and_one_who_may_not_wait_is_told_to_come_again() {
    let broker = broker(1);
    broker.create_topic("t", 2, &[]).unwrap();
    broker.create_topic("log", 1, &[]).unwrap();
    let rule = FaultRule::new(Fault::Delay(Duration::from_millis(300))).api(api_key::METADATA);
    broker.add_fault(rule).unwrap();
    let producer = Arc::new(producer(&broker, &[("linger.ms", "0")]));
    let inner = Arc::downgrade(&producer);
    producer
        .set_partitioner(Some("t"), move |_: &str, _: Option<&[u8]>, _: i32| {
            let note = Record {
                topic: "log",
                value: Some(b"chosen"),
                token: 1,
                ..Record::default()
            };
            inner.upgrade()?.send(&note, Wait::MaxBlock).unwrap();
            Some(1)
        })
        .unwrap();
    let record = Record {
        topic: "t",
        token: 2,
        ..Record::default()
    };
    let e = producer
        .send(&record, Wait::UpTo(Duration::ZERO))
        .unwrap_err();
    assert_eq!(e.code(), ErrorCode::AGAIN, "{e}");
    // The queue is poked as soon as it is of use to come again.
    let by = Instant::now() + LIMIT;
    while producer.send(&record, Wait::UpTo(Duration::ZERO)).is_err() {
        assert!(Instant::now() < by);
        producer.completions(1, LIMIT, &mut Vec::new()).unwrap();
    }
    let mut at: Vec<(String, i32)> = ends(&producer, 2)
        .iter()
        .map(|c| (c.topic.to_string(), c.partition))
        .collect();
    at.sort();
    assert_eq!(at, [("log".to_owned(), 0), ("t".to_owned(), 1)]);
    // A topic that does not come ends the wait in time.
    let missing = Record {
        topic: "nowhere",
        ..Record::default()
    };
    producer
        .set_partitioner(Some("nowhere"), |_: &str, _: Option<&[u8]>, _: i32| None)
        .unwrap();
    let e = producer
        .send(&missing, Wait::UpTo(Duration::from_millis(50)))
        .unwrap_err();
    assert_eq!(e.code(), ErrorCode::TIMED_OUT, "{e}");
    // So does a close.
    let waiting = producer.clone();
    let waiter = std::thread::spawn(move || waiting.send(&missing, Wait::UpTo(LIMIT)));
    std::thread::sleep(Duration::from_millis(100));
    producer.close(LIMIT).unwrap();
    // Whichever comes first: the call sees the end, or what waits for the topic is given up by it.
    let code = waiter.join().unwrap().unwrap_err().code();
    assert!(
        matches!(code, ErrorCode::CLOSED | ErrorCode::PURGED),
        "{}",
        code.name()
    );
}

#[test]
fn topics_have_settings_of_their_own() {
    let broker = broker(1);
    for topic in ["all", "one", "none", "slow"] {
        broker.create_topic(topic, 1, &[]).unwrap();
    }
    let producer = producer(
        &broker,
        &[("linger.ms", "5"), ("max.request.size", "100000")],
    );
    producer.set_topic_config("one", [("acks", "1")]).unwrap();
    let none = [("request.required.acks", "0"), ("compression.type", "gzip")];
    producer.set_topic_config("none", none).unwrap();
    let slow = [("linger.ms", "1h"), ("delivery.timeout.ms", "2h")];
    producer.set_topic_config("slow", slow).unwrap();
    let value = vec![b'x'; 50_000];
    for topic in ["all", "one", "none", "slow"] {
        for _ in 0..3 {
            let record = Record {
                topic,
                value: Some(if topic == "slow" { b"v" } else { &value }),
                token: 1,
                ..Record::default()
            };
            producer.send(&record, Wait::MaxBlock).unwrap();
        }
    }
    let ended = ends(&producer, 9);
    let offsets = |topic: &str| {
        let mut offsets: Vec<i64> = ended
            .iter()
            .filter(|c| &*c.topic == topic)
            .flat_map(|c| {
                (0..c.count)
                    .map(|i| c.base_offset + if c.base_offset < 0 { 0 } else { i64::from(i) })
            })
            .collect();
        offsets.sort();
        offsets
    };
    assert_eq!(offsets("all"), [0, 1, 2]);
    assert_eq!(offsets("one"), [0, 1, 2]);
    assert_eq!(offsets("none"), [-1, -1, -1], "nobody answers acks=0");
    assert_eq!(offsets("slow"), [] as [i64; 0], "it lingers");
    producer.flush(LIMIT).unwrap();
    assert_eq!(broker.offsets("slow", 0).unwrap().unwrap(), (0, 3));
    // 150 kB twice, and once more of one letter, compressed.
    let bytes = producer.counts().bytes;
    assert!((300_000..303_000).contains(&bytes), "{bytes}");

    let refused = |topic: &str, pairs: &[(&'static str, &'static str)], told: &str| {
        let e = producer
            .set_topic_config(topic, pairs.iter().copied())
            .unwrap_err();
        assert!(e.message().contains(told), "{e}");
        e.code()
    };
    let used = refused("one", &[("acks", "all")], "in use already");
    assert_eq!(used, ErrorCode::INVALID_ARGUMENT);
    refused("no name", &[("acks", "1")], "cannot be a topic's name");
    for (pairs, told) in [
        (&[("acks", "2")][..], "`acks` is set to `2`"),
        (&[("akcs", "1")], "did you mean `acks`"),
        (
            &[("batch.size", "1")],
            "`batch.size` is for the whole producer",
        ),
        (&[("fetch.min.bytes", "1")], "a key of the consumer"),
        (
            &[("linger.ms", "1h"), ("delivery.timeout.ms", "1s")],
            "is less than",
        ),
        (
            &[("acks", "1"), ("request.required.acks", "1")],
            "two names of one key",
        ),
    ] {
        assert_eq!(refused("new", pairs, told), ErrorCode::CONFIG);
        refused("new", pairs, "the settings of topic 'new'");
    }
}

#[test]
fn a_topic_may_not_give_up_the_idempotence_that_was_asked_for() {
    let broker = broker(1);
    let producer = producer(&broker, &[("enable.idempotence", "true")]);
    let e = producer.set_topic_config("t", [("acks", "1")]).unwrap_err();
    assert!(
        e.message()
            .contains("`enable.idempotence` (true) needs acks=all"),
        "{e}"
    );
}

#[test]
fn records_are_bounded_beside_bytes() {
    let broker = broker(1);
    broker.create_topic("t", 4, &[]).unwrap();
    // librdkafka's name for it.
    let producer = producer(
        &broker,
        &[
            ("queue.buffering.max.messages", "100"),
            ("linger.ms", "1h"),
            ("delivery.timeout.ms", "inf"),
        ],
    );
    let record = Record {
        topic: "t",
        key: Some(b"k"),
        ..Record::default()
    };
    let hold = FaultRule::new(Fault::Delay(Duration::from_secs(3600)))
        .api(api_key::PRODUCE)
        .forever();
    broker.add_fault(hold).unwrap();
    for _ in 0..90 {
        producer.send(&record, Wait::MaxBlock).unwrap();
    }
    // A batch is taken as far as it fits, whatever the partitions of its records.
    let keys: Vec<u8> = (0..50).collect();
    let lengths = [1; 50];
    let mut starts = Vec::new();
    let keys = Bytes::Blob(Blob::new("keys", &keys, &lengths, &mut starts).unwrap());
    let records = Records::new(50, keys, Bytes::Null, None, Timestamps::One(1)).unwrap();
    let (n, sent) = producer.send_batch("t", None, &records, 1, Wait::UpTo(Duration::ZERO));
    let e = sent.unwrap_err();
    assert_eq!((n, e.code()), (10, ErrorCode::AGAIN), "{e}");
    assert!(e.message().contains("buffer.records=100"), "{e}");
    assert_eq!(producer.counts().buffered_records, 100);
    let e = producer
        .send(&record, Wait::UpTo(Duration::from_millis(20)))
        .unwrap_err();
    assert_eq!(e.code(), ErrorCode::BUFFER_FULL, "{e}");
    // Purging makes room.
    producer.purge(Purge::All).unwrap();
    assert_eq!(producer.counts().buffered_records, 0);
    producer.send(&record, Wait::UpTo(Duration::ZERO)).unwrap();
}

#[test]
fn a_full_buffer_does_not_linger() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    for bound in [("buffer.records", "10"), ("buffer.memory", "65536")] {
        let producer = producer(
            &broker,
            &[
                bound,
                ("linger.ms", "1h"),
                ("delivery.timeout.ms", "inf"),
                ("batch.size", "65536"),
                ("max.request.size", "65536"),
            ],
        );
        let record = Record {
            topic: "t",
            value: Some(&[0; 3000]),
            ..Record::default()
        };
        for _ in 0..100 {
            producer.send(&record, Wait::UpTo(LIMIT)).unwrap();
        }
    }
}

#[test]
fn purge_gives_up_what_is_queued_or_in_flight_and_the_producer_goes_on() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    broker.create_topic("u", 1, &[]).unwrap();
    let producer = producer(
        &broker,
        &[
            ("linger.ms", "0"),
            ("max.in.flight.requests.per.connection", "1"),
        ],
    );
    let send = |topic: &str, token: u64| {
        let record = Record {
            topic,
            value: Some(b"v"),
            token,
            ..Record::default()
        };
        producer.send(&record, Wait::MaxBlock).unwrap();
    };
    send("t", 1);
    assert_eq!(ends(&producer, 1)[0].base_offset, 0);
    // One request is held up by the broker, the records behind it wait.
    let hold = FaultRule::new(Fault::SwallowReply { close: false }).api(api_key::PRODUCE);
    broker.add_fault(hold).unwrap();
    send("t", 2);
    let by = Instant::now() + LIMIT;
    while producer.counts().requests < 2 {
        assert!(Instant::now() < by);
        std::thread::yield_now();
    }
    send("t", 3);
    send("u", 4);
    producer.purge(Purge::Queued).unwrap();
    let mut out = Vec::new();
    producer.completions(10, Duration::ZERO, &mut out).unwrap();
    let told = |out: &[Completion]| -> BTreeMap<u64, (Outcome, ErrorCode)> {
        out.iter()
            .map(|c| (c.token, (c.outcome, c.error.as_ref().unwrap().code())))
            .collect()
    };
    let not = (Outcome::NotWritten, ErrorCode::PURGED);
    assert_eq!(told(&out), BTreeMap::from([(3, not), (4, not)]));
    producer.purge(Purge::InFlight).unwrap();
    out.clear();
    producer.completions(10, Duration::ZERO, &mut out).unwrap();
    let possibly = (Outcome::PossiblyWritten, ErrorCode::PURGED);
    assert_eq!(told(&out), BTreeMap::from([(2, possibly)]));
    // Nothing is left, and a purge of nothing is no trouble.
    producer.purge(Purge::All).unwrap();
    assert_eq!(producer.counts().live_batches, 0);
    assert_eq!(producer.counts().buffered_bytes, 0);
    broker.clear_faults().unwrap();
    producer.close(Duration::from_secs(1)).unwrap();
    assert_eq!(
        producer.purge(Purge::All).unwrap_err().code(),
        ErrorCode::CLOSED
    );
}

#[test]
fn records_for_a_topic_not_known_yet_can_be_purged() {
    let broker = broker(1);
    let producer = producer(&broker, &[]);
    let record = Record {
        topic: "nowhere",
        token: 5,
        ..Record::default()
    };
    producer.send(&record, Wait::MaxBlock).unwrap();
    producer.purge(Purge::Queued).unwrap();
    let ended = ends(&producer, 1);
    assert_eq!(ended[0].error.as_ref().unwrap().code(), ErrorCode::PURGED);
    assert_eq!(producer.counts().buffered_bytes, 0);
}

#[test]
fn flush_and_close_keep_their_time_though_the_broker_stands_still() {
    let broker = broker(1);
    broker.create_topic("t", 1, &[]).unwrap();
    let producer = producer(&broker, &[("linger.ms", "0")]);
    producer.connect(LIMIT).unwrap();
    broker.stop_node(1).unwrap();
    let record = Record {
        topic: "t",
        token: 5,
        ..Record::default()
    };
    producer.send(&record, Wait::MaxBlock).unwrap();
    let begun = Instant::now();
    let e = producer.flush(Duration::from_millis(100)).unwrap_err();
    assert_eq!(e.code(), ErrorCode::TIMED_OUT);
    assert!(producer.close(Duration::from_millis(100)).is_err());
    // Far less than any of the client's own limits.
    assert!(begun.elapsed() < Duration::from_secs(5));
    let ended = ends(&producer, 1);
    assert_eq!(ended[0].error.as_ref().unwrap().code(), ErrorCode::PURGED);
}

#[test]
fn what_a_send_has_taken_is_sent_though_another_thread_closes_at_that_moment() {
    let broker = broker(1);
    let topic = "t";
    broker.create_topic(topic, 4, &[]).unwrap();
    for round in 0..60u64 {
        let producer = Arc::new(producer(&broker, &[("linger.ms", "0")]));
        // In every third round the first records wait for the topic's partitions.
        if round % 3 != 0 {
            let first = Record {
                topic,
                ..Record::default()
            };
            producer.send(&first, Wait::MaxBlock).unwrap();
            producer.flush(LIMIT).unwrap();
        }
        let senders: Vec<_> = [Some(1), None, Some(0)]
            .into_iter()
            .enumerate()
            .map(|(kind, partition)| {
                let producer = producer.clone();
                std::thread::spawn(move || send_until_closed(&producer, topic, kind, partition))
            })
            .collect();
        std::thread::sleep(Duration::from_micros(300 * (round % 20)));
        producer.close(LIMIT).unwrap();
        let taken: u64 = senders.into_iter().map(|s| s.join().unwrap()).sum();
        let ended = ends(&producer, taken);
        let lost = ended.iter().find(|c| c.outcome != Outcome::Written);
        assert!(lost.is_none(), "round {round}: {lost:?}");
    }
}

/// One record a call, or (for kind 2) a hundred, over all partitions where none is given; answers how many were taken.
fn send_until_closed(producer: &Producer, topic: &str, kind: usize, partition: Option<i32>) -> u64 {
    let key = b"0123456789".repeat(20);
    let lengths = [2; 100];
    let mut taken = 0;
    loop {
        let result = if kind == 2 {
            let mut starts = Vec::new();
            let keys = Bytes::Blob(Blob::new("keys", &key, &lengths, &mut starts).unwrap());
            let times = Timestamps::One(1_700_000_000_000);
            let rows = Records::new(100, keys, Bytes::Null, None, times).unwrap();
            let to = if taken % 200 == 0 { None } else { partition };
            let (accepted, result) = producer.send_batch(topic, to, &rows, 7, Wait::MaxBlock);
            taken += accepted as u64;
            result
        } else {
            let record = Record {
                topic,
                partition,
                value: Some(b"value"),
                token: 7,
                ..Record::default()
            };
            let result = producer.send(&record, Wait::MaxBlock);
            taken += u64::from(result.is_ok());
            result
        };
        match result {
            Ok(()) => {}
            Err(e) if e.code() == ErrorCode::CLOSED => return taken,
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn keyless_records_are_spread_evenly_by_bytes() {
    let broker = broker(1);
    broker.create_topic("t", 7, &[]).unwrap();
    // Not adaptive: the choice is by chance alone.
    let config = [
        ("partitioner.adaptive.partitioning.enable", "false"),
        ("batch.size", "1000"),
        ("linger.ms", "5"),
    ];
    let producer = producer(&broker, &config);
    let record = Record {
        topic: "t",
        value: Some(&[b'x'; 100]),
        ..Record::default()
    };
    const BATCHES: i64 = 1400;
    for _ in 0..BATCHES * 9 {
        producer.send(&record, Wait::MaxBlock).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let counts: Vec<i64> = (0..7)
        .map(|p| broker.offsets("t", p).unwrap().unwrap().1)
        .collect();
    assert_eq!(counts.iter().sum::<i64>(), BATCHES * 9);
    // 200 batches each by expectation, with a deviation of 13: five of them are never left by chance.
    for count in &counts {
        assert!((9 * 130..9 * 270).contains(count), "{counts:?}");
    }
}

#[test]
fn keyless_records_go_where_brokers_keep_up_and_not_where_one_takes_nothing() {
    let broker = broker(3);
    broker.create_topic("t", 6, &[]).unwrap();
    let config = [
        ("batch.size", "2000"),
        ("linger.ms", "0"),
        ("max.in.flight.requests.per.connection", "1"),
        ("partitioner.availability.timeout.ms", "100"),
    ];
    let producer = producer(&broker, &config);
    let record = Record {
        topic: "t",
        value: Some(&[b'x'; 100]),
        ..Record::default()
    };
    let counts = || -> Vec<i64> {
        (0..6)
            .map(|p| broker.offsets("t", p).unwrap().unwrap().1)
            .collect()
    };
    // Partitions 0 and 3 are led by node 1, which answers late.
    let slow = FaultRule::new(Fault::Delay(Duration::from_millis(40)))
        .api(api_key::PRODUCE)
        .node(1)
        .forever();
    broker.add_fault(slow).unwrap();
    let by = Instant::now() + Duration::from_secs(2);
    while Instant::now() < by {
        for _ in 0..20 {
            producer.send(&record, Wait::MaxBlock).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.flush(LIMIT).unwrap();
    let spread = counts();
    let (slow, fast) = (
        spread[0] + spread[3],
        spread[1] + spread[2] + spread[4] + spread[5],
    );
    assert!(slow > 0 && slow * 4 < fast, "{spread:?}");
    // Now it takes nothing at all: after the timeout its partitions get nothing more.
    broker.clear_faults().unwrap();
    broker.pause_node(1).unwrap();
    for _ in 0..3 {
        let to_paused = Record {
            partition: Some(0),
            ..record
        };
        producer.send(&to_paused, Wait::MaxBlock).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let before = counts();
    for _ in 0..2000 {
        producer.send(&record, Wait::MaxBlock).unwrap();
    }
    let by = Instant::now() + LIMIT;
    loop {
        let now = counts();
        let gained: i64 = [1, 2, 4, 5]
            .iter()
            .map(|p: &usize| now[*p] - before[*p])
            .sum();
        if gained >= 2000 - 20 {
            break;
        }
        assert!(Instant::now() < by, "{before:?} {now:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    producer.purge(Purge::All).unwrap();
}
