//! Consuming does not allocate per record: at most 8 allocations for a polled batch of 1,000, on the polling thread and
//! the I/O thread together, once buffers have been used before.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "consumer/support.rs"]
#[allow(dead_code)]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ottla::consumer::{Polled, Start};
use ottla::protocol::compress::Codec;

use support::{LIMIT, Row, batch, broker, consumer, produce};

/// Allocations by thread id, folded; threads of one process are numbered closely.
static ALLOCATIONS: [AtomicUsize; 4096] = [const { AtomicUsize::new(0) }; 4096];

struct Counting;

fn count() {
    // SAFETY: no arguments, cannot fail, allocates nothing.
    let thread = unsafe { libc::gettid() } as usize;
    ALLOCATIONS[thread % ALLOCATIONS.len()].fetch_add(1, Ordering::Relaxed);
}

// SAFETY: all work is the system allocator's; counting touches a static only.
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

/// Allocations so far of the threads with this name, or of the calling one.
fn allocations(name: Option<&str>) -> usize {
    let of = |thread: usize| ALLOCATIONS[thread % ALLOCATIONS.len()].load(Ordering::Relaxed);
    let Some(name) = name else {
        // SAFETY: as above.
        return of(unsafe { libc::gettid() } as usize);
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = tasks.filter(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    });
    named
        .map(|task| of(task.file_name().to_str().unwrap().parse().unwrap()))
        .sum()
}

#[test]
fn a_polled_batch_of_1000_costs_at_most_8() {
    const ROWS: usize = 1000;
    const POLLS: usize = 240;
    let row = |i: usize| Row {
        key: Some(i.to_be_bytes().to_vec()),
        value: Some(vec![b'v'; 100]),
        headers: vec![(b"header".to_vec(), Some(b"value".to_vec()))],
        timestamp: 1,
    };
    let rows: Vec<Row> = (0..ROWS).map(row).collect();
    for codec in [Codec::None, Codec::Lz4] {
        let broker = broker(1);
        broker.create_topic("t", 1, &[]).unwrap();
        let one = batch(&rows, codec);
        produce(&broker, "t", 0, &vec![one; POLLS]);
        let consumer = consumer(&broker.bootstrap_servers(), &[]);
        consumer.assign(&[("t", 0, Start::Earliest)]).unwrap();
        let (mut polls, mut count, mut from, mut before) = (0, 0, 0, (0, 0));
        while count < POLLS * ROWS {
            let Polled::Batch(batch) = consumer.poll(ROWS, LIMIT).unwrap() else {
                panic!("no batch")
            };
            count += batch.len();
            polls += 1;
            for r in batch.iter() {
                assert_eq!((r.value().unwrap().len(), r.headers().count()), (100, 1));
            }
            drop(batch);
            if from == 0 && count >= POLLS * ROWS / 3 {
                from = count;
                before = (allocations(None), allocations(Some("ottla-io")));
                polls = 0;
            }
        }
        let (own, io) = (
            allocations(None) - before.0,
            allocations(Some("ottla-io")) - before.1,
        );
        let each = (own + io) as f64 / polls as f64;
        println!(
            "{codec}: {own} and {io} allocations in {polls} polls of {} records, {each:.1} each",
            count - from
        );
        assert!(
            polls > 0 && each <= 8.0,
            "{codec}: {each:.1} allocations a poll"
        );
        consumer.close(Duration::from_secs(10)).unwrap();
    }
}
