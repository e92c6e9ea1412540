//! Groups of the classic protocol: joining, assigning, living, leaving, and what is answered to those who may not.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use super::talk::{Talk, text, topic};

const TOPIC: &str = "conf-groups";

pub(crate) fn cases(t: &mut Talk) {
    t.make_topics(&[(TOPIC, 2)], &[]);
    coordinator(t, "conf-classic");
    delete(
        t,
        &["conf-classic", "conf-static", "conf-simple", "conf-odd"],
    );
    alone(t);
    two(t);
    statics(t);
    odd(t);
    deleted(t);
    t.remove_topics(&[TOPIC]);
}

/// Waits until the coordinator of a group answers for it.
pub(crate) fn coordinator(t: &mut Talk, name: &str) {
    let find = FindCoordinatorRequest::default().with_key(text(name));
    let describe = DescribeGroupsRequest::default().with_groups(vec![group(name)]);
    let started = std::time::Instant::now();
    while t.quietly(3, &find).error_code != 0
        || !matches!(t.quietly(6, &describe).groups[0].error_code, 0 | 69)
    {
        let limit = std::time::Duration::from_secs(30);
        assert!(started.elapsed() < limit, "no coordinator of {name}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Deletes groups that an earlier run may have left.
pub(crate) fn delete(t: &mut Talk, names: &[&str]) {
    let names = names.iter().map(|n| group(n)).collect();
    t.quietly(2, &DeleteGroupsRequest::default().with_groups_names(names));
}

pub(crate) fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

/// A consumer's metadata: version 0, one topic.
fn subscription() -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, TOPIC.len() as u8];
    bytes.extend_from_slice(TOPIC.as_bytes());
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    Bytes::from(bytes)
}

pub(crate) fn protocol(name: &str, metadata: Bytes) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol::default()
        .with_name(text(name))
        .with_metadata(metadata)
}

fn join(version: i16, name: &str, member: &StrBytes) -> JoinGroupRequest {
    let request = JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_session_timeout_ms(30_000)
        .with_member_id(member.clone())
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![
            protocol("range", subscription()),
            protocol("roundrobin", subscription()),
        ]);
    if version >= 1 {
        request.with_rebalance_timeout_ms(20_000)
    } else {
        request
    }
}

fn sync(
    version: i16,
    name: &str,
    member: &StrBytes,
    generation: i32,
    assignments: &[(&StrBytes, &'static str)],
) -> SyncGroupRequest {
    let one = |(member, assignment): &(&StrBytes, &'static str)| {
        SyncGroupRequestAssignment::default()
            .with_member_id((*member).clone())
            .with_assignment(Bytes::from_static(assignment.as_bytes()))
    };
    let mut request = SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_generation_id(generation)
        .with_member_id(member.clone())
        .with_assignments(assignments.iter().map(one).collect());
    if version >= 5 {
        request.protocol_type = Some(text("consumer"));
        request.protocol_name = Some(text("range"));
    }
    request
}

pub(crate) fn heartbeat(name: &str, member: &StrBytes, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group(name))
        .with_generation_id(generation)
        .with_member_id(member.clone())
}

pub(crate) fn leave(name: &str, members: &[(&str, Option<&str>)]) -> LeaveGroupRequest {
    let one = |(id, instance): &(&str, Option<&str>)| {
        MemberIdentity::default()
            .with_member_id(text(id))
            .with_group_instance_id(instance.map(text))
    };
    LeaveGroupRequest::default()
        .with_group_id(group(name))
        .with_members(members.iter().map(one).collect())
}

fn commit(name: &str, member: &str, generation: i32) -> OffsetCommitRequest {
    commit_of(TOPIC, name, member, generation)
}

pub(crate) fn commit_of(
    of: &str,
    name: &str,
    member: &str,
    generation: i32,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(3)
        .with_committed_metadata(Some(text("m")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic(of))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_member_id(text(member))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![topic])
}

/// Asks for the offset of partition 0 of topic `of`.
pub(crate) fn fetch_of(of: &str, name: &str, member: &str, epoch: i32) -> OffsetFetchRequest {
    let topics = OffsetFetchRequestTopics::default()
        .with_name(topic(of))
        .with_partition_indexes(vec![0]);
    let fetch = OffsetFetchRequestGroup::default()
        .with_group_id(group(name))
        .with_member_id((!member.is_empty()).then(|| text(member)))
        .with_member_epoch(epoch)
        .with_topics(Some(vec![topics]));
    OffsetFetchRequest::default().with_groups(vec![fetch])
}

fn describe(t: &mut Talk, label: &str, version: i16, names: &[&str]) {
    let names = names.iter().map(|n| group(n)).collect();
    let request = DescribeGroupsRequest::default().with_groups(names);
    t.ask_sorted(label, version, &request, |r| {
        // Kafka has those first that it finds first.
        r.groups
            .sort_by_key(|g| std::cmp::Reverse(g.group_id.to_string()));
        for group in &mut r.groups {
            group.members.sort_by_key(|m| m.member_assignment.clone());
        }
    });
}

fn list(t: &mut Talk, label: &str, version: i16, states: &[&str], types: &[&str]) {
    let mut request = ListGroupsRequest::default();
    request.states_filter = states.iter().map(|s| text(s)).collect();
    request.types_filter = types.iter().map(|s| text(s)).collect();
    t.ask_sorted(label, version, &request, |r| {
        r.groups.retain(|g| g.group_id.starts_with("conf-classic"));
        r.groups.sort_by_key(|g| g.group_id.to_string());
    });
}

/// A group of one, in every version of everything.
fn alone(t: &mut Talk) {
    let name = "conf-classic";
    let nobody = text("");
    t.ask(
        "join with an id of no group",
        9,
        &join(9, "conf-none", &text("x")),
    );
    t.ask(
        "sync in no group",
        5,
        &sync(5, "conf-none", &text("x"), 1, &[]),
    );
    t.ask(
        "heartbeat in no group",
        4,
        &heartbeat("conf-none", &text("x"), 1),
    );
    t.ask("leave no group", 5, &leave("conf-none", &[("x", None)]));
    t.ask("commit in no group", 8, &commit("conf-none", "x", 1));
    t.ask("commit in no group", 9, &commit("conf-none", "x", 1));
    for version in 0..=9 {
        let mut request = join(version, name, &nobody);
        if version >= 4 {
            let told = t.ask("join without an id", version, &request);
            request.member_id = told.expect("an answer").member_id;
        }
        let joined = t.ask("join alone", version, &request).expect("an answer");
        let (id, generation) = (joined.member_id, joined.generation_id);
        let request = sync(version.min(5), name, &id, generation, &[(&id, "all")]);
        t.ask("sync alone", version.min(5), &request);
        let beat = heartbeat(name, &id, generation);
        t.ask("heartbeat alone", version.min(4), &beat);
        describe(t, "describe one", version.min(6), &[name, "conf-none"]);
        list(t, "list one", version.min(5), &[], &[]);
        let version = version.min(5);
        let request = if version >= 3 {
            leave(name, &[(id.as_str(), None)])
        } else {
            LeaveGroupRequest::default()
                .with_group_id(group(name))
                .with_member_id(id.clone())
        };
        t.ask("leave", version, &request);
        t.ask("heartbeat of one that left", 4, &beat);
        describe(t, "describe nobody", version, &[name]);
    }
    let mut request = join(5, name, &nobody);
    request.session_timeout_ms = 10;
    t.ask("join with a short session", 5, &request);
    t.ask("join a group without a name", 5, &join(5, "", &nobody));
    t.ask(
        "heartbeat in a group without a name",
        4,
        &heartbeat("", &nobody, 1),
    );
    let empty = join(5, name, &nobody).with_protocols(vec![]);
    t.ask("join without protocols", 5, &empty);
    t.ask("join with an id nobody has", 5, &join(5, name, &text("x")));
    for (states, types) in [
        (&["Empty"] as &[&str], &[] as &[&str]),
        (&["Stable", "Dead"], &[]),
        (&["empty"], &["classic"]),
        (&[], &["Consumer"]),
        (&["NoState"], &[]),
        (&[], &["notype"]),
    ] {
        list(t, &format!("list {states:?} {types:?}"), 5, states, types);
    }
}

/// Two members: one has to wait for the other.
fn two(t: &mut Talk) {
    let name = "conf-classic";
    let (mut first, mut second) = (t.beside(), t.beside());
    let told = t.quietly(9, &join(9, name, &text("")));
    let a = told.member_id;
    t.ask("first alone", 9, &join(9, name, &a));
    let g = t.quietly(9, &join(9, name, &a)).generation_id;
    t.ask(
        "sync of the first",
        5,
        &sync(5, name, &a, g, &[(&a, "all")]),
    );
    t.ask("commit", 9, &commit(name, a.as_str(), g));
    t.ask(
        "commit of another generation",
        8,
        &commit(name, a.as_str(), g + 1),
    );
    t.ask("commit of a stranger", 8, &commit(name, "x", g));
    t.ask("commit without membership", 8, &commit(name, "", -1));
    t.ask(
        "heartbeat of another generation",
        4,
        &heartbeat(name, &a, g + 1),
    );
    t.ask(
        "heartbeat of a stranger",
        4,
        &heartbeat(name, &text("x"), g),
    );
    t.ask(
        "sync of another generation",
        5,
        &sync(5, name, &a, g + 1, &[]),
    );
    let mut odd = sync(5, name, &a, g, &[]);
    odd.protocol_name = Some(text("sticky"));
    t.ask("sync with another protocol", 5, &odd);
    odd.protocol_name = None;
    t.ask("sync without a protocol", 5, &odd);
    t.ask("sync again", 5, &sync(5, name, &a, g, &[(&a, "changed")]));
    let other = join(9, name, &text("")).with_protocols(vec![protocol("sticky", Bytes::new())]);
    t.ask("join with another protocol", 9, &other);
    let other = join(9, name, &text("")).with_protocol_type(text("connect"));
    t.ask("join with another type of protocol", 9, &other);

    // The second joins: the first learns of it by its heartbeat, and joins again.
    let b = t.quietly(9, &join(9, name, &text(""))).member_id;
    second.post(9, &join(9, name, &b));
    while t.quietly(4, &heartbeat(name, &a, g)).error_code == 0 {}
    t.ask("heartbeat while a second joins", 4, &heartbeat(name, &a, g));
    t.ask("sync while a second joins", 5, &sync(5, name, &a, g, &[]));
    t.ask(
        "commit while a second joins",
        9,
        &commit(name, a.as_str(), g),
    );
    describe(t, "describe while a second joins", 6, &[name]);
    first.post(9, &join(9, name, &a));
    let sorted = |r: &mut JoinGroupResponse| r.members.sort_by_key(|m| m.member_id.to_string());
    let leads = t.wait_for::<JoinGroupRequest>(&mut first, "the first joins again", 9, |r| {
        // Which id comes first is chance; how many there are is not.
        r.members.sort_by_key(|m| m.member_id != r.member_id);
    });
    t.wait_for::<JoinGroupRequest>(&mut second, "the second joins", 9, sorted);
    let g = leads.generation_id;
    t.ask(
        "commit before the leader has assigned",
        9,
        &commit(name, a.as_str(), g),
    );
    t.ask(
        "heartbeat before the leader has assigned",
        4,
        &heartbeat(name, &b, g),
    );
    second.post(5, &sync(5, name, &b, g, &[]));
    describe(t, "describe before the leader has assigned", 6, &[name]);
    let assignments = [(&a, "one"), (&b, "two")];
    t.ask("sync of the leader", 5, &sync(5, name, &a, g, &assignments));
    t.wait_for::<SyncGroupRequest>(&mut second, "sync of the other", 5, |_| {});
    describe(t, "describe two", 6, &[name]);
    t.ask("the follower joins without changes", 9, &join(9, name, &b));

    // The leader leaves: the other one leads.
    t.ask(
        "the leader leaves",
        5,
        &leave(name, &[(a.as_str(), None), ("x", None)]),
    );
    t.ask("heartbeat of the one left", 4, &heartbeat(name, &b, g));
    let joined = t.ask("the one left joins", 9, &join(9, name, &b));
    let g = joined.expect("an answer").generation_id;
    t.ask(
        "delete a group with members",
        2,
        &DeleteGroupsRequest::default().with_groups_names(vec![group(name)]),
    );
    t.ask_sorted(
        "delete offsets of what is consumed",
        0,
        &offsets(name, &[0, 9]),
        // Kafka answers first for what there is not.
        |r| {
            let partitions = &mut r.topics[0].partitions;
            partitions.sort_by_key(|p| std::cmp::Reverse(p.partition_index));
        },
    );
    t.ask(
        "sync of the one left",
        5,
        &sync(5, name, &b, g, &[(&b, "all")]),
    );
    t.ask(
        "the one left leaves",
        5,
        &leave(name, &[(b.as_str(), None)]),
    );
    t.ask("delete offsets", 0, &offsets(name, &[0, 1]));
    t.ask("delete offsets of no group", 0, &offsets("conf-none", &[0]));
}

fn offsets(name: &str, partitions: &[i32]) -> OffsetDeleteRequest {
    let one = |p: &i32| OffsetDeleteRequestPartition::default().with_partition_index(*p);
    let topic = OffsetDeleteRequestTopic::default()
        .with_name(topic(TOPIC))
        .with_partitions(partitions.iter().map(one).collect());
    OffsetDeleteRequest::default()
        .with_group_id(group(name))
        .with_topics(vec![topic])
}

/// Static members (KIP-345): replaced, fenced, removed by their instance id.
fn statics(t: &mut Talk) {
    let name = "conf-static";
    let joining = |version: i16, member: &StrBytes| {
        join(version, name, member).with_group_instance_id(Some(text("i")))
    };
    let nobody = text("");
    t.ask("static member of nothing", 9, &joining(9, &text("x")));
    let joined = t
        .ask("static member", 9, &joining(9, &nobody))
        .expect("an answer");
    let (a, g) = (joined.member_id, joined.generation_id);
    let with_instance = |mut r: SyncGroupRequest| {
        r.group_instance_id = Some(text("i"));
        r
    };
    let request = with_instance(sync(5, name, &a, g, &[(&a, "all")]));
    t.ask("sync of a static member", 5, &request);
    for version in [5, 8, 9] {
        let joined = t.ask("static member again", version, &joining(version, &nobody));
        let id = joined.expect("an answer").member_id;
        let request = with_instance(sync(5, name, &id, g, &[]));
        t.ask("sync of the one again", 5, &request);
    }
    let mut beat = heartbeat(name, &a, g);
    t.ask("heartbeat of the one before", 4, &beat);
    beat.group_instance_id = Some(text("i"));
    t.ask("heartbeat of the one before as the instance", 4, &beat);
    beat.group_instance_id = Some(text("j"));
    t.ask("heartbeat of an unknown instance", 4, &beat);
    let mut as_before = commit(name, a.as_str(), g);
    as_before.group_instance_id = Some(text("i"));
    t.ask("commit of the one before", 9, &as_before);
    t.ask("sync of the one before", 5, &request);
    t.ask("join of the one before", 9, &joining(9, &a));
    t.ask(
        "leave of the one before",
        5,
        &leave(name, &[(a.as_str(), Some("i"))]),
    );
    t.ask(
        "leave by instance",
        5,
        &leave(name, &[("", Some("j")), ("", Some("i")), ("", None)]),
    );
    describe(t, "describe after that", 6, &[name]);
}

/// Commits without membership make a group; other types of protocol are not looked into.
fn odd(t: &mut Talk) {
    t.ask("commit makes a group", 9, &commit("conf-simple", "", -1));
    describe(t, "describe such a group", 6, &["conf-simple"]);
    t.ask(
        "leave such a group",
        5,
        &leave("conf-simple", &[("x", None)]),
    );
    t.ask(
        "heartbeat in such a group",
        4,
        &heartbeat("conf-simple", &text("x"), 0),
    );
    t.ask(
        "sync in such a group",
        5,
        &sync(5, "conf-simple", &text("x"), 0, &[]),
    );
    let name = "conf-odd";
    let request = |member: &StrBytes| {
        join(9, name, member)
            .with_protocol_type(text("other"))
            .with_protocols(vec![protocol("p", Bytes::from_static(b"?"))])
    };
    let id = t.quietly(9, &request(&text(""))).member_id;
    let joined = t.ask("join with a type of one's own", 9, &request(&id));
    let g = joined.expect("an answer").generation_id;
    t.ask("commit in such a group", 9, &commit(name, id.as_str(), g));
    let mut request = sync(5, name, &id, g, &[(&id, "x")]);
    request.protocol_type = Some(text("other"));
    request.protocol_name = Some(text("p"));
    t.ask("sync with a type of one's own", 5, &request);
    t.ask("delete offsets of such a group", 0, &offsets(name, &[0]));
    describe(t, "describe a type of one's own", 6, &[name]);
    t.ask(
        "leave a type of one's own",
        5,
        &leave(name, &[(id.as_str(), None)]),
    );
    t.ask("delete offsets when it is empty", 0, &offsets(name, &[0]));
}

fn deleted(t: &mut Talk) {
    // Commits of other suites may have made a group without a name.
    delete(t, &[""]);
    let names = ["conf-classic", "conf-simple", "conf-none", ""];
    for version in 0..=2 {
        let request = DeleteGroupsRequest::default()
            .with_groups_names(names.iter().map(|n| group(n)).collect());
        t.ask_sorted("delete groups", version, &request, |r| {
            r.results.sort_by_key(|g| g.group_id.to_string());
        });
    }
    delete(t, &["conf-static", "conf-odd"]);
}
