//! What the program was told of each record.

use std::time::Duration;

use super::Producing;
use crate::producer::{Completion, Outcome};

/// A record that was accepted.
pub(super) struct Entry {
    pub(super) topic: usize,
    pub(super) wish: Option<i32>,
    pub(super) accepted: Duration,
    pub(super) silent: bool,
    pub(super) end: Option<End>,
    pub(super) transaction: Option<usize>,
    /// Its partition's broker forgot its producers before it ended: nobody could keep it from being written twice.
    pub(super) at_risk: bool,
    /// It has the timestamp that follows from its number.
    pub(super) timed: bool,
    /// Sent after all faults: must be written.
    pub(super) probe: bool,
    /// Its topic was deleted after it had been accepted: it may be gone, or written to the new one.
    pub(super) erased: bool,
}

#[derive(Clone)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) why: Option<String>,
}

/// A call, whose token is its place in the list plus one.
pub(super) struct Call {
    pub(super) first: usize,
    pub(super) accepted: u32,
}

impl Producing {
    /// Notes what a completion tells, and complains of what contradicts what is known.
    pub(super) fn completed(&mut self, now: Duration, c: &Completion) {
        let Some((first, accepted)) = usize::try_from(c.token)
            .ok()
            .and_then(|t| self.calls.get(t.wrapping_sub(1)))
            .map(|call| (call.first, call.accepted))
        else {
            return self.complain(format!(
                "a completion with the token {}, which no call had",
                c.token
            ));
        };
        let rows: Vec<u32> = match &c.indices {
            Some(indices) => indices.to_vec(),
            None => (c.first..c.first + c.count).collect(),
        };
        if rows.len() != c.count as usize || (c.outcome == Outcome::Written) != c.error.is_none() {
            return self.complain(format!("a completion that contradicts itself: {c:?}"));
        }
        for (i, row) in rows.iter().enumerate() {
            if *row >= accepted {
                return self.complain(format!(
                    "a completion for row {row} of a call of which {accepted} were taken"
                ));
            }
            let number = first + *row as usize;
            let entry = &mut self.ledger[number];
            let end = End {
                outcome: c.outcome,
                partition: c.partition,
                offset: if c.base_offset >= 0 {
                    c.base_offset + i as i64
                } else {
                    -1
                },
                why: c
                    .error
                    .as_ref()
                    .map(|e| format!("{}: {}", e.code().name(), e.message())),
            };
            if entry.end.replace(end).is_some() {
                return self.complain(format!("record {number} was completed twice"));
            }
            if entry.wish.is_some_and(|wish| wish != c.partition)
                || self.plan.topics[entry.topic].0 != *c.topic
            {
                return self.complain(format!(
                    "record {number} went to {}-{}",
                    c.topic, c.partition
                ));
            }
            let took = now - entry.accepted;
            if took > self.plan.longest {
                return self.complain(format!(
                    "record {number} took {took:.1?} to its end, {:?} were the most",
                    c.outcome
                ));
            }
        }
    }
}
