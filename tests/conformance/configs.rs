//! Settings described and changed, of topics, brokers and groups; limits on numbers of partitions.

use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsResource, AlterableConfig as Replacement,
};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource as Resource, AlterableConfig,
};
use kafka_protocol::messages::*;

use super::talk::{Talk, text, topic};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

const NAME: &str = "conf-settings";
const GROUP_NAME: &str = "conf-settings-group";

/// Key, operation, value.
type Change<'a> = (&'a str, i8, Option<&'a str>);

pub(crate) fn cases(t: &mut Talk) {
    t.make_topics(&[(NAME, 1)], &[("retention.ms", "1000000")]);
    t.remove_topics(&["conf-many", "conf-many-too"]);
    operations(t);
    lists(t);
    refused(t);
    replaced(t);
    brokers(t);
    listeners(t);
    groups(t);
    listed(t);
    counts(t);
    t.remove_topics(&[NAME]);
}

fn resource(kind: i8, name: &str, changes: &[Change<'_>]) -> Resource {
    let changes = changes.iter().map(|&(key, operation, value)| {
        AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(operation)
            .with_value(value.map(text))
    });
    Resource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(changes.collect())
}

fn request(resources: Vec<Resource>) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest::default().with_resources(resources)
}

fn change(kind: i8, name: &str, changes: &[Change<'_>]) -> IncrementalAlterConfigsRequest {
    request(vec![resource(kind, name, changes)])
}

/// Writes down settings of a resource: Kafka's order is that of a hash table, and a change takes a moment to arrive.
fn show(t: &mut Talk, label: &str, kind: i8, name: &str, keys: &[&str], until: &str) {
    let asked = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(
            (!keys.is_empty()).then(|| keys.iter().map(|k| text(k)).collect()),
        );
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![asked])
        .with_include_synonyms(true);
    let mut shown = String::new();
    for _ in 0..500 {
        let answer = t.quietly(4, &request);
        let mut settings: Vec<String> = answer.results[0]
            .configs
            .iter()
            .map(|c| {
                let value = |v: &Option<kafka_protocol::protocol::StrBytes>| {
                    v.as_ref().map_or("null".to_owned(), |v| v.to_string())
                };
                let synonyms: Vec<String> = c
                    .synonyms
                    .iter()
                    .map(|s| format!("{}={} from {}", s.name.as_str(), value(&s.value), s.source))
                    .collect();
                format!(
                    "{}={} type {} source {} read-only {} sensitive {} {synonyms:?}",
                    c.name.as_str(),
                    value(&c.value),
                    c.config_type,
                    c.config_source,
                    c.read_only,
                    c.is_sensitive,
                )
            })
            .collect();
        settings.sort();
        shown = format!(
            "error {} {:?}\n{}",
            answer.results[0].error_code,
            answer.results[0].error_message.as_ref().map(|m| m.as_str()),
            settings.join("\n")
        );
        // A synonym may be there before the value that it stands for.
        let value = |s: &String| s.split_once("type ").map_or("", |(v, _)| v).contains(until);
        if until.is_empty() || settings.iter().any(value) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    t.write_down(label, &shown);
}

fn operations(t: &mut Talk) {
    for version in 0..=1 {
        let value = format!("20000{version}");
        let set = change(TOPIC, NAME, &[("retention.ms", SET, Some(&value))]);
        t.ask("set", version, &set);
        let until = format!("retention.ms={value} ");
        show(t, "after set", TOPIC, NAME, &["retention.ms"], &until);
    }
    let both = [
        ("max.message.bytes", SET, Some("5000")),
        ("min.insync.replicas", SET, Some("2")),
        ("retention.ms", DELETE, None),
    ];
    let keys = ["retention.ms", "max.message.bytes", "min.insync.replicas"];
    t.ask(
        "in thought",
        1,
        &change(TOPIC, NAME, &both).with_validate_only(true),
    );
    show(
        t,
        "after thought",
        TOPIC,
        NAME,
        &keys,
        "retention.ms=200001 ",
    );
    t.ask("several at once", 1, &change(TOPIC, NAME, &both));
    show(
        t,
        "after several",
        TOPIC,
        NAME,
        &keys,
        "retention.ms=604800000 ",
    );
    t.ask(
        "delete with a value",
        1,
        &change(TOPIC, NAME, &[("max.message.bytes", DELETE, Some("x"))]),
    );
    t.ask(
        "delete what is not set",
        1,
        &change(TOPIC, NAME, &[("segment.ms", DELETE, None)]),
    );
    t.ask(
        "delete the rest",
        1,
        &change(TOPIC, NAME, &[("min.insync.replicas", DELETE, None)]),
    );
    show(
        t,
        "after deleting",
        TOPIC,
        NAME,
        &keys,
        "max.message.bytes=1048588 ",
    );
    t.ask("nothing to change", 1, &change(TOPIC, NAME, &[]));
    t.ask("no resource", 1, &request(vec![]));
}

fn lists(t: &mut Talk) {
    let key = "cleanup.policy";
    for (label, operation, value, until) in [
        (
            "append",
            APPEND,
            "compact",
            "cleanup.policy=delete,compact ",
        ),
        (
            "append what is there",
            APPEND,
            "compact",
            "cleanup.policy=delete,compact ",
        ),
        ("subtract", SUBTRACT, "delete", "cleanup.policy=compact "),
        (
            "subtract what is not there",
            SUBTRACT,
            "delete",
            "cleanup.policy=compact ",
        ),
        (
            "append two",
            APPEND,
            "delete,compact",
            "cleanup.policy=compact,delete ",
        ),
        (
            "subtract two",
            SUBTRACT,
            "compact,delete",
            "cleanup.policy= ",
        ),
    ] {
        t.ask(
            label,
            1,
            &change(TOPIC, NAME, &[(key, operation, Some(value))]),
        );
        show(t, &format!("after {label}"), TOPIC, NAME, &[key], until);
    }
    t.ask(
        "append a word that is not allowed",
        1,
        &change(TOPIC, NAME, &[(key, APPEND, Some("shred"))]),
    );
    t.ask(
        "append nothing",
        1,
        &change(TOPIC, NAME, &[(key, APPEND, None)]),
    );
    t.ask(
        "back again",
        1,
        &change(TOPIC, NAME, &[(key, DELETE, None)]),
    );
    show(
        t,
        "after back again",
        TOPIC,
        NAME,
        &[key],
        "cleanup.policy=delete ",
    );
    let number = |operation| change(TOPIC, NAME, &[("retention.ms", operation, Some("5"))]);
    t.ask("append to a number", 1, &number(APPEND));
    t.ask("subtract from a number", 1, &number(SUBTRACT));
}

fn refused(t: &mut Talk) {
    let one = |c: Change<'_>| change(TOPIC, NAME, &[c]);
    t.ask(
        "a setting there is not",
        1,
        &one(("no.such", SET, Some("1"))),
    );
    t.ask(
        "delete a setting there is not",
        1,
        &one(("no.such", DELETE, None)),
    );
    t.ask(
        "append to a setting there is not",
        1,
        &one(("no.such", APPEND, Some("1"))),
    );
    t.ask("a bad value", 1, &one(("retention.ms", SET, Some("soon"))));
    t.ask(
        "a value out of range",
        1,
        &one(("retention.ms", SET, Some("-2"))),
    );
    t.ask("no value", 1, &one(("retention.ms", SET, None)));
    t.ask("an empty value", 1, &one(("retention.ms", SET, Some(""))));
    t.ask(
        "an operation there is not",
        1,
        &one(("retention.ms", 9, Some("1"))),
    );
    t.ask(
        "a setting twice",
        1,
        &change(
            TOPIC,
            NAME,
            &[
                ("retention.ms", SET, Some("1")),
                ("retention.ms", SET, Some("2")),
            ],
        ),
    );
    t.ask(
        "one good and one bad",
        1,
        &change(
            TOPIC,
            NAME,
            &[
                ("retention.ms", SET, Some("777")),
                ("segment.ms", SET, Some("x")),
            ],
        ),
    );
    show(
        t,
        "after one good and one bad",
        TOPIC,
        NAME,
        &["retention.ms"],
        "604800000",
    );
    let set: &[Change<'_>] = &[("retention.ms", SET, Some("1"))];
    t.ask(
        "a topic there is not",
        1,
        &change(TOPIC, "conf-unknown", set),
    );
    t.ask("a topic with a bad name", 1, &change(TOPIC, "bad!", set));
    t.ask("a topic without a name", 1, &change(TOPIC, "", set));
    t.ask("a kind there is not", 1, &change(77, "x", set));
    t.ask(
        "a resource twice",
        1,
        &request(vec![resource(TOPIC, NAME, set), resource(TOPIC, NAME, set)]),
    );
    t.ask_sorted(
        "a good and a bad resource",
        1,
        &request(vec![
            resource(TOPIC, "conf-unknown", set),
            resource(TOPIC, NAME, &[]),
        ]),
        |r| {
            r.responses
                .sort_by(|a, b| a.resource_name.cmp(&b.resource_name))
        },
    );
    t.ask("a broker's logger", 1, &change(BROKER_LOGGER, "99", set));
}

fn replaced(t: &mut Talk) {
    let resource = |kind: i8, name: &str, pairs: &[(&str, Option<&str>)]| {
        let pairs = pairs.iter().map(|(key, value)| {
            Replacement::default()
                .with_name(text(key))
                .with_value(value.map(text))
        });
        AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(pairs.collect())
    };
    let request = |r: AlterConfigsResource| AlterConfigsRequest::default().with_resources(vec![r]);
    let keys = ["retention.ms", "max.message.bytes", "segment.ms"];
    for version in 0..=2 {
        let value = format!("30000{version}");
        let all = [
            ("retention.ms", Some(value.as_str())),
            ("segment.ms", Some("9999")),
        ];
        t.ask("replace", version, &request(resource(TOPIC, NAME, &all)));
        show(t, "after replace", TOPIC, NAME, &keys, &value);
    }
    let other: &[(&str, Option<&str>)] = &[("max.message.bytes", Some("6000"))];
    let thought = request(resource(TOPIC, NAME, other)).with_validate_only(true);
    t.ask("replace in thought", 2, &thought);
    show(t, "after replace in thought", TOPIC, NAME, &keys, "300002");
    t.ask(
        "replace by another",
        2,
        &request(resource(TOPIC, NAME, other)),
    );
    show(
        t,
        "after replace by another",
        TOPIC,
        NAME,
        &keys,
        "max.message.bytes=6000 ",
    );
    let bad: &[(&str, Option<&str>)] = &[("no.such", Some("1"))];
    t.ask(
        "replace by what there is not",
        2,
        &request(resource(TOPIC, NAME, bad)),
    );
    let bad: &[(&str, Option<&str>)] = &[("retention.ms", None)];
    t.ask(
        "replace by no value",
        2,
        &request(resource(TOPIC, NAME, bad)),
    );
    t.ask(
        "replace in nothing",
        2,
        &request(resource(TOPIC, "conf-unknown", other)),
    );
    t.ask(
        "replace by nothing",
        2,
        &request(resource(TOPIC, NAME, &[])),
    );
    show(
        t,
        "after replace by nothing",
        TOPIC,
        NAME,
        &keys,
        "max.message.bytes=1048588 ",
    );
}

fn brokers(t: &mut Talk) {
    let key = "log.retention.bytes";
    let set = |name: &str, key: &str, value: &str| change(BROKER, name, &[(key, SET, Some(value))]);
    t.ask("set for a broker", 1, &set("1", key, "123456"));
    show(t, "a broker after set", BROKER, "1", &[key], "123456");
    show(
        t,
        "a topic after a broker's set",
        TOPIC,
        NAME,
        &["retention.bytes"],
        "123456",
    );
    t.ask("set for all brokers", 1, &set("", key, "234567"));
    show(t, "all brokers after set", BROKER, "", &[key], "234567");
    show(
        t,
        "a broker after set for all",
        BROKER,
        "1",
        &[key],
        "234567",
    );
    let unset: &[Change<'_>] = &[(key, DELETE, None)];
    t.ask("delete for a broker", 1, &change(BROKER, "1", unset));
    show(
        t,
        "a broker after delete",
        BROKER,
        "1",
        &[key],
        "log.retention.bytes=234567 ",
    );
    t.ask("delete for all brokers", 1, &change(BROKER, "", unset));
    show(
        t,
        "a broker after delete for all",
        BROKER,
        "1",
        &[key],
        "log.retention.bytes=-1 ",
    );
    t.ask("a broker's bad value", 1, &set("1", key, "much"));
    t.ask(
        "a broker's setting that is fixed",
        1,
        &set("1", "node.id", "5"),
    );
    t.ask("another broker", 1, &set("99", key, "1"));
    t.ask("a broker that is none", 1, &set("x", key, "1"));
    show(
        t,
        "settings fixed at the start",
        BROKER,
        "1",
        &["node.id", "broker.id", "auto.create.topics.enable"],
        "node.id",
    );
}

/// How a broker's address is told, without the address.
fn listeners(t: &mut Talk) {
    let asked = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text("1"))
        .with_configuration_keys(Some(vec![text("advertised.listeners")]));
    let request = DescribeConfigsRequest::default().with_resources(vec![asked]);
    let answer = t.quietly(4, &request);
    let shown: Vec<String> = answer.results[0]
        .configs
        .iter()
        .map(|c| {
            let value = c.value.as_ref().map_or("", |v| v.as_str());
            format!(
                "{} PLAINTEXT {} type {} source {} read-only {}",
                c.name.as_str(),
                value.contains("PLAINTEXT://127.0.0.1:"),
                c.config_type,
                c.config_source,
                c.read_only
            )
        })
        .collect();
    t.write_down("advertised listeners", &shown.join("\n"));
}

fn groups(t: &mut Talk) {
    let all = [
        "consumer.heartbeat.interval.ms",
        "consumer.session.timeout.ms",
        "share.auto.offset.reset",
        "share.delivery.count.limit",
        "share.heartbeat.interval.ms",
        "share.isolation.level",
        "share.partition.max.record.locks",
        "share.record.lock.duration.ms",
        "share.renew.acknowledge.enable",
        "share.session.timeout.ms",
    ];
    show(t, "a group's settings", GROUP, GROUP_NAME, &all, "");
    show(t, "settings of a group without a name", GROUP, "", &[], "");
    let one = |key: &str, operation, value| change(GROUP, GROUP_NAME, &[(key, operation, value)]);
    let key = "share.auto.offset.reset";
    t.ask("set for a group", 1, &one(key, SET, Some("earliest")));
    show(
        t,
        "a group after set",
        GROUP,
        GROUP_NAME,
        &[key],
        "earliest",
    );
    t.ask("delete for a group", 1, &one(key, DELETE, None));
    show(
        t,
        "a group after delete",
        GROUP,
        GROUP_NAME,
        &[key],
        "reset=latest",
    );
    t.ask("a group's bad word", 1, &one(key, SET, Some("middle")));
    t.ask(
        "a group's duration",
        1,
        &one(key, SET, Some("by_duration:PT1H")),
    );
    show(
        t,
        "a group after a duration",
        GROUP,
        GROUP_NAME,
        &[key],
        "PT1H",
    );
    t.ask(
        "a group's bad duration",
        1,
        &one(key, SET, Some("by_duration:soon")),
    );
    t.ask("delete a group's duration", 1, &one(key, DELETE, None));
    t.ask(
        "a group's setting there is not",
        1,
        &one("no.such", SET, Some("1")),
    );
    t.ask(
        "a group's bad number",
        1,
        &one("consumer.session.timeout.ms", SET, Some("x")),
    );
    t.ask(
        "a group's small number",
        1,
        &one("consumer.session.timeout.ms", SET, Some("1")),
    );
    t.ask(
        "a group's large number",
        1,
        &one("consumer.session.timeout.ms", SET, Some("99999999")),
    );
    t.ask(
        "a group's isolation",
        1,
        &one("share.isolation.level", SET, Some("read_committed")),
    );
    t.ask(
        "a group's bad isolation",
        1,
        &one("share.isolation.level", SET, Some("x")),
    );
    t.ask(
        "a group's lock",
        1,
        &one("share.record.lock.duration.ms", SET, Some("20000")),
    );
    t.ask(
        "a group's short lock",
        1,
        &one("share.record.lock.duration.ms", SET, Some("1")),
    );
    let keys = ["share.isolation.level", "share.record.lock.duration.ms"];
    show(t, "a group after more", GROUP, GROUP_NAME, &keys, "20000");
    t.ask(
        "a group without a name",
        1,
        &change(GROUP, "", &[(key, SET, Some("latest"))]),
    );
    let both: &[Change<'_>] = &[(keys[0], DELETE, None), (keys[1], DELETE, None)];
    t.ask(
        "delete more of a group",
        1,
        &change(GROUP, GROUP_NAME, both),
    );
    show(t, "a group at the end", GROUP, GROUP_NAME, &keys, "=30000 ");
}

fn listed(t: &mut Talk) {
    let ask =
        |kinds: &[i8]| ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec());
    t.ask("list by default", 0, &ask(&[]));
    // Other cases may have made the topics of groups and transactions by now.
    t.ask_sorted("list topics", 1, &ask(&[TOPIC]), |listed| {
        listed
            .config_resources
            .retain(|r| !r.resource_name.starts_with("__"));
    });
    t.ask("list brokers", 1, &ask(&[BROKER]));
    t.ask("list loggers", 1, &ask(&[BROKER_LOGGER]));
    t.ask("list metrics", 1, &ask(&[CLIENT_METRICS]));
    t.ask("list what there is not", 1, &ask(&[77]));
}

fn counts(t: &mut Talk) {
    let new = |name: &str, partitions: i32, replicas: i16| {
        CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(partitions)
            .with_replication_factor(replicas)
    };
    let make = |topics: Vec<CreatableTopic>| {
        CreateTopicsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(10_000)
            .with_validate_only(true)
    };
    for (partitions, replicas) in [
        (10_001, 1),
        (i32::MAX, 1),
        (i32::MAX, i16::MAX),
        (10_000, i16::MAX),
    ] {
        t.ask(
            &format!("create {partitions} partitions, {replicas} replicas"),
            4,
            &make(vec![new("conf-many", partitions, replicas)]),
        );
    }
    let label = "create too many partitions together";
    let two = vec![new("conf-many", 6_000, 1), new("conf-many-too", 6_000, 1)];
    t.ask_sorted(label, 4, &make(two), |r| {
        r.topics.sort_by(|a, b| a.name.cmp(&b.name))
    });
    let more = |name: &str, count: i32| {
        CreatePartitionsTopic::default()
            .with_name(topic(name))
            .with_count(count)
            .with_assignments(None)
    };
    // More than that Kafka answers with UNKNOWN_SERVER_ERROR without words.
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![more(NAME, 10_001)])
        .with_timeout_ms(10_000)
        .with_validate_only(true);
    t.ask("grow by 10000 partitions", 3, &request);
}
