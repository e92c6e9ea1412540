//! The I/O thread's part of a share consumer: keeps the membership, fetches when there is nothing to read, sends what was
//! acknowledged and tells what came of it.
//!
//! Plain data like every role; [`requests`] are sent, [`answers`] taken in, [`acknowledging`] keeps count of what was said. Two
//! rules order it: one request at a time for each broker, as the session's epochs count
//! them; and what was acknowledged goes out before or with the next fetch, never behind one that is held back.

mod acknowledging;
mod answers;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::at_exit::Unsaid;
use crate::client::calls::{Call, Reply, question};
use crate::client::engine::Role;
use crate::client::event::{Event, EventKind};
use crate::clock::earliest;
use crate::cluster::core::{self, Coordinator, CoordinatorKind, Core, Purpose};
use crate::cluster::nodes::Node;
use crate::cluster::problems::topic_problem;
use crate::error::{Error, ErrorCode, Result};
use crate::group::share::{Member, Signal};
use crate::group::tag::Ask;
use crate::protocol::wire::TopicId;
use crate::share::ledger::Said;
use crate::share::node::{Parcel, ShareNode};
use crate::share::role::acknowledging::WaitingCall;
use crate::share::shared::{Chunk, Command, Shared, Waits};
use crate::stats::Stats;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Group(Ask),
    Fetch,
    Acknowledge,
}

impl From<Ask> for Tag {
    fn from(ask: Ask) -> Self {
        Tag::Group(ask)
    }
}

/// What the role has yet to do before the membership, or the client, has ended.
#[derive(Debug)]
struct Leaving {
    by: Instant,
    replies: Vec<Reply<()>>,
    /// What comes of the last acknowledgements.
    said: Vec<Call<()>>,
    goodbye: Goodbye,
}

impl Leaving {
    /// What came of the last acknowledgements. That the records are given back in any case does not make up for one that
    /// was lost.
    fn outcome(&mut self) -> Result<()> {
        let unanswered = || {
            let text = "leaving the share group: the brokers have not answered the last acknowledgements in time; whether \
                        they were carried out is not known";
            Err(Error::new(ErrorCode::TIMED_OUT, text))
        };
        let each = self.said.drain(..);
        each.map(|said| said.wait_for(Duration::ZERO).unwrap_or_else(unanswered))
            .find(Result::is_err)
            .unwrap_or(Ok(()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    ToSay,
    OnItsWay,
    /// It was said, or there is nobody to say it to.
    Said,
}

pub(crate) struct ShareRole {
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
    /// It was told that the coordinator cannot be reached.
    coordinator_told: bool,
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
            coordinator_told: false,
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

    /// Sends what was said, says goodbye, ends the sessions, which gives back the records that are left.
    fn leave(&mut self, core: &Core<Tag>, said: Vec<Said>, (by, reply): Waits) {
        let (reply_last, last) = question("leaving the share group", Duration::ZERO);
        self.acknowledge(core, said, Some((by, reply_last)));
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
        if self.closing {
            self.answer_close();
        }
        let leaving = self.leaving.as_ref()?;
        let quiet = leaving.goodbye == Goodbye::Said
            && self
                .nodes
                .values()
                .all(|n| !n.is_open() && n.inflight.is_none() && n.waiting.is_empty());
        if !quiet && now < leaving.by {
            return Some(leaving.by);
        }
        let mut leaving = self.leaving.take()?;
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
        let outcome = leaving.outcome();
        if self.closing {
            self.closed = true;
            self.nodes.clear();
            self.close_calls();
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

    /// Answers whoever closes, once nothing is left but fetches on their way: a broker reads nothing more on their connections
    /// before it has answered them (`fetch.max.wait.ms`), so that the sessions are ended behind them, without the caller.
    fn answer_close(&mut self) {
        let Some(leaving) = &mut self.leaving else {
            return;
        };
        let nodes = || self.nodes.values();
        let fetches_only = nodes().all(|n| {
            let bare = n.inflight.as_ref().map(|i| !i.ends && i.parcels.is_empty());
            n.waiting.is_empty() && bare.unwrap_or(!n.is_open())
        });
        let pending = nodes().any(|n| n.inflight.is_some());
        if leaving.goodbye == Goodbye::Said && fetches_only && pending {
            let outcome = leaving.outcome();
            self.shared.set_ends_later();
            for reply in leaving.replies.drain(..) {
                reply.give(outcome.clone());
            }
        }
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
        let hopeless = core.coordinator_hopeless(now, CoordinatorKind::Group, &self.group);
        if let Some(error) = hopeless {
            self.coordinator_unreachable(error);
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

    /// Tells once that the coordinator cannot be reached.
    fn coordinator_unreachable(&mut self, error: Error) {
        if !std::mem::replace(&mut self.coordinator_told, true) {
            self.events
                .push(Event::of_broker(EventKind::BrokerUnreachable, -1, error));
        }
    }

    /// Tells of trouble with the group, once.
    fn failing(&mut self, error: Error) {
        self.failing_at(String::new(), error);
    }

    /// Tells once of trouble with the group that `about` names.
    fn failing_at(&mut self, about: String, error: Error) {
        if self.told.insert(about, error.code()) != Some(error.code()) {
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
                self.coordinator_told = false;
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
}

impl Role for ShareRole {
    type Tag = Tag;

    fn leave(&mut self, core: &mut Core<Tag>, now: Instant, by: Instant) {
        if self.member.is_some() && !self.closing && !self.closed {
            let said = self.shared.ledger().take();
            self.obey(core, now, Command::Close(said, (by, Reply::unheard())));
        }
    }

    fn unsaid(&self) -> Unsaid {
        Unsaid {
            busy: self.closing && !self.closed,
            records: 0,
        }
    }

    fn on_event(&mut self, core: &mut Core<Tag>, now: Instant, event: core::Event<Tag>) {
        match event {
            core::Event::Response {
                node,
                tag: Tag::Group(Ask::Heartbeat(serial)),
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
                tag: Tag::Group(Ask::Heartbeat(serial)),
                ..
            } => {
                if let Some(member) = self.member.as_mut().filter(|m| m.is_life(serial)) {
                    member.failed(core, now);
                }
            }
            core::Event::Response {
                tag: Tag::Group(Ask::Leave(_)),
                ..
            }
            | core::Event::Failed {
                tag: Tag::Group(Ask::Leave(_)),
                ..
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
                tag: tag @ (Tag::Fetch | Tag::Acknowledge),
                error,
            } => self.failed(core, now, (id, tag), &error),
            core::Event::Metadata => {
                self.unplaced = true;
                self.shared.inbox.set_unreachable(None);
            }
            core::Event::Unreachable(error) => self.shared.inbox.set_unreachable(Some(error)),
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

    fn stats(&self, core: &Core<Tag>, now: Instant) -> Stats {
        Stats {
            labels: vec![("group_id", self.group.to_string())],
            ..core.plain_stats("consumer.share", now)
        }
    }
}
