//! The ledger is held against the brokers' logs.

use std::collections::{BTreeMap, BTreeSet};

use super::super::content::Content;
use super::super::oracle::{Fate, Logs};
use super::Producing;
use crate::producer::Outcome;

impl Producing {
    /// What the logs hold of it is what the program was told.
    pub(super) fn check_ledger(&self, logs: &Logs) -> Result<(), String> {
        let mut copies: BTreeMap<usize, Vec<(i32, i64)>> = BTreeMap::new();
        let mut visible: BTreeMap<usize, usize> = BTreeMap::new();
        for ((topic, partition), records) in &logs.partitions {
            let mut last = None;
            for record in records {
                let Some((client, number)) = Content::owner(record) else {
                    return Err(format!(
                        "{topic}-{partition}@{}: a record that nobody sent",
                        record.offset
                    ));
                };
                if client != self.plan.client {
                    continue;
                }
                let number = number as usize;
                let Some(entry) = self.ledger.get(number) else {
                    return Err(format!(
                        "{topic}-{partition}@{}: record {number} was never accepted",
                        record.offset
                    ));
                };
                if self.plan.topics[entry.topic].0 != *topic
                    || entry.wish.is_some_and(|wish| wish != *partition)
                {
                    return Err(format!(
                        "record {number} was written to {topic}-{partition}, where it does not belong"
                    ));
                }
                match record.fate {
                    Fate::Open => {
                        return Err(format!(
                            "{topic}-{partition}@{}: record {number}'s transaction was never ended",
                            record.offset
                        ));
                    }
                    Fate::Plain if entry.transaction.is_some() => {
                        return Err(format!(
                            "record {number} was written outside of its transaction"
                        ));
                    }
                    Fate::Committed => *visible.entry(number).or_default() += 1,
                    _ => {}
                }
                let timed = entry.timed;
                self.content(number).compare(record, timed).map_err(|e| {
                    format!(
                        "record {number} at {topic}-{partition}@{}: {e}",
                        record.offset
                    )
                })?;
                copies
                    .entry(number)
                    .or_default()
                    .push((*partition, record.offset));
                let ordered =
                    self.plan.strict && !self.forgotten.contains(&(topic.clone(), *partition));
                if ordered && last.is_some_and(|last| last > number) {
                    return Err(format!(
                        "{topic}-{partition}@{}: record {number} comes after {last:?}, out of order",
                        record.offset
                    ));
                }
                last = Some(number);
            }
        }
        let silent_written: BTreeSet<usize> = self.silent_written.iter().copied().collect();
        let mut told: BTreeMap<(usize, i32), (i64, usize)> = BTreeMap::new();
        for (number, entry) in self.ledger.iter().enumerate() {
            let found = copies.get(&number).map_or(&[][..], Vec::as_slice);
            let once = self.plan.strict && !entry.at_risk;
            let fail = |what: String| {
                Err(format!(
                    "record {number}: {what}; in the logs at {found:?} (partition, offset)"
                ))
            };
            if once && found.len() > 1 {
                return fail("written more than once".into());
            }
            if entry.silent {
                if entry.end.is_some() {
                    return fail("completed though it had no token".into());
                }
                // An abort makes up for what it undid; its transaction says what became of it.
                let alone = entry.transaction.is_none();
                let lost = alone && silent_written.contains(&number) && found.is_empty();
                if lost && !entry.erased {
                    return fail("a flush said that all was well, and it is lost".into());
                }
                continue;
            }
            let Some(end) = &entry.end else {
                return fail("never completed".into());
            };
            match end.outcome {
                _ if entry.erased => {}
                Outcome::Written if found.is_empty() => {
                    return fail("told written, and lost".into());
                }
                Outcome::Written
                    if end.offset >= 0 && !found.contains(&(end.partition, end.offset)) =>
                {
                    return fail(format!(
                        "told to be at {}@{}, and is not",
                        end.partition, end.offset
                    ));
                }
                Outcome::NotWritten if !found.is_empty() => {
                    return fail(format!(
                        "told not written ({}), and it is there",
                        end.why.as_deref().unwrap_or("no reason")
                    ));
                }
                _ => {}
            }
            if entry.probe && entry.transaction.is_none() && end.outcome != Outcome::Written {
                return fail(format!(
                    "{:?} though all faults were over: {}",
                    end.outcome,
                    end.why.as_deref().unwrap_or("no reason")
                ));
            }
            if self.plan.one_by_one
                && !entry.erased
                && end.outcome == Outcome::Written
                && end.offset >= 0
            {
                let place = (entry.topic, end.partition);
                let last = told.insert(place, (end.offset, number));
                if let Some((offset, earlier)) = last.filter(|(offset, _)| *offset > end.offset) {
                    return fail(format!(
                        "told to be at {}@{}, before record {earlier} at {offset}, though never two requests were on their way",
                        end.partition, end.offset
                    ));
                }
            }
        }
        self.check_transactions(&visible)
    }

    /// Transactions: all of one is visible to readers of what is committed, or nothing.
    fn check_transactions(&self, visible: &BTreeMap<usize, usize>) -> Result<(), String> {
        let Some(transactions) = &self.transactions else {
            return Ok(());
        };
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, entry) in self.ledger.iter().enumerate() {
            if let Some(transaction) = entry.transaction {
                members.entry(transaction).or_default().push(number);
            }
        }
        for (transaction, numbers) in members {
            let seen = |n: &usize| visible.get(n).copied().unwrap_or(0);
            let there = numbers.iter().filter(|n| seen(n) > 0).count();
            let told = transactions.list[transaction].committed;
            let fail = |what: &str| {
                let why = numbers.iter().find_map(|n| {
                    let end = self.ledger[*n].end.as_ref()?;
                    end.why.as_deref()
                });
                Err(format!(
                    "transaction {transaction}: {what}; {there} of {} records are visible; {}",
                    numbers.len(),
                    why.unwrap_or("no record failed")
                ))
            };
            let twice = |n: &&usize| seen(n) > 1 && !self.ledger[**n].at_risk;
            if let Some(twice) = numbers.iter().find(twice) {
                return fail(&format!("record {twice} is visible more than once"));
            }
            match told {
                Some(true) if there < numbers.len() => return fail("told committed"),
                Some(false) if there > 0 => return fail("told aborted"),
                None if there != 0 && there < numbers.len() => return fail("neither all nor none"),
                _ => {}
            }
            let probe = numbers.iter().any(|n| self.ledger[*n].probe);
            if probe && told != Some(true) && transactions.dead.is_none() {
                return fail("not committed though all faults were over");
            }
        }
        Ok(())
    }
}
