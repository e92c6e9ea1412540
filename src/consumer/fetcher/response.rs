//! What comes back from fetches: records, and every way of refusing them.

use std::time::Instant;

use crate::client::event::{Event, EventKind};
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::cluster::problems::refusal;
use crate::config::AutoOffsetReset;
use crate::consumer::chunk::{Chunk, Data, scan};
use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::node::FetchNode;
use crate::consumer::fetcher::part::Step;
use crate::consumer::fetcher::session::Sent;
use crate::consumer::fetcher::tag::Tag;
use crate::error::{Error, ErrorCode};
use crate::log::Level;
use crate::protocol::fetch::{FetchHead, FetchPart, FetchedPartition};
use crate::protocol::produce::NodeEndpoint;
use crate::reading::committed::Aborted;
use crate::topic::TopicPartition;

impl Fetcher {
    pub(super) fn on_fetch_part(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        (id, tag): (i32, Tag),
        part: FetchPart,
    ) {
        match part {
            FetchPart::Head(head) if tag == Tag::Aside => {
                // A refusal is dealt with when the ordinary fetch meets it.
                core.throttle(now, Node::Id(id), Purpose::Aside, head.throttle_ms);
            }
            FetchPart::Head(head) => self.on_head(core, now, id, &head),
            FetchPart::Partition(part) => self.on_partition(core, now, (id, tag), part),
            FetchPart::End(endpoints) => self.on_end(core, (id, tag), &endpoints),
        }
    }

    fn on_head(&mut self, core: &mut Core<Tag>, now: Instant, id: i32, head: &FetchHead) {
        core.throttle(now, Node::Id(id), Purpose::Fetch, head.throttle_ms);
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        if let Some(inflight) = &mut node.inflight {
            inflight.begun = true;
        }
        node.reach.answered();
        let code = ErrorCode(i32::from(head.error_code));
        if node.session.answered(code, head.session_id) {
            node.failures = 0;
            return;
        }
        // The first loss of a session is no trouble, and the request is made anew at once.
        node.failures = node.failures.saturating_add(1);
        if node.failures > 1 {
            let pause = Backoff::retries(&core.config).after(node.failures - 1, &mut core.rng);
            node.pause_until = Some(now + pause);
        }
        if !matches!(
            code,
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH
        ) {
            core.refresh_metadata();
        }
        let who = core.address(Node::Id(id));
        core.log.log(
            Level::Info,
            "fetch",
            (id, code.0),
            now,
            core.clock.wall(),
            || {
                format!(
                    "the fetch session with {who} ended: {}; a new one is begun",
                    code.name()
                )
            },
        );
    }

    fn on_end(&mut self, core: &mut Core<Tag>, (id, tag): (i32, Tag), endpoints: &[NodeEndpoint]) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let inflight = if tag == Tag::Aside {
            node.aside.inflight.take()
        } else {
            node.dirty = true;
            node.inflight.take()
        };
        let Some(inflight) = inflight else {
            return;
        };
        if tag == Tag::Aside {
            node.aside.ended(inflight.fruitful);
        }
        self.shared.memory.unreserve(inflight.reserved);
        for ((topic, partition), leader) in inflight.hints {
            if core.leader_hint(&topic, partition, leader, endpoints) {
                self.unplaced = true;
                if let Some(part) = self.parts.get_mut(&(topic, partition)) {
                    part.not_before = None;
                }
            }
        }
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
        let FetchNode { reach, session, .. } = node;
        let asked = || session.keys().cloned().collect();
        self.events.extend(reach.lost(now, id, error, asked));
    }

    fn on_partition(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        (id, tag): (i32, Tag),
        got: FetchedPartition,
    ) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let (session, inflight) = if tag == Tag::Aside {
            (&node.aside.session, &mut node.aside.inflight)
        } else {
            (&node.session, &mut node.inflight)
        };
        let Some((key, sent)) = session.find(&got.topic, got.partition) else {
            return;
        };
        if tag != Tag::Aside {
            node.answered.push(key.clone());
        }
        let Some(part) = self.parts.get_mut(&key) else {
            return;
        };
        // What the partition was sought away from meanwhile is of no use any more.
        let current = matches!(part.step, Step::Fetch { next } if next == sent.offset)
            && part.generation == sent.generation
            && part.partition.generation() == sent.generation;
        if !current {
            return;
        }
        if let Some(leader) = got.current_leader
            && let Some(inflight) = inflight
        {
            inflight.hints.push((key.clone(), leader));
        }
        let code = ErrorCode(i32::from(got.error_code));
        part.stats.fetches += 1;
        if code != ErrorCode::NONE {
            part.stats.errors.add(code);
            self.stats.errors.add(code);
            core.node_stats(Node::Id(id)).errors.add(code);
            return self.on_refused(core, now, id, &key, code, sent);
        }
        part.not_before = None;
        part.partition
            .set_ends(got.high_watermark, got.last_stable_offset);
        if let Some(common) = got.diverging_epoch {
            return self.on_truncated(core, now, &key, sent, common);
        }
        let redirects = got.preferred_read_replica >= 0 && got.preferred_read_replica != id;
        // That the leader names a replica is no success, should that refuse each time.
        if !redirects {
            part.failures = 0;
            part.told = None;
        } else {
            part.replica = Some((
                got.preferred_read_replica,
                now + core.config.metadata_max_age,
            ));
            self.unplaced = true;
        }
        let Some(mut records) = got.records else {
            return;
        };
        part.stats.bytes += records.len() as u64;
        self.stats.fetched.record(records.len() as u64);
        let scan = scan(&records);
        if let Some(next) = scan.next.filter(|next| *next > sent.offset) {
            part.step = Step::Fetch { next };
            part.last_epoch = scan.epoch;
            part.unknown_to = None;
        } else if !scan.broken {
            return; // less than a batch; or nothing new, which a broker has no reason to send
        }
        if scan.broken {
            // The reader finds the same and tells of it.
            part.step = Step::Stopped;
        } else {
            // Without the batch cut off at the end, the reader sees when it is done.
            records.truncate(scan.end);
        }
        let charged = records.capacity();
        let aborted = if self.shared.read_committed() {
            Aborted::new(got.aborted)
        } else {
            Aborted::default()
        };
        let chunk = Chunk {
            partition: part.partition.clone(),
            generation: sent.generation,
            data: Some(Data::Fresh(records)),
            at: 0,
            open: None,
            min_offset: sent.offset,
            aborted,
            records_left: scan.records,
            charged,
        };
        part.partition.add_unread(charged);
        self.shared.memory.add(charged);
        if let Some(inflight) = inflight {
            inflight.fruitful = true;
            let arrived = charged.min(inflight.reserved);
            inflight.reserved -= arrived;
            self.shared.memory.unreserve(arrived);
        }
        self.chunks.push(chunk);
    }

    /// The leader's log ends before our position: records that we read were lost in an unclean election. What it has in
    /// common with us ends with an epoch at an offset.
    fn on_truncated(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        key: &TopicPartition,
        sent: Sent,
        (epoch, end): (i32, i64),
    ) {
        let error = Error::new(
            ErrorCode::OFFSET_OUT_OF_RANGE,
            format!(
                "{}-{}: the log was truncated to offset {end} while the position was {}: records between were lost \
                 by the brokers",
                key.0, key.1, sent.offset
            ),
        );
        if self.shared.config.auto_offset_reset == AutoOffsetReset::None {
            return self.stop(
                key,
                (sent.offset, end),
                error,
                "; seek to where reading shall go on",
            );
        }
        let Some(part) = self.parts.get_mut(key) else {
            return;
        };
        part.failures = part.failures.saturating_add(1);
        if part.failures > 1 {
            let pause = Backoff::retries(&core.config).after(part.failures - 1, &mut core.rng);
            part.not_before = Some(now + pause);
        }
        if part.last_epoch == epoch && sent.offset == end {
            return; // what was told before
        }
        part.step = Step::Fetch { next: end.max(0) };
        // The log may be cut again before anything is read of it.
        part.last_epoch = epoch;
        let kind = EventKind::PositionReset;
        self.events.push(Event::of_partition(
            kind,
            &key.0,
            key.1,
            (sent.offset, end),
            error,
        ));
        self.chunks.push(Chunk::jump(
            part.partition.clone(),
            part.generation,
            end.max(0),
        ));
    }

    fn on_refused(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        key: &TopicPartition,
        code: ErrorCode,
        sent: Sent,
    ) {
        let Some(part) = self.parts.get_mut(key) else {
            return;
        };
        let from_replica = part
            .replica
            .take()
            .is_some_and(|(replica, _)| replica == id);
        if from_replica {
            // Whatever a follower says, the leader decides; but not for ever, if it goes on to name one that refuses.
            self.unplaced = true;
            part.failures = part.failures.saturating_add(1);
            if part.failures > 1 {
                let pause = Backoff::retries(&core.config).after(part.failures - 1, &mut core.rng);
                part.not_before = Some(now + pause);
            }
            return;
        }
        if code == ErrorCode::OFFSET_OUT_OF_RANGE {
            if sent.last_epoch >= 0 {
                // A broker that knows nothing of the epoch answers so each time; it is asked without it then. One that
                // answered so in passing still tells, when asked again, that its log was cut.
                let times = part
                    .unknown_to
                    .filter(|(leader_epoch, _)| *leader_epoch == sent.leader_epoch)
                    .map_or(0, |(_, times)| times);
                part.unknown_to = Some((sent.leader_epoch, times + 1));
                return;
            }
            let place = format!("fetching {}-{} at offset {}", key.0, key.1, sent.offset);
            let why = Error::new(
                code,
                format!(
                    "{place}: the log does not hold that offset (any more); see the topic's retention settings"
                ),
            );
            // Where the first reset has led to can't be read either: the next one is no news.
            part.failures = part.failures.saturating_add(1);
            let pause = (part.failures > 1)
                .then(|| Backoff::retries(&core.config).after(part.failures - 1, &mut core.rng));
            let not_before = pause.map(|pause| now + pause);
            return self.reset(core, not_before, key, sent.offset, why);
        }
        part.failures = part.failures.saturating_add(1);
        part.not_before =
            Some(now + Backoff::retries(&core.config).after(part.failures, &mut core.rng));
        let place = format!("fetching {}-{} at offset {}", key.0, key.1, sent.offset);
        let error = refusal(code, &place, &core.address(Node::Id(id)));
        match code {
            // Leaders move, and brokers learn of it at different times.
            ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::REPLICA_NOT_AVAILABLE
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::INCONSISTENT_TOPIC_ID
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::OFFSET_NOT_AVAILABLE => {
                core.refresh_metadata();
                core.log.log(
                    Level::Info,
                    "fetch",
                    (&key.0, key.1, code.0),
                    now,
                    core.clock.wall(),
                    || error.message().to_owned(),
                );
            }
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE | ErrorCode::UNSUPPORTED_VERSION => {
                self.stop(key, (sent.offset, -1), error, "");
            }
            _ => {
                core.refresh_metadata();
                if part.told != Some(code) {
                    part.told = Some(code);
                    let kind = EventKind::PartitionFailing;
                    self.events.push(Event::of_partition(
                        kind,
                        &key.0,
                        key.1,
                        (sent.offset, -1),
                        error,
                    ));
                }
            }
        }
    }
}
