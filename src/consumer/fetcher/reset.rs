//! Where a partition starts, and where it goes on when that is not possible.

use std::sync::Arc;

use super::super::chunk::Chunk;
use super::super::event::{Event, EventKind, Start};
use super::super::partition::{Key, Partition};
use super::super::shared::{EARLIEST, LATEST};
use super::queries::{Answer, Owner, Query};
use super::{Fetcher, Part, Step, Tag};
use crate::cluster::core::Core;
use crate::config::AutoOffsetReset;
use crate::error::{Error, ErrorCode};
use crate::protocol::wire::TopicId;

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
    ) -> Key {
        core.want_topic(&partition.topic);
        self.topics.entry(partition.topic.clone()).or_default();
        let key = partition.key();
        let part = self.parts.entry(key.clone()).or_insert_with(|| {
            self.unplaced = true;
            self.unwatched = true;
            Part {
                partition: partition.clone(),
                generation,
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
        part.told = None;
        self.replan = true;
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
        match start {
            Start::Offset(next) => part.step = Step::Fetch { next },
            Start::Earliest => self.locate(&key, EARLIEST, None),
            Start::Latest => self.locate(&key, LATEST, None),
            Start::Timestamp(time) => self.locate(&key, time, None),
            Start::Reset => match &mut self.group {
                Some(group) => {
                    part.step = Step::Locate;
                    group.locate(&part.partition, generation);
                }
                None => self.locate_by_policy(core, &key),
            },
        }
    }

    /// Starts a partition without a position where `auto.offset.reset` says.
    pub(super) fn locate_by_policy(&mut self, core: &Core<Tag>, key: &Key) {
        match self.policy(core) {
            Some(time) => self.locate(key, time, None),
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

    fn locate(&mut self, key: &Key, timestamp: i64, lost: Option<(i64, Error)>) {
        let Some(part) = self.parts.get_mut(key) else {
            return;
        };
        part.step = Step::Locate;
        let owner = Owner::Position {
            partition: part.partition.clone(),
            generation: part.generation,
            lost,
        };
        self.queries
            .add(Query::new(owner, key.0.clone(), key.1, timestamp));
    }

    /// A partition cannot go on from `from`: goes where `auto.offset.reset` says.
    pub(super) fn reset(&mut self, core: &Core<Tag>, key: &Key, from: i64, why: Error) {
        match self.policy(core) {
            Some(time) => self.locate(key, time, Some((from, why))),
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
    pub(super) fn stop(&mut self, key: &Key, places: (i64, i64), error: Error, advice: &str) {
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
                            self.locate(&key, LATEST, lost)
                        }
                        Ok(found) => {
                            let to = found.offset.max(0);
                            part.step = Step::Fetch { next: to };
                            match lost {
                                None => partition.located(generation, to),
                                Some((from, why)) => {
                                    let policy = self.shared.config.auto_offset_reset;
                                    let text = format!(
                                        "{}; the position was moved to {to} (auto.offset.reset={policy})",
                                        why.message()
                                    );
                                    let error = Error::new(why.code(), text);
                                    let kind = EventKind::PositionReset;
                                    if !planted!("loss-untold") {
                                        self.events.push(Event::of_partition(
                                            kind,
                                            &key.0,
                                            key.1,
                                            (from, to),
                                            error,
                                        ));
                                    }
                                    self.chunks.push(Chunk::jump(partition, generation, to));
                                }
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
}
