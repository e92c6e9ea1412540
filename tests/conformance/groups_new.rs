//! Groups of the new protocol (KIP-848): heartbeats with which members join, give up, get, leave; and who is fenced.

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::*;
use uuid::Uuid;

use super::groups::{commit_of, coordinator, delete, fetch_of, group};
use super::talk::{Talk, text, topic};

const TOPIC: &str = "conf-new-groups";
const OTHER: &str = "conf-new-groups-other";
const NAME: &str = "conf-new";

pub(crate) fn cases(t: &mut Talk) {
    let ids = t.make_topics(&[(TOPIC, 4), (OTHER, 1)], &[]);
    coordinator(t, NAME);
    delete(
        t,
        &[NAME, "conf-new-static", "conf-new-simple", "conf-new-regex"],
    );
    wrong(t);
    members(t, ids[0]);
    epochs(t, ids[0]);
    assignors(t);
    statics(t, ids[0]);
    regex(t);
    topics(t);
    t.remove_topics(&[TOPIC, OTHER]);
}

pub(crate) fn beat(name: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(name))
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

fn join(name: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    beat(name, member, 0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic(TOPIC)]))
        .with_topic_partitions(Some(vec![]))
}

pub(crate) fn owning(
    request: ConsumerGroupHeartbeatRequest,
    id: Uuid,
    partitions: &[i32],
) -> ConsumerGroupHeartbeatRequest {
    let owned = TopicPartitions::default()
        .with_topic_id(id)
        .with_partitions(partitions.to_vec());
    request.with_topic_partitions(Some(vec![owned]))
}

fn sorted(answer: &mut ConsumerGroupHeartbeatResponse) {
    // Ids of topics are chance.
    for assignment in answer.assignment.iter_mut() {
        assignment
            .topic_partitions
            .sort_by_key(|t| t.partitions.len());
    }
    for of in answer
        .assignment
        .iter_mut()
        .flat_map(|a| &mut a.topic_partitions)
    {
        of.partitions.sort_unstable();
    }
}

pub(crate) fn say(
    t: &mut Talk,
    label: &str,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    t.ask_sorted(label, 1, request, sorted).expect("an answer")
}

pub(crate) fn describe(t: &mut Talk, label: &str, version: i16, names: &[&str]) {
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(names.iter().map(|n| group(n)).collect());
    t.ask_sorted(label, version, &request, |r| {
        r.groups.sort_by_key(|g| g.group_id.to_string());
        for group in &mut r.groups {
            group.members.sort_by_key(|m| m.member_id.to_string());
            for m in &mut group.members {
                for assignment in [&mut m.assignment, &mut m.target_assignment] {
                    assignment
                        .topic_partitions
                        .sort_by_key(|t| t.topic_name.to_string());
                }
                let target = &mut m.target_assignment.topic_partitions;
                for of in m.assignment.topic_partitions.iter_mut().chain(target) {
                    of.partitions.sort_unstable();
                }
            }
        }
    });
}

/// Requests that are wrong by themselves.
fn wrong(t: &mut Talk) {
    let good = join(NAME, "a");
    let each: [(&str, ConsumerGroupHeartbeatRequest); 14] = [
        ("no member id", good.clone().with_member_id(text(""))),
        ("no group id", good.clone().with_group_id(group(""))),
        (
            "empty instance id",
            good.clone().with_instance_id(Some(text(""))),
        ),
        ("empty rack", good.clone().with_rack_id(Some(text("")))),
        (
            "no rebalance timeout",
            good.clone().with_rebalance_timeout_ms(-1),
        ),
        (
            "partitions when joining",
            owning(good.clone(), Uuid::from_u128(7), &[0]),
        ),
        (
            "null partitions when joining",
            good.clone().with_topic_partitions(None),
        ),
        (
            "null subscription when joining",
            good.clone().with_subscribed_topic_names(None),
        ),
        (
            "an unknown assignor",
            good.clone().with_server_assignor(Some(text("sticky"))),
        ),
        ("an epoch below all", good.clone().with_member_epoch(-3)),
        (
            "leaving for a while without an instance",
            good.clone().with_member_epoch(-2),
        ),
        ("leaving no group", beat("conf-none", "a", -1)),
        ("staying in no group", beat("conf-none", "a", 1)),
        (
            "a wrong regex",
            good.with_subscribed_topic_regex(Some(text("("))),
        ),
    ];
    for (label, request) in each {
        let mut answer = t.quietly(1, &request);
        if answer.error_code == 128 {
            // The words are those of the library that reads it.
            answer.error_message = None;
        }
        t.write_down(label, &format!("{answer:?}"));
    }
}

fn members(t: &mut Talk, id: Uuid) {
    t.ask_sorted("join", 0, &join(NAME, "a"), sorted);
    say(t, "again with nothing new", &beat(NAME, "a", 2));
    say(
        t,
        "again with what it has",
        &owning(beat(NAME, "a", 2), id, &[0, 1, 2, 3]),
    );
    describe(t, "describe one", 0, &[NAME]);
    describe(t, "describe one", 1, &[NAME, "conf-none", ""]);
    let request = DescribeGroupsRequest::default().with_groups(vec![group(NAME)]);
    t.ask("describe it as a classic one", 5, &request);
    t.ask("describe it as a classic one", 6, &request);
    t.ask_sorted("list it", 5, &ListGroupsRequest::default(), |r| {
        r.groups.retain(|g| g.group_id.as_str() == NAME);
    });
    say(t, "a second joins", &join(NAME, "b"));
    say(t, "the second waits", &beat(NAME, "b", 3));
    describe(t, "describe both", 1, &[NAME]);
    let told = say(t, "the first is told to give up", &beat(NAME, "a", 2));
    let kept = told
        .assignment
        .map_or_else(Vec::new, |a| a.topic_partitions[0].partitions.clone());
    say(
        t,
        "the first still has all",
        &owning(beat(NAME, "a", 2), id, &[0, 1, 2, 3]),
    );
    describe(t, "describe a group that goes on", 1, &[NAME]);
    say(
        t,
        "the first has given up",
        &owning(beat(NAME, "a", 2), id, &kept),
    );
    say(t, "the second gets", &beat(NAME, "b", 3));
    describe(t, "describe a stable group", 1, &[NAME]);
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group(NAME)]);
    t.ask("delete it", 2, &delete);
    let full = join(NAME, "b").with_member_epoch(3);
    say(t, "a full request", &full);
    say(t, "the second leaves", &beat(NAME, "b", -1));
    say(t, "the second again", &beat(NAME, "b", 3));
    say(t, "the second leaves again", &beat(NAME, "b", -1));
    describe(t, "describe after one left", 1, &[NAME]);
    say(t, "the first gets all", &beat(NAME, "a", 3));
}

fn epochs(t: &mut Talk, id: Uuid) {
    say(t, "an epoch too large", &beat(NAME, "a", 9));
    say(t, "the epoch before", &beat(NAME, "a", 3));
    say(
        t,
        "the epoch before with what it has",
        &owning(beat(NAME, "a", 3), id, &[0]),
    );
    say(
        t,
        "an epoch long past",
        &owning(beat(NAME, "a", 2), id, &[0]),
    );
    for (member, epoch) in [
        ("a", 4),
        ("a", 3),
        ("a", 2),
        ("a", 1),
        ("a", 9),
        ("x", 4),
        ("", -1),
    ] {
        let label = format!("commit as {member:?} of epoch {epoch}");
        t.ask(&label, 9, &commit_of(TOPIC, NAME, member, epoch));
        let request = fetch_of(TOPIC, NAME, member, epoch);
        t.ask(
            &format!("fetch as {member:?} of epoch {epoch}"),
            9,
            &request,
        );
    }
    t.ask(
        "commit in an old version",
        8,
        &commit_of(TOPIC, NAME, "a", 4),
    );
    say(t, "joins again under its id", &join(NAME, "a"));
    say(t, "the first leaves", &beat(NAME, "a", -1));
    describe(t, "describe nobody", 1, &[NAME]);
    t.ask(
        "commit in an empty group",
        9,
        &commit_of(TOPIC, NAME, "", -1),
    );
}

fn assignors(t: &mut Talk) {
    let with = |member: &str, assignor: &str| {
        join(NAME, member)
            .with_server_assignor(Some(text(assignor)))
            .with_subscribed_topic_names(Some(vec![topic(TOPIC), topic(OTHER)]))
    };
    for assignor in ["range", "uniform"] {
        say(t, "joins with an assignor", &with("a", assignor));
        describe(t, "describe the assignor", 1, &[NAME]);
        let mut request = beat(NAME, "a", -1);
        request.server_assignor = None;
        say(t, "leaves again", &request);
    }
    let rack = join(NAME, "a").with_rack_id(Some(text("r")));
    say(t, "joins with a rack", &rack);
    describe(t, "describe the rack", 1, &[NAME]);
    say(t, "leaves again", &beat(NAME, "a", -1));
}

fn statics(t: &mut Talk, id: Uuid) {
    let name = "conf-new-static";
    let as_instance = |r: ConsumerGroupHeartbeatRequest| r.with_instance_id(Some(text("i")));
    say(
        t,
        "stays as an unknown instance",
        &as_instance(beat(name, "a", 2)),
    );
    say(t, "static member joins", &as_instance(join(name, "a")));
    say(t, "another of its instance", &as_instance(join(name, "b")));
    say(t, "another stays", &as_instance(beat(name, "b", 2)));
    say(t, "another leaves", &as_instance(beat(name, "b", -1)));
    say(
        t,
        "an unknown instance leaves",
        &beat(name, "a", -1).with_instance_id(Some(text("j"))),
    );
    say(t, "leaves for a while", &as_instance(beat(name, "a", -2)));
    describe(t, "describe while it is away", 1, &[name]);
    say(t, "the one before stays", &as_instance(beat(name, "a", 2)));
    say(
        t,
        "comes back under another id",
        &as_instance(join(name, "b")),
    );
    say(t, "the one before again", &as_instance(beat(name, "a", 2)));
    let request = owning(as_instance(beat(name, "b", 2)), id, &[0, 1, 2, 3]);
    say(t, "the one that is back", &request);
    describe(t, "describe when it is back", 1, &[name]);
    say(t, "leaves for good", &as_instance(beat(name, "b", -1)));
    delete(t, &[name]);
}

/// Kafka looks for the topics that match behind the member's back: what comes of it is compared, not when.
fn regex(t: &mut Talk) {
    let name = "conf-new-regex";
    let request = join(name, "a")
        .with_subscribed_topic_names(Some(vec![]))
        .with_subscribed_topic_regex(Some(text("conf-new-groups-.*")));
    let mut epoch = t.quietly(1, &request).member_epoch;
    let started = std::time::Instant::now();
    let assigned = loop {
        let mut full = request.clone().with_member_epoch(epoch);
        full.topic_partitions = Some(vec![]);
        let answer = t.quietly(1, &full);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        epoch = answer.member_epoch;
        let topics = answer
            .assignment
            .map(|a| a.topic_partitions)
            .unwrap_or_default();
        if !topics.is_empty() {
            break topics;
        }
        assert!(
            started.elapsed() < std::time::Duration::from_secs(20),
            "no topics"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let sizes: Vec<usize> = assigned.iter().map(|t| t.partitions.len()).collect();
    t.write_down("topics by a regex", &format!("{sizes:?}"));
    let mut leave = beat(name, "a", -1);
    leave.subscribed_topic_regex = None;
    say(t, "the one with a regex leaves", &leave);
    delete(t, &[name]);
}

/// What a member subscribes to changes.
fn topics(t: &mut Talk) {
    let none = join(NAME, "a").with_subscribed_topic_names(Some(vec![topic("conf-not-there")]));
    let joined = say(t, "subscribes to what is not there", &none);
    let both = beat(NAME, "a", joined.member_epoch)
        .with_subscribed_topic_names(Some(vec![topic(OTHER), topic("conf-not-there")]));
    let answer = say(t, "subscribes to more", &both);
    let all = beat(NAME, "a", answer.member_epoch)
        .with_subscribed_topic_names(Some(vec![topic(TOPIC), topic(OTHER)]));
    let answer = t.quietly(1, &all);
    let counts = |answer: &ConsumerGroupHeartbeatResponse| -> Vec<usize> {
        let topics = answer.assignment.iter().flat_map(|a| &a.topic_partitions);
        let mut counts: Vec<usize> = topics.map(|t| t.partitions.len()).collect();
        counts.sort_unstable();
        counts
    };
    t.write_down(
        "subscribes to all",
        &format!("{} {:?}", answer.member_epoch, counts(&answer)),
    );
    let fewer =
        beat(NAME, "a", answer.member_epoch).with_subscribed_topic_names(Some(vec![topic(OTHER)]));
    say(t, "subscribes to less", &fewer);
    say(
        t,
        "and has not said what it has",
        &beat(NAME, "a", answer.member_epoch),
    );
    let given = beat(NAME, "a", answer.member_epoch).with_topic_partitions(Some(vec![]));
    say(t, "and has given all up", &given);
    say(t, "leaves at last", &beat(NAME, "a", -1));
    delete(t, &[NAME]);
}
