//! The codecs on 1 MB of text-like records.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottla::memory::{Budget, PoolBuf};
use ottla::protocol::compress::{Codec, compress, decompress};

const SIZE: usize = 1_000_000;

/// JSON records as an application logs them, from a fixed sequence of random numbers.
fn records() -> Vec<u8> {
    const WORDS: [&str; 8] = [
        "login", "logout", "payment", "cart", "checkout", "search", "click", "timeout",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::with_capacity(SIZE + 200);
    while out.len() < SIZE {
        let (id, user, pick, amount) = (
            random() % 10_000_000,
            random() % 5_000,
            random() as usize,
            random() % 100_000,
        );
        let (event, next) = (WORDS[pick % 8], WORDS[pick / 8 % 8]);
        let record = format!(
            r#"{{"id":{id},"user":"u{user:06}","event":"{event}","next":"{next}","amount":{}.{:02},"currency":"EUR"}}"#,
            amount / 100,
            amount % 100
        );
        out.extend_from_slice(record.as_bytes());
    }
    out.truncate(SIZE);
    out
}

fn codecs(c: &mut Criterion) {
    let _budget = Budget::new(64 << 20);
    let input = records();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut packed = PoolBuf::with_capacity(2 * SIZE);
        compress(codec, None, &input, &mut packed).expect("compresses");
        let mut group = c.benchmark_group(format!(
            "{codec} {:.2}:1",
            SIZE as f64 / packed.len() as f64
        ));
        group.throughput(Throughput::Bytes(SIZE as u64));
        let mut out = PoolBuf::with_capacity(2 * SIZE);
        group.bench_function("compress", |b| {
            b.iter(|| {
                out.truncate(0);
                compress(codec, None, black_box(&input), &mut out).expect("compresses");
            });
        });
        group.bench_function("decompress", |b| {
            b.iter(|| {
                out.truncate(0);
                decompress(codec, black_box(&packed), &mut out, SIZE).expect("decompresses");
            });
        });
        group.finish();
    }
}

criterion_group!(benches, codecs);
criterion_main!(benches);
