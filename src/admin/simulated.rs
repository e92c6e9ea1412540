//! Calls that don't wait, for the simulation.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::change::{Change, ChangeTopics};
use super::client::Admin;
use super::describe::{Cluster, Describe, List};
use super::role::{NewCall, Operation};
use super::types::{NewPartitions, NewTopic, TopicResult};
use crate::error::Result;

/// A call that was begun.
pub(crate) enum Begun {
    Change(Receiver<Result<Vec<TopicResult>>>),
    Other(Box<dyn Fn() -> bool>),
}

impl Begun {
    /// True once it has been answered.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Begun::Change(answer) => answered(answer),
            Begun::Other(answered) => answered(),
        }
    }
}

fn answered<T>(answer: &Receiver<T>) -> bool {
    !matches!(answer.try_recv(), Err(TryRecvError::Empty))
}

impl Admin {
    /// Wakes the I/O side where it is looked for.
    pub(crate) fn waker(&self) -> &crate::client::waker::Waker {
        &self.waker
    }

    /// Begins one call after the other, of every kind in turn.
    pub(crate) fn begin(&self, number: u64, now: Instant, limit: Duration) -> Result<Begun> {
        let topic = format!("made-{}", number / 5);
        let (operation, begun): (Box<dyn Operation>, Begun) = match number % 5 {
            0 => change(Change::Create {
                topics: vec![NewTopic::new(topic, 1, -1)],
                validate_only: false,
            })?,
            1 => change(Change::Grow {
                topics: vec![NewPartitions {
                    name: topic,
                    total: 2,
                }],
                validate_only: false,
            })?,
            2 => {
                let (give, answer) = sync_channel(1);
                let call = Describe::new(List { internal: false }, give);
                let begun = Begun::Other(Box::new(move || answered(&answer)));
                (Box::new(call), begun)
            }
            3 => {
                let (give, answer) = sync_channel(1);
                let begun = Begun::Other(Box::new(move || answered(&answer)));
                (Box::new(Describe::new(Cluster, give)), begun)
            }
            _ => change(Change::Delete(vec![topic]))?,
        };
        self.shared.push(NewCall {
            operation,
            since: now,
            deadline: now + limit,
        })?;
        self.waker.wake();
        Ok(begun)
    }
}

fn change(change: Change) -> Result<(Box<dyn Operation>, Begun)> {
    let (give, answer) = sync_channel(1);
    let call = ChangeTopics::new(change, give)?;
    Ok((Box::new(call), Begun::Change(answer)))
}
