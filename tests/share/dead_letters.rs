//! A share group's dead letters (KIP-1191): brokers from Kafka 4.4 on write what a member rejects to a topic that the group
//! names. The client has nothing to do with it but to reject.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use ottla::admin::{Admin, NewTopic};
use ottla::config::{AdminConfig, ConsumerConfig};
use ottla::consumer::{Consumer, Polled, Start};
use ottla::share::AcknowledgeType;

use super::support::{self, Ground, LIMIT};

/// Kafka's number for a group among the resources that have configurations.
const GROUP: i8 = 32;
const ALTER_CONFIGS: (i16, i16) = (44, 1);

fn has_dead_letters() -> bool {
    let version = std::env::var("OTTLA_TEST_KAFKA_VERSION").unwrap_or_default();
    let mut numbers = version.split('.').map_while(|n| n.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(4), Some(4))
}

fn set_group_configs(ground: &Ground, configs: &[(&str, &str)]) {
    let string = |s: &str| StrBytes::from_string(s.to_owned());
    let configs = configs.iter().map(|(key, value)| {
        AlterableConfig::default()
            .with_name(string(key))
            .with_value(Some(string(value)))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(GROUP)
        .with_resource_name(string(&ground.group))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let mut body = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(ALTER_CONFIGS.0)
        .with_request_api_version(ALTER_CONFIGS.1)
        .with_correlation_id(1)
        .encode(&mut body, 2)
        .unwrap();
    request.encode(&mut body, ALTER_CONFIGS.1).unwrap();
    let first = ground.bootstrap.split(',').next().unwrap();
    let mut stream = TcpStream::connect(first).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
        .write_all(&(body.len() as u32).to_be_bytes())
        .unwrap();
    stream.write_all(&body).unwrap();
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut answer).unwrap();
    let mut answer = &answer[..];
    ResponseHeader::decode(&mut answer, 1).unwrap();
    let answer = IncrementalAlterConfigsResponse::decode(&mut answer, ALTER_CONFIGS.1).unwrap();
    for response in &answer.responses {
        assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    }
}

#[test]
fn what_is_rejected_is_found_in_the_groups_dead_letter_topic() {
    if !has_dead_letters() {
        return;
    }
    let ground = Ground::new("dead", 1);
    // Brokers take topics of this prefix only (errors.deadletterqueue.topic.name.prefix).
    let letters = format!("dlq.{}", ground.topic);
    let config = AdminConfig::from_pairs([("bootstrap.servers", &*ground.bootstrap)]);
    let admin = Admin::new(config.unwrap()).unwrap();
    let topic = NewTopic::new(&letters, 1, 1).config("errors.deadletterqueue.group.enable", "true");
    let created = admin.create_topics(&[topic], LIMIT, false).unwrap();
    assert!(created[0].error.is_none(), "{:?}", created[0].error);
    set_group_configs(
        &ground,
        &[
            ("errors.deadletterqueue.topic.name", &letters),
            ("errors.deadletterqueue.copy.record.enable", "true"),
        ],
    );
    let member = ground.joined(&[("share.acknowledgement.mode", "explicit")]);
    ground.send(0..4, &[]);
    let batch = support::records(&member, 4);
    for (rows, word) in [
        (0..1, AcknowledgeType::Accept),
        (1..2, AcknowledgeType::Reject),
        (2..3, AcknowledgeType::Accept),
        (3..4, AcknowledgeType::Reject),
    ] {
        member.acknowledge(&batch, rows, word).unwrap();
    }
    member.commit(LIMIT).unwrap();
    let rejected: Vec<Vec<u8>> = [1, 3]
        .map(|row| batch.record(row).unwrap().value().unwrap().to_vec())
        .into();
    let config = ConsumerConfig::from_pairs([("bootstrap.servers", &*ground.bootstrap)]);
    let reader = Consumer::new(config.unwrap()).unwrap();
    reader.assign(&[(&letters, 0, Start::Earliest)]).unwrap();
    let (mut found, by) = (Vec::new(), Instant::now() + LIMIT);
    while found.len() < rejected.len() {
        assert!(Instant::now() < by, "{found:?}");
        if let Polled::Batch(batch) = reader.poll(0, Duration::from_millis(200)).unwrap() {
            for record in batch.iter() {
                assert!(record.headers().count() > 0, "they say where it is from");
                found.push(record.value().unwrap_or_default().to_vec());
            }
        }
    }
    assert_eq!(found, rejected);
    // It is delivered to nobody any more.
    let polled = member.poll(Duration::from_millis(500)).unwrap();
    assert!(matches!(polled, Polled::Nothing), "{polled:?}");
    member.close(LIMIT).unwrap();
}
