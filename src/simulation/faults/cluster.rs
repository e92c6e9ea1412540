//! Changes of the cluster itself: brokers and topics that come, go, and come again.

use super::super::chance::Chance;
use super::super::world::World;
use super::{FaultKind, any_partition, links_of, reset};
use crate::broker::core::cluster::{NO_NODE, Node, Placement};
use crate::rng::Rng;

/// Deletes a topic and creates it again with fewer partitions; what it held is gone.
pub(super) fn shrink(world: &mut World, rng: &mut Rng) -> Option<()> {
    let (topic, _) = any_partition(world, rng)?;
    let count = world.broker.cluster.topic(&topic)?.partitions.len() as u64;
    if count < 2 || world.broker.cluster.alive().next().is_none() {
        return None;
    }
    let partitions = rng.range(1, count - 1) as i32;
    super::super::reading::feed::replace(world, &topic, partitions)?;
    for program in world.programs() {
        program.topic_shrunk(&topic, partitions);
    }
    Some(())
}

pub(super) fn create_late(world: &mut World) {
    // A topic can't be placed while no broker lives.
    let placeable = world.broker.cluster.alive().next().is_some();
    if placeable && let Some((name, partitions)) = world.faults.late.pop() {
        let placement = Placement::Counts {
            partitions,
            replication_factor: -1,
        };
        if world
            .broker
            .create_topic(&name, &placement, Default::default(), false)
            .is_ok()
        {
            world.tally(FaultKind::TopicLate);
        }
    }
}

pub(super) fn crash(world: &mut World, node: i32, rng: &mut Rng) {
    // What the broker had written to its sockets may or may not get out.
    let links = links_of(world, node);
    world.act(|core, now, out| core.set_alive(now, node, false, out));
    for link in links {
        if rng.chance(1, 2) {
            reset(world, link);
        }
    }
}

/// The same data on brokers of other ids at other addresses; the names in `bootstrap.servers` lead to these now.
pub(super) fn replace_all(world: &mut World) {
    let old: Vec<Node> = world.broker.cluster.nodes.values().cloned().collect();
    let successor = |id: i32| id + 100;
    for topic in world.broker.cluster.topics_mut() {
        for partition in &mut topic.partitions {
            partition
                .replicas
                .iter_mut()
                .for_each(|id| *id = successor(*id));
            partition.leader = NO_NODE;
        }
    }
    for node in old {
        let id = successor(node.id);
        world.broker.cluster.nodes.remove(&node.id);
        let host = format!("broker-{id}");
        world.net.addresses.insert((host.clone(), node.port), id);
        world.net.addresses.remove(&(node.host.clone(), node.port));
        for target in world.net.addresses.values_mut().filter(|n| **n == node.id) {
            *target = id;
        }
        world.broker.cluster.nodes.insert(
            id,
            Node {
                id,
                host,
                alive: false,
                ..node
            },
        );
    }
    let fresh: Vec<i32> = world.broker.cluster.nodes.keys().copied().collect();
    for node in fresh {
        world.act(|core, now, out| core.set_alive(now, node, true, out));
    }
}
