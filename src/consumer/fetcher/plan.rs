//! Which broker to fetch from, what, and whether there is room for it.

use std::time::Instant;

use crate::clock::earliest;
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::Node;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::node::InFlight;
use crate::consumer::fetcher::part::{Part, Step};
use crate::consumer::fetcher::session::Sent;
use crate::consumer::fetcher::tag::Tag;
use crate::net::rpc::Call;
use crate::protocol::fetch::{self, FetchRequest};
use crate::protocol::wire::TopicId;
use crate::reading::buffer::FLOOR;

/// What is to be fetched of a partition.
pub(super) enum Want {
    This(Sent),
    Nothing,
    /// Nothing before that time.
    Later(Instant),
    /// Nothing before the reader has caught up with it.
    Reader,
}

impl Part {
    pub(super) fn want(&self, now: Instant, max_partition: usize) -> Want {
        let Step::Fetch { next } = self.step else {
            return Want::Nothing;
        };
        if self.partition.paused() {
            return Want::Nothing;
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Want::Later(at);
        }
        if self.partition.unread() > max_partition {
            return Want::Reader;
        }
        Want::This(Sent {
            topic_id: self.topic_id,
            offset: next,
            leader_epoch: self.leader_epoch,
            last_epoch: if planted!("truncation-unseen")
                || self.unknown_to.is_some_and(|(leader_epoch, times)| {
                    leader_epoch == self.leader_epoch && times >= 2
                }) {
                -1
            } else {
                self.last_epoch
            },
            max_bytes: i32::try_from(max_partition).unwrap_or(i32::MAX),
            generation: self.generation,
        })
    }
}

impl Fetcher {
    /// Puts each partition with the broker it is to be fetched from: its leader, or a replica nearer to us.
    pub(super) fn place(&mut self, core: &Core<Tag>, now: Instant) {
        for node in self.nodes.values_mut() {
            node.members.clear();
        }
        for (key, part) in &mut self.parts {
            let known = core.topics.known(&key.0);
            let Some(meta) = known.and_then(|m| m.partitions.get(usize::try_from(key.1).ok()?))
            else {
                continue;
            };
            if part.leader_epoch != meta.leader_epoch {
                part.leader_epoch = meta.leader_epoch;
                part.not_before = None;
            }
            part.topic_id = known.map_or(TopicId::default(), |m| m.id);
            let replica = part
                .replica
                .filter(|(_, until)| now < *until)
                .map(|(id, _)| id);
            let replica = replica.filter(|id| core.brokers().any(|(known, _)| known == *id));
            if replica.is_none() {
                part.replica = None;
            }
            let node = replica.unwrap_or(meta.leader);
            if node >= 0 {
                self.nodes
                    .entry(node)
                    .or_default()
                    .members
                    .push(key.clone());
            }
        }
        self.replan = true;
        self.unserved = true;
        self.nodes.retain(|_, node| {
            !node.members.is_empty() || node.inflight.is_some() || node.aside.is_under_way()
        });
    }

    /// Sends a fetch to every broker that has none on its way and something to fetch.
    pub(super) fn fetch_all(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        if self.waits_for_reader && !self.shared.memory.armed() {
            self.waits_for_reader = false;
            self.replan = true;
        }
        if std::mem::take(&mut self.replan) {
            self.changes += 1;
            self.nodes.values_mut().for_each(|node| node.dirty = true);
        }
        let mut deadline = None;
        if planted!("fetch-in-lockstep") && self.nodes.values().any(|n| n.inflight.is_some()) {
            return deadline;
        }
        let idle = self
            .nodes
            .iter()
            .filter(|(_, node)| node.inflight.is_none());
        let due: Vec<i32> = idle
            .filter(|(_, node)| {
                if let Some(at) = node.pause_until.filter(|at| *at > now) {
                    deadline = earliest(deadline, Some(at));
                    return false;
                }
                let due = node.dirty || node.retry_at.is_some_and(|t| t <= now);
                if !due {
                    deadline = earliest(deadline, node.retry_at);
                }
                due
            })
            .map(|(id, _)| *id)
            .collect();
        // Where memory is scarce, whoever comes first gets it: not always the same.
        let first = due
            .iter()
            .position(|id| *id > self.last_served)
            .unwrap_or(0);
        for id in due.iter().skip(first).chain(due.iter().take(first)) {
            deadline = earliest(deadline, self.fetch_from(core, now, *id));
        }
        earliest(deadline, self.fetch_asides(core, now))
    }

    /// The most to fetch of one partition.
    pub(super) fn max_partition(&self) -> usize {
        let config = &self.shared.config;
        config
            .max_partition_fetch_bytes
            .min(self.shared.memory.cap())
    }

    /// The most to fetch from one broker with one request for `count` partitions.
    pub(super) fn max_fetch(&self, count: usize) -> usize {
        let share = (self.shared.memory.cap() / self.nodes.len().max(1)).max(FLOOR);
        count
            .saturating_mul(self.max_partition())
            .min(self.shared.config.fetch_max_bytes)
            .min(share)
    }

    /// Sends a fetch to a broker if there is something to fetch; says when to try again if that depends on time.
    fn fetch_from(&mut self, core: &mut Core<Tag>, now: Instant, id: i32) -> Option<Instant> {
        let max_partition = self.max_partition();
        let node = self.nodes.get_mut(&id)?;
        node.retry_at = None;
        node.pause_until = None;
        // A lookup that is about to be answered may add more to fetch; a fetch sent before could be parked.
        if node.members.is_empty() || self.queries.asks(id) {
            node.dirty = false;
            return None;
        }
        let Some(conn) = core.conn(now, Node::Id(id), Purpose::Fetch) else {
            let failing = core.failing(Node::Id(id));
            let (event, again) = node.reach.unconnected(now, id, failing);
            self.events.extend(event);
            return earliest(again, core.retry_at(now, Node::Id(id)));
        };
        let mut version = match core.version(conn, fetch::KEY, fetch::VERSIONS) {
            Ok(version) => version,
            Err(e) => {
                node.dirty = false;
                node.retry_at = Some(now + core.config.retry_backoff_max);
                self.events.extend(node.reach.tell(id, e));
                return node.retry_at;
            }
        };
        let mut full = false;
        let mut retry_at = None;
        let amended = if node.planned == Some(self.changes) && node.session.lasts() {
            let each = node.answered.iter();
            let each = each.map(|key| match self.parts.get(key)?.want(now, max_partition) {
                Want::This(sent) => Some((key.clone(), sent)),
                _ => None,
            });
            each.collect::<Option<Vec<_>>>()
        } else {
            None
        };
        let amends = amended.is_some();
        let mut wanted = amended.unwrap_or_else(|| {
            let mut wanted = Vec::with_capacity(node.members.len());
            for key in &node.members {
                match self
                    .parts
                    .get(key)
                    .map(|part| part.want(now, max_partition))
                {
                    Some(Want::This(sent)) => {
                        if sent.topic_id == TopicId::default() {
                            version = version.min(fetch::TOPIC_ID_VERSION - 1);
                        }
                        wanted.push((key.clone(), sent));
                    }
                    Some(Want::Later(at)) => retry_at = earliest(retry_at, Some(at)),
                    // The others of this broker wait with it: fetched without it, they could park the connection for
                    // `fetch.max.wait.ms`, and this one with them.
                    Some(Want::Reader) => {
                        full = true;
                        break;
                    }
                    Some(Want::Nothing) | None => {}
                }
            }
            wanted
        });
        node.dirty = false;
        node.retry_at = retry_at;
        let count = if amends {
            node.session.len()
        } else {
            wanted.len()
        };
        if count == 0 && !full {
            return retry_at;
        }
        let reserved = if full {
            None
        } else {
            self.shared.memory.reserve(self.max_fetch(count))
        };
        let Some(reserved) = reserved else {
            self.waits_for_reader = true;
            // False means that the reader went on meanwhile.
            return if self.shared.memory.arm() {
                retry_at
            } else {
                Some(now)
            };
        };
        let node = self.nodes.get_mut(&id)?;
        self.last_served = id;
        node.answered.clear();
        node.planned = retry_at.is_none().then_some(self.changes);
        let plan = if amends {
            version = node.session.version();
            node.session.amend(wanted)
        } else {
            if !wanted.is_empty() {
                let turn = self.turns % wanted.len();
                self.turns = self.turns.wrapping_add(1);
                wanted.rotate_left(turn);
            }
            node.session.plan(version, wanted)
        };
        let config = &self.shared.config;
        let request = FetchRequest {
            max_wait_ms: i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: i32::try_from(config.fetch_min_bytes).unwrap_or(i32::MAX),
            max_bytes: i32::try_from(reserved).unwrap_or(i32::MAX),
            read_committed: self.shared.read_committed(),
            session_id: plan.session_id,
            session_epoch: plan.epoch,
            topics: plan.topics,
            forgotten: plan.forgotten,
            rack: config.common.client_rack.as_deref().unwrap_or(""),
        };
        match Call::fetch(&core.config.client_id, version) {
            Ok(mut call) => {
                fetch::write_request(&mut call.frame.meta, version, &request);
                call.frame.finish();
                let timeout = core.config.request_timeout;
                core.send(now, conn, call, timeout, Tag::Fetch, true);
                node.inflight = Some(InFlight::new(now, reserved));
            }
            Err(e) => {
                self.shared.memory.unreserve(reserved);
                node.session.failed();
                self.events.extend(node.reach.tell(id, e));
            }
        }
        retry_at
    }
}
