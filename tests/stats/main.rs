//! Statistics: what clients count of themselves agrees with what was done.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod telemetry;

use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use ottla::config::{ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::producer::{Producer, Record, Wait};
use ottla::stats::{Place, Stats};

const LIMIT: Duration = Duration::from_secs(30);

fn producer(broker: &Broker, more: &[(&str, &str)]) -> Producer {
    let servers = broker.bootstrap_servers();
    let pairs = [("bootstrap.servers", servers.as_str())]
        .into_iter()
        .chain(more.iter().copied());
    Producer::new(ProducerConfig::from_pairs(pairs).unwrap()).unwrap()
}

fn value(stats: &Stats, name: &str) -> i64 {
    stats.client_scope().unwrap().value(name).unwrap()
}

fn send(producer: &Producer, n: usize) {
    for i in 0..n {
        let record = Record {
            topic: "t",
            partition: Some(i as i32 % 2),
            value: Some(&[b'x'; 100]),
            ..Record::default()
        };
        producer.send(&record, Wait::MaxBlock).unwrap();
    }
}

#[test]
fn a_producers_figures_are_what_was_done() {
    let broker = Broker::start(BrokerOptions::new().nodes(2)).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    let producer = producer(
        &broker,
        &[
            ("client.id", "counted"),
            ("linger.ms", "1h"),
            ("delivery.timeout.ms", "inf"),
        ],
    );
    send(&producer, 10);
    let stats = producer.stats(LIMIT).unwrap();
    assert_eq!((stats.client, &*stats.client_id), ("producer", "counted"));
    assert_eq!(value(&stats, "records_written"), 0);
    assert!(value(&stats, "buffer_used_bytes") >= 1000);
    // A leader that has moved is told once, and the batch sent again.
    let rule = FaultRule::new(Fault::Error {
        code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
    })
    .api(api_key::PRODUCE)
    .partition(0);
    broker.add_fault(rule).unwrap();
    let late = FaultRule::new(Fault::Delay(Duration::from_millis(50)))
        .api(api_key::PRODUCE)
        .node(2)
        .forever();
    broker.add_fault(late).unwrap();
    producer.flush(LIMIT).unwrap();
    let stats = producer.stats(LIMIT).unwrap();
    assert_eq!(value(&stats, "records_written"), 10);
    assert_eq!(value(&stats, "batches"), 2);
    assert_eq!(value(&stats, "batches_retried"), 1);
    assert_eq!(value(&stats, "batches_live"), 0);
    assert_eq!(value(&stats, "buffer_used_bytes"), 0);
    let client = stats.client_scope().unwrap();
    assert_eq!(client.errors, [(ErrorCode::NOT_LEADER_OR_FOLLOWER, 1)]);
    assert_eq!(client.histogram("batch_records").unwrap().summary().p50, 5);
    assert_eq!(client.histogram("delivery_time_us").unwrap().count(), 2);
    let size = client.histogram("batch_size_bytes").unwrap().summary();
    assert!(
        size.count == 2 && size.min >= 5 * 100 + 61 && size.max < 700,
        "{size:?}"
    );
    for (p, retried) in [(0, 1), (1, 0)] {
        let part = stats.partition("t", p).unwrap();
        assert_eq!(part.value("records_written"), Some(5));
        assert_eq!(part.value("batches_retried"), Some(retried));
        assert_eq!(part.value("batches_in_flight"), Some(0));
        assert_eq!(part.errors.len() as i64, retried);
    }
    // Partition 1 is led by node 2, which answers late; all that is told of it is told of it alone.
    let slow = stats.broker(2).unwrap();
    let latency = slow.histogram("produce_latency_us").unwrap().summary();
    assert_eq!(latency.count, 1);
    assert!(
        latency.min >= 50_000 && latency.p99 >= latency.p50,
        "{latency:?}"
    );
    let quick = stats.broker(1).unwrap();
    assert_eq!(quick.histogram("produce_latency_us").unwrap().count(), 2);
    assert!(slow.errors.is_empty() && quick.errors.len() == 1);
    assert!(slow.value("sent_bytes").unwrap() > 500 && slow.value("connects").unwrap() >= 1);
    assert!(
        matches!(&slow.place, Place::Broker { state: "up", address, .. } if address.starts_with("127.0.0.1:"))
    );
    // Throttling, an unanswered request and a broker that has gone.
    broker.clear_faults().unwrap();
    let throttle = FaultRule::new(Fault::Throttle(Duration::from_millis(30)))
        .api(api_key::PRODUCE)
        .node(1);
    broker.add_fault(throttle).unwrap();
    broker
        .add_fault(FaultRule::new(Fault::Drop).api(api_key::PRODUCE).node(2))
        .unwrap();
    send(&producer, 2);
    producer.flush(LIMIT).unwrap();
    let stats = producer.stats(LIMIT).unwrap();
    let throttled = stats.broker(1).unwrap();
    assert_eq!(throttled.value("throttle_total_ms"), Some(30));
    assert_eq!(
        throttled.histogram("throttle_ms").unwrap().summary().max,
        30
    );
    assert_eq!(
        stats.broker(2).unwrap().value("requests_unanswered"),
        Some(1)
    );
    assert_eq!(stats.broker(2).unwrap().value("disconnects"), Some(1));
    let json = stats.to_json();
    assert!(
        json.contains("\"errors\":{\"NOT_LEADER_OR_FOLLOWER\":1}"),
        "{json}"
    );
    producer.close(LIMIT).unwrap();
    assert_eq!(producer.stats(LIMIT).unwrap_err().code(), ErrorCode::CLOSED);
}

#[test]
fn the_timer_makes_statistics_and_wakes_who_waits() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    let config = [("statistics.interval.ms", "100"), ("linger.ms", "0")];
    let producer = producer(&broker, &config);
    send(&producer, 4);
    producer.flush(LIMIT).unwrap();
    // Nothing else ends this wait.
    let begun = Instant::now();
    let mut out = Vec::new();
    assert_eq!(producer.completions(1, LIMIT, &mut out).unwrap(), 0);
    assert!(begun.elapsed() < LIMIT);
    let mut sums = (0, 0);
    let mut last = 0;
    while sums.1 < 5 {
        assert!(begun.elapsed() < LIMIT);
        producer
            .completions(1, Duration::from_secs(1), &mut out)
            .unwrap();
        while let Some(stats) = producer.next_stats() {
            // Histograms are of the interval alone, numbers are totals.
            sums.0 += stats
                .client_scope()
                .unwrap()
                .histogram("batch_records")
                .unwrap()
                .summary()
                .sum;
            last = value(&stats, "records_written");
            sums.1 += 1;
        }
    }
    assert_eq!((sums.0, last), (4, 4));
    // Who does not take them loses the older ones.
    std::thread::sleep(Duration::from_millis(1200));
    let begun = Instant::now();
    let kept = std::iter::from_fn(|| producer.next_stats()).count();
    // The timer goes on while they are taken.
    let new = 1 + begun.elapsed().as_millis() as usize / 100;
    assert!((2..=8 + new).contains(&kept), "{kept}, {new} of them new");
}

#[test]
fn a_consumers_figures_are_what_was_done() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    let producer = producer(&broker, &[]);
    send(&producer, 100);
    producer.flush(LIMIT).unwrap();
    let servers = broker.bootstrap_servers();
    let pairs = [
        ("bootstrap.servers", servers.as_str()),
        ("statistics.interval.ms", "50"),
    ];
    let consumer = Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap();
    consumer
        .assign(&[("t", 0, Start::Earliest), ("t", 1, Start::Earliest)])
        .unwrap();
    let by = Instant::now() + LIMIT;
    let mut held = Vec::new();
    let mut read = 0;
    while read < 100 {
        assert!(Instant::now() < by);
        if let Polled::Batch(batch) = consumer.poll(0, LIMIT).unwrap() {
            read += batch.len();
            held.push(batch);
        }
    }
    let stats = consumer.stats(LIMIT).unwrap();
    assert_eq!(stats.client, "consumer");
    assert_eq!(value(&stats, "records_delivered"), 100);
    assert_eq!(value(&stats, "partitions_assigned"), 2);
    assert!(value(&stats, "held_bytes") > 10_000);
    assert_eq!(value(&stats, "buffered_bytes"), 0);
    let bytes: i64 = (0..2)
        .map(|p| {
            let part = stats.partition("t", p).unwrap();
            assert_eq!(part.value("end_offset"), Some(50));
            part.value("fetched_total_bytes").unwrap()
        })
        .sum();
    let fetched = stats
        .client_scope()
        .unwrap()
        .histogram("fetched_bytes")
        .unwrap()
        .summary();
    assert_eq!(fetched.sum as i64, bytes);
    assert!(bytes > 10_000);
    assert!(
        stats
            .broker(1)
            .unwrap()
            .histogram("fetch_latency_us")
            .unwrap()
            .count()
            > 0
    );
    // The next poll counts what was read as read.
    drop(held);
    while consumer.next_stats().is_some() {}
    assert!(
        matches!(consumer.poll(0, LIMIT).unwrap(), Polled::Nothing),
        "ended by the timer alone"
    );
    assert!(consumer.next_stats().is_some());
    let stats = consumer.stats(LIMIT).unwrap();
    assert_eq!((value(&stats, "lag"), value(&stats, "held_bytes")), (0, 0));
    consumer.close(LIMIT).unwrap();
    assert!(consumer.stats(LIMIT).is_err());
}
