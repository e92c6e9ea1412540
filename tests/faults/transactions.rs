//! Transactions while connections are reset and cut, and on a real cluster while a broker is killed: all of one or
//! nothing of it, in order, for readers of what is committed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla::config::ProducerConfig;
use ottla::producer::{Producer, Record, Wait};

use super::ground::{Brokers, Ground, LIMIT};
use super::load::value;
use super::proxy::{Counts, Network, Proxy, Way};
use super::random::Random;

const PARTITIONS: i32 = 4;
const RECORDS: u64 = 20;

fn producer(ground: &Ground, id: &str) -> Producer {
    let servers = ground.bootstrap();
    let pairs = [
        ("bootstrap.servers", &*servers),
        ("transactional.id", id),
        ("linger.ms", "1"),
        ("batch.size", "500"),
        ("request.timeout.ms", "3000"),
        ("reconnect.backoff.max.ms", "250"),
    ];
    let producer = Producer::new(ProducerConfig::from_pairs(pairs).unwrap()).unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer
}

/// One transaction of records numbered from `first`; true if it was committed.
fn transaction(producer: &Producer, topic: &str, first: u64, commit: bool) -> bool {
    producer.begin_transaction().unwrap();
    let sent = (first..first + RECORDS).try_for_each(|number| {
        let value = value(number, 60);
        let record = Record {
            topic,
            partition: Some((number % PARTITIONS as u64) as i32),
            value: Some(&value),
            ..Default::default()
        };
        producer.send(&record, Wait::MaxBlock)
    });
    let ended = match sent {
        Ok(()) if commit => producer.commit_transaction(LIMIT),
        sent => sent.and_then(|()| producer.abort_transaction(LIMIT)),
    };
    match ended {
        Ok(()) => commit,
        // Refused as a whole: then nothing of it may be seen.
        Err(e) if e.needs_abort() => {
            note!("aborted: {e}");
            producer.abort_transaction(LIMIT).unwrap();
            false
        }
        Err(e) => panic!("transaction of {first}: {e}"),
    }
}

fn faults(proxies: &[Proxy]) -> u64 {
    let of = |p: &Proxy| Counts::get(&p.counts().cuts) + Counts::get(&p.counts().resets);
    proxies.iter().map(of).sum()
}

/// Row 14's all or nothing, amid rows 1, 2 and 4.
pub(crate) fn transactions(ground: &mut Ground) {
    let topic = ground.topic("transactions", PARTITIONS, &[]);
    let producer = producer(ground, &topic);
    let mut expected: Vec<u64> = Vec::new();
    let (mut number, mut killed) = (0, None);
    let on_kafka = matches!(ground.brokers, Brokers::Kafka(_));
    for part in 0..2 {
        let stop = AtomicBool::new(false);
        let proxies = &ground.proxies[..];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random::new(part);
                while !stop.load(Ordering::Relaxed) {
                    let proxy = &proxies[random.below(3)];
                    let cut = Way {
                        cuts: 1,
                        ..Way::default()
                    };
                    match random.below(3) {
                        0 => proxy.reset(),
                        1 => proxy.set(Network {
                            to_client: cut,
                            ..Network::default()
                        }),
                        _ => proxy.set(Network {
                            to_broker: cut,
                            ..Network::default()
                        }),
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
            let (mut round, goal) = (0, faults(proxies) + 15);
            while round < 12 || faults(proxies) < goal {
                round += 1;
                let commit = round % 4 != 3;
                if transaction(&producer, &topic, number, commit) {
                    expected.extend(number..number + RECORDS);
                }
                number += RECORDS;
            }
            stop.store(true, Ordering::Relaxed);
        });
        ground.heal();
        if on_kafka && part == 0 {
            // The coordinator or a leader, or both.
            let (broker, _) = ground.some_leader(&topic);
            ground.order(&format!("kill {broker}"));
            killed = Some(broker);
        }
    }
    // It tells of the records that were aborted before they were sent.
    if let Err(e) = producer.close(LIMIT) {
        assert_eq!(e.code(), ottla::ErrorCode::PURGED, "{e}");
    }
    if let Some(broker) = killed {
        ground.order(&format!("restart {broker}"));
    }
    assert!(
        expected.len() as u64 > 10 * RECORDS,
        "{} committed",
        expected.len()
    );
    let stored = ground.read_back(&topic, PARTITIONS);
    for (partition, log) in stored.iter().enumerate() {
        let there: Vec<u64> = log.iter().map(|r| r.number).collect();
        let own = |n: &&u64| **n % PARTITIONS as u64 == partition as u64;
        let wanted: Vec<u64> = expected.iter().filter(own).copied().collect();
        assert_eq!(there, wanted, "partition {partition}");
    }
}
