//! Callers waiting for committed offsets.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::client::calls::Reply;
use crate::clock::earliest;
use crate::error::{Error, ErrorCode, Result};
use crate::group::LookupOwner;
use crate::group::lookups::{Found, Lookups};
use crate::topic::TopicPartition;

#[derive(Debug)]
struct Call {
    found: Vec<Option<Found>>,
    since: Instant,
    deadline: Instant,
    reply: Reply<Vec<Found>>,
}

/// All callers.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next_id: u64,
    open: BTreeMap<u64, Call>,
}

impl Calls {
    pub(crate) fn ask(
        &mut self,
        lookups: &mut Lookups,
        now: Instant,
        wanted: Vec<TopicPartition>,
        deadline: Instant,
        reply: Reply<Vec<Found>>,
    ) {
        let id = self.next_id;
        self.next_id += 1;
        let call = Call {
            found: vec![None; wanted.len()],
            since: now,
            deadline,
            reply,
        };
        self.open.insert(id, call);
        for (index, key) in wanted.into_iter().enumerate() {
            lookups.add(LookupOwner::Call { id, index }, key);
        }
    }

    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    pub(crate) fn answered(&mut self, id: u64, index: usize, result: Result<Found>) {
        let Some(call) = self.open.get_mut(&id) else {
            return;
        };
        let all = result.map(|found| {
            if let Some(slot) = call.found.get_mut(index) {
                *slot = Some(found);
            }
            call.found.iter().cloned().collect::<Option<Vec<Found>>>()
        });
        let result = match all {
            Ok(None) => return,
            Ok(Some(all)) => Ok(all),
            Err(e) => Err(e),
        };
        call.reply.give(result);
        self.open.remove(&id);
    }

    /// Ends calls whose time is over; `obstacle` is what stands in the way of all of them. Says when to look again.
    pub(crate) fn expire(
        &mut self,
        lookups: &Lookups,
        now: Instant,
        obstacle: impl Fn() -> Option<Error>,
    ) -> Option<Instant> {
        let mut next = None;
        self.open.retain(|id, call| {
            if call.reply.is_orphaned() {
                return false;
            }
            if now < call.deadline {
                next = earliest(next, Some(call.deadline));
                return true;
            }
            let waited = now.saturating_duration_since(call.since);
            let (what, why) = match lookups.missing(*id) {
                Some(((topic, partition), why)) => {
                    (format!(" of {topic}-{partition}"), why.cloned())
                }
                None => (String::new(), None),
            };
            let why = why.or_else(&obstacle).map_or_else(
                || "the group's coordinator has not answered".to_owned(),
                |e| e.message().to_owned(),
            );
            let text = format!(
                "looking the committed offset{what} up: not done within {waited:.1?}: {why}"
            );
            call.reply.give(Err(Error::new(ErrorCode::TIMED_OUT, text)));
            false
        });
        next
    }

    pub(crate) fn close(&mut self, error: &Error) {
        for call in std::mem::take(&mut self.open).into_values() {
            call.reply.give(Err(error.clone()));
        }
    }
}
