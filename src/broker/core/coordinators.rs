//! Which node coordinates a group or a transactional id.

use std::collections::BTreeMap;

use super::BrokerCore;
use super::cluster::{Cluster, Node};
use crate::protocol::record::crc::crc32c;

/// What a coordinator keeps, with Kafka's numbers (`key_type` of FindCoordinator).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CoordinatorKind {
    Group = 0,
    Transaction = 1,
}

impl CoordinatorKind {
    pub(crate) fn of(key_type: i8) -> Option<Self> {
        match key_type {
            0 => Some(CoordinatorKind::Group),
            1 => Some(CoordinatorKind::Transaction),
            _ => None,
        }
    }
}

/// Coordinators that were moved by hand. All other keys have a home by their hash; while that node is stopped, the
/// next living one stands in for it.
#[derive(Debug, Default)]
pub(crate) struct Coordinators(BTreeMap<(CoordinatorKind, String), i32>);

impl Coordinators {
    /// The living node that coordinates `key`, the same one from every node's view.
    pub(crate) fn of<'a>(
        &self,
        cluster: &'a Cluster,
        kind: CoordinatorKind,
        key: &str,
    ) -> Option<&'a Node> {
        // A lookup would need an owned key; there are only as many entries as a test made.
        let moved = self
            .0
            .iter()
            .find(|((k, name), _)| *k == kind && name == key)
            .and_then(|(_, id)| cluster.nodes.get(id))
            .filter(|node| node.alive);
        moved.or_else(|| {
            let home = crc32c(key.as_bytes()) as usize % cluster.nodes.len().max(1);
            let from_home = cluster.nodes.values().cycle().skip(home);
            from_home.take(cluster.nodes.len()).find(|n| n.alive)
        })
    }

    fn set(&mut self, kind: CoordinatorKind, key: &str, node: i32) {
        self.0.insert((kind, key.to_owned()), node);
    }
}

impl BrokerCore {
    /// The living node that coordinates `key`.
    pub(crate) fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<&Node> {
        self.coordinators.of(&self.cluster, kind, key)
    }

    /// Whether `node` coordinates `key`.
    pub(crate) fn is_coordinator(&self, node: i32, kind: CoordinatorKind, key: &str) -> bool {
        self.coordinator(kind, key).is_some_and(|n| n.id == node)
    }

    /// Has `node` coordinate `key` from now on. False if that node does not run.
    pub(crate) fn set_coordinator(&mut self, kind: CoordinatorKind, key: &str, node: i32) -> bool {
        let alive = self.cluster.is_alive(node);
        if alive {
            self.coordinators.set(kind, key, node);
        }
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::tests::Bench;

    #[test]
    fn keys_have_a_home_a_stand_in_and_may_be_moved() {
        let mut bench = Bench::new(3);
        let of = |bench: &Bench, key: &str| {
            bench
                .core
                .coordinator(CoordinatorKind::Group, key)
                .map(|n| n.id)
        };
        let keys: Vec<String> = (0..30).map(|i| format!("g{i}")).collect();
        let homes: Vec<Option<i32>> = keys.iter().map(|k| of(&bench, k)).collect();
        for node in 1..=3 {
            assert!(homes.contains(&Some(node)));
        }
        bench.core.set_alive(bench.now, 2, false, &mut Vec::new());
        for (key, home) in keys.iter().zip(&homes) {
            let now = of(&bench, key);
            assert_eq!(now, if *home == Some(2) { Some(3) } else { *home });
        }
        bench.core.set_alive(bench.now, 2, true, &mut Vec::new());
        assert!(bench.core.set_coordinator(CoordinatorKind::Group, "g0", 2));
        assert_eq!(of(&bench, "g0"), Some(2));
        assert!(!bench.core.set_coordinator(CoordinatorKind::Group, "g0", 9));
        bench.core.set_alive(bench.now, 2, false, &mut Vec::new());
        assert_ne!(of(&bench, "g0"), Some(2));
    }
}
