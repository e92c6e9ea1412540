//! Which records the program has to itself, and what it has said of each.
//!
//! Plain data: no clock, no threads. A lease is a run of consecutive offsets with one state; leases of a partition do not
//! overlap. A record leaves the ledger once what was said of it is taken to be sent; one that is renewed stays.

use std::collections::BTreeMap;

use crate::protocol::share::Acknowledged;
use crate::share::Key;

/// What is said of an offset that was acquired and holds no record.
pub(super) const GAP: i8 = 0;

/// How a record of a share group is acknowledged (KIP-932, KIP-1222).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum AcknowledgeType {
    /// Processed: the record is not delivered again.
    Accept = 1,
    /// Released: it is delivered again, perhaps to another member, until its delivery limit is reached.
    Release = 2,
    /// Rejected, as it can't be processed: it is not delivered again. Brokers from Kafka 4.4 on write it to the
    /// group's dead letter topic, if it has one (`errors.deadletterqueue.topic.name`, KIP-1191).
    Reject = 3,
    /// Still being processed: its lock is renewed, and another acknowledgement must follow.
    Renew = 4,
}

impl AcknowledgeType {
    fn word(self) -> i8 {
        self as i8
    }
}

/// From whom records were got: the broker, and the number of the session with it.
pub(super) type Source = (i32, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    first: i64,
    last: i64,
    from: Source,
    /// What was said and not taken.
    word: Option<i8>,
    /// It was renewed before, so that it may stay while other records are asked for.
    renewed: bool,
}

/// What is to be sent about one partition's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) from: Source,
    pub(super) key: Key,
    /// In the order of the offsets.
    pub(super) ranges: Vec<Acknowledged>,
}

impl Said {
    pub(super) fn renews(&self) -> bool {
        let renew = AcknowledgeType::Renew.word();
        self.ranges.iter().any(|r| r.word == renew)
    }

    /// The first offset, and the one after the last.
    pub(super) fn span(&self) -> (i64, i64) {
        let first = self.ranges.first().map_or(-1, |r| r.first);
        (
            first,
            self.ranges.last().map_or(-1, |r| r.last.saturating_add(1)),
        )
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<Key, Vec<Lease>>);

impl Ledger {
    /// The program gets these records.
    pub(super) fn deliver(&mut self, key: &Key, from: Source, first: i64, last: i64) {
        self.insert(key, from, (first, last), None);
    }

    /// These offsets were acquired with them and hold nothing, or nothing that can be read: `word` is said of them.
    pub(super) fn fill(&mut self, key: &Key, from: Source, (first, last): (i64, i64), word: i8) {
        self.insert(key, from, (first, last), Some(word));
    }

    fn insert(&mut self, key: &Key, from: Source, (first, last): (i64, i64), word: Option<i8>) {
        if first > last {
            return;
        }
        let leases = self.0.entry(key.clone()).or_default();
        // What is delivered again was lost before: the new lease is the one that counts.
        split(leases, first);
        split(leases, last.saturating_add(1));
        leases.retain(|lease| lease.last < first || lease.first > last);
        let at = leases.partition_point(|lease| lease.first < first);
        let lease = Lease {
            first,
            last,
            from,
            word,
            renewed: false,
        };
        leases.insert(at, lease);
    }

    /// Says the same of every record from `first` to `last`. Answers how many of them the program has.
    pub(super) fn say(&mut self, key: &Key, first: i64, last: i64, word: AcknowledgeType) -> u64 {
        let Some(leases) = self.0.get_mut(key) else {
            return 0;
        };
        split(leases, first);
        split(leases, last.saturating_add(1));
        let mut count = 0;
        for lease in leases
            .iter_mut()
            .filter(|l| l.first >= first && l.last <= last && l.word != Some(GAP))
        {
            lease.word = Some(word.word());
            count += lease.last.abs_diff(lease.first) + 1;
        }
        count
    }

    /// Accepts every record of which nothing was said.
    pub(super) fn accept_rest(&mut self) {
        for lease in self.0.values_mut().flatten() {
            lease.word.get_or_insert(AcknowledgeType::Accept.word());
        }
    }

    /// A record of which nothing was said, and how many there are.
    pub(super) fn unsaid(&self) -> Option<(&Key, i64, u64)> {
        let open = |l: &&Lease| l.word.is_none() && !l.renewed;
        let mut all = self
            .0
            .iter()
            .flat_map(|(key, leases)| leases.iter().filter(open).map(move |l| (key, l)));
        let (key, first) = all.next().map(|(key, l)| (key, *l))?;
        let rest: u64 = all.map(|(_, l)| l.last.abs_diff(l.first) + 1).sum();
        let count = rest + first.last.abs_diff(first.first) + 1;
        Some((key, first.first, count))
    }

    /// Takes what was said, to be sent. Renewed records stay.
    pub(super) fn take(&mut self) -> Vec<Said> {
        let renew = AcknowledgeType::Renew.word();
        let mut all: Vec<Said> = Vec::new();
        for (key, leases) in &mut self.0 {
            let begins = all.len();
            for lease in leases.iter_mut() {
                let Some(word) = lease.word else { continue };
                let same = all
                    .get(begins..)
                    .unwrap_or_default()
                    .iter()
                    .position(|s| s.from == lease.from);
                let at = match same {
                    Some(at) => begins + at,
                    None => {
                        all.push(Said {
                            from: lease.from,
                            key: key.clone(),
                            ranges: Vec::new(),
                        });
                        all.len() - 1
                    }
                };
                let ranges = &mut all[at].ranges;
                match ranges.last_mut() {
                    Some(r) if r.word == word && r.last + 1 == lease.first => r.last = lease.last,
                    _ => ranges.push(Acknowledged {
                        first: lease.first,
                        last: lease.last,
                        word,
                    }),
                }
                if word == renew {
                    lease.word = None;
                    lease.renewed = true;
                }
            }
            leases.retain(|lease| lease.word.is_none());
        }
        self.0.retain(|_, leases| !leases.is_empty());
        all
    }
}

/// Makes `at` the beginning of a lease, if it lies within one.
fn split(leases: &mut Vec<Lease>, at: i64) {
    let Some(i) = leases.iter().position(|l| l.first < at && at <= l.last) else {
        return;
    };
    let rest = Lease {
        first: at,
        ..leases[i]
    };
    leases[i].last = at - 1;
    leases.insert(i + 1, rest);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const FROM: Source = (1, 1);

    fn key() -> Key {
        (Arc::from("t"), 0)
    }

    fn ranges(said: &[Said]) -> Vec<(i64, i64, i8)> {
        let all = said.iter().flat_map(|s| &s.ranges);
        all.map(|r| (r.first, r.last, r.word)).collect()
    }

    #[test]
    fn words_split_runs_and_equal_ones_join() {
        let mut ledger = Ledger::default();
        ledger.deliver(&key(), FROM, 10, 19);
        assert_eq!(ledger.say(&key(), 12, 12, AcknowledgeType::Reject), 1);
        assert_eq!(ledger.say(&key(), 15, 30, AcknowledgeType::Release), 5);
        assert_eq!(ledger.unsaid(), Some((&key(), 10, 4)));
        ledger.accept_rest();
        assert_eq!(ledger.unsaid(), None);
        let want = [(10, 11, 1), (12, 12, 3), (13, 14, 1), (15, 19, 2)];
        assert_eq!(ranges(&ledger.take()), want);
        assert_eq!(ledger.take(), []);
        assert_eq!(ledger.say(&key(), 10, 19, AcknowledgeType::Accept), 0);
    }

    #[test]
    fn a_word_may_be_changed_until_it_is_taken() {
        let mut ledger = Ledger::default();
        ledger.deliver(&key(), FROM, 0, 3);
        ledger.say(&key(), 0, 3, AcknowledgeType::Release);
        ledger.say(&key(), 1, 2, AcknowledgeType::Accept);
        ledger.say(&key(), 0, 3, AcknowledgeType::Accept);
        assert_eq!(ranges(&ledger.take()), [(0, 3, 1)]);
    }

    #[test]
    fn gaps_are_told_and_are_no_records() {
        let mut ledger = Ledger::default();
        ledger.deliver(&key(), FROM, 0, 1);
        ledger.fill(&key(), FROM, (2, 2), GAP);
        ledger.deliver(&key(), FROM, 3, 3);
        assert_eq!(ledger.say(&key(), 0, 3, AcknowledgeType::Accept), 3);
        assert_eq!(
            ranges(&ledger.take()),
            [(0, 1, 1), (2, 2, 0), (3, 3, 1)],
            "what is accepted is not what holds nothing"
        );
    }

    #[test]
    fn renewed_records_stay_and_do_not_stand_in_the_way() {
        let mut ledger = Ledger::default();
        ledger.deliver(&key(), FROM, 0, 1);
        ledger.say(&key(), 0, 0, AcknowledgeType::Renew);
        ledger.say(&key(), 1, 1, AcknowledgeType::Accept);
        let said = ledger.take();
        assert!(said[0].renews());
        assert_eq!(said[0].span(), (0, 2));
        assert_eq!(ledger.unsaid(), None);
        assert_eq!(ledger.take(), []);
        assert_eq!(ledger.say(&key(), 0, 0, AcknowledgeType::Accept), 1);
        assert_eq!(ranges(&ledger.take()), [(0, 0, 1)]);
    }

    #[test]
    fn what_is_delivered_again_counts_as_got_from_there() {
        let mut ledger = Ledger::default();
        ledger.deliver(&key(), FROM, 0, 9);
        ledger.deliver(&key(), (2, 5), 4, 5);
        ledger.accept_rest();
        let said = ledger.take();
        assert_eq!(said.len(), 2);
        assert_eq!(said[0].from, FROM);
        assert_eq!(ranges(&said[..1]), [(0, 3, 1), (6, 9, 1)]);
        assert_eq!((said[1].from, said[1].span()), ((2, 5), (4, 6)));
    }
}
