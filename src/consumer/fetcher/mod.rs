//! The I/O thread's part of a consumer: decides what is fetched from whom, and hands on what comes.
//!
//! Plain data like every role: events and the time come in, requests go out through the core. By concept:
//! [`plan`] chooses and sends, [`response`] takes in, [`session`] remembers what each broker was told; [`aside`] fetches what
//! must not wait for the fetch under way; [`queries`] looks offsets up, [`reset`] decides where a partition goes on;
//! [`topics`], [`ends`] and [`calls`] say what their names say. The state they work on is in [`part`], [`node`] and
//! [`watched`].

mod aside;
mod calls;
mod ends;
mod grouping;
mod node;
mod part;
mod plan;
mod queries;
mod reset;
mod response;
mod session;
mod stats;
mod tag;
#[cfg(test)]
mod tests;
mod topics;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::client::at_exit::Unsaid;
use crate::client::calls::Reply;
use crate::client::engine::Role;
use crate::client::event::Event;
use crate::client::stats_hub::StatsHub;
use crate::clock::earliest;
use crate::cluster::core::{self, Core};
use crate::cluster::nodes::Node;
use crate::consumer::chunk::Chunk;
use crate::consumer::fetcher::calls::Calls;
use crate::consumer::fetcher::node::FetchNode;
use crate::consumer::fetcher::part::{Part, Step};
use crate::consumer::fetcher::queries::{Owner, Queries};
use crate::consumer::fetcher::tag::Tag;
use crate::consumer::fetcher::watched::TopicWatch;
use crate::consumer::shared::{Command, Shared};
use crate::group::{CommitOwner, Group};
use crate::stats::Stats;
use crate::topic::TopicPartition;

/// The role of a consumer's client.
pub(crate) struct Fetcher {
    shared: Arc<Shared>,
    parts: BTreeMap<TopicPartition, Part>,
    nodes: BTreeMap<i32, FetchNode>,
    topics: TopicWatch,
    queries: Queries,
    calls: Calls,
    /// Where `group.id` is set.
    group: Option<Group>,
    /// There is news of topics for the group.
    regroup: bool,
    /// The client ends when the group has, at the latest at that time.
    closing: Option<(Instant, Reply<()>)>,
    /// There is news of topics to look at; or it is time to, at `watch_at`.
    unwatched: bool,
    watch_at: Option<Instant>,
    /// Which broker a partition is fetched from must be settled anew.
    unplaced: bool,
    /// Every broker may have something to send.
    replan: bool,
    /// Partitions may wait to be fetched behind fetches under way that are not about them.
    unserved: bool,
    /// When the ends of paused partitions are asked for next.
    ends_at: Option<Instant>,
    /// Counts all that may change what is fetched but answers to fetches.
    changes: u64,
    /// Some broker is left alone until the reader has caught up.
    waits_for_reader: bool,
    /// The broker whose fetch went out last.
    last_served: i32,
    /// Requests sent, for taking turns.
    turns: usize,
    /// On their way to the polling thread.
    events: Vec<Event>,
    chunks: Vec<Chunk>,
    stats: stats::FetcherStats,
    closed: bool,
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let config = &shared.config;
        let interval = config
            .enable_auto_commit
            .then_some(config.auto_commit_interval);
        let stable = shared.read_committed();
        Fetcher {
            group: grouping::terms(&shared).map(|terms| Group::new(terms, stable, interval)),
            regroup: false,
            closing: None,
            queries: Queries::new(shared.read_committed()),
            shared,
            parts: BTreeMap::new(),
            nodes: BTreeMap::new(),
            topics: TopicWatch::new(),
            calls: Calls::default(),
            unwatched: false,
            watch_at: None,
            unplaced: false,
            replan: false,
            unserved: false,
            ends_at: None,
            changes: 0,
            waits_for_reader: false,
            last_served: -1,
            turns: 0,
            events: Vec::new(),
            chunks: Vec::new(),
            stats: stats::FetcherStats::default(),
            closed: false,
        }
    }

    /// Does what a user's thread asked for.
    fn obey(&mut self, core: &mut Core<Tag>, now: Instant, command: Command) {
        self.changes += 1;
        match command {
            Command::Start {
                partition,
                generation,
                start,
            } => self.start(core, partition, generation, start),
            Command::Remove(partition) => {
                self.parts.remove(&partition.key());
                self.unplaced = true;
                self.forget_unused(core, &partition.topic);
            }
            Command::Stop {
                partition,
                generation,
            } => {
                if let Some(part) = self.parts.get_mut(&partition.key()) {
                    part.generation = generation;
                    part.step = Step::Stopped;
                }
            }
            Command::Whole { topic, start } => {
                core.want_topic(&topic);
                self.topics.entry(topic).or_default().whole = Some((start, None));
                self.unwatched = true;
            }
            Command::NotWhole(topic) => {
                if let Some(watched) = self.topics.get_mut(&topic) {
                    watched.whole = None;
                }
                self.forget_unused(core, &topic);
            }
            Command::Replan => {
                self.replan = true;
                self.unserved = true;
                self.watch_ends(now);
            }
            Command::Offsets {
                wanted,
                deadline,
                reply,
            } => {
                for (topic, _, _) in &wanted {
                    core.want_topic(topic);
                }
                let number = core.metadata_number();
                self.calls
                    .ask_offsets(&mut self.queries, now, number, wanted, deadline, reply);
            }
            Command::Partitions {
                topic,
                deadline,
                reply,
            } => {
                core.want_topic(&topic);
                self.calls.ask_partitions(now, topic, deadline, reply);
            }
            Command::Commit(commit) => self.commit(core, now, commit),
            Command::Committed {
                wanted,
                deadline,
                reply,
            } => self.committed(now, wanted, deadline, reply),
            Command::Subscribe(subscription) => self.subscribe(core, now, subscription),
            Command::Unsubscribe { deadline, reply } => {
                self.leave(core, now, "the consumer unsubscribed", deadline, reply);
            }
            Command::Acknowledge(number) => self.acknowledge(core, now, number),
            Command::SetAssignor(own) => {
                if let Some(group) = &mut self.group {
                    group.set_assignor(own);
                }
            }
            Command::ShareOut {
                number,
                shares,
                reply,
            } => {
                if let Some(group) = &mut self.group {
                    reply.give(group.shared_out(now, number, shares));
                }
            }
            Command::Returned => self.group.iter_mut().for_each(Group::returned),
            Command::Close { deadline, reply } => {
                self.closing = Some((deadline, reply));
                self.end_group(core, now, deadline);
            }
        }
    }

    /// Fetches no more, and leaves the group.
    fn end_group(&mut self, core: &mut Core<Tag>, now: Instant, deadline: Instant) {
        for part in self.parts.values_mut() {
            part.step = Step::Stopped;
        }
        let member = self.group.as_ref().is_some_and(Group::is_member);
        if member {
            self.leave(core, now, "the consumer closed", deadline, Reply::unheard());
        } else if self.shared.config.enable_auto_commit {
            self.commit_positions(now, deadline, CommitOwner::Auto, None);
        }
    }

    /// Ends the client once nothing is left to wait for.
    fn poll_closing(&mut self, now: Instant) -> Option<Instant> {
        let (deadline, reply) = self.closing.take()?;
        let quiet = self.group.as_ref().is_none_or(Group::is_quiet);
        if quiet || deadline <= now {
            self.close(&reply);
            return None;
        }
        self.closing = Some((deadline, reply));
        Some(deadline)
    }

    fn close(&mut self, reply: &Reply<()>) {
        self.closed = true;
        self.parts.clear();
        self.nodes.clear();
        let error = self.shared.inbox.closed_error();
        self.calls.close(&error);
        if let Some(group) = &mut self.group {
            group.close(&error);
        }
        self.shared.connect_calls.close();
        self.shared.stats.close();
        self.shared
            .inbox
            .items
            .with(std::collections::VecDeque::clear);
        reply.give(Ok(()));
    }

    fn poll_calls(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let mut answers = Vec::new();
        let calls = &self.calls;
        let alive = |owner: &Owner| match owner {
            Owner::Position {
                partition,
                generation,
                ..
            } => partition.generation() == *generation,
            Owner::End {
                partition,
                generation,
            } => partition.paused() && partition.generation() == *generation,
            Owner::Call { id, .. } => calls.is_open(*id),
        };
        let mut deadline = self.queries.send(core, now, alive, &mut answers);
        self.take_answers(core, answers);
        let unreachable = self.shared.inbox.unreachable();
        let mut unused = Vec::new();
        let calls = self
            .calls
            .poll(core, &self.queries, now, unreachable.as_ref(), &mut unused);
        deadline = earliest(deadline, calls);
        for topic in unused {
            self.forget_unused(core, &topic);
        }
        earliest(deadline, self.shared.connect_calls.poll(core, now))
    }
}

impl Role for Fetcher {
    type Tag = Tag;

    fn leave(&mut self, core: &mut Core<Tag>, now: Instant, by: Instant) {
        // The program's calls find out by themselves, if other threads of it still make any.
        if self.group.is_some() && self.closing.is_none() && !self.closed {
            let reply = Reply::unheard();
            self.obey(
                core,
                now,
                Command::Close {
                    deadline: by,
                    reply,
                },
            );
        }
    }

    fn unsaid(&self) -> Unsaid {
        Unsaid {
            busy: self.closing.is_some() && !self.closed,
            records: 0,
        }
    }

    fn on_event(&mut self, core: &mut Core<Tag>, now: Instant, event: core::Event<Tag>) {
        let tag = Tag::Fetch;
        self.changes +=
            u64::from(!matches!(event, core::Event::FetchPart { tag: of, .. } if of == tag));
        match event {
            core::Event::FetchPart {
                node: Node::Id(id),
                tag,
                part,
            } => self.on_fetch_part(core, now, (id, tag), part),
            core::Event::Response {
                node: Node::Id(id),
                tag: Tag::Offsets,
                version,
                body,
            } => {
                let mut answers = Vec::new();
                self.queries
                    .answered(core, now, id, version, body, &mut answers);
                self.take_answers(core, answers);
                self.replan = true;
            }
            core::Event::Failed {
                node: Node::Id(id),
                tag: Tag::Fetch,
                error,
            } => self.on_fetch_failed(now, id, &error),
            core::Event::Failed {
                node: Node::Id(id),
                tag: Tag::Aside,
                ..
            } => self.on_aside_failed(id),
            core::Event::Failed {
                node: Node::Id(id),
                tag: Tag::Offsets,
                error,
            } => {
                self.queries.failed(core, now, id, &error);
                self.replan = true;
            }
            core::Event::Response {
                node,
                tag: Tag::Group(ask),
                version,
                body,
            } => self.on_group_answer(core, now, (node, ask), version, body),
            core::Event::Failed {
                tag: Tag::Group(ask),
                error,
                ..
            } => self.on_group_failed(core, now, ask, &error),
            core::Event::Metadata => {
                self.unplaced = true;
                self.unwatched = true;
                self.regroup = true;
                self.shared.inbox.set_unreachable(None);
            }
            core::Event::Unreachable(error) => self.shared.inbox.set_unreachable(Some(error)),
            // Requests go to brokers by their id only.
            core::Event::Coordinator
            | core::Event::FetchPart { .. }
            | core::Event::Response { .. }
            | core::Event::Failed { .. } => {}
        }
    }

    fn poll(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        for command in self.shared.take_commands() {
            self.obey(core, now, command);
        }
        if self.closed {
            return None;
        }
        if std::mem::take(&mut self.unwatched) || self.watch_at.is_some_and(|t| t <= now) {
            self.watch_at = self.watch_topics(core, now);
        }
        let mut deadline = self.watch_at;
        if std::mem::take(&mut self.unplaced) {
            self.place(core, now);
        }
        deadline = earliest(deadline, self.renew_ends(now));
        deadline = earliest(deadline, self.poll_calls(core, now));
        deadline = earliest(deadline, self.poll_group(core, now));
        deadline = earliest(deadline, self.poll_closing(now));
        if self.closed {
            return None;
        }
        deadline = earliest(deadline, self.fetch_all(core, now));
        self.shared
            .inbox
            .deliver(&mut self.events, &mut self.chunks);
        deadline
    }

    fn finished(&self) -> bool {
        self.closed
    }

    fn stats_hub(&self) -> Option<&StatsHub> {
        Some(&self.shared.stats)
    }

    fn stats(&self, core: &Core<Tag>, now: Instant) -> Stats {
        self.make_stats(core, now)
    }

    fn stats_made(&self) {
        self.shared.inbox.items.poke();
    }
}
