//! In steady state neither client allocates per record: a call of 1,000 records costs its thread at most 8
//! allocations, a batch the I/O thread a small fixed number.
//!
//! A test binary of its own, for its allocator; one test, as another's clients would share the I/O thread.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla::broker::{Broker, BrokerOptions};
use ottla::config::{ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::producer::{Producer, Record, Wait};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};

/// Counts each thread's allocations, and those of threads by the name of "ottla-io" in a sum of their own.
struct Counting;

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(0) };
    /// Whether this is the I/O thread: 0 unknown, 1 no, 2 yes.
    static IS_IO: Cell<u8> = const { Cell::new(0) };
}

static IO: AtomicUsize = AtomicUsize::new(0);

fn count() {
    let _ = OWN.try_with(|n| n.set(n.get() + 1));
    let _ = IS_IO.try_with(|is| {
        if is.get() == 0 {
            is.set(if named_io() { 2 } else { 1 });
        }
        if is.get() == 2 {
            IO.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// By the operating system's name of it: asking Rust's own would allocate.
fn named_io() -> bool {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes at most 16 bytes, terminator included.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(b"ottla-io\0")
}

// SAFETY: all work is the system allocator's; counting touches constant-initialised thread locals and an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const LIMIT: Duration = Duration::from_secs(60);
const ROWS: usize = 1000;
const TURNS: usize = 200;
/// For a call of 1,000 records.
const MOST: usize = 8;

/// `TURNS` turns after as many to warm up: this thread's allocations of the middle one, so that buffers which a late
/// I/O thread makes necessary now and then don't count; and the I/O thread's in all of them.
fn steady(mut turn: impl FnMut()) -> (usize, usize) {
    for _ in 0..TURNS {
        turn();
    }
    let io = IO.load(Ordering::Relaxed);
    let mut own = [0; TURNS];
    for own in &mut own {
        let before = OWN.get();
        turn();
        *own = OWN.get() - before;
    }
    let io = IO.load(Ordering::Relaxed) - io;
    own.sort_unstable();
    (own[TURNS / 2], io)
}

/// Waits until everything sent has ended and its completions are drained.
fn settle(producer: &Producer, done: &mut Vec<ottla::producer::Completion>) {
    producer.flush(LIMIT).unwrap();
    done.clear();
    producer
        .completions(usize::MAX, Duration::ZERO, done)
        .unwrap();
    assert!(done.iter().all(|c| c.error.is_none()));
}

#[test]
fn clients_do_not_allocate_per_record() {
    let broker = Broker::start(BrokerOptions::new().memory_bytes(200_000_000)).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    broker.create_topic("keyed", 3, &[]).unwrap();
    let servers = broker.bootstrap_servers();
    let config = [
        ("bootstrap.servers", servers.as_str()),
        // About a call of 1,000 records.
        ("batch.size", "110000"),
    ];
    let producer = Producer::new(ProducerConfig::from_pairs(config).unwrap()).unwrap();
    let blob = vec![7u8; ROWS * 100];
    let lengths = vec![100; ROWS];
    let (mut starts, mut key_starts) = (Vec::new(), Vec::new());
    let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
    let keys: Vec<u8> = (0..ROWS)
        .flat_map(|i| format!("{i:08}").into_bytes())
        .collect();
    let key_lengths = vec![8; ROWS];
    let keys = Bytes::Blob(Blob::new("keys", &keys, &key_lengths, &mut key_starts).unwrap());
    let mut done = Vec::new();

    let mut send = |topic: &str, keys, most_own, most_io| {
        let records = Records::new(ROWS, keys, values, None, Timestamps::One(1)).unwrap();
        let before = producer.counts().batches;
        let (own, io) = steady(|| {
            let (n, result) = producer.send_batch(topic, None, &records, 5, Wait::MaxBlock);
            result.unwrap();
            assert_eq!(n, ROWS);
            done.clear();
            producer
                .completions(usize::MAX, Duration::ZERO, &mut done)
                .unwrap();
        });
        settle(&producer, &mut done);
        let batches = (producer.counts().batches - before) as usize / 2;
        println!("{topic}: {own} a call, I/O thread {io} for {batches} batches");
        assert!(
            own <= most_own,
            "{own} allocations for a column call to {topic}"
        );
        assert!(
            io <= most_io * batches,
            "{io} allocations of the I/O thread for {batches} batches of {topic}"
        );
    };
    send("t", Bytes::Null, MOST, 30);
    send("keyed", keys, MOST, 30);

    let value = &blob[..100];
    let headers: [(&[u8], Option<&[u8]>); 2] = [(b"a", Some(b"b")), (b"c", None)];
    let (own, _) = steady(|| {
        for _ in 0..ROWS {
            let record = Record {
                topic: "t",
                value: Some(value),
                headers: &headers,
                ..Default::default()
            };
            producer.send(&record, Wait::MaxBlock).unwrap();
        }
    });
    println!("singly: {own}");
    assert!(own <= MOST, "{own} allocations for 1,000 single records");
    producer.close(LIMIT).unwrap();

    let config = ConsumerConfig::from_pairs([("bootstrap.servers", servers.as_str())]).unwrap();
    let consumer = Consumer::new(config).unwrap();
    consumer.assign(&[("t", 0, Start::Earliest)]).unwrap();
    let by = Instant::now() + LIMIT;
    let (own, io) = steady(|| {
        loop {
            assert!(Instant::now() < by);
            if let Polled::Batch(batch) = consumer.poll(ROWS, LIMIT).unwrap() {
                let bytes: usize = batch.iter().map(|r| r.value().unwrap().len()).sum();
                assert_eq!(bytes, batch.len() * 100);
                return;
            }
        }
    });
    println!("poll: {own}, I/O thread {io} for {TURNS} polls");
    assert!(own <= MOST, "{own} allocations for a poll of 1,000 records");
    assert!(
        io <= 8 * TURNS,
        "{io} allocations of the I/O thread for {TURNS} polls"
    );
}
