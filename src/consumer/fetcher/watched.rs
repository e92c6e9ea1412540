//! What is remembered of topics, and the search for partitions that they don't have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::event::{Event, EventKind};
use crate::cluster::core::Core;
use crate::cluster::nodes::Backoff;
use crate::cluster::problems::{PATIENCE, topic_problem};
use crate::consumer::fetcher::part::Part;
use crate::consumer::fetcher::tag::Tag;
use crate::error::ErrorCode;
use crate::protocol::wire::TopicId;
use crate::reading::poll::Start;
use crate::topic::TopicPartition;

/// What is remembered of a topic besides what the cluster tells.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Read whole: where it starts, and up to which partition that is done (`None` before the first answer).
    pub(super) whole: Option<(Start, Option<i32>)>,
    /// The trouble that was told last.
    pub(super) told: Option<ErrorCode>,
    /// The id its offsets belong to.
    pub(super) id: Option<TopicId>,
    absent: Option<Absent>,
}

/// Partitions are assigned that the topic doesn't have.
#[derive(Debug)]
struct Absent {
    since: Instant,
    /// How often they were looked for, and when that is done next.
    rounds: u32,
    again_at: Instant,
}

impl Absent {
    /// The longest pause between two looks.
    const PAUSE: Duration = Duration::from_secs(5);

    fn look(&mut self, core: &mut Core<Tag>, now: Instant) {
        if now < self.again_at {
            return;
        }
        self.rounds = self.rounds.saturating_add(1);
        let backoff = Backoff {
            last: Self::PAUSE.max(core.config.retry_backoff_max),
            ..Backoff::retries(&core.config)
        };
        self.again_at = now + backoff.after(self.rounds, &mut core.rng);
        core.refresh_metadata();
    }
}

impl Watched {
    /// Tells of assigned partitions that the topic doesn't have, and looks for them with growing pauses; says when to look
    /// again.
    pub(super) fn watch_absent(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        name: &Arc<str>,
        count: i32,
        parts: &mut BTreeMap<TopicPartition, Part>,
        events: &mut Vec<Event>,
    ) -> Option<Instant> {
        const CODE: ErrorCode = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let all = |from| (name.clone(), from)..=(name.clone(), i32::MAX);
        if parts.range(all(count)).next().is_none() {
            if self.absent.take().is_some() {
                for (_, part) in parts.range_mut(all(0)) {
                    part.told = part.told.filter(|told| *told != CODE);
                }
            }
            return None;
        }
        let absent = self.absent.get_or_insert(Absent {
            since: now,
            rounds: 0,
            again_at: now,
        });
        absent.look(core, now);
        // One that was made a moment ago is not known to every broker.
        let told_at = absent.since + PATIENCE;
        if now < told_at {
            return Some(told_at.min(absent.again_at));
        }
        let again_at = absent.again_at;
        for ((_, index), part) in parts.range_mut(all(count)) {
            if part.told == Some(CODE) || planted!("absence-untold") {
                continue;
            }
            let Err(error) = topic_problem(core, now, name, *index) else {
                continue;
            };
            part.told = Some(CODE);
            let error = error.and("; it is looked for again and again, and read once it is there");
            let kind = EventKind::PartitionFailing;
            events.push(Event::of_partition(kind, name, *index, (-1, -1), error));
        }
        Some(again_at)
    }
}

/// Topics by name.
pub(super) type TopicWatch = BTreeMap<Arc<str>, Watched>;
