//! What goes wrong for those who read.

use std::time::Duration;

use super::super::chance::Chance;
use super::super::faults::{FaultKind, any_node, any_partition};
use super::super::world::World;
use super::feed;
use crate::broker::api_key;
use crate::broker::core::coordinators::CoordinatorKind;
use crate::broker::core::fault::{Fault, FaultRule};
use crate::error::ErrorCode;
use crate::rng::Rng;

/// The kinds that are planned for seeds with readers.
pub(in super::super) const KINDS: &[FaultKind] = &[
    FaultKind::FencedEpoch,
    FaultKind::UnknownEpoch,
    FaultKind::OutOfRange,
    FaultKind::SessionLost,
    FaultKind::FetchRefused,
    FaultKind::Corrupt,
    FaultKind::RecordsDeleted,
    FaultKind::Truncated,
    FaultKind::Recreated,
    FaultKind::GroupMoved,
    FaultKind::GroupRefused,
    FaultKind::MemberRefused,
    FaultKind::Rebalance,
    FaultKind::Expired,
    FaultKind::ReadingRequests,
];

/// Requests of those who read.
const REQUESTS: &[i16] = &[
    api_key::FETCH,
    api_key::FETCH,
    api_key::LIST_OFFSETS,
    api_key::OFFSET_COMMIT,
    api_key::OFFSET_COMMIT,
    api_key::OFFSET_FETCH,
    api_key::JOIN_GROUP,
    api_key::SYNC_GROUP,
    api_key::HEARTBEAT,
    api_key::CONSUMER_GROUP_HEARTBEAT,
    api_key::CONSUMER_GROUP_HEARTBEAT,
    api_key::LEAVE_GROUP,
];

/// Lets a fault happen: as `faults::inject`.
pub(in super::super) fn inject(
    world: &mut World,
    kind: FaultKind,
    rng: &mut Rng,
) -> Option<Duration> {
    let once = Some(Duration::ZERO);
    match kind {
        FaultKind::FencedEpoch => fetch(world, rng, ErrorCode::FENCED_LEADER_EPOCH),
        FaultKind::UnknownEpoch => fetch(world, rng, ErrorCode::UNKNOWN_LEADER_EPOCH),
        FaultKind::OutOfRange => fetch(world, rng, ErrorCode::OFFSET_OUT_OF_RANGE),
        FaultKind::FetchRefused => {
            let code = rng.pick(&[
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::OFFSET_NOT_AVAILABLE,
                ErrorCode::KAFKA_STORAGE_ERROR,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                ErrorCode::UNKNOWN_SERVER_ERROR,
            ]);
            fetch(world, rng, code)
        }
        FaultKind::SessionLost => {
            let code = rng.pick(&[
                ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
                ErrorCode::INVALID_FETCH_SESSION_EPOCH,
            ]);
            add(world, rng, Fault::Error { code }, api_key::FETCH)
        }
        FaultKind::Corrupt => add(world, rng, Fault::CorruptBatch, api_key::FETCH),
        FaultKind::RecordsDeleted => {
            feed::delete_front(world, rng).then(|| world.tally(kind))?;
            once
        }
        FaultKind::Truncated => {
            feed::truncate(world, rng).then(|| world.tally(kind))?;
            once
        }
        FaultKind::Recreated => {
            feed::recreate(world, rng).then(|| world.tally(kind))?;
            once
        }
        FaultKind::GroupMoved => {
            let group = any_group(world, rng)?;
            let node = any_node(world, rng, true)?;
            let loading = Duration::from_millis(rng.spread(1, 1500));
            let kind_of = CoordinatorKind::Group;
            world
                .act(|core, now, out| {
                    core.move_coordinator(now, kind_of, &group, node, loading, out)
                })
                .then(|| world.tally(kind))?;
            once
        }
        FaultKind::GroupRefused => {
            let code = rng.pick(&[
                ErrorCode::NOT_COORDINATOR,
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ]);
            let api = rng.pick(&[
                api_key::OFFSET_COMMIT,
                api_key::OFFSET_FETCH,
                api_key::JOIN_GROUP,
                api_key::SYNC_GROUP,
                api_key::HEARTBEAT,
                api_key::CONSUMER_GROUP_HEARTBEAT,
            ]);
            add(world, rng, Fault::Error { code }, api)
        }
        FaultKind::MemberRefused => {
            let (api, code) = rng.pick(&[
                (api_key::HEARTBEAT, ErrorCode::UNKNOWN_MEMBER_ID),
                (api_key::HEARTBEAT, ErrorCode::ILLEGAL_GENERATION),
                (api_key::OFFSET_COMMIT, ErrorCode::UNKNOWN_MEMBER_ID),
                (api_key::SYNC_GROUP, ErrorCode::ILLEGAL_GENERATION),
                (
                    api_key::CONSUMER_GROUP_HEARTBEAT,
                    ErrorCode::FENCED_MEMBER_EPOCH,
                ),
                (
                    api_key::CONSUMER_GROUP_HEARTBEAT,
                    ErrorCode::UNKNOWN_MEMBER_ID,
                ),
            ]);
            add(world, rng, Fault::Error { code }, api)
        }
        FaultKind::Rebalance => {
            let group = any_group(world, rng)?;
            world
                .act(|core, now, out| core.force_rebalance(now, &group, out))
                .then(|| world.tally(kind))?;
            once
        }
        FaultKind::Expired => {
            let group = any_group(world, rng)?;
            let members = world.broker.groups.members(&group);
            if members.is_empty() {
                return None;
            }
            let member = members[rng.below(members.len())].clone();
            world
                .act(|core, now, out| core.expire_member(now, &group, &member, out))
                .then(|| world.tally(kind))?;
            once
        }
        FaultKind::ReadingRequests => {
            let fault = match rng.range(0, 3) {
                0 => Fault::Drop,
                1 => Fault::SwallowReply {
                    close: rng.chance(1, 2),
                },
                2 => Fault::Throttle(Duration::from_millis(rng.spread(5, 3000))),
                _ => Fault::Delay(Duration::from_millis(rng.spread(5, 5000))),
            };
            let api = rng.pick(REQUESTS);
            world.tally(kind);
            add(world, rng, fault, api)
        }
        _ => once,
    }
}

fn add(world: &mut World, rng: &mut Rng, fault: Fault, api: i16) -> Option<Duration> {
    let times = rng.spread(1, 6) as u32;
    world
        .broker
        .add_fault(FaultRule::new(fault).api(api).times(times));
    Some(Duration::ZERO)
}

/// Refuses a partition's fetches, or all.
fn fetch(world: &mut World, rng: &mut Rng, code: ErrorCode) -> Option<Duration> {
    let mut rule = FaultRule::new(Fault::Error { code })
        .api(api_key::FETCH)
        .times(rng.spread(1, 6) as u32);
    let (topic, partition) = any_partition(world, rng)?;
    rule = rule.topic(topic);
    if rng.chance(1, 2) {
        rule = rule.partition(partition);
    }
    world.broker.add_fault(rule);
    Some(Duration::ZERO)
}

fn any_group(world: &World, rng: &mut Rng) -> Option<String> {
    let names = world.groups.iter();
    let known: Vec<&String> = names
        .filter(|name| !world.broker.groups.members(name).is_empty())
        .collect();
    (!known.is_empty()).then(|| known[rng.below(known.len())].clone())
}
