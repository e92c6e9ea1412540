//! What became of records: runs of a call's records that went the same way.

use std::sync::{Arc, Mutex};

use super::shared::lock;
use crate::error::Error;

/// The outcome of a record, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Outcome {
    /// The broker acknowledged it (with `acks=0`: it was written to the connection).
    Written = 0,
    /// It was definitely not written.
    NotWritten = 1,
    /// It was sent, but no response says whether it was written.
    PossiblyWritten = 2,
}

/// A run of records of one call that ended together in one partition.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The token passed to the call.
    pub token: u64,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Index within the call of the run's first record.
    pub first: u32,
    /// Number of records.
    pub count: u32,
    /// Indices within the call, if the run's records are not contiguous in it.
    pub indices: Option<Box<[u32]>>,
    /// Offset of the run's first record; the others follow it one by one. -1 if unknown.
    pub base_offset: i64,
    /// Milliseconds since 1970: the broker's time if the topic uses log append time, otherwise the timestamp of the
    /// batch's first record.
    pub timestamp: i64,
    /// The outcome of the records.
    pub outcome: Outcome,
    /// The error, unless they were written.
    pub error: Option<Error>,
}

/// Which calls the records of a batch came from, in the order of the batch. Records of token 0 are only counted.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(super) runs: Vec<TokenRun>,
    /// Call indices of the scattered runs, one after the other.
    pub(super) indices: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct TokenRun {
    pub(super) token: u64,
    pub(super) first: u32,
    pub(super) count: u32,
    /// The run's indices are the next `count` of `Tokens::indices`.
    pub(super) scattered: bool,
}

impl Tokens {
    /// Notes `count` records of a call, side by side from index `first`.
    #[inline]
    pub(crate) fn add(&mut self, token: u64, first: u32, count: u32) {
        if let Some(last) = self.runs.last_mut()
            && last.token == token
            && !last.scattered
            && (token == 0 || last.first + last.count == first)
        {
            last.count += count;
            return;
        }
        self.runs.push(TokenRun {
            token,
            first,
            count,
            scattered: false,
        });
    }

    /// Notes records of a call by their indices in it.
    pub(crate) fn add_scattered(&mut self, token: u64, indices: &[u32]) {
        let Some((&first, rest)) = indices.split_first() else {
            return;
        };
        if token == 0 || rest.iter().zip(first + 1..).all(|(a, b)| *a == b) {
            return self.add(token, first, indices.len() as u32);
        }
        self.runs.push(TokenRun {
            token,
            first,
            count: indices.len() as u32,
            scattered: true,
        });
        self.indices.extend_from_slice(indices);
    }

    /// Bytes held beside the records.
    pub(crate) fn cost(&self) -> usize {
        self.runs.capacity() * size_of::<TokenRun>() + self.indices.capacity() * 4
    }

    /// Splits off what belongs to the records from `at` on.
    pub(crate) fn split_off(&mut self, at: u32) -> Tokens {
        let mut tail = Tokens::default();
        let mut seen = 0;
        let mut index_at = 0;
        let runs = std::mem::take(&mut self.runs);
        let indices = std::mem::take(&mut self.indices);
        for run in runs {
            let mine = at.saturating_sub(seen).min(run.count);
            if run.scattered {
                let own = &indices[index_at..index_at + run.count as usize];
                self.add_scattered(run.token, &own[..mine as usize]);
                tail.add_scattered(run.token, &own[mine as usize..]);
                index_at += own.len();
            } else {
                if mine > 0 {
                    self.add(run.token, run.first, mine);
                }
                if mine < run.count {
                    let first = if run.token == 0 { 0 } else { run.first + mine };
                    tail.add(run.token, first, run.count - mine);
                }
            }
            seen += run.count;
        }
        tail
    }

    /// Appends what belongs to records appended behind.
    pub(crate) fn for_each(&self, mut f: impl FnMut(u64, u32, u32, Option<&[u32]>)) {
        let mut at = 0;
        for run in &self.runs {
            let own = run
                .scattered
                .then(|| &self.indices[at..at + run.count as usize]);
            if run.scattered {
                at += run.count as usize;
            }
            f(run.token, run.first, run.count, own);
        }
    }
}

/// Memory of ended batches' tokens, for new ones. What it keeps is bounded, and small beside one batch.
#[derive(Default)]
pub(crate) struct SpareTokens(Mutex<Vec<Tokens>>);

impl SpareTokens {
    const MOST: usize = 16;
    const MOST_BYTES: usize = 16 * 1024;

    /// Empty tokens.
    pub(crate) fn take(&self) -> Tokens {
        lock(&self.0).pop().unwrap_or_default()
    }

    pub(crate) fn give(&self, mut tokens: Tokens) {
        if tokens.cost() <= Self::MOST_BYTES {
            tokens.runs.clear();
            tokens.indices.clear();
            let mut spare = lock(&self.0);
            if spare.len() < Self::MOST {
                spare.push(tokens);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(t: &Tokens) -> Vec<(u64, u32)> {
        let mut out = Vec::new();
        t.for_each(|token, first, count, indices| match indices {
            Some(own) => out.extend(own.iter().map(|i| (token, *i))),
            None => out.extend((0..count).map(|i| (token, first + i))),
        });
        out
    }

    #[test]
    fn runs_merge_and_split() {
        let mut t = Tokens::default();
        t.add(7, 0, 3);
        t.add(7, 3, 2);
        t.add_scattered(9, &[1, 4, 6]);
        t.add_scattered(8, &[2, 3, 4]);
        t.add(5, 0, 1);
        assert_eq!(t.runs.len(), 4);
        let all = flat(&t);
        for at in 0..=all.len() as u32 {
            let mut head = Tokens {
                runs: t.runs.clone(),
                indices: t.indices.clone(),
            };
            let tail = head.split_off(at);
            let mut joined = flat(&head);
            assert_eq!(joined.len(), at as usize);
            joined.extend(flat(&tail));
            assert_eq!(joined, all);
        }
    }
}
