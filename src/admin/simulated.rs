//! One call after the other, for the simulation.

use std::time::Duration;

use super::client::Admin;
use super::types::{NewPartitions, NewTopic};
use crate::client::calls::Call;
use crate::error::Result;

/// A call that was begun: whether it has been answered.
pub(crate) type Begun = Box<dyn Fn() -> bool>;

fn begun<T: 'static>(call: Call<T>) -> Begun {
    Box::new(move || call.is_done())
}

impl Admin {
    /// Wakes the I/O side where it is looked for.
    pub(crate) fn waker(&self) -> &crate::client::waker::Waker {
        &self.waker
    }

    /// Begins one call after the other, of every kind in turn.
    pub(crate) fn begin(&self, number: u64, limit: Duration) -> Result<Begun> {
        let topic = format!("made-{}", number / 5);
        Ok(match number % 5 {
            0 => begun(self.create_topics_async(&[NewTopic::new(topic, 1, -1)], limit, false)?),
            1 => {
                let more = NewPartitions {
                    name: topic,
                    total: 2,
                };
                begun(self.create_partitions_async(&[more], limit, false)?)
            }
            2 => begun(self.list_topics_async(limit, false)?),
            3 => begun(self.describe_cluster_async(limit)?),
            _ => begun(self.delete_topics_async(&[topic], limit)?),
        })
    }
}
