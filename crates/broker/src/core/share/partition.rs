//! One partition as a share group sees it (KIP-932): which records are on their way to a member, and how each ended.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_base::error::ErrorCode;
use ottla_protocol::record::BatchHeader;

use super::ShareOptions;

/// What a member says about a record, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    /// There is no such record to be had.
    Gap,
    Accept,
    Release,
    Reject,
    /// Not done yet: the lock begins anew (KIP-1222).
    Renew,
}

impl Acknowledge {
    pub(crate) fn of(number: i8) -> Option<Self> {
        Some(match number {
            0 => Acknowledge::Gap,
            1 => Acknowledge::Accept,
            2 => Acknowledge::Release,
            3 => Acknowledge::Reject,
            4 => Acknowledge::Renew,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Available,
    Acquired {
        member: String,
        until: Duration,
    },
    /// Accepted, rejected, or delivered too often: nobody gets it any more.
    Done,
}

#[derive(Clone, Debug)]
struct Record {
    state: State,
    deliveries: i16,
}

/// Consecutive records acquired at once, delivered equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acquired {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) deliveries: i16,
}

/// What a member wants at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) records: usize,
    /// Whether `records` holds to the record; otherwise the batch that reaches it comes whole.
    pub(crate) strict: bool,
    /// How many records one range of the answer may have, where a batch ends.
    pub(crate) range: usize,
}

/// The records between the share group's start and end are in `records`, all of them: those before are done, those
/// behind were never delivered.
#[derive(Clone, Debug)]
pub(crate) struct SharePartition {
    start: i64,
    end: i64,
    records: BTreeMap<i64, Record>,
}

impl SharePartition {
    pub(crate) fn new(start: i64) -> Self {
        SharePartition {
            start,
            end: start,
            records: BTreeMap::new(),
        }
    }

    /// The first record that is not done with.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// How many records behind the start are done with.
    pub(crate) fn done(&self) -> i64 {
        let done = |r: &&Record| r.state == State::Done;
        self.records.values().filter(done).count() as i64
    }

    /// Where to read next: the first record to be delivered again, or what was never delivered; `None` while too many
    /// are on their way.
    pub(crate) fn next(&self, options: &ShareOptions) -> Option<i64> {
        let again = self
            .records
            .iter()
            .find(|(_, r)| r.state == State::Available)
            .map(|(&offset, _)| offset);
        again.or_else(|| (self.records.len() < options.max_locks).then_some(self.end))
    }

    /// What lies before `log_start` is gone from the log.
    pub(crate) fn advance_to(&mut self, log_start: i64) {
        if log_start > self.start {
            self.start = log_start;
            self.end = self.end.max(log_start);
            self.records = self.records.split_off(&log_start);
        }
        self.advance();
    }

    /// The records from `from` on and before `to` are gone from the log.
    pub(crate) fn skip(&mut self, from: i64, to: i64) {
        if from < to {
            for (_, record) in self.records.range_mut(from..to) {
                if record.state == State::Available {
                    record.state = State::Done;
                }
            }
            self.advance();
        }
    }

    fn advance(&mut self) {
        while let Some(first) = self.records.first_entry()
            && first.get().state == State::Done
        {
            self.start = first.key() + 1;
            first.remove();
        }
        if self.records.is_empty() {
            self.start = self.end;
        }
    }

    /// Gives a member what it may have of the batches read, `never` those of which that says so. Answers the ranges, and the offset behind the last batch
    /// that was looked at.
    pub(crate) fn acquire(
        &mut self,
        now: Duration,
        member: &str,
        batches: &[BatchHeader],
        never: &dyn Fn(&BatchHeader) -> bool,
        wanted: Wanted,
        options: &ShareOptions,
    ) -> (Vec<Acquired>, i64) {
        let mut ranges: Vec<Acquired> = Vec::new();
        let mut count = 0;
        let mut behind = batches.first().map_or(self.end, |b| b.base_offset);
        for batch in batches {
            // A range ends with its batch once it is long enough.
            let mut fresh = ranges
                .last()
                .is_none_or(|r| (r.last - r.first + 1) as usize >= wanted.range);
            for offset in batch.base_offset.max(self.start)..=batch.last_offset() {
                if wanted.strict && count >= wanted.records {
                    break;
                }
                if offset >= self.end {
                    if self.records.len() >= options.max_locks && !wanted_more(count, &ranges) {
                        break;
                    }
                    self.end = offset + 1;
                    let record = Record {
                        state: State::Available,
                        deliveries: 0,
                    };
                    self.records.insert(offset, record);
                }
                let Some(record) = self.records.get_mut(&offset) else {
                    continue;
                };
                if record.state != State::Available {
                    continue;
                }
                if never(batch) {
                    record.state = State::Done;
                    continue;
                }
                record.state = State::Acquired {
                    member: member.to_owned(),
                    until: now + options.lock,
                };
                record.deliveries += 1;
                count += 1;
                let deliveries = record.deliveries;
                match ranges.last_mut() {
                    Some(r) if !fresh && r.last + 1 == offset && r.deliveries == deliveries => {
                        r.last = offset;
                    }
                    _ => ranges.push(Acquired {
                        first: offset,
                        last: offset,
                        deliveries,
                    }),
                }
                fresh = false;
            }
            behind = batch.last_offset() + 1;
            if count >= wanted.records {
                break;
            }
        }
        self.advance();
        (ranges, behind)
    }

    /// Takes a member's word about its records: all of it or nothing. Batches are ranges of offsets with one word for
    /// all or one for each.
    ///
    /// # Errors
    /// `INVALID_RECORD_STATE` for records that the member does not have, `INVALID_REQUEST` for such as were never
    /// delivered; with Kafka's words.
    pub(crate) fn acknowledge(
        &mut self,
        now: Duration,
        member: &str,
        batches: &[(i64, i64, Vec<Acknowledge>)],
        options: &ShareOptions,
    ) -> Result<(), (ErrorCode, &'static str)> {
        let mut changes = Vec::new();
        for (first, last, words) in batches {
            if *last < self.start {
                continue;
            }
            if *first >= self.end {
                return Err((
                    ErrorCode::INVALID_REQUEST,
                    "Batch record not found. The first offset in request is past acquired records.",
                ));
            }
            if *last >= self.end {
                return Err((
                    ErrorCode::INVALID_REQUEST,
                    "Batch record not found. The last offset in request is past acquired records.",
                ));
            }
            for offset in (*first).max(self.start)..=*last {
                let word = match words.as_slice() {
                    [one] => *one,
                    many => many
                        .get((offset - first) as usize)
                        .copied()
                        .unwrap_or(Acknowledge::Gap),
                };
                match self.records.get(&offset).map(|r| &r.state) {
                    Some(State::Acquired { member: owner, .. }) if owner == member => {
                        changes.push((offset, word));
                    }
                    Some(State::Acquired { .. }) => {
                        return Err((
                            ErrorCode::INVALID_RECORD_STATE,
                            "Member is not the owner of batch record",
                        ));
                    }
                    _ => {
                        return Err((
                            ErrorCode::INVALID_RECORD_STATE,
                            "The batch cannot be acknowledged. The batch is not in the acquired state.",
                        ));
                    }
                }
            }
        }
        for (offset, word) in changes {
            if let Some(record) = self.records.get_mut(&offset) {
                match word {
                    Acknowledge::Gap | Acknowledge::Accept | Acknowledge::Reject => {
                        record.state = State::Done;
                    }
                    Acknowledge::Release => record.release(options),
                    Acknowledge::Renew => {
                        record.state = State::Acquired {
                            member: member.to_owned(),
                            until: now + options.lock,
                        };
                    }
                }
            }
        }
        self.advance();
        Ok(())
    }

    /// Takes back what a member has. True if that was something.
    pub(crate) fn release(&mut self, member: &str, options: &ShareOptions) -> bool {
        self.take_back(
            options,
            |state| matches!(state, State::Acquired { member: owner, .. } if owner == member),
        )
    }

    /// Takes back what anybody has whose time is over. True if that was something.
    pub(crate) fn expire(&mut self, now: Duration, options: &ShareOptions) -> bool {
        self.take_back(
            options,
            |state| matches!(state, State::Acquired { until, .. } if *until <= now),
        )
    }

    fn take_back(&mut self, options: &ShareOptions, is_due: impl Fn(&State) -> bool) -> bool {
        let mut any = false;
        for record in self.records.values_mut().filter(|r| is_due(&r.state)) {
            record.release(options);
            any = true;
        }
        self.advance();
        any
    }

    /// When the first lock ends.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let until = |r: &Record| match r.state {
            State::Acquired { until, .. } => Some(until),
            _ => None,
        };
        self.records.values().filter_map(until).min()
    }
}

/// A member that has got something need not get all of a batch that would go over the bound; one that has got nothing
/// gets its batch, or nobody would ever get on.
fn wanted_more(count: usize, ranges: &[Acquired]) -> bool {
    count == 0 && ranges.is_empty()
}

impl Record {
    fn release(&mut self, options: &ShareOptions) {
        self.state = if self.deliveries >= options.max_deliveries {
            State::Done
        } else {
            State::Available
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::record::Attributes;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn options() -> ShareOptions {
        ShareOptions {
            lock: at(100),
            max_deliveries: 2,
            ..ShareOptions::default()
        }
    }

    fn batches(ranges: &[(i64, i64)]) -> Vec<BatchHeader> {
        let header = |&(first, last): &(i64, i64)| BatchHeader {
            base_offset: first,
            batch_length: 49,
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: (last - first) as i32,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: (last - first + 1) as i32,
        };
        ranges.iter().map(header).collect()
    }

    fn never(batch: &BatchHeader) -> bool {
        batch.attributes.is_control()
    }

    fn wanted(records: usize, strict: bool) -> Wanted {
        Wanted {
            records,
            strict,
            range: 1000,
        }
    }

    fn got(first: i64, last: i64, deliveries: i16) -> Acquired {
        Acquired {
            first,
            last,
            deliveries,
        }
    }

    #[test]
    fn batches_come_whole_unless_the_limit_is_strict() {
        let all = batches(&[(0, 3), (4, 7), (8, 11)]);
        let mut p = SharePartition::new(0);
        let taken = p.acquire(at(0), "a", &all, &never, wanted(5, false), &options());
        assert_eq!(taken, (vec![got(0, 7, 1)], 8));
        let mut p = SharePartition::new(2);
        let taken = p.acquire(at(0), "a", &all, &never, wanted(5, true), &options());
        assert_eq!(taken, (vec![got(2, 6, 1)], 8));
        assert_eq!(p.next(&options()), Some(7));
    }

    #[test]
    fn each_word_does_what_it_says() {
        use Acknowledge::{Accept, Gap, Reject, Release, Renew};
        let all = batches(&[(0, 5)]);
        let mut p = SharePartition::new(0);
        p.acquire(at(0), "a", &all, &never, wanted(9, false), &options());
        let words = vec![Accept, Reject, Gap, Release, Renew, Accept];
        p.acknowledge(at(50), "a", &[(0, 5, words)], &options())
            .unwrap();
        assert_eq!(p.start(), 3);
        assert_eq!(p.next(&options()), Some(3));
        assert_eq!(p.deadline(), Some(at(150)), "the renewed one");
        let again = p.acquire(at(60), "b", &all, &never, wanted(9, false), &options());
        assert_eq!(again.0, [got(3, 3, 2)]);
        p.acknowledge(at(60), "b", &[(3, 3, vec![Release])], &options())
            .unwrap();
        assert_eq!(p.start(), 4, "delivered twice is enough");
        assert!(p.expire(at(150), &options()));
        assert_eq!(p.next(&options()), Some(4));
    }

    #[test]
    fn only_the_owner_acknowledges_and_all_or_nothing() {
        let all = batches(&[(0, 3)]);
        let mut p = SharePartition::new(0);
        p.acquire(at(0), "a", &all, &never, wanted(9, false), &options());
        let ack = |p: &mut SharePartition, who: &str, first, last| {
            let words = vec![Acknowledge::Accept];
            p.acknowledge(at(1), who, &[(first, last, words)], &options())
                .map_err(|(code, _)| code)
        };
        let (state, request) = (ErrorCode::INVALID_RECORD_STATE, ErrorCode::INVALID_REQUEST);
        assert_eq!(ack(&mut p, "b", 0, 0), Err(state));
        assert_eq!(ack(&mut p, "a", 2, 9), Err(request));
        assert_eq!(ack(&mut p, "a", 7, 9), Err(request));
        assert_eq!(ack(&mut p, "a", 2, 3), Ok(()));
        assert_eq!(ack(&mut p, "a", 1, 2), Err(state), "2 is done");
        assert_eq!(p.start(), 0);
        assert!(p.release("a", &options()));
        assert_eq!(ack(&mut p, "a", 0, 1), Err(state), "no more its own");
        assert_eq!(p.next(&options()), Some(0));
    }

    #[test]
    fn markers_are_skipped_and_what_the_log_lost_is_forgotten() {
        let mut all = batches(&[(0, 1), (2, 2), (3, 3)]);
        all[1].attributes = all[1].attributes.with_control();
        let mut p = SharePartition::new(0);
        let taken = p.acquire(at(0), "a", &all, &never, wanted(9, false), &options());
        assert_eq!(taken.0, [got(0, 1, 1), got(3, 3, 1)]);
        p.advance_to(3);
        assert_eq!(p.start(), 3);
        p.advance_to(10);
        assert_eq!((p.start(), p.next(&options())), (10, Some(10)));
    }
}
