//! Neither way allocates per record: at most 8 allocations for a batch of 1,000 once buffers have been used before.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ottla::memory::Budget;
use ottla::protocol::compress::Codec;
use ottla::protocol::record::{
    Attempt, BatchBuilder, Batches, Blob, Bytes, Columns, HeaderBlob, RecordCursor, Records,
    SealedBatch, Timestamps, verify_crc,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all work is the system allocator's; counting touches a constant-initialised thread local only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const ROWS: usize = 1000;
const MOST: usize = 8;

/// Allocations of one turn after a few to warm up.
fn steady(mut turn: impl FnMut()) -> usize {
    for _ in 0..3 {
        turn();
    }
    let before = ALLOCATIONS.with(Cell::get);
    turn();
    ALLOCATIONS.with(Cell::get) - before
}

fn wire(batch: &SealedBatch) -> Vec<u8> {
    [&batch.header(&Attempt::PLAIN)[..], &batch.body()[..]].concat()
}

#[test]
fn counting_counts() {
    assert_eq!(steady(|| drop(std::hint::black_box(vec![1u8; 100]))), 1);
}

#[test]
fn batches_are_written_and_read_without_allocating_per_record() {
    let _budget = Budget::new(32 << 20);
    let blob = vec![7u8; ROWS * 100];
    let lengths = vec![100; ROWS];
    let (counts, header_lengths, header_blob) =
        (vec![2; ROWS], vec![5; ROWS * 4], vec![9u8; ROWS * 20]);
    let (mut starts, mut header_starts) = (vec![], vec![]);
    let mut sent = vec![];
    let columns = steady(|| {
        let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
        let headers =
            HeaderBlob::new(&counts, &header_lengths, &header_blob, &mut header_starts).unwrap();
        let call = Records::new(ROWS, values, values, Some(headers), Timestamps::One(1)).unwrap();
        // From the smallest room on, so that growing counts too.
        let mut batch = BatchBuilder::new(1 << 20, 0);
        assert_eq!(batch.append_range(&call, 0..ROWS).unwrap(), ROWS);
        let batch = batch.seal(Codec::None, None).unwrap();
        std::hint::black_box(batch.header(&Attempt::PLAIN));
        if sent.is_empty() {
            sent = wire(&batch);
        }
    });
    assert!(columns <= MOST, "{columns} allocations for a batch call");

    let headers: [(&[u8], Option<&[u8]>); 2] = [(b"a", Some(b"b")), (b"c", None)];
    let singly = steady(|| {
        let mut batch = BatchBuilder::new(1 << 20, 0);
        for i in 0..ROWS {
            assert!(
                batch
                    .append(Some(b"key"), Some(&blob[..100]), &headers, i as i64)
                    .unwrap()
            );
        }
        std::hint::black_box(
            batch
                .seal(Codec::None, None)
                .unwrap()
                .header(&Attempt::PLAIN),
        );
    });
    assert!(
        singly <= MOST,
        "{singly} allocations for 1,000 single records"
    );

    let read = steady(|| {
        let mut columns = Columns::take();
        for batch in Batches::new(&sent) {
            let batch = batch.unwrap();
            verify_crc(&sent[batch.range.clone()]).unwrap();
            let mut cursor = RecordCursor::open(&sent, batch.records(), &batch.header).unwrap();
            cursor
                .index(&sent, &mut columns, ROWS, usize::MAX, 0)
                .unwrap();
        }
        let bytes: usize = (0..columns.rows())
            .map(|row| {
                columns.value(&sent, row).unwrap().len() + columns.headers(&sent, row).count()
            })
            .sum();
        assert_eq!(bytes, ROWS * 102);
    });
    assert!(read <= MOST, "{read} allocations to read a batch");
}
