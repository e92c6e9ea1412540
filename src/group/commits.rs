//! Committing offsets: in the order asked for, one request on its way at a time, so that a repeated request can't undo
//! a later one. What piles up meanwhile goes out together, the last offset of each partition.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::{Message, StrBytes};
use uuid::Uuid;

use crate::client::calls::Reply;
use crate::clock::earliest;
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode, Result};
use crate::group::offset::OffsetAndMetadata;
use crate::group::tag::{Ask, GroupTag, Identity, topic_id};
use crate::group::words::{Trouble, advice, trouble};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::offsets;
use crate::protocol::wire::string;
use crate::topic::TopicPartition;

/// Who wants offsets committed.
#[derive(Debug)]
pub(crate) enum CommitOwner {
    /// A caller that waits.
    Call(Reply<()>),
    /// The program, told by an event with this token.
    Event(u64),
    /// Ottla itself, in the background.
    Auto,
    /// Ottla itself, before partitions are let go; the number is the membership's.
    HandOver(u64),
}

/// Offsets to commit together; none: ends once all those before it have.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) owner: CommitOwner,
    pub(crate) offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
    pub(crate) failures: u32,
    pub(crate) last_error: Option<Error>,
    /// Asked for by a member of the group. Once the membership is over it is refused, never sent as by a stranger: a
    /// coordinator takes a stranger's word where a group has no members, and the others had gone further by then.
    pub(crate) by_member: bool,
}

impl Commit {
    pub(crate) fn new(
        owner: CommitOwner,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        since: Instant,
        deadline: Instant,
    ) -> Self {
        Commit {
            owner,
            offsets,
            since,
            deadline,
            failures: 0,
            last_error: None,
            by_member: false,
        }
    }
}

/// A commit's end.
pub(crate) type Done = (Commit, Result<()>);

/// A request on its way.
#[derive(Debug)]
struct InFlight {
    node: Node,
    commits: VecDeque<Commit>,
    /// The names of the topics that it has by their ids.
    names: BTreeMap<Uuid, TopicName>,
    /// Whose word it was sent on.
    generation: i32,
}

/// All commits of a consumer that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    waiting: VecDeque<Commit>,
    not_before: Option<Instant>,
    inflight: Option<InFlight>,
}

impl Commits {
    pub(crate) fn add(&mut self, commit: Commit) {
        self.waiting.push_back(commit);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.inflight.is_none()
    }

    /// Ends what waits and may not be committed any more.
    pub(crate) fn refuse(
        &mut self,
        why_not: impl Fn(&Commit) -> Option<Error>,
        done: &mut Vec<Done>,
    ) {
        for commit in std::mem::take(&mut self.waiting) {
            match why_not(&commit) {
                Some(error) => done.push((commit, Err(error))),
                None => self.waiting.push_back(commit),
            }
        }
    }

    /// True while there is something to send.
    pub(crate) fn wants_connection(&self, now: Instant) -> bool {
        self.inflight.is_none()
            && !self.waiting.is_empty()
            && self.not_before.is_none_or(|t| t <= now)
    }

    /// Ends what has waited too long, or for nobody; says when to look again.
    /// `obstacle` is what stands in the way of those that were never sent.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        obstacle: impl Fn() -> Option<Error>,
        done: &mut Vec<Done>,
    ) -> Option<Instant> {
        let mut behind = self.inflight.is_some();
        for commit in std::mem::take(&mut self.waiting) {
            if commit.offsets.is_empty() && !behind {
                done.push((commit, Ok(())));
                continue;
            }
            if commit.deadline <= now {
                let waited = now.saturating_duration_since(commit.since);
                let why = commit.last_error.clone().or_else(&obstacle).map_or_else(
                    || "the group's coordinator has not answered".to_owned(),
                    |e| e.message().to_owned(),
                );
                let error = Error::new(
                    ErrorCode::TIMED_OUT,
                    format!("committing offsets: not done within {waited:.1?}: {why}"),
                );
                done.push((commit, Err(error)));
            } else {
                behind = true;
                self.waiting.push_back(commit);
            }
        }
        let deadline = self.waiting.iter().map(|c| c.deadline).min();
        match self.inflight {
            Some(_) => deadline,
            None => earliest(deadline, self.not_before.filter(|t| *t > now)),
        }
    }

    /// Sends everything that waits in one request.
    pub(crate) fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (node, conn): (Node, ConnId),
        group: &str,
        identity: &Identity,
        done: &mut Vec<Done>,
    ) {
        let commits = std::mem::take(&mut self.waiting);
        let mut latest: BTreeMap<&TopicPartition, &OffsetAndMetadata> = BTreeMap::new();
        for (key, offset) in commits.iter().flat_map(|c| &c.offsets) {
            latest.insert(key, offset);
        }
        let mut request = request(group, identity, &latest);
        self.not_before = None;
        match call(core, conn, &mut request) {
            Ok(call) => {
                let timeout = core.config.request_timeout;
                core.send(now, conn, call, timeout, Ask::Commit.into(), true);
                let names = request.topics.into_iter().map(|t| (t.topic_id, t.name));
                self.inflight = Some(InFlight {
                    node,
                    commits,
                    names: names.collect(),
                    generation: identity.generation,
                });
            }
            Err(e) => done.extend(commits.into_iter().map(|c| (c, Err(e.clone())))),
        }
    }

    /// A request was answered. Says what the answer means for the membership or the coordinator. `generation` is the
    /// member's, `None` where the broker may have begun the next one before it read the commit.
    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        generation: Option<i32>,
        version: i16,
        body: Bytes,
        done: &mut Vec<Done>,
    ) -> Option<(Trouble, Error)> {
        let inflight = self.inflight.take()?;
        let response = match rpc::decode::<OffsetCommitRequest>(version, body) {
            Ok(response) => response,
            Err(e) => {
                self.retry(core, now, inflight.commits, &e);
                return None;
            }
        };
        core.throttle(
            now,
            inflight.node,
            Purpose::Group,
            response.throttle_time_ms,
        );
        let mut codes: BTreeMap<(&str, i32), ErrorCode> = BTreeMap::new();
        for topic in &response.topics {
            let by_id = (version >= offsets::BY_ID).then(|| inflight.names.get(&topic.topic_id));
            let Some(name) = by_id.unwrap_or(Some(&topic.name)) else {
                continue;
            };
            for p in &topic.partitions {
                let code = ErrorCode(i32::from(p.error_code));
                codes.insert((name.as_str(), p.partition_index), code);
            }
        }
        let who = core.address(inflight.node);
        let moved_on = generation != Some(inflight.generation);
        let mut worst = None;
        let mut again = VecDeque::new();
        for mut commit in inflight.commits {
            let failed = commit.offsets.iter().find_map(|((topic, partition), _)| {
                match codes.get(&(&**topic, *partition)) {
                    Some(&ErrorCode::NONE) => None,
                    Some(code) => Some((*code, topic, *partition)),
                    None => Some((ErrorCode::PROTOCOL, topic, *partition)),
                }
            });
            let Some((code, topic, partition)) = failed else {
                // Partitions are not let go while an earlier commit of theirs goes on.
                if matches!(commit.owner, CommitOwner::HandOver(_)) && !again.is_empty() {
                    again.push_back(commit);
                } else {
                    done.push((commit, Ok(())));
                }
                continue;
            };
            let trouble = trouble(code);
            let error = Error::new(
                code,
                format!(
                    "committing an offset of {topic}-{partition}: {who} answered {}{}",
                    code.name(),
                    advice(code)
                ),
            );
            if unknown(code) {
                core.refresh_metadata();
            }
            let waited_for = matches!(commit.owner, CommitOwner::Call(_));
            let retriable = match trouble {
                Some(Trouble::Coordinator | Trouble::Rebalancing) => true,
                // Sent for a generation that had ended when the broker read it.
                Some(Trouble::Member) => moved_on,
                None => code == ErrorCode::REQUEST_TIMED_OUT || (waited_for && unknown(code)),
            };
            if let Some(trouble) = trouble.filter(|t| !(moved_on && *t == Trouble::Member)) {
                worst = Some((trouble, error.clone()));
            }
            if retriable {
                commit.failures = commit.failures.saturating_add(1);
                commit.last_error = Some(error);
                again.push_back(commit);
            } else {
                done.push((commit, Err(error)));
            }
        }
        self.requeue(core, now, again);
        worst
    }

    /// A request will have no answer.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant, error: &Error) {
        if let Some(inflight) = self.inflight.take() {
            self.retry(core, now, inflight.commits, error);
        }
    }

    fn retry(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        mut commits: VecDeque<Commit>,
        error: &Error,
    ) {
        for commit in &mut commits {
            commit.failures = commit.failures.saturating_add(1);
            commit.last_error = Some(error.clone());
        }
        self.requeue(core, now, commits);
    }

    /// Puts commits back before those that came later.
    fn requeue(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        mut commits: VecDeque<Commit>,
    ) {
        let Some(failures) = commits.iter().map(|c| c.failures).max() else {
            return;
        };
        let backoff = Backoff::retries(&core.config);
        self.not_before = Some(now + backoff.after(failures, &mut core.rng));
        commits.append(&mut self.waiting);
        self.waiting = commits;
    }

    /// Takes out what waits and `wanted` no longer holds for.
    pub(crate) fn take_waiting(&mut self) -> VecDeque<Commit> {
        std::mem::take(&mut self.waiting)
    }

    /// The client ends, or its membership does.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Commit> {
        let inflight = self.inflight.take().map(|i| i.commits);
        inflight
            .into_iter()
            .flatten()
            .chain(std::mem::take(&mut self.waiting))
    }
}

fn unknown(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID
    )
}

/// The request in the highest common version: by the ids of its topics where all are known, so that no offset of a topic
/// is committed for another one of that name that was made since.
fn call(
    core: &Core<impl GroupTag>,
    conn: ConnId,
    request: &mut OffsetCommitRequest,
) -> Result<Call> {
    let key = offsets::COMMIT_KEY;
    let min = OffsetCommitRequest::VERSIONS.min;
    let version = core.version(conn, key, (min, offsets::BY_ID))?;
    if version >= offsets::BY_ID {
        let ids = request.topics.iter().map(|t| topic_id(core, &t.name));
        if let Some(ids) = ids.collect::<Option<Vec<Uuid>>>() {
            for (topic, id) in request.topics.iter_mut().zip(ids) {
                topic.topic_id = id;
            }
            let mut call = Call::begin(&core.config.client_id, key, version, 2)?;
            offsets::write_commit(&mut call.frame.meta, request);
            call.frame.finish();
            return Ok(call);
        }
    }
    Call::encode(
        &core.config.client_id,
        version.min(offsets::BY_ID - 1),
        request,
    )
}

fn request(
    group: &str,
    identity: &Identity,
    offsets: &BTreeMap<&TopicPartition, &OffsetAndMetadata>,
) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for ((topic, partition), offset) in offsets {
        if topics.last().is_none_or(|t| t.name.as_str() != &**topic) {
            let name = TopicName(StrBytes::from_string(topic.to_string()));
            topics.push(OffsetCommitRequestTopic::default().with_name(name));
        }
        let row = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(offset.offset)
            .with_committed_leader_epoch(offset.leader_epoch)
            .with_committed_metadata(Some(StrBytes::from_string(offset.metadata.clone())));
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(row);
        }
    }
    OffsetCommitRequest::default()
        .with_group_id(GroupId(string(group)))
        .with_generation_id_or_member_epoch(identity.generation)
        .with_member_id(StrBytes::from_string(identity.member_id.clone()))
        .with_group_instance_id(identity.instance_id.clone().map(StrBytes::from_string))
        .with_topics(topics)
}
