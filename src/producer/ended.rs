//! Records that have ended, as they wait to be drained: a batch's together, by the runs of their tokens. A completion is
//! made of each run only when it is drained, as most of what it tells is the same for all of its batch.

use std::collections::VecDeque;
use std::sync::Arc;

use super::completion::{Completion, Outcome, TokenRun, Tokens};
use super::shared::End;
use crate::error::Error;

/// Records of one batch that ended together.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) outcome: Outcome,
    pub(crate) timestamp: i64,
    pub(crate) error: Option<Error>,
    /// Bytes counted in `buffer.memory` for it.
    pub(crate) cost: usize,
    tokens: Tokens,
    /// The first of its runs that was not drained, and of its indices; the offset of that run's first record, or -1.
    run: usize,
    index: usize,
    offset: i64,
    /// Completions to come of it: the runs left that have a token.
    left: usize,
}

/// A run of records of one call.
pub(crate) struct EndedRun<'a> {
    pub(crate) token: u64,
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) base_offset: i64,
    pub(crate) indices: Option<&'a [u32]>,
}

impl Ended {
    /// `None` gives the tokens back: none of them asks for a completion.
    pub(crate) fn new(tokens: Tokens, end: &End<'_>) -> Result<Ended, Tokens> {
        let left = tokens.runs.iter().filter(|run| run.token != 0).count();
        if left == 0 {
            return Err(tokens);
        }
        Ok(Ended {
            topic: end.partition.0.clone(),
            partition: end.partition.1,
            outcome: end.outcome,
            timestamp: end.timestamp,
            error: end.error.cloned(),
            cost: size_of::<Ended>() + tokens.cost(),
            tokens,
            run: 0,
            index: 0,
            offset: end.base_offset,
            left,
        })
    }

    /// How many completions it makes.
    pub(crate) fn completions(&self) -> usize {
        self.left
    }

    /// True if runs have lists of indices, to which [`EndedRun::indices`] points.
    pub(crate) fn has_indices(&self) -> bool {
        !self.tokens.indices.is_empty()
    }

    /// The lists, to be used again.
    pub(crate) fn into_tokens(self) -> Tokens {
        self.tokens
    }

    /// Calls `f` with each run that has a token.
    #[inline]
    pub(crate) fn for_each<'a>(&'a self, mut f: impl FnMut(EndedRun<'a>)) {
        let (mut index, mut offset) = (self.index, self.offset);
        for run in &self.tokens.runs[self.run..] {
            let indices = run.scattered.then(|| {
                let from = index;
                index += run.count as usize;
                &self.tokens.indices[from..index]
            });
            if run.token != 0 {
                f(EndedRun {
                    token: run.token,
                    first: run.first,
                    count: run.count,
                    base_offset: offset,
                    indices,
                });
            }
            if offset >= 0 {
                offset += i64::from(run.count);
            }
        }
    }

    /// Appends its completions.
    pub(crate) fn completions_into(&self, out: &mut Vec<Completion>) {
        out.reserve(self.left);
        self.for_each(|run| {
            out.push(Completion {
                token: run.token,
                topic: self.topic.clone(),
                partition: self.partition,
                first: run.first,
                count: run.count,
                indices: run.indices.map(Into::into),
                base_offset: run.base_offset,
                timestamp: self.timestamp,
                outcome: self.outcome,
                error: self.error.clone(),
            });
        });
    }

    /// Takes the first `n` completions, fewer than there are, out of it.
    fn take(&mut self, n: usize) -> Ended {
        let (run, index, offset) = (self.run, self.index, self.offset);
        let mut taken = 0;
        while taken < n
            && let Some(next) = self.tokens.runs.get(self.run)
        {
            taken += usize::from(next.token != 0);
            self.run += 1;
            self.index += if next.scattered {
                next.count as usize
            } else {
                0
            };
            if self.offset >= 0 {
                self.offset += i64::from(next.count);
            }
        }
        let cost = self.cost / self.left * taken;
        self.left -= taken;
        self.cost -= cost;
        let runs: Vec<TokenRun> = self.tokens.runs[run..self.run].to_vec();
        let indices = self.tokens.indices[index..self.index].to_vec();
        Ended {
            topic: self.topic.clone(),
            error: self.error.clone(),
            cost,
            tokens: Tokens { runs, indices },
            run: 0,
            index: 0,
            offset,
            left: taken,
            ..*self
        }
    }
}

/// Moves what makes up to `max` completions from `items` to `out`; answers how many they are.
pub(super) fn drain(items: &mut VecDeque<Ended>, max: usize, out: &mut Vec<Ended>) -> usize {
    let mut drained = 0;
    while drained < max
        && let Some(first) = items.front_mut()
    {
        if first.left > max - drained {
            out.push(first.take(max - drained));
            return max;
        }
        drained += first.left;
        out.extend(items.pop_front());
    }
    drained
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_way_to_drain_gives_the_same_completions() {
        let topic: Arc<str> = Arc::from("t");
        let ended = |first_token: u64, base_offset| {
            let mut tokens = Tokens::default();
            tokens.add(first_token, 0, 3);
            tokens.add(0, 0, 2);
            tokens.add_scattered(first_token + 1, &[4, 2, 9]);
            tokens.add(first_token, 3, 1);
            tokens.add_scattered(first_token + 2, &[1, 7]);
            let end = End {
                partition: (&topic, 1),
                outcome: Outcome::Written,
                base_offset,
                timestamp: 5,
                error: None,
            };
            Ended::new(tokens, &end).unwrap()
        };
        let flat = |out: &[Ended]| {
            let mut completions = Vec::new();
            out.iter()
                .for_each(|e| e.completions_into(&mut completions));
            completions
                .iter()
                .map(|c| (c.token, c.first, c.count, c.indices.clone(), c.base_offset))
                .collect::<Vec<_>>()
        };
        let whole = flat(&[ended(10, 100), ended(20, -1)]);
        assert_eq!(whole.len(), 8);
        assert_eq!(whole[1], (11, 4, 3, Some([4, 2, 9].into()), 105));
        assert_eq!(whole[2], (10, 3, 1, None, 108));
        assert_eq!(whole[7], (22, 1, 2, Some([1, 7].into()), -1));
        for step in 1..=whole.len() + 1 {
            let mut items = VecDeque::from([ended(10, 100), ended(20, -1)]);
            let cost: usize = items.iter().map(|e| e.cost).sum();
            let mut out = Vec::new();
            let mut drained = 0;
            loop {
                match drain(&mut items, step, &mut out) {
                    0 => break,
                    n => drained += n,
                }
            }
            assert_eq!(
                (drained, flat(&out)),
                (whole.len(), whole.clone()),
                "by {step}"
            );
            assert_eq!(out.iter().map(|e| e.cost).sum::<usize>(), cost);
        }
        let mut silent = Tokens::default();
        silent.add(0, 0, 5);
        let end = End {
            partition: (&topic, 1),
            outcome: Outcome::Written,
            base_offset: 0,
            timestamp: 5,
            error: None,
        };
        assert!(Ended::new(silent, &end).is_err());
    }
}
