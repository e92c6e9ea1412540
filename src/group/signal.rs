//! What a group's protocol has found out for the membership.

use std::collections::BTreeSet;
use std::fmt;

use crate::client::to_assign::GroupToAssign;
use crate::error::Error;
use crate::topic::TopicPartition;

/// What a protocol has found out.
#[derive(Debug)]
pub(crate) enum Signal {
    /// This is to be owned, and nothing else.
    Target(BTreeSet<TopicPartition>),
    /// The group has gone on without this member.
    Lost(Error),
    /// It is not this broker that coordinates the group.
    CoordinatorLost(Error),
    /// The group can't be joined, or not be kept in touch with, for a reason that waiting may or may not cure.
    Failing(Error),
    /// The coordinator counts this member as alive.
    Heard,
    /// The new protocol is not for this group, or not for these brokers: the classic one is tried.
    FallBack(Error),
    /// The program is to share out the group; the number is for its answer.
    ToAssign(u64, GroupToAssign),
}

impl Signal {
    /// For the log: what a line is limited by; `None` for what happens all the time.
    pub(crate) fn cause(&self) -> Option<(u8, i32)> {
        match self {
            Signal::Heard => None,
            Signal::Target(_) => Some((0, 0)),
            Signal::Lost(e) => Some((1, e.code().0)),
            Signal::CoordinatorLost(e) => Some((2, e.code().0)),
            Signal::Failing(e) => Some((3, e.code().0)),
            Signal::FallBack(e) => Some((4, e.code().0)),
            Signal::ToAssign(..) => Some((5, 0)),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signal::Heard => f.write_str("the coordinator counts this member as alive"),
            Signal::Target(keys) => {
                const SHOWN: usize = 10;
                write!(f, "{} partitions are to be this member's", keys.len())?;
                for (i, (topic, partition)) in keys.iter().take(SHOWN).enumerate() {
                    write!(f, "{}{topic}-{partition}", if i == 0 { ": " } else { ", " })?;
                }
                if keys.len() > SHOWN {
                    f.write_str(", ...")
                } else {
                    Ok(())
                }
            }
            Signal::Lost(e) => write!(f, "it has gone on without this member: {}", e.message()),
            Signal::CoordinatorLost(e) => {
                write!(
                    f,
                    "the broker asked is not its coordinator: {}",
                    e.message()
                )
            }
            Signal::Failing(e) => write!(
                f,
                "it can't be joined or kept in touch with: {}",
                e.message()
            ),
            Signal::FallBack(e) => write!(f, "the classic protocol is tried: {}", e.message()),
            Signal::ToAssign(..) => {
                f.write_str("this member's program is to share the partitions out")
            }
        }
    }
}
