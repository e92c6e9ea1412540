//! Administration against the embedded broker, or against the Kafka that OTTLA_TEST_BOOTSTRAP names.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "support/cluster.rs"]
mod cluster;

use std::time::{Duration, Instant};

use ottla::admin::{Admin, NewPartitions, NewTopic, TopicResult};
use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use ottla::config::AdminConfig;
use ottla::{Error, ErrorCode};

use cluster::{cluster, fresh};

const LIMIT: Duration = Duration::from_secs(20);

fn admin_at(bootstrap: &str, more: &[(&str, &str)]) -> Admin {
    let pairs = [("bootstrap.servers", bootstrap)]
        .into_iter()
        .chain(more.iter().copied());
    Admin::new(AdminConfig::from_pairs(pairs).unwrap()).unwrap()
}

/// A cluster for tests that any Kafka must pass.
struct Ground {
    bootstrap: String,
    _broker: Option<Broker>,
}

impl Ground {
    fn new() -> Self {
        let (bootstrap, _broker) = cluster(BrokerOptions::new());
        Ground { bootstrap, _broker }
    }

    fn admin(&self) -> Admin {
        admin_at(&self.bootstrap, &[])
    }
}

fn only(results: Vec<TopicResult>) -> TopicResult {
    assert_eq!(results.len(), 1);
    results.into_iter().next().unwrap()
}

fn refused(results: Vec<TopicResult>) -> Error {
    only(results).error.expect("the broker should have refused")
}

fn says(error: &Error, code: ErrorCode, parts: &[&str]) {
    assert_eq!(error.code(), code, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "no {part:?} in: {error}");
    }
}

#[test]
fn a_topic_from_its_creation_to_its_end() {
    let ground = Ground::new();
    let admin = ground.admin();
    admin.connect(LIMIT).unwrap();
    let name = fresh("life");
    let topic = NewTopic::new(&name, 3, 1).config("retention.ms", "60000");

    let checked = only(
        admin
            .create_topics(std::slice::from_ref(&topic), LIMIT, true)
            .unwrap(),
    );
    assert!(checked.error.is_none(), "{checked:?}");
    assert!(
        !admin
            .list_topics(LIMIT, false)
            .unwrap()
            .iter()
            .any(|t| t.name == name),
        "validate_only created it"
    );

    let made = only(admin.create_topics(&[topic], LIMIT, false).unwrap());
    assert!(made.error.is_none(), "{made:?}");
    assert_eq!((made.partitions, made.replication_factor), (3, 1));
    assert_ne!(made.id, [0; 16]);

    // At once, without waiting for anything: creating waited for the metadata.
    let seen = admin.describe_topics(&[&name], LIMIT).unwrap().remove(0);
    assert!(seen.error.is_none(), "{seen:?}");
    assert_eq!(
        (seen.id, seen.internal, seen.partitions.len()),
        (made.id, false, 3)
    );
    let brokers: Vec<i32> = admin
        .describe_cluster(LIMIT)
        .unwrap()
        .brokers
        .iter()
        .map(|b| b.id)
        .collect();
    for (i, p) in seen.partitions.iter().enumerate() {
        assert_eq!(p.partition, i as i32);
        assert!(
            brokers.contains(&p.leader) && p.leader_epoch >= 0,
            "{p:?} of {brokers:?}"
        );
        assert_eq!(
            (&p.replicas, &p.isr, &p.offline),
            (&vec![p.leader], &vec![p.leader], &vec![])
        );
    }
    let listed = admin
        .list_topics(LIMIT, false)
        .unwrap()
        .into_iter()
        .find(|t| t.name == name)
        .unwrap();
    assert_eq!(
        (listed.id, listed.partitions, listed.internal),
        (made.id, 3, false)
    );

    let grown = only(
        admin
            .create_partitions(
                &[NewPartitions {
                    name: name.clone(),
                    total: 5,
                }],
                LIMIT,
                false,
            )
            .unwrap(),
    );
    assert!(grown.error.is_none(), "{grown:?}");
    assert_eq!(grown.partitions, 5);
    assert_eq!(
        admin
            .describe_topics(&[&name], LIMIT)
            .unwrap()
            .remove(0)
            .partitions
            .len(),
        5
    );

    let gone = only(admin.delete_topics(&[&name], LIMIT).unwrap());
    assert!(gone.error.is_none(), "{gone:?}");
    assert!(
        !admin
            .list_topics(LIMIT, true)
            .unwrap()
            .iter()
            .any(|t| t.name == name)
    );

    let again = only(
        admin
            .create_topics(&[NewTopic::new(&name, 1, -1)], LIMIT, false)
            .unwrap(),
    );
    assert!(again.error.is_none(), "{again:?}");
    assert_ne!(again.id, made.id);
    admin.delete_topics(&[&name], LIMIT).unwrap();
    admin.close(LIMIT).unwrap();
}

#[test]
fn the_cluster_tells_its_brokers() {
    let ground = Ground::new();
    let cluster = ground.admin().describe_cluster(LIMIT).unwrap();
    assert!(cluster.id.as_ref().is_some_and(|id| !id.is_empty()));
    let addresses: Vec<String> = cluster
        .brokers
        .iter()
        .map(|b| format!("{}:{}", b.host, b.port))
        .collect();
    for address in ground.bootstrap.split(',') {
        assert!(
            addresses.iter().any(|a| a == address),
            "{address} not in {addresses:?}"
        );
    }
    assert!(
        cluster.brokers.iter().any(|b| b.id == cluster.controller),
        "{cluster:?}"
    );
}

#[test]
fn refusals_say_what_to_do() {
    let ground = Ground::new();
    let admin = ground.admin();
    let name = fresh("refused");
    let create = |topic: NewTopic| admin.create_topics(&[topic], LIMIT, false).unwrap();

    assert!(only(create(NewTopic::new(&name, 1, 1))).error.is_none());
    let e = refused(create(NewTopic::new(&name, 1, 1)));
    says(
        &e,
        ErrorCode::TOPIC_ALREADY_EXISTS,
        &[
            "create_topics",
            &name,
            "broker 1 at 127.0.0.1:",
            "delete it first",
        ],
    );

    let brokers = admin.describe_cluster(LIMIT).unwrap().brokers.len();
    let e = refused(create(NewTopic::new(fresh("wide"), 1, 50)));
    let has = format!("the cluster has {brokers}: ask for 1 to {brokers}");
    says(
        &e,
        ErrorCode::INVALID_REPLICATION_FACTOR,
        &[&has, "default.replication.factor"],
    );

    let e = refused(create(NewTopic::new("no spaces, please", 1, 1)));
    says(
        &e,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        &["'no spaces, please'", "1 to 249", "'.', '_' and '-'"],
    );
    let e = refused(create(NewTopic::new(fresh("none"), 0, 1)));
    says(
        &e,
        ErrorCode::INVALID_PARTITIONS,
        &["at least 1 partition", "num.partitions"],
    );
    let e = refused(create(
        NewTopic::new(fresh("set"), 1, 1).config("retention.ms", "soon"),
    ));
    says(
        &e,
        ErrorCode::INVALID_CONFIG,
        &["retention.ms", "topic's settings"],
    );

    let missing = fresh("missing");
    let e = refused(admin.delete_topics(&[&missing], LIMIT).unwrap());
    says(
        &e,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        &["delete_topics", &missing, "case-sensitive"],
    );
    let e = admin
        .describe_topics(&[&missing], LIMIT)
        .unwrap()
        .remove(0)
        .error
        .unwrap();
    says(
        &e,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        &["describe_topics", &missing, "case-sensitive"],
    );
    let shrink = NewPartitions {
        name: name.clone(),
        total: 1,
    };
    let e = refused(admin.create_partitions(&[shrink], LIMIT, false).unwrap());
    says(
        &e,
        ErrorCode::INVALID_PARTITIONS,
        &["create_partitions", &name, "can't be taken away"],
    );

    let e = admin
        .create_topics(
            &[NewTopic::new("a", 1, 1), NewTopic::new("a", 2, 1)],
            LIMIT,
            false,
        )
        .unwrap_err();
    says(&e, ErrorCode::INVALID_ARGUMENT, &["'a' is given twice"]);
    admin.delete_topics(&[&name], LIMIT).unwrap();
}

#[test]
fn one_bad_topic_does_not_spoil_the_others() {
    let ground = Ground::new();
    let admin = ground.admin();
    let names = [fresh("good"), "bad name".to_owned(), fresh("fine")];
    let topics: Vec<NewTopic> = names.iter().map(|n| NewTopic::new(n, 2, 1)).collect();
    let results = admin.create_topics(&topics, LIMIT, false).unwrap();
    let codes: Vec<Option<ErrorCode>> = results
        .iter()
        .map(|r| r.error.as_ref().map(Error::code))
        .collect();
    assert_eq!(
        codes,
        [None, Some(ErrorCode::INVALID_TOPIC_EXCEPTION), None]
    );
    assert_eq!(
        results.iter().map(|r| r.partitions).collect::<Vec<_>>(),
        [2, -1, 2]
    );
    let seen = admin
        .describe_topics(&[&names[2], &names[0]], LIMIT)
        .unwrap();
    assert_eq!(
        seen.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        [&names[2], &names[0]]
    );
    let gone = admin.delete_topics(&[&names[0], &names[2]], LIMIT).unwrap();
    assert!(gone.iter().all(|r| r.error.is_none()), "{gone:?}");
}

#[test]
fn many_threads_share_one_client() {
    let ground = Ground::new();
    let admin = ground.admin();
    let names: Vec<String> = (0..8).map(|i| fresh(&format!("thread{i}"))).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let admin = &admin;
            scope.spawn(move || {
                let made = only(
                    admin
                        .create_topics(&[NewTopic::new(name, 1, 1)], LIMIT, false)
                        .unwrap(),
                );
                assert!(made.error.is_none(), "{made:?}");
                assert!(
                    admin.describe_topics(&[name], LIMIT).unwrap()[0]
                        .error
                        .is_none()
                );
            });
        }
    });
    assert!(
        admin
            .delete_topics(&names, LIMIT)
            .unwrap()
            .iter()
            .all(|r| r.error.is_none())
    );
}

#[test]
fn nothing_is_asked_for_nothing() {
    let admin = admin_at("127.0.0.1:1", &[]);
    assert!(
        admin
            .create_topics(&[], Duration::ZERO, false)
            .unwrap()
            .is_empty()
    );
    assert!(
        admin
            .delete_topics::<&str>(&[], Duration::ZERO)
            .unwrap()
            .is_empty()
    );
    assert!(
        admin
            .describe_topics::<&str>(&[], Duration::ZERO)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_moved_controller_is_found() {
    let broker = Broker::start(BrokerOptions::new().nodes(3)).unwrap();
    let admin = admin_at(&broker.bootstrap_servers(), &[]);
    let not_me = Fault::Error {
        code: ErrorCode::NOT_CONTROLLER,
    };
    broker
        .add_fault(
            FaultRule::new(not_me.clone())
                .api(api_key::CREATE_TOPICS)
                .times(3),
        )
        .unwrap();
    let made = only(
        admin
            .create_topics(&[NewTopic::new("a", 3, 3)], LIMIT, false)
            .unwrap(),
    );
    assert!(made.error.is_none(), "{made:?}");
    assert_eq!(
        broker.requests_seen(None, api_key::CREATE_TOPICS).unwrap(),
        4
    );

    broker
        .add_fault(FaultRule::new(not_me).api(api_key::CREATE_TOPICS).forever())
        .unwrap();
    let start = Instant::now();
    let e = admin
        .create_topics(
            &[NewTopic::new("b", 3, 3)],
            Duration::from_millis(700),
            false,
        )
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3));
    says(
        &e,
        ErrorCode::TIMED_OUT,
        &[
            "create_topics",
            "not done within",
            "tried",
            "NOT_CONTROLLER",
            "'b'",
        ],
    );
    let sent = broker.requests_seen(None, api_key::CREATE_TOPICS).unwrap() - 4;
    assert!((2..=6).contains(&sent), "{sent} requests in 700 ms");

    let few = admin_at(&broker.bootstrap_servers(), &[("retries", "2")]);
    let e = few
        .create_topics(&[NewTopic::new("c", 1, 1)], LIMIT, false)
        .unwrap_err();
    says(&e, ErrorCode::NOT_CONTROLLER, &["given up after 2 retries"]);
}

#[test]
fn a_lost_answer_is_told_of() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    let admin = admin_at(&broker.bootstrap_servers(), &[]);
    let lost = FaultRule::new(Fault::SwallowReply { close: true });
    broker
        .add_fault(lost.clone().api(api_key::CREATE_TOPICS))
        .unwrap();
    let e = refused(
        admin
            .create_topics(&[NewTopic::new("once", 1, 1)], LIMIT, false)
            .unwrap(),
    );
    says(
        &e,
        ErrorCode::TOPIC_ALREADY_EXISTS,
        &[
            "an earlier request of this same call got no answer",
            "closed the connection",
        ],
    );

    // Reading is simply done again.
    broker.add_fault(lost.api(api_key::METADATA)).unwrap();
    assert_eq!(admin.list_topics(LIMIT, false).unwrap().len(), 1);
}

#[test]
fn a_dead_broker_is_passed_over() {
    let broker = Broker::start(BrokerOptions::new().nodes(3)).unwrap();
    let admin = admin_at(&broker.bootstrap_servers(), &[]);
    let controller = admin.describe_cluster(LIMIT).unwrap().controller;
    broker.stop_node(controller).unwrap();
    let made = only(
        admin
            .create_topics(&[NewTopic::new("still", 1, 1)], LIMIT, false)
            .unwrap(),
    );
    assert!(made.error.is_none(), "{made:?}");
}

#[test]
fn a_silent_broker_costs_the_timeout_only() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    let admin = admin_at(&broker.bootstrap_servers(), &[]);
    admin.connect(LIMIT).unwrap();
    broker
        .add_fault(FaultRule::new(Fault::SwallowReply { close: false }).api(api_key::DELETE_TOPICS))
        .unwrap();
    let start = Instant::now();
    let e = admin
        .delete_topics(&["x"], Duration::from_millis(500))
        .unwrap_err();
    assert!(
        (0.5..3.0).contains(&start.elapsed().as_secs_f64()),
        "{:?}",
        start.elapsed()
    );
    says(
        &e,
        ErrorCode::TIMED_OUT,
        &[
            "delete_topics",
            "broker 1 at",
            "has not answered for",
            "may still be carried out",
        ],
    );
}

#[test]
fn closing_ends_what_runs_and_what_comes() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    let admin = admin_at(&broker.bootstrap_servers(), &[]);
    admin.connect(LIMIT).unwrap();
    let silent = FaultRule::new(Fault::SwallowReply { close: false }).api(api_key::CREATE_TOPICS);
    broker.add_fault(silent).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| admin.create_topics(&[NewTopic::new("x", 1, 1)], LIMIT, false));
        let start = Instant::now();
        while broker.requests_seen(None, api_key::CREATE_TOPICS).unwrap() == 0 {
            assert!(start.elapsed() < LIMIT);
            std::thread::yield_now();
        }
        admin.close(Duration::from_millis(100)).unwrap();
        says(
            &call.join().unwrap().unwrap_err(),
            ErrorCode::CLOSED,
            &["create_topics", "closed"],
        );
    });
    admin.close(LIMIT).unwrap();
    says(
        &admin.list_topics(LIMIT, false).unwrap_err(),
        ErrorCode::CLOSED,
        &["list_topics"],
    );
    says(
        &admin.connect(LIMIT).unwrap_err(),
        ErrorCode::CLOSED,
        &["connect"],
    );
    let start = Instant::now();
    while broker.connections().unwrap() > 0 {
        assert!(start.elapsed() < LIMIT, "connections left open");
        std::thread::yield_now();
    }
}
