//! Client metrics (KIP-714): what an embedded broker that asks for them is told, read back by a decoder of the test's own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::admin::Admin;
use ottla::broker::{
    Broker, BrokerOptions, Fault, FaultRule, PushedMetrics, TelemetrySubscription, api_key,
};
use ottla::config::{AdminConfig, ConsumerConfig, ShareConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::protocol::compress::Codec;
use ottla::share::ShareConsumer;

use super::{LIMIT, producer, send};

/// A field of a protobuf message.
#[derive(Debug)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Every field of a message by number, in order.
fn fields(mut data: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(data: &mut &[u8]) -> u64 {
        let mut n = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = data.split_first().unwrap();
            *data = rest;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return n;
            }
        }
        unreachable!()
    }
    let mut out = Vec::new();
    while !data.is_empty() {
        let tag = varint(&mut data);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut data)),
            1 => {
                let (bytes, rest) = data.split_first_chunk::<8>().unwrap();
                data = rest;
                Field::Number(u64::from_le_bytes(*bytes))
            }
            2 => {
                let len = varint(&mut data) as usize;
                let (bytes, rest) = data.split_at(len);
                data = rest;
                Field::Bytes(bytes)
            }
            wire => panic!("wire type {wire}"),
        };
        out.push((tag >> 3, field));
    }
    out
}

fn all(data: &[u8], number: u64) -> Vec<&[u8]> {
    let found = fields(data).into_iter().filter(|(n, _)| *n == number);
    found
        .map(|(_, field)| match field {
            Field::Bytes(bytes) => bytes,
            Field::Number(_) => panic!("field {number} is a number"),
        })
        .collect()
}

fn one(data: &[u8], number: u64) -> &[u8] {
    let found = all(data, number);
    assert_eq!(found.len(), 1);
    found[0]
}

fn number(data: &[u8], wanted: u64) -> Option<u64> {
    fields(data).into_iter().find_map(|(n, field)| match field {
        Field::Number(value) if n == wanted => Some(value),
        _ => None,
    })
}

fn text(data: &[u8]) -> String {
    String::from_utf8(data.to_vec()).unwrap()
}

fn labels(data: &[u8], number: u64) -> BTreeMap<String, String> {
    all(data, number)
        .into_iter()
        .map(|pair| (text(one(pair, 1)), text(one(one(pair, 2), 1))))
        .collect()
}

/// One point: its value, whether it is a sum, and its times.
#[derive(Debug, Clone, Copy)]
struct Point {
    value: f64,
    /// 1 for what was added, 2 for totals; 0 of a gauge.
    temporality: u64,
    from: u64,
    to: u64,
}

/// Resource's labels, and points by name and node.
type Told = (BTreeMap<String, String>, BTreeMap<(String, String), Point>);

fn told(pushed: &PushedMetrics) -> Told {
    let resource = one(&pushed.data, 1);
    let metrics = all(one(resource, 2), 2).into_iter().map(|metric| {
        let (kind, sum) = match &all(metric, 7)[..] {
            [sum] => (*sum, true),
            _ => (one(metric, 5), false),
        };
        let point = one(kind, 1);
        let value = match sum {
            true => number(point, 6).unwrap() as i64 as f64,
            false => f64::from_bits(number(point, 4).unwrap()),
        };
        let node = labels(point, 7).remove("node_id").unwrap_or_default();
        let found = Point {
            value,
            temporality: number(kind, 2).unwrap_or(0),
            from: number(point, 2).unwrap(),
            to: number(point, 3).unwrap(),
        };
        ((text(one(metric, 1)), node), found)
    });
    (labels(one(resource, 1), 1), metrics.collect())
}

fn subscription(metrics: &[&str], delta: bool, codec: Codec) -> TelemetrySubscription {
    TelemetrySubscription {
        metrics: metrics.iter().map(|m| (*m).to_owned()).collect(),
        interval: Duration::from_millis(200),
        delta,
        codecs: vec![codec],
    }
}

/// Waits for metrics of which `wanted` is true; all that came by then.
fn pushes(broker: &Broker, wanted: impl Fn(&PushedMetrics) -> bool) -> Vec<PushedMetrics> {
    let by = Instant::now() + LIMIT;
    let mut out = Vec::new();
    loop {
        out.extend(broker.take_telemetry().unwrap());
        if out.iter().any(&wanted) {
            return out;
        }
        assert!(Instant::now() < by, "{} pushes", out.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

const P: &str = "org.apache.kafka.producer.";
const C: &str = "org.apache.kafka.consumer.";

fn point(told: &Told, prefix: &str, name: &str, node: &str) -> Point {
    let key = (format!("{prefix}{name}"), node.to_owned());
    *told
        .1
        .get(&key)
        .unwrap_or_else(|| panic!("{key:?} of {:?}", told.1.keys()))
}

#[test]
fn a_producer_tells_what_kafka_requires_in_every_codec_and_a_last_time_when_it_closes() {
    for codec in Codec::ALL {
        let broker = Broker::start(BrokerOptions::new()).unwrap();
        broker.create_topic("t", 2, &[]).unwrap();
        broker
            .subscribe_telemetry(Some(subscription(&[""], true, codec)))
            .unwrap();
        let throttle =
            FaultRule::new(Fault::Throttle(Duration::from_millis(20))).api(api_key::PRODUCE);
        broker.add_fault(throttle).unwrap();
        let producer = producer(&broker, &[("client.rack", "r1"), ("linger.ms", "0")]);
        send(&producer, 10);
        producer.flush(LIMIT).unwrap();
        let first = pushes(&broker, |_| true).swap_remove(0);
        assert_eq!((first.codec, first.terminating), (codec, false));
        assert_ne!(first.client_instance_id, [0; 16]);
        let report = told(&first);
        assert_eq!(
            report.0,
            BTreeMap::from([("client_rack".to_owned(), "r1".to_owned())])
        );
        let sent = point(&report, P, "record.send.total", "");
        assert_eq!((sent.value, sent.temporality), (10.0, 1));
        assert!(sent.from < sent.to);
        assert!(point(&report, P, "connection.creation.total", "").value >= 2.0);
        assert!(point(&report, P, "connection.creation.rate", "").value > 0.0);
        let avg = point(&report, P, "node.request.latency.avg", "1").value;
        let max = point(&report, P, "node.request.latency.max", "1").value;
        assert!(avg > 0.0 && max >= avg, "{avg} {max}");
        assert_eq!(
            point(&report, P, "produce.throttle.time.avg", "").value,
            20.0
        );
        assert_eq!(
            point(&report, P, "produce.throttle.time.max", "").value,
            20.0
        );
        let queue = point(&report, P, "record.queue.time.max", "").value;
        assert!(queue >= point(&report, P, "record.queue.time.avg", "").value);
        // What is added later is told alone, the last of it when the producer closes.
        send(&producer, 5);
        producer.close(LIMIT).unwrap();
        let rest = broker.take_telemetry().unwrap();
        let last = rest.last().unwrap();
        assert!(last.terminating, "it has come when close returns");
        assert_eq!(last.client_instance_id, first.client_instance_id);
        let added: f64 = rest
            .iter()
            .map(|p| point(&told(p), P, "record.send.total", "").value)
            .sum();
        assert_eq!(added, 5.0);
        let later = point(&told(&rest[0]), P, "record.send.total", "");
        assert_eq!(later.from, sent.to, "one begins where the other ended");
    }
}

#[test]
fn only_what_is_subscribed_is_told_as_totals_if_asked_and_a_change_is_noticed() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    let connections = ["org.apache.kafka.producer.connection."];
    broker
        .subscribe_telemetry(Some(subscription(&connections, false, Codec::None)))
        .unwrap();
    let producer = producer(&broker, &[("linger.ms", "0")]);
    send(&producer, 2);
    producer.flush(LIMIT).unwrap();
    let report = told(&pushes(&broker, |_| true)[0]);
    let names: Vec<&str> = report.1.keys().map(|(name, _)| &**name).collect();
    assert_eq!(
        names,
        [
            format!("{P}connection.creation.rate"),
            format!("{P}connection.creation.total")
        ]
    );
    assert_eq!(
        point(&report, P, "connection.creation.total", "").temporality,
        2
    );
    let sent = ["org.apache.kafka.producer.record.send"];
    broker
        .subscribe_telemetry(Some(subscription(&sent, false, Codec::Zstd)))
        .unwrap();
    let changed = pushes(&broker, |p| p.codec == Codec::Zstd);
    let report = told(changed.iter().find(|p| p.codec == Codec::Zstd).unwrap());
    assert_eq!(point(&report, P, "record.send.total", "").value, 2.0);
    // Refused for good: no more is pushed, and nothing else suffers.
    let refuse = FaultRule::new(Fault::Error {
        code: ErrorCode::INVALID_RECORD,
    })
    .api(api_key::PUSH_TELEMETRY);
    broker.add_fault(refuse.forever()).unwrap();
    let seen = || broker.requests_seen(None, api_key::PUSH_TELEMETRY).unwrap();
    let before = seen();
    let by = Instant::now() + LIMIT;
    while seen() == before {
        assert!(Instant::now() < by);
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(700));
    assert!(seen() <= before + 2);
    send(&producer, 2);
    producer.close(LIMIT).unwrap();
    assert_eq!(producer.counts().written, 4);
}

#[test]
fn consumers_and_admin_clients_tell_of_themselves_unless_they_are_told_not_to() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    let silent = producer(&broker, &[("enable.metrics.push", "false")]);
    send(&silent, 100);
    silent.flush(LIMIT).unwrap();
    broker
        .subscribe_telemetry(Some(subscription(&[""], true, Codec::Lz4)))
        .unwrap();
    let servers = broker.bootstrap_servers();
    let servers = ("bootstrap.servers", servers.as_str());
    let config = ConsumerConfig::from_pairs([servers]).unwrap();
    let consumer = Consumer::new(config).unwrap();
    consumer
        .assign(&[("t", 0, Start::Earliest), ("t", 1, Start::Earliest)])
        .unwrap();
    let mut read = 0;
    while read < 100 {
        if let Polled::Batch(batch) = consumer.poll(0, LIMIT).unwrap() {
            read += batch.len();
        }
    }
    let report = told(&pushes(&broker, |_| true)[0]);
    assert_eq!(
        point(&report, C, "fetch.manager.records.consumed.total", "").value,
        100.0
    );
    assert_eq!(
        point(&report, C, "coordinator.assigned.partitions", "").value,
        2.0
    );
    let latency = point(&report, C, "fetch.manager.fetch.latency.max", "").value;
    assert!(
        latency >= point(&report, C, "fetch.manager.fetch.latency.avg", "").value && latency > 0.0
    );
    let idle = point(&report, C, "poll.idle.ratio.avg", "").value;
    assert!((0.0..=1.0).contains(&idle), "{idle}");
    consumer.close(LIMIT).unwrap();
    assert!(broker.take_telemetry().unwrap().last().unwrap().terminating);
    let admin = Admin::new(AdminConfig::from_pairs([servers]).unwrap()).unwrap();
    admin.connect(LIMIT).unwrap();
    let report = told(&pushes(&broker, |p| !p.terminating)[0]);
    assert!(
        point(
            &report,
            "org.apache.kafka.admin.client.",
            "connection.creation.total",
            ""
        )
        .value
            >= 1.0
    );
    admin.close(LIMIT).unwrap();
    silent.close(LIMIT).unwrap();
    let asked = broker
        .requests_seen(None, api_key::GET_TELEMETRY_SUBSCRIPTIONS)
        .unwrap();
    assert_eq!(asked, 2, "a consumer and an admin client");
}

#[test]
fn a_broker_that_does_not_answer_delays_a_close_for_a_moment_only() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    broker
        .subscribe_telemetry(Some(subscription(&[""], true, Codec::None)))
        .unwrap();
    let producer = producer(&broker, &[("linger.ms", "0")]);
    send(&producer, 2);
    producer.flush(LIMIT).unwrap();
    pushes(&broker, |_| true);
    let hold = FaultRule::new(Fault::SwallowReply { close: false }).api(api_key::PUSH_TELEMETRY);
    broker.add_fault(hold.forever()).unwrap();
    let begun = Instant::now();
    producer.close(LIMIT).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_share_consumer_tells_its_metrics_by_the_names_of_kafkas_own() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker
        .subscribe_telemetry(Some(subscription(&[""], true, Codec::None)))
        .unwrap();
    let config = ShareConfig::from_pairs([
        ("bootstrap.servers", broker.bootstrap_servers().as_str()),
        ("group.id", "workers"),
    ]);
    let consumer = ShareConsumer::new(config.unwrap()).unwrap();
    let (labels, points) = told(&pushes(&broker, |_| true)[0]);
    assert_eq!(labels.get("group_id").map(String::as_str), Some("workers"));
    assert!(!points.is_empty());
    for (name, _) in points.keys() {
        let own = name.starts_with("org.apache.kafka.consumer.share.");
        assert!(own, "{name}");
    }
    consumer.close(LIMIT).unwrap();
}
