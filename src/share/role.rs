//! The I/O thread's part of a share consumer: keeps the membership, fetches when there is nothing to read, sends what was
//! acknowledged and tells what came of it.
//!
//! Plain data like every role. Two rules order it: one request at a time for each broker, as the session's epochs count
//! them; and what was acknowledged goes out before or with the next fetch, never behind one that is held back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Key;
use super::ledger::Said;
use super::member::{Member, Signal};
use super::node::{FINAL_EPOCH, InFlight, Parcel, ShareNode};
use super::shared::{Chunk, Command, Shared, Waits};
use crate::cluster::core::{self, Coordinator, CoordinatorKind, Core, Purpose};
use crate::cluster::engine::Role;
use crate::cluster::nodes::{Backoff, Node};
use crate::config::AcquireMode;
use crate::consumer::{Event, EventKind, Reply, earliest, topic_problem};
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::share::{
    self, ShareAcknowledgeRequest, ShareAnswer, ShareFetchRequest, ShareResponse, ShareSession,
};
use crate::protocol::wire::TopicId;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// With the number of the membership's life it was sent in.
    Heartbeat(u32),
    Leave,
    Fetch,
    Acknowledge,
}

/// A call that waits for acknowledgements.
#[derive(Debug)]
struct WaitingCall {
    by: Instant,
    reply: Reply<()>,
    left: usize,
    failure: Option<Error>,
}

/// What the role has yet to do before the membership, or the client, has ended.
#[derive(Debug)]
struct Leaving {
    by: Instant,
    replies: Vec<Reply<()>>,
    /// What comes of the last acknowledgements.
    said: Vec<Reply<()>>,
    goodbye: Goodbye,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    ToSay,
    OnItsWay,
    /// It was said, or there is nobody to say it to.
    Said,
}

pub(super) struct ShareRole {
    shared: Arc<Shared>,
    group: Arc<str>,
    /// The member's id, the same for every membership of the client; made when it first subscribes.
    id: String,
    member: Option<Member>,
    assigned: BTreeMap<TopicId, Vec<i32>>,
    nodes: BTreeMap<i32, ShareNode>,
    lives: u32,
    calls: BTreeMap<u64, WaitingCall>,
    next_call: u64,
    leaving: Option<Leaving>,
    /// What is subscribed to once the membership has ended.
    next: Option<BTreeSet<Arc<str>>>,
    closing: bool,
    closed: bool,
    unplaced: bool,
    /// The broker that was fetched from last, where only one is at a time.
    last: i32,
    /// Troubles that were told, by what they are about.
    told: BTreeMap<String, ErrorCode>,
    events: Vec<Event>,
    chunks: Vec<Chunk>,
}

impl ShareRole {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        ShareRole {
            group: Arc::from(&*shared.config.group_id),
            shared,
            id: String::new(),
            member: None,
            assigned: BTreeMap::new(),
            nodes: BTreeMap::new(),
            lives: 0,
            calls: BTreeMap::new(),
            next_call: 0,
            leaving: None,
            next: None,
            closing: false,
            closed: false,
            unplaced: false,
            last: -1,
            told: BTreeMap::new(),
            events: Vec::new(),
            chunks: Vec::new(),
        }
    }

    fn obey(&mut self, core: &mut Core<Tag>, now: Instant, command: Command) {
        match command {
            Command::Subscribe(topics) if self.leaving.is_some() => self.next = Some(topics),
            Command::Subscribe(topics) => self.subscribe(core, now, topics),
            Command::Acknowledge(said, waits) => self.acknowledge(core, said, waits),
            Command::Unsubscribe(said, waits) => self.leave(core, said, waits),
            Command::Close(said, waits) => {
                self.closing = true;
                self.leave(core, said, waits);
            }
        }
    }

    fn subscribe(&mut self, core: &mut Core<Tag>, now: Instant, topics: BTreeSet<Arc<str>>) {
        for topic in &topics {
            core.want_topic(topic);
        }
        match &mut self.member {
            Some(member) => member.subscribe(topics, now),
            None => {
                if self.id.is_empty() {
                    self.id = core.rng.id();
                }
                let who = (self.group.clone(), self.id.clone());
                let rack = core.config.client_rack.clone();
                self.member = Some(Member::new(who, rack, topics, now));
            }
        }
    }

    /// Queues acknowledgements with the brokers that gave the records.
    fn acknowledge(&mut self, core: &Core<Tag>, said: Vec<Said>, waits: Option<Waits>) {
        let call = waits.map(|(by, reply)| {
            self.next_call += 1;
            let call = WaitingCall {
                by,
                reply,
                left: 1,
                failure: None,
            };
            self.calls.insert(self.next_call, call);
            self.next_call
        });
        let mut refused = Vec::new();
        for said in said {
            let id = core.topics.known(&said.key.0).map(|meta| meta.id);
            let parcel = Parcel {
                place: (id.unwrap_or_default(), said.key.1),
                said,
                call,
            };
            if let Some(call) = call.and_then(|id| self.calls.get_mut(&id)) {
                call.left += 1;
            }
            match (id, self.nodes.get_mut(&parcel.said.from.0)) {
                (Some(_), Some(node)) => node.waiting.push(parcel),
                _ => refused.push(parcel),
            }
        }
        for parcel in refused {
            self.lost(parcel);
        }
        if let Some(id) = call {
            self.call_done(id, None);
        }
    }

    fn call_done(&mut self, id: u64, failure: Option<Error>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.left = call.left.saturating_sub(1);
        if call.failure.is_none() {
            call.failure = failure;
        }
        if call.left == 0
            && let Some(call) = self.calls.remove(&id)
        {
            call.reply.give(call.failure.map_or(Ok(()), Err));
        }
    }

    /// What became of an acknowledgement is told to the call that waits for it; of a failure, to the program otherwise.
    fn finish(&mut self, parcel: Parcel, result: Result<()>) {
        let waited = parcel.call.filter(|id| self.calls.contains_key(id));
        match (waited, result) {
            (Some(id), result) => self.call_done(id, result.err()),
            (None, Ok(())) => {}
            (None, Err(error)) => {
                let (topic, partition) = &parcel.said.key;
                self.events.push(Event::of_partition(
                    EventKind::AcknowledgementFailed,
                    topic,
                    *partition,
                    parcel.said.span(),
                    error,
                ));
            }
        }
    }

    fn lost(&mut self, parcel: Parcel) {
        let error = refusal(
            &parcel,
            ErrorCode::SHARE_SESSION_NOT_FOUND,
            "the session with the broker they came from has ended; they are delivered again, perhaps to another member",
        );
        self.finish(parcel, Err(error));
    }

    /// Sends what was said, says goodbye, ends the sessions, which gives back the records that are left.
    fn leave(&mut self, core: &Core<Tag>, said: Vec<Said>, (by, reply): Waits) {
        let last = Reply::default();
        self.acknowledge(core, said, Some((by, last.clone())));
        self.assigned.clear();
        self.unplaced = true;
        self.next = None;
        match &mut self.leaving {
            Some(leaving) => {
                leaving.by = leaving.by.min(by);
                leaving.replies.push(reply);
                leaving.said.push(last);
            }
            None => {
                self.leaving = Some(Leaving {
                    by,
                    replies: vec![reply],
                    said: vec![last],
                    goodbye: Goodbye::ToSay,
                });
            }
        }
    }

    fn poll_leaving(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let leaving = self.leaving.as_ref()?;
        let quiet = leaving.goodbye == Goodbye::Said
            && self
                .nodes
                .values()
                .all(|n| !n.is_open() && n.inflight.is_none() && n.waiting.is_empty());
        if !quiet && now < leaving.by {
            return Some(leaving.by);
        }
        let leaving = self.leaving.take()?;
        self.member = None;
        self.chunks.clear();
        self.shared.drop_chunks();
        let parcels: Vec<Parcel> = self
            .nodes
            .values_mut()
            .flat_map(|n| std::mem::take(&mut n.waiting))
            .collect();
        for parcel in parcels {
            self.lost(parcel);
        }
        // That the records are given back in any case does not make up for an acknowledgement that was lost.
        let unanswered = || {
            let text = "leaving the share group: the brokers have not answered the last acknowledgements in time; whether \
                        they were carried out is not known";
            Err(Error::new(ErrorCode::TIMED_OUT, text))
        };
        let each = leaving.said.iter();
        let outcome = each
            .map(|said| said.wait(Duration::ZERO).unwrap_or_else(unanswered))
            .find(Result::is_err)
            .unwrap_or(Ok(()));
        if self.closing {
            self.closed = true;
            self.nodes.clear();
            for call in std::mem::take(&mut self.calls).into_values() {
                call.reply.give(Err(self.shared.closed_error()));
            }
            self.shared.connect_calls.close();
        }
        for reply in leaving.replies {
            reply.give(outcome.clone());
        }
        if let Some(topics) = self.next.take().filter(|_| !self.closing) {
            self.subscribe(core, now, topics);
            return Some(now);
        }
        None
    }

    fn poll_member(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        if let Some(leaving) = &mut self.leaving {
            if leaving.goodbye != Goodbye::ToSay {
                return None;
            }
            let Some(member) = self.member.as_mut().filter(|m| m.is_known()) else {
                leaving.goodbye = Goodbye::Said;
                return None;
            };
            let group = &self.group;
            if let Coordinator::Ready(_, conn) =
                core.coordinator(now, CoordinatorKind::Group, group, Purpose::Group)
            {
                let sent = member.send_leave(core, now, conn);
                leaving.goodbye = if sent {
                    Goodbye::OnItsWay
                } else {
                    Goodbye::Said
                };
            }
            return None;
        }
        let member = self.member.as_mut()?;
        if member.wants(now) {
            match core.coordinator(now, CoordinatorKind::Group, &self.group, Purpose::Group) {
                Coordinator::Ready(node, conn) => {
                    if let Some(signal) = member.send(core, now, (node, conn)) {
                        self.signalled(core, now, signal);
                    }
                }
                Coordinator::Waiting => {}
                Coordinator::Refused(error) => self.failing(error),
            }
        }
        // While a coordinator is looked for, the core has deadlines of its own.
        let member = self.member.as_ref()?;
        member.deadline().filter(|at| now < *at)
    }

    /// Tells of trouble with the group, once.
    fn failing(&mut self, error: Error) {
        if self.told.insert(String::new(), error.code()) != Some(error.code()) {
            self.events.push(Event {
                error: Some(error),
                ..Event::of(EventKind::GroupFailing)
            });
        }
    }

    fn signalled(&mut self, core: &mut Core<Tag>, now: Instant, signal: Signal) {
        match signal {
            Signal::Heard => {
                self.told.remove("");
            }
            Signal::Assigned(assigned) => {
                self.assigned = assigned;
                self.unplaced = true;
            }
            Signal::Lost(error) => {
                let (wall, text) = (core.clock.wall(), error.message().to_owned());
                core.log
                    .log(crate::log::Level::Info, "share", "lost", now, wall, || text);
                self.assigned.clear();
                self.unplaced = true;
            }
            Signal::CoordinatorLost(error) => {
                core.coordinator_lost(now, CoordinatorKind::Group, &self.group, &error);
            }
            Signal::Failing(error) => self.failing(error),
        }
    }

    /// Puts each partition with its leader.
    fn place(&mut self, core: &mut Core<Tag>) {
        for node in self.nodes.values_mut() {
            node.members.clear();
        }
        for (id, partitions) in &self.assigned {
            let known = core.topics.name_of(id).and_then(|n| core.topics.known(n));
            let Some(meta) = known.cloned() else {
                // Its name is among those subscribed to, and comes with the next metadata.
                core.refresh_metadata();
                continue;
            };
            for index in partitions {
                let known = usize::try_from(*index)
                    .ok()
                    .and_then(|i| meta.partitions.get(i));
                match known.map(|p| p.leader).filter(|leader| *leader >= 0) {
                    Some(leader) => {
                        let node = self.nodes.entry(leader).or_default();
                        node.members.insert((*id, *index));
                    }
                    None => core.refresh_metadata(),
                }
            }
        }
    }

    /// Tells of topics that can't be read.
    fn watch_topics(&mut self, core: &Core<Tag>, now: Instant) -> Option<Instant> {
        let mut deadline = None;
        for topic in self.member.iter().flat_map(Member::topics) {
            match topic_problem(core, now, topic, 0) {
                Ok(again) => {
                    deadline = earliest(deadline, again);
                    if again.is_none() {
                        self.told.remove(&**topic);
                    }
                }
                Err(e) => {
                    if self.told.insert(topic.to_string(), e.code()) != Some(e.code()) {
                        self.events
                            .push(Event::of_topic(EventKind::TopicFailing, topic, e));
                    }
                }
            }
        }
        deadline
    }

    /// Sends what is due to each broker.
    fn drive(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let stale: Vec<Parcel> = self
            .nodes
            .values_mut()
            .filter(|n| n.inflight.is_none())
            .flat_map(ShareNode::take_stale)
            .collect();
        for parcel in stale {
            self.lost(parcel);
        }
        let hungry = self.leaving.is_none() && self.shared.is_hungry();
        let one = self.shared.config.acquire == AcquireMode::RecordLimit;
        let mut may_fetch = hungry && !(one && self.nodes.values().any(|n| n.inflight.is_some()));
        let mut deadline = None;
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        // Where only one broker is asked at a time, not always the same.
        let first = ids.iter().position(|id| *id > self.last).unwrap_or(0);
        for id in ids.iter().skip(first).chain(ids.iter().take(first)) {
            let fetched = self.drive_one(core, now, *id, may_fetch, &mut deadline);
            if fetched && one {
                self.last = *id;
                may_fetch = false;
            }
        }
        deadline
    }

    /// True if a fetch was sent.
    fn drive_one(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        may_fetch: bool,
        deadline: &mut Option<Instant>,
    ) -> bool {
        let leaving = self.leaving.is_some();
        let Some(node) = self.nodes.get_mut(&id).filter(|n| n.inflight.is_none()) else {
            return false;
        };
        let ends = leaving && node.is_open();
        let fetch = may_fetch && !node.members.is_empty();
        if !ends && !fetch && node.waiting.is_empty() {
            return false;
        }
        if let Some(at) = node.retry_at.filter(|at| now < *at && !ends) {
            *deadline = earliest(*deadline, Some(at));
            return false;
        }
        node.retry_at = None;
        let Some(conn) = core.conn(now, Node::Id(id), Purpose::Fetch) else {
            *deadline = earliest(*deadline, core.retry_at(Node::Id(id)));
            return false;
        };
        node.on_connection(conn);
        if !node.is_open() && (!node.waiting.is_empty() || !fetch) {
            // The connection was another; what waits is told at the next turn, which is at once.
            *deadline = Some(now);
            return false;
        }
        let fetch = fetch && node.may_piggyback();
        let sent = if fetch {
            self.send_fetch(core, now, id, conn)
        } else {
            self.send_acknowledgement(core, now, id, conn, ends)
        };
        if let Err(error) = sent {
            let again = now + core.config.retry_backoff_max;
            if let Some(node) = self.nodes.get_mut(&id) {
                node.retry_at = Some(again);
            }
            *deadline = earliest(*deadline, Some(again));
            self.failing(error);
            return false;
        }
        fetch
    }

    fn send_fetch(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        conn: ConnId,
    ) -> Result<()> {
        let config = &self.shared.config;
        let version = core.version(conn, share::FETCH_KEY, share::VERSIONS)?;
        let strict = config.acquire == AcquireMode::RecordLimit;
        if strict && version < share::RENEW_VERSION {
            return Err(Error::new(
                ErrorCode::UNSUPPORTED,
                format!(
                    "fetching for share group '{}': share.acquire.mode=record_limit needs Kafka 4.2 or newer, and {} is \
                     older; leave it at batch_optimized",
                    self.group,
                    core.address(Node::Id(id))
                ),
            ));
        }
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        self.lives = self.lives.wrapping_add(1);
        let (topics, forgotten) = node.fetch(self.lives);
        let int = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let request = ShareFetchRequest {
            session: ShareSession {
                group: &self.group,
                member: &self.id,
                epoch: node.epoch,
            },
            max_wait_ms: int(config.fetch_max_wait.as_millis() as usize),
            min_bytes: int(config.fetch_min_bytes),
            max_bytes: int(config.fetch_max_bytes),
            max_records: int(config.max_poll_records),
            batch_size: int(config.max_poll_records),
            strict,
            topics,
            forgotten,
        };
        let mut call = Call::begin(&core.config.client_id, share::FETCH_KEY, version, 2)?;
        share::write_fetch(&mut call.frame.meta, version, &request);
        call.frame.finish();
        let timeout = core.config.request_timeout;
        core.send(now, conn, call, timeout, Tag::Fetch, true);
        Ok(())
    }

    fn send_acknowledgement(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        conn: ConnId,
        ends: bool,
    ) -> Result<()> {
        let version = core.version(conn, share::ACKNOWLEDGE_KEY, share::VERSIONS)?;
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        if version < share::RENEW_VERSION {
            let (renewals, rest) = std::mem::take(&mut node.waiting)
                .into_iter()
                .partition::<Vec<_>, _>(|p| p.said.renews());
            node.waiting = rest;
            let nothing_left = node.waiting.is_empty() && !ends;
            for parcel in renewals {
                let error = refusal(
                    &parcel,
                    ErrorCode::UNSUPPORTED,
                    "renewing locks needs Kafka 4.2 or newer (KIP-1222)",
                );
                self.finish(parcel, Err(error));
            }
            if nothing_left {
                return Ok(());
            }
        }
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let (topics, renews) = node.acknowledge(ends);
        let request = ShareAcknowledgeRequest {
            session: ShareSession {
                group: &self.group,
                member: &self.id,
                epoch: if ends { FINAL_EPOCH } else { node.epoch },
            },
            renews,
            topics,
        };
        let mut call = Call::begin(&core.config.client_id, share::ACKNOWLEDGE_KEY, version, 2)?;
        share::write_acknowledge(&mut call.frame.meta, version, &request);
        call.frame.finish();
        let timeout = core.config.request_timeout;
        core.send(now, conn, call, timeout, Tag::Acknowledge, true);
        Ok(())
    }

    fn answered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        (id, tag): (i32, Tag),
        version: i16,
        body: Bytes,
    ) {
        let Some(inflight) = self.nodes.get_mut(&id).and_then(|n| n.inflight.take()) else {
            return;
        };
        let fetched = tag == Tag::Fetch;
        let response = rpc::strip_header(1, body).and_then(|body| match fetched {
            true => share::read_fetch(version, &body),
            false => share::read_acknowledge(version, &body),
        });
        let response = match response {
            Ok(response) => response,
            Err(e) => {
                let e = e.context(core.address(Node::Id(id)));
                self.session_lost(core, now, id, inflight, &e);
                return self.failing(e);
            }
        };
        core.throttle(now, Node::Id(id), Purpose::Fetch, response.throttle_ms);
        if let Some(ms) = response.lock_ms {
            self.shared.set_lock(ms);
        }
        let code = ErrorCode(i32::from(response.refusal.0));
        if code != ErrorCode::NONE {
            return self.refused(core, now, id, inflight, code, response.refusal.1.as_deref());
        }
        self.carried_out(core, now, id, inflight, response);
    }

    /// The request as a whole was refused.
    fn refused(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        inflight: InFlight,
        code: ErrorCode,
        words: Option<&str>,
    ) {
        let words = words.map_or_else(String::new, |w| format!(" (\"{w}\")"));
        let error = Error::new(
            code,
            format!(
                "share session of group '{}': {} answered {}{words}{}",
                self.group,
                core.address(Node::Id(id)),
                code.name(),
                crate::consumer::advice(code),
            ),
        );
        self.session_lost(core, now, id, inflight, &error);
        // That a session is gone is no trouble but for what was acknowledged in it, of which that is told.
        if !matches!(
            code,
            ErrorCode::SHARE_SESSION_NOT_FOUND | ErrorCode::INVALID_SHARE_SESSION_EPOCH
        ) {
            core.refresh_metadata();
            self.failing(error);
        }
    }

    /// The session is to be begun anew; what went with the request is lost, or may be.
    fn session_lost(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        inflight: InFlight,
        error: &Error,
    ) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.reset();
            node.failures = node.failures.saturating_add(1);
            let backoff = Backoff {
                first: core.config.retry_backoff,
                last: core.config.retry_backoff_max,
            };
            // The first loss of a session is mended at once.
            if node.failures > 1 {
                let pause = backoff.after(node.failures - 1, &mut core.rng);
                node.retry_at = Some(now + pause);
            }
        }
        for parcel in inflight.parcels {
            let (topic, partition) = &parcel.said.key;
            let (first, end) = parcel.said.span();
            let error = error.context(format_args!(
                "acknowledging {topic}-{partition}, offsets {first} to {}",
                end - 1
            ));
            let error = error
                .and("; what was not acknowledged is delivered again, perhaps to another member");
            self.finish(parcel, Err(error));
        }
    }

    fn carried_out(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        mut inflight: InFlight,
        response: ShareResponse,
    ) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        node.succeeded(&mut inflight);
        let from = (id, node.life);
        for parcel in inflight.parcels {
            let said = response
                .partitions
                .iter()
                .find(|a| (a.topic, a.partition) == parcel.place)
                .map(|a| &a.acknowledged);
            let result = match said {
                Some((code, words)) if *code != 0 => {
                    let code = ErrorCode(i32::from(*code));
                    Err(self.explain(&parcel, code, words.as_deref()))
                }
                _ => Ok(()),
            };
            self.finish(parcel, result);
        }
        let lock = self.shared.lock_duration().unwrap_or(Duration::MAX);
        let far = now + Duration::from_secs(86_400 * 365);
        let locked_until = now.checked_add(lock).unwrap_or(far);
        for answer in response.partitions {
            let Some(name) = core.topics.name_of(&answer.topic).cloned() else {
                continue;
            };
            let key = (name, answer.partition);
            if let Some(leader) = answer.leader
                && core.leader_hint(&key.0, key.1, leader, &response.endpoints)
            {
                self.unplaced = true;
            }
            let about = format!("{}-{}", key.0, key.1);
            if answer.fetched.0 != 0 {
                self.not_fetched(core, now, (id, &key), about, &answer);
                continue;
            }
            self.told.remove(&about);
            if !answer.acquired.is_empty() && self.leaving.is_none() {
                self.chunks.push(Chunk {
                    key,
                    from,
                    records: answer.records,
                    acquired: answer.acquired,
                    locked_until,
                });
            }
        }
    }

    /// Why an acknowledgement was refused, and what follows.
    fn explain(&self, parcel: &Parcel, code: ErrorCode, words: Option<&str>) -> Error {
        let words = words.map_or_else(String::new, |w| format!(" (\"{w}\")"));
        let lock = self.shared.lock_duration().unwrap_or_default().as_millis();
        let why = match code {
            ErrorCode::INVALID_RECORD_STATE => format!(
                "the broker answered INVALID_RECORD_STATE{words}: the lock of some of them had run out, after {lock} ms, or \
                 they were acknowledged before. They are delivered again, perhaps to another member: take fewer records \
                 at a time (max.poll.records), renew what takes long, or raise the group's share.record.lock.duration.ms"
            ),
            _ => format!(
                "the broker answered {}{words}{}; they are delivered again, perhaps to another member",
                code.name(),
                crate::consumer::advice(code)
            ),
        };
        refusal(parcel, code, &why)
    }

    fn not_fetched(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        (id, key): (i32, &Key),
        about: String,
        answer: &ShareAnswer,
    ) {
        let code = ErrorCode(i32::from(answer.fetched.0));
        core.refresh_metadata();
        let again = now + core.config.retry_backoff;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.retry_at = Some(again);
        }
        // Leaders move, and brokers learn of topics at different times.
        let passes = matches!(
            code,
            ErrorCode::NOT_LEADER_OR_FOLLOWER
                | ErrorCode::LEADER_NOT_AVAILABLE
                | ErrorCode::FENCED_LEADER_EPOCH
                | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                | ErrorCode::UNKNOWN_TOPIC_ID
                | ErrorCode::COORDINATOR_NOT_AVAILABLE
                | ErrorCode::NOT_COORDINATOR
        );
        if passes || self.told.insert(about, code) == Some(code) {
            return;
        }
        let words = answer.fetched.1.as_deref();
        let words = words.map_or_else(String::new, |w| format!(" (\"{w}\")"));
        let error = Error::new(
            code,
            format!(
                "fetching {}-{} for share group '{}': {} answered {}{words}{}; the attempts go on",
                key.0,
                key.1,
                self.group,
                core.address(Node::Id(id)),
                code.name(),
                crate::consumer::advice(code)
            ),
        );
        self.events.push(Event::of_partition(
            EventKind::PartitionFailing,
            &key.0,
            key.1,
            (-1, -1),
            error,
        ));
    }

    fn failed(&mut self, core: &mut Core<Tag>, now: Instant, id: i32, error: &Error) {
        if let Some(inflight) = self.nodes.get_mut(&id).and_then(|n| n.inflight.take()) {
            core.refresh_metadata();
            self.session_lost(core, now, id, inflight, error);
        }
    }

    fn expire_calls(&mut self, now: Instant) -> Option<Instant> {
        let due: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.by <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if let Some(call) = self.calls.remove(&id) {
                let text = "committing acknowledgements: the brokers have not answered in time; whether they were carried \
                            out is not known, and the attempt goes on";
                call.reply.give(Err(Error::new(ErrorCode::TIMED_OUT, text)));
            }
        }
        self.calls.values().map(|call| call.by).min()
    }
}

fn refusal(parcel: &Parcel, code: ErrorCode, why: &str) -> Error {
    let (topic, partition) = &parcel.said.key;
    let (first, end) = parcel.said.span();
    let last = end - 1;
    let offsets = if first == last {
        format!("offset {first}")
    } else {
        format!("offsets {first} to {last}")
    };
    Error::new(
        code,
        format!("acknowledging {topic}-{partition}, {offsets}: {why}"),
    )
}

impl Role for ShareRole {
    type Tag = Tag;

    fn on_event(&mut self, core: &mut Core<Tag>, now: Instant, event: core::Event<Tag>) {
        match event {
            core::Event::Response {
                node,
                tag: Tag::Heartbeat(serial),
                version,
                body,
            } => {
                let Some(member) = self.member.as_mut().filter(|m| m.is_life(serial)) else {
                    return;
                };
                let signals = member.answered(core, now, node, version, body);
                if !signals
                    .iter()
                    .any(|s| matches!(s, Signal::CoordinatorLost(_)))
                {
                    core.coordinator_answered(CoordinatorKind::Group, &self.group);
                }
                // What is assigned to one that leaves is of no use.
                if self.leaving.is_none() {
                    for signal in signals {
                        self.signalled(core, now, signal);
                    }
                }
            }
            core::Event::Failed {
                tag: Tag::Heartbeat(serial),
                ..
            } => {
                if let Some(member) = self.member.as_mut().filter(|m| m.is_life(serial)) {
                    member.failed(core, now);
                }
            }
            core::Event::Response {
                tag: Tag::Leave, ..
            }
            | core::Event::Failed {
                tag: Tag::Leave, ..
            } => {
                if let Some(leaving) = &mut self.leaving {
                    leaving.goodbye = Goodbye::Said;
                }
            }
            core::Event::Response {
                node: Node::Id(id),
                tag: tag @ (Tag::Fetch | Tag::Acknowledge),
                version,
                body,
            } => self.answered(core, now, (id, tag), version, body),
            core::Event::Failed {
                node: Node::Id(id),
                tag: Tag::Fetch | Tag::Acknowledge,
                error,
            } => self.failed(core, now, id, &error),
            core::Event::Metadata => {
                self.unplaced = true;
                self.shared.set_unreachable(None);
            }
            core::Event::Unreachable(error) => self.shared.set_unreachable(Some(error)),
            // Requests go to brokers by their id only, and answers to share fetches come whole.
            core::Event::Coordinator
            | core::Event::FetchPart { .. }
            | core::Event::Response { .. }
            | core::Event::Failed { .. } => {}
        }
    }

    fn poll(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        // Before anything is fetched: what came ends the hunger.
        self.shared.deliver(&mut self.events, &mut self.chunks);
        for command in self.shared.take_commands() {
            self.obey(core, now, command);
        }
        if self.closed {
            return None;
        }
        if std::mem::take(&mut self.unplaced) {
            self.place(core);
        }
        let mut deadline = self.watch_topics(core, now);
        deadline = earliest(deadline, self.poll_member(core, now));
        deadline = earliest(deadline, self.drive(core, now));
        deadline = earliest(deadline, self.expire_calls(now));
        deadline = earliest(deadline, self.poll_leaving(core, now));
        deadline = earliest(deadline, self.shared.connect_calls.poll(core, now));
        self.shared.deliver(&mut self.events, &mut self.chunks);
        deadline
    }

    fn finished(&self) -> bool {
        self.closed
    }
}
