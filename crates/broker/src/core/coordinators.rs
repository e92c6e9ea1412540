//! Which node coordinates a group or a transactional id.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_base::error::ErrorCode;
use ottla_protocol::record::crc::crc32c;

use super::cluster::{Cluster, Node};
use super::{BrokerCore, Cx};

/// What a coordinator keeps, with Kafka's numbers (`key_type` of FindCoordinator).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CoordinatorKind {
    /// The members and offsets of a group, by its id.
    Group = 0,
    /// The transactions of a transactional id.
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

#[derive(Clone, Copy, Debug)]
struct Moved {
    node: i32,
    /// Until then it reads what the old one knew.
    loading_until: Duration,
}

/// Coordinators that were moved by hand. All other keys have a home by their hash; while that node is stopped, the
/// next living one stands in for it.
#[derive(Debug, Default)]
pub(crate) struct Coordinators(BTreeMap<(CoordinatorKind, String), Moved>);

impl Coordinators {
    /// The living node that coordinates `key`, the same one from every node's view.
    pub(crate) fn of<'a>(
        &self,
        cluster: &'a Cluster,
        kind: CoordinatorKind,
        key: &str,
    ) -> Option<&'a Node> {
        let moved = self
            .moved(kind, key)
            .and_then(|moved| cluster.nodes.get(&moved.node))
            .filter(|node| node.alive);
        moved.or_else(|| {
            let home = crc32c(key.as_bytes()) as usize % cluster.nodes.len().max(1);
            let from_home = cluster.nodes.values().cycle().skip(home);
            from_home.take(cluster.nodes.len()).find(|n| n.alive)
        })
    }

    fn moved(&self, kind: CoordinatorKind, key: &str) -> Option<&Moved> {
        // A lookup would need an owned key; there are only as many entries as a test made.
        self.0
            .iter()
            .find(|((k, name), _)| *k == kind && name == key)
            .map(|(_, moved)| moved)
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

    /// Has `node` coordinate `key` from now on; it knows nothing until `loading_until`. False if that node does not
    /// run.
    pub fn set_coordinator(
        &mut self,
        kind: CoordinatorKind,
        key: &str,
        node: i32,
        loading_until: Duration,
    ) -> bool {
        let alive = self.cluster.is_alive(node);
        if alive {
            let moved = Moved {
                node,
                loading_until,
            };
            self.coordinators.0.insert((kind, key.to_owned()), moved);
        }
        alive
    }

    /// The error for a request to a node that does not coordinate `key`, or not yet.
    pub(crate) fn check_coordinator(
        &self,
        cx: &Cx,
        kind: CoordinatorKind,
        key: &str,
    ) -> Result<(), ErrorCode> {
        if !self.is_coordinator(cx.node, kind, key) {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        self.check_loaded(cx.now.mono, kind, key)
    }

    /// The error while the coordinator of `key`, wherever it is, does not know yet what it must.
    pub(crate) fn check_loaded(
        &self,
        now: Duration,
        kind: CoordinatorKind,
        key: &str,
    ) -> Result<(), ErrorCode> {
        match self.coordinators.moved(kind, key) {
            Some(moved) if now < moved.loading_until => {
                Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::Bench;

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
        let group = CoordinatorKind::Group;
        let set = |bench: &mut Bench, node| {
            bench
                .core
                .set_coordinator(group, "g0", node, Duration::ZERO)
        };
        assert!(set(&mut bench, 2));
        assert_eq!(of(&bench, "g0"), Some(2));
        assert!(!set(&mut bench, 9));
        bench.core.set_alive(bench.now, 2, false, &mut Vec::new());
        assert_ne!(of(&bench, "g0"), Some(2));
    }
}
