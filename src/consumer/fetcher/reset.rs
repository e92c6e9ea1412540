//! Where a partition starts, and where it goes on when that is not possible.

use std::sync::Arc;
use std::time::Instant;

use crate::client::event::{Event, EventKind};
use crate::cluster::core::Core;
use crate::config::AutoOffsetReset;
use crate::consumer::chunk::Chunk;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::part::{Part, Step};
use crate::consumer::fetcher::queries::{Answer, Owner, Query};
use crate::consumer::fetcher::tag::Tag;
use crate::consumer::partition::Partition;
use crate::consumer::shared::{EARLIEST, LATEST};
use crate::error::{Error, ErrorCode};
use crate::protocol::wire::TopicId;
use crate::reading::poll::Start;
use crate::topic::TopicPartition;

impl Fetcher {
    /// The timestamp to look up now by `auto.offset.reset`; `None` if that is `none`.
    fn policy(&self, core: &Core<Tag>) -> Option<i64> {
        match self.shared.config.auto_offset_reset {
            AutoOffsetReset::Earliest => Some(EARLIEST),
            AutoOffsetReset::Latest => Some(LATEST),
            AutoOffsetReset::None => None,
            AutoOffsetReset::ByDuration(past) => {
                let past = i64::try_from(past.as_millis()).unwrap_or(i64::MAX);
                Some(core.clock.wall_ms().saturating_sub(past).max(0))
            }
        }
    }

    /// Begins a new life of a partition, which is still without a place to start at.
    pub(super) fn begin(
        &mut self,
        core: &mut Core<Tag>,
        partition: Arc<Partition>,
        generation: u32,
    ) -> TopicPartition {
        core.want_topic(&partition.topic);
        self.topics.entry(partition.topic.clone()).or_default();
        let key = partition.key();
        let part = self.parts.entry(key.clone()).or_insert_with(|| {
            self.unplaced = true;
            Part {
                partition: partition.clone(),
                generation,
                start: Start::Reset,
                step: Step::Stopped,
                topic_id: TopicId::default(),
                leader_epoch: -1,
                last_epoch: -1,
                replica: None,
                not_before: None,
                failures: 0,
                told: None,
                stats: Default::default(),
            }
        });
        part.partition = partition;
        part.generation = generation;
        part.last_epoch = -1;
        part.not_before = None;
        part.failures = 0;
        part.told = None;
        self.unwatched = true;
        self.replan = true;
        self.unserved = true;
        key
    }

    /// Begins a new life of a partition.
    pub(super) fn start(
        &mut self,
        core: &mut Core<Tag>,
        partition: Arc<Partition>,
        generation: u32,
        start: Start,
    ) {
        let key = self.begin(core, partition, generation);
        let Some(part) = self.parts.get_mut(&key) else {
            return;
        };
        part.start = start;
        match start {
            Start::Offset(next) => part.step = Step::Fetch { next },
            Start::Earliest => self.locate(&key, EARLIEST),
            Start::Latest => self.locate(&key, LATEST),
            Start::Timestamp(time) => self.locate(&key, time),
            Start::Reset => match &mut self.group {
                Some(group) => {
                    part.step = Step::Locate;
                    group.locate(part.partition.key(), part.partition.clone(), generation);
                }
                None => self.locate_by_policy(core, &key),
            },
        }
    }

    /// Starts a partition without a position where `auto.offset.reset` says.
    pub(super) fn locate_by_policy(&mut self, core: &Core<Tag>, key: &TopicPartition) {
        match self.policy(core) {
            Some(time) => self.locate(key, time),
            None => {
                let text = format!(
                    "{}-{} has no position, and auto.offset.reset is none",
                    key.0, key.1
                );
                let error = Error::new(ErrorCode::OFFSET_RESET, text);
                self.stop(key, (-1, -1), error, "; seek to where it shall start");
            }
        }
    }

    fn locate(&mut self, key: &TopicPartition, timestamp: i64) {
        self.locate_after(None, key, timestamp, None);
    }

    fn locate_after(
        &mut self,
        not_before: Option<Instant>,
        key: &TopicPartition,
        timestamp: i64,
        lost: Option<(i64, Error)>,
    ) {
        let Some(part) = self.parts.get_mut(key) else {
            return;
        };
        part.step = Step::Locate;
        let owner = Owner::Position {
            partition: part.partition.clone(),
            generation: part.generation,
            lost,
        };
        let query = Query::new(owner, key.0.clone(), key.1, timestamp);
        self.queries.add(query.after(not_before));
    }

    /// Starts a partition of a topic that was created anew: all records of it were written after the start was asked for.
    pub(super) fn locate_anew(&mut self, core: &Core<Tag>, key: &TopicPartition) {
        match self.parts.get(key).map(|part| part.start) {
            Some(Start::Earliest | Start::Latest) => self.locate(key, EARLIEST),
            Some(Start::Timestamp(time)) => self.locate(key, time),
            // An offset of the old topic means nothing in the new one.
            Some(Start::Reset | Start::Offset(_)) | None => self.locate_by_policy(core, key),
        }
    }

    /// A partition cannot go on from `from`: goes where `auto.offset.reset` says, but not before that time.
    pub(super) fn reset(
        &mut self,
        core: &Core<Tag>,
        not_before: Option<Instant>,
        key: &TopicPartition,
        from: i64,
        why: Error,
    ) {
        match self.policy(core) {
            Some(time) => self.locate_after(not_before, key, time, Some((from, why))),
            None => {
                let text = format!("{}; auto.offset.reset is none", why.message());
                let error = Error::new(ErrorCode::OFFSET_RESET, text);
                self.stop(
                    key,
                    (from, -1),
                    error,
                    ", so seek to where reading shall go on",
                );
            }
        }
    }

    /// Fetches no more of a partition, and says why.
    pub(super) fn stop(
        &mut self,
        key: &TopicPartition,
        places: (i64, i64),
        error: Error,
        advice: &str,
    ) {
        let Some(part) = self.parts.get_mut(key) else {
            return;
        };
        part.step = Step::Stopped;
        let error = Error::new(error.code(), format!("{}{advice}", error.message()));
        self.events.push(Event::of_partition(
            EventKind::PartitionStopped,
            &key.0,
            key.1,
            places,
            error,
        ));
    }

    /// Takes in what lookups found.
    pub(super) fn take_answers(&mut self, core: &mut Core<Tag>, answers: Vec<Answer>) {
        for (query, result) in answers {
            self.changes += 1;
            match query.owner {
                Owner::End { partition, .. } => {
                    // Fetches of one that was resumed meanwhile know better; one that fails is asked for again in time.
                    if let Ok(found) = result
                        && partition.paused()
                    {
                        partition.set_end(self.shared.read_committed(), found.offset);
                    }
                }
                Owner::Call { id, index } => {
                    self.calls.answered(id, index, result);
                    if !self.calls.is_open(id) {
                        self.forget_unused(core, &query.topic);
                    }
                }
                Owner::Position {
                    partition,
                    generation,
                    lost,
                } => {
                    let key = (query.topic, query.partition);
                    let Some(part) = self.parts.get_mut(&key) else {
                        continue;
                    };
                    if part.generation != generation || part.step != Step::Locate {
                        continue;
                    }
                    match result {
                        Ok(found) if found.offset < 0 && query.timestamp >= 0 => {
                            self.locate_after(None, &key, LATEST, lost)
                        }
                        Ok(found) => {
                            let to = found.offset.max(0);
                            part.step = Step::Fetch { next: to };
                            self.unserved = true;
                            match lost {
                                None => partition.located(generation, to),
                                Some((from, why)) => self.moved(&key, generation, (from, to), why),
                            }
                        }
                        Err(e) => self.stop(
                            &key,
                            (-1, -1),
                            e,
                            "; seek it or assign it anew once that is settled",
                        ),
                    }
                }
            }
        }
    }

    /// A partition that could not go on from one offset goes on at another.
    fn moved(&mut self, key: &TopicPartition, generation: u32, (from, to): (i64, i64), why: Error) {
        let Some(part) = self.parts.get_mut(key) else {
            return;
        };
        let policy = self.shared.config.auto_offset_reset;
        if from == to {
            // Nothing was lost by that, nor gained.
            if part.told != Some(why.code()) {
                part.told = Some(why.code());
                let error = why.and(format_args!(
                    ", though that is where auto.offset.reset={policy} leads; the attempts go on"
                ));
                let kind = EventKind::PartitionFailing;
                self.events
                    .push(Event::of_partition(kind, &key.0, key.1, (from, -1), error));
            }
            return;
        }
        let error = why.and(format_args!(
            "; the position was moved to {to} (auto.offset.reset={policy})"
        ));
        if !planted!("loss-untold") {
            let kind = EventKind::PositionReset;
            self.events
                .push(Event::of_partition(kind, &key.0, key.1, (from, to), error));
        }
        self.chunks
            .push(Chunk::jump(part.partition.clone(), generation, to));
    }
}
