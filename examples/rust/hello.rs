//! Sends a message and reads it back: on the Kafka named on the command line, or on one inside this program.

use std::time::Duration;

use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::{AdminConfig, ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::producer::{Producer, Record, Wait};

const LIMIT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::start(BrokerOptions::new())?;
    let servers = std::env::args()
        .nth(1)
        .unwrap_or(broker.bootstrap_servers());
    let config = [("bootstrap.servers", servers.as_str())];

    let admin = Admin::new(AdminConfig::from_pairs(config)?)?;
    admin.create_topics(&[NewTopic::new("hello-rust", 1, -1)], LIMIT, false)?;

    let producer = Producer::new(ProducerConfig::from_pairs(config)?)?;
    let record = Record {
        topic: "hello-rust",
        value: Some(b"hello"),
        ..Default::default()
    };
    producer.send(&record, Wait::MaxBlock)?;
    producer.flush(LIMIT)?;

    let consumer = Consumer::new(ConsumerConfig::from_pairs(config)?)?;
    consumer.assign_topic("hello-rust", Start::Earliest)?;
    if let Polled::Batch(batch) = consumer.poll(0, LIMIT)? {
        for record in batch.iter() {
            let value = String::from_utf8_lossy(record.value().unwrap_or_default());
            println!("{}: {value}", record.offset());
        }
    }
    admin.delete_topics(&["hello-rust"], LIMIT)?;
    Ok(())
}
