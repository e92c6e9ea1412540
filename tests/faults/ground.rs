//! What the scenarios stand on: a cluster of three brokers, each behind a proxy of its own; the embedded broker's, or
//! Apache Kafka's.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::{AdminConfig, ConsumerConfig};
use ottla::consumer::{Consumer, Polled, Start};

use super::cluster::Cluster;
use super::proxy::{Network, Proxy};
use super::talk;

/// Longest wait for anything: a broker that starts again takes a minute where the machine is busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

pub(crate) enum Brokers {
    Embedded(Broker),
    Kafka(Box<Cluster>),
}

pub(crate) struct Ground {
    pub(crate) brokers: Brokers,
    /// One for each of the brokers 1, 2, 3.
    pub(crate) proxies: Vec<Proxy>,
    /// A further proxy to each: the addresses in `bootstrap.servers`, which outlive those advertised.
    pub(crate) front: Vec<Proxy>,
    /// Where the brokers listen themselves, past the proxies.
    pub(crate) direct: Vec<String>,
    topics: u32,
}

/// A record as it lies in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) number: u64,
}

impl Ground {
    pub(crate) fn embedded(seed: u64) -> Ground {
        let (proxies, front) = (proxies(seed), proxies(seed ^ 1));
        let ports: Vec<u16> = proxies.iter().map(Proxy::port).collect();
        let options = BrokerOptions::new().nodes(3).advertised_ports(ports);
        let broker = Broker::start(options).unwrap();
        let direct: Vec<String> = (1..=3).map(|n| broker.node_address(n).unwrap()).collect();
        for (i, address) in direct.iter().enumerate() {
            let port = address.rsplit(':').next().unwrap().parse().unwrap();
            proxies[i].lead_to(port);
            front[i].lead_to(port);
        }
        Ground {
            brokers: Brokers::Embedded(broker),
            proxies,
            front,
            direct,
            topics: 0,
        }
    }

    pub(crate) fn kafka(seed: u64) -> Ground {
        let (proxies, front) = (proxies(seed), proxies(seed ^ 1));
        let ports: Vec<u16> = proxies.iter().map(Proxy::port).collect();
        let properties = [
            // Quotas are measured over two samples of a second, so that throttling shows soon.
            ("quota.window.num", "2"),
            // A follower that stands still leaves the in-sync set after this, not after 30 s.
            ("replica.lag.time.max.ms", "5000"),
            ("leader.imbalance.check.interval.seconds", "3600"),
            // Members of groups that are killed or stopped are missed soon.
            ("group.consumer.min.session.timeout.ms", "3000"),
            ("group.consumer.session.timeout.ms", "6000"),
            ("group.consumer.min.heartbeat.interval.ms", "500"),
            ("group.consumer.heartbeat.interval.ms", "500"),
        ];
        let cluster = Cluster::start(&ports, &properties);
        for (i, port) in cluster.proxied.iter().enumerate() {
            proxies[i].lead_to(*port);
            front[i].lead_to(*port);
        }
        let direct = cluster
            .direct
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        Ground {
            brokers: Brokers::Kafka(Box::new(cluster)),
            proxies,
            front,
            direct,
            topics: 0,
        }
    }

    /// Orders something of the real cluster.
    pub(crate) fn order(&mut self, line: &str) {
        match &mut self.brokers {
            Brokers::Kafka(cluster) => {
                let begun = Instant::now();
                cluster.order(line).unwrap();
                note!("{line}: after {:.1} s", begun.elapsed().as_secs_f64());
            }
            Brokers::Embedded(_) => panic!("this scenario is for a real cluster"),
        }
    }

    /// What clients under test are told.
    pub(crate) fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.front.iter().map(Proxy::address).collect();
        addresses.join(",")
    }

    /// The proxy before a broker.
    pub(crate) fn proxy(&self, broker: i32) -> &Proxy {
        &self.proxies[(broker - 1) as usize]
    }

    /// Creates a topic under a new name: three replicas, two of them in sync at least.
    pub(crate) fn topic(
        &mut self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> String {
        self.topics += 1;
        let name = format!("{name}-{}", self.topics);
        let mut topic = NewTopic::new(&name, partitions, 3);
        topic = topic.config("min.insync.replicas", "2");
        for (key, value) in settings {
            topic = topic.config(*key, *value);
        }
        let admin = self.admin();
        for result in admin.create_topics(&[topic], LIMIT, false).unwrap() {
            if let Some(e) = result.error {
                panic!("creating {name}: {e}");
            }
        }
        admin.close(LIMIT).unwrap();
        self.until("every partition has a leader", |ground| {
            let leaders = ground.leaders(&name);
            leaders.len() == partitions as usize && leaders.values().all(|l| *l > 0)
        });
        name
    }

    pub(crate) fn delete_topic(&self, name: &str) {
        let admin = self.admin();
        for result in admin.delete_topics(&[name], LIMIT).unwrap() {
            assert!(result.error.is_none(), "{:?}", result.error);
        }
        admin.close(LIMIT).unwrap();
    }

    fn admin(&self) -> Admin {
        let servers = self.direct.join(",");
        Admin::new(AdminConfig::from_pairs([("bootstrap.servers", &*servers)]).unwrap()).unwrap()
    }

    /// Leaders by partition, as far as any broker tells them.
    pub(crate) fn leaders(&self, topic: &str) -> BTreeMap<i32, i32> {
        self.direct
            .iter()
            .find_map(|address| talk::leaders(address, topic).ok())
            .unwrap_or_default()
    }

    /// The fewest replicas in sync that a partition of the topic has, if any broker tells.
    pub(crate) fn in_sync(&self, topic: &str) -> Option<usize> {
        let told = |address: &String| talk::in_sync(address, topic).ok();
        self.direct.iter().find_map(told)?.values().copied().min()
    }

    /// A broker that leads partitions of the topic, and those it leads.
    pub(crate) fn some_leader(&self, topic: &str) -> (i32, Vec<i32>) {
        let leaders = self.leaders(topic);
        let leader = leaders[&0];
        let led = leaders.iter().filter(|(_, l)| **l == leader);
        (leader, led.map(|(p, _)| *p).collect())
    }

    /// Moves the leadership of every partition to the next broker but `skip`.
    pub(crate) fn move_leaders(&self, topic: &str, skip: i32) {
        let now = self.leaders(topic);
        let to: BTreeMap<i32, i32> = now.iter().map(|(p, l)| (*p, (l + skip) % 3 + 1)).collect();
        match &self.brokers {
            Brokers::Embedded(broker) => {
                for (partition, leader) in &to {
                    broker.move_leader(topic, *partition, *leader).unwrap();
                }
            }
            Brokers::Kafka(_) => self.until("orders to move the leaders", |ground| {
                talk::move_leaders(&ground.direct[0], topic, &to)
                    .inspect_err(|e| note!("{e}"))
                    .is_ok()
            }),
        }
        self.until("leaders move", |ground| ground.leaders(topic) == to);
    }

    /// Waits for a condition.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&Ground) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
        note!("{what}: after {:.1} s", begun.elapsed().as_secs_f64());
    }

    /// Sets what happens on the way to every broker.
    pub(crate) fn everywhere(&self, network: &Network) {
        for proxy in &self.proxies {
            proxy.set(network.clone());
        }
    }

    pub(crate) fn heal(&self) {
        for proxy in self.proxies.iter().chain(&self.front) {
            proxy.heal();
            proxy.refuse(false);
        }
    }

    /// All that lies in a topic: as Ottla's consumer reads it and, on a real Kafka, the same from librdkafka.
    pub(crate) fn read_back(&self, topic: &str, partitions: i32) -> Vec<Vec<Stored>> {
        let ours = self.read_with_ottla(topic, partitions);
        if matches!(self.brokers, Brokers::Kafka(_)) {
            let foreign = self.read_with_librdkafka(topic, partitions);
            for (p, (ours, foreign)) in ours.iter().zip(&foreign).enumerate() {
                assert_eq!(
                    ours.len(),
                    foreign.len(),
                    "{topic}-{p}: read by Ottla and by librdkafka"
                );
                let differs = ours.iter().zip(foreign).find(|(a, b)| a != b);
                assert_eq!(differs, None, "{topic}-{p}: Ottla's and librdkafka's");
            }
        }
        ours
    }

    fn read_with_ottla(&self, topic: &str, partitions: i32) -> Vec<Vec<Stored>> {
        let servers = self.direct.join(",");
        let pairs = [
            ("bootstrap.servers", &*servers),
            ("isolation.level", "read_committed"),
        ];
        let consumer = Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap();
        let all: Vec<(&str, i32)> = (0..partitions).map(|p| (topic, p)).collect();
        let ends = consumer.end_offsets(&all, LIMIT).unwrap();
        let wanted: Vec<(&str, i32, Start)> =
            all.iter().map(|(t, p)| (*t, *p, Start::Earliest)).collect();
        consumer.assign(&wanted).unwrap();
        let mut out = vec![Vec::new(); partitions as usize];
        let by = Instant::now() + LIMIT;
        let mut left: Vec<(i32, i64)> = (0..partitions).zip(ends).filter(|(_, e)| *e > 0).collect();
        while !left.is_empty() {
            assert!(
                Instant::now() < by,
                "{topic} is not read to its end: {left:?}"
            );
            match consumer.poll(0, Duration::from_millis(100)).unwrap() {
                Polled::Batch(batch) => {
                    for record in batch.iter() {
                        out[record.partition() as usize].push(Stored {
                            offset: record.offset(),
                            timestamp: record.timestamp(),
                            number: number_of(record.value().unwrap()),
                        });
                    }
                }
                // What was read counts as such at the next poll; markers of transactions are passed over there, too.
                _ => left.retain(|(p, end)| {
                    let at = consumer.position(topic, *p).unwrap();
                    at.is_none_or(|at| at < *end)
                }),
            }
        }
        out
    }

    fn read_with_librdkafka(&self, topic: &str, partitions: i32) -> Vec<Vec<Stored>> {
        let python = std::env::var("OTTLA_TEST_PYTHON").expect(
            "OTTLA_TEST_PYTHON names a Python that has confluent-kafka; tests/run.py faults sets it",
        );
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/read_back.py");
        let done = Command::new(python)
            .args([
                script,
                &self.direct.join(","),
                topic,
                &partitions.to_string(),
            ])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "read_back.py: {errors}");
        let mut out = vec![Vec::new(); partitions as usize];
        for line in String::from_utf8(done.stdout).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [partition, offset, timestamp, value] = words[..] else {
                continue;
            };
            out[partition.parse::<usize>().unwrap()].push(Stored {
                offset: offset.parse().unwrap(),
                timestamp: timestamp.parse().unwrap(),
                number: number_of(value.as_bytes()),
            });
        }
        out
    }
}

/// Values begin with their number in 16 digits.
fn number_of(value: &[u8]) -> u64 {
    let digits = std::str::from_utf8(&value[..16]).unwrap();
    digits.parse().unwrap()
}

fn proxies(seed: u64) -> Vec<Proxy> {
    (0..3).map(|i| Proxy::start(seed.wrapping_add(i))).collect()
}
