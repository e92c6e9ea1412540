//! For tests of roles: a cluster that exists only as answers, on a clock of its own. It greets connections and answers
//! Metadata by itself; every other request waits for the test to answer it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataResponse, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::client::engine::{Engine, Role};
use crate::clock::{Clock, VirtualClock};
use crate::cluster::core::{Action, Core};
use crate::config::CommonConfig;
use crate::error::{Error, ErrorCode};
use crate::log::LogRing;
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;
use crate::protocol::schema::request_header_version;

const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;

/// A request that the test has to answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) conn: ConnId,
    /// The broker, -1 for the bootstrap address.
    pub(crate) node: i32,
    pub(crate) key: i16,
    pub(crate) version: i16,
    correlation: i32,
    /// What follows the request's header; of a Produce request without the batches' bodies.
    pub(crate) body: Bytes,
}

impl Asked {
    /// The request.
    pub(crate) fn read<R: Request>(&self) -> R {
        assert_eq!(self.key, R::KEY);
        R::decode(&mut self.body.clone(), self.version).unwrap()
    }
}

pub(crate) struct Rig<R: Role> {
    pub(crate) engine: Engine<R>,
    pub(crate) now: Instant,
    /// Open connections by the broker they are to.
    pub(crate) conns: BTreeMap<ConnId, i32>,
    pub(crate) asked: VecDeque<Asked>,
    /// The topics' leaders, by partition.
    pub(crate) topics: BTreeMap<&'static str, Vec<i32>>,
    /// API keys with their highest version; those not named are offered in all versions the client knows.
    pub(crate) most: BTreeMap<i16, i16>,
    /// The cluster's finalized features.
    pub(crate) features: BTreeMap<&'static str, i16>,
    /// ApiVersions is offered in version 5, and brokers check whom it is meant for.
    pub(crate) checks_ids: bool,
    /// Brokers at whose addresses others are.
    pub(crate) misrouted: BTreeSet<i32>,
    /// The greetings of the connections, as brokers, versions and bodies.
    pub(crate) greetings: Vec<(i32, i16, Bytes)>,
    /// Every broker that was connected to, in turn.
    pub(crate) tried: Vec<i32>,
    /// Topics that don't exist.
    pub(crate) missing: Vec<&'static str>,
    /// Brokers that refuse connections.
    pub(crate) down: BTreeSet<i32>,
    /// How often all topics were deleted and created anew: they have other ids then.
    pub(crate) recreated: u8,
    /// Brokers' racks.
    pub(crate) racks: BTreeMap<i32, &'static str>,
}

impl<R: Role> Rig<R> {
    /// A client whose one bootstrap address leads to brokers 1 to 3.
    pub(crate) fn new(
        config: Arc<CommonConfig>,
        role: impl FnOnce(Instant, Arc<LogRing>) -> R,
    ) -> Self {
        let now = Instant::now();
        let log = Arc::new(LogRing::new("c", None));
        let clock = Clock::Virtual(Arc::new(VirtualClock::new(1, 0)));
        let core = Core::new(config, log.clone(), clock, now);
        Self::of(Engine::new(core, role(now, log)), now)
    }

    /// A client that exists already, at the time `now`.
    pub(crate) fn of(engine: Engine<R>, now: Instant) -> Self {
        Rig {
            engine,
            now,
            conns: BTreeMap::new(),
            asked: VecDeque::new(),
            topics: BTreeMap::new(),
            most: BTreeMap::new(),
            features: BTreeMap::new(),
            tried: Vec::new(),
            checks_ids: false,
            misrouted: BTreeSet::new(),
            greetings: Vec::new(),
            missing: Vec::new(),
            down: BTreeSet::new(),
            recreated: 0,
            racks: BTreeMap::new(),
        }
    }

    /// Lets everything happen that needs no answer of the test's.
    pub(crate) fn turn(&mut self) {
        self.engine.turn(self.now);
        self.act();
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.turn();
    }

    /// Lets time pass up to the client's own next deadline; how long that was.
    pub(crate) fn wait_due(&mut self) -> Duration {
        let due = self.engine.deadline().expect("a deadline");
        let waited = due.saturating_duration_since(self.now);
        self.now += waited;
        self.turn();
        waited
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
                        self.tried.push(node);
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
                        if let Some((correlation, _)) = expect {
                            self.on_request(
                                conn,
                                correlation,
                                Bytes::from(frame.meta[4..].to_vec()),
                            );
                        }
                    }
                    Action::Close { conn } => {
                        self.conns.remove(&conn);
                    }
                }
            }
        }
    }

    fn on_request(&mut self, conn: ConnId, correlation: i32, mut frame: Bytes) {
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let Some(node) = self.conns.get(&conn).copied() else {
            return;
        };
        if key == API_VERSIONS {
            self.greetings.push((node, version, frame.clone()));
            return self.greet(conn, correlation, version);
        }
        // Of versions that the `kafka-protocol` crate doesn't have all are flexible.
        let header = request_header_version(key, version).unwrap_or(2);
        RequestHeader::decode(&mut frame, header).unwrap();
        let asked = Asked {
            conn,
            node,
            key,
            version,
            correlation,
            body: frame,
        };
        if key == METADATA {
            let answer = self.metadata();
            self.answer::<kafka_protocol::messages::MetadataRequest>(&asked, &answer);
        } else {
            self.asked.push_back(asked);
        }
    }

    fn greet(&mut self, conn: ConnId, correlation: i32, version: i16) {
        let keys = (0..100).filter_map(|key| {
            let own = ApiKey::try_from(key).ok()?.valid_versions();
            let most = self.most.get(&key).copied().unwrap_or(own.max);
            Some(
                ApiVersion::default()
                    .with_api_key(key)
                    .with_min_version(own.min)
                    .with_max_version(match self.checks_ids && key == API_VERSIONS {
                        true => crate::net::rpc::GREETING,
                        false => most,
                    }),
            )
        });
        let features = self.features.iter().map(|(name, level)| {
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_static_str(name))
                .with_max_version_level(*level)
                .with_min_version_level(*level)
        });
        let node = self.conns.get(&conn).copied();
        let misrouted = version == 5 && node.is_some_and(|n| self.misrouted.contains(&n));
        let code = if misrouted {
            ErrorCode::REBOOTSTRAP_REQUIRED.0 as i16
        } else {
            0
        };
        let answer = ApiVersionsResponse::default()
            .with_error_code(code)
            .with_api_keys(keys.collect())
            .with_finalized_features_epoch(1)
            .with_finalized_features(features.collect());
        let mut body = BytesMut::new();
        answer.encode(&mut body, version.min(4)).unwrap();
        let mut arrivals = vec![Arrival::Whole(correlation, body.freeze())];
        self.engine.arrived(self.now, conn, &mut arrivals);
    }

    /// The id of topic `i`, in the order of their names, after it was created anew so often.
    pub(crate) fn topic_id(&self, i: usize, recreated: u8) -> [u8; 16] {
        let mut id = [i as u8 + 1; 16];
        id[0] += recreated;
        id
    }

    fn metadata(&self) -> MetadataResponse {
        let brokers = (1..=3).map(|id| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_string(format!("broker{id}")))
                .with_port(1000)
                .with_rack(self.racks.get(&id).map(|r| StrBytes::from_static_str(r)))
        });
        let topics = self.topics.iter().enumerate().map(|(i, (name, leaders))| {
            let partitions = leaders.iter().enumerate().map(|(p, leader)| {
                MetadataResponsePartition::default()
                    .with_partition_index(p as i32)
                    .with_leader_id(BrokerId(*leader))
                    .with_leader_epoch(1)
            });
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_static_str(name))))
                .with_topic_id(uuid::Uuid::from_bytes(self.topic_id(i, self.recreated)))
                .with_is_internal(name.starts_with("__"))
                .with_partitions(partitions.collect())
        });
        let missing = self.missing.iter().map(|name| {
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_static_str(name))))
                .with_error_code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0 as i16)
        });
        MetadataResponse::default()
            .with_cluster_id(Some(StrBytes::from_static_str("the-cluster")))
            .with_brokers(brokers.collect())
            .with_controller_id(BrokerId(1))
            .with_topics(topics.chain(missing).collect())
    }

    /// The next request that waits for an answer; it must be of this API.
    pub(crate) fn next<Q: Request>(&mut self) -> (Asked, Q) {
        let asked = self.asked.pop_front().expect("a request");
        let request = asked.read();
        (asked, request)
    }

    /// Answers a request.
    pub(crate) fn answer<Q: Request>(&mut self, asked: &Asked, answer: &Q::Response)
    where
        Q::Response: Encodable + HeaderVersion,
    {
        let mut body = BytesMut::new();
        if Q::Response::header_version(asked.version) > 0 {
            body.extend_from_slice(&[0]);
        }
        answer.encode(&mut body, asked.version).unwrap();
        self.answer_raw(asked, body.freeze());
    }

    /// Answers a request with what follows the correlation id.
    pub(crate) fn answer_raw(&mut self, asked: &Asked, body: Bytes) {
        let mut arrivals = vec![Arrival::Whole(asked.correlation, body)];
        self.engine.arrived(self.now, asked.conn, &mut arrivals);
        self.act();
    }

    /// Ends a connection.
    pub(crate) fn cut(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
        let error = Error::new(ErrorCode::CONNECT, "connection reset by peer");
        self.engine.ended(self.now, conn, error);
        self.act();
    }
}
