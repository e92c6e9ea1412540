//! krafka with the settings best for it; the command line is that of ../../bench.h.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::consumer::AutoOffsetReset;
use krafka::producer::Acks;

use krafka::{Compression, Kafka, Record};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Acknowledgements not yet awaited.
const WINDOW: usize = 200_000;
const IDLE_LIMIT: Duration = Duration::from_secs(60);

struct Options(HashMap<String, String>);

impl Options {
    fn parse(arguments: &[String]) -> Options {
        let mut options = HashMap::new();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let flag = name == "--keyed" || name == "--single";
            let value = if flag {
                Some("")
            } else {
                rest.next().map(String::as_str)
            };
            options.insert(name.clone(), value.unwrap_or_default().to_owned());
        }
        Options(options)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Result<usize, Failure> {
        Ok(self
            .text(name)
            .parse()
            .map_err(|e| format!("{name}: {e}"))?)
    }
}

async fn produce(options: &Options) -> Result<(f64, u64), Failure> {
    let blob = Bytes::from(std::fs::read(options.text("--payload"))?);
    let (n, size) = (options.number("--n")?, options.number("--size")?);
    let rows: Vec<Bytes> = (0..blob.len() / size)
        .map(|i| blob.slice(i * size..(i + 1) * size))
        .collect();
    let keys: Vec<Bytes> = (0..rows.len())
        .map(|i| Bytes::from(format!("{i:016}")))
        .collect();
    let keyed = options.0.contains_key("--keyed");
    let headers = options.0.contains_key("--headers");
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
            let value = record.value.as_deref().unwrap_or_default();
            checksum += record.offset as u64 + value.len() as u64;
            if let (Some(first), Some(last)) = (value.first(), value.last()) {
                checksum += u64::from(*first) + u64::from(*last);
            }
            if let Some(key) = &record.key {
                checksum += key.len() as u64 + key.last().map_or(0, |b| u64::from(*b));
            }
        }
        got += records.len().min(n - got);
    }
    Ok((begun.elapsed().as_secs_f64(), checksum))
}

fn peak_mb() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|l| l.starts_with("VmHWM:"))
        .ok_or("no VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmHWM")?.parse()?;
    Ok(kib * 1024e-6)
}

fn cpu_s() -> f64 {
    // SAFETY: an all-zero rusage is a valid place for getrusage to write to.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let verb = arguments.get(1).map_or("", String::as_str);
    let options = Options::parse(arguments.get(2..).unwrap_or_default());
    let (wall, checksum) = match verb {
        "produce" => produce(&options).await?,
        "consume" => consume(&options).await?,
        _ => return Err("usage: krafka-bench produce|consume OPTIONS".into()),
    };
    println!(
        "{{\"n\": {}, \"wall_s\": {wall:.6}, \"cpu_s\": {:.6}, \"peak_mb\": {:.1}, \"checksum\": {checksum}}}",
        options.number("--n")?,
        cpu_s(),
        peak_mb()?
    );
    Ok(())
}
