//! Errors that last: for some seconds every request of a kind is refused with the same code, and no client may ask on
//! and on without a pause.

use std::time::Duration;

use super::chance::Chance;
use super::world::World;
use crate::broker::api_key;
use crate::broker::core::fault::{Fault, FaultRule};
use crate::error::ErrorCode;
use crate::rng::Rng;

/// What a broker may refuse for long, and the request that a client would then send too often.
const REFUSALS: &[(i16, ErrorCode, i16)] = &[
    (
        api_key::PRODUCE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        api_key::PRODUCE,
    ),
    (
        api_key::PRODUCE,
        ErrorCode::FENCED_LEADER_EPOCH,
        api_key::PRODUCE,
    ),
    (
        api_key::PRODUCE,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        api_key::PRODUCE,
    ),
    (
        api_key::FETCH,
        ErrorCode::OFFSET_OUT_OF_RANGE,
        api_key::LIST_OFFSETS,
    ),
    (
        api_key::LIST_OFFSETS,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        api_key::LIST_OFFSETS,
    ),
    (
        api_key::CONSUMER_GROUP_HEARTBEAT,
        ErrorCode::FENCED_MEMBER_EPOCH,
        api_key::CONSUMER_GROUP_HEARTBEAT,
    ),
    (
        api_key::JOIN_GROUP,
        ErrorCode::UNKNOWN_MEMBER_ID,
        api_key::JOIN_GROUP,
    ),
    (
        api_key::OFFSET_FETCH,
        ErrorCode::UNKNOWN_MEMBER_ID,
        api_key::OFFSET_FETCH,
    ),
    (
        api_key::FIND_COORDINATOR,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        api_key::FIND_COORDINATOR,
    ),
];
/// Requests within a second beside those that backoffs explain, and records that were just accepted.
const FREE: u64 = 100;
/// Partitions, brokers and connections that may each have a backoff of their own, and batches of one partition that are
/// sent again together.
const BACKOFFS: u64 = 40;

/// The refusal under way, and what each client has sent within the present second.
#[derive(Default)]
pub(super) struct Lasting {
    watched: Option<i16>,
    second: u64,
    sent: Vec<u64>,
    accepted: Vec<u64>,
}

/// Begins one, in the place of the one before.
pub(super) fn begin(world: &mut World, rng: &mut Rng, until: Duration) {
    let (api, code, watched) = rng.pick(REFUSALS);
    world.broker.remove_lasting_faults();
    let rule = FaultRule::new(Fault::Error { code }).api(api).forever();
    world.broker.add_fault(rule);
    world.lasting = Lasting {
        watched: Some(watched),
        ..Lasting::default()
    };
    world.lasting_until = until;
}

/// Ends it, unless another has taken its place.
pub(super) fn end(world: &mut World) {
    if world.now() >= world.lasting_until {
        world.broker.remove_lasting_faults();
        world.lasting = Lasting::default();
    }
}

impl Lasting {
    /// A client sends a request; what is wrong if it is one too many. `backoff` is its shortest pause before it tries
    /// again; the numbers are how many of its program's records have ended, and how many were accepted, so far.
    pub(super) fn sends(
        &mut self,
        now: Duration,
        client: usize,
        api: i16,
        backoff: Duration,
        (ended, accepted): (u64, u64),
    ) -> Option<String> {
        if self.watched != Some(api) {
            return None;
        }
        if self.second != now.as_secs() {
            self.second = now.as_secs();
            self.sent.clear();
            self.accepted.clear();
        }
        if self.sent.len() <= client {
            self.sent.resize(client + 1, 0);
            self.accepted.resize(client + 1, u64::MAX);
        }
        if self.accepted[client] == u64::MAX {
            self.accepted[client] = ended;
        }
        self.sent[client] += 1;
        let retries = BACKOFFS * 1000 / (backoff.as_millis() as u64).max(1);
        let most = FREE + retries + accepted.saturating_sub(self.accepted[client]);
        (self.sent[client] > most).then(|| {
            format!(
                "more than {most} {} requests within a second, though an error lasts",
                crate::protocol::schema::api_name(api)
            )
        })
    }
}
