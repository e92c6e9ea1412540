//! Record batches: encoding with CRC, and CRC with indexing, in ns a record (criterion's "time" divided by the
//! records of a batch; it prints the throughput in elements).

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first error"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottla::memory::Budget;
use ottla::protocol::compress::Codec;
use ottla::protocol::record::{
    Attempt, BatchBuilder, Batches, Blob, Bytes, Columns, HEADER_LEN, HeaderBlob, RecordCursor,
    Records, SealedBatch, Timestamps, crc, verify_crc,
};

const BATCH: usize = 1 << 20;
const NOW: i64 = 1_790_000_000_000;

/// The columns of a call, as a caller holds them.
struct Call {
    rows: usize,
    keys: Option<(Vec<u8>, Vec<i32>)>,
    values: (Vec<u8>, Vec<i32>),
    headers: Option<(Vec<i32>, Vec<i32>, Vec<u8>)>,
}

impl Call {
    fn new(value_len: usize, keyed: bool) -> Self {
        let rows = BATCH / value_len;
        let fill = |n: usize| (0..n).map(|i| (i * 31) as u8).collect::<Vec<u8>>();
        Call {
            rows,
            keys: keyed.then(|| (fill(rows * 8), vec![8; rows])),
            values: (fill(rows * value_len), vec![value_len as i32; rows]),
            headers: keyed.then(|| (vec![2; rows], [5, 9, 8, 16].repeat(rows), fill(rows * 38))),
        }
    }

    /// The caller's side of a batch call: checks, then one full batch.
    fn encode(&self, scratch: &mut Scratch) -> SealedBatch {
        let keys = match &self.keys {
            Some((blob, lengths)) => {
                Bytes::Blob(Blob::new("keys", blob, lengths, &mut scratch.keys).unwrap())
            }
            None => Bytes::Null,
        };
        let values = Blob::new(
            "values",
            &self.values.0,
            &self.values.1,
            &mut scratch.values,
        )
        .unwrap();
        let headers = self.headers.as_ref().map(|(counts, lengths, blob)| {
            HeaderBlob::new(counts, lengths, blob, &mut scratch.headers).unwrap()
        });
        let records = Records::new(
            self.rows,
            keys,
            Bytes::Blob(values),
            headers,
            Timestamps::One(NOW),
        )
        .unwrap();
        let mut batch = BatchBuilder::new(BATCH, BATCH);
        batch.append_range(&records, 0..self.rows).unwrap();
        batch.seal(Codec::None, None).unwrap()
    }
}

#[derive(Default)]
struct Scratch {
    keys: Vec<usize>,
    values: Vec<usize>,
    headers: Vec<(usize, usize)>,
}

fn wire(batch: &SealedBatch) -> Vec<u8> {
    [&batch.header(&Attempt::PLAIN)[..], &batch.body()[..]].concat()
}

fn decode(buf: &[u8]) -> usize {
    let mut columns = Columns::take();
    for batch in Batches::new(buf) {
        let batch = batch.unwrap();
        verify_crc(&buf[batch.range.clone()]).unwrap();
        let mut cursor = RecordCursor::open(buf, batch.records(), &batch.header).unwrap();
        cursor
            .index(buf, &mut columns, usize::MAX, usize::MAX, 0)
            .unwrap();
    }
    black_box(&*columns).rows()
}

fn codec(c: &mut Criterion) {
    let _budget = Budget::new(64 << 20);
    for (name, value_len, keyed) in [
        ("100B", 100, false),
        ("1kB", 1000, false),
        ("100B, key, 2 headers", 100, true),
        ("10B", 10, false),
    ] {
        let call = Call::new(value_len, keyed);
        let mut scratch = Scratch::default();
        let batch = call.encode(&mut scratch);
        let buf = wire(&batch);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(batch.count() as u64));
        group.bench_function("encode and sum", |b| {
            b.iter(|| black_box(call.encode(&mut scratch)).header(&Attempt::PLAIN));
        });
        group.bench_function("check sum and index", |b| {
            b.iter(|| decode(black_box(&buf)))
        });
        group.finish();
    }

    let value = vec![7u8; 100];
    let headers: [(&[u8], Option<&[u8]>); 2] = [
        (b"trace", Some(b"123456789")),
        (b"tenant-x", Some(b"0123456789abcdef")),
    ];
    for (name, key, headers) in [
        ("100B singly", None, &[][..]),
        (
            "100B, key, 2 headers, singly",
            Some(&b"key-0001"[..]),
            &headers[..],
        ),
    ] {
        let fill = || {
            let mut batch = BatchBuilder::new(BATCH, BATCH);
            while batch
                .append(
                    black_box(key),
                    Some(black_box(&value)),
                    black_box(headers),
                    black_box(NOW),
                )
                .unwrap()
            {}
            batch.seal(Codec::None, None).unwrap()
        };
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(fill().count() as u64));
        group.bench_function("encode and sum", |b| {
            b.iter(|| fill().header(&Attempt::PLAIN))
        });
        group.finish();
    }

    let mut group = c.benchmark_group("parts");
    let batch = Call::new(100, false).encode(&mut Scratch::default());
    group.bench_function("header of an attempt", |b| {
        b.iter(|| black_box(&batch).header(black_box(&Attempt::PLAIN)))
    });
    group.bench_function("combine", |b| {
        b.iter(|| {
            crc::combine(
                black_box(1),
                black_box(2),
                black_box((BATCH - HEADER_LEN) as u32),
            )
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1))
        .sample_size(20);
    targets = codec
}
criterion_main!(benches);
