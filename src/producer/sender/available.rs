//! Which partitions records without a key stay away from: those without a leader, and those whose broker has taken
//! nothing for `partitioner.availability.timeout.ms` (KIP-794).

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Sender, Tag};
use crate::cluster::core::Core;

/// A broker that doesn't take what waits for it.
#[derive(Debug)]
pub(super) struct Stalled {
    since: Instant,
    /// Its partitions are marked.
    marked: bool,
}

impl Sender {
    /// After an attempt to send what waits for a broker: `sent` tells whether it took anything.
    pub(super) fn note_stalled(&mut self, core: &Core<Tag>, now: Instant, leader: i32, sent: bool) {
        if self
            .shared
            .config
            .partitioner_availability_timeout
            .is_zero()
        {
            return;
        }
        let waits = self.queues.get(&leader).is_some_and(|q| !q.is_empty());
        if sent || !waits {
            if self.stalled.remove(&leader).is_some_and(|s| s.marked) {
                self.mark_available(core);
            }
        } else {
            self.stalled.entry(leader).or_insert(Stalled {
                since: now,
                marked: false,
            });
        }
    }

    /// Marks the partitions of brokers that have stalled for too long; when to look again.
    pub(super) fn check_stalled(&mut self, core: &Core<Tag>, now: Instant) -> Option<Instant> {
        let limit = self.shared.config.partitioner_availability_timeout;
        let mut changed = false;
        let mut next = None;
        for stalled in self.stalled.values_mut().filter(|s| !s.marked) {
            let at = stalled.since + limit;
            if at <= now {
                stalled.marked = true;
                changed = true;
            } else {
                next = Some(next.map_or(at, |n: Instant| n.min(at)));
            }
        }
        if changed {
            self.mark_available(core);
        }
        next
    }

    /// Tells the callers' side which partitions can be chosen.
    pub(super) fn mark_available(&self, core: &Core<Tag>) {
        for part in &self.parts {
            let partition = &part.partition;
            let leader = core
                .topics
                .known(partition.topic())
                .and_then(|t| t.partitions.get(partition.index as usize))
                .map_or(-1, |p| p.leader);
            let stalled = self.stalled.get(&leader).is_some_and(|s| s.marked);
            partition
                .unavailable
                .store(leader < 0 || stalled, Ordering::Relaxed);
        }
    }
}
