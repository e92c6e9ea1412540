//! Brokers that refuse one kind of a share consumer's requests for good are asked ever more slowly.

use kafka_protocol::messages::find_coordinator_response::Coordinator as Named;
use kafka_protocol::messages::share_fetch_response::{
    AcquiredRecords, PartitionData, ShareFetchableTopicResponse,
};
use kafka_protocol::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, ShareFetchRequest,
    ShareFetchResponse, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::*;
use crate::client::rig::{Asked, Rig};
use crate::config::ShareConfig;

const FIND_COORDINATOR: i16 = 10;
const HEARTBEAT: i16 = 76;
const FETCH: i16 = 78;

/// Where a fetch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Request,
    /// Only requests in a session that was opened.
    Session,
    Partition,
}

/// A share consumer of topic `t`, which has one partition.
struct World {
    rig: Rig<ShareRole>,
    shared: Arc<Shared>,
    refused: (i16, ErrorCode, Where),
    seen: BTreeMap<i16, usize>,
    events: Vec<EventKind>,
    epoch: i32,
}

impl World {
    fn new(refused: (i16, ErrorCode, Where)) -> Self {
        let config = ShareConfig::from_pairs([
            ("bootstrap.servers", "seed:1000"),
            ("group.id", "g"),
            ("enable.metrics.push", "false"),
        ])
        .unwrap();
        let common = Arc::new(config.common.clone());
        let mut shared = None;
        let mut rig = Rig::new(common, |_, log| {
            let made = Arc::new(Shared::new(config, log));
            shared = Some(made.clone());
            ShareRole::new(made)
        });
        rig.topics.insert("t", vec![2]);
        World {
            rig,
            shared: shared.unwrap(),
            refused,
            seen: BTreeMap::new(),
            events: Vec::new(),
            epoch: 0,
        }
    }

    /// Lets a minute pass, a program polling all the time.
    fn run(&mut self) {
        let topics = [Arc::from("t")].into_iter().collect();
        self.shared.command(Command::Subscribe(topics));
        self.rig.turn();
        let end = self.rig.now + Duration::from_secs(60);
        let mut idle = 0;
        while self.rig.now < end {
            self.shared.set_hungry();
            self.shared.inbox.items.with(|items| {
                for item in items.drain(..) {
                    if let crate::client::inbox::Item::Event(event) = item {
                        self.events.push(event.kind);
                    }
                }
            });
            self.rig.turn();
            if let Some(asked) = self.rig.asked.pop_front() {
                idle = 0;
                *self.seen.entry(asked.key).or_default() += 1;
                self.answer(&asked);
                self.rig.now += Duration::from_micros(200);
                continue;
            }
            let before = self.rig.now;
            let due = self.rig.engine.deadline().unwrap_or(end).min(end);
            self.rig.now = self.rig.now.max(due);
            idle = if self.rig.now == before { idle + 1 } else { 0 };
            assert!(idle < 50, "it spins");
        }
    }

    fn answer(&mut self, asked: &Asked) {
        let (key, code, place) = self.refused;
        let code = if key == asked.key { code.0 as i16 } else { 0 };
        let id = Uuid::from_bytes([1; 16]);
        match asked.key {
            FIND_COORDINATOR => {
                let named = Named::default()
                    .with_key(StrBytes::from_static_str("g"))
                    .with_error_code(code)
                    .with_node_id(BrokerId(1))
                    .with_host(StrBytes::from_static_str("broker1"))
                    .with_port(1000);
                let answer = FindCoordinatorResponse::default().with_coordinators(vec![named]);
                self.rig.answer::<FindCoordinatorRequest>(asked, &answer);
            }
            HEARTBEAT => {
                let request: ShareGroupHeartbeatRequest = asked.read();
                self.epoch += i32::from(request.member_epoch == 0);
                let topic = TopicPartitions::default()
                    .with_topic_id(id)
                    .with_partitions(vec![0]);
                let assignment = Assignment::default().with_topic_partitions(vec![topic]);
                let answer = ShareGroupHeartbeatResponse::default()
                    .with_error_code(code)
                    .with_member_epoch(self.epoch)
                    .with_heartbeat_interval_ms(5000)
                    .with_assignment((code == 0).then_some(assignment));
                self.rig
                    .answer::<ShareGroupHeartbeatRequest>(asked, &answer);
            }
            FETCH => {
                let request: ShareFetchRequest = asked.read();
                let whole = place == Where::Request
                    || (place == Where::Session && request.share_session_epoch > 0);
                let answer = ShareFetchResponse::default()
                    .with_acquisition_lock_timeout_ms(30_000)
                    .with_error_code(if whole { code } else { 0 });
                let of_partition = if place == Where::Partition { code } else { 0 };
                let partition = PartitionData::default()
                    .with_error_code(of_partition)
                    .with_records(Some(bytes::Bytes::new()))
                    .with_acquired_records(Vec::<AcquiredRecords>::new());
                let topic = ShareFetchableTopicResponse::default()
                    .with_topic_id(id)
                    .with_partitions(vec![partition]);
                let answer = match whole {
                    true => answer,
                    false => answer.with_responses(vec![topic]),
                };
                // A broker without records answers after `fetch.max.wait.ms`.
                if code == 0 {
                    self.rig.now += Duration::from_millis(500);
                }
                self.rig.answer::<ShareFetchRequest>(asked, &answer);
            }
            key => panic!("API key {key}"),
        }
    }
}

#[test]
fn no_refusal_is_met_with_haste() {
    let codes = [
        -1, 1, 3, 5, 6, 7, 14, 15, 16, 22, 25, 29, 30, 35, 69, 74, 75, 79, 82, 100, 103, 110, 111,
        113, 121, 122, 123, 124, 133,
    ];
    let places = [Where::Request, Where::Session, Where::Partition];
    let ways = [
        (HEARTBEAT, Where::Request),
        (FIND_COORDINATOR, Where::Request),
    ];
    let ways = ways.into_iter().chain(places.map(|place| (FETCH, place)));
    for (key, place) in ways {
        for code in codes.map(ErrorCode) {
            let mut world = World::new((key, code, place));
            world.run();
            let what = format!("{key} ({place:?}) refused with {}", code.name());
            let busy = world.seen.values().any(|n| *n > 130);
            assert!(!busy, "{what}: {:?}", world.seen);
            assert!(world.events.len() < 10, "{what}: {:?}", world.events);
        }
    }
}

#[test]
fn brokers_out_of_reach_are_told_once() {
    for node in [1, 2] {
        let mut world = World::new((0, ErrorCode::NONE, Where::Request));
        world.rig.down.insert(node);
        world.run();
        assert_eq!(world.events, [EventKind::BrokerUnreachable], "{node}");
    }
}
