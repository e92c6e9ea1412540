use std::collections::BTreeMap;

use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::find_coordinator_response::Coordinator as Named;

use super::*;
use crate::client::engine::Role;
use crate::client::rig::{Asked, Rig};
use crate::config::ConsumerConfig;
use crate::protocol::wire::string;
use crate::stats::Stats;

const FIND: i16 = 10;

/// A role that wants coordinators, and notes what it gets.
#[derive(Default)]
struct Seeker {
    wanted: Vec<(CoordinatorKind, Arc<str>)>,
    got: BTreeMap<Arc<str>, std::result::Result<Node, String>>,
    lost: Vec<(CoordinatorKind, Arc<str>)>,
}

impl Role for Seeker {
    type Tag = u32;

    fn on_event(&mut self, _: &mut Core<u32>, _: Instant, _: Event<u32>) {}

    fn poll(&mut self, core: &mut Core<u32>, now: Instant) -> Option<Instant> {
        for (kind, key) in self.lost.drain(..) {
            let error = Error::new(ErrorCode::NOT_COORDINATOR, "it said so");
            core.coordinator_lost(now, kind, &key, &error);
            self.got.remove(&key);
        }
        for (kind, key) in &self.wanted {
            let got = match core.coordinator(now, *kind, key, Purpose::Control) {
                Coordinator::Ready(node, _) => Ok(node),
                Coordinator::Refused(error) => Err(error.to_string()),
                Coordinator::Waiting => {
                    self.got.remove(key);
                    continue;
                }
            };
            self.got.insert(key.clone(), got);
        }
        None
    }

    fn finished(&self) -> bool {
        false
    }

    fn stats(&self, core: &Core<u32>, now: Instant) -> Stats {
        core.plain_stats("seeker", now)
    }
}

fn rig(wanted: &[(CoordinatorKind, &str)]) -> Rig<Seeker> {
    let config = ConsumerConfig::from_pairs([
        ("bootstrap.servers", "seed:1000"),
        // Every answer is the test's own.
        ("enable.metrics.push", "false"),
    ])
    .unwrap();
    let mut rig = Rig::new(Arc::new(config.common), |_, _| Seeker::default());
    rig.engine.role.wanted = wanted
        .iter()
        .map(|(kind, key)| (*kind, Arc::from(*key)))
        .collect();
    rig
}

fn name(asked: &Asked, request: &FindCoordinatorRequest) -> (i8, String) {
    let key = if asked.version >= 4 {
        assert_eq!(request.coordinator_keys.len(), 1);
        request.coordinator_keys[0].to_string()
    } else {
        request.key.to_string()
    };
    (request.key_type, key)
}

fn answer(rig: &mut Rig<Seeker>, asked: &Asked, key: &str, code: ErrorCode, node: i32) {
    let code = code.0 as i16;
    let host = StrBytes::from_string(format!("broker{node}"));
    let answer = if asked.version >= 4 {
        let named = Named::default()
            .with_key(string(key))
            .with_error_code(code)
            .with_node_id(BrokerId(node))
            .with_host(host)
            .with_port(1000);
        FindCoordinatorResponse::default().with_coordinators(vec![named])
    } else {
        FindCoordinatorResponse::default()
            .with_error_code(code)
            .with_node_id(BrokerId(node))
            .with_host(host)
            .with_port(1000)
    };
    rig.answer::<FindCoordinatorRequest>(asked, &answer);
}

fn got(rig: &Rig<Seeker>, key: &str) -> Option<std::result::Result<Node, String>> {
    rig.engine.role.got.get(key).cloned()
}

#[test]
fn each_kind_and_key_has_its_own_and_is_asked_for_once() {
    for most in [1, 3, 4, 6] {
        let mut rig = rig(&[
            (CoordinatorKind::Group, "g"),
            (CoordinatorKind::Transaction, "t"),
        ]);
        rig.most.insert(FIND, most);
        rig.turn();
        for _ in 0..2 {
            let (asked, request) = rig.next::<FindCoordinatorRequest>();
            assert_eq!(asked.version, most);
            let (kind, key) = name(&asked, &request);
            let node = if key == "g" { 2 } else { 3 };
            assert_eq!(kind, i8::from(key == "t"));
            answer(&mut rig, &asked, &key, ErrorCode::NONE, node);
        }
        rig.turn();
        assert_eq!(got(&rig, "g"), Some(Ok(Node::Id(2))));
        assert_eq!(got(&rig, "t"), Some(Ok(Node::Id(3))));
        rig.wait(60_000);
        assert!(rig.asked.is_empty(), "kept until it is denied");
    }
}

#[test]
fn version_zero_knows_groups_only() {
    let mut rig = rig(&[
        (CoordinatorKind::Group, "g"),
        (CoordinatorKind::Transaction, "t"),
    ]);
    rig.most.insert(FIND, 0);
    rig.turn();
    let (asked, _) = rig.next::<FindCoordinatorRequest>();
    answer(&mut rig, &asked, "g", ErrorCode::NONE, 1);
    assert_eq!(got(&rig, "g"), Some(Ok(Node::Id(1))));
    let refusal = got(&rig, "t").unwrap().unwrap_err();
    assert!(refusal.contains("transactional.id 't'"), "{refusal}");
    assert!(
        refusal.contains("no common version of FindCoordinator"),
        "{refusal}"
    );
}

#[test]
fn a_missing_coordinator_is_asked_for_again_after_a_growing_pause() {
    let mut rig = rig(&[(CoordinatorKind::Group, "g")]);
    rig.turn();
    let mut pauses = Vec::new();
    for code in [
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ] {
        let (asked, _) = rig.next::<FindCoordinatorRequest>();
        answer(&mut rig, &asked, "g", code, -1);
        assert_eq!(got(&rig, "g"), None);
        assert!(rig.asked.is_empty(), "not at once");
        let mut waited = std::time::Duration::ZERO;
        while rig.asked.is_empty() {
            waited += rig.wait_due();
        }
        pauses.push(waited.as_millis());
    }
    assert!(
        pauses[0] >= 80 && pauses[1] > pauses[0] && pauses[2] > pauses[1],
        "{pauses:?}"
    );
    let core = &rig.engine.core;
    let why = core.describe_coordinator(rig.now, CoordinatorKind::Group, &"g".into());
    for part in [
        "group 'g'",
        "COORDINATOR_NOT_AVAILABLE",
        "bootstrap server seed:1000",
        "offsets.topic.replication.factor",
    ] {
        assert!(why.message().contains(part), "{why}");
    }
    let (asked, _) = rig.next::<FindCoordinatorRequest>();
    answer(&mut rig, &asked, "g", ErrorCode::NONE, 1);
    assert_eq!(got(&rig, "g"), Some(Ok(Node::Id(1))));
}

#[test]
fn one_that_denies_it_or_is_lost_is_looked_for_again() {
    let mut rig = rig(&[(CoordinatorKind::Transaction, "t")]);
    let key: (CoordinatorKind, Arc<str>) = (CoordinatorKind::Transaction, "t".into());
    rig.turn();
    let (asked, _) = rig.next::<FindCoordinatorRequest>();
    answer(&mut rig, &asked, "t", ErrorCode::NONE, 2);
    assert_eq!(got(&rig, "t"), Some(Ok(Node::Id(2))));

    rig.engine.role.lost.push(key.clone());
    rig.turn();
    // A second denial, of a request that was under way, changes nothing.
    rig.engine.role.lost.push(key);
    rig.turn();
    while rig.asked.is_empty() {
        rig.wait_due();
    }
    assert_eq!(rig.asked.len(), 1);
    let (asked, _) = rig.next::<FindCoordinatorRequest>();
    answer(&mut rig, &asked, "t", ErrorCode::NONE, 3);
    assert_eq!(got(&rig, "t"), Some(Ok(Node::Id(3))));

    rig.down.insert(3);
    let conns: Vec<ConnId> = rig
        .conns
        .iter()
        .filter(|(_, n)| **n == 3)
        .map(|(c, _)| *c)
        .collect();
    conns.into_iter().for_each(|conn| rig.cut(conn));
    while rig.asked.is_empty() {
        rig.wait_due();
    }
    let (asked, _) = rig.next::<FindCoordinatorRequest>();
    assert_ne!(asked.node, 3);
    answer(&mut rig, &asked, "t", ErrorCode::NONE, 1);
    assert_eq!(got(&rig, "t"), Some(Ok(Node::Id(1))));
}

#[test]
fn a_coordinator_that_cannot_be_reached_is_waited_for_without_spinning() {
    let mut rig = rig(&[(CoordinatorKind::Transaction, "t")]);
    rig.down.insert(3);
    rig.turn();
    // The broker is still told to be the coordinator, until the cluster notices.
    let (mut asks, mut turns) = (0, 0);
    let begin = rig.now;
    while rig.now < begin + std::time::Duration::from_secs(20) {
        turns += 1;
        if rig.asked.is_empty() {
            rig.wait_due();
            continue;
        }
        asks += 1;
        let (asked, _) = rig.next::<FindCoordinatorRequest>();
        answer(&mut rig, &asked, "t", ErrorCode::NONE, 3);
    }
    assert!((10..200).contains(&asks), "{asks} asked in 20 s");
    assert!(turns < 1000, "{turns} turns in 20 s");
    let why =
        rig.engine
            .core
            .describe_coordinator(rig.now, CoordinatorKind::Transaction, &"t".into());
    assert!(why.message().contains("connection refused"), "{why}");
    rig.down.clear();
    while got(&rig, "t").is_none() {
        match rig.asked.is_empty() {
            true => drop(rig.wait_due()),
            false => {
                let (asked, _) = rig.next::<FindCoordinatorRequest>();
                answer(&mut rig, &asked, "t", ErrorCode::NONE, 3);
            }
        }
    }
    assert_eq!(got(&rig, "t"), Some(Ok(Node::Id(3))));
}

#[test]
fn a_refusal_is_told_with_key_broker_and_reason() {
    let mut rig = rig(&[(CoordinatorKind::Group, "g")]);
    rig.turn();
    let (asked, _) = rig.next::<FindCoordinatorRequest>();
    answer(
        &mut rig,
        &asked,
        "g",
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        -1,
    );
    let refusal = got(&rig, "g").unwrap().unwrap_err();
    for part in [
        "group 'g'",
        "bootstrap server seed:1000",
        "GROUP_AUTHORIZATION_FAILED",
        "ACLs",
    ] {
        assert!(refusal.contains(part), "{refusal}");
    }
    // Asked for again, but not at once.
    assert!(rig.asked.is_empty());
    rig.wait(900);
    assert!(rig.asked.is_empty());
    rig.wait(200);
    assert_eq!(rig.asked.len(), 1);
}
