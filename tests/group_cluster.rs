//! Groups under stress, on the embedded broker or on the Kafka that OTTLA_TEST_BOOTSTRAP names: members come and go all
//! the time, and still every record is read, and no partition is read by two members at once.

#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "consumer/support.rs"]
#[allow(dead_code)]
mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::AdminConfig;
use ottla::consumer::{Consumer, EventKind, Polled};
use ottla::protocol::compress::Codec;

use cluster::{cluster, fresh};
use support::{LIMIT, Raw, batch, consumer, numbered, until};

const MEMBERS: usize = 12;
const PARTITIONS: i32 = 60;
/// Whoever stalls does so for longer than this.
const MAX_POLL: Duration = Duration::from_secs(5);

fn old_kafka() -> bool {
    std::env::var("OTTLA_TEST_KAFKA_VERSION").is_ok_and(|version| version.starts_with('3'))
}

/// How long a storm lasts.
fn length() -> Duration {
    if std::env::var_os("OTTLA_TEST_LONG").is_some() {
        Duration::from_secs(300)
    } else if std::env::var_os("OTTLA_TEST_QUICK").is_some() {
        Duration::from_secs(3)
    } else if std::env::var_os("OTTLA_TEST_BOOTSTRAP").is_some() {
        // On an older Kafka only what differs there is of interest, and that shows soon.
        Duration::from_secs(if old_kafka() { 20 } else { 60 })
    } else {
        Duration::from_secs(10)
    }
}

struct Ground {
    bootstrap: String,
    topic: String,
    _broker: Option<Broker>,
}

fn ground(word: &str) -> Ground {
    let options = BrokerOptions::new()
        .nodes(1)
        .consumer_heartbeat_interval(Duration::from_millis(100));
    let (bootstrap, broker) = cluster(options);
    let topic = fresh(word);
    let admin =
        Admin::new(AdminConfig::from_pairs([("bootstrap.servers", &*bootstrap)]).unwrap()).unwrap();
    let created = admin
        .create_topics(&[NewTopic::new(&topic, PARTITIONS, 1)], LIMIT, false)
        .unwrap();
    assert!(created[0].error.is_none(), "{:?}", created[0].error);
    let c = consumer(&bootstrap, &[]);
    until("leaders", || {
        c.partitions_for(&topic, LIMIT)
            .is_ok_and(|p| p.len() == PARTITIONS as usize && p.iter().all(|p| p.leader >= 0))
    });
    Ground {
        bootstrap,
        topic,
        _broker: broker,
    }
}

/// SplitMix64: the same seed, the same decisions.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Who has which partition by the members' own word, and what was read.
#[derive(Default)]
struct Book {
    /// The owner, and whether it is known to have lost touch, so that others may take over without its word.
    owners: BTreeMap<i32, (u64, bool)>,
    /// For each partition, how many were written, and which of them were read.
    read: BTreeMap<i32, Vec<bool>>,
}

struct Storm {
    ground: Ground,
    keys: Vec<(&'static str, String)>,
    /// Each life has one of these besides.
    ways: Vec<Vec<(&'static str, &'static str)>>,
    book: Mutex<Book>,
    lives: AtomicU64,
    over: AtomicBool,
}

impl Storm {
    fn member(&self, life: u64) -> Consumer {
        let way = &self.ways[(life % self.ways.len() as u64) as usize];
        let keys = self.keys.iter().map(|(k, v)| (*k, &**v));
        let keys: Vec<(&str, &str)> = keys.chain(way.iter().copied()).collect();
        let consumer = consumer(&self.ground.bootstrap, &keys);
        consumer.subscribe(&[&self.ground.topic]).unwrap();
        consumer
    }

    /// One life of a member: polls until `end`, then ends one way or another.
    fn live(&self, end: Instant, dice: &mut Dice) {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let consumer = self.member(life);
        let mut stalls = dice.below(8) == 0;
        while Instant::now() < end && !self.over.load(Ordering::Relaxed) {
            self.poll(&consumer, life);
            if stalls && dice.below(20) == 0 {
                stalls = false;
                self.lost_touch(life);
                std::thread::sleep(MAX_POLL + Duration::from_millis(500));
            }
        }
        // From here on nothing more is read, and others may have it all.
        self.lost_touch(life);
        match dice.below(3) {
            0 => drop(consumer),
            1 => consumer.unsubscribe(LIMIT).unwrap(),
            _ => consumer.close(LIMIT).unwrap(),
        }
        self.book
            .lock()
            .unwrap()
            .owners
            .retain(|_, (owner, _)| *owner != life);
    }

    fn lost_touch(&self, life: u64) {
        for (owner, away) in self.book.lock().unwrap().owners.values_mut() {
            *away |= *owner == life;
        }
    }

    fn poll(&self, consumer: &Consumer, life: u64) {
        match consumer.poll(500, Duration::from_millis(20)).unwrap() {
            Polled::Batch(batch) => {
                let mut book = self.book.lock().unwrap();
                for record in batch.iter() {
                    let owner = book
                        .owners
                        .get(&record.partition())
                        .map(|(owner, _)| *owner);
                    assert_eq!(owner, Some(life), "partition {}", record.partition());
                    let read = book.read.entry(record.partition()).or_default();
                    let at = record.offset() as usize;
                    if read.len() <= at {
                        read.resize(at + 1, false);
                    }
                    read[at] = true;
                }
            }
            Polled::Event(event) => {
                let mut book = self.book.lock().unwrap();
                for (_, partition) in &event.partitions {
                    match event.kind {
                        EventKind::PartitionsAssigned => {
                            let before = book.owners.insert(*partition, (life, false));
                            assert!(
                                before.is_none_or(|(_, away)| away),
                                "partition {partition} is given to {life} while {before:?} has it"
                            );
                        }
                        // It is this one's until the next poll, but nothing happens between here and there.
                        EventKind::PartitionsRevoked => {
                            let before = book.owners.remove(partition);
                            assert_eq!(before.map(|(owner, _)| owner), Some(life));
                        }
                        EventKind::PartitionsLost => {
                            book.owners
                                .retain(|p, (owner, _)| p != partition || *owner != life);
                        }
                        _ => {}
                    }
                }
            }
            Polled::Nothing => {}
        }
    }
}

fn storm(word: &'static str, ways: &[&[(&'static str, &'static str)]]) {
    let ground = ground(word);
    let mut all: Vec<(&'static str, String)> = [
        ("group.id", &*ground.topic),
        ("auto.offset.reset", "earliest"),
        ("max.poll.interval.ms", &MAX_POLL.as_millis().to_string()),
        ("auto.commit.interval.ms", "200"),
    ]
    .into_iter()
    .map(|(key, value)| (key, value.to_owned()))
    .collect();
    all.dedup();
    let storm = Storm {
        ground,
        keys: all,
        ways: ways.iter().map(|way| way.to_vec()).collect(),
        book: Mutex::default(),
        lives: AtomicU64::new(1),
        over: AtomicBool::new(false),
    };
    let end = Instant::now() + length();
    let written = std::thread::scope(|scope| {
        for slot in 0..MEMBERS as u64 {
            let storm = &storm;
            scope.spawn(move || {
                let mut dice = Dice(slot);
                while Instant::now() < end {
                    let life = Duration::from_millis(300 + dice.below(4000));
                    storm.live((Instant::now() + life).min(end), &mut dice);
                    std::thread::sleep(Duration::from_millis(dice.below(300)));
                }
            });
        }
        let mut raw = Raw::connect(&storm.ground.bootstrap);
        let mut dice = Dice(99);
        let mut written = vec![0; PARTITIONS as usize];
        while Instant::now() < end {
            let partition = dice.below(PARTITIONS as u64) as usize;
            let (first, count) = (written[partition], 1 + dice.below(20));
            let rows = batch(&numbered(first..first + count), Codec::None);
            raw.produce(&storm.ground.topic, partition as i32, &[rows]);
            written[partition] += count;
            std::thread::sleep(Duration::from_millis(3));
        }
        written
    });
    // Whoever comes after the storm finds what nobody has read and committed: in the end all is read.
    let last = storm.member(0);
    let deadline = Instant::now() + 2 * LIMIT;
    loop {
        storm.poll(&last, u64::MAX);
        let book = storm.book.lock().unwrap();
        let missing: Vec<(usize, u64)> = (0..written.len())
            .map(|p| {
                let read = book.read.get(&(p as i32));
                let read = read.map_or(0, |r| r.iter().filter(|was| **was).count());
                (p, written[p] - read as u64)
            })
            .filter(|(_, missing)| *missing > 0)
            .collect();
        if missing.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "never read, of each partition: {missing:?}; {:?}",
            last.log_lines(50)
        );
    }
    let lives = storm.lives.load(Ordering::Relaxed);
    assert!(lives > MEMBERS as u64, "a storm has members that go");
}

const EAGER: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "range"),
    ("heartbeat.interval.ms", "100"),
];
const COOPERATIVE: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("heartbeat.interval.ms", "100"),
];
const MODERN: &[(&str, &str)] = &[("group.protocol", "consumer")];

#[test]
fn a_storm_of_eager_members() {
    storm("eager", &[EAGER]);
}

#[test]
fn a_storm_of_cooperative_members() {
    storm("cooperative", &[COOPERATIVE]);
}

#[test]
fn a_storm_by_the_new_protocol() {
    if old_kafka() {
        eprintln!("skipped: this Kafka has the new protocol as a preview only");
        return;
    }
    storm("modern", &[MODERN]);
}

/// The group goes from one protocol to the other and back whenever the last member of the new one has gone.
#[test]
fn a_storm_by_both_protocols() {
    if old_kafka() {
        eprintln!("skipped: this Kafka has the new protocol as a preview only");
        return;
    }
    storm("both", &[COOPERATIVE, MODERN]);
}
