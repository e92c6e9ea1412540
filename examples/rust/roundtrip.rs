//! A million messages out and back from Rust.
//!
//! `cargo run --release --example roundtrip [BOOTSTRAP]`: on the Kafka at BOOTSTRAP (or in the environment variable of
//! that name), otherwise on an embedded broker that this program starts.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::{AdminConfig, ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::producer::{Producer, Record, Wait};

const MESSAGES: u64 = 1_000_000;
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().nth(1).or(std::env::var("BOOTSTRAP").ok());
    let embedded = match given {
        Some(_) => None,
        None => Some(Broker::start(BrokerOptions::new())?),
    };
    let servers = given
        .or(embedded.as_ref().map(Broker::bootstrap_servers))
        .unwrap_or_default();
    let servers = [("bootstrap.servers", servers.as_str())];
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let topic = format!("ottla-rust-{now}");

    let admin = Admin::new(AdminConfig::from_pairs(servers)?)?;
    admin.connect(LIMIT)?;
    for created in admin.create_topics(&[NewTopic::new(&topic, 1, 1)], LIMIT, false)? {
        created.error.map_or(Ok(()), Err)?;
    }

    let producer = Producer::new(ProducerConfig::from_pairs(servers)?)?;
    let begun = Instant::now();
    for i in 0..MESSAGES {
        let value = i.to_be_bytes();
        let record = Record {
            topic: &topic,
            value: Some(&value),
            ..Default::default()
        };
        producer.send(&record, Wait::MaxBlock)?;
    }
    producer.close(LIMIT)?;
    report("produced", begun);

    let consumer = Consumer::new(ConsumerConfig::from_pairs(servers)?)?;
    consumer.assign(&[(&topic, 0, Start::Earliest)])?;
    let begun = Instant::now();
    let mut sum = 0;
    let mut read = 0;
    while read < MESSAGES {
        match consumer.poll(0, LIMIT)? {
            Polled::Batch(batch) => {
                for record in batch.iter() {
                    let value = record.value().ok_or("a value is missing")?;
                    sum += u64::from_be_bytes(value.try_into()?);
                }
                read += batch.len() as u64;
            }
            Polled::Event(event) => println!("event: {event:?}"),
            Polled::Nothing => return Err(format!("only {read} messages came").into()),
        }
    }
    report("consumed", begun);
    assert_eq!(sum, MESSAGES * (MESSAGES - 1) / 2, "every number once");
    consumer.close(LIMIT)?;
    admin.delete_topics(&[&topic], LIMIT)?;
    Ok(())
}

fn report(what: &str, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = MESSAGES as f64 / seconds / 1e6;
    println!("Rust: {what} {MESSAGES} messages in {seconds:.2} s, {rate:.1} million a second");
}
