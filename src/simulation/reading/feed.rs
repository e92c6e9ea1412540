//! Topics that nobody's producer writes: the simulation puts records straight into their logs, cuts them at either end,
//! and deletes and creates them again, and knows what they held at any time.

use std::collections::BTreeMap;

use bytes::BytesMut;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::super::chance::Chance;
use super::super::oracle::fingerprint;
use super::super::world::World;
use crate::broker::core::cluster::{NO_NODE, Placement};
use crate::broker::log::ProducedBatch;
use crate::rng::Rng;

/// How their names begin.
pub(in super::super) const PREFIX: &str = "fed-";

const TIMESTAMP: i64 = 1_600_000_000_000;

/// What a partition's log holds, and has held.
#[derive(Default, Clone)]
pub(in super::super) struct Fed {
    now: BTreeMap<i64, u64>,
    ever: BTreeMap<i64, Vec<u64>>,
}

impl Fed {
    /// What lies there now.
    pub(in super::super) fn now(&self) -> impl Iterator<Item = (i64, u64)> {
        self.now.iter().map(|(offset, print)| (*offset, *print))
    }

    /// Whether this was ever at that offset.
    pub(in super::super) fn was(&self, offset: i64, print: u64) -> bool {
        self.ever.get(&offset).is_some_and(|e| e.contains(&print))
    }
}

/// Feeds some topics.
pub(in super::super) struct Feed {
    rng: Rng,
    topics: Vec<String>,
    /// Batches to come before the last ones.
    left: u32,
    serial: u64,
    partitions: BTreeMap<(String, i32), Fed>,
    /// The last batches are in.
    pub(in super::super) over: bool,
}

impl Feed {
    pub(in super::super) fn new(rng: Rng, topics: Vec<String>) -> Self {
        Feed {
            rng,
            left: 60,
            serial: 0,
            partitions: BTreeMap::new(),
            over: topics.is_empty(),
            topics,
        }
    }

    pub(in super::super) fn partitions(&self) -> &BTreeMap<(String, i32), Fed> {
        &self.partitions
    }
}

/// Feeds some records; or, once all faults are over, the last ones of every partition. Whether more are to come.
pub(in super::super) fn go_on(world: &mut World) -> bool {
    if world.feed.over {
        return false;
    }
    if world.is_healed() {
        for topic in world.feed.topics.clone() {
            for partition in 0..partitions(world, &topic) {
                append(world, &topic, partition);
            }
        }
        world.feed.over = true;
        return false;
    }
    if world.feed.left > 0 {
        world.feed.left -= 1;
        let topics = world.feed.topics.len();
        let topic = world.feed.rng.below(topics);
        let topic = world.feed.topics[topic].clone();
        let count = partitions(world, &topic);
        if count > 0 {
            let partition = world.feed.rng.below(count as usize) as i32;
            append(world, &topic, partition);
        }
    }
    true
}

fn partitions(world: &World, topic: &str) -> i32 {
    world
        .broker
        .cluster
        .topic(topic)
        .map_or(0, |t| t.partitions.len() as i32)
}

/// Puts a batch into a partition's log.
pub(in super::super) fn append(world: &mut World, topic: &str, partition: i32) {
    let led = world
        .broker
        .cluster
        .partition(topic, partition)
        .is_some_and(|p| p.leader != NO_NODE);
    if !led {
        return;
    }
    let count = world.feed.rng.spread(1, 12);
    let records: Vec<Record> = (0..count)
        .map(|i| {
            world.feed.serial += 1;
            let size = world.feed.rng.spread(0, 300) as usize;
            let mut value = format!("{} ", world.feed.serial).into_bytes();
            value.resize(value.len() + size, b'.');
            Record {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
                producer_id: NO_PRODUCER_ID,
                producer_epoch: NO_PRODUCER_EPOCH,
                sequence: NO_SEQUENCE,
                timestamp_type: TimestampType::Creation,
                offset: i as i64,
                timestamp: TIMESTAMP,
                key: None,
                value: Some(value.into()),
                headers: Default::default(),
            }
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let encoded = RecordBatchEncoder::encode(&mut bytes, records.iter(), &options);
    let Ok(batch) = encoded
        .map_err(|_| ())
        .and_then(|()| ProducedBatch::check(&bytes.freeze(), usize::MAX).map_err(|_| ()))
    else {
        return;
    };
    let appended = world.act(|core, now, out| {
        let appended = core.append(now, topic, partition, batch, false);
        // Fetches that wait for it.
        core.tick(now, out);
        appended
    });
    let Ok(appended) = appended else {
        return;
    };
    let fed = world
        .feed
        .partitions
        .entry((topic.to_owned(), partition))
        .or_default();
    for (offset, record) in (appended.base_offset..).zip(&records) {
        let print = fingerprint(None, record.value.as_deref(), [].into_iter(), TIMESTAMP);
        fed.now.insert(offset, print);
        fed.ever.entry(offset).or_default().push(print);
    }
}

/// One of the partitions that hold something.
fn any(world: &World, rng: &mut Rng) -> Option<(String, i32)> {
    let all: Vec<&(String, i32)> = world
        .feed
        .partitions
        .iter()
        .filter(|(place, fed)| {
            let known = world.broker.cluster.partition(&place.0, place.1);
            !fed.now.is_empty() && known.is_some_and(|p| p.leader != NO_NODE)
        })
        .map(|(place, _)| place)
        .collect();
    (!all.is_empty()).then(|| all[rng.below(all.len())].clone())
}

/// Old records go, as by retention. False if there was nothing to go.
pub(in super::super) fn delete_front(world: &mut World, rng: &mut Rng) -> bool {
    let Some((topic, partition)) = any(world, rng) else {
        return false;
    };
    let Some(p) = world.broker.cluster.partition_mut(&topic, partition) else {
        return false;
    };
    let before = p.log.start_offset();
    p.log.drop_bytes(rng.spread(1, p.log.size().max(1)));
    let start = p.log.start_offset();
    let fed = world.feed.partitions.entry((topic, partition)).or_default();
    fed.now = fed.now.split_off(&start);
    start > before
}

/// An unclean election: the new leader, in a new epoch, lacks the newest records. False if there was nothing to lack.
pub(in super::super) fn truncate(world: &mut World, rng: &mut Rng) -> bool {
    let Some((topic, partition)) = any(world, rng) else {
        return false;
    };
    let alive: Vec<i32> = world.broker.cluster.alive().map(|n| n.id).collect();
    let Some(p) = world.broker.cluster.partition_mut(&topic, partition) else {
        return false;
    };
    let (start, end) = (p.log.start_offset(), p.log.end_offset());
    let wanted = rng.range(start as u64, end as u64) as i64;
    p.log.truncate(wanted);
    // Whoever leads next does so in another epoch, the same node too.
    p.leader = NO_NODE;
    let cut = p.log.end_offset();
    let fed = world
        .feed
        .partitions
        .entry((topic.clone(), partition))
        .or_default();
    fed.now.split_off(&cut);
    let node = rng.pick(&alive);
    world.act(|core, now, out| core.move_leader(now, &topic, partition, node, out));
    refill(world, rng, &topic, partition, end);
    cut < end
}

/// The log grows beyond what it was, most of the time: then an offset tells nothing of the change.
fn refill(world: &mut World, rng: &mut Rng, topic: &str, partition: i32, end: i64) {
    let short = |world: &World| {
        let known = world.broker.cluster.partition(topic, partition);
        known.is_some_and(|p| p.leader != NO_NODE && p.log.end_offset() < end + 5)
    };
    if rng.chance(3, 4) {
        for _ in 0..200 {
            if !short(world) {
                break;
            }
            append(world, topic, partition);
        }
    }
}

/// Deletes a topic and creates it again. False where it can't be created now.
pub(in super::super) fn recreate(world: &mut World, rng: &mut Rng) -> bool {
    if world.feed.topics.is_empty() || world.broker.cluster.alive().next().is_none() {
        return false;
    }
    let topic = world.feed.topics[rng.below(world.feed.topics.len())].clone();
    let partitions = partitions(world, &topic);
    if partitions == 0 {
        return false;
    }
    let ends: Vec<i64> = (0..partitions)
        .filter_map(|p| world.broker.cluster.partition(&topic, p))
        .map(|p| p.log.end_offset())
        .collect();
    let created = replace(world, &topic, partitions);
    world
        .feed
        .partitions
        .iter_mut()
        .filter(|(place, _)| place.0 == topic)
        .for_each(|(_, fed)| fed.now.clear());
    for (partition, end) in (0..).zip(ends) {
        refill(world, rng, &topic, partition, end);
    }
    created.is_some()
}

/// Deletes a topic and creates it again with so many partitions.
pub(in super::super) fn replace(world: &mut World, topic: &str, partitions: i32) -> Option<()> {
    world.act(|core, now, out| {
        core.delete_topic(topic);
        core.tick(now, out);
    });
    let placement = Placement::Counts {
        partitions,
        replication_factor: 1,
    };
    let created = world
        .broker
        .create_topic(topic, &placement, Default::default(), false);
    created.ok().map(|_| ())
}
