//! Transactions of a producing program: begun, filled, committed or aborted, and what the program was told of their ends.

use std::time::Duration;

use super::chance::Chance;
use crate::error::{Error, ErrorCode};
use crate::producer::Producer;
use crate::rng::Rng;

/// One transaction of the program.
#[derive(Default)]
pub(super) struct Transaction {
    /// The program was told that it was committed (`true`) or aborted; `None` where it never learnt.
    pub(super) committed: Option<bool>,
}

enum State {
    Starting,
    Idle,
    /// Takes so many records more.
    Open(usize),
    Ending {
        commit: bool,
    },
    /// Fenced, or failed for good.
    Dead,
}

/// A program's transactions so far.
pub(super) struct Transactions {
    pub(super) list: Vec<Transaction>,
    state: State,
    /// Why it can't go on.
    pub(super) dead: Option<Error>,
}

impl Transactions {
    pub(super) fn new() -> Self {
        Transactions {
            list: Vec::new(),
            state: State::Starting,
            dead: None,
        }
    }

    /// The open transaction, if records may be sent now.
    pub(super) fn open(&self) -> Option<usize> {
        matches!(self.state, State::Open(_)).then(|| self.list.len() - 1)
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead)
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle | State::Dead)
    }

    /// Counts records that were accepted; enough of them are to be committed, or aborted.
    pub(super) fn accepted(&mut self, n: usize, rng: &mut Rng) {
        if let State::Open(left) = &mut self.state {
            *left = left.saturating_sub(n);
            if *left == 0 {
                let commit = rng.chance(5, 6);
                self.end(commit);
            }
        }
    }

    /// Ends the open transaction.
    pub(super) fn end(&mut self, commit: bool) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Ending { commit };
        }
    }

    /// A call failed; true if that is how transactions fail.
    pub(super) fn failed(&mut self, error: &Error) -> bool {
        if error.is_fatal() {
            self.dead = Some(error.clone());
            self.state = State::Dead;
        } else if error.needs_abort() {
            self.state = State::Ending { commit: false };
        } else {
            return false;
        }
        true
    }

    /// Makes the next call that is due; what is wrong with its answer, if anything.
    pub(super) fn go_on(&mut self, producer: &Producer, size: usize) -> Result<(), String> {
        let now = Duration::ZERO;
        let result = match self.state {
            State::Starting => producer.init_transactions(now),
            State::Idle => producer.begin_transaction(),
            State::Ending { commit: true } => producer.commit_transaction(now),
            State::Ending { commit: false } => producer.abort_transaction(now),
            State::Open(_) | State::Dead => return Ok(()),
        };
        match result {
            Ok(()) => {
                self.state = match self.state {
                    State::Starting => State::Idle,
                    State::Idle => {
                        self.list.push(Transaction::default());
                        State::Open(size)
                    }
                    State::Ending { commit } => {
                        if let Some(last) = self.list.last_mut() {
                            last.committed = Some(commit);
                        }
                        State::Idle
                    }
                    State::Open(_) | State::Dead => return Ok(()),
                };
                Ok(())
            }
            // It goes on; the call is made again.
            Err(e) if e.code() == ErrorCode::TIMED_OUT && !e.is_fatal() && !e.needs_abort() => {
                Ok(())
            }
            Err(e) if self.failed(&e) => Ok(()),
            Err(e) => Err(format!("a call of transactions was refused: {e}")),
        }
    }
}
