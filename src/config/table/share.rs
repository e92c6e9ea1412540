//! Keys of share consumers alone.

use super::{Clients, Key, Kind};
use crate::config::choice;

const SHARE_CONSUMER: Clients = Clients::SHARE_CONSUMER;
const GROUP: &str = "Share consumer";

pub(super) static KEYS: &[Key] = &[
    Key::new(
        GROUP,
        "share.acknowledgement.mode",
        SHARE_CONSUMER,
        Kind::Choice(choice::ACKNOWLEDGEMENT_MODE),
        "implicit",
        "Whether records are accepted by the next poll or commit, or each has to be acknowledged before the next poll.",
    ),
    Key::new(
        GROUP,
        "share.acquire.mode",
        SHARE_CONSUMER,
        Kind::Choice(choice::ACQUIRE_MODE),
        "batch_optimized",
        "Whether whole record batches are acquired, even beyond `max.poll.records`, or never more records than that, from one \
         broker at a time (Kafka 4.2 and newer).",
    ),
];
