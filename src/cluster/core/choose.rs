//! Whom to talk to when any broker will do.

use std::time::{Duration, Instant};

use crate::cluster::core::{Core, Node, Purpose};
use crate::config::MetadataRecovery;
use crate::net::conn::{ConnId, Stage};

/// How long a connection being opened keeps others from being tried: a host that swallows packets must not cost
/// the whole connect timeout while its neighbours would answer.
const PATIENCE: Duration = Duration::from_millis(500);

fn by_id(node: Node) -> bool {
    matches!(node, Node::Id(_))
}

impl<T: Clone> Core<T> {
    /// A ready control connection to any broker. Opens one where there is none.
    pub(crate) fn any_conn(&mut self, now: Instant) -> Option<(Node, ConnId)> {
        let ready = self.ready_conn(now, |_| true);
        if ready.is_some()
            || self
                .opening_until(|_| true)
                .is_some_and(|until| now < until)
        {
            return ready;
        }
        // Known brokers first, while they don't fail; then the bootstrap entries again (KIP-899).
        let sound =
            |core: &Self, n: Node| by_id(n) && core.nodes.get(&n).is_some_and(|s| s.failures == 0);
        let pick = self
            .candidate(now, sound)
            .or_else(|| self.candidate(now, |core, n| core.may_ask(n)))?;
        self.conn(now, pick, Purpose::Control).map(|id| (pick, id))
    }

    /// A ready control connection to a broker that is known by its id, `preferred` if it can be had in a moment.
    /// Where there is none, one is opened, and further ones while it takes long; call again at
    /// [`Core::broker_conn_deadline`].
    pub(crate) fn broker_conn(
        &mut self,
        now: Instant,
        preferred: Option<i32>,
    ) -> Option<(Node, ConnId)> {
        if let Some(node) = preferred.map(Node::Id) {
            if let Some(id) = self.conn(now, node, Purpose::Control) {
                return Some((node, id));
            }
            if self
                .opening_until(|n| n == node)
                .is_some_and(|until| now < until)
            {
                return None;
            }
        }
        let ready = self.ready_conn(now, by_id);
        if ready.is_some() || self.opening_until(by_id).is_some_and(|until| now < until) {
            return ready;
        }
        let pick = self.candidate(now, |_, n| by_id(n))?;
        self.conn(now, pick, Purpose::Control).map(|id| (pick, id))
    }

    /// When [`Core::broker_conn`] may find more than now though nothing else happens.
    pub(crate) fn broker_conn_deadline(&self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.opening_until(by_id).filter(|until| now < *until) {
            return Some(until);
        }
        let closed = self
            .nodes
            .iter()
            .filter(|(n, _)| by_id(**n) && !self.has_control(**n));
        closed
            .filter_map(|(n, _)| self.opens_at(*n, Purpose::Control))
            .filter(|at| now < *at)
            .min()
    }

    /// True if a broker that is known by its id has ever answered.
    pub(crate) fn reached(&self) -> bool {
        self.brokers().any(|(_, state)| state.contacted)
    }

    /// Whether a node may be asked for metadata: bootstrap entries, once brokers are known, only where the strategy is to
    /// go back to them.
    pub(super) fn may_ask(&self, node: Node) -> bool {
        by_id(node)
            || self.config.metadata_recovery == MetadataRecovery::Rebootstrap
            || self.brokers().next().is_none()
    }

    fn has_control(&self, node: Node) -> bool {
        self.by_purpose.contains_key(&(node, Purpose::Control))
    }

    /// The ready control connection with the least to do; brokers by id come before bootstrap entries.
    pub(super) fn ready_conn(
        &self,
        now: Instant,
        wanted: impl Fn(Node) -> bool,
    ) -> Option<(Node, ConnId)> {
        let ready = self.conns.iter().filter(|(_, s)| {
            s.purpose == Purpose::Control
                && s.conn.stage == Stage::Ready
                && s.conn.muted_until.is_none_or(|t| t <= now)
                && wanted(s.node)
        });
        let best = ready.min_by_key(|(_, s)| (!by_id(s.node), s.conn.inflight.len()))?;
        Some((best.1.node, *best.0))
    }

    /// Until when the youngest control connection that is being opened keeps others from being opened.
    pub(super) fn opening_until(&self, wanted: impl Fn(Node) -> bool) -> Option<Instant> {
        let opening = self.conns.values().filter(|s| {
            s.purpose == Purpose::Control && s.conn.stage != Stage::Ready && wanted(s.node)
        });
        opening.map(|s| s.conn.opened + PATIENCE).max()
    }

    /// A node to open a control connection to: one of those that failed least.
    fn candidate(&mut self, now: Instant, wanted: impl Fn(&Self, Node) -> bool) -> Option<Node> {
        let open = self
            .nodes
            .iter()
            .filter(|(n, _)| self.may_open(now, **n, Purpose::Control))
            .filter(|(n, _)| !self.has_control(**n) && wanted(self, **n));
        let open: Vec<(Node, u32)> = open.map(|(n, s)| (*n, s.failures)).collect();
        let least = open.iter().map(|(_, failures)| *failures).min()?;
        let best: Vec<Node> = open
            .iter()
            .filter(|(_, failures)| *failures == least)
            .map(|(n, _)| *n)
            .collect();
        best.get(self.rng.below(best.len())).copied()
    }
}
