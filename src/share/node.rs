//! The share session with one leader: what it was told to fetch from, what is to be acknowledged to it, the one request
//! that may be on its way.
//!
//! A session belongs to a connection, and what was acquired belongs to the session: a broker that loses one gives the
//! records to others. So each has a number, and acknowledgements of an older one's records are refused here already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::net::conn::ConnId;
use crate::protocol::share::{Acknowledged, SharePartition, ShareTopic};
use crate::protocol::wire::TopicId;
use crate::reading::reach::Reach;
use crate::share::ledger::Said;

/// A partition as requests name it.
pub(super) type Place = (TopicId, i32);

/// The epoch that ends a session.
pub(super) const FINAL_EPOCH: i32 = -1;

/// Acknowledgements of one partition on their way, and the call that waits for them.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) said: Said,
    pub(super) place: Place,
    pub(super) call: Option<u64>,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) parcels: Vec<Parcel>,
    /// The session's partitions once it is answered.
    session: Option<BTreeSet<Place>>,
    /// It ends the session.
    pub(super) ends: bool,
}

#[derive(Debug, Default)]
pub(super) struct ShareNode {
    /// Of the next request; 0 opens a session.
    pub(super) epoch: i32,
    /// The session's number, unique in the client.
    pub(super) life: u32,
    /// The connection it belongs to.
    conn: Option<ConnId>,
    session: BTreeSet<Place>,
    /// The partitions that are to be read from this broker.
    pub(super) members: BTreeSet<Place>,
    pub(super) inflight: Option<InFlight>,
    pub(super) waiting: Vec<Parcel>,
    pub(super) retry_at: Option<Instant>,
    /// Sessions in a row that were lost before they had a second answer.
    pub(super) failures: u32,
    /// Answers in a row that refused some partition and brought no records.
    pub(super) refusals: u32,
    pub(super) reach: Reach,
}

impl ShareNode {
    /// True if the broker keeps a session, so that records may be this member's.
    pub(super) fn is_open(&self) -> bool {
        self.epoch > 0
    }

    /// Forgets the session; the next request begins another one.
    pub(super) fn reset(&mut self) {
        self.epoch = 0;
        self.session.clear();
    }

    /// A request is about to go out on this connection; on another one than before, the session is gone.
    pub(super) fn on_connection(&mut self, conn: ConnId) {
        if self.conn.replace(conn) != Some(conn) {
            self.reset();
        }
    }

    /// Takes the acknowledgements that belong to a session that is gone.
    pub(super) fn take_stale(&mut self) -> Vec<Parcel> {
        let (open, life) = (self.is_open(), self.life);
        let waiting = std::mem::take(&mut self.waiting);
        let (stale, rest) = waiting
            .into_iter()
            .partition(|p| !open || p.said.from.1 != life);
        self.waiting = rest;
        stale
    }

    /// True if what is waiting can go with a fetch.
    pub(super) fn may_piggyback(&self) -> bool {
        self.waiting.iter().all(|p| {
            !p.said.renews() && self.session.contains(&p.place) && self.members.contains(&p.place)
        })
    }

    /// The acknowledgements that go with the next request: all but those about a record of which an earlier one, a renewal,
    /// goes first.
    fn take_parcels(&mut self) -> Vec<Parcel> {
        let mut parcels: Vec<Parcel> = Vec::new();
        let mut later = Vec::new();
        for parcel in std::mem::take(&mut self.waiting) {
            let clashes = |other: &Parcel| {
                let ((a, b), (c, d)) = (parcel.said.span(), other.said.span());
                parcel.place == other.place && a < d && c < b
            };
            // What waits behind one that has to wait waits too, so that nothing overtakes.
            if !later.is_empty() || parcels.iter().any(clashes) {
                later.push(parcel);
            } else {
                parcels.push(parcel);
            }
        }
        self.waiting = later;
        parcels
    }

    /// What a fetch says of partitions: those that are new to the session, those that leave it, and what is acknowledged.
    /// `life` is the session's number if it opens one.
    pub(super) fn fetch(
        &mut self,
        life: u32,
    ) -> (Vec<ShareTopic<SharePartition>>, Vec<ShareTopic<i32>>) {
        if !self.is_open() {
            self.life = life;
        }
        let parcels = self.take_parcels();
        let mut said = acknowledged(&parcels);
        for place in self.members.difference(&self.session) {
            said.entry(*place).or_default();
        }
        let gone = by_topic(self.session.difference(&self.members).copied());
        self.inflight = Some(InFlight {
            parcels,
            session: Some(self.members.clone()),
            ends: false,
        });
        (requests(said), gone)
    }

    /// What an acknowledgement says; it may end the session.
    pub(super) fn acknowledge(&mut self, ends: bool) -> (Vec<ShareTopic<SharePartition>>, bool) {
        let parcels = self.take_parcels();
        let renews = parcels.iter().any(|p| p.said.renews());
        let topics = requests(acknowledged(&parcels));
        self.inflight = Some(InFlight {
            parcels,
            session: None,
            ends,
        });
        (topics, renews)
    }

    /// The request on its way was carried out, but for what the answer says of single partitions.
    pub(super) fn succeeded(&mut self, inflight: &mut InFlight) {
        // That a session could be opened does not tell that it lasts.
        if self.epoch > 0 {
            self.failures = 0;
        }
        self.reach.answered();
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        if let Some(session) = inflight.session.take() {
            self.session = session;
        }
        if inflight.ends {
            self.reset();
        }
    }
}

fn acknowledged(parcels: &[Parcel]) -> BTreeMap<Place, Vec<Acknowledged>> {
    let mut said: BTreeMap<Place, Vec<Acknowledged>> = BTreeMap::new();
    for parcel in parcels {
        let ranges = said.entry(parcel.place).or_default();
        ranges.extend(&parcel.said.ranges);
    }
    for ranges in said.values_mut() {
        // Brokers want them in order.
        ranges.sort_by_key(|r| r.first);
    }
    said
}

fn requests(said: BTreeMap<Place, Vec<Acknowledged>>) -> Vec<ShareTopic<SharePartition>> {
    by_topic(said.into_iter().map(|((id, partition), acknowledged)| {
        let one = SharePartition {
            partition,
            acknowledged,
        };
        (id, one)
    }))
}

/// Partitions in the order of their topics, topic by topic.
fn by_topic<P>(partitions: impl IntoIterator<Item = (TopicId, P)>) -> Vec<ShareTopic<P>> {
    let mut topics: Vec<ShareTopic<P>> = Vec::new();
    for (id, partition) in partitions {
        match topics.last_mut() {
            Some(topic) if topic.id == id => topic.partitions.push(partition),
            _ => topics.push(ShareTopic {
                id,
                partitions: vec![partition],
            }),
        }
    }
    topics
}
