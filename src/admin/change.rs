//! Calls that change topics: create, delete, add partitions.
//!
//! The controllers decide, and brokers hear of it a moment later. So a call first asks until each topic is done or
//! refused, and then looks at the metadata of the broker it asked until that shows the change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::protocol::{Request, StrBytes};

use super::describe::{ask_metadata, read_metadata};
use super::refusal::{Scene, is_transient, refusal};
use super::role::{Next, Operation, Response, Tag, Target};
use super::types::{NewPartitions, NewTopic, TopicResult};
use crate::client::calls::Reply;
use crate::cluster::core::Core;
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::ConnId;
use crate::net::rpc;
use crate::protocol::wire::{TopicId, string};

/// The version of CreateTopics that leaves numbers to the broker (KIP-464).
const BY_DEFAULT: i16 = 4;
/// The pauses between two looks at the metadata.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(100);

/// What shall be done.
pub(super) enum Change {
    Create {
        topics: Vec<NewTopic>,
        validate_only: bool,
    },
    Delete(Vec<String>),
    Grow {
        topics: Vec<NewPartitions>,
        validate_only: bool,
    },
}

impl Change {
    pub(super) fn call(&self) -> &'static str {
        match self {
            Change::Create { .. } => "create_topics",
            Change::Delete(_) => "delete_topics",
            Change::Grow { .. } => "create_partitions",
        }
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Change::Create { topics, .. } => topics.iter().map(|t| t.name.as_str()).collect(),
            Change::Delete(names) => names.iter().map(String::as_str).collect(),
            Change::Grow { topics, .. } => topics.iter().map(|t| t.name.as_str()).collect(),
        }
    }

    fn validate_only(&self) -> bool {
        match self {
            Change::Create { validate_only, .. } | Change::Grow { validate_only, .. } => {
                *validate_only
            }
            Change::Delete(_) => false,
        }
    }
}

/// A topic's part of an answer.
struct Answer {
    name: String,
    code: ErrorCode,
    words: Option<String>,
    id: TopicId,
    partitions: i32,
    replication_factor: i16,
}

impl Answer {
    fn new(name: String, code: i16, words: Option<&StrBytes>) -> Self {
        let (code, words) = (ErrorCode(i32::from(code)), words.map(|w| w.to_string()));
        Answer {
            name,
            code,
            words,
            id: [0; 16],
            partitions: -1,
            replication_factor: -1,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// To be asked for.
    Asking,
    /// Done by the controllers; the broker's metadata doesn't show it yet.
    Looking,
    Ended,
}

/// A call that changes topics.
pub(super) struct ChangeTopics {
    change: Change,
    index: BTreeMap<String, usize>,
    /// In the caller's order, as are the results.
    progress: Vec<Progress>,
    results: Vec<TopicResult>,
    /// A request that changes something is under way.
    asked: bool,
    /// A request that may have been carried out though its answer was lost.
    lost: Option<Error>,
    looks: u32,
    answer: Reply<Vec<TopicResult>>,
}

impl ChangeTopics {
    /// An error if a topic is named twice: there is one result per name.
    pub(super) fn new(change: Change, answer: Reply<Vec<TopicResult>>) -> Result<Self> {
        let mut index = BTreeMap::new();
        let names = change.names();
        for (i, name) in names.iter().enumerate() {
            if index.insert((*name).to_owned(), i).is_some() {
                return Err(Error::argument(format!(
                    "{}: topic '{name}' is given twice in one call",
                    change.call()
                )));
            }
        }
        let results = names
            .iter()
            .map(|name| TopicResult::new(name, None))
            .collect();
        let progress = vec![Progress::Asking; names.len()];
        Ok(ChangeTopics {
            change,
            index,
            progress,
            results,
            asked: false,
            lost: None,
            looks: 0,
            answer,
        })
    }

    fn any(&self, progress: Progress) -> bool {
        self.progress.contains(&progress)
    }

    fn names(&self, progress: Progress) -> Vec<String> {
        let each = self.results.iter().zip(&self.progress);
        each.filter(|(_, p)| **p == progress)
            .map(|(r, _)| r.name.clone())
            .collect()
    }

    fn ask(
        &self,
        core: &mut Core<Tag>,
        now: Instant,
        conn: ConnId,
        limit: Duration,
        tag: Tag,
    ) -> Result<()> {
        let asked = |i: usize| self.progress.get(i) == Some(&Progress::Asking);
        let timeout_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // The broker's own limit comes first: what it says then is worth more than silence.
        let patience = core.config.request_timeout + Duration::from_secs(1);
        match &self.change {
            Change::Create {
                topics,
                validate_only,
            } => {
                let wanted = topics.iter().enumerate().filter(|(i, _)| asked(*i));
                let by_default =
                    |(_, t): (usize, &NewTopic)| t.partitions == -1 || t.replication_factor == -1;
                if wanted.clone().any(by_default) {
                    let what =
                        "a topic with the broker's own number of partitions or replicas (-1)";
                    core.need(conn, CreateTopicsRequest::KEY, BY_DEFAULT, what)
                        .map_err(|e| e.and("; give both as numbers of at least 1"))?;
                }
                let request = CreateTopicsRequest::default()
                    .with_topics(wanted.map(|(_, t)| creatable(t)).collect())
                    .with_timeout_ms(timeout_ms)
                    .with_validate_only(*validate_only);
                core.call(now, conn, &request, i16::MAX, patience, tag)
            }
            Change::Delete(names) => {
                let wanted = || {
                    names
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| asked(*i))
                        .map(|(_, n)| topic_name(n))
                };
                let state = |name| DeleteTopicState::default().with_name(Some(name));
                // Version 6 has its names in another place than those before.
                let version = core.version(conn, 20, (1, 6))?;
                let mut request = DeleteTopicsRequest::default().with_timeout_ms(timeout_ms);
                if version >= 6 {
                    request.topics = wanted().map(state).collect();
                } else {
                    request.topic_names = wanted().collect();
                }
                core.call(now, conn, &request, version, patience, tag)
            }
            Change::Grow {
                topics,
                validate_only,
            } => {
                let wanted = topics.iter().enumerate().filter(|(i, _)| asked(*i));
                let topic = |t: &NewPartitions| {
                    CreatePartitionsTopic::default()
                        .with_name(topic_name(&t.name))
                        .with_count(t.total)
                        .with_assignments(None)
                };
                let request = CreatePartitionsRequest::default()
                    .with_topics(wanted.map(|(_, t)| topic(t)).collect())
                    .with_timeout_ms(timeout_ms)
                    .with_validate_only(*validate_only);
                core.call(now, conn, &request, i16::MAX, patience, tag)
            }
        }
    }

    fn decode(&self, reply: Response<'_>) -> Result<(Vec<Answer>, i32)> {
        let (version, body) = (reply.version, reply.body);
        match &self.change {
            Change::Create { .. } => {
                let response = rpc::decode::<CreateTopicsRequest>(version, body)?;
                let each = response.topics.iter().map(|t| Answer {
                    id: t.topic_id.into_bytes(),
                    partitions: t.num_partitions,
                    replication_factor: t.replication_factor,
                    ..Answer::new(t.name.to_string(), t.error_code, t.error_message.as_ref())
                });
                Ok((each.collect(), response.throttle_time_ms))
            }
            Change::Delete(_) => {
                let response = rpc::decode::<DeleteTopicsRequest>(version, body)?;
                let each = response.responses.iter().map(|t| Answer {
                    id: t.topic_id.into_bytes(),
                    ..Answer::new(
                        t.name.as_ref().map_or_else(String::new, |n| n.to_string()),
                        t.error_code,
                        t.error_message.as_ref(),
                    )
                });
                Ok((each.collect(), response.throttle_time_ms))
            }
            Change::Grow { .. } => {
                let response = rpc::decode::<CreatePartitionsRequest>(version, body)?;
                let each = response.results.iter().map(|t| {
                    Answer::new(t.name.to_string(), t.error_code, t.error_message.as_ref())
                });
                Ok((each.collect(), response.throttle_time_ms))
            }
        }
    }

    /// Takes in what the controllers decided; the error says why something is to be asked again.
    fn on_decision(&mut self, scene: Scene<'_>, answers: Vec<Answer>) -> Option<Error> {
        let mut again = None;
        let mut answered = vec![false; self.results.len()];
        for answer in answers {
            let Some(i) = self.index.get(&answer.name).copied() else {
                continue;
            };
            let (Some(progress), Some(result)) =
                (self.progress.get_mut(i), self.results.get_mut(i))
            else {
                continue;
            };
            if let Some(seen) = answered.get_mut(i) {
                *seen = true;
            }
            if *progress != Progress::Asking {
                continue;
            }
            if answer.code == ErrorCode::NONE {
                *progress = if self.change.validate_only() {
                    Progress::Ended
                } else {
                    Progress::Looking
                };
                result.id = answer.id;
                result.partitions = answer.partitions;
                result.replication_factor = answer.replication_factor;
                result.error = None;
                continue;
            }
            let mut error = refusal(scene, &answer.name, answer.code, answer.words.as_deref());
            if is_transient(answer.code) {
                again = Some(error.clone());
            } else {
                let settled = match &self.change {
                    Change::Create { .. } => answer.code == ErrorCode::TOPIC_ALREADY_EXISTS,
                    Change::Delete(_) => answer.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Change::Grow { .. } => answer.code == ErrorCode::INVALID_PARTITIONS,
                };
                if let Some(lost) = self.lost.as_ref().filter(|_| settled) {
                    error = error.and(format_args!(
                        "; an earlier request of this same call got no answer ({}) and may have done it",
                        lost.message()
                    ));
                }
                *progress = Progress::Ended;
            }
            // Kept even if it is to be asked again: the time may be over before.
            result.error = Some(error);
        }
        for ((progress, result), answered) in self
            .progress
            .iter_mut()
            .zip(&mut self.results)
            .zip(answered)
        {
            if *progress == Progress::Asking && !answered {
                *progress = Progress::Ended;
                let text = format!(
                    "{}: topic '{}': {} did not answer for it",
                    scene.call, result.name, scene.broker
                );
                result.error = Some(Error::protocol(text));
            }
        }
        again
    }

    /// Takes in what a broker's metadata shows of a topic that is done.
    fn on_look(&mut self, topic: &MetadataResponseTopic) {
        let Some(i) = topic
            .name
            .as_ref()
            .and_then(|n| self.index.get(n.as_str()))
            .copied()
        else {
            return;
        };
        let (Some(progress), Some(result)) = (self.progress.get_mut(i), self.results.get_mut(i))
        else {
            return;
        };
        let code = ErrorCode(i32::from(topic.error_code));
        let id = topic.topic_id.into_bytes();
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let led = count > 0 && topic.partitions.iter().all(|p| p.leader_id.0 >= 0);
        let wanted = match &self.change {
            Change::Create { .. } => result.partitions,
            Change::Grow { topics, .. } => topics.get(i).map_or(0, |t| t.total),
            Change::Delete(_) => 0,
        };
        // Someone who may not look has nothing to wait for.
        let shown = code == ErrorCode::TOPIC_AUTHORIZATION_FAILED
            || match &self.change {
                Change::Create { .. } | Change::Grow { .. } => {
                    code == ErrorCode::NONE && led && count >= wanted
                }
                // A topic of the same name but another id is a new one.
                Change::Delete(_) => {
                    code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                        || (code == ErrorCode::NONE && result.id != [0; 16] && id != result.id)
                }
            };
        if !shown || *progress != Progress::Looking {
            return;
        }
        *progress = Progress::Ended;
        if code == ErrorCode::NONE && !matches!(self.change, Change::Delete(_)) {
            result.id = id;
            result.partitions = count;
            let replicas = topic
                .partitions
                .first()
                .map_or(0, |p| p.replica_nodes.len());
            result.replication_factor = i16::try_from(replicas).unwrap_or(i16::MAX);
        }
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(string(name))
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(key, value): &(String, String)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(key.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    };
    CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(topic.configs.iter().map(config).collect())
}

impl Operation for ChangeTopics {
    fn name(&self) -> &'static str {
        self.change.call()
    }

    fn target(&self) -> Target {
        if self.any(Progress::Asking) {
            Target::Controller
        } else {
            Target::Same
        }
    }

    fn send(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        conn: ConnId,
        limit: Duration,
        tag: Tag,
    ) -> Result<()> {
        if self.any(Progress::Asking) {
            self.ask(core, now, conn, limit, tag)?;
            self.asked = true;
            Ok(())
        } else {
            let names = self.names(Progress::Looking);
            ask_metadata(core, now, conn, Some(&names), tag)
        }
    }

    fn on_reply(&mut self, reply: Response<'_>) -> Result<(Next, i32)> {
        let scene = reply.scene;
        let throttle_ms = if self.any(Progress::Asking) {
            self.asked = false;
            let (answers, throttle_ms) = self.decode(reply)?;
            if let Some(error) = self.on_decision(scene, answers) {
                return Ok((Next::Retry(error), throttle_ms));
            }
            throttle_ms
        } else {
            let response = match read_metadata(reply)? {
                Ok(response) => response,
                Err(error) => return Ok((Next::Retry(error), 0)),
            };
            for topic in &response.topics {
                self.on_look(topic);
            }
            response.throttle_time_ms
        };
        if !self.any(Progress::Looking) {
            return Ok((Next::Done, throttle_ms));
        }
        let pause = FIRST_LOOK
            .saturating_mul(1 << self.looks.min(10))
            .min(LAST_LOOK);
        let pause = if self.looks == 0 {
            Duration::ZERO
        } else {
            pause
        };
        self.looks = self.looks.saturating_add(1);
        Ok((Next::Again(pause), throttle_ms))
    }

    fn on_lost(&mut self, error: &Error) {
        if self.any(Progress::Asking) {
            self.asked = false;
            self.lost = Some(error.clone());
        }
    }

    fn end(mut self: Box<Self>, outcome: Result<()>) {
        let result = match outcome {
            Ok(()) => Ok(self.results),
            // What was done is done, though the broker asked doesn't show it yet.
            Err(_) if !self.any(Progress::Asking) => Ok(self.results),
            Err(error) => {
                // Nothing comes of what was never sent, or refused.
                let may_come = self.asked || self.lost.is_some();
                let hint = if may_come && !self.change.validate_only() {
                    "; it may still be carried out: list the topics to see"
                } else {
                    ""
                };
                let error = error.and(hint);
                if self.progress.iter().all(|p| *p == Progress::Asking) {
                    Err(error)
                } else {
                    for (progress, result) in self.progress.iter().zip(&mut self.results) {
                        if *progress == Progress::Asking {
                            result.error.get_or_insert_with(|| error.clone());
                        }
                    }
                    Ok(self.results)
                }
            }
        };
        self.answer.give(result);
    }
}
