//! One programme of what most programs do, step by step: on the embedded broker, on the Kafka that OTTLA_TEST_BOOTSTRAP
//! names, and on other implementations of the protocol (`tests/foreign/neighbours.py`). Steps that an implementation
//! doesn't offer are named, comma-separated, in OTTLA_TEST_WITHOUT: each of them has to fail, so that the list stays true.
//! OTTLA_TEST_STEPS names some to be run alone.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "support/cluster.rs"]
mod cluster;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use ottla::admin::{Admin, NewPartitions, NewTopic};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::{AdminConfig, ConsumerConfig, ProducerConfig};
use ottla::consumer::{Consumer, EventKind, OffsetAndMetadata, Polled, Start};
use ottla::producer::{Completion, Outcome, Producer, Record, Wait};

use cluster::{cluster, fresh};

const LIMIT: Duration = Duration::from_secs(20);
const PARTITIONS: i32 = 4;

type Step = fn(&Ground) -> Result<(), Box<dyn Error>>;

const STEPS: &[(&str, Step)] = &[
    ("describe the cluster", describe_cluster),
    ("create topics", create_topics),
    ("add partitions", add_partitions),
    ("list topics", list_topics),
    ("delete topics", delete_topics),
    ("produce keyed", produce_keyed),
    ("every codec", every_codec),
    ("headers and nulls", headers_and_nulls),
    ("acks of one and none", acks),
    ("start and end offsets", offsets),
    ("offsets by time", offsets_by_time),
    ("seek", seek),
    ("classic group", classic_group),
    ("two members", two_members),
    ("new group protocol", new_group),
    ("commit and go on", commit_and_go_on),
    ("transactions", transactions),
    ("offsets in a transaction", offsets_in_a_transaction),
];

/// A failed expectation is the step's error.
macro_rules! expect {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+).into());
        }
    };
}

struct Ground {
    bootstrap: String,
    /// Of this run.
    name: String,
    /// The implementation makes topics by itself, and can't be asked to.
    only_auto: bool,
    _broker: Option<Broker>,
}

impl Ground {
    fn pairs<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [("bootstrap.servers", &*self.bootstrap)]
            .into_iter()
            .chain(more.iter().copied())
            .collect()
    }

    fn admin(&self) -> ottla::Result<Admin> {
        Admin::new(AdminConfig::from_pairs(self.pairs(&[]))?)
    }

    fn producer(&self, more: &[(&str, &str)]) -> ottla::Result<Producer> {
        Producer::new(ProducerConfig::from_pairs(self.pairs(more))?)
    }

    fn consumer(&self, more: &[(&str, &str)]) -> ottla::Result<Consumer> {
        let short = [
            ("fetch.max.wait.ms", "50"),
            ("auto.offset.reset", "earliest"),
        ];
        let all = short.into_iter().chain(more.iter().copied());
        let all: Vec<_> = all.collect();
        Consumer::new(ConsumerConfig::from_pairs(self.pairs(&all))?)
    }

    /// A topic of [`PARTITIONS`] partitions for one step. Returns when each partition's leader serves
    /// it: metadata name a leader a moment before it knows of that itself, and a batch by `acks=0`
    /// that comes in this moment is lost.
    fn topic(&self, word: &str) -> Result<String, Box<dyn Error>> {
        let name = format!("{}-{word}", self.name);
        if !self.only_auto {
            let admin = self.admin()?;
            let made = admin.create_topics(&[NewTopic::new(&name, PARTITIONS, 1)], LIMIT, false)?;
            if let Some(error) = &made[0].error {
                return Err(error.clone().into());
            }
        }
        let consumer = self.consumer(&[])?;
        let by = Instant::now() + LIMIT;
        loop {
            match consumer.partitions_for(&name, LIMIT) {
                Ok(found)
                    if found.len() == PARTITIONS as usize
                        && found.iter().all(|p| p.leader >= 0) =>
                {
                    let all: Vec<(&str, i32)> = (0..PARTITIONS).map(|p| (&*name, p)).collect();
                    consumer.end_offsets(&all, LIMIT)?;
                    return Ok(name);
                }
                found => expect!(
                    Instant::now() < by,
                    "topic {name} did not come up: {found:?}"
                ),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Waits for the completions of tokens 1 to `count`; all must be written.
fn written(producer: &Producer, count: u64) -> Result<Vec<Completion>, Box<dyn Error>> {
    let by = Instant::now() + LIMIT;
    let mut ended = Vec::new();
    let records = |c: &[Completion]| c.iter().map(|c| u64::from(c.count)).sum::<u64>();
    while records(&ended) < count {
        expect!(Instant::now() < by, "{} of {count} ended", records(&ended));
        producer.completions(1000, Duration::from_millis(100), &mut ended)?;
    }
    for c in &ended {
        expect!(c.outcome == Outcome::Written, "{:?}", c.error);
    }
    Ok(ended)
}

fn send(
    producer: &Producer,
    topic: &str,
    range: std::ops::Range<u64>,
) -> Result<(), Box<dyn Error>> {
    for n in range {
        let value = format!("value-{n}");
        let record = Record {
            topic,
            partition: Some((n % PARTITIONS as u64) as i32),
            value: Some(value.as_bytes()),
            token: n + 1,
            ..Record::default()
        };
        producer.send(&record, Wait::MaxBlock)?;
    }
    Ok(())
}

/// The values of so many records, sorted, and nothing that comes in a moment after them.
fn values(consumer: &Consumer, count: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let by = Instant::now() + LIMIT;
    let mut got = Vec::new();
    while got.len() < count {
        expect!(Instant::now() < by, "{} of {count} records came", got.len());
        collect(consumer, &mut got)?;
    }
    collect(consumer, &mut got)?;
    expect!(
        got.len() == count,
        "{} records came, {count} were due",
        got.len()
    );
    got.sort();
    Ok(got)
}

fn collect(consumer: &Consumer, into: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    match consumer.poll(1000, Duration::from_millis(100))? {
        Polled::Batch(batch) => {
            into.extend(
                batch
                    .iter()
                    .map(|r| String::from_utf8_lossy(r.value().unwrap_or(b"")).into_owned()),
            );
        }
        Polled::Event(event) => {
            let fine = matches!(
                event.kind,
                EventKind::PartitionsAssigned | EventKind::PartitionsRevoked
            );
            expect!(fine, "an event came: {event:?}");
        }
        _ => {}
    }
    Ok(())
}

fn sorted(range: std::ops::Range<u64>) -> Vec<String> {
    let mut all: Vec<String> = range.map(|n| format!("value-{n}")).collect();
    all.sort();
    all
}

fn describe_cluster(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let cluster = ground.admin()?.describe_cluster(LIMIT)?;
    expect!(!cluster.brokers.is_empty(), "no brokers");
    Ok(())
}

fn create_topics(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let (admin, name) = (ground.admin()?, format!("{}-made", ground.name));
    let topic = NewTopic::new(&name, 3, 1).config("max.message.bytes", "100000");
    let made = admin.create_topics(std::slice::from_ref(&topic), LIMIT, false)?;
    expect!(made[0].error.is_none(), "{:?}", made[0].error);
    let again = admin.create_topics(&[topic], LIMIT, false)?;
    let code = again[0].error.as_ref().map(|e| e.code());
    expect!(
        code == Some(ottla::ErrorCode::TOPIC_ALREADY_EXISTS),
        "{again:?}"
    );
    let seen = admin.describe_topics(&[&name], LIMIT)?;
    expect!(seen[0].partitions.len() == 3, "{seen:?}");
    Ok(())
}

fn add_partitions(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let (admin, name) = (ground.admin()?, ground.topic("grown")?);
    let grown = admin.create_partitions(
        &[NewPartitions {
            name: name.clone(),
            total: 6,
        }],
        LIMIT,
        false,
    )?;
    expect!(grown[0].error.is_none(), "{:?}", grown[0].error);
    let seen = admin.describe_topics(&[&name], LIMIT)?;
    expect!(seen[0].partitions.len() == 6, "{seen:?}");
    Ok(())
}

fn list_topics(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let name = ground.topic("listed")?;
    let listed = ground.admin()?.list_topics(LIMIT, false)?;
    expect!(
        listed.iter().any(|t| t.name == name),
        "{name} is not listed"
    );
    Ok(())
}

fn delete_topics(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let (admin, name) = (ground.admin()?, ground.topic("deleted")?);
    let gone = admin.delete_topics(&[&name], LIMIT)?;
    expect!(gone[0].error.is_none(), "{:?}", gone[0].error);
    let listed = admin.list_topics(LIMIT, false)?;
    expect!(
        listed.iter().all(|t| t.name != name),
        "{name} is still listed"
    );
    Ok(())
}

fn produce_keyed(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("keyed")?;
    let producer = ground.producer(&[])?;
    for n in 0..200u64 {
        let key = format!("key-{}", n % 20);
        let record = Record {
            topic: &topic,
            key: Some(key.as_bytes()),
            value: Some(b"v"),
            token: n + 1,
            ..Record::default()
        };
        producer.send(&record, Wait::MaxBlock)?;
    }
    written(&producer, 200)?;
    let consumer = ground.consumer(&[])?;
    consumer.assign_topic(&topic, Start::Earliest)?;
    let mut places: BTreeMap<Vec<u8>, i32> = BTreeMap::new();
    let (mut count, by) = (0, Instant::now() + LIMIT);
    while count < 200 {
        expect!(Instant::now() < by, "{count} of 200 came");
        let Polled::Batch(batch) = consumer.poll(1000, Duration::from_millis(100))? else {
            continue;
        };
        for r in batch.iter() {
            count += 1;
            let key = r.key().unwrap_or(b"").to_vec();
            let first = *places.entry(key).or_insert(r.partition());
            expect!(first == r.partition(), "a key is in two partitions");
        }
    }
    expect!(places.len() == 20, "{} keys", places.len());
    Ok(())
}

fn every_codec(ground: &Ground) -> Result<(), Box<dyn Error>> {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = ground.topic(codec)?;
        let producer = ground.producer(&[("compression.type", codec), ("linger.ms", "20")])?;
        send(&producer, &topic, 0..400)?;
        written(&producer, 400).map_err(|e| format!("{codec}: {e}"))?;
        let consumer = ground.consumer(&[])?;
        consumer.assign_topic(&topic, Start::Earliest)?;
        let got = values(&consumer, 400).map_err(|e| format!("{codec}: {e}"))?;
        expect!(got == sorted(0..400), "{codec}: other values came");
    }
    Ok(())
}

fn headers_and_nulls(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("headers")?;
    let producer = ground.producer(&[])?;
    let headers: [(&[u8], Option<&[u8]>); 3] = [(b"a", Some(b"1")), (b"a", None), (b"", Some(b""))];
    let record = Record {
        topic: &topic,
        partition: Some(1),
        headers: &headers,
        timestamp: Some(1_700_000_000_123),
        token: 1,
        ..Record::default()
    };
    producer.send(&record, Wait::MaxBlock)?;
    let offset = written(&producer, 1)?[0].base_offset;
    let consumer = ground.consumer(&[])?;
    consumer.assign(&[(&topic, 1, Start::Offset(offset))])?;
    let by = Instant::now() + LIMIT;
    loop {
        expect!(Instant::now() < by, "the record did not come");
        let Polled::Batch(batch) = consumer.poll(10, Duration::from_millis(100))? else {
            continue;
        };
        let r = batch.iter().next().ok_or("an empty batch")?;
        expect!(
            r.key().is_none() && r.value().is_none(),
            "nulls became something"
        );
        expect!(
            r.timestamp() == 1_700_000_000_123,
            "timestamp {}",
            r.timestamp()
        );
        let got: Vec<_> = r
            .headers()
            .map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec)))
            .collect();
        let sent: Vec<_> = headers
            .iter()
            .map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec)))
            .collect();
        expect!(got == sent, "{got:?}");
        return Ok(());
    }
}

fn acks(ground: &Ground) -> Result<(), Box<dyn Error>> {
    for acks in ["1", "0"] {
        let topic = ground.topic(&format!("acks{acks}"))?;
        let producer = ground.producer(&[("acks", acks), ("enable.idempotence", "false")])?;
        send(&producer, &topic, 0..40)?;
        written(&producer, 40)?;
        let consumer = ground.consumer(&[])?;
        consumer.assign_topic(&topic, Start::Earliest)?;
        expect!(
            values(&consumer, 40)? == sorted(0..40),
            "acks={acks}: other values came"
        );
    }
    Ok(())
}

fn offsets(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("offsets")?;
    let producer = ground.producer(&[])?;
    send(&producer, &topic, 0..20)?;
    written(&producer, 20)?;
    let consumer = ground.consumer(&[])?;
    let all: Vec<(&str, i32)> = (0..PARTITIONS).map(|p| (&*topic, p)).collect();
    let (begin, end) = (
        consumer.beginning_offsets(&all, LIMIT)?,
        consumer.end_offsets(&all, LIMIT)?,
    );
    expect!(begin == [0; 4] && end == [5; 4], "{begin:?} to {end:?}");
    Ok(())
}

fn offsets_by_time(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("times")?;
    let producer = ground.producer(&[("linger.ms", "0")])?;
    // Each in a batch of its own.
    for n in 0..10i64 {
        let record = Record {
            topic: &topic,
            partition: Some(0),
            value: Some(b"v"),
            timestamp: Some(1_000_000 + n * 1000),
            token: 1,
            ..Record::default()
        };
        producer.send(&record, Wait::MaxBlock)?;
        written(&producer, 1)?;
    }
    let consumer = ground.consumer(&[])?;
    let found = consumer.offsets_for_times(&[(&topic, 0, 1_004_500)], LIMIT)?;
    expect!(found == [Some((5, 1_005_000))], "{found:?}");
    let found = consumer.offsets_for_times(&[(&topic, 0, 2_000_000)], LIMIT)?;
    expect!(found == [None], "{found:?}");
    Ok(())
}

fn seek(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("seek")?;
    let producer = ground.producer(&[])?;
    send(&producer, &topic, 0..40)?;
    written(&producer, 40)?;
    let consumer = ground.consumer(&[])?;
    consumer.assign(&[(&topic, 0, Start::Earliest)])?;
    expect!(values(&consumer, 10)?.len() == 10, "all of partition 0");
    consumer.seek(&topic, 0, Start::Offset(7))?;
    expect!(
        values(&consumer, 3)?.contains(&"value-36".to_owned()),
        "the last three"
    );
    Ok(())
}

fn group(ground: &Ground, protocol: &str, word: &str) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic(word)?;
    let producer = ground.producer(&[])?;
    send(&producer, &topic, 0..100)?;
    written(&producer, 100)?;
    let pairs = [("group.id", &*topic), ("group.protocol", protocol)];
    let consumer = ground.consumer(&pairs)?;
    consumer.subscribe(&[&topic])?;
    expect!(
        values(&consumer, 100)? == sorted(0..100),
        "other values came"
    );
    consumer.commit_polled(LIMIT)?;
    let all: Vec<(&str, i32)> = (0..PARTITIONS).map(|p| (&*topic, p)).collect();
    let committed = consumer.committed(&all, LIMIT)?;
    let offsets: Vec<Option<i64>> = committed
        .iter()
        .map(|c| c.as_ref().map(|c| c.offset))
        .collect();
    expect!(offsets == [Some(25); 4], "{offsets:?}");
    consumer.close(LIMIT)?;
    Ok(())
}

fn classic_group(ground: &Ground) -> Result<(), Box<dyn Error>> {
    group(ground, "classic", "classic")
}

fn new_group(ground: &Ground) -> Result<(), Box<dyn Error>> {
    group(ground, "consumer", "modern")
}

fn two_members(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("members")?;
    let pairs = [
        ("group.id", &*topic),
        ("group.protocol", "classic"),
        ("heartbeat.interval.ms", "100"),
        ("session.timeout.ms", "10s"),
    ];
    let members = [ground.consumer(&pairs)?, ground.consumer(&pairs)?];
    members.iter().try_for_each(|m| m.subscribe(&[&topic]))?;
    let producer = ground.producer(&[])?;
    send(&producer, &topic, 0..40)?;
    written(&producer, 40)?;
    let (mut got, by) = (Vec::new(), Instant::now() + LIMIT);
    let shared = |members: &[Consumer]| -> ottla::Result<bool> {
        let each: ottla::Result<Vec<usize>> =
            members.iter().map(|m| Ok(m.assignment()?.len())).collect();
        Ok(each?.iter().all(|n| *n == 2))
    };
    while !shared(&members)? || got.len() < 40 {
        expect!(
            Instant::now() < by,
            "{} records; shared out: {}",
            got.len(),
            shared(&members)?
        );
        members.iter().try_for_each(|m| collect(m, &mut got))?;
    }
    for member in members {
        member.close(LIMIT)?;
    }
    Ok(())
}

fn commit_and_go_on(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("commits")?;
    let producer = ground.producer(&[])?;
    send(&producer, &topic, 0..40)?;
    written(&producer, 40)?;
    let pairs = [
        ("group.id", &*topic),
        ("group.protocol", "classic"),
        ("enable.auto.commit", "false"),
    ];
    let first = ground.consumer(&pairs)?;
    let at = |offset| OffsetAndMetadata::new(offset);
    // Without a membership, as tools do.
    first.commit(
        &[
            (&topic, 0, at(4)),
            (&topic, 1, at(10)),
            (&topic, 2, at(10)),
            (&topic, 3, at(9)),
        ],
        LIMIT,
    )?;
    first.close(LIMIT)?;
    let second = ground.consumer(&pairs)?;
    second.subscribe(&[&topic])?;
    let got = values(&second, 7)?;
    expect!(got.contains(&"value-39".to_owned()), "{got:?}");
    second.close(LIMIT)?;
    Ok(())
}

fn transactions(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("transactions")?;
    let producer = ground.producer(&[("transactional.id", &topic)])?;
    producer.init_transactions(LIMIT)?;
    producer.begin_transaction()?;
    send(&producer, &topic, 0..20)?;
    producer.commit_transaction(LIMIT)?;
    written(&producer, 20)?;
    producer.begin_transaction()?;
    send(&producer, &topic, 20..40)?;
    producer.flush(LIMIT)?;
    producer.abort_transaction(LIMIT)?;
    producer.begin_transaction()?;
    send(&producer, &topic, 40..60)?;
    producer.commit_transaction(LIMIT)?;
    let consumer = ground.consumer(&[("isolation.level", "read_committed")])?;
    consumer.assign_topic(&topic, Start::Earliest)?;
    let mut wanted = [sorted(0..20), sorted(40..60)].concat();
    wanted.sort();
    expect!(values(&consumer, 40)? == wanted, "other values came");
    Ok(())
}

fn offsets_in_a_transaction(ground: &Ground) -> Result<(), Box<dyn Error>> {
    let topic = ground.topic("txn-offsets")?;
    let consumer = ground.consumer(&[("group.id", &topic), ("group.protocol", "classic")])?;
    let producer = ground.producer(&[("transactional.id", &topic)])?;
    producer.init_transactions(LIMIT)?;
    producer.begin_transaction()?;
    send(&producer, &topic, 0..4)?;
    let offsets = [(&*topic, 0, OffsetAndMetadata::new(3))];
    producer.send_offsets(&offsets, &consumer.group_metadata()?, LIMIT)?;
    producer.commit_transaction(LIMIT)?;
    // The coordinator of the group hears of the transaction's end a moment later than the producer.
    let by = Instant::now() + Duration::from_secs(5);
    loop {
        let committed = consumer.committed(&[(&topic, 0)], LIMIT)?;
        let offset = committed[0].as_ref().map(|c| c.offset);
        if offset == Some(3) {
            return Ok(());
        }
        expect!(offset.is_none() && Instant::now() < by, "{offset:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_programme() {
    let (bootstrap, broker) = cluster(BrokerOptions::new().nodes(3));
    let list = std::env::var("OTTLA_TEST_WITHOUT").unwrap_or_default();
    let without: Vec<&str> = list
        .split(',')
        .map(str::trim)
        .filter(|w| !w.is_empty())
        .collect();
    for word in &without {
        assert!(
            STEPS.iter().any(|(name, _)| name == word),
            "{word} is no step"
        );
    }
    // By default Kafka 3.9 has no groups of the new protocol.
    let old =
        std::env::var("OTTLA_TEST_KAFKA_VERSION").is_ok_and(|version| version.starts_with("3."));
    let ground = Ground {
        bootstrap,
        name: fresh("programme"),
        only_auto: without.contains(&"create topics"),
        _broker: broker,
    };
    let mut wrong = Vec::new();
    let only = std::env::var("OTTLA_TEST_STEPS").unwrap_or_default();
    for (name, step) in STEPS {
        if !only.is_empty() && !only.split(',').any(|word| word.trim() == *name) {
            continue;
        }
        let started = Instant::now();
        let result = step(&ground);
        let took = started.elapsed();
        let is_without = without.contains(name) || (old && *name == "new group protocol");
        let told = match (&result, is_without) {
            (Ok(()), false) => "ok".to_owned(),
            (Err(e), true) => format!("not offered: {e}"),
            (Ok(()), true) => "works, but is listed as not offered".to_owned(),
            (Err(e), false) => format!("FAILED: {e}"),
        };
        println!("{name:26} {took:7.1?}  {told}");
        if result.is_ok() == is_without {
            wrong.push(format!("{name}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
