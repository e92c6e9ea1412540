//! Share groups (KIP-932): members that read partitions together, record by record, each under a lock for a time.
//!
//! Plain data: requests and the time go in. The group's members are in `group`, the records of a partition in
//! `partition`; a session ties a member's requests to a node together, as fetch sessions do.

pub(crate) mod group;
pub(crate) mod partition;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use self::group::ShareGroup;
use self::partition::SharePartition;
use super::ConnId;
use crate::error::ErrorCode;

/// How share groups are to behave; Kafka's settings of groups and brokers.
#[derive(Clone, Debug)]
pub(crate) struct ShareOptions {
    /// `share.record.lock.duration.ms`.
    pub(crate) lock: Duration,
    /// `group.share.delivery.count.limit`.
    pub(crate) max_deliveries: i16,
    /// `share.auto.offset.reset` is `earliest`.
    pub(crate) earliest: bool,
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
            earliest: false,
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
pub(crate) struct ShareGroups {
    pub(crate) options: ShareOptions,
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
            for (id, member) in &mut group.members {
                member.expires = Duration::MAX;
                if node.is_some() {
                    member.expires = now + self.options.session;
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
                    if let Some(p) = self.partitions.get_mut(&key)
                        && p.expire(now, &self.options)
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
        let mut freed = Vec::new();
        for (topic, partition) in session.partitions {
            let key = (group.to_owned(), topic, partition);
            if let Some(p) = self.partitions.get_mut(&key)
                && p.release(member, &self.options)
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
