//! Brokers that are fetched from and don't answer: when a program is told, and what. Consumers and share consumers have one
//! of these for each broker.

use std::time::{Duration, Instant};

use crate::client::event::{Event, EventKind, listed};
use crate::error::{Error, ErrorCode};
use crate::topic::TopicPartition;

/// A broker that restarts, or whose partitions are about to move, is not worth an event.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is told that answers are too large.
const REMINDER: Duration = Duration::from_secs(60);

/// What was told of one broker.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Since when no fetch was answered, but connections ended with one on its way.
    losing_since: Option<Instant>,
    told: bool,
    told_size: Option<Instant>,
}

impl Reach {
    /// It has answered a fetch.
    pub(crate) fn answered(&mut self) {
        self.losing_since = None;
        self.told = false;
    }

    /// It can't be fetched from, as `error` says: the event to tell of it, if that was not done yet.
    pub(crate) fn tell(&mut self, broker: i32, error: Error) -> Option<Event> {
        let told = std::mem::replace(&mut self.told, true);
        (!told).then(|| Event::of_broker(EventKind::BrokerUnreachable, broker, error))
    }

    /// There is no connection to it, and it is `failing` since then for that reason: the event to tell of it now, or when to
    /// look again.
    pub(crate) fn unconnected(
        &mut self,
        now: Instant,
        broker: i32,
        failing: Option<(Instant, Error)>,
    ) -> (Option<Event>, Option<Instant>) {
        // Of answers that are too large is told when they come.
        let failing = failing.filter(|(_, e)| !self.told && e.code() != ErrorCode::CONFIG);
        match failing {
            Some((since, error)) if since + PATIENCE <= now => {
                (self.tell(broker, error.and("; the attempts go on")), None)
            }
            Some((since, _)) => (None, Some(since + PATIENCE)),
            None => (None, None),
        }
    }

    /// A fetch of these partitions will have no answer, or not all of it: the event to tell of it.
    pub(crate) fn lost(
        &mut self,
        now: Instant,
        broker: i32,
        error: &Error,
        asked: impl FnOnce() -> Vec<TopicPartition>,
    ) -> Option<Event> {
        if error.code() == ErrorCode::CONFIG {
            if self.told_size.is_some_and(|at| now < at + REMINDER) {
                return None;
            }
            self.told_size = Some(now);
            return Some(too_large(broker, error, asked()));
        }
        let since = *self.losing_since.get_or_insert(now);
        if error.code() == ErrorCode::CONNECT && now < since + PATIENCE {
            return None;
        }
        self.tell(broker, error.and("; the attempts go on"))
    }
}

/// An answer does not fit into `receive.message.max.bytes`: one of the partitions that were asked for has a batch larger
/// than that.
fn too_large(broker: i32, error: &Error, asked: Vec<TopicPartition>) -> Event {
    let error = error.and(format_args!(
        "; asked for were {}, of which those with larger batches can't be read before that; the attempts go on",
        listed(&asked)
    ));
    let kind = EventKind::PartitionFailing;
    match asked.as_slice() {
        [(topic, index)] => Event::of_partition(kind, topic, *index, (-1, -1), error),
        _ => Event {
            partitions: asked,
            ..Event::of_broker(kind, broker, error)
        },
    }
}
