//! Clients share one I/O thread: what one of them has to work on for long keeps no other waiting.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "support/sending.rs"]
mod sending;

use ottla::producer::{Outcome, Producer, Record, Wait};

use sending::{LIMIT, broker, ends, producer};

const PARTITIONS: i32 = 8;
/// Of each partition: one batch full, and one that leaves when it is due.
const RECORDS: i32 = 8;

/// So many bytes in which a compressor finds something, but not at once.
fn prose(bytes: usize) -> Vec<u8> {
    let mut seed = 1u32;
    let words = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{:x} ", seed >> 20)
    });
    words.flat_map(String::into_bytes).take(bytes).collect()
}

/// Sends a record through `producer` and waits for its end, again and again, until `over`. Returns how often.
fn round_trips(producer: &Producer, mut over: impl FnMut() -> bool) -> usize {
    let mut trips = 0;
    while !over() {
        let record = Record {
            topic: "quick",
            value: Some(b"v"),
            token: 1,
            ..Record::default()
        };
        producer.send(&record, Wait::MaxBlock).unwrap();
        assert_eq!(ends(producer, 1)[0].outcome, Outcome::Written);
        trips += 1;
    }
    trips
}

/// Has large batches compressed by zstd at level 19 while another producer does its round trips. `known`: the
/// partitions are known before the records are sent.
fn compressed_beside(known: bool) {
    let broker = broker(1);
    broker.create_topic("quick", 1, &[]).unwrap();
    let create = || broker.create_topic("slow", PARTITIONS, &[]).unwrap();
    let quick = producer(&broker, &[("linger.ms", "1")]);
    // Its connections are there.
    let mut once = [false, true].into_iter();
    round_trips(&quick, || once.next().unwrap());
    let slow = producer(
        &broker,
        &[
            ("linger.ms", "20"),
            ("batch.size", "150000"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "19"),
            ("allow.auto.create.topics", "false"),
        ],
    );
    let send = |n: i32, value: &[u8]| {
        let record = Record {
            topic: "slow",
            partition: Some(n % PARTITIONS),
            value: Some(value),
            ..Record::default()
        };
        slow.send(&record, Wait::MaxBlock).unwrap();
    };
    if known {
        create();
        (0..PARTITIONS).for_each(|n| send(n, b"v"));
        slow.flush(LIMIT).unwrap();
    }
    let value = prose(29_000);
    (0..RECORDS * PARTITIONS).for_each(|n| send(n, &value));
    if !known {
        create();
    }
    let slow = &slow;
    let trips = std::thread::scope(|scope| {
        let flushed = scope.spawn(|| slow.flush(LIMIT));
        let trips = round_trips(&quick, || flushed.is_finished());
        flushed.join().unwrap().unwrap();
        trips
    });
    // One for each of the batches would be as many as come through where the I/O thread compresses.
    assert!(
        trips > 4 * PARTITIONS as usize,
        "{trips} round trips while {PARTITIONS} batches were compressed"
    );
    for index in 0..PARTITIONS {
        let end = broker.offsets("slow", index).unwrap().unwrap().1;
        assert_eq!(end, i64::from(RECORDS) + i64::from(known));
    }
    slow.close(LIMIT).unwrap();
    quick.close(LIMIT).unwrap();
}

#[test]
fn batches_that_are_due_are_compressed_beside_the_io_thread() {
    compressed_beside(true);
}

#[test]
fn records_that_waited_for_their_topic_are_compressed_beside_it() {
    compressed_beside(false);
}
