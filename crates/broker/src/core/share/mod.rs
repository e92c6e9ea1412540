//! Share groups (KIP-932): members that read partitions together, record by record, each under a lock for a time.
//!
//! Plain data: requests and the time go in. The group's members are in `group`, the records of a partition in
//! `partition`; a session ties a member's requests to a node together, as fetch sessions do.

pub(crate) mod group;
pub(crate) mod partition;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use self::group::ShareGroup;
use self::partition::SharePartition;
use super::ConnId;

/// Where a group begins to read a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    Earliest,
    Latest,
    /// At the records of so many milliseconds ago.
    Back(i64),
}

impl Reset {
    /// `earliest`, `latest`, or `by_duration:` and a duration as in ISO 8601, of days and less.
    pub(crate) fn parse(value: &str) -> Option<Reset> {
        match value {
            "earliest" => return Some(Reset::Earliest),
            "latest" => return Some(Reset::Latest),
            _ => {}
        }
        let duration = value.strip_prefix("by_duration:")?.strip_prefix('P')?;
        let (days, time) = match duration.split_once('T') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (duration, ""),
        };
        if days.is_empty() && time.is_empty() {
            return None;
        }
        let seconds = parts(days, &[('D', 86_400.0)])?
            + parts(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?;
        (seconds >= 0.0).then_some(Reset::Back((seconds * 1000.0) as i64))
    }
}

/// The sum of numbers that are each followed by their unit, the units in this order.
fn parts(mut text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut sum = 0.0;
    for &(unit, seconds) in units {
        if let Some((number, rest)) = text.split_once(unit) {
            let digits = |c: char| c.is_ascii_digit() || (unit == 'S' && c == '.');
            if !number.chars().all(digits) {
                return None;
            }
            sum += number.parse::<f64>().ok()? * seconds;
            text = rest;
        }
    }
    text.is_empty().then_some(sum)
}

/// How share groups are to behave; Kafka's settings of groups and brokers.
#[derive(Clone, Copy, Debug)]
pub struct ShareOptions {
    /// `share.record.lock.duration.ms`.
    pub(crate) lock: Duration,
    /// `group.share.delivery.count.limit`.
    pub(crate) max_deliveries: i16,
    /// `share.auto.offset.reset`.
    pub reset: Reset,
    /// `share.isolation.level` is `read_committed`.
    pub(crate) read_committed: bool,
    /// `share.session.timeout.ms`.
    pub(crate) session: Duration,
    /// `share.heartbeat.interval.ms`.
    pub(crate) heartbeat: Duration,
    /// `group.share.partition.max.record.locks`.
    pub(crate) max_locks: usize,
}

impl Default for ShareOptions {
    fn default() -> Self {
        ShareOptions {
            lock: Duration::from_secs(30),
            max_deliveries: 5,
            reset: Reset::Latest,
            read_committed: false,
            session: Duration::from_secs(45),
            heartbeat: Duration::from_secs(5),
            max_locks: 2000,
        }
    }
}

/// Group, topic, partition.
pub(crate) type Key = (String, Uuid, i32);
/// The epoch that begins a session, and the one that ends it.
pub(crate) const INITIAL_EPOCH: i32 = 0;
pub(crate) const FINAL_EPOCH: i32 = -1;

/// The partitions a member reads from one node, in the order they are served.
#[derive(Debug)]
struct Session {
    epoch: i32,
    conn: ConnId,
    partitions: Vec<(Uuid, i32)>,
}

impl Session {
    fn advance(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
    }
}

/// All share groups.
#[derive(Debug, Default)]
pub struct ShareGroups {
    /// For groups that set none themselves.
    pub options: ShareOptions,
    pub(crate) own_options: BTreeMap<String, ShareOptions>,
    pub(crate) groups: BTreeMap<String, ShareGroup>,
    pub(crate) partitions: BTreeMap<Key, SharePartition>,
    /// By node, group and member.
    sessions: BTreeMap<(i32, String, String), Session>,
    /// What is due when: members' sessions and records' locks.
    due: BTreeSet<(Duration, Due)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Member(String, String),
    Locks(Key),
}

impl ShareGroups {
    /// How a group is to behave.
    pub(crate) fn options_of(&self, group: &str) -> ShareOptions {
        self.own_options.get(group).copied().unwrap_or(self.options)
    }

    /// When [`tick`](Self::tick) wants to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|&(at, _)| at)
    }

    /// A member's session goes on until `at`.
    pub(crate) fn watch_member(&mut self, group: &str, member: &str, at: Duration) {
        self.due
            .insert((at, Due::Member(group.to_owned(), member.to_owned())));
    }

    /// Looks for groups that another node coordinates now, or the same one after none did: members are known there, and
    /// have their session anew. While no node runs, no session ends.
    pub(crate) fn moved(&mut self, now: Duration, node_of: impl Fn(&str) -> Option<i32>) {
        for (name, group) in &mut self.groups {
            let node = node_of(name);
            if node == group.node {
                continue;
            }
            group.node = node;
            let session = self.own_options.get(name).unwrap_or(&self.options).session;
            for (id, member) in &mut group.members {
                member.expires = Duration::MAX;
                if node.is_some() {
                    member.expires = now + session;
                    let due = Due::Member(name.clone(), id.clone());
                    self.due.insert((member.expires, due));
                }
            }
        }
    }

    /// Records of a partition were locked.
    pub(crate) fn watch_locks(&mut self, key: &Key) {
        if let Some(at) = self.partitions.get(key).and_then(SharePartition::deadline) {
            self.due.insert((at, Due::Locks(key.clone())));
        }
    }

    /// Ends what has become due; answers the partitions of which records can be had again.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<(Uuid, i32)> {
        let mut freed = Vec::new();
        while let Some((at, due)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.due.remove(&(at, due.clone()));
            match due {
                // A heartbeat since has given it more time, with an entry of its own.
                Due::Member(group, member) => {
                    if let Some(g) = self.groups.get_mut(&group)
                        && g.members.get(&member).is_some_and(|m| m.expires <= now)
                    {
                        g.remove(&member);
                    }
                }
                Due::Locks(key) => {
                    let options = self.options_of(&key.0);
                    if let Some(p) = self.partitions.get_mut(&key)
                        && p.expire(now, &options)
                    {
                        freed.push((key.1, key.2));
                    }
                    self.watch_locks(&key);
                }
            }
        }
        freed
    }

    /// A share fetch or acknowledgement of a session: `None` in `conn` for the latter. `added` and `forgotten` change
    /// the session's partitions.
    ///
    /// # Errors
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`.
    pub(crate) fn session(
        &mut self,
        node: i32,
        (group, member): (&str, &str),
        epoch: i32,
        conn: Option<ConnId>,
        added: &[(Uuid, i32)],
        forgotten: &[(Uuid, i32)],
    ) -> Result<(), ErrorCode> {
        let key = (node, group.to_owned(), member.to_owned());
        match (epoch, conn) {
            (INITIAL_EPOCH, None) => Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH),
            (INITIAL_EPOCH, Some(conn)) => {
                let mut session = Session {
                    epoch: INITIAL_EPOCH,
                    conn,
                    partitions: added.to_vec(),
                };
                session.advance();
                self.sessions.insert(key, session);
                Ok(())
            }
            _ => {
                let session = self
                    .sessions
                    .get_mut(&key)
                    .ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND)?;
                if epoch == FINAL_EPOCH {
                    return Ok(());
                }
                if session.epoch != epoch {
                    return Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH);
                }
                session.advance();
                for place in added {
                    if !session.partitions.contains(place) {
                        session.partitions.push(*place);
                    }
                }
                session.partitions.retain(|p| !forgotten.contains(p));
                Ok(())
            }
        }
    }

    /// The partitions of a session. Every fetch begins with another one, so that none starves the others.
    pub(crate) fn session_partitions(
        &self,
        node: i32,
        group: &str,
        member: &str,
    ) -> Vec<(Uuid, i32)> {
        let key = (node, group.to_owned(), member.to_owned());
        let Some(session) = self.sessions.get(&key) else {
            return Vec::new();
        };
        let mut partitions = session.partitions.clone();
        if !partitions.is_empty() {
            let by = session.epoch.unsigned_abs() as usize % partitions.len();
            partitions.rotate_left(by);
        }
        partitions
    }

    /// Ends a session: what the member still had is given back. Answers the partitions of which records can be had
    /// again.
    pub(crate) fn end_session(&mut self, node: i32, group: &str, member: &str) -> Vec<(Uuid, i32)> {
        let key = (node, group.to_owned(), member.to_owned());
        let Some(session) = self.sessions.remove(&key) else {
            return Vec::new();
        };
        let options = self.options_of(group);
        let mut freed = Vec::new();
        for (topic, partition) in session.partitions {
            let key = (group.to_owned(), topic, partition);
            if let Some(p) = self.partitions.get_mut(&key)
                && p.release(member, &options)
            {
                freed.push((topic, partition));
            }
        }
        freed
    }

    /// Ends the sessions of a connection that is gone, as [`end_session`](Self::end_session) does.
    pub(crate) fn disconnected(&mut self, conn: ConnId) -> Vec<(Uuid, i32)> {
        let gone: Vec<(i32, String, String)> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.conn == conn)
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter()
            .flat_map(|(node, group, member)| self.end_session(*node, group, member))
            .collect()
    }

    /// Deletes a group and where it is; `None` if it is no share group.
    ///
    /// # Errors
    /// `NON_EMPTY_GROUP`.
    pub(crate) fn delete(&mut self, group: &str) -> Option<Result<(), ErrorCode>> {
        if !self.groups.get(group)?.members.is_empty() {
            return Some(Err(ErrorCode::NON_EMPTY_GROUP));
        }
        self.groups.remove(group);
        self.partitions.retain(|(of, ..), _| of != group);
        Some(Ok(()))
    }

    /// Takes up what an earlier broker saved: groups without members, and where they are.
    pub(crate) fn restore(&mut self, offsets: Vec<(Key, i64)>) {
        for (key, start) in offsets {
            self.groups.entry(key.0.clone()).or_default();
            self.partitions.insert(key, SharePartition::new(start));
        }
    }

    /// Forgets a topic that was deleted.
    pub(crate) fn forget_topic(&mut self, id: Uuid) {
        self.partitions.retain(|(_, topic, _), _| *topic != id);
        for session in self.sessions.values_mut() {
            session.partitions.retain(|(topic, _)| *topic != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reset;

    #[test]
    fn durations_are_read_as_java_reads_them() {
        for (text, ms) in [
            ("PT1H", 3_600_000),
            ("P2D", 172_800_000),
            ("P1DT1M", 86_460_000),
            ("PT1M0.5S", 60_500),
        ] {
            let value = format!("by_duration:{text}");
            assert_eq!(Reset::parse(&value), Some(Reset::Back(ms)), "{text}");
        }
        for text in [
            "", "P", "PT", "soon", "PT1", "PT1S1M", "P1H", "PT-1S", "PTH",
        ] {
            let value = format!("by_duration:{text}");
            assert_eq!(Reset::parse(&value), None, "{text}");
        }
    }
}
