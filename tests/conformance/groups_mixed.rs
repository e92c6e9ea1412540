//! Groups whose members speak both protocols (KIP-848): how they become such groups and cease to be, what members of
//! the classic protocol are told there, and what is refused.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::groups::{commit_of, coordinator, delete, fetch_of, group, heartbeat, leave, protocol};
use super::groups_new::{beat, describe, owning, say};
use super::talk::{Talk, text, topic};

const TOPIC: &str = "conf-mixed-groups";
const NAME: &str = "conf-mixed";
const STATIC: &str = "conf-mixed-static";
const ODD: &str = "conf-mixed-odd";
const ALL: [i32; 4] = [0, 1, 2, 3];

pub(crate) fn cases(t: &mut Talk) {
    let ids = t.make_topics(&[(TOPIC, 4)], &[]);
    coordinator(t, NAME);
    delete(t, &[NAME, STATIC, ODD]);
    there_and_back(t, ids[0]);
    refused(t, ids[0]);
    statics(t, ids[0]);
    odd(t);
    delete(t, &[NAME, STATIC, ODD]);
    t.remove_topics(&[TOPIC]);
}

/// What a consumer says in JoinGroup: version 1 of its metadata, one topic, and what it holds.
fn subscription(owned: &[i32]) -> Bytes {
    subscription_to(TOPIC, owned)
}

fn subscription_to(topic: &str, owned: &[i32]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(1);
    bytes.put_i32(1);
    put_text(&mut bytes, topic);
    bytes.put_i32(-1);
    put_partitions(&mut bytes, owned);
    bytes.freeze()
}

/// An assignment of version 1, with an assignor's own data.
fn assignment(partitions: &[i32], user_data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(1);
    put_partitions(&mut bytes, partitions);
    bytes.put_i32(user_data.len() as i32);
    bytes.put_slice(user_data);
    bytes.freeze()
}

fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(text.len() as i16);
    bytes.put_slice(text.as_bytes());
}

fn put_partitions(bytes: &mut BytesMut, partitions: &[i32]) {
    bytes.put_i32(i32::from(!partitions.is_empty()));
    if !partitions.is_empty() {
        put_text(bytes, TOPIC);
        bytes.put_i32(partitions.len() as i32);
        for &p in partitions {
            bytes.put_i32(p);
        }
    }
}

/// The partitions of the one topic in an assignment.
fn assigned(mut assignment: Bytes) -> Vec<i32> {
    assignment.advance(2);
    if assignment.get_i32() == 0 {
        return Vec::new();
    }
    let name = assignment.get_i16();
    assignment.advance(name as usize);
    (0..assignment.get_i32())
        .map(|_| assignment.get_i32())
        .collect()
}

fn join(name: &str, member: &str, owned: &[i32]) -> JoinGroupRequest {
    JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(20_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![
            protocol("range", subscription(owned)),
            protocol("roundrobin", subscription(owned)),
        ])
}

fn sync(name: &str, member: &str, generation: i32) -> SyncGroupRequest {
    SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
}

fn join_new(name: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    beat(name, member, 0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic(TOPIC)]))
        .with_topic_partitions(Some(vec![]))
}

fn list(t: &mut Talk, label: &str) {
    t.ask_sorted(label, 5, &ListGroupsRequest::default(), |r| {
        r.groups.retain(|g| g.group_id.starts_with(NAME));
    });
}

/// A stable classic group of one member, which has all partitions; answers its id and generation.
fn classic(t: &mut Talk, name: &str, instance: Option<&str>, user_data: &[u8]) -> (StrBytes, i32) {
    let mut request = join(name, "", &[]).with_group_instance_id(instance.map(text));
    if instance.is_none() {
        request.member_id = t.quietly(9, &request).member_id;
    }
    let joined = t.quietly(9, &request);
    assert_eq!(joined.error_code, 0, "{joined:?}");
    let id = joined.member_id;
    let one = SyncGroupRequestAssignment::default()
        .with_member_id(id.clone())
        .with_assignment(assignment(&ALL, user_data));
    let request = sync(name, &id, joined.generation_id)
        .with_group_instance_id(instance.map(text))
        .with_assignments(vec![one]);
    assert_eq!(t.quietly(5, &request).error_code, 0);
    (id, joined.generation_id)
}

fn there_and_back(t: &mut Talk, id: Uuid) {
    let (old, generation) = classic(t, NAME, None, b"");
    list(t, "list the classic group");
    let leaves = beat(NAME, "a-new", -1);
    t.ask_sorted("leaves a classic group", 1, &leaves, silent);
    say(t, "one of the new protocol joins", &join_new(NAME, "a-new"));
    list(t, "list the group of both");
    describe(t, "describe the group of both", 1, &[NAME]);
    let classic = DescribeGroupsRequest::default().with_groups(vec![group(NAME)]);
    t.ask("describe it as a classic one", 6, &classic);
    t.ask("the old one is told", 4, &heartbeat(NAME, &old, generation));
    t.ask("it syncs first", 5, &sync(NAME, &old, generation));
    t.ask("it joins with what it has", 9, &join(NAME, &old, &ALL));
    let synced = t
        .ask("it syncs", 5, &sync(NAME, &old, generation))
        .expect("an answer");
    let kept = assigned(synced.assignment);
    t.ask("it is told again", 4, &heartbeat(NAME, &old, generation));
    say(t, "the new one waits", &beat(NAME, "a-new", generation + 1));
    describe(t, "describe it while it waits", 1, &[NAME]);
    let joined = t
        .ask("it joins with less", 9, &join(NAME, &old, &kept))
        .expect("an answer");
    let generation = joined.generation_id;
    t.ask(
        "it syncs in the new generation",
        5,
        &sync(NAME, &old, generation),
    );
    t.ask("it lives", 4, &heartbeat(NAME, &old, generation));
    say(t, "the new one gets", &beat(NAME, "a-new", generation));
    describe(t, "describe the stable group", 1, &[NAME]);
    another(t, &old, generation, &kept);
    say(
        t,
        "the last of the new protocol leaves",
        &beat(NAME, "a-new", -1),
    );
    list(t, "list the group that is classic again");
    t.ask_sorted("describe it", 6, &classic, |r| {
        for member in &mut r.groups[0].members {
            // Whether it is written down depends on the state it is in.
            member.member_metadata = Bytes::new();
        }
    });
    describe(t, "describe it as a new one", 1, &[NAME]);
    let epoch = beat(NAME, "a-new", generation);
    t.ask_sorted("the one that left", 1, &epoch, silent);
    t.ask(
        "the old one is told to join",
        4,
        &heartbeat(NAME, &old, generation + 2),
    );
    let joined = t
        .ask_sorted("it joins alone", 9, &join(NAME, &old, &[]), |r| {
            for member in &mut r.members {
                member.metadata = Bytes::new();
            }
        })
        .expect("an answer");
    let one = SyncGroupRequestAssignment::default()
        .with_member_id(old.clone())
        .with_assignment(assignment(&ALL, b""));
    let request = sync(NAME, &old, joined.generation_id).with_assignments(vec![one]);
    t.ask("it assigns", 5, &request);
    // Once more, by its sessions' end of account: LeaveGroup takes out members of the new protocol, too.
    say(t, "the new protocol again", &join_new(NAME, "a-new"));
    t.ask(
        "taken out by LeaveGroup",
        5,
        &leave(NAME, &[("a-new", None)]),
    );
    list(t, "list it then");
    t.ask(
        "the old one leaves",
        5,
        &leave(NAME, &[(old.as_str(), None)]),
    );
    let _ = id;
}

/// A member of the classic protocol comes into the group as it is, and goes. What it subscribes to is not there, so that
/// it does not matter in which order members are given something.
fn another(t: &mut Talk, old: &StrBytes, generation: i32, kept: &[i32]) {
    let told = t.quietly(9, &join(NAME, "", &[]));
    let code = told.error_code;
    t.write_down("another joins without an id", &format!("{code}"));
    let id = text("b-another");
    let metadata = subscription_to("conf-mixed-none", &[]);
    let request = join(NAME, &id, &[]).with_protocols(vec![protocol("range", metadata)]);
    let joined = t.ask("another joins", 9, &request).expect("an answer");
    let its = joined.generation_id;
    t.ask("another syncs", 5, &sync(NAME, &id, its));
    t.ask("another waits", 4, &heartbeat(NAME, &id, its));
    t.ask("the old one learns", 4, &heartbeat(NAME, old, generation));
    describe(t, "describe the three", 1, &[NAME]);
    t.ask("another leaves", 5, &leave(NAME, &[("b-another", None)]));
    t.ask("another after that", 4, &heartbeat(NAME, &id, its));
    t.quietly(1, &beat(NAME, "a-new", generation));
    let joined = t
        .ask("the old one joins then", 9, &join(NAME, old, kept))
        .expect("an answer");
    let request = sync(NAME, old, joined.generation_id);
    t.ask("the old one syncs then", 5, &request);
}

/// The words are the broker's own where Kafka's say how it is configured.
fn silent(answer: &mut ConsumerGroupHeartbeatResponse) {
    answer.error_message = None;
}

fn refused(t: &mut Talk, id: Uuid) {
    let (old, generation) = classic(t, NAME, None, b"");
    t.quietly(1, &join_new(NAME, "a-new"));
    let epoch = generation + 1;
    for (label, member, generation) in [
        ("a member of the new protocol", "a-new", epoch),
        ("a stranger", "x", epoch),
        ("an earlier generation", old.as_str(), generation - 1),
        ("a later generation", old.as_str(), epoch),
    ] {
        let member = text(member);
        t.ask(
            &format!("heartbeat of {label}"),
            4,
            &heartbeat(NAME, &member, generation),
        );
        t.ask(
            &format!("sync of {label}"),
            5,
            &sync(NAME, &member, generation),
        );
    }
    t.quietly(9, &join(NAME, &old, &ALL));
    let other = sync(NAME, &old, generation).with_protocol_name(Some(text("roundrobin")));
    t.ask("sync with another protocol", 5, &other);
    let other = sync(NAME, &old, generation).with_protocol_type(Some(text("connect")));
    t.ask("sync with another type", 5, &other);
    let other = join(NAME, "", &[]).with_protocol_type(text("connect"));
    t.ask("join with another type", 9, &other);
    let other = join(NAME, "", &[]).with_protocols(vec![protocol("other", subscription(&[]))]);
    t.ask("join with another protocol", 9, &other);
    let other = join(NAME, "", &[]).with_protocols(vec![]);
    t.ask("join without a protocol", 9, &other);
    let other = join(NAME, "x", &[]).with_protocols(vec![protocol("range", Bytes::new())]);
    t.ask("join with what is no subscription", 9, &other);
    let other = join(NAME, "x", &[]).with_group_instance_id(Some(text("i")));
    t.ask("join as an unknown instance", 9, &other);
    t.ask(
        "leave as a stranger",
        5,
        &leave(NAME, &[("x", None), ("", Some("i"))]),
    );
    for (label, member, epoch) in [
        ("the old one", old.as_str(), generation),
        ("the old one, later", old.as_str(), epoch),
        ("the old one, earlier", old.as_str(), generation - 1),
        ("the new one", "a-new", epoch),
        ("nobody", "", -1),
    ] {
        for version in [8, 9] {
            let commit = commit_of(TOPIC, NAME, member, epoch);
            t.ask(&format!("commit of {label}"), version, &commit);
        }
        let request = fetch_of(TOPIC, NAME, member, epoch);
        t.ask(&format!("fetch of {label}"), 9, &request);
    }
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group(NAME)]);
    t.ask("delete it", 2, &delete);
    // A member may change its protocol under its id.
    let mut full = join_new(NAME, &old);
    full.member_epoch = 0;
    let changed = say(t, "the old one by the new protocol", &full);
    describe(t, "describe that", 1, &[NAME]);
    t.ask(
        "and by the classic one",
        4,
        &heartbeat(NAME, &old, changed.member_epoch),
    );
    say(t, "the old one leaves", &beat(NAME, &old, -1));
    let request = owning(beat(NAME, "a-new", epoch), id, &[]);
    say(t, "the new one has all", &request);
    say(t, "the new one leaves", &beat(NAME, "a-new", -1));
    list(t, "list nobody");
}

fn statics(t: &mut Talk, id: Uuid) {
    let as_instance = |r: ConsumerGroupHeartbeatRequest| r.with_instance_id(Some(text("i")));
    let (old, generation) = classic(t, STATIC, Some("i"), b"");
    let came = say(
        t,
        "comes by the new protocol",
        &as_instance(join_new(STATIC, "a-new")),
    );
    let old_beat = heartbeat(STATIC, &old, generation).with_group_instance_id(Some(text("i")));
    t.ask("the one before", 4, &old_beat);
    describe(t, "describe who came", 1, &[STATIC]);
    let owned = owning(
        as_instance(beat(STATIC, "a-new", came.member_epoch)),
        id,
        &ALL,
    );
    say(t, "says what it has", &owned);
    // Back: nobody of the new protocol is left, and nothing changes hands.
    let request = join(STATIC, "", &[]).with_group_instance_id(Some(text("i")));
    let back = t.quietly(9, &request);
    t.shows(&back.member_id, "BACK");
    t.write_down(
        "comes back by the classic one",
        &format!("{back:?}").replace(back.member_id.as_str(), "BACK"),
    );
    let request =
        sync(STATIC, &back.member_id, back.generation_id).with_group_instance_id(Some(text("i")));
    t.ask("syncs", 5, &request);
    let classic = DescribeGroupsRequest::default().with_groups(vec![group(STATIC)]);
    t.ask_sorted("describe it as it is", 6, &classic, |r| {
        for member in &mut r.groups[0].members {
            member.member_metadata = Bytes::new();
        }
    });
    let beat_back = heartbeat(STATIC, &back.member_id, back.generation_id)
        .with_group_instance_id(Some(text("i")));
    t.ask("lives", 4, &beat_back);
    t.ask(
        "leaves by its instance",
        5,
        &leave(STATIC, &[("", Some("i"))]),
    );
}

/// Groups that stay classic.
fn odd(t: &mut Talk) {
    let (id, _) = classic(t, ODD, None, b"own");
    t.ask_sorted("an assignor's own data", 1, &join_new(ODD, "a-new"), silent);
    t.quietly(5, &leave(ODD, &[(id.as_str(), None)]));
    let mut request = join(ODD, "", &[]).with_protocol_type(text("connect"));
    request.member_id = t.quietly(9, &request).member_id;
    let joined = t.quietly(9, &request);
    t.ask_sorted("no consumers", 1, &join_new(ODD, "a-new"), silent);
    t.quietly(5, &leave(ODD, &[(joined.member_id.as_str(), None)]));
}
