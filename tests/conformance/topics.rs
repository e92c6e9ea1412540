//! Topics made, changed, described, unmade.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::*;
use uuid::Uuid;

use super::talk::{Talk, text, topic};

const NAMES: [&str; 6] = [
    "conf-a",
    "conf-b",
    "conf.dots",
    "conf-made",
    "conf-assigned",
    "conf-default",
];

pub(crate) fn cases(t: &mut Talk) {
    t.remove_topics(&NAMES);
    create(t);
    create_assigned(t);
    create_wrongly_configured(t);
    partitions(t);
    describe(t);
    configs(t);
    delete(t);
    t.remove_topics(&NAMES);
}

fn new(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

fn make(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(10_000)
}

/// A topic that was only thought of has an id that nobody can ask for.
fn without_ids(answer: &mut CreateTopicsResponse) {
    for topic in &mut answer.topics {
        topic.topic_id = if topic.topic_id.is_nil() {
            Uuid::nil()
        } else {
            Uuid::max()
        };
    }
}

fn create(t: &mut Talk) {
    t.make_topics(
        &[("conf-a", 2), ("conf.dots", 1)],
        &[("retention.ms", "1000000")],
    );
    for version in [2, 4, 5, 7] {
        t.ask_sorted(
            "create only in thought",
            version,
            &make(vec![new("conf-thought", 3, 1)]).with_validate_only(true),
            without_ids,
        );
        t.ask(
            "create what exists",
            version,
            &make(vec![new("conf-a", 1, 1)]),
        );
    }
    let long = "n".repeat(250);
    for name in [
        "",
        ".",
        "..",
        "bad!name",
        "sp ace",
        long.as_str(),
        "conf_dots",
    ] {
        t.ask(
            &format!("create {name:.20}"),
            7,
            &make(vec![new(name, 1, 1)]),
        );
    }
    for (partitions, replicas) in [(0, 1), (-2, 1), (1, 0), (1, -2), (1, 3), (0, 0), (0, 3)] {
        t.ask(
            &format!("create with {partitions} and {replicas}"),
            6,
            &make(vec![new("conf-b", partitions, replicas)]),
        );
    }
    t.ask(
        "create twice in one request",
        7,
        &make(vec![new("conf-b", 1, 1), new("conf-b", 1, 1)]),
    );
    t.ask("create nothing", 7, &make(vec![]));
    t.ask_sorted(
        "create with defaults in thought",
        7,
        &make(vec![new("conf-default", -1, -1)]).with_validate_only(true),
        without_ids,
    );
}

fn create_assigned(t: &mut Talk) {
    let assign = |all: &[(i32, &[i32])]| {
        let one = |(index, nodes): &(i32, &[i32])| {
            CreatableReplicaAssignment::default()
                .with_partition_index(*index)
                .with_broker_ids(nodes.iter().map(|&n| BrokerId(n)).collect())
        };
        new("conf-assigned", -1, -1).with_assignments(all.iter().map(one).collect())
    };
    let thought = |topic: CreatableTopic| make(vec![topic]).with_validate_only(true);
    t.ask("assigned", 5, &thought(assign(&[(0, &[1]), (1, &[1])])));
    t.ask(
        "assigned, and a number",
        5,
        &thought(assign(&[(0, &[1])]).with_num_partitions(1)),
    );
    t.ask(
        "assigned, and replicas",
        5,
        &thought(assign(&[(0, &[1])]).with_replication_factor(1)),
    );
    t.ask(
        "assigned with a gap",
        5,
        &thought(assign(&[(0, &[1]), (2, &[1])])),
    );
    t.ask(
        "assigned twice",
        5,
        &thought(assign(&[(0, &[1]), (0, &[1])])),
    );
    t.ask("assigned to nobody", 5, &thought(assign(&[(0, &[])])));
    t.ask("assigned to a stranger", 5, &thought(assign(&[(0, &[99])])));
    t.ask(
        "assigned to one node twice",
        5,
        &thought(assign(&[(0, &[1, 1])])),
    );
}

fn create_wrongly_configured(t: &mut Talk) {
    let configured = |name: &str, value: Option<&str>| {
        let config = CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(value.map(text));
        make(vec![new("conf-b", 1, 1).with_configs(vec![config])])
    };
    for (name, value) in [
        ("no.such.setting", "1"),
        ("retention.ms", "soon"),
        ("retention.ms", "-2"),
        ("segment.bytes", "99999999999"),
        ("cleanup.policy", "shred"),
        ("cleanup.policy", "compact,shred"),
        ("compression.type", "rar"),
        ("compression.gzip.level", "10"),
        ("preallocate", "maybe"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("min.cleanable.dirty.ratio", "much"),
        ("min.insync.replicas", "0"),
        ("message.timestamp.type", "Whenever"),
    ] {
        t.ask(
            &format!("create with {name}={value}"),
            7,
            &configured(name, Some(value)),
        );
    }
    t.ask(
        "create with a null setting",
        7,
        &configured("retention.ms", None),
    );
}

fn partitions(t: &mut Talk) {
    let more = |name: &str, count: i32| {
        CreatePartitionsTopic::default()
            .with_name(topic(name))
            .with_count(count)
            .with_assignments(None)
    };
    let request = |topics: Vec<CreatePartitionsTopic>| {
        CreatePartitionsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(10_000)
    };
    for version in 0..=3 {
        t.ask(
            "more partitions in thought",
            version,
            &request(vec![more("conf-a", 3)]).with_validate_only(true),
        );
    }
    t.ask("as many partitions", 3, &request(vec![more("conf-a", 2)]));
    t.ask("fewer partitions", 3, &request(vec![more("conf-a", 1)]));
    t.ask("no partitions", 3, &request(vec![more("conf-a", 0)]));
    t.ask(
        "partitions of nothing",
        3,
        &request(vec![more("conf-unknown", 2)]),
    );
    t.ask(
        "partitions twice",
        3,
        &request(vec![more("conf-a", 3), more("conf-a", 4)]),
    );
    let assigned = |nodes: &[&[i32]]| {
        let one = |n: &&[i32]| {
            CreatePartitionsAssignment::default()
                .with_broker_ids(n.iter().map(|&i| BrokerId(i)).collect())
        };
        request(vec![
            more("conf-a", 3).with_assignments(Some(nodes.iter().map(one).collect())),
        ])
        .with_validate_only(true)
    };
    t.ask("partitions assigned", 3, &assigned(&[&[1]]));
    t.ask("partitions assigned, too many", 3, &assigned(&[&[1], &[1]]));
    t.ask("partitions assigned to a stranger", 3, &assigned(&[&[99]]));
    t.ask("partitions assigned to nobody", 3, &assigned(&[&[]]));
    t.ask("more partitions", 3, &request(vec![more("conf-a", 4)]));
    t.until(&["conf-a"], |_, code, partitions| {
        code == 0 && partitions == 4
    });
}

fn describe(t: &mut Talk) {
    let ask = |names: &[&str], limit: i32| {
        let topics = names
            .iter()
            .map(|n| TopicRequest::default().with_name(topic(n)))
            .collect();
        DescribeTopicPartitionsRequest::default()
            .with_topics(topics)
            .with_response_partition_limit(limit)
    };
    t.ask(
        "topic partitions",
        0,
        &ask(&["conf.dots", "conf-a", "conf-unknown"], 100),
    );
    t.ask(
        "topic partitions, few at once",
        0,
        &ask(&["conf-a", "conf.dots"], 3),
    );
    let cursor = Cursor::default()
        .with_topic_name(topic("conf-a"))
        .with_partition_index(3);
    t.ask(
        "topic partitions, the rest",
        0,
        &ask(&["conf-a", "conf.dots"], 3).with_cursor(Some(cursor)),
    );
    t.ask("topic partitions of a bad name", 0, &ask(&["bad!"], 3));
    t.ask("topic partitions without a limit", 0, &ask(&["conf-a"], 0));
}

fn configs(t: &mut Talk) {
    let resource = |kind: i8, name: &str, keys: Option<&[&str]>| {
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(keys.map(|k| k.iter().map(|s| text(s)).collect()))
    };
    let request = |resource| {
        DescribeConfigsRequest::default()
            .with_resources(vec![resource])
            .with_include_synonyms(true)
    };
    let keys: &[&str] = &[
        "retention.ms",
        "min.insync.replicas",
        "cleanup.policy",
        "no.such",
    ];
    for version in 1..=4 {
        t.ask_sorted(
            "settings of a topic",
            version,
            &request(resource(2, "conf-a", Some(keys))),
            |r| r.results[0].configs.sort_by(|a, b| a.name.cmp(&b.name)),
        );
    }
    // Kafka's order is that of a hash table.
    let all = t.quietly(4, &request(resource(2, "conf-a", None)));
    let mut settings: Vec<String> = all.results[0]
        .configs
        .iter()
        .map(|c| {
            let synonyms: Vec<&str> = c.synonyms.iter().map(|s| s.name.as_str()).collect();
            let value = c.value.as_ref().map_or("", |v| v.as_str());
            format!(
                "{}={value} type {} source {} {synonyms:?}",
                c.name.as_str(),
                c.config_type,
                c.config_source
            )
        })
        .collect();
    settings.sort();
    t.write_down("all settings of a topic", &settings.join("\n"));
    t.ask(
        "settings of nothing",
        4,
        &request(resource(2, "conf-unknown", None)),
    );
    t.ask(
        "settings of a bad name",
        4,
        &request(resource(2, "bad!", None)),
    );
    t.ask(
        "settings of another broker",
        4,
        &request(resource(4, "77", None)),
    );
    t.ask("settings of no broker", 4, &request(resource(4, "x", None)));
    t.ask(
        "a setting of the broker",
        4,
        &request(resource(4, "1", Some(&["message.max.bytes"]))),
    );
    t.ask(
        "settings of what there is not",
        4,
        &request(resource(77, "x", None)),
    );
}

fn delete(t: &mut Talk) {
    let named = |names: &[&str]| {
        DeleteTopicsRequest::default()
            .with_topic_names(names.iter().map(|n| topic(n)).collect())
            .with_timeout_ms(10_000)
    };
    for version in [1, 4, 5] {
        t.ask(
            "delete what there is not",
            version,
            &named(&["conf-unknown"]),
        );
        t.ask(
            "delete twice",
            version,
            &named(&["conf-unknown", "conf-unknown"]),
        );
    }
    let states = |states: Vec<DeleteTopicState>| {
        DeleteTopicsRequest::default()
            .with_topics(states)
            .with_timeout_ms(10_000)
    };
    let by_name = |n: &str| DeleteTopicState::default().with_name(Some(topic(n)));
    let by_id = |id: u128| {
        DeleteTopicState::default()
            .with_name(None)
            .with_topic_id(Uuid::from_u128(id))
    };
    t.ask("delete by name", 6, &states(vec![by_name("conf-unknown")]));
    t.ask("delete by id", 6, &states(vec![by_id(7)]));
    t.ask("delete by id twice", 6, &states(vec![by_id(7), by_id(7)]));
    t.ask(
        "delete by both",
        6,
        &states(vec![by_name("conf-a").with_topic_id(Uuid::from_u128(7))]),
    );
    t.ask("delete by neither", 6, &states(vec![by_id(0)]));
    t.ask("delete nothing", 6, &states(vec![]));
    t.ask("delete", 6, &states(vec![by_name("conf-a")]));
    t.until(&["conf-a"], |_, code, _| code == 3);
}
