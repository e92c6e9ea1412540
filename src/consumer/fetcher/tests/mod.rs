//! The role against a cluster that exists only as answers, on a clock of its own.

mod aside;
mod faults;
mod flow;
mod group;
mod lasting;
mod missing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_request::FetchRequest;
use kafka_protocol::messages::list_offsets_request::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, ListOffsetsResponse, MetadataResponse, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use super::*;
use crate::client::engine::Engine;
use crate::client::event::EventKind;
use crate::clock::{Clock, VirtualClock};
use crate::cluster::core::Action;
use crate::config::ConsumerConfig;
use crate::consumer::partition::Partition;
use crate::consumer::reader::Reader;
use crate::error::{Error, ErrorCode};
use crate::log::LogRing;
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;
use crate::protocol::fetch::{FetchHead, FetchPart, FetchedPartition, TopicRef};
use crate::protocol::produce::NodeEndpoint;
use crate::reading::poll::{Polled, Start};

const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const FETCH: i16 = 1;

/// A request that the test has to answer.
struct Asked {
    conn: ConnId,
    node: i32,
    version: i16,
    correlation: i32,
    body: Bytes,
}

/// One partition in a fetch request: partition, offset, epoch of the last record, as the tests compare them.
type Listed = (i32, i64, i32);

struct World {
    engine: Engine<Fetcher>,
    shared: Arc<Shared>,
    reader: Reader,
    now: Instant,
    /// Connections by the broker they are to (-1 for the bootstrap address).
    conns: BTreeMap<ConnId, i32>,
    fetches: VecDeque<Asked>,
    lookups: VecDeque<Asked>,
    /// The one topic's partitions: leader and epoch.
    leaders: Vec<(i32, i32)>,
    topic_id: u8,
    exists: bool,
    max_fetch_version: i16,
    metadata_requests: usize,
    /// Brokers that refuse connections.
    down: BTreeSet<i32>,
}

impl World {
    fn new(partitions: usize, more: &[(&str, &str)]) -> Self {
        let pairs = [("bootstrap.servers", "seed:1000")]
            .into_iter()
            .chain(more.iter().copied());
        let config = ConsumerConfig::from_pairs(pairs).unwrap();
        let log = Arc::new(LogRing::new("c", Some(crate::log::Level::Info)));
        let common = Arc::new(config.common.clone());
        let clock = Clock::Virtual(Arc::new(VirtualClock::new(1, 0)));
        let shared = Arc::new(Shared::new(config, log.clone(), clock.clone()));
        let now = Instant::now();
        let engine = Engine::new(
            Core::new(common, log, clock, now),
            Fetcher::new(shared.clone()),
        );
        World {
            engine,
            shared,
            reader: Reader::default(),
            now,
            conns: BTreeMap::new(),
            fetches: VecDeque::new(),
            lookups: VecDeque::new(),
            leaders: (0..partitions).map(|p| (p as i32 % 2 + 1, 5)).collect(),
            topic_id: 1,
            exists: true,
            max_fetch_version: 17,
            metadata_requests: 0,
            down: BTreeSet::new(),
        }
    }

    /// Assigns a partition and lets everything happen that needs no answer of the test's.
    fn assign(&mut self, partition: i32, start: Start) {
        let partition = self.shared.assignment().add("t", partition).unwrap();
        let generation = partition.restart(start);
        self.shared.command(Command::Start {
            partition,
            generation,
            start,
        });
        self.turn();
    }

    fn partition(&self, index: i32) -> Arc<Partition> {
        self.shared.assignment().get("t", index).unwrap().clone()
    }

    fn turn(&mut self) {
        self.engine.turn(self.now);
        self.act();
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.turn();
    }

    fn act(&mut self) {
        loop {
            let actions = self.engine.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Connect { conn, peer } => {
                        let address = peer.address;
                        let node = address
                            .host
                            .strip_prefix("broker")
                            .map_or(-1, |n| n.parse().unwrap());
                        if self.down.contains(&node) {
                            let error = Error::new(ErrorCode::CONNECT, "connection refused");
                            self.engine.ended(self.now, conn, error);
                        } else {
                            self.conns.insert(conn, node);
                            self.engine.connected(self.now, conn);
                        }
                    }
                    Action::Write {
                        conn,
                        frame,
                        expect,
                    } => {
                        let (correlation, _) = expect.unwrap();
                        self.asked(conn, correlation, Bytes::from(frame.meta[4..].to_vec()));
                    }
                    Action::Close { conn } => {
                        self.conns.remove(&conn);
                    }
                }
            }
        }
    }

    fn asked(&mut self, conn: ConnId, correlation: i32, mut frame: Bytes) {
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let header = match key {
            FETCH => FetchRequest::header_version(version),
            LIST_OFFSETS => ListOffsetsRequest::header_version(version),
            _ => 0,
        };
        if header > 0 {
            RequestHeader::decode(&mut frame, header).unwrap();
        }
        let asked = Asked {
            conn,
            node: self.conns[&conn],
            version,
            correlation,
            body: frame,
        };
        match key {
            API_VERSIONS => {
                let api = |key, max| {
                    ApiVersion::default()
                        .with_api_key(key)
                        .with_min_version(0)
                        .with_max_version(max)
                };
                let keys = [
                    (FETCH, self.max_fetch_version),
                    (LIST_OFFSETS, 9),
                    (METADATA, 12),
                    (API_VERSIONS, 3),
                ];
                let answer = ApiVersionsResponse::default()
                    .with_api_keys(keys.into_iter().map(|(key, max)| api(key, max)).collect());
                // A broker answers in a version it knows.
                self.answer(
                    &asked,
                    if version <= 3 { version } else { 0 },
                    0,
                    &answer,
                    version > 3,
                );
            }
            METADATA => {
                self.metadata_requests += 1;
                let answer = self.metadata();
                self.answer(
                    &asked,
                    version,
                    MetadataResponse::header_version(version),
                    &answer,
                    false,
                );
            }
            FETCH => self.fetches.push_back(asked),
            LIST_OFFSETS => self.lookups.push_back(asked),
            other => panic!("API {other}"),
        }
    }

    fn answer(
        &mut self,
        asked: &Asked,
        version: i16,
        header: i16,
        answer: &impl Encodable,
        refused: bool,
    ) {
        let mut body = BytesMut::new();
        if header > 0 {
            body.extend_from_slice(&[0]);
        }
        answer.encode(&mut body, version).unwrap();
        if refused {
            body[..2].copy_from_slice(&35i16.to_be_bytes());
        }
        let mut arrivals = vec![Arrival::Whole(asked.correlation, body.freeze())];
        self.engine.arrived(self.now, asked.conn, &mut arrivals);
    }

    fn metadata(&self) -> MetadataResponse {
        let brokers = (1..=3).map(|id| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_string(format!("broker{id}")))
                .with_port(1000)
        });
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("t"))));
        let topic = if self.exists {
            let partitions = self.leaders.iter().enumerate().map(|(i, (leader, epoch))| {
                MetadataResponsePartition::default()
                    .with_partition_index(i as i32)
                    .with_leader_id(BrokerId(*leader))
                    .with_leader_epoch(*epoch)
            });
            topic
                .with_topic_id(uuid::Uuid::from_bytes([self.topic_id; 16]))
                .with_partitions(partitions.collect())
        } else {
            topic.with_error_code(3)
        };
        MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_topics(vec![topic])
    }

    /// Goes on reading a partition somewhere else.
    fn seek(&mut self, partition: i32, start: Start) {
        let partition = self.partition(partition);
        let generation = partition.restart(start);
        self.shared.command(Command::Start {
            partition,
            generation,
            start,
        });
        self.turn();
    }

    /// Ends a connection.
    fn cut(&mut self, conn: ConnId, error: Error) {
        self.conns.remove(&conn);
        self.engine.ended(self.now, conn, error);
        self.act();
    }

    /// The next fetch request: whom it went to, and what it says.
    fn fetch(&mut self) -> (Asked, FetchRequest) {
        let mut asked = self.fetches.pop_front().expect("a fetch");
        let request = FetchRequest::decode(&mut asked.body, asked.version).unwrap();
        (asked, request)
    }

    /// Answers a fetch with these partitions.
    fn fetched(
        &mut self,
        asked: &Asked,
        session: i32,
        parts: Vec<FetchedPartition>,
        endpoints: Vec<NodeEndpoint>,
    ) {
        self.fetch_answered(asked, 0, session, parts, endpoints);
    }

    fn fetch_answered(
        &mut self,
        asked: &Asked,
        error_code: i16,
        session_id: i32,
        parts: Vec<FetchedPartition>,
        endpoints: Vec<NodeEndpoint>,
    ) {
        let mut arrivals = vec![Arrival::Fetch(
            asked.correlation,
            FetchPart::Head(FetchHead {
                throttle_ms: 0,
                error_code,
                session_id,
            }),
        )];
        let parts = parts
            .into_iter()
            .map(FetchPart::Partition)
            .chain([FetchPart::End(endpoints)]);
        arrivals.extend(parts.map(|part| Arrival::Fetch(asked.correlation, part)));
        self.engine.arrived(self.now, asked.conn, &mut arrivals);
        self.act();
    }

    /// Answers the next lookup: each partition asked for is at its offset in `offsets`, by its timestamp.
    fn looked_up(&mut self, answer: impl Fn(i32, i64) -> (i16, i64)) {
        let mut asked = self.lookups.pop_front().expect("a lookup");
        let request = ListOffsetsRequest::decode(&mut asked.body, asked.version).unwrap();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let (error, offset) = answer(p.partition_index, p.timestamp);
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(p.partition_index)
                    .with_error_code(error)
                    .with_offset(offset)
            });
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        let answer = ListOffsetsResponse::default().with_topics(topics.collect());
        self.answer(
            &asked,
            asked.version,
            ListOffsetsResponse::header_version(asked.version),
            &answer,
            false,
        );
        self.act();
    }

    fn poll(&mut self) -> Polled {
        let polled = self
            .reader
            .poll(&self.shared, 1_000_000, Duration::ZERO)
            .unwrap();
        self.turn();
        polled
    }

    /// Offsets of the next batch.
    fn records(&mut self) -> Vec<i64> {
        match self.poll() {
            Polled::Batch(batch) => batch.iter().map(|r| r.offset()).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn event(&mut self) -> crate::client::event::Event {
        match self.poll() {
            Polled::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }
}

/// What a request lists.
fn listed(request: &FetchRequest) -> Vec<Listed> {
    let each = request.topics.iter().flat_map(|t| &t.partitions);
    let mut all: Vec<_> = each
        .map(|p| (p.partition, p.fetch_offset, p.last_fetched_epoch))
        .collect();
    all.sort_unstable();
    all
}

/// What a request drops from its session.
fn forgotten(request: &FetchRequest) -> Vec<i32> {
    request
        .forgotten_topics_data
        .iter()
        .flat_map(|t| t.partitions.clone())
        .collect()
}

/// A partition's part of an answer, without records.
fn part(partition: i32) -> FetchedPartition {
    FetchedPartition {
        topic: TopicRef::Id([1; 16]),
        partition,
        error_code: 0,
        high_watermark: 1000,
        last_stable_offset: 1000,
        log_start_offset: 0,
        aborted: Vec::new(),
        preferred_read_replica: -1,
        diverging_epoch: None,
        current_leader: None,
        records: None,
    }
}

/// A partition's part of an answer that refuses it.
fn refused(partition: i32, error_code: i16) -> FetchedPartition {
    FetchedPartition {
        error_code,
        ..part(partition)
    }
}

/// A partition's part of an answer, with these batches.
fn holding(partition: i32, batches: &[Vec<u8>]) -> FetchedPartition {
    FetchedPartition {
        records: Some(crate::reading::testing::pooled(batches)),
        ..part(partition)
    }
}
