//! One client: raw requests out, answers written down without what may differ.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// What came back.
pub(crate) enum Reply {
    Frame(Bytes),
    Closed,
}

pub(crate) struct Talk {
    address: String,
    stream: Option<TcpStream>,
    correlation: i32,
    transcript: String,
    ids: Vec<Uuid>,
    /// Ids that were made up by the broker, in the order they were seen.
    made_up: Vec<String>,
    names: BTreeMap<String, Uuid>,
    /// Names of this run and what the record calls them.
    fresh: Vec<(String, String)>,
    cluster_id: Option<String>,
}

impl Talk {
    pub(crate) fn new(address: String) -> Self {
        Talk {
            address,
            stream: None,
            correlation: 0,
            transcript: String::new(),
            ids: Vec::new(),
            made_up: Vec::new(),
            names: BTreeMap::new(),
            fresh: Vec::new(),
            cluster_id: None,
        }
    }

    /// Another connection of the same client, for requests whose answers are waited for side by side.
    pub(crate) fn beside(&self) -> Talk {
        Talk {
            ids: self.ids.clone(),
            ..Talk::new(self.address.clone())
        }
    }

    pub(crate) fn transcript(self) -> String {
        self.transcript
    }

    /// Has the next request go over a new connection.
    pub(crate) fn reconnect(&mut self) {
        self.stream = None;
    }

    fn stream(&mut self) -> &mut TcpStream {
        let address = &self.address;
        self.stream.get_or_insert_with(|| {
            let stream = TcpStream::connect(address).expect("connecting");
            stream.set_read_timeout(Some(LIMIT)).expect("a limit");
            stream.set_nodelay(true).expect("no delay");
            stream
        })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The other side may have closed; then reading says so.
        let _ = self.stream().write_all(bytes);
    }

    /// Reads one frame.
    pub(crate) fn receive(&mut self) -> Reply {
        let mut read = |n: usize| -> Option<Vec<u8>> {
            let mut bytes = vec![0; n];
            match self.stream().read_exact(&mut bytes) {
                Ok(()) => Some(bytes),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("no answer within {LIMIT:?}")
                }
                Err(_) => None,
            }
        };
        let frame = read(4).and_then(|length| {
            read(u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize)
        });
        match frame {
            Some(frame) => Reply::Frame(Bytes::from(frame)),
            None => {
                self.stream = None;
                Reply::Closed
            }
        }
    }

    /// A request as a frame with its length.
    pub(crate) fn frame<R: Request>(&mut self, version: i16, request: &R) -> Vec<u8> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(text("conformance")));
        let mut frame = BytesMut::new();
        header
            .encode(&mut frame, R::header_version(version))
            .expect("a header");
        request.encode(&mut frame, version).expect("a request");
        [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
    }

    fn exchange<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        self.post(version, request);
        self.answer::<R>(version)
    }

    fn answer<R: Request>(&mut self, version: i16) -> Option<R::Response> {
        match self.receive() {
            Reply::Closed => None,
            Reply::Frame(mut bytes) => {
                let header =
                    ResponseHeader::decode(&mut bytes, R::Response::header_version(version))
                        .expect("a header");
                assert_eq!(header.correlation_id, self.correlation);
                let response = R::Response::decode(&mut bytes, version).expect("an answer");
                assert!(bytes.is_empty(), "{} bytes too many", bytes.len());
                Some(response)
            }
        }
    }

    /// Sends a request whose answer is [`wait_for`](Self::wait_for)ed later.
    pub(crate) fn post<R: Request>(&mut self, version: i16, request: &R) {
        let frame = self.frame(version, request);
        self.send(&frame);
    }

    /// The answer to a request that another connection of this client posted, written down here.
    pub(crate) fn wait_for<R: Request>(
        &mut self,
        other: &mut Talk,
        label: &str,
        version: i16,
        sort: impl Fn(&mut R::Response),
    ) -> R::Response
    where
        R::Response: std::fmt::Debug,
    {
        let mut response = other.answer::<R>(version).expect("an answer");
        sort(&mut response);
        let written = self.normal(&format!("{response:?}"));
        self.write_down(&format!("{label} v{version}"), &written);
        response
    }

    /// Sends a request and writes its answer down.
    pub(crate) fn ask<R: Request>(
        &mut self,
        label: &str,
        version: i16,
        request: &R,
    ) -> Option<R::Response>
    where
        R::Response: std::fmt::Debug,
    {
        self.ask_sorted(label, version, request, |_| {})
    }

    /// The same, with what Kafka answers in the order of a hash table put into another order.
    pub(crate) fn ask_sorted<R: Request>(
        &mut self,
        label: &str,
        version: i16,
        request: &R,
        sort: impl Fn(&mut R::Response),
    ) -> Option<R::Response>
    where
        R::Response: std::fmt::Debug,
    {
        let mut response = self.exchange(version, request);
        let written = match &mut response {
            Some(response) => {
                sort(response);
                self.normal(&format!("{response:?}"))
            }
            None => "CLOSED".to_owned(),
        };
        self.write_down(&format!("{label} v{version}"), &written);
        response
    }

    /// The same for a version that has the messages of an older one and that the encoders don't know.
    pub(crate) fn ask_as<R: Request>(&mut self, label: &str, version: i16, as_of: i16, request: &R)
    where
        R::Response: std::fmt::Debug,
    {
        let mut frame = self.frame(as_of, request);
        frame[6..8].copy_from_slice(&version.to_be_bytes());
        self.send(&frame);
        let written = match self.answer::<R>(as_of) {
            Some(response) => self.normal(&format!("{response:?}")),
            None => "CLOSED".to_owned(),
        };
        self.write_down(&format!("{label} v{version}"), &written);
    }

    /// Sends a request without writing its answer down.
    pub(crate) fn quietly<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.exchange(version, request).expect("an answer")
    }

    /// Writes down what comes after raw bytes.
    pub(crate) fn after(&mut self, label: &str, bytes: &[u8]) {
        self.reconnect();
        self.send(bytes);
        let written = match self.receive() {
            Reply::Closed => "CLOSED".to_owned(),
            Reply::Frame(frame) => format!("ANSWERED {} bytes", frame.len()),
        };
        self.write_down(label, &written);
        self.reconnect();
    }

    pub(crate) fn write_down(&mut self, label: &str, what: &str) {
        self.transcript.push_str(&format!("## {label}\n{what}\n"));
    }

    /// Without ids, addresses and times, and broken into lines.
    fn normal(&mut self, debug: &str) -> String {
        let mut s = debug
            .replace(", unknown_tagged_fields: {}", "")
            .replace("unknown_tagged_fields: {}", "");
        for (name, shown) in &self.fresh {
            s = s.replace(name, shown);
        }
        for (i, id) in self.ids.iter().enumerate() {
            s = s.replace(&id.to_string(), &format!("ID{i}"));
        }
        if let Some(id) = &self.cluster_id {
            s = s.replace(id, "CLUSTER");
        }
        s = self.name_made_up(&s);
        s = replace_field(&s, "host: \"", |h| {
            (!h.is_empty()).then(|| "HOST".to_owned())
        });
        s = replace_field(&s, "port: ", |p| {
            (p != "0" && p != "-1").then(|| "PORT".to_owned())
        });
        s = replace_field(&s, "rack: ", |_| Some("RACK".to_owned()));
        s = replace_field(&s, "session_id: ", |p| {
            (p != "0").then(|| "SESSION".to_owned())
        });
        s = replace_field(&s, "producer_id: ProducerId(", |p| {
            (p != "-1").then(|| "PRODUCER".to_owned())
        });
        s = replace_field(&s, "producer_id: ", |p| {
            (p != "-1" && !p.starts_with('P')).then(|| "PRODUCER".to_owned())
        });
        s = replace_field(&s, "should be within [", |_| Some("TIME".to_owned()));
        s = replace_field(&s, "TIME, ", |_| Some("TIME".to_owned()));
        for field in [
            "log_append_time_ms: ",
            "transaction_start_time_ms: ",
            "last_timestamp: ",
        ] {
            s = replace_field(&s, field, |p| (p != "-1").then(|| "NOW".to_owned()));
        }
        s.replace("}, ", "},\n  ")
            .replace("], ", "],\n  ")
            .replace(": [", ":\n  [")
    }

    /// Numbers in place of ids that the broker made up, such as those of members.
    fn name_made_up(&mut self, s: &str) -> String {
        let is_id = |word: &str| Uuid::try_parse(word).is_ok_and(|id| id.get_version_num() == 4);
        let mut out = String::new();
        let mut rest = s;
        while let Some(at) = rest.find('-').filter(|_| rest.len() >= 36) {
            // An id has its first hyphen behind eight digits.
            let id = at.checked_sub(8).and_then(|from| rest.get(from..from + 36));
            match id.filter(|word| is_id(word)) {
                Some(id) => {
                    let known = self.made_up.iter().position(|m| m == id);
                    let number = known.unwrap_or_else(|| {
                        self.made_up.push(id.to_owned());
                        self.made_up.len() - 1
                    });
                    out.push_str(&rest[..at - 8]);
                    out.push_str(&format!("MADE-UP{number}"));
                    rest = &rest[at + 28..];
                }
                None => {
                    out.push_str(&rest[..=at]);
                    rest = &rest[at + 1..];
                }
            }
        }
        out + rest
    }

    /// Makes topics afresh, with the settings `config`, and answers their ids when they have leaders.
    pub(crate) fn make_topics(
        &mut self,
        topics: &[(&str, i32)],
        config: &[(&str, &str)],
    ) -> Vec<Uuid> {
        self.remove_topics(&topics.iter().map(|t| t.0).collect::<Vec<_>>());
        let configs: Vec<CreatableTopicConfig> = config
            .iter()
            .map(|(k, v)| {
                CreatableTopicConfig::default()
                    .with_name(text(k))
                    .with_value(Some(text(v)))
            })
            .collect();
        let wanted = topics.iter().map(|(name, partitions)| {
            CreatableTopic::default()
                .with_name(topic(name))
                .with_num_partitions(*partitions)
                .with_replication_factor(1)
                .with_configs(configs.clone())
        });
        let request = CreateTopicsRequest::default()
            .with_topics(wanted.collect())
            .with_timeout_ms(10_000);
        let made = self.quietly(7, &request);
        assert!(made.topics.iter().all(|t| t.error_code == 0), "{made:?}");
        let names: Vec<&str> = topics.iter().map(|t| t.0).collect();
        self.until(&names, |name, code, partitions| {
            let expected = topics
                .iter()
                .find(|t| t.0 == name)
                .map_or(0, |t| t.1 as usize);
            code == 0 && partitions == expected
        });
        for (name, partitions) in topics {
            self.until_led(name, *partitions);
        }
        let ids: Vec<Uuid> = made.topics.iter().map(|t| t.topic_id).collect();
        self.ids.extend(&ids);
        let named = topics.iter().zip(&ids);
        self.names
            .extend(named.map(|((name, _), id)| ((*name).to_owned(), *id)));
        ids
    }

    /// Waits until the leaders of a topic know that they are; metadata tells it earlier.
    fn until_led(&mut self, name: &str, partitions: i32) {
        let latest = |index| {
            ListOffsetsPartition::default()
                .with_partition_index(index)
                .with_timestamp(-1)
        };
        let topic = ListOffsetsTopic::default()
            .with_name(topic(name))
            .with_partitions((0..partitions).map(latest).collect());
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let started = Instant::now();
        while self.quietly(4, &request).topics[0]
            .partitions
            .iter()
            .any(|p| p.error_code != 0)
        {
            assert!(started.elapsed() < LIMIT, "nobody leads {name}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The id of a topic made here.
    pub(crate) fn id_of(&self, name: &str) -> Uuid {
        self.names.get(name).copied().unwrap_or_default()
    }

    /// Has a name that the broker made up be called `shown` in the record from now on.
    pub(crate) fn shows(&mut self, name: &str, shown: &str) {
        self.fresh.push((name.to_owned(), shown.to_owned()));
    }

    /// A name that no other run has used, which the record calls `conf-NAME`.
    pub(crate) fn fresh(&mut self, name: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let fresh = format!("conf-{name}-{:x}", now.expect("a clock").as_nanos());
        self.fresh.push((fresh.clone(), format!("conf-{name}")));
        fresh
    }

    /// Deletes topics that may exist and waits until they don't.
    pub(crate) fn remove_topics(&mut self, names: &[&str]) {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(names.iter().map(|n| topic(n)).collect())
            .with_timeout_ms(10_000);
        self.quietly(5, &request);
        self.until(names, |_, code, _| code == 3);
    }

    /// A new producer id; a Kafka that has just started first has to get some from its controller.
    pub(crate) fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000);
        let started = Instant::now();
        loop {
            let answer = self.quietly(4, &request);
            if answer.error_code == 0 {
                return answer.producer_id.0;
            }
            assert!(started.elapsed() < LIMIT, "no producer id: {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks for metadata until `good` (name, error, partitions with a leader) says so of every topic.
    pub(crate) fn until(&mut self, names: &[&str], good: impl Fn(&str, i16, usize) -> bool) {
        let request = MetadataRequest::default()
            .with_topics(Some(
                names
                    .iter()
                    .map(|n| MetadataRequestTopic::default().with_name(Some(topic(n))))
                    .collect(),
            ))
            .with_allow_auto_topic_creation(false);
        let started = Instant::now();
        loop {
            let answer = self.quietly(12, &request);
            self.cluster_id = answer.cluster_id.as_ref().map(|id| id.to_string());
            let all = answer.topics.iter().all(|t| {
                let led = t.partitions.iter().filter(|p| p.error_code == 0).count();
                good(
                    t.name.as_ref().map_or("", |n| n.as_str()),
                    t.error_code,
                    led,
                )
            });
            if all {
                return;
            }
            assert!(
                started.elapsed() < LIMIT,
                "topics {names:?} are not as they should be: {answer:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Replaces the values that follow `field` where `with` has something else.
fn replace_field(s: &str, field: &str, with: impl Fn(&str) -> Option<String>) -> String {
    let mut pieces = s.split(field);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find([',', '"', ')', '}', ' ']).unwrap_or(piece.len());
        // `Some("…")` is one value.
        let end = if piece.starts_with("Some(") {
            piece.find(')').map_or(end, |e| e + 1)
        } else {
            end
        };
        let (value, rest) = piece.split_at(end);
        out.push_str(field);
        out.push_str(&with(value).unwrap_or_else(|| value.to_owned()));
        out.push_str(rest);
    }
    out
}
