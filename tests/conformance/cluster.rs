//! What versions there are, who is there, who keeps what; and bytes that make no sense.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use uuid::Uuid;

use super::talk::{Talk, text, topic};
use ottla::broker::{Broker, BrokerOptions};

pub(crate) fn cases(t: &mut Talk) {
    versions(t);
    nonsense(t);
    metadata(t);
    describe(t);
    coordinators(t);
    producer_ids(t);
    t.remove_topics(&["conf-cluster"]);
}

/// What the embedded broker offers must lie within what Kafka offers; the record holds Kafka's ranges of those.
fn versions(t: &mut Talk) {
    let broker = Broker::start(BrokerOptions::new()).expect("a broker");
    let ours = Talk::new(broker.bootstrap_servers()).quietly(0, &ApiVersionsRequest::default());
    for version in 0..=4 {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request = request
                .with_client_software_name(text("test"))
                .with_client_software_version(text("1"));
        }
        let answer = t.quietly(version, &request);
        t.write_down(
            &format!("versions v{version}"),
            &format!(
                "error {} throttle {}",
                answer.error_code, answer.throttle_time_ms
            ),
        );
        for api in &ours.api_keys {
            let there = answer.api_keys.iter().find(|a| a.api_key == api.api_key);
            let within = there.is_some_and(|a| {
                a.min_version <= api.min_version && a.max_version >= api.max_version
            });
            assert!(within, "{api:?} is not within {there:?}");
        }
    }
    let bad = |name: &str| {
        ApiVersionsRequest::default()
            .with_client_software_name(text(name))
            .with_client_software_version(text("1"))
    };
    let answer = t.quietly(3, &bad("-no-"));
    t.write_down(
        "versions, bad software name",
        &format!("error {} apis {}", answer.error_code, answer.api_keys.len()),
    );
    let mut future = t.frame(4, &bad("test"));
    future[7] = 99;
    t.after("versions of the future", &future);
}

fn nonsense(t: &mut Talk) {
    let mut frame = t.frame(1, &MetadataRequest::default());
    frame[4..6].copy_from_slice(&9999i16.to_be_bytes());
    t.after("unknown api", &frame);
    let mut frame = t.frame(1, &MetadataRequest::default());
    frame[7] = 99;
    t.after("unknown version", &frame);
    let mut frame = t.frame(3, &ProduceRequest::default().with_acks(1));
    frame[7] = 2;
    t.after("produce as of long ago", &frame);
    let mut frame = t.frame(1, &MetadataRequest::default().with_topics(Some(vec![])));
    let end = frame.len();
    frame[end - 4..].copy_from_slice(&1_000_000i32.to_be_bytes());
    t.after("more topics than bytes", &frame);
    t.after("negative size", &[0xff; 4]);
    t.after("size above the limit", &0x0700_0000u32.to_be_bytes());
    let mut frame = t.frame(1, &MetadataRequest::default().with_topics(Some(vec![])));
    frame.extend_from_slice(b"tail");
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    t.send(&frame);
    let answered = matches!(t.receive(), super::talk::Reply::Frame(_));
    t.write_down("bytes behind a request", &format!("answered {answered}"));
}

fn metadata(t: &mut Talk) {
    let id = t.make_topics(&[("conf-cluster", 2)], &[])[0];
    let names = [
        "conf-cluster",
        "conf-unknown",
        "bad!name",
        "..",
        "",
        &"n".repeat(250),
    ];
    for version in [0, 1, 4, 5, 7, 8, 9, 10, 11, 12, 13] {
        let by_name = |n: &&str| MetadataRequestTopic::default().with_name(Some(topic(n)));
        let request = MetadataRequest::default()
            .with_topics(Some(names.iter().map(by_name).collect()))
            .with_allow_auto_topic_creation(version < 4);
        t.ask_sorted("metadata by name", version, &request, |r| {
            r.topics.sort_by(|a, b| a.name.cmp(&b.name))
        });
    }
    let by_id = |id| {
        MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(id)
    };
    for version in [12, 13] {
        t.ask_sorted(
            "metadata by id",
            version,
            &MetadataRequest::default()
                .with_topics(Some(vec![by_id(id), by_id(Uuid::from_u128(5))])),
            |r| r.topics.sort_by_key(|t| t.topic_id),
        );
    }
    let none = MetadataRequest::default().with_topics(Some(vec![]));
    t.ask("metadata of no topic", 1, &none);
    let one = |n: &str| vec![MetadataRequestTopic::default().with_name(Some(topic(n)))];
    let request = MetadataRequest::default()
        .with_topics(Some(one("conf-cluster")))
        .with_include_cluster_authorized_operations(true)
        .with_include_topic_authorized_operations(true);
    t.ask("metadata with operations", 8, &request);
    let request = MetadataRequest::default().with_topics(Some(one("conf-not-there")));
    t.ask(
        "metadata that may create, where that is off",
        9,
        &request.with_allow_auto_topic_creation(true),
    );
}

fn describe(t: &mut Talk) {
    for version in 0..=2 {
        t.ask("cluster", version, &DescribeClusterRequest::default());
    }
    t.ask(
        "cluster with operations",
        1,
        &DescribeClusterRequest::default().with_include_cluster_authorized_operations(true),
    );
    t.ask(
        "cluster of controllers",
        1,
        &DescribeClusterRequest::default().with_endpoint_type(2),
    );
}

fn coordinators(t: &mut Talk) {
    // The first question makes Kafka create the topic that keeps the offsets.
    let request = FindCoordinatorRequest::default().with_key(text("conf"));
    let started = std::time::Instant::now();
    while t.quietly(3, &request).error_code != 0 {
        assert!(
            started.elapsed() < std::time::Duration::from_secs(30),
            "no coordinator"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for version in 0..=3 {
        t.ask("coordinator of a group", version, &request);
    }
    for version in 4..=6 {
        let request = FindCoordinatorRequest::default()
            .with_coordinator_keys(vec![text("conf"), text("other")]);
        t.ask("coordinators of groups", version, &request);
    }
    t.ask(
        "coordinator of what there is not",
        3,
        &FindCoordinatorRequest::default()
            .with_key(text("conf"))
            .with_key_type(9),
    );
    let request = FindCoordinatorRequest::default()
        .with_coordinator_keys(vec![text("conf")])
        .with_key_type(9);
    t.ask("coordinators of what there is not", 4, &request);
}

fn producer_ids(t: &mut Talk) {
    t.producer_id();
    for version in 0..=5 {
        t.ask(
            "producer id",
            version,
            &InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(60_000),
        );
    }
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    t.ask(
        "producer id again",
        4,
        &request
            .with_producer_id(ProducerId(123))
            .with_producer_epoch(4),
    );
    let request =
        InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(text(""))));
    t.ask(
        "producer id of nothing",
        4,
        &request.with_transaction_timeout_ms(60_000),
    );
}
