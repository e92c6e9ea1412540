//! For tests of roles: feeds an engine by hand. Brokers are a function, time is virtual and jumps to what is due.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataResponse, RequestHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use super::core::Action;
use super::engine::{Engine, Role};
use crate::error::{Error, ErrorCode};
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;

/// What a broker does with an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dial {
    Accept,
    Refuse,
    Silence,
}

/// What a broker does with a request.
#[derive(Debug)]
pub(crate) enum Serve {
    /// Header tags, if any, and body.
    Reply(Bytes),
    Close,
    Silence,
}

/// A request as a broker gets it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Since the rig began.
    pub(crate) at: Duration,
    pub(crate) address: String,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) body: Bytes,
}

/// The other side.
pub(crate) trait Brokers {
    fn dial(&mut self, at: Duration, address: &str) -> Dial;
    fn serve(&mut self, request: &Seen) -> Serve;
}

pub(crate) struct Rig<R: Role, B: Brokers> {
    pub(crate) engine: Engine<R>,
    pub(crate) brokers: B,
    start: Instant,
    pub(crate) now: Instant,
    conns: BTreeMap<ConnId, String>,
}

impl<R: Role, B: Brokers> Rig<R, B> {
    pub(crate) fn new(now: Instant, engine: Engine<R>, brokers: B) -> Self {
        Rig {
            engine,
            brokers,
            start: now,
            now,
            conns: BTreeMap::new(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Runs until `done`, or until nothing is due before `limit`. Answers whether it was done.
    pub(crate) fn run(&mut self, limit: Duration, mut done: impl FnMut() -> bool) -> bool {
        self.engine.turn(self.now);
        // More turns than any sound engine needs: one that never rests is found out here.
        for _ in 0..100_000 {
            self.obey();
            if done() {
                return true;
            }
            match self.engine.deadline() {
                Some(at) if at <= self.start + limit => self.now = self.now.max(at),
                _ => {
                    self.now = self.now.max(self.start + limit);
                    return false;
                }
            }
            self.engine.turn(self.now);
        }
        panic!("the engine does not come to rest");
    }

    fn obey(&mut self) {
        loop {
            let actions = self.engine.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.obey_one(action);
            }
        }
    }

    fn obey_one(&mut self, action: Action) {
        let at = self.elapsed();
        let lost = |text: &str| Error::new(ErrorCode::CONNECT, text);
        match action {
            Action::Connect { conn, address } => {
                let address = address.to_string();
                match self.brokers.dial(at, &address) {
                    Dial::Accept => {
                        self.conns.insert(conn, address);
                        self.engine.connected(self.now, conn);
                    }
                    Dial::Refuse => self.engine.ended(self.now, conn, lost("refused")),
                    Dial::Silence => {}
                }
            }
            Action::Close { conn } => {
                self.conns.remove(&conn);
            }
            Action::Write {
                conn,
                frame,
                expect,
            } => {
                let Some(address) = self.conns.get(&conn).cloned() else {
                    return;
                };
                let mut body = Bytes::from(frame.meta).slice(4..);
                let key = ApiKey::try_from(body.clone().get_i16()).unwrap();
                let version = body.clone().slice(2..).get_i16();
                RequestHeader::decode(&mut body, key.request_header_version(version)).unwrap();
                let seen = Seen {
                    at,
                    address,
                    key,
                    version,
                    body,
                };
                match (self.brokers.serve(&seen), expect) {
                    (Serve::Reply(bytes), Some((correlation, _))) => {
                        self.engine.arrived(
                            self.now,
                            conn,
                            &mut vec![Arrival::Whole(correlation, bytes)],
                        );
                    }
                    (Serve::Close, _) => {
                        self.conns.remove(&conn);
                        self.engine
                            .ended(self.now, conn, lost("the broker closed the connection"));
                    }
                    (Serve::Reply(_) | Serve::Silence, _) => {}
                }
            }
        }
    }
}

/// An answer as it follows the correlation id.
pub(crate) fn reply<M: Encodable + HeaderVersion>(message: &M, version: i16) -> Serve {
    let mut out = BytesMut::new();
    if M::header_version(version) >= 1 {
        out.extend_from_slice(&[0]);
    }
    message.encode(&mut out, version).unwrap();
    Serve::Reply(out.freeze())
}

/// The answer to ApiVersions of a broker that speaks these APIs.
pub(crate) fn api_versions(version: i16, apis: &[(ApiKey, i16, i16)]) -> Serve {
    let api = |(key, min, max): &(ApiKey, i16, i16)| {
        ApiVersion::default()
            .with_api_key(*key as i16)
            .with_min_version(*min)
            .with_max_version(*max)
    };
    reply(
        &ApiVersionsResponse::default().with_api_keys(apis.iter().map(api).collect()),
        version,
    )
}

/// The answer to Metadata of a cluster of these brokers (id, host, port), the first its controller.
pub(crate) fn metadata(
    version: i16,
    brokers: &[(i32, &str, i32)],
    topics: Vec<MetadataResponseTopic>,
) -> Serve {
    let broker = |(id, host, port): &(i32, &str, i32)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(*id))
            .with_host(StrBytes::from_string((*host).to_owned()))
            .with_port(*port)
    };
    let response = MetadataResponse::default()
        .with_brokers(brokers.iter().map(broker).collect())
        .with_controller_id(BrokerId(brokers.first().map_or(-1, |b| b.0)))
        .with_cluster_id(Some(StrBytes::from_static_str("rig")))
        .with_topics(topics);
    reply(&response, version)
}
