//! What a reading program was given, in runs: within one, offsets rise and nothing that can be read is left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::oracle::Logs;

/// Topic and partition.
pub(super) type Place = (String, i32);

/// One stretch of reading a partition, from where it was begun to where it was broken off.
struct Run {
    /// Where it was told to start; `None` where that is for the client to know.
    start: Option<i64>,
    /// Offsets and what was there.
    rows: Vec<(i64, u64)>,
}

/// Everything one program was given.
#[derive(Default)]
pub(super) struct Seen {
    runs: BTreeMap<Place, Vec<Run>>,
    /// Jumps that were told: events come before the records that were there already.
    jumps: BTreeMap<Place, VecDeque<Jump>>,
}

struct Jump {
    from: i64,
    to: i64,
    /// What was given first may lie before the jump or behind it: nobody knows where reading began.
    maybe_over: bool,
    /// Told after a seek and before anything was given since: it may have been made before the seek.
    maybe_stale: bool,
}

impl Seen {
    /// Reading a partition begins, or goes on somewhere else.
    pub(super) fn begin(&mut self, place: &Place, start: Option<i64>) {
        self.jumps.remove(place);
        let runs = self.runs.entry(place.clone()).or_default();
        runs.push(Run {
            start,
            rows: Vec::new(),
        });
    }

    /// The position is moved once what was fetched before is given.
    pub(super) fn jump(&mut self, place: &Place, from: i64, to: i64) -> Result<(), String> {
        let sought = self.runs.get(place).and_then(|runs| runs.last());
        let maybe_stale = sought.is_some_and(|run| run.start.is_some() && run.rows.is_empty());
        let jumps = self.jumps.entry(place.clone()).or_default();
        let jumped = jumps.back().map(|jump| jump.to);
        jumps.push_back(Jump {
            from,
            to,
            maybe_over: false,
            maybe_stale,
        });
        match jumped.or(self.next(place)) {
            Some(next) if from < next && !maybe_stale => Err(format!(
                "{}-{}: told that the position was moved from {from}, but it was {next} at least",
                place.0, place.1
            )),
            _ => Ok(()),
        }
    }

    /// All partitions of a topic begin anew.
    pub(super) fn begin_topic(&mut self, topic: &str) {
        self.jumps.retain(|(t, _), _| t != topic);
        let of_topic = self.runs.iter_mut().filter(|((t, _), _)| t == topic);
        for (_, runs) in of_topic {
            runs.push(Run {
                start: None,
                rows: Vec::new(),
            });
        }
    }

    /// The offset behind the last record of the present run.
    pub(super) fn next(&self, place: &Place) -> Option<i64> {
        let run = self.runs.get(place)?.last()?;
        run.rows.last().map(|(offset, _)| offset + 1).or(run.start)
    }

    /// A record was given.
    pub(super) fn deliver(&mut self, place: &Place, offset: i64, print: u64) -> Result<(), String> {
        loop {
            let next = self.next(place);
            let Some(jumps) = self.jumps.get_mut(place) else {
                break;
            };
            let later = jumps.get(1).map(|jump| jump.from);
            let Some(jump) = jumps.front_mut() else {
                break;
            };
            let back = next.is_some_and(|next| offset < next);
            if !back && offset < jump.from {
                jump.maybe_over |= next.is_none();
                break;
            }
            // Reading went on as if nothing had been told, or the next one told of begins where reading does.
            let goes_on = !back && jump.to <= jump.from;
            let next_begins = later.is_some_and(|from| Some(from) == next);
            // Or what was given first lay behind it.
            let is_over = jump.maybe_over && back && next_begins;
            if is_over || jump.maybe_stale && (goes_on || next_begins) {
                jumps.pop_front();
                continue;
            }
            // They were told together, before anything was given. But what was given up to where a jump ahead begins came
            // before it.
            let begins_here = jump.to > jump.from && next == Some(jump.from);
            if jump.maybe_over && !back && !begins_here {
                jumps.pop_front();
                // Nor does a jump begin where reading has gone past.
                while jumps.front().is_some_and(|jump| jump.from < offset) {
                    jumps.pop_front();
                }
                if let Some(jump) = jumps.front_mut() {
                    jump.maybe_over = true;
                }
                continue;
            }
            let to = jump.to;
            jumps.pop_front();
            let runs = self.runs.entry(place.clone()).or_default();
            runs.push(Run {
                start: Some(to),
                rows: Vec::new(),
            });
        }
        if let Some(next) = self.next(place)
            && offset < next
        {
            return Err(format!(
                "{}-{}@{offset}: given though everything before {next} was given or passed over",
                place.0, place.1
            ));
        }
        let runs = self.runs.entry(place.clone()).or_default();
        if runs.is_empty() {
            runs.push(Run {
                start: None,
                rows: Vec::new(),
            });
        }
        if let Some(run) = runs.last_mut() {
            run.rows.push((offset, print));
        }
        Ok(())
    }

    /// Holds every run against the logs: each record is what lies there, and none between two was passed over.
    pub(super) fn check(&self, logs: &Logs, read_committed: bool) -> Result<(), String> {
        for (place, runs) in &self.runs {
            let at = |offset: i64| format!("{}-{}@{offset}", place.0, place.1);
            for run in runs {
                if let Some(fed) = logs.fed.get(place) {
                    let mut next = run.start;
                    for (offset, print) in &run.rows {
                        if next.is_some_and(|next| next != *offset) {
                            return Err(format!("{}: given after {next:?}", at(*offset)));
                        }
                        next = Some(offset + 1);
                        if !fed.was(*offset, *print) {
                            return Err(format!("{}: never held what was given", at(*offset)));
                        }
                    }
                    continue;
                }
                let visible = logs.visible(place, read_committed);
                let Some(first) = run.start.or(run.rows.first().map(|r| r.0)) else {
                    continue;
                };
                let from = visible.partition_point(|(offset, _)| *offset < first);
                let mut there = visible[from..].iter();
                for row in &run.rows {
                    match there.next() {
                        Some(wanted) if wanted == row => {}
                        Some(wanted) if wanted.0 == row.0 => {
                            return Err(format!("{}: holds something else", at(row.0)));
                        }
                        wanted => {
                            return Err(format!(
                                "{}: given, but what can be read next is at {:?}",
                                at(row.0),
                                wanted.map(|w| w.0)
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Holds that everything the logs hold at the end was given.
    pub(super) fn check_all(
        &self,
        logs: &Logs,
        places: &BTreeSet<Place>,
        read_committed: bool,
    ) -> Result<(), String> {
        for place in places {
            let runs = self.runs.get(place).map_or(&[][..], Vec::as_slice);
            let given: BTreeSet<(i64, u64)> =
                runs.iter().flat_map(|r| r.rows.iter().copied()).collect();
            let missing = match logs.fed.get(place) {
                Some(fed) => fed.now().find(|row| !given.contains(row)),
                None => {
                    let mut visible = logs.visible(place, read_committed).into_iter();
                    visible.find(|row| !given.contains(row))
                }
            };
            if let Some((offset, _)) = missing {
                return Err(format!(
                    "{}-{}@{offset}: never given to an assigned reader that has read to the end",
                    place.0, place.1
                ));
            }
        }
        Ok(())
    }

    /// Records given.
    pub(super) fn count(&self) -> u64 {
        let runs = self.runs.values().flatten();
        runs.map(|r| r.rows.len() as u64).sum()
    }
}
