//! Brokers that don't answer: when a program is told, and what.

use std::time::{Duration, Instant};

use super::super::event::{Event, EventKind, listed};
use super::super::partition::Key;
use super::{Fetcher, Step, Tag, earliest};
use crate::cluster::core::Core;
use crate::cluster::nodes::Node;
use crate::error::{Error, ErrorCode};

/// A broker that restarts, or whose partitions are about to move, is not worth an event.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many connections ended in a row, each with a fetch on its way, are.
const LOSSES: u32 = 3;
/// How often it is told that answers are too large.
const REMINDER: Duration = Duration::from_secs(60);

impl Fetcher {
    /// There is no connection to a broker: tells so in time, and when to look again.
    pub(super) fn unconnected(
        &mut self,
        core: &Core<Tag>,
        now: Instant,
        id: i32,
    ) -> Option<Instant> {
        let again = core.retry_at(now, Node::Id(id));
        let node = self.nodes.get_mut(&id).filter(|node| !node.told);
        let Some((node, (since, error))) = node.zip(core.failing(Node::Id(id))) else {
            return again;
        };
        let due = since + PATIENCE;
        if now < due {
            return earliest(again, Some(due));
        }
        node.told = true;
        self.events.push(unreachable(id, &error));
        again
    }

    /// A fetch will have no answer, or not all of it.
    pub(super) fn on_fetch_failed(&mut self, now: Instant, id: i32, error: &Error) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        node.session.failed();
        node.dirty = true;
        if let Some(inflight) = node.inflight.take() {
            self.shared.memory.unreserve(inflight.reserved);
        }
        for key in &node.members {
            if let Some(part) = self.parts.get_mut(key)
                && part.replica.take().is_some()
            {
                self.unplaced = true;
            }
        }
        if error.code() == ErrorCode::CONFIG {
            return self.tell_size(now, id, error);
        }
        node.unanswered = node.unanswered.saturating_add(1);
        let passes = error.code() == ErrorCode::CONNECT && node.unanswered < LOSSES;
        if !passes && !node.told {
            node.told = true;
            self.events.push(unreachable(id, error));
        }
    }

    /// An answer does not fit into `receive.message.max.bytes`: one of the partitions that were asked for has a batch larger
    /// than that.
    fn tell_size(&mut self, now: Instant, id: i32, error: &Error) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        if node.told_size.is_some_and(|at| now < at + REMINDER) {
            return;
        }
        node.told_size = Some(now);
        let keys: Vec<Key> = node.session.keys().cloned().collect();
        let error = error.and(format_args!(
            "; asked for were {}, of which those with larger batches can't be read before that; the attempts go on",
            listed(&keys)
        ));
        let kind = EventKind::PartitionFailing;
        let event = match keys.as_slice() {
            [key] => {
                let at = match self.parts.get(key).map(|part| part.step) {
                    Some(Step::Fetch { next }) => next,
                    _ => -1,
                };
                Event::of_partition(kind, &key.0, key.1, (at, -1), error)
            }
            _ => Event {
                partitions: keys,
                ..Event::of_broker(kind, id, error)
            },
        };
        self.events.push(event);
    }
}

fn unreachable(id: i32, error: &Error) -> Event {
    let error = error.and("; the attempts go on");
    Event::of_broker(EventKind::BrokerUnreachable, id, error)
}
