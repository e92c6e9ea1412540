//! What a seed stands for: the cluster, the clients and their settings, and how much goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chance::{Chance, backoffs};
use super::faults::{FaultKind, Faults};
use super::network::Network;
use super::producing::{Plan, Producing};
use super::reading::Reading;
use super::reading::feed::{Feed, PREFIX};
use super::reading::plan::{self, Ground};
use super::trace::Trace;
use super::world::World;
use crate::broker::core::cluster::{Cluster, Node, Placement};
use crate::broker::core::configs::ALL_BROKERS;
use crate::broker::core::random::Random;
use crate::broker::core::storage::Storage;
use crate::broker::core::{BrokerCore, CoreOptions};
use crate::client::waker::Waker;
use crate::clock::{Clock, VirtualClock};
use crate::config::{ConsumerConfig, ProducerConfig};
use crate::consumer::Consumer;
use crate::producer::Producer;
use crate::rng::Rng;

/// Fewest records of a seed.
const RECORDS: u64 = 1000;
/// Fewest faults planned; some of them find nothing to happen to.
const FAULTS: u64 = 8;
const PORT: u16 = 9092;
/// Start of the wall clock: some day in 2023.
pub(super) const WALL_START: i64 = 1_700_000_000_000;

/// Builds the world of a seed.
pub(super) fn build(seed: u64, print: bool) -> Result<World, String> {
    let mut rng = Rng::new(seed);
    let mut fork = || Rng::new(rng.next());
    let (mut shape, net, faults, mut settings) = (fork(), fork(), fork(), fork());
    let clock = Arc::new(VirtualClock::new(seed, WALL_START));

    let nodes = shape.range(1, 4) as i32;
    let mut network = Network::new(net);
    let bootstrap = addresses(&mut network, &mut shape, nodes);
    let mut broker = broker(nodes, shape.next(), shape.range(1, 2) as i16);
    let reading = shape.chance(1, 2);
    let mut topics = Vec::new();
    let mut late = Vec::new();
    for t in 0..shape.range(1, 3) {
        let (name, partitions) = (format!("topic-{t}"), shape.range(1, 5) as i32);
        topics.push((name.clone(), partitions));
        if shape.chance(1, if reading { 4 } else { 10 }) {
            late.push((name, partitions));
            continue;
        }
        let placement = Placement::Counts {
            partitions,
            replication_factor: shape.range(1, nodes as u64) as i16,
        };
        broker
            .create_topic(&name, &placement, topic_config(&mut shape), false)
            .map_err(|e| format!("creating {name}: {:?} {:?}", e.code, e.message))?;
    }

    let clients = if shape.chance(1, 3) { 2 } else { 1 };
    let request_timeout = Duration::from_millis(settings.spread(300, 15_000));
    let records = settings.range(RECORDS, RECORDS + 300) / clients + 1;
    // Sending takes about as long as the faults last: so many steps of so many records.
    let span = settings.millis(500, 3000) * settings.range(1, 10) as u32;
    let pause = span / (records as u32 / 16);
    let count = settings.range(FAULTS, 3 * FAULTS) as usize;
    let mut fed = Vec::new();
    for t in 0..if reading { shape.range(0, 2) } else { 0 } {
        let name = format!("{PREFIX}{t}");
        let placement = Placement::Counts {
            partitions: shape.range(1, 3) as i32,
            replication_factor: shape.range(1, nodes as u64) as i16,
        };
        broker
            .create_topic(&name, &placement, BTreeMap::new(), false)
            .map_err(|e| format!("creating {name}: {:?} {:?}", e.code, e.message))?;
        fed.push(name);
    }
    let late_topics: Vec<String> = late.iter().map(|(name, _)| name.clone()).collect();
    // Beside the others one that uses transactions, and in some seeds its twin, which fences it.
    let transactional = if shape.chance(1, 3) {
        shape.range(1, 2)
    } else {
        0
    };
    let faults = Faults::plan(
        faults,
        count,
        span,
        request_timeout,
        late,
        reading,
        transactional > 0,
    );
    let feed = Feed::new(Rng::new(shape.next()), fed.clone());
    let trace = Trace::new(print);
    let mut world = World::new(clock.clone(), network, broker, faults, feed, trace);
    if reading {
        let ground = Ground {
            bootstrap: &bootstrap,
            request_timeout,
            span,
            written: &topics,
            late: &late_topics,
            fed: &fed,
        };
        for reader in plan::readers(&mut shape, &ground) {
            let pairs = reader.pairs.iter().map(|(k, v)| (*k, v.as_str()));
            let config = ConsumerConfig::from_pairs(pairs)
                .map_err(|e| format!("a seed made a wrong configuration: {e}"))?;
            if let Some(group) = &config.group_id
                && !world.groups.contains(group)
            {
                world.groups.push(group.clone());
            }
            if reader.small {
                world.tally(FaultKind::SmallFetch);
            }
            if reader.plan.absent.is_some() {
                world.tally(FaultKind::Absent);
            }
            let (consumer, waker, make) = Consumer::parts(config, Clock::Virtual(clock.clone()));
            let program = Reading::new(reader.plan, consumer, Rng::new(shape.next()));
            world.add_client(make(clock.now()), Box::new(program), waker, reader.begins);
        }
    }
    for client in 0..clients + transactional {
        let in_transactions = client >= clients;
        let (pairs, plan) = producer(
            &mut settings,
            client as u32,
            request_timeout,
            &bootstrap,
            in_transactions,
        );
        let plan = Plan {
            records: if in_transactions {
                300
            } else {
                records as usize
            },
            topics: topics.clone(),
            pause,
            ..plan
        };
        let config = ProducerConfig::from_pairs(pairs.iter().map(|(k, v)| (*k, v.as_str())))
            .map_err(|e| format!("a seed made a wrong configuration: {e}"))?;
        let waker = Waker::default();
        let (producer, make) =
            Producer::parts(config, Clock::Virtual(clock.clone()), waker.clone());
        let program = Producing::new(plan, producer, Rng::new(settings.next()));
        let begins = match client > clients {
            true => settings.range(0, span.as_micros() as u64),
            false => settings.range(0, 20_000),
        };
        let begins = Duration::from_micros(begins);
        world.add_client(make(clock.now()), Box::new(program), waker, begins);
    }
    Ok(world)
}

/// Gives the nodes their addresses; those of the ones that clients are to begin with.
pub(super) fn addresses(network: &mut Network, rng: &mut Rng, nodes: i32) -> Vec<String> {
    let mut bootstrap = Vec::new();
    for id in 1..=nodes {
        network.addresses.insert((format!("broker-{id}"), PORT), id);
        if id == 1 || rng.chance(1, 2) {
            network.addresses.insert((format!("boot-{id}"), PORT), id);
            bootstrap.push(format!("boot-{id}:{PORT}"));
        }
    }
    bootstrap
}

pub(super) fn broker(nodes: i32, seed: u64, transaction_version: i16) -> BrokerCore {
    let mut random = Random::new(seed);
    let nodes = (1..=nodes)
        .map(|id| Node {
            id,
            host: format!("broker-{id}"),
            port: PORT,
            alive: true,
        })
        .collect();
    let cluster = Cluster::new(random.uuid().simple().to_string(), nodes, 1, random);
    let options = CoreOptions {
        auto_create_topics: false,
        memory_bytes: 1 << 30,
        transaction_version,
        new_group_protocol: true,
    };
    let mut broker = BrokerCore::new(cluster, options, Storage::default());
    // Wall clocks jump, and what is written is to be there at the end.
    broker
        .configs
        .broker_mut(ALL_BROKERS)
        .insert("log.retention.ms".to_owned(), "-1".to_owned());
    broker
}

fn topic_config(rng: &mut Rng) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    let mut set = |name: &str, value: String| config.insert(name.to_owned(), value);
    if rng.chance(1, 5) {
        set("max.message.bytes", rng.spread(4000, 20_000).to_string());
    }
    if rng.chance(1, 4) {
        set("min.insync.replicas", rng.range(1, 2).to_string());
    }
    if rng.chance(1, 6) {
        set("message.timestamp.type", "LogAppendTime".to_owned());
    }
    config
}

/// A producer's settings, and what its program is to expect of it.
fn producer(
    rng: &mut Rng,
    client: u32,
    request_timeout: Duration,
    bootstrap: &[String],
    transactional: bool,
) -> (Vec<(&'static str, String)>, Plan) {
    let strict = rng.chance(9, 10) || transactional;
    let batch_size = rng.spread(200, 16_384);
    let buffer = rng.spread(65_536, 400_000).max(65_536);
    let linger = if rng.chance(1, 3) {
        0
    } else {
        rng.spread(1, 100)
    };
    let delivery = request_timeout.as_millis() as u64 + linger + rng.spread(500, 60_000);
    let max_block = rng.spread(100, 30_000);
    let in_flight = rng.range(1, 5);
    let retry = rng.spread(1, 500);
    let reconnect = rng.spread(1, 200);
    let setup = rng.spread(500, 10_000);
    let codec = rng.pick(&["none", "none", "gzip", "snappy", "lz4", "zstd"]);
    let partitioner = rng.pick(&[
        "default",
        "default",
        "murmur2_random",
        "consistent_random",
        "round_robin",
    ]);
    let retries = if rng.chance(1, 6) {
        rng.range(1, 4)
    } else {
        i32::MAX as u64
    };
    let mut pairs = vec![
        ("bootstrap.servers", bootstrap.join(",")),
        ("client.id", format!("client-{client}")),
        ("linger.ms", linger.to_string()),
        ("batch.size", batch_size.to_string()),
        ("buffer.memory", buffer.to_string()),
        (
            "max.request.size",
            rng.range(batch_size.max(8192), 65_536).to_string(),
        ),
        (
            "request.timeout.ms",
            request_timeout.as_millis().to_string(),
        ),
        ("delivery.timeout.ms", delivery.to_string()),
        ("max.block.ms", max_block.to_string()),
        (
            "max.in.flight.requests.per.connection",
            in_flight.to_string(),
        ),
        ("compression.type", codec.to_owned()),
        ("partitioner", partitioner.to_owned()),
        ("retries", retries.to_string()),
    ];
    pairs.extend(backoffs(rng, retry, reconnect));
    pairs.extend([
        ("socket.connection.setup.timeout.ms", setup.to_string()),
        ("enable.idempotence", strict.to_string()),
        (
            "acks",
            if strict || rng.chance(1, 2) {
                "all"
            } else {
                "1"
            }
            .to_owned(),
        ),
    ]);
    if transactional {
        pairs.push(("transactional.id", "payments".to_owned()));
        pairs.push((
            "transaction.timeout.ms",
            rng.spread(1000, 60_000).to_string(),
        ));
    }
    if rng.chance(1, 4) {
        pairs.push(("metadata.max.age.ms", rng.spread(200, 20_000).to_string()));
    }
    if rng.chance(1, 6) {
        pairs.push(("connections.max.idle.ms", rng.spread(200, 5000).to_string()));
    }
    // Waiting for metadata, then for delivery; a request begun at the last moment has its time too, and so has a
    // process that was stopped meanwhile.
    let longest = Duration::from_millis(max_block + delivery)
        + 2 * request_timeout
        + Duration::from_millis(setup)
        + Duration::from_secs(100);
    let plan = Plan {
        client,
        records: 0,
        topics: Vec::new(),
        strict,
        transactional,
        one_by_one: !strict && in_flight == 1,
        buffer: buffer as usize,
        batch_size: batch_size as usize,
        longest,
        abrupt: rng.chance(1, 8).then(|| rng.millis(0, 2000)),
        pause: Duration::ZERO,
        largest_value: rng.spread(20, 3000),
        wall_start: WALL_START,
    };
    (pairs, plan)
}
