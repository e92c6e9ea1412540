//! What child processes do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla::config::{ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::producer::{Producer, Record, Wait};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};

use super::process::{status, tell, told_to_go_on};

pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a value.
pub(crate) const VALUE: usize = 1000;
/// Records of a column call.
const ROWS: usize = 100;

/// Runs a role; `arguments` are what the parent gave.
pub(crate) fn run(name: &str, arguments: &[String]) {
    match (name, arguments) {
        ("lagging-reader", [servers, topic, cap]) => lagging_reader(servers, topic, cap),
        ("stalled-producer", [servers, topic, memory]) => stalled_producer(servers, topic, memory),
        ("idle", [servers, topic]) => idle(servers, topic),
        ("threads", [servers, clients]) => threads(servers, clients.parse().unwrap()),
        ("produce", [servers, topic, partitions, span_ms]) => {
            produce(servers, topic, partitions.parse().unwrap(), span(span_ms));
        }
        ("consume", [servers, topic, partitions, span_ms]) => {
            consume(servers, topic, partitions.parse().unwrap(), span(span_ms));
        }
        _ => panic!("no role {name} with {arguments:?}"),
    }
}

fn span(ms: &str) -> Duration {
    Duration::from_millis(ms.parse().unwrap())
}

pub(crate) fn producer(servers: &str, more: &[(&str, &str)]) -> Producer {
    let pairs = [("bootstrap.servers", servers)];
    Producer::new(
        ProducerConfig::from_pairs(pairs.into_iter().chain(more.iter().copied())).unwrap(),
    )
    .unwrap()
}

fn consumer(servers: &str, more: &[(&str, &str)]) -> Consumer {
    let pairs = [("bootstrap.servers", servers)];
    Consumer::new(
        ConsumerConfig::from_pairs(pairs.into_iter().chain(more.iter().copied())).unwrap(),
    )
    .unwrap()
}

/// Sends columns of records to a partition until `stop` says so, or there is no room for as long as `wait` allows.
pub(crate) fn send_columns(
    producer: &Producer,
    topic: &str,
    partition: i32,
    token: u64,
    wait: Wait,
    mut stop: impl FnMut() -> bool,
) {
    let (blob, lengths) = (vec![b'x'; ROWS * VALUE], vec![VALUE as i32; ROWS]);
    let mut starts = Vec::new();
    let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
    let records = Records::new(ROWS, Bytes::Null, values, None, Timestamps::One(1)).unwrap();
    while !stop() {
        let (_, result) = producer.send_batch(topic, Some(partition), &records, token, wait);
        if result.is_err() {
            return;
        }
    }
}

/// Polls a few records at a time while much more waits. Tells: memory before, at its peak, the most that was buffered.
fn lagging_reader(servers: &str, topic: &str, cap: &str) {
    let bare = status("VmRSS");
    let consumer = consumer(servers, &[("fetch.memory.bytes", cap)]);
    consumer.assign_topic(topic, Start::Earliest).unwrap();
    let mut buffered = 0;
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        drop(consumer.poll(100, LIMIT).unwrap());
        buffered = buffered.max(consumer.buffered_bytes().unwrap());
        std::thread::sleep(Duration::from_millis(2));
    }
    tell(&[bare, status("VmHWM"), buffered as f64 * 1e-6]);
}

/// Sends until there is no room, while nobody answers. Tells when the parent may stop the broker; then memory before,
/// at its peak, the most that was buffered.
fn stalled_producer(servers: &str, topic: &str, memory: &str) {
    let bare = status("VmRSS");
    let producer = producer(servers, &[("buffer.memory", memory)]);
    send_one(&producer, topic);
    tell(&[]);
    assert!(told_to_go_on());
    let wait = Wait::UpTo(Duration::from_millis(500));
    send_columns(&producer, topic, 0, 0, wait, || false);
    let buffered = producer.counts().buffered_bytes;
    tell(&[bare, status("VmHWM"), buffered as f64 * 1e-6]);
}

fn send_one(producer: &Producer, topic: &str) {
    let record = Record {
        topic,
        value: Some(b"x"),
        ..Default::default()
    };
    producer.send(&record, Wait::MaxBlock).unwrap();
    producer.flush(LIMIT).unwrap();
}

/// A producer and a consumer that have done something and now rest. Tells memory before and after.
fn idle(servers: &str, topic: &str) {
    // The pages of unoptimised code are several times those of a release build, and only that is promised: elsewhere
    // what is allocated has to do.
    let resident = if cfg!(debug_assertions) {
        "RssAnon"
    } else {
        "VmRSS"
    };
    let bare = status(resident);
    let producer = producer(servers, &[]);
    send_one(&producer, topic);
    let consumer = consumer(servers, &[]);
    consumer.assign(&[(topic, 0, Start::Earliest)]).unwrap();
    let Polled::Batch(batch) = consumer.poll(0, LIMIT).unwrap() else {
        panic!("no record came");
    };
    drop(batch);
    tell(&[bare, status(resident)]);
}

/// Tells the number of threads with one connected client, and with `clients`.
fn threads(servers: &str, clients: usize) {
    let mut producers = vec![producer(servers, &[])];
    producers[0].connect(LIMIT).unwrap();
    let one = status("Threads");
    producers.extend((1..clients / 2).map(|_| producer(servers, &[])));
    let consumers: Vec<_> = (clients / 2..clients)
        .map(|_| consumer(servers, &[]))
        .collect();
    for producer in &producers {
        producer.connect(LIMIT).unwrap();
    }
    for consumer in &consumers {
        consumer.connect(LIMIT).unwrap();
    }
    tell(&[one, status("Threads")]);
}

/// Each time it is told to, counts for `span` what happens in each partition, by `count`, and tells records a second.
fn rates(partitions: usize, span: Duration, mut count: impl FnMut(&mut [u64], Instant)) {
    let (tell_go, go) = std::sync::mpsc::channel();
    std::thread::spawn(move || while told_to_go_on() && tell_go.send(()).is_ok() {});
    loop {
        let mut counts = vec![0; partitions];
        match go.try_recv() {
            Ok(()) => {
                let begun = Instant::now();
                count(&mut counts, begun + span);
                let seconds = begun.elapsed().as_secs_f64();
                let rates: Vec<f64> = counts.iter().map(|n| *n as f64 / seconds).collect();
                tell(&rates);
            }
            Err(std::sync::mpsc::TryRecvError::Empty) => {
                count(&mut counts, Instant::now() + Duration::from_millis(20));
            }
            Err(std::sync::mpsc::TryRecvError::Disconnected) => std::process::exit(0),
        }
    }
}

/// A thread for each partition sends as fast as it may, through one producer.
fn produce(servers: &str, topic: &str, partitions: usize, span: Duration) {
    let producer = Arc::new(producer(servers, &[]));
    for partition in 0..partitions as i32 {
        let (producer, topic) = (producer.clone(), topic.to_owned());
        std::thread::spawn(move || {
            let token = partition as u64 + 1;
            send_columns(&producer, &topic, partition, token, Wait::MaxBlock, || {
                false
            });
        });
    }
    let mut done = Vec::new();
    rates(partitions, span, |counts, until| {
        while Instant::now() < until {
            done.clear();
            producer
                .completions(1000, Duration::from_millis(10), &mut done)
                .unwrap();
            for run in &done {
                assert!(run.error.is_none(), "{run:?}");
                counts[run.partition as usize] += u64::from(run.count);
            }
        }
    });
}

/// Reads all partitions as fast as it may; at a partition's end, once more from its beginning.
fn consume(servers: &str, topic: &str, partitions: usize, span: Duration) {
    // Beginning again waits for the fetch that is under way, which the broker holds where all has been read.
    let consumer = consumer(servers, &[("fetch.max.wait.ms", "10")]);
    let all: Vec<_> = (0..partitions as i32).map(|p| (topic, p)).collect();
    let ends = consumer.end_offsets(&all, LIMIT).unwrap();
    let starts: Vec<_> = all.iter().map(|(t, p)| (*t, *p, Start::Earliest)).collect();
    consumer.assign(&starts).unwrap();
    rates(partitions, span, |counts, until| {
        while Instant::now() < until {
            let batch = match consumer.poll(1000, Duration::from_millis(10)).unwrap() {
                Polled::Batch(batch) => batch,
                Polled::Nothing => continue,
                Polled::Event(event) => panic!("{event:?}"),
            };
            for segment in batch.segments() {
                let partition = segment.partition();
                counts[partition as usize] += segment.rows().len() as u64;
                let last = batch.columns().offsets[segment.rows().end - 1];
                if last + 1 == ends[partition as usize] {
                    consumer.seek(topic, partition, Start::Offset(0)).unwrap();
                }
            }
        }
    });
}
