//! A group consumer against a coordinator that exists only as answers, on a clock of its own.

mod finding;
mod refusals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::find_coordinator_response::Coordinator as Named;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    BrokerId, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListOffsetsRequest,
    ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse,
};

use crate::client::event::{Event, EventKind};
use crate::client::rig::{Asked, Rig};
use crate::config::ConsumerConfig;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::reader::Reader;
use crate::consumer::shared::{Command, Shared};
use crate::error::ErrorCode;
use crate::group::offset::OffsetAndMetadata;
use crate::group::{Commit, CommitOwner, Pattern, Subscription};
use crate::protocol::offsets;
use crate::protocol::wire::string;
use crate::reading::poll::Polled;

pub(crate) const FETCH: i16 = 1;
pub(crate) const LIST_OFFSETS: i16 = 2;
pub(crate) const OFFSET_COMMIT: i16 = 8;
pub(crate) const OFFSET_FETCH: i16 = 9;
pub(crate) const FIND_COORDINATOR: i16 = 10;
pub(crate) const JOIN_GROUP: i16 = 11;
pub(crate) const HEARTBEAT: i16 = 12;
pub(crate) const LEAVE_GROUP: i16 = 13;
pub(crate) const SYNC_GROUP: i16 = 14;
pub(crate) const GROUP_HEARTBEAT: i16 = 68;

/// A consumer of topic `t`, which has one partition, in group `g`.
struct World {
    rig: Rig<Fetcher>,
    shared: Arc<Shared>,
    reader: Reader,
    /// These requests are refused with that.
    refused: Option<(i16, ErrorCode)>,
    /// When requests came, by API key.
    seen: BTreeMap<i16, Vec<Instant>>,
    /// The member ids of the joins, in order.
    joined_as: Vec<String>,
    /// The topics of commits by id; nil where they had names.
    committed: Vec<uuid::Uuid>,
    events: Vec<Event>,
    epoch: i32,
    /// What the heartbeats of the new protocol subscribed to: topics, and a pattern.
    subscribed: Vec<(Vec<String>, String)>,
    /// How many partitions the heartbeats of a member said it owns, those that said so.
    owned: Vec<usize>,
    /// The program commits whenever it is assigned something.
    commits: bool,
}

impl World {
    fn new(more: &[(&str, &str)]) -> Self {
        let pairs = [
            ("bootstrap.servers", "seed:1000"),
            ("group.id", "g"),
            // Fetches are not answered here.
            ("request.timeout.ms", "10min"),
            ("enable.metrics.push", "false"),
        ];
        let pairs = pairs.into_iter().chain(more.iter().copied());
        let config = ConsumerConfig::from_pairs(pairs).unwrap();
        let common = Arc::new(config.common.clone());
        let clock = crate::clock::Clock::Virtual(Arc::new(crate::clock::VirtualClock::new(1, 0)));
        let mut shared = None;
        let mut rig = Rig::new(common, |_, log| {
            let made = Arc::new(Shared::new(config, log, clock));
            shared = Some(made.clone());
            Fetcher::new(made)
        });
        rig.topics.insert("t", vec![1]);
        World {
            rig,
            shared: shared.unwrap(),
            reader: Reader::default(),
            refused: None,
            seen: BTreeMap::new(),
            joined_as: Vec::new(),
            committed: Vec::new(),
            events: Vec::new(),
            epoch: 0,
            subscribed: Vec::new(),
            owned: Vec::new(),
            commits: false,
        }
    }

    fn subscribe(&mut self) {
        let topics = [Arc::from("t")].into_iter().collect();
        self.shared
            .command(Command::Subscribe(Subscription::Topics(topics)));
        self.rig.turn();
    }

    fn subscribe_pattern(&mut self, pattern: &str) {
        let pattern = Pattern::new(pattern).unwrap();
        self.shared
            .command(Command::Subscribe(Subscription::Pattern(pattern)));
        self.rig.turn();
    }

    fn seen(&self, key: i16) -> &[Instant] {
        self.seen.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Lets the client and its coordinator do what they do for as long, the program polling all the time.
    fn run(&mut self, time: Duration) {
        let end = self.rig.now + time;
        let mut turns_at = (self.rig.now, 0);
        while self.rig.now < end {
            self.poll();
            if let Some(asked) = self.rig.asked.pop_front() {
                self.seen.entry(asked.key).or_default().push(self.rig.now);
                self.answer(&asked);
                // An answer takes a moment.
                self.rig.now += Duration::from_micros(200);
                self.rig.turn();
                continue;
            }
            if self.rig.now == turns_at.0 {
                turns_at.1 += 1;
                assert!(turns_at.1 < 50, "it spins");
            } else {
                turns_at = (self.rig.now, 0);
            }
            let due = self.rig.engine.deadline().unwrap_or(end).min(end);
            self.rig.now = self.rig.now.max(due);
            self.rig.turn();
        }
    }

    fn poll(&mut self) {
        while let Ok(Polled::Event(event)) = self.reader.poll(&self.shared, 100, Duration::ZERO) {
            if event.kind == EventKind::PartitionsAssigned && self.commits {
                let offset = OffsetAndMetadata {
                    offset: 1,
                    leader_epoch: -1,
                    metadata: String::new(),
                };
                let offsets = vec![((Arc::from("t"), 0), offset)];
                let by = self.rig.now + Duration::from_secs(3600);
                let owner = CommitOwner::Event(1);
                self.shared.command(Command::Commit(Commit::new(
                    owner,
                    offsets,
                    self.rig.now,
                    by,
                )));
            }
            self.events.push(event);
        }
        self.rig.turn();
    }

    /// The code that a request is answered with.
    fn code(&self, key: i16) -> i16 {
        match self.refused {
            Some((refused, code)) if refused == key => code.0 as i16,
            _ => 0,
        }
    }

    fn answer(&mut self, asked: &Asked) {
        let code = self.code(asked.key);
        match asked.key {
            FETCH => {}
            LIST_OFFSETS => self.answer_list_offsets(asked),
            OFFSET_COMMIT => {
                let partition = OffsetCommitResponsePartition::default().with_error_code(code);
                let request = match asked.version {
                    offsets::BY_ID => offsets::read_commit(&asked.body).unwrap(),
                    _ => asked.read(),
                };
                self.committed
                    .extend(request.topics.iter().map(|t| t.topic_id));
                let topics = request.topics.iter().map(|t| {
                    OffsetCommitResponseTopic::default()
                        .with_name(t.name.clone())
                        .with_topic_id(t.topic_id)
                        .with_partitions(vec![partition.clone()])
                });
                let answer = OffsetCommitResponse::default().with_topics(topics.collect());
                self.rig.answer::<OffsetCommitRequest>(asked, &answer);
            }
            OFFSET_FETCH => {
                let partition = OffsetFetchResponsePartitions::default().with_committed_offset(5);
                let topic = OffsetFetchResponseTopics::default()
                    .with_topic_id(uuid::Uuid::from_bytes([1; 16]))
                    .with_name(kafka_protocol::messages::TopicName(string("t")))
                    .with_partitions(vec![partition]);
                let group = OffsetFetchResponseGroup::default()
                    .with_error_code(code)
                    .with_topics(vec![topic]);
                let answer = OffsetFetchResponse::default().with_groups(vec![group]);
                self.rig.answer::<OffsetFetchRequest>(asked, &answer);
            }
            FIND_COORDINATOR => {
                let named = Named::default()
                    .with_key(string("g"))
                    .with_error_code(code)
                    .with_node_id(BrokerId(if code == 0 { 1 } else { -1 }))
                    .with_host(string("broker1"))
                    .with_port(1000);
                let answer = FindCoordinatorResponse::default().with_coordinators(vec![named]);
                self.rig.answer::<FindCoordinatorRequest>(asked, &answer);
            }
            JOIN_GROUP => self.answer_join(asked, code),
            SYNC_GROUP => {
                let request: SyncGroupRequest = asked.read();
                let share = request.assignments.first().map(|a| a.assignment.clone());
                let answer = SyncGroupResponse::default()
                    .with_error_code(code)
                    .with_assignment(share.filter(|_| code == 0).unwrap_or_default());
                self.rig.answer::<SyncGroupRequest>(asked, &answer);
            }
            HEARTBEAT => {
                let answer = HeartbeatResponse::default().with_error_code(code);
                self.rig.answer::<HeartbeatRequest>(asked, &answer);
            }
            LEAVE_GROUP => {
                let answer = LeaveGroupResponse::default().with_error_code(code);
                self.rig.answer::<LeaveGroupRequest>(asked, &answer);
            }
            GROUP_HEARTBEAT => self.answer_group_heartbeat(asked, code),
            key => panic!("API key {key}"),
        }
    }

    fn answer_list_offsets(&mut self, asked: &Asked) {
        let partition = ListOffsetsPartitionResponse::default().with_offset(0);
        let topic = ListOffsetsTopicResponse::default()
            .with_name(kafka_protocol::messages::TopicName(string("t")))
            .with_partitions(vec![partition]);
        let answer = ListOffsetsResponse::default().with_topics(vec![topic]);
        self.rig.answer::<ListOffsetsRequest>(asked, &answer);
    }

    fn answer_join(&mut self, asked: &Asked, code: i16) {
        let request: JoinGroupRequest = asked.read();
        self.joined_as.push(request.member_id.to_string());
        let id = match &*request.member_id {
            "" => string(&format!("m{}", self.joined_as.len())),
            _ => request.member_id.clone(),
        };
        let mut answer = JoinGroupResponse::default()
            .with_error_code(code)
            .with_member_id(id.clone());
        if code == 0 {
            self.epoch += 1;
            let protocol = &request.protocols[0];
            let member = JoinGroupResponseMember::default()
                .with_member_id(id.clone())
                .with_metadata(protocol.metadata.clone());
            answer = answer
                .with_generation_id(self.epoch)
                .with_protocol_type(Some(string("consumer")))
                .with_protocol_name(Some(protocol.name.clone()))
                .with_leader(id)
                .with_members(vec![member]);
        }
        self.rig.answer::<JoinGroupRequest>(asked, &answer);
    }

    fn answer_group_heartbeat(&mut self, asked: &Asked, code: i16) {
        let request: ConsumerGroupHeartbeatRequest = asked.read();
        let joins = request.member_epoch == 0;
        if let Some(owned) = request.topic_partitions.as_ref().filter(|_| !joins) {
            self.owned
                .push(owned.iter().map(|t| t.partitions.len()).sum());
        }
        if let Some(names) = &request.subscribed_topic_names {
            let names = names.iter().map(|n| n.to_string()).collect();
            let pattern = request.subscribed_topic_regex.as_deref();
            self.subscribed
                .push((names, pattern.unwrap_or_default().to_owned()));
        }
        self.epoch += i32::from(joins);
        let topic = TopicPartitions::default()
            .with_topic_id(uuid::Uuid::from_bytes([1; 16]))
            .with_partitions(vec![0]);
        let assignment = Assignment::default().with_topic_partitions(vec![topic]);
        let answer = ConsumerGroupHeartbeatResponse::default()
            .with_error_code(code)
            .with_member_id(Some(request.member_id.clone()))
            .with_member_epoch(self.epoch)
            .with_heartbeat_interval_ms(5000)
            .with_assignment((joins && code == 0).then_some(assignment));
        self.rig
            .answer::<ConsumerGroupHeartbeatRequest>(asked, &answer);
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|e| e.kind).collect()
    }
}
