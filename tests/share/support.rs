//! A topic and a share group of a test's own.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::{AdminConfig, ProducerConfig, ShareConfig};
use ottla::consumer::{Batch, Event, Polled};
use ottla::producer::{Completion, Outcome, Producer, Record, Wait};
use ottla::share::ShareConsumer;

use super::cluster::{cluster, fresh};

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A Kafka without share groups.
pub(crate) fn old_kafka() -> bool {
    std::env::var("OTTLA_TEST_KAFKA_VERSION").is_ok_and(|version| version.starts_with('3'))
}

pub(crate) struct Ground {
    pub(crate) bootstrap: String,
    pub(crate) topic: String,
    pub(crate) group: String,
    pub(crate) broker: Option<Broker>,
}

impl Ground {
    /// On the Kafka that is named, or a broker of its own.
    pub(crate) fn new(word: &str, partitions: i32) -> Self {
        let (bootstrap, broker) = cluster(BrokerOptions::new());
        Self::on(bootstrap, broker, word, partitions)
    }

    pub(crate) fn embedded(options: BrokerOptions, word: &str, partitions: i32) -> Self {
        let broker = Broker::start(options).unwrap();
        Self::on(broker.bootstrap_servers(), Some(broker), word, partitions)
    }

    fn on(bootstrap: String, broker: Option<Broker>, word: &str, partitions: i32) -> Self {
        let topic = fresh(&format!("share-{word}"));
        let config = AdminConfig::from_pairs([("bootstrap.servers", &*bootstrap)]).unwrap();
        let admin = Admin::new(config).unwrap();
        let created = admin
            .create_topics(&[NewTopic::new(&topic, partitions, 1)], LIMIT, false)
            .unwrap();
        assert!(created[0].error.is_none(), "{:?}", created[0].error);
        Ground {
            bootstrap,
            group: format!("{topic}-group"),
            topic,
            broker,
        }
    }

    pub(crate) fn member(&self, more: &[(&str, &str)]) -> ShareConsumer {
        let pairs = [
            ("bootstrap.servers", &*self.bootstrap),
            ("group.id", &*self.group),
            ("fetch.max.wait.ms", "100"),
        ];
        let pairs = pairs
            .into_iter()
            .filter(|(key, _)| more.iter().all(|(given, _)| given != key))
            .chain(more.iter().copied());
        ShareConsumer::new(ShareConfig::from_pairs(pairs).unwrap()).unwrap()
    }

    pub(crate) fn subscribed(&self, more: &[(&str, &str)]) -> ShareConsumer {
        let member = self.member(more);
        member.subscribe(&[&self.topic]).unwrap();
        member
    }

    /// A member whose group has settled where it begins: at the end of what is there.
    pub(crate) fn joined(&self, more: &[(&str, &str)]) -> ShareConsumer {
        let member = self.subscribed(more);
        let end = Instant::now() + LIMIT;
        while member.lock_duration().unwrap().is_none() {
            assert!(Instant::now() < end, "{:?}", member.log_lines(100));
            let polled = member.poll(Duration::from_millis(50)).unwrap();
            assert!(matches!(polled, Polled::Nothing), "{polled:?}");
        }
        // Of several partitions the first answer may speak of some only.
        std::thread::sleep(Duration::from_millis(300));
        member
    }

    /// Writes numbered values, each with a header, and gives them.
    pub(crate) fn send(&self, numbers: Range<u64>, more: &[(&str, &str)]) -> BTreeSet<String> {
        let producer = self.producer(more);
        let sent = self.send_with(&producer, numbers);
        producer.flush(LIMIT).unwrap();
        let (mut ended, end) = (Vec::new(), Instant::now() + LIMIT);
        let count = |all: &[Completion]| all.iter().map(|c| c.count as usize).sum::<usize>();
        while count(&ended) < sent.len() {
            assert!(Instant::now() < end, "{} ended", count(&ended));
            let wait = Duration::from_secs(1);
            producer.completions(1000, wait, &mut ended).unwrap();
        }
        for c in &ended {
            assert!(matches!(c.outcome, Outcome::Written), "{c:?}");
        }
        sent
    }

    pub(crate) fn send_in_transaction(&self, numbers: Range<u64>) -> BTreeSet<String> {
        let producer = self.producer(&[("transactional.id", &self.topic)]);
        producer.init_transactions(LIMIT).unwrap();
        producer.begin_transaction().unwrap();
        let sent = self.send_with(&producer, numbers);
        producer.commit_transaction(LIMIT).unwrap();
        sent
    }

    fn producer(&self, more: &[(&str, &str)]) -> Producer {
        let pairs = [("bootstrap.servers", &*self.bootstrap)].into_iter();
        let pairs = pairs.chain(more.iter().copied());
        Producer::new(ProducerConfig::from_pairs(pairs).unwrap()).unwrap()
    }

    fn send_with(&self, producer: &Producer, numbers: Range<u64>) -> BTreeSet<String> {
        let mut sent = BTreeSet::new();
        for n in numbers {
            let value = format!("value-{n:06}");
            let record = Record {
                topic: &self.topic,
                key: Some(value.as_bytes()),
                value: Some(value.as_bytes()),
                headers: &[(b"h", Some(b"v"))],
                token: n + 1,
                ..Record::default()
            };
            producer.send(&record, Wait::MaxBlock).unwrap();
            sent.insert(value);
        }
        sent
    }
}

/// The next batch, which has to have so many records.
pub(crate) fn records(member: &ShareConsumer, count: usize) -> Batch {
    let end = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < end, "{:?}", member.log_lines(100));
        match member.poll(Duration::from_millis(500)).unwrap() {
            Polled::Batch(batch) => {
                assert_eq!(batch.len(), count, "{:?}", batch.columns().offsets);
                return batch;
            }
            Polled::Event(e) => panic!("{e:?}"),
            Polled::Nothing => {}
        }
    }
}

/// The next event.
pub(crate) fn event(member: &ShareConsumer) -> Event {
    let end = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < end, "{:?}", member.log_lines(100));
        match member.poll(Duration::from_millis(500)).unwrap() {
            Polled::Event(e) => return e,
            Polled::Batch(batch) => panic!("{batch:?}"),
            Polled::Nothing => {}
        }
    }
}
