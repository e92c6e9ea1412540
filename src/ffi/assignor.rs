//! Custom assignors
//!
//! In a classic group one member, the leader, assigns the partitions to all members. A program can do so with its own
//! strategy: set it before subscribing, in every member. If the group agrees on it, the leader's poll returns an
//! event OTTLA_EVENT_ASSIGNMENT_WANTED, and the group waits for the assignment while heartbeats continue.
//!
//! ```c
//! status = ottla_consumer_set_assignor(consumer, "by-size", (ottla_bytes){NULL, 0}, false, &error);
//! ...
//! if (ottla_event_kind(event) == OTTLA_EVENT_ASSIGNMENT_WANTED) {
//!     ottla_group_share shares[100];
//!     size_t count = share_out(event, shares);    // reads ottla_event_group_member and ottla_event_group_topic
//!     status = ottla_consumer_assign_group(consumer, event, shares, count, &error);
//! }
//! ```

use std::ffi::{CString, c_char};

use libc::size_t;

use super::basics::{ottla_bytes, ottla_status};
use super::consumer::{ottla_consumer, ottla_topic_partition};
use super::error::ottla_error;
use super::event::{EventParts, ottla_event};
use super::guard::{self, Call, c_string};
use crate::consumer::{GroupToAssign, OwnAssignor};
use crate::error::Result;

/// A member of a group that is to be assigned partitions. Its pointers are valid as long as the event.
#[repr(C)]
pub struct ottla_group_member {
    /// The member id, for use in the assignment.
    pub member_id: *const c_char,
    /// `group.instance.id` of a static member; otherwise NULL.
    pub instance_id: *const c_char,
    /// The member's rack (`client.rack`); NULL if it has none.
    pub rack: *const c_char,
    /// Data passed by the member's assignor, or null.
    pub user_data: ottla_bytes,
    /// The topics it subscribes to.
    pub topics: *const *const c_char,
    /// The number of topics.
    pub topic_count: size_t,
    /// The partitions it owns at present.
    pub owned: *const ottla_topic_partition,
    /// The number of partitions it owns.
    pub owned_count: size_t,
}

/// A partition assigned to a member.
#[repr(C)]
pub struct ottla_group_share {
    /// The member.
    pub member_id: *const c_char,
    /// The topic.
    pub topic: *const c_char,
    /// The partition.
    pub partition: i32,
}

struct MemberParts {
    id: CString,
    instance_id: Option<CString>,
    rack: Option<CString>,
    user_data: Option<Vec<u8>>,
    topics: Pointers,
    owned: Owned,
}

/// Strings and pointers to them; moving it leaves the strings where they are.
struct Pointers {
    #[expect(dead_code, reason = "what the pointers point to")]
    texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

struct Owned {
    #[expect(dead_code, reason = "what the rows point to")]
    texts: Vec<CString>,
    rows: Vec<ottla_topic_partition>,
}

// SAFETY: the pointers point into strings that the same object owns and nobody changes.
unsafe impl Send for Pointers {}
// SAFETY: as above.
unsafe impl Sync for Pointers {}
// SAFETY: as above.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

/// A group that is to be shared out, for C.
pub(super) struct GroupParts {
    members: Vec<MemberParts>,
    topics: Vec<(CString, i32)>,
}

impl GroupParts {
    pub(super) fn of(group: &GroupToAssign) -> Self {
        let members = group.members.iter().map(|m| {
            let topics: Vec<CString> = m.topics.iter().map(|t| c_string(t)).collect();
            let names: Vec<CString> = m.owned.iter().map(|(t, _)| c_string(t)).collect();
            let rows = names.iter().zip(&m.owned);
            let rows = rows.map(|(name, (_, partition))| ottla_topic_partition {
                topic: name.as_ptr(),
                partition: *partition,
            });
            MemberParts {
                id: c_string(&m.id),
                instance_id: m.instance_id.as_deref().map(c_string),
                rack: m.rack.as_deref().map(c_string),
                user_data: m.user_data.clone(),
                topics: Pointers {
                    pointers: topics.iter().map(|t| t.as_ptr()).collect(),
                    texts: topics,
                },
                owned: Owned {
                    rows: rows.collect(),
                    texts: names,
                },
            }
        });
        GroupParts {
            members: members.collect(),
            topics: group
                .topics
                .iter()
                .map(|(t, n)| (c_string(t), *n))
                .collect(),
        }
    }
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

/// Sets a custom assignor, which is preferred to those of `partition.assignment.strategy`: a group uses it if all its
/// members have it. Call it before subscribing; the consumer then joins its group with the classic protocol.
/// `user_data`, which may be null, is data for the leader. With `cooperative`, members keep reading the partitions
/// that they keep during a rebalance (KIP-429), and the assignment must leave out a partition that is moving until
/// its current owner no longer lists it in `owned`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without `group.id`, after subscribing, for an empty name or that of a built-in
/// strategy, or with `group.protocol=consumer`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_set_assignor(
    consumer: *const ottla_consumer,
    name: *const c_char,
    user_data: ottla_bytes,
    cooperative: bool,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_set_assignor",
            consumer,
            error,
            |call, live| {
                let user_data = call.bytes("user_data", user_data)?;
                live.get()?.set_assignor(OwnAssignor {
                    name: call.text("name", name)?.to_owned(),
                    user_data: user_data.map(<[u8]>::to_vec),
                    cooperative,
                })
            },
        )
    }
}

/// Returns the number of members to assign partitions to; 0 for other events and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_group_member_count(event: *const ottla_event) -> size_t {
    let count = |e: &EventParts| e.group.as_ref().map_or(0, |g| g.members.len());
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, count) }
}

/// Writes member `i` of those, counting from 0. Its pointers are valid as long as the event.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_event_group_member(
    event: *const ottla_event,
    i: size_t,
    member: *mut ottla_group_member,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_event_group_member", event, error, |call, e| {
            call.out("member", member)?;
            let own = call.element(e.group.as_ref().map_or(&[], |g| &g.members), i)?;
            guard::write(
                member,
                ottla_group_member {
                    member_id: own.id.as_ptr(),
                    instance_id: pointer(own.instance_id.as_ref()),
                    rack: pointer(own.rack.as_ref()),
                    user_data: ottla_bytes::of(own.user_data.as_deref()),
                    topics: own.topics.pointers.as_ptr(),
                    topic_count: own.topics.pointers.len(),
                    owned: own.owned.rows.as_ptr(),
                    owned_count: own.owned.rows.len(),
                },
            );
            Ok(())
        })
    }
}

/// Returns the number of topics to assign; 0 for other events and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_group_topic_count(event: *const ottla_event) -> size_t {
    let count = |e: &EventParts| e.group.as_ref().map_or(0, |g| g.topics.len());
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, count) }
}

/// Writes topic `i` of those, counting from 0, and its number of partitions. Its name lives as long as the event.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_event_group_topic(
    event: *const ottla_event,
    i: size_t,
    topic: *mut *const c_char,
    partitions: *mut i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_event_group_topic", event, error, |call, e| {
            call.out("topic", topic)?;
            call.out("partitions", partitions)?;
            let (name, count) = call.element(e.group.as_ref().map_or(&[], |g| &g.topics), i)?;
            guard::write(topic, name.as_ptr());
            guard::write(partitions, *count);
            Ok(())
        })
    }
}

/// # Safety
/// `event` is NULL or a live handle.
unsafe fn event_of<'a>(call: Call, event: *const ottla_event) -> Result<&'a ottla_event> {
    // SAFETY: the caller's promise.
    unsafe { event.as_ref() }
        .ok_or_else(|| call.wrong("event", "is NULL; give the event that a poll wrote"))
}

/// Completes an event OTTLA_EVENT_ASSIGNMENT_WANTED with the partitions of each member, one row each. Members that
/// are not listed get none. The group waits for this for up to its members' `max.poll.interval.ms`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT for another event, for a member or partition that doesn't exist, and for a
/// partition that its member does not subscribe to or that is listed twice: the call can then be repeated.
/// OTTLA_ERR_REBALANCE_IN_PROGRESS if the group has started another rebalance.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_assign_group(
    consumer: *const ottla_consumer,
    event: *const ottla_event,
    shares: *const ottla_group_share,
    count: size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_assign_group",
            consumer,
            error,
            |call, live| {
                let event = event_of(call, event)?;
                let given = call.slice("shares", shares, count)?;
                let rows: Result<Vec<(&str, &str, i32)>> = given
                    .iter()
                    .map(|share| {
                        let member = call.text("a share's member_id", share.member_id)?;
                        Ok((
                            member,
                            call.text("a share's topic", share.topic)?,
                            share.partition,
                        ))
                    })
                    .collect();
                live.get()?.assign_group(event.event(), rows?)
            },
        )
    }
}

/// Reports that there is no assignment at present: after a moment the group rebalances, and asks again.
///
/// Errors: as `ottla_consumer_assign_group`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_refuse_assignment(
    consumer: *const ottla_consumer,
    event: *const ottla_event,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_refuse_assignment",
            consumer,
            error,
            |call, live| {
                live.get()?
                    .refuse_assignment(event_of(call, event)?.event())
            },
        )
    }
}
