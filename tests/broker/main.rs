//! The embedded broker through its handle and through sockets: start, faults, several nodes, a directory, an end.

#[path = "../conformance/batches.rs"]
#[allow(dead_code)]
mod batches;
#[path = "../conformance/talk.rs"]
#[allow(dead_code)]
mod talk;

mod directory;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use ottla::ErrorCode;
use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use talk::{Reply, Talk, topic};

const LIMIT: Duration = Duration::from_secs(10);

fn start(options: BrokerOptions) -> Broker {
    Broker::start(options).expect("a broker")
}

fn client(broker: &Broker, node: i32) -> Talk {
    Talk::new(broker.node_address(node).expect("a node"))
}

fn produce(name: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(topic(name))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

fn good() -> Bytes {
    batches::batch(&["one", "two"], 5).seal()
}

fn send(talk: &mut Talk, name: &str) -> (i16, i64) {
    let answer = talk.quietly(9, &produce(name, 0, good()));
    let partition = &answer.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

fn fetch(name: &str, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic(name))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_topics(vec![topic])
        .with_max_bytes(1 << 20)
        .with_min_bytes(1)
        .with_max_wait_ms(wait_ms)
        .with_session_epoch(-1)
}

fn records(talk: &mut Talk, name: &str, offset: i64) -> Bytes {
    let answer = talk.quietly(11, &fetch(name, offset, 0));
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    answer.responses[0].partitions[0]
        .records
        .clone()
        .unwrap_or_default()
}

fn leader(talk: &mut Talk, name: &str) -> (i32, i32) {
    let request = MetadataRequest::default().with_topics(Some(vec![
        MetadataRequestTopic::default().with_name(Some(topic(name))),
    ]));
    let answer = talk.quietly(9, &request);
    let partition = &answer.topics[0].partitions[0];
    (partition.leader_id.0, partition.leader_epoch)
}

#[test]
fn threads_can_share_a_handle() {
    fn shared<T: Send + Sync>() {}
    shared::<Broker>();
}

#[test]
fn what_is_produced_is_fetched() {
    let broker = start(BrokerOptions::new());
    broker.create_topic("t", 1, &[]).expect("a topic");
    let mut talk = client(&broker, 1);
    assert_eq!(send(&mut talk, "t"), (0, 0));
    assert_eq!(send(&mut talk, "t"), (0, 2));
    let got = records(&mut talk, "t", 2);
    assert_eq!(got[..8], 2i64.to_be_bytes());
    assert_eq!(got[16..], good()[16..]);
    assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((0, 4)));
    assert_eq!(
        broker
            .requests_seen(None, api_key::PRODUCE)
            .expect("a count"),
        2
    );
    assert!(broker.delete_topic("t").expect("an answer"));
    assert_eq!(broker.offsets("t", 0).expect("an answer"), None);
}

#[test]
fn batches_of_many_sizes_come_back_as_they_were() {
    let broker = start(BrokerOptions::new());
    broker
        .create_topic("t", 1, &[("max.message.bytes", "20000000")])
        .expect("a topic");
    let mut talk = client(&broker, 1);
    let sizes = [1, 100, 16_000, 17_000, 70_000, 1_000_000, 3, 9_000_000, 50];
    for (size, offset) in sizes.into_iter().zip(0..) {
        let sent = batches::batch(&["x".repeat(size).as_str()], 5).seal();
        let answer = talk.quietly(9, &produce("t", 0, sent.clone()));
        assert_eq!(
            answer.responses[0].partition_responses[0].base_offset,
            offset
        );
        let got = records(&mut talk, "t", offset);
        assert_eq!(got.len(), sent.len());
        assert!(got[16..] == sent[16..], "a batch of {size} bytes");
    }
}

#[test]
fn a_fetch_waits_for_data() {
    let broker = start(BrokerOptions::new());
    broker.create_topic("t", 1, &[]).expect("a topic");
    let (mut reader, mut writer) = (client(&broker, 1), client(&broker, 1));
    let request = reader.frame(11, &fetch("t", 0, 8000));
    reader.send(&request);
    let started = Instant::now();
    while broker.requests_seen(None, api_key::FETCH).expect("a count") == 0 {
        assert!(started.elapsed() < LIMIT);
    }
    send(&mut writer, "t");
    assert!(matches!(reader.receive(), Reply::Frame(frame) if frame.len() > good().len()));
    assert!(started.elapsed() < Duration::from_secs(7));
    let started = Instant::now();
    reader.quietly(11, &fetch("t", 2, 100));
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let broker = start(BrokerOptions::new());
    broker.create_topic("t", 1, &[]).expect("a topic");
    let mut talk = client(&broker, 1);
    let frames: Vec<Vec<u8>> = (0..200)
        .map(|_| talk.frame(9, &produce("t", 0, good())))
        .collect();
    talk.send(&frames.concat());
    for i in 1..=200i32 {
        let Reply::Frame(frame) = talk.receive() else {
            panic!("closed at {i}")
        };
        assert_eq!(frame[..4], i.to_be_bytes());
    }
    assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((0, 400)));
}

#[test]
fn frames_in_single_bytes_are_understood_and_hostile_ones_end_the_connection() {
    let broker = start(BrokerOptions::new());
    let mut talk = client(&broker, 1);
    for byte in talk.frame(0, &ApiVersionsRequest::default()) {
        talk.send(&[byte]);
    }
    assert!(matches!(talk.receive(), Reply::Frame(_)));
    for hostile in [
        &[0xff, 0xff, 0xff, 0xff][..],
        &[0x7f, 0, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 1, 0],
    ] {
        let mut stream = TcpStream::connect(broker.bootstrap_servers()).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        stream.write_all(hostile).expect("sent");
        // Closed, perhaps reset because not all was read; but neither answered nor kept.
        assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)), "{hostile:?}");
    }
    assert!(
        matches!(send_and_see(&mut talk), Reply::Frame(_)),
        "others are served on"
    );
}

fn send_and_see(talk: &mut Talk) -> Reply {
    let frame = talk.frame(0, &ApiVersionsRequest::default());
    talk.send(&frame);
    talk.receive()
}

#[test]
fn faults_reach_the_socket() {
    let broker = start(BrokerOptions::new());
    broker.create_topic("t", 1, &[]).expect("a topic");
    let mut talk = client(&broker, 1);
    let fault = |fault| {
        broker
            .add_fault(FaultRule::new(fault).node(1).api(api_key::PRODUCE))
            .expect("a fault")
    };

    fault(Fault::Error {
        code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
    });
    assert_eq!(send(&mut talk, "t").0, 6);
    assert_eq!(send(&mut talk, "t"), (0, 0));

    fault(Fault::Drop);
    let frame = talk.frame(9, &produce("t", 0, good()));
    talk.send(&frame);
    assert!(matches!(talk.receive(), Reply::Closed));

    fault(Fault::SwallowReply { close: true });
    talk.send(&frame);
    assert!(matches!(talk.receive(), Reply::Closed));
    assert_eq!(
        broker.offsets("t", 0).expect("an answer"),
        Some((0, 4)),
        "it was carried out"
    );

    fault(Fault::Delay(Duration::from_millis(150)));
    let started = Instant::now();
    send(&mut talk, "t");
    assert!(started.elapsed() >= Duration::from_millis(150));

    fault(Fault::PartialReply { bytes: 10 });
    let mut stream = TcpStream::connect(broker.bootstrap_servers()).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.write_all(&frame).expect("sent");
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("an end");
    assert_eq!(got.len(), 10);

    broker
        .add_fault(FaultRule::new(Fault::Drop).forever())
        .expect("a fault");
    broker.clear_faults().expect("cleared");
    assert_eq!(send(&mut talk, "t").0, 0);
}

#[test]
fn nodes_of_a_cluster_have_addresses_and_partitions_of_their_own() {
    let broker = start(BrokerOptions::new().nodes(3));
    assert_eq!(broker.bootstrap_servers().split(',').count(), 3);
    broker.create_topic("t", 1, &[]).expect("a topic");
    let (mut first, mut second) = (client(&broker, 1), client(&broker, 2));
    assert_eq!(leader(&mut second, "t"), (1, 0));
    assert_eq!(send(&mut second, "t").0, 6);
    assert_eq!(send(&mut first, "t").0, 0);

    broker.move_leader("t", 0, 2).expect("moved");
    assert_eq!(leader(&mut first, "t"), (2, 1));
    assert_eq!(send(&mut first, "t").0, 6);
    assert_eq!(send(&mut second, "t"), (0, 2));
    let error = broker
        .move_leader("t", 9, 2)
        .expect_err("no such partition");
    assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
}

#[test]
fn a_stopped_node_is_gone_and_comes_back_on_its_port() {
    let broker = start(BrokerOptions::new().nodes(2));
    broker.create_topic("t", 1, &[]).expect("a topic");
    let (mut first, mut second) = (client(&broker, 1), client(&broker, 2));
    send(&mut first, "t");
    broker.stop_node(1).expect("stopped");
    assert!(matches!(first.receive(), Reply::Closed));
    let address = broker.node_address(1).expect("an address");
    assert!(TcpStream::connect(&address).is_err(), "nobody listens");
    assert_eq!(broker.leader("t", 0).expect("an answer"), Some(2));
    assert_eq!(send(&mut second, "t"), (0, 2), "its replica has everything");
    broker.start_node(1).expect("started");
    assert_eq!(leader(&mut client(&broker, 1), "t"), (2, 1));
    assert_eq!(
        broker.stop_node(7).expect_err("no such node").code(),
        ErrorCode::INVALID_ARGUMENT
    );
}

/// Amid connections of others, whose own ports are free ones too.
#[test]
fn a_node_that_stops_and_starts_at_once_has_its_port() {
    let broker = start(BrokerOptions::default());
    for _ in 0..200 {
        let _talk = client(&broker, 1);
        broker.stop_node(1).expect("stopped");
        let refused = TcpStream::connect(broker.node_address(1).expect("an address"));
        assert_eq!(
            refused.expect_err("nobody listens").kind(),
            std::io::ErrorKind::ConnectionRefused
        );
        broker.start_node(1).expect("the port is its own");
    }
    send(&mut client(&broker, 1), "t");
}

#[test]
fn a_paused_node_is_silent_until_it_goes_on() {
    let broker = start(BrokerOptions::new());
    let mut talk = client(&broker, 1);
    broker.pause_node(1).expect("paused");
    let mut stream = TcpStream::connect(broker.bootstrap_servers()).expect("it still listens");
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a limit");
    stream
        .write_all(&talk.frame(0, &ApiVersionsRequest::default()))
        .expect("sent");
    assert!(stream.read(&mut [0; 1]).is_err(), "no answer");
    broker.resume_node(1).expect("resumed");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    assert_eq!(stream.read(&mut [0; 1]).expect("an answer"), 1);
}

#[test]
fn advertised_addresses_are_what_clients_are_told() {
    let broker = start(
        BrokerOptions::new()
            .advertised_host("broker.invalid")
            .advertised_port(1),
    );
    let answer = client(&broker, 1).quietly(9, &MetadataRequest::default());
    assert_eq!(
        (answer.brokers[0].host.as_str(), answer.brokers[0].port),
        ("broker.invalid", 1)
    );
}

#[test]
fn refusals_say_why() {
    let broker = start(BrokerOptions::new());
    let port: u16 = broker
        .bootstrap_servers()
        .rsplit(':')
        .next()
        .and_then(|p| p.parse().ok())
        .expect("a port");
    let error = Broker::start(BrokerOptions::new().port(port)).expect_err("the port is taken");
    assert_eq!(error.code(), ErrorCode::IO);
    assert!(
        error.message().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
    assert_eq!(
        Broker::start(BrokerOptions::new().nodes(0))
            .expect_err("no nodes")
            .code(),
        ErrorCode::INVALID_ARGUMENT
    );
    let error = broker
        .create_topic("no good", 1, &[])
        .expect_err("a bad name");
    assert_eq!(error.code(), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert!(error.message().contains("no good"), "{error}");
    let error = broker
        .create_topic("t", 1, &[("retention", "1")])
        .expect_err("a bad setting");
    assert_eq!(error.code(), ErrorCode::INVALID_CONFIG);
}

#[test]
fn dropping_it_closes_everything_soon() {
    let broker = start(BrokerOptions::new().nodes(3));
    broker.create_topic("t", 1, &[]).expect("a topic");
    let mut talk = client(&broker, 1);
    let waiting = talk.frame(11, &fetch("t", 0, 60_000));
    talk.send(&waiting);
    let address = broker.node_address(3).expect("an address");
    let started = Instant::now();
    drop(broker);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(matches!(talk.receive(), Reply::Closed));
    assert!(TcpStream::connect(address).is_err());
}
