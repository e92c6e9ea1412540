use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::change::{Change, ChangeTopics};
use super::role::{AdminRole, NewCall, Shared};
use super::types::{NewTopic, TopicResult};
use crate::cluster::core::Core;
use crate::cluster::engine::Engine;
use crate::cluster::nodes::Rng;
use crate::cluster::rig::{self, Brokers, Dial, Rig, Seen, Serve};
use crate::config::AdminConfig;
use crate::error::{ErrorCode, Result};
use crate::log::{Level, LogRing};

const BROKERS: &[(i32, &str, i32)] = &[(1, "one", 1), (2, "two", 2)];
const APIS: &[(ApiKey, i16, i16)] = &[
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 5),
];

/// Two brokers; what changes topics and what looks at them is scripted, the rest is sound.
struct Scripted<F> {
    serve: F,
    /// Metadata requests that name topics.
    looks: Vec<Duration>,
    changes: Vec<(Duration, String)>,
}

impl<F: FnMut(&Seen) -> Serve> Brokers for Scripted<F> {
    fn dial(&mut self, _at: Duration, _address: &str) -> Dial {
        Dial::Accept
    }

    fn serve(&mut self, request: &Seen) -> Serve {
        match request.key {
            ApiKey::ApiVersions => rig::api_versions(request.version, APIS),
            ApiKey::Metadata if names(request).is_empty() => {
                rig::metadata(request.version, BROKERS, Vec::new())
            }
            ApiKey::Metadata => {
                self.looks.push(request.at);
                (self.serve)(request)
            }
            _ => {
                self.changes.push((request.at, request.address.clone()));
                (self.serve)(request)
            }
        }
    }
}

fn names(request: &Seen) -> Vec<String> {
    use kafka_protocol::messages::MetadataRequest;
    let asked = MetadataRequest::decode(&mut request.body.clone(), request.version).unwrap();
    assert!(!asked.allow_auto_topic_creation || asked.topics.as_ref().is_some_and(Vec::is_empty));
    asked
        .topics
        .unwrap_or_default()
        .into_iter()
        .filter_map(|t| Some(t.name?.to_string()))
        .collect()
}

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

fn created(request: &Seen, code: ErrorCode) -> Serve {
    let asked = CreateTopicsRequest::decode(&mut request.body.clone(), request.version).unwrap();
    let result = |name: TopicName| {
        CreatableTopicResult::default()
            .with_name(name)
            .with_error_code(code.0 as i16)
            .with_num_partitions(2)
    };
    let topics = asked.topics.into_iter().map(|t| result(t.name)).collect();
    rig::reply(
        &CreateTopicsResponse::default().with_topics(topics),
        request.version,
    )
}

/// What metadata shows of a topic: an error, or the leader of each partition.
fn shown(request: &Seen, code: ErrorCode, leaders: &[i32]) -> Serve {
    let partition = |(i, leader): (usize, &i32)| {
        MetadataResponsePartition::default()
            .with_partition_index(i as i32)
            .with_leader_id(BrokerId(*leader))
            .with_replica_nodes(vec![BrokerId(1)])
    };
    let topic = |name: String| {
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(text(&name))))
            .with_error_code(code.0 as i16)
            .with_partitions(leaders.iter().enumerate().map(partition).collect())
    };
    rig::metadata(
        request.version,
        BROKERS,
        names(request).into_iter().map(topic).collect(),
    )
}

type Answer = Receiver<Result<Vec<TopicResult>>>;

fn rig<F: FnMut(&Seen) -> Serve>(
    change: Change,
    timeout: Duration,
    serve: F,
) -> (Rig<AdminRole, Scripted<F>>, Answer) {
    let config = AdminConfig::from_pairs([("bootstrap.servers", "one:1")]).unwrap();
    let now = Instant::now();
    let log = Arc::new(LogRing::new("test", Some(Level::Info)));
    let core = Core::new(Arc::new(config.common), log, Rng::new(3), now);
    let shared = Arc::new(Shared::default());
    let (answer, reply) = sync_channel(1);
    let operation = Box::new(ChangeTopics::new(change, answer).unwrap());
    shared
        .push(NewCall {
            operation,
            since: now,
            deadline: now + timeout,
        })
        .unwrap();
    let role = AdminRole::new(shared, u32::MAX);
    let brokers = Scripted {
        serve,
        looks: Vec::new(),
        changes: Vec::new(),
    };
    (Rig::new(now, Engine::new(core, role), brokers), reply)
}

fn create(names: &[&str]) -> Change {
    let topics = names.iter().map(|n| NewTopic::new(*n, 2, 1)).collect();
    Change::Create {
        topics,
        validate_only: false,
    }
}

/// Runs until the call has its answer.
fn run<F: FnMut(&Seen) -> Serve>(
    rig: &mut Rig<AdminRole, Scripted<F>>,
    answer: &Answer,
) -> Result<Vec<TopicResult>> {
    let mut got = None;
    rig.run(Duration::from_secs(100), || {
        got = got.take().or_else(|| answer.try_recv().ok());
        got.is_some()
    });
    got.expect("no answer")
}

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn creating_waits_until_the_broker_shows_leaders() {
    let mut look = 0;
    let (mut rig, answer) = rig(create(&["t"]), LIMIT, |request| match request.key {
        ApiKey::CreateTopics => created(request, ErrorCode::NONE),
        _ => {
            look += 1;
            match look {
                1 => shown(request, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &[]),
                2 => shown(request, ErrorCode::NONE, &[1, -1]),
                3 => shown(request, ErrorCode::NONE, &[1]),
                _ => shown(request, ErrorCode::NONE, &[1, 2]),
            }
        }
    });
    let result = run(&mut rig, &answer).unwrap().remove(0);
    assert!(result.error.is_none(), "{result:?}");
    assert_eq!((result.partitions, result.replication_factor), (2, 1));
    assert_eq!((rig.brokers.changes.len(), rig.brokers.looks.len()), (1, 4));
    assert!(
        rig.elapsed() < Duration::from_millis(100),
        "{:?}",
        rig.elapsed()
    );
    assert_eq!(rig.brokers.changes[0].1, "one:1", "the controller");
}

#[test]
fn a_topic_that_was_created_is_a_success_though_it_does_not_show_in_time() {
    let (mut rig, answer) = rig(create(&["t"]), LIMIT, |request| match request.key {
        ApiKey::CreateTopics => created(request, ErrorCode::NONE),
        _ => shown(request, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &[]),
    });
    let result = run(&mut rig, &answer).unwrap().remove(0);
    assert!(result.error.is_none(), "{result:?}");
    assert_eq!(rig.elapsed(), LIMIT);
    // Every 100 ms once the pauses have grown.
    assert!(
        (95..=110).contains(&rig.brokers.looks.len()),
        "{} looks",
        rig.brokers.looks.len()
    );
}

#[test]
fn only_what_is_transient_is_asked_again() {
    let mut round = 0;
    let (mut rig, answer) = rig(
        create(&["good", "bad", "slow"]),
        LIMIT,
        |request| match request.key {
            ApiKey::CreateTopics => {
                round += 1;
                let asked = CreateTopicsRequest::decode(&mut request.body.clone(), request.version)
                    .unwrap();
                let names: Vec<String> = asked.topics.iter().map(|t| t.name.to_string()).collect();
                let codes = if round == 1 {
                    assert_eq!(names, ["good", "bad", "slow"]);
                    vec![
                        ErrorCode::NONE,
                        ErrorCode::INVALID_PARTITIONS,
                        ErrorCode::THROTTLING_QUOTA_EXCEEDED,
                    ]
                } else {
                    assert_eq!(names, ["slow"]);
                    vec![ErrorCode::NONE]
                };
                let each = names.iter().zip(codes).map(|(name, code)| {
                    CreatableTopicResult::default()
                        .with_name(TopicName(text(name)))
                        .with_error_code(code.0 as i16)
                        .with_error_message(Some(text("In the broker's words.")))
                });
                let response = CreateTopicsResponse::default()
                    .with_topics(each.collect())
                    .with_throttle_time_ms(if round == 1 { 3000 } else { 0 });
                rig::reply(&response, request.version)
            }
            _ => shown(request, ErrorCode::NONE, &[1, 1]),
        },
    );
    let results = run(&mut rig, &answer).unwrap();
    assert!(
        results[0].error.is_none() && results[2].error.is_none(),
        "{results:?}"
    );
    let e = results[1].error.as_ref().unwrap();
    assert_eq!(e.code(), ErrorCode::INVALID_PARTITIONS);
    assert!(
        e.message().contains(
            "topic 'bad': broker 1 at one:1 answered INVALID_PARTITIONS (In the broker's words);"
        ),
        "{e}"
    );
    assert_eq!(rig.brokers.changes.len(), 2);
    // KIP-219: the broker that asked to be left alone is; another one is asked meanwhile.
    assert_eq!(rig.brokers.changes[1].1, "two:2");
}

#[test]
fn a_topic_without_an_answer_is_an_error_of_its_own() {
    let (mut rig, answer) = rig(create(&["t"]), LIMIT, |request| match request.key {
        ApiKey::CreateTopics => rig::reply(&CreateTopicsResponse::default(), request.version),
        other => panic!("{other:?}"),
    });
    let e = run(&mut rig, &answer).unwrap().remove(0).error.unwrap();
    assert_eq!(e.code(), ErrorCode::PROTOCOL);
    assert!(
        e.message().contains("'t'") && e.message().contains("did not answer for it"),
        "{e}"
    );
}

#[test]
fn garbage_ends_the_call_with_the_broker_named() {
    let (mut rig, answer) = rig(create(&["t"]), LIMIT, |_| {
        Serve::Reply(Bytes::from_static(&[0, 0, 0, 0, 0, 255, 255, 255, 15]))
    });
    let e = run(&mut rig, &answer).unwrap_err();
    assert_eq!(e.code(), ErrorCode::PROTOCOL);
    assert!(
        e.message().contains("create_topics") && e.message().contains("broker 1 at one:1"),
        "{e}"
    );
}

#[test]
fn the_time_is_over_whatever_happens() {
    let (mut silent, answer) = rig(create(&["t"]), LIMIT, |_| Serve::Silence);
    let e = run(&mut silent, &answer).unwrap_err();
    assert_eq!((e.code(), silent.elapsed()), (ErrorCode::TIMED_OUT, LIMIT));
    assert!(
        e.message()
            .contains("broker 1 at one:1 has not answered for 10.0s"),
        "{e}"
    );
    assert!(e.message().contains("may still be carried out"), "{e}");

    let (mut closing, answer) = rig(create(&["t"]), LIMIT, |_| Serve::Close);
    let e = run(&mut closing, &answer).unwrap_err();
    assert_eq!((e.code(), closing.elapsed()), (ErrorCode::TIMED_OUT, LIMIT));
    assert!(
        e.message().contains("tried ") && e.message().contains("closed the connection"),
        "{e}"
    );
    assert!(
        (8..=40).contains(&closing.brokers.changes.len()),
        "{} attempts",
        closing.brokers.changes.len()
    );
}

#[test]
fn old_brokers_take_the_names_of_topics_to_delete_elsewhere() {
    let change = Change::Delete(vec!["a".to_owned(), "b".to_owned()]);
    let (mut rig, answer) = rig(change, LIMIT, |request| match request.key {
        ApiKey::DeleteTopics => {
            assert_eq!(request.version, 5);
            let asked = DeleteTopicsRequest::decode(&mut request.body.clone(), 5).unwrap();
            assert_eq!(asked.topic_names.len(), 2);
            let each = asked
                .topic_names
                .into_iter()
                .map(|n| DeletableTopicResult::default().with_name(Some(n)));
            rig::reply(
                &DeleteTopicsResponse::default().with_responses(each.collect()),
                5,
            )
        }
        _ => shown(request, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &[]),
    });
    let results = run(&mut rig, &answer).unwrap();
    assert!(results.iter().all(|r| r.error.is_none()), "{results:?}");
    assert_eq!(rig.brokers.looks.len(), 1);
}
