//! `purge`: the program gives records up that have not ended; the I/O thread carries it out.

use std::sync::Mutex;

use super::shared::lock;
use crate::client::calls::Reply;
use crate::error::Result;

/// Which records a purge gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Those that wait to be sent, or to be sent again.
    Queued,
    /// Those that were sent and are not answered: they may have been written all the same.
    InFlight,
    /// Both.
    All,
}

impl Purge {
    pub(crate) fn queued(self) -> bool {
        self != Purge::InFlight
    }

    pub(crate) fn in_flight(self) -> bool {
        self != Purge::Queued
    }
}

#[derive(Default)]
struct Asked {
    purges: Vec<(Purge, Reply<()>)>,
    closed: bool,
}

/// Callers of `purge`, shared by their threads and the I/O thread.
#[derive(Default)]
pub(crate) struct PurgeCalls(Mutex<Asked>);

impl PurgeCalls {
    /// Asks for a purge.
    ///
    /// # Errors
    /// CLOSED where the producer has ended, and with it every record.
    pub(crate) fn ask(&self, what: Purge, reply: Reply<()>) -> Result<()> {
        let mut asked = lock(&self.0);
        if asked.closed {
            return Err(super::send::closed());
        }
        asked.purges.push((what, reply));
        Ok(())
    }

    /// What is asked for now; the reply is given once it is carried out.
    pub(crate) fn take(&self) -> Vec<(Purge, Reply<()>)> {
        std::mem::take(&mut lock(&self.0).purges)
    }

    /// The producer has ended, and with it every record: nothing is left to purge.
    pub(crate) fn close(&self) {
        let left = {
            let mut asked = lock(&self.0);
            asked.closed = true;
            std::mem::take(&mut asked.purges)
        };
        left.iter().for_each(|(_, reply)| reply.give(Ok(())));
    }
}
