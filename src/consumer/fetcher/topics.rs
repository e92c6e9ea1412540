//! Topics: what is in the way of reading them, those read whole, those created anew.

use std::sync::Arc;
use std::time::Instant;

use crate::client::event::{Event, EventKind};
use crate::clock::earliest;
use crate::cluster::core::Core;
use crate::cluster::problems::topic_problem;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::tag::Tag;
use crate::consumer::shared::Command;
use crate::error::{Error, ErrorCode};
use crate::protocol::wire::TopicId;
use crate::reading::poll::Start;

impl Fetcher {
    /// Looks at each topic that is read: trouble is told once, growth of whole topics followed, re-creation noticed.
    pub(super) fn watch_topics(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let mut deadline = None;
        let mut grown = Vec::new();
        let mut anew = Vec::new();
        for (name, watched) in &mut self.topics {
            match topic_problem(core, now, name, 0) {
                Ok(again) => deadline = earliest(deadline, again),
                Err(e) if watched.told == Some(e.code()) => {}
                Err(e) => {
                    watched.told = Some(e.code());
                    self.events
                        .push(Event::of_topic(EventKind::TopicFailing, name, e));
                }
            }
            let Some(meta) = core.topics.known(name) else {
                continue;
            };
            watched.told = None;
            let count = meta.partitions.len() as i32;
            let id = meta.id;
            let again =
                watched.watch_absent(core, now, name, count, &mut self.parts, &mut self.events);
            deadline = earliest(deadline, again);
            if let Some((start, done)) = &mut watched.whole
                && done.is_none_or(|done| done < count)
            {
                grown.push((name.clone(), *start, *done, count));
                *done = Some(count);
            }
            if id != TopicId::default() {
                if watched.id.is_some_and(|old| old != id) && !planted!("recreation-unseen") {
                    anew.push(name.clone());
                }
                watched.id = Some(id);
            }
        }
        for (name, start, done, count) in grown {
            self.grow(core, now, &name, start, done, count);
        }
        for name in anew {
            self.begin_anew(core, &name);
        }
        deadline
    }

    /// Assigns the partitions of a topic from `done` on that is read whole.
    fn grow(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        name: &Arc<str>,
        start: Start,
        done: Option<i32>,
        count: i32,
    ) {
        let shared = self.shared.clone();
        let mut starts = Vec::new();
        {
            let mut assignment = shared.assignment();
            if !assignment.whole.contains_key(name) {
                return;
            }
            let start = if done.is_some() {
                Start::Earliest
            } else {
                start
            };
            for index in done.unwrap_or(0)..count {
                if let Some(partition) = assignment.add(name, index) {
                    let generation = partition.restart(start);
                    starts.push(Command::Start {
                        partition,
                        generation,
                        start,
                    });
                }
            }
        }
        for command in starts {
            self.obey(core, now, command);
        }
        if let Some(done) = done {
            let kind = EventKind::PartitionsAdded;
            let (from, to) = (i64::from(done), i64::from(count));
            self.events.push(Event {
                topic: Some(name.clone()),
                from,
                to,
                ..Event::of(kind)
            });
        }
    }

    /// A topic was deleted and created again: the offsets of its old life mean nothing in the new one.
    fn begin_anew(&mut self, core: &mut Core<Tag>, name: &Arc<str>) {
        let policy = self.shared.config.auto_offset_reset;
        let text = format!(
            "topic '{name}' was deleted and created again; its offsets begin anew. Where a start was asked for by place or \
             time it holds for the new topic too; all else is read as auto.offset.reset={policy} says"
        );
        let error = Error::new(ErrorCode::INCONSISTENT_TOPIC_ID, text);
        self.events
            .push(Event::of_topic(EventKind::TopicRecreated, name, error));
        let of_topic: Vec<_> = self
            .parts
            .range((name.clone(), 0)..=(name.clone(), i32::MAX))
            .map(|(_, p)| p.partition.clone())
            .collect();
        for partition in of_topic {
            let Some(generation) = self.parts.get(&partition.key()).map(|p| p.generation) else {
                continue;
            };
            // If the user has sought meanwhile, that is what counts.
            if partition.end_generation(generation).is_some() {
                let generation = partition.restart(Start::Reset);
                // What the group committed is of the old life too.
                let key = self.begin(core, partition, generation);
                self.locate_anew(core, &key);
            }
        }
        self.shared.purge();
    }

    /// Lets go of a topic that nobody reads or asks about any more.
    pub(super) fn forget_unused(&mut self, core: &mut Core<Tag>, name: &str) {
        let read = self.topics.get(name).is_some_and(|w| w.whole.is_some());
        let key = (Arc::from(name), 0);
        let assigned = self
            .parts
            .range(key..)
            .next()
            .is_some_and(|((topic, _), _)| **topic == *name);
        let grouped = self.group.as_ref().is_some_and(|g| g.uses(name));
        if !read && !assigned && !grouped {
            self.topics.remove(name);
            if !self.queries.uses(name) && !self.calls.uses(name) {
                core.topics.forget(name);
            }
        }
    }
}
