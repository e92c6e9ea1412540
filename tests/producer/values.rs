//! Numbered values: sent as a column, and read back.

use std::time::{Duration, Instant};

use ottla::broker::Broker;
use ottla::config::ConsumerConfig;
use ottla::consumer::{Consumer, Polled, Start};
use ottla::producer::{Producer, Wait};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};

use super::sending::LIMIT;

/// Every value of a topic, by partition, in order.
pub(crate) fn values(broker: &Broker, topic: &str, partitions: i32) -> Vec<Vec<Vec<u8>>> {
    let servers = broker.bootstrap_servers();
    let config = ConsumerConfig::from_pairs([("bootstrap.servers", servers.as_str())]).unwrap();
    let consumer = Consumer::new(config).unwrap();
    let wanted: Vec<(&str, i32, Start)> = (0..partitions)
        .map(|p| (topic, p, Start::Earliest))
        .collect();
    consumer.assign(&wanted).unwrap();
    let total: i64 = (0..partitions)
        .map(|p| broker.offsets(topic, p).unwrap().unwrap().1)
        .sum();
    let mut out = vec![Vec::new(); partitions as usize];
    let by = Instant::now() + LIMIT;
    let mut got = 0;
    while got < total {
        assert!(Instant::now() < by, "{got} of {total} read");
        if let Polled::Batch(batch) = consumer.poll(0, Duration::from_millis(200)).unwrap() {
            for record in batch.iter() {
                out[record.partition() as usize].push(record.value().unwrap().to_vec());
                got += 1;
            }
        }
    }
    out
}

pub(crate) fn numbered(n: usize) -> (Vec<u8>, Vec<i32>) {
    let mut blob = Vec::new();
    let lengths = (0..n)
        .map(|i| {
            let value = format!("value-{i:08}");
            blob.extend_from_slice(value.as_bytes());
            value.len() as i32
        })
        .collect();
    (blob, lengths)
}

/// Sends `n` numbered values as one column call.
pub(crate) fn send_column(
    producer: &Producer,
    topic: &str,
    partition: Option<i32>,
    n: usize,
    token: u64,
) {
    let (blob, lengths) = numbered(n);
    let mut starts = Vec::new();
    let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
    let records = Records::new(
        n,
        Bytes::Null,
        values,
        None,
        Timestamps::One(1_700_000_000_000),
    )
    .unwrap();
    let (accepted, result) = producer.send_batch(topic, partition, &records, token, Wait::MaxBlock);
    result.unwrap();
    assert_eq!(accepted, n);
}

pub(crate) fn assert_numbered(values: &[Vec<u8>], n: usize) {
    assert_eq!(values.len(), n);
    for (i, value) in values.iter().enumerate() {
        assert_eq!(value, format!("value-{i:08}").as_bytes(), "at offset {i}");
    }
}
