//! What members of a classic group tell each other: the bytes inside JoinGroup and SyncGroup, as Java's clients write
//! and read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName,
    consumer_protocol_assignment, consumer_protocol_subscription,
};
use kafka_protocol::protocol::Encodable;

use crate::config::Assignor;
use crate::error::{Error, Result};
use crate::group::assignors::Member;
use crate::group::own_assignor::Strategy;
use crate::protocol::schema::{decode_assignment, decode_subscription};
use crate::protocol::wire::string;
use crate::topic::TopicPartition;

/// The version of both messages that is written; it has racks (KIP-881).
const VERSION: i16 = 3;

/// What this member wants and has.
#[derive(Debug, Default)]
pub(crate) struct Own<'a> {
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// What it keeps through the rebalance.
    pub(crate) owned: BTreeSet<TopicPartition>,
    /// What it had last, also if it gave it up for the rebalance; and in which generation.
    pub(crate) last: BTreeSet<TopicPartition>,
    pub(crate) generation: i32,
    pub(crate) rack: Option<&'a str>,
}

fn by_topic(keys: &BTreeSet<TopicPartition>) -> BTreeMap<&str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, index) in keys {
        topics.entry(topic).or_default().push(*index);
    }
    topics
}

/// What a strategy wants told besides.
fn user_data(strategy: &Strategy, own: &Own) -> Option<Bytes> {
    let mut out = BytesMut::new();
    let assignor = match strategy {
        Strategy::Known(assignor) => *assignor,
        Strategy::Own(own) => return own.user_data.clone().map(Bytes::from),
    };
    match assignor {
        Assignor::Range | Assignor::RoundRobin => return None,
        // StickyAssignorUserData v1: topics with partitions, generation.
        Assignor::Sticky => {
            if own.generation < 0 {
                return None;
            }
            let topics = by_topic(&own.last);
            out.put_i32(topics.len() as i32);
            for (topic, partitions) in topics {
                out.put_i16(topic.len() as i16);
                out.put_slice(topic.as_bytes());
                out.put_i32(partitions.len() as i32);
                partitions.into_iter().for_each(|p| out.put_i32(p));
            }
            out.put_i32(own.generation);
        }
        Assignor::CooperativeSticky => out.put_i32(own.generation),
    }
    Some(out.freeze())
}

/// The metadata of one strategy in a JoinGroup request.
pub(crate) fn subscription(strategy: &Strategy, own: &Own) -> Result<Bytes> {
    let owned = by_topic(&own.owned).into_iter().map(|(topic, partitions)| {
        consumer_protocol_subscription::TopicPartition::default()
            .with_topic(TopicName(string(topic)))
            .with_partitions(partitions)
    });
    let message = ConsumerProtocolSubscription::default()
        .with_topics(own.topics.iter().map(|t| string(t)).collect())
        .with_user_data(user_data(strategy, own))
        .with_owned_partitions(owned.collect())
        .with_generation_id(own.generation)
        .with_rack_id(own.rack.map(string));
    encode("ConsumerProtocolSubscription", &message)
}

/// One member's assignment in a SyncGroup request.
pub(crate) fn assignment(share: &BTreeSet<TopicPartition>) -> Result<Bytes> {
    let rows = by_topic(share).into_iter().map(|(topic, partitions)| {
        consumer_protocol_assignment::TopicPartition::default()
            .with_topic(TopicName(string(topic)))
            .with_partitions(partitions)
    });
    let message = ConsumerProtocolAssignment::default().with_assigned_partitions(rows.collect());
    encode("ConsumerProtocolAssignment", &message)
}

fn encode(name: &str, message: &impl Encodable) -> Result<Bytes> {
    let mut out = BytesMut::new();
    out.put_i16(VERSION);
    message
        .encode(&mut out, VERSION)
        .map_err(|e| Error::argument(format!("{name} cannot be encoded: {e}")))?;
    Ok(out.freeze())
}

/// What this member is given.
///
/// # Errors
/// `PROTOCOL` for what is none.
pub(crate) fn assigned(bytes: Bytes) -> Result<BTreeSet<TopicPartition>> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let message = decode_assignment(bytes)?;
    let mut keys = BTreeSet::new();
    for row in message.assigned_partitions {
        let topic: Arc<str> = Arc::from(row.topic.as_str());
        keys.extend(row.partitions.into_iter().map(|p| (topic.clone(), p)));
    }
    Ok(keys)
}

/// Another member, by what it told.
///
/// # Errors
/// `PROTOCOL` for what is no subscription. A strategy's own data that makes no sense counts as none.
pub(crate) fn member(
    strategy: &Strategy,
    id: &str,
    instance_id: Option<&str>,
    metadata: Bytes,
) -> Result<Member> {
    let message = decode_subscription(metadata)?;
    let mut owned = Vec::new();
    for row in message.owned_partitions {
        let topic: Arc<str> = Arc::from(row.topic.as_str());
        owned.extend(row.partitions.into_iter().map(|p| (topic.clone(), p)));
    }
    let mut generation = message.generation_id;
    let user_data = message.user_data;
    let data = user_data.clone().unwrap_or_default();
    match strategy {
        Strategy::Known(Assignor::Sticky) => (owned, generation) = sticky_data(data),
        // Members older than version 2 of the message tell it here.
        Strategy::Known(Assignor::CooperativeSticky) if generation < 0 => {
            generation = data.clone().try_get_i32().unwrap_or(-1);
        }
        _ => {}
    }
    Ok(Member {
        id: id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
        topics: message
            .topics
            .iter()
            .map(|t| Arc::from(t.as_str()))
            .collect(),
        owned,
        generation,
        rack: message.rack_id.map(|r| r.to_string()),
        user_data,
    })
}

/// Reads StickyAssignorUserData; version 0 has no generation at its end.
fn sticky_data(mut data: Bytes) -> (Vec<TopicPartition>, i32) {
    let mut read = || -> Option<(Vec<TopicPartition>, i32)> {
        let mut keys = Vec::new();
        for _ in 0..data.try_get_i32().ok()?.max(0) {
            let len = usize::try_from(data.try_get_i16().ok()?).ok()?;
            if len > data.len() {
                return None;
            }
            let topic: Arc<str> = Arc::from(std::str::from_utf8(&data.split_to(len)).ok()?);
            for _ in 0..data.try_get_i32().ok()?.max(0) {
                keys.push((topic.clone(), data.try_get_i32().ok()?));
            }
        }
        Some((keys, data.try_get_i32().unwrap_or(-1)))
    };
    read().unwrap_or((Vec::new(), -1))
}

#[cfg(test)]
mod tests {
    //! Bytes as Java's kafka-clients 4.3.1 writes them (ConsumerProtocol, the assignors' subscriptionUserData).

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn keys(of: &[(&str, i32)]) -> BTreeSet<TopicPartition> {
        of.iter().map(|(t, p)| (Arc::from(*t), *p)).collect()
    }

    fn own(generation: i32, owned: &[(&str, i32)], last: &[(&str, i32)]) -> Own<'static> {
        Own {
            topics: ["orders", "a"].map(Arc::from).into(),
            owned: keys(owned),
            last: keys(last),
            generation,
            rack: None,
        }
    }

    const FRESH: &str = "00030000000200016100066f7264657273ffffffff00000000ffffffffffff";

    #[test]
    fn subscriptions_are_javas() {
        let had = [("a", 0), ("a", 2)];
        let kept = [("a", 0), ("a", 2), ("orders", 1)];
        let racked = Own {
            rack: Some("r1"),
            ..own(-1, &[], &[])
        };
        for (assignor, own, expected) in [
            (Assignor::Range, own(-1, &[], &[]), FRESH),
            (
                Assignor::Range,
                racked,
                "00030000000200016100066f7264657273ffffffff00000000ffffffff00027231",
            ),
            (
                Assignor::RoundRobin,
                own(7, &[], &had),
                "00030000000200016100066f7264657273ffffffff0000000000000007ffff",
            ),
            (Assignor::Sticky, own(-1, &[], &[]), FRESH),
            (
                Assignor::Sticky,
                own(7, &[], &had),
                "00030000000200016100066f7264657273000000170000000100016100000002000000000000000200000007000000000000\
                 0007ffff",
            ),
            (
                Assignor::CooperativeSticky,
                own(-1, &[], &[]),
                "00030000000200016100066f726465727300000004ffffffff00000000ffffffffffff",
            ),
            (
                Assignor::CooperativeSticky,
                own(7, &kept, &kept),
                "00030000000200016100066f726465727300000004000000070000000200016100000002000000000000000200066f726465\
                 7273000000010000000100000007ffff",
            ),
        ] {
            let strategy = Strategy::Known(assignor);
            let bytes = subscription(&strategy, &own).unwrap();
            assert_eq!(hex(&bytes), expected, "{assignor:?}");
            let read = member(&strategy, "m", Some("i"), bytes).unwrap();
            assert_eq!(read.topics, own.topics);
            assert_eq!(read.rack.as_deref(), own.rack);
            let owned = if assignor == Assignor::Sticky {
                &own.last
            } else {
                &own.owned
            };
            assert_eq!(&read.owned.into_iter().collect::<BTreeSet<_>>(), owned);
            assert_eq!(read.generation, own.generation);
        }
    }

    #[test]
    fn assignments_are_javas() {
        let share = keys(&[("a", 0), ("a", 2), ("orders", 1)]);
        let bytes = assignment(&share).unwrap();
        assert_eq!(
            hex(&bytes),
            "00030000000200016100000002000000000000000200066f72646572730000000100000001ffffffff"
        );
        assert_eq!(assigned(bytes).unwrap(), share);
        let none = assignment(&BTreeSet::new()).unwrap();
        assert_eq!(hex(&none), "000300000000ffffffff");
        assert_eq!(assigned(none).unwrap(), BTreeSet::new());
        assert_eq!(assigned(Bytes::new()).unwrap(), BTreeSet::new());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_a_strategys_own_data_left_aside() {
        assert!(assigned(Bytes::from_static(&[0])).is_err());
        assert!(assigned(Bytes::from_static(&[0, 3, 0x7f, 0xff, 0xff, 0xff])).is_err());
        let wrong = Bytes::from_static(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
        assert!(member(&Strategy::Known(Assignor::Range), "m", None, wrong).is_err());
        for data in [
            &[][..],
            &[1],
            &[0, 0, 0, 1, 0, 9],
            &[0x7f, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(sticky_data(Bytes::copy_from_slice(data)), (Vec::new(), -1));
        }
    }
}
