//! krafka with the settings best for it; the command line is that of ../../../../bench.h.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::consumer::AutoOffsetReset;
use krafka::producer::Acks;

use krafka::{Compression, Kafka, Record};
use rust_peers::{Failure, Options, add, report};

/// Acknowledgements not yet awaited.
const WINDOW: usize = 200_000;
const IDLE_LIMIT: Duration = Duration::from_secs(60);

async fn produce(options: &Options) -> Result<(f64, u64), Failure> {
    let blob = Bytes::from(std::fs::read(options.text("--payload"))?);
    let (n, size) = (options.number("--n")?, options.number("--size")?);
    let rows: Vec<Bytes> = (0..blob.len() / size)
        .map(|i| blob.slice(i * size..(i + 1) * size))
        .collect();
    let keys: Vec<Bytes> = (0..rows.len())
        .map(|i| Bytes::from(format!("{i:016}")))
        .collect();
    let keyed = options.has("--keyed");
    let headers = options.has("--headers");
    let compression = match options.text("--codec") {
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    };
    let kafka = Kafka::builder(options.text("--bootstrap"))
        .connect()
        .await?;
    let producer = kafka
        .producer()
        .acks(Acks::All)
        .compression(compression)
        .batch_size(1_000_000)
        .linger(Duration::from_millis(5))
        .buffer_memory(256 << 20)
        .build()
        .await?;
    let begun = Instant::now();
    let mut handles = VecDeque::with_capacity(WINDOW);
    for i in 0..n {
        let row = i % rows.len();
        let mut record = Record::new(options.text("--topic"), rows[row].clone());
        if keyed {
            record = record.key(keys[row].clone());
        }
        if headers {
            record = record
                .header("trace", &b"0123456789abcdef"[..])
                .header("source", &b"bench"[..]);
        }
        if handles.len() == WINDOW
            && let Some(oldest) = handles.pop_front()
        {
            let _: krafka::producer::RecordMetadata =
                tokio::time::timeout(IDLE_LIMIT, oldest).await??;
        }
        handles.push_back(producer.enqueue(record).await?);
    }
    for handle in handles {
        let _metadata = tokio::time::timeout(IDLE_LIMIT, handle).await??;
    }
    let wall = begun.elapsed().as_secs_f64();
    producer.close().await?;
    Ok((wall, 0))
}

async fn consume(options: &Options) -> Result<(f64, u64), Failure> {
    let n = options.number("--n")?;
    let partitions = i32::try_from(options.number("--partitions")?)?;
    let kafka = Kafka::builder(options.text("--bootstrap"))
        .connect()
        .await?;
    let consumer = kafka
        .consumer_without_group()
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .max_partition_fetch_bytes(8 << 20)
        .max_poll_records(10_000)
        .max_buffered_records(1_000_000)
        .build()
        .await?;
    let begun = Instant::now();
    consumer
        .assign(options.text("--topic"), (0..partitions).collect())
        .await?;
    let (mut got, mut checksum, mut last) = (0, 0u64, Instant::now());
    while got < n {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        if !records.is_empty() {
            last = Instant::now();
        } else if last.elapsed() > IDLE_LIMIT {
            return Err("nothing came for 60 s".into());
        }
        for record in records.iter().take(n - got) {
            checksum += add(record.offset, record.key.as_deref(), record.value.as_deref());
        }
        got += records.len().min(n - got);
    }
    Ok((begun.elapsed().as_secs_f64(), checksum))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let verb = arguments.get(1).map_or("", String::as_str);
    let options = Options::parse(arguments.get(2..).unwrap_or_default());
    let (wall, checksum) = match verb {
        "produce" => produce(&options).await?,
        "consume" => consume(&options).await?,
        _ => return Err("usage: krafka produce|consume OPTIONS".into()),
    };
    report(&options, wall, checksum)
}
