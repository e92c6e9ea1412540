//! Incremental fetch sessions (KIP-227): what a client's fetches are about, kept on the broker between them.

use std::collections::BTreeMap;

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::random::Random;

/// As many sessions as Kafka keeps by default.
const MAX_SESSIONS: usize = 1000;

/// A topic as a fetch names it: by name before version 13, by id from then on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopicKey {
    Name(String),
    Id(Uuid),
}

/// What a client wants of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: i32,
}

/// What the client was told about a partition last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: i64,
    log_start: i64,
}

#[derive(Debug)]
struct Cached {
    wanted: Wanted,
    told: Option<Told>,
}

/// One session. Partitions keep their order; one that brought data goes to the end, so that all get their turn.
#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    order: BTreeMap<u64, Cached>,
    places: BTreeMap<(TopicKey, i32), u64>,
    next_place: u64,
    used: u64,
}

impl Session {
    fn put(&mut self, wanted: Wanted) {
        let key = (wanted.topic.clone(), wanted.partition);
        if let Some(cached) = self
            .places
            .get(&key)
            .and_then(|place| self.order.get_mut(place))
        {
            cached.wanted = wanted;
            return;
        }
        self.places.insert(key, self.next_place);
        self.order
            .insert(self.next_place, Cached { wanted, told: None });
        self.next_place += 1;
    }

    fn remove(&mut self, key: &(TopicKey, i32)) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
        }
    }

    fn move_back(&mut self, key: &(TopicKey, i32)) {
        if let Some(place) = self.places.get_mut(key)
            && let Some(cached) = self.order.remove(place)
        {
            *place = self.next_place;
            self.order.insert(self.next_place, cached);
            self.next_place += 1;
        }
    }
}

/// How a fetch and its answer stand to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No session: everything is answered.
    Sessionless,
    /// The first fetch of a session: everything is answered.
    Full(i32),
    /// Only what changed is answered.
    Incremental(i32),
}

impl Mode {
    /// The session id for the answer.
    pub(crate) fn id(self) -> i32 {
        match self {
            Mode::Sessionless => 0,
            Mode::Full(id) | Mode::Incremental(id) => id,
        }
    }
}

/// The sessions of one node.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    clock: u64,
}

/// The session fields of a fetch request.
pub(crate) struct SessionRequest {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    pub(crate) by_id: bool,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<(TopicKey, i32)>,
}

impl FetchSessions {
    /// The partitions a fetch is about, after its session has taken note of it.
    ///
    /// # Errors
    /// The session errors of the protocol.
    pub(crate) fn begin(
        &mut self,
        request: SessionRequest,
        random: &mut Random,
    ) -> Result<(Mode, Vec<Wanted>), ErrorCode> {
        self.clock += 1;
        if request.epoch == -1 || request.epoch == 0 {
            if request.id != 0 {
                self.sessions.remove(&request.id);
            }
            if request.epoch == -1 {
                return Ok((Mode::Sessionless, request.wanted));
            }
            let id = self.create(request.by_id, &request.wanted, random);
            return Ok((Mode::Full(id), request.wanted));
        }
        let Some(session) = self.sessions.get_mut(&request.id) else {
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        };
        if session.by_id != request.by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        if session.epoch != request.epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        for wanted in request.wanted {
            session.put(wanted);
        }
        for key in &request.forgotten {
            session.remove(key);
        }
        if session.order.is_empty() {
            self.sessions.remove(&request.id);
            return Ok((Mode::Sessionless, Vec::new()));
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.used = self.clock;
        Ok((
            Mode::Incremental(request.id),
            session.order.values().map(|c| c.wanted.clone()).collect(),
        ))
    }

    fn create(&mut self, by_id: bool, wanted: &[Wanted], random: &mut Random) -> i32 {
        if self.sessions.len() >= MAX_SESSIONS
            && let Some(&oldest) = self
                .sessions
                .iter()
                .min_by_key(|(_, s)| s.used)
                .map(|(id, _)| id)
        {
            self.sessions.remove(&oldest);
        }
        let id = loop {
            let id = (random.next_u64() & 0x7fff_ffff) as i32;
            if id != 0 && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        let mut session = Session {
            epoch: 1,
            by_id,
            order: BTreeMap::new(),
            places: BTreeMap::new(),
            next_place: 0,
            used: self.clock,
        };
        for one in wanted {
            session.put(one.clone());
        }
        self.sessions.insert(id, session);
        id
    }

    /// The partitions of a session, for finding the faults that concern it.
    pub(crate) fn partitions(&self, id: i32) -> impl Iterator<Item = (&TopicKey, i32)> {
        self.sessions.get(&id).into_iter().flat_map(|s| {
            s.places
                .keys()
                .map(|(topic, partition)| (topic, *partition))
        })
    }

    /// Notes what is about to be answered for a partition and says whether an incremental answer must carry it.
    pub(crate) fn answer(
        &mut self,
        mode: Mode,
        key: &(TopicKey, i32),
        error: bool,
        has_records: bool,
        high_watermark: i64,
        log_start: i64,
    ) -> bool {
        let (Mode::Full(id) | Mode::Incremental(id)) = mode else {
            return true;
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return true;
        };
        let told = Told {
            high_watermark,
            log_start,
        };
        let mut carry = error || has_records;
        if let Some(cached) = session
            .places
            .get(key)
            .and_then(|place| session.order.get_mut(place))
        {
            carry |= cached.told != Some(told);
            // After an error the next answer is carried whatever it is.
            cached.told = (!error).then_some(told);
        }
        if has_records {
            session.move_back(key);
        }
        carry || matches!(mode, Mode::Full(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(topic: &str, partition: i32, offset: i64) -> Wanted {
        let topic = TopicKey::Name(topic.to_owned());
        Wanted {
            topic,
            partition,
            offset,
            leader_epoch: -1,
            last_fetched_epoch: -1,
            max_bytes: 100,
        }
    }

    fn request(id: i32, epoch: i32, wanted: Vec<Wanted>) -> SessionRequest {
        SessionRequest {
            id,
            epoch,
            by_id: false,
            wanted,
            forgotten: Vec::new(),
        }
    }

    fn order(wanted: &[Wanted]) -> Vec<i32> {
        wanted.iter().map(|w| w.partition).collect()
    }

    #[test]
    fn a_session_remembers_changes_and_forgets_what_it_is_told_to() {
        let mut random = Random::new(1);
        let mut sessions = FetchSessions::default();
        let (mode, _) = sessions
            .begin(
                request(0, 0, vec![wanted("t", 0, 0), wanted("t", 1, 0)]),
                &mut random,
            )
            .unwrap();
        let id = mode.id();
        assert!(id > 0);
        let (mode, all) = sessions
            .begin(request(id, 1, vec![wanted("t", 0, 5)]), &mut random)
            .unwrap();
        assert_eq!(mode, Mode::Incremental(id));
        assert_eq!(all.iter().map(|w| w.offset).collect::<Vec<_>>(), [5, 0]);
        let mut forget = request(id, 2, Vec::new());
        forget.forgotten.push((TopicKey::Name("t".to_owned()), 0));
        assert_eq!(order(&sessions.begin(forget, &mut random).unwrap().1), [1]);
    }

    #[test]
    fn wrong_ids_and_epochs_are_told() {
        let mut random = Random::new(1);
        let mut sessions = FetchSessions::default();
        let id = sessions
            .begin(request(0, 0, vec![wanted("t", 0, 0)]), &mut random)
            .unwrap()
            .0
            .id();
        let error = |s: &mut FetchSessions, r| s.begin(r, &mut Random::new(2)).unwrap_err();
        assert_eq!(
            error(&mut sessions, request(id ^ 1, 1, vec![])),
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND
        );
        assert_eq!(
            error(&mut sessions, request(id, 2, vec![])),
            ErrorCode::INVALID_FETCH_SESSION_EPOCH
        );
        let mut by_id = request(id, 1, vec![]);
        by_id.by_id = true;
        assert_eq!(
            error(&mut sessions, by_id),
            ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
        );
    }

    #[test]
    fn only_changes_are_carried_and_data_moves_a_partition_back() {
        let mut random = Random::new(1);
        let mut sessions = FetchSessions::default();
        let (mode, _) = sessions
            .begin(
                request(0, 0, vec![wanted("t", 0, 0), wanted("t", 1, 0)]),
                &mut random,
            )
            .unwrap();
        let key = |p| (TopicKey::Name("t".to_owned()), p);
        assert!(sessions.answer(mode, &key(0), false, false, 0, 0));
        assert!(sessions.answer(mode, &key(1), false, false, 0, 0));
        let (mode, _) = sessions
            .begin(request(mode.id(), 1, vec![]), &mut random)
            .unwrap();
        assert!(!sessions.answer(mode, &key(1), false, false, 0, 0));
        assert!(sessions.answer(mode, &key(0), false, true, 1, 0));
        let (mode, all) = sessions
            .begin(request(mode.id(), 2, vec![]), &mut random)
            .unwrap();
        assert_eq!(order(&all), [1, 0]);
        assert!(sessions.answer(mode, &key(1), true, false, 0, 0));
        let (mode, _) = sessions
            .begin(request(mode.id(), 3, vec![]), &mut random)
            .unwrap();
        assert!(sessions.answer(mode, &key(1), false, false, 0, 0));
    }
}
