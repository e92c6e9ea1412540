//! confluent-kafka, Confluent's client in Rust, with the settings best for it; the command line is that of ../../../../bench.h.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use confluent_kafka::common::TopicPartition;
use confluent_kafka::common::serialization::{ByteArraySerializer, BytesDeserializer};
use confluent_kafka::consumer::{Consumer, ConsumerConfig, KafkaConsumer};
use confluent_kafka::producer::{KafkaProducer, Producer, ProducerConfig, ProducerRecord};
use rust_peers::{Failure, Options, add, report};

const IDLE_LIMIT: Duration = Duration::from_secs(60);

fn properties(options: &Options, more: &[(&str, &str)]) -> HashMap<String, String> {
    let own = [("bootstrap.servers", options.text("--bootstrap"))];
    let pairs = own.iter().chain(more);
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Key and value as slices are written straight into the batch. Completions are not asked for one by one: the broker's end
/// offsets tell whether all is there.
async fn produce(options: &Options) -> Result<(f64, u64), Failure> {
    let blob = std::fs::read(options.text("--payload"))?;
    let (n, size) = (options.number("--n")?, options.number("--size")?);
    let rows: Vec<&[u8]> = blob.chunks_exact(size).collect();
    let keys: Vec<String> = (0..rows.len()).map(|i| format!("{i:016}")).collect();
    let settings = [
        ("acks", "all"),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("buffer.memory", "268435456"),
        ("compression.type", options.text("--codec")),
    ];
    let config = ProducerConfig::new(&properties(options, &settings))?;
    let producer = KafkaProducer::<Vec<u8>, Vec<u8>>::new(
        config,
        ByteArraySerializer::default(),
        ByteArraySerializer::default(),
    )?;
    let keyed = options.has("--keyed");
    let begun = Instant::now();
    for i in 0..n {
        let row = i % rows.len();
        let key = keyed.then_some(keys[row].as_bytes());
        let record = ProducerRecord::with_key(options.text("--topic").to_owned(), key, Some(rows[row]));
        drop(producer.send(record, None).await?);
    }
    tokio::time::timeout(IDLE_LIMIT, Producer::flush(&producer)).await??;
    let wall = begun.elapsed().as_secs_f64();
    Producer::close(&producer).await?;
    Ok((wall, 0))
}

async fn consume(options: &Options) -> Result<(f64, u64), Failure> {
    let n = options.number("--n")?;
    let partitions = i32::try_from(options.number("--partitions")?)?;
    let settings = [
        ("group.protocol", "consumer"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("group.id", "bench"),
        ("max.poll.records", "10000"),
        ("max.partition.fetch.bytes", "8388608"),
        ("check.crcs", "false"),
    ];
    let config = ConsumerConfig::new(&properties(options, &settings))?;
    let (key, value) = (BytesDeserializer::default(), BytesDeserializer::default());
    let mut consumer = KafkaConsumer::new(config, key, value)?;
    let begun = Instant::now();
    let topic = options.text("--topic");
    let all = (0..partitions).map(|p| TopicPartition::new(topic, p)).collect();
    consumer.assign(all).await?;
    let (mut got, mut checksum, mut last) = (0, 0u64, Instant::now());
    while got < n {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        if !records.is_empty() {
            last = Instant::now();
        } else if last.elapsed() > IDLE_LIMIT {
            return Err("nothing came for 60 s".into());
        }
        for record in (&records).into_iter().take(n - got) {
            let (key, value) = (record.key(), record.value());
            checksum += add(record.offset(), key.map(|k| &k[..]), value.map(|v| &v[..]));
        }
        got += records.count().min(n - got);
    }
    let wall = begun.elapsed().as_secs_f64();
    consumer.close().await?;
    Ok((wall, checksum))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let verb = arguments.get(1).map_or("", String::as_str);
    let options = Options::parse(arguments.get(2..).unwrap_or_default());
    let (wall, checksum) = match verb {
        "produce" => produce(&options).await?,
        "consume" => consume(&options).await?,
        _ => return Err("usage: confluent produce|consume OPTIONS".into()),
    };
    report(&options, wall, checksum)
}
