//! Seeded clients that do right and wrong at random: whatever they do, no partition has two owners, generations and
//! epochs only grow, and nobody waits for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::answer::{Answer, Joined};
use super::classic::{Join, Sync};
use super::modern::{Heartbeat, LEAVE, LEAVE_FOR_A_WHILE};
use super::modern_member::Partitions;
use super::{Committer, Group, Groups, Ticket};
use crate::api::tests::Bench;
use crate::core::cluster::Cluster;
use crate::core::random::Random;

const CLIENTS: usize = 5;
const STEPS: usize = 400;
/// `OTTLA_TEST_LONG=1` tries more.
const SEEDS: u64 = 40;

fn seeds() -> std::ops::Range<u64> {
    let long = std::env::var("OTTLA_TEST_LONG").is_ok_and(|v| v == "1");
    0..if long { SEEDS * 50 } else { SEEDS }
}

fn pick(random: &mut Random, n: u64) -> u64 {
    random.next_u64() % n
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

// The classic protocol -----------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Default)]
struct OldClient {
    id: String,
    instance: Option<String>,
    joined: Option<Joined>,
    waits: Option<(Ticket, u64)>,
    unique: u64,
}

struct OldWorld {
    bench: Bench,
    groups: Groups,
    now: u64,
    generation: i32,
    clients: Vec<OldClient>,
}

impl OldWorld {
    fn join(&mut self, i: usize) {
        let client = &mut self.clients[i];
        client.unique += 1;
        let join = Join {
            member_id: client.id.clone(),
            instance: client.instance.clone(),
            client_id: format!("c{i}"),
            client_host: String::new(),
            session_timeout: millis(10_000),
            rebalance_timeout: millis(20_000),
            protocol_type: "consumer".to_owned(),
            protocols: vec![("p".to_owned(), Bytes::from(vec![client.unique as u8 % 2]))],
            must_know_id: i.is_multiple_of(2),
            may_skip_assignment: true,
            unique: client.unique.to_string(),
        };
        let ticket = self.groups.ticket();
        self.clients[i].waits = Some((ticket, self.now));
        let cluster = &self.bench.core.cluster;
        self.groups
            .join(millis(self.now), 1, cluster, "g", join, ticket);
    }

    fn sync(&mut self, i: usize, generation: i32) {
        let Some(joined) = self.clients[i].joined.clone() else {
            return;
        };
        let members = joined.members.iter();
        let sync = Sync {
            member_id: joined.member_id.clone(),
            instance: self.clients[i].instance.clone(),
            generation,
            protocol_type: None,
            protocol: None,
            assignments: members
                .map(|(id, ..)| (id.clone(), Bytes::from(id.clone())))
                .collect(),
        };
        let ticket = self.groups.ticket();
        self.clients[i].waits = Some((ticket, self.now));
        let cluster = &self.bench.core.cluster;
        self.groups
            .sync(millis(self.now), cluster, "g", sync, ticket);
    }

    /// Gives clients their answers. A well-behaved one goes on as it is told.
    fn answers(&mut self, behave: bool) {
        for (ticket, answer) in self.groups.answers.drain() {
            let waits = |c: &OldClient| c.waits.is_some_and(|(t, _)| t == ticket);
            let Some(i) = self.clients.iter().position(waits) else {
                continue;
            };
            self.clients[i].waits = None;
            match answer {
                Answer::Joined(joined) => {
                    assert!(joined.generation <= self.groups_generation());
                    self.clients[i].id = match joined.code {
                        ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => {
                            String::new()
                        }
                        _ => joined.member_id.clone(),
                    };
                    self.clients[i].joined =
                        (joined.code == ErrorCode::NONE).then(|| joined.clone());
                    if behave && joined.code == ErrorCode::NONE {
                        self.sync(i, joined.generation);
                    }
                }
                Answer::Synced(synced) => {
                    if synced.code == ErrorCode::NONE && !synced.assignment.is_empty() {
                        // The leader gave each its own name, so an assignment shows whose it is; a static
                        // member may have got its predecessor's.
                        let client = &self.clients[i];
                        if client.instance.is_some() {
                            assert!(synced.assignment.starts_with(b"i-"));
                        } else {
                            assert_eq!(synced.assignment, client.id);
                        }
                    }
                    if synced.code != ErrorCode::NONE {
                        self.clients[i].joined = None;
                    }
                }
            }
        }
        let generation = self.groups_generation();
        assert!(generation >= self.generation, "generations only grow");
        self.generation = generation;
    }

    fn groups_generation(&self) -> i32 {
        match self.groups.get("g") {
            Some(Group::Classic(group)) => group.generation,
            _ => 0,
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        let cluster = &self.bench.core.cluster;
        self.groups
            .tick(millis(self.now), cluster, millis(20), |_| false);
        for client in &self.clients {
            if let Some((ticket, since)) = client.waits {
                // A join may wait for the rebalance timeout, and then for a session to end.
                let waited = self.now - since;
                assert!(waited < 400_000, "request {ticket} has waited {waited} ms");
            }
        }
    }

    fn random_step(&mut self, random: &mut Random) {
        let i = pick(random, CLIENTS as u64) as usize;
        let idle = self.clients[i].waits.is_none();
        let generation = self.clients[i].joined.as_ref().map_or(0, |j| j.generation);
        let wrong = generation + pick(random, 3) as i32 - 1;
        let id = self.clients[i].id.clone();
        let now = millis(self.now);
        match pick(random, 10) {
            0..=2 if idle => self.join(i),
            3 if idle => self.sync(i, generation),
            4 if idle => self.sync(i, wrong),
            5 => {
                let instance = self.clients[i].instance.clone();
                self.groups
                    .heartbeat(now, "g", &id, instance.as_deref(), wrong);
            }
            6 => {
                let who = [
                    (id, None),
                    (String::new(), self.clients[i].instance.clone()),
                ];
                let _ = self.groups.leave(
                    now,
                    &self.bench.core.cluster,
                    "g",
                    &who[pick(random, 2) as usize..],
                );
            }
            7 => {
                // The client's process is another one now.
                let client = &mut self.clients[i];
                (client.waits, client.joined) = (None, None);
                client.id.clear();
            }
            8 => {
                let who = Committer {
                    member_id: &id,
                    instance: None,
                    generation: wrong,
                    in_transaction: pick(random, 2) == 0,
                    knows_epochs: true,
                };
                let _ = self.groups.check_commit(now, 1, "g", &who);
            }
            _ => match pick(random, 8) {
                0 => {
                    self.groups.force_rebalance(now, "g");
                }
                1 => {
                    let node = pick(random, 3) as i32;
                    self.groups.moved(now, |_| Some(node));
                    // A generation whose assignment never came is not written down, and comes again.
                    self.generation = 0;
                }
                2 => {
                    let cluster = &self.bench.core.cluster;
                    self.groups.expire_member(now, cluster, "g", &id);
                }
                _ => {
                    let ms = pick(random, 8000);
                    self.pass(ms);
                }
            },
        }
        self.answers(pick(random, 2) == 0);
    }

    /// All do what they are told: the group comes to rest.
    fn come_to_rest(&mut self, seed: u64) {
        for round in 0..400 {
            for i in 0..CLIENTS {
                if self.clients[i].waits.is_some() {
                    continue;
                }
                let beaten = self.clients[i].joined.clone().map(|joined| {
                    self.groups.heartbeat(
                        millis(self.now),
                        "g",
                        &joined.member_id,
                        self.clients[i].instance.as_deref(),
                        joined.generation,
                    )
                });
                match beaten {
                    Some(ErrorCode::NONE) => {
                        let generation = self.groups_generation();
                        self.sync(i, generation);
                    }
                    Some(ErrorCode::REBALANCE_IN_PROGRESS) => self.join(i),
                    Some(_) => {
                        self.clients[i].id.clear();
                        self.join(i);
                    }
                    None => self.join(i),
                }
                self.answers(true);
            }
            self.pass(1000);
            self.answers(true);
            let all = self
                .clients
                .iter()
                .all(|c| c.waits.is_none() && c.joined.is_some());
            let stable = self
                .groups
                .get("g")
                .is_some_and(|g| g.state_name() == "Stable");
            if all && stable && self.groups.members("g").len() == CLIENTS {
                return;
            }
            assert!(
                round < 399,
                "seed {seed}: not at rest: {:?}",
                self.groups.get("g")
            );
        }
    }
}

#[test]
fn a_classic_group_survives_whatever_clients_do() {
    for seed in seeds() {
        let mut random = Random::new(seed);
        let clients = (0..CLIENTS).map(|i| OldClient {
            instance: (i == 1).then(|| "i".to_owned()),
            ..OldClient::default()
        });
        let mut world = OldWorld {
            bench: Bench::new(1),
            groups: Groups::default(),
            now: 0,
            generation: 0,
            clients: clients.collect(),
        };
        if seed % 3 == 0 {
            world.groups.options.initial_rebalance_delay = millis(3000);
        }
        for _ in 0..STEPS {
            world.random_step(&mut random);
        }
        world.come_to_rest(seed);
    }
}

// The new protocol ---------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Default)]
struct NewClient {
    id: String,
    instance: Option<String>,
    epoch: i32,
    owned: Partitions,
    /// The subscription to say with the next heartbeat.
    topics: Option<BTreeSet<String>>,
}

struct NewWorld {
    groups: Groups,
    now: u64,
    epoch: i32,
    clients: Vec<NewClient>,
}

impl NewWorld {
    fn beat(&mut self, cluster: &Cluster, i: usize, epoch: i32, tells_owned: bool) {
        let joins = epoch == 0;
        let client = &mut self.clients[i];
        if joins {
            client.owned.clear();
        }
        let topics = client.topics.take();
        let topics = topics.or_else(|| joins.then(|| ["t0".to_owned(), "t1".to_owned()].into()));
        let beat = Heartbeat {
            member_id: client.id.clone(),
            epoch,
            instance: client.instance.clone(),
            rack: None,
            rebalance_timeout: joins.then(|| millis(20_000)),
            topics,
            regex: None,
            assignor: (i == 0).then(|| "range".to_owned()),
            owned: (joins || tells_owned).then(|| client.owned.clone()),
            client_id: String::new(),
            client_host: String::new(),
        };
        let now = millis(self.now);
        match self.groups.beat(now, 1, "g", cluster, beat) {
            Ok(beaten) => {
                let client = &mut self.clients[i];
                client.epoch = beaten.epoch;
                if let Some(assigned) = beaten.assignment {
                    client.owned = assigned;
                }
            }
            Err(refused) => {
                let client = &mut self.clients[i];
                client.epoch = 0;
                client.owned.clear();
                if refused.code == ErrorCode::FENCED_INSTANCE_ID
                    || refused.code == ErrorCode::UNRELEASED_INSTANCE_ID
                {
                    // Its predecessor has to go first, by leaving or by silence.
                    client.topics = None;
                }
            }
        }
    }

    fn check(&mut self, seed: u64) {
        let Some(Group::Modern(group)) = self.groups.get("g") else {
            return;
        };
        let mut owner: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
        for (id, m) in &group.members {
            assert!(m.epoch <= group.epoch && group.assignment_epoch <= group.epoch);
            for (topic, of) in m.assigned.iter().chain(&m.revoking) {
                for partition in of.keys() {
                    let before = owner.insert((*topic, *partition), id);
                    let alone = before.is_none();
                    assert!(alone, "seed {seed}: {partition} is {before:?}'s and {id}'s");
                }
            }
        }
        let mut targets = BTreeSet::new();
        for (topic, of) in group.target.values().flatten() {
            for partition in of {
                assert!(
                    targets.insert((*topic, *partition)),
                    "seed {seed}: two targets"
                );
            }
        }
        assert!(group.epoch >= self.epoch, "epochs only grow");
        self.epoch = group.epoch;
    }

    fn random_step(&mut self, bench: &mut Bench, random: &mut Random) {
        let i = pick(random, CLIENTS as u64) as usize;
        let epoch = self.clients[i].epoch;
        let now = millis(self.now);
        match pick(random, 12) {
            0..=4 => {
                let tells = pick(random, 2) == 0;
                self.beat(&bench.core.cluster, i, epoch.max(0), tells);
            }
            5 => {
                let wrong = epoch + pick(random, 3) as i32 - 1;
                self.beat(&bench.core.cluster, i, wrong.max(0), true);
            }
            6 => {
                let client = &self.clients[i];
                let leave = if pick(random, 2) == 0 {
                    LEAVE
                } else {
                    LEAVE_FOR_A_WHILE
                };
                let (id, instance) = (client.id.clone(), client.instance.clone());
                if leave == LEAVE || instance.is_some() {
                    let cluster = &bench.core.cluster;
                    let left = self.groups.leave_modern(
                        now,
                        cluster,
                        "g",
                        &id,
                        instance.as_deref(),
                        leave,
                    );
                    if left.is_ok() {
                        self.clients[i].epoch = 0;
                        self.clients[i].owned.clear();
                    }
                }
            }
            7 => {
                // Another process, under another id.
                let client = &mut self.clients[i];
                client.id = format!("{i}-{}", random.next_u64());
                client.epoch = 0;
                client.owned.clear();
            }
            8 => {
                let topics = (0..3).filter(|_| pick(random, 2) == 0);
                self.clients[i].topics = Some(topics.map(|n| format!("t{n}")).collect());
            }
            9 => {
                let name = format!("t{}", pick(random, 3));
                match bench.core.cluster.topic(&name).map(|t| t.partitions.len()) {
                    None => {
                        bench.topic(&name, 1 + pick(random, 5) as i32);
                    }
                    Some(count) if count < 8 && pick(random, 2) == 0 => {
                        let count = count as i32 + 1;
                        bench
                            .core
                            .create_partitions(&name, count, None, false)
                            .unwrap();
                    }
                    Some(_) => {
                        bench.core.delete_topic(&name);
                    }
                }
            }
            10 => {
                let id = self.clients[i].id.clone();
                let cluster = &bench.core.cluster;
                match pick(random, 3) {
                    0 => drop(self.groups.force_rebalance(now, "g")),
                    1 => drop(self.groups.expire_member(now, cluster, "g", &id)),
                    _ => self.groups.moved(now, |_| Some(2)),
                }
            }
            _ => {
                self.now += pick(random, 15_000);
                let cluster = &bench.core.cluster;
                self.groups
                    .tick(millis(self.now), cluster, millis(20), |_| false);
            }
        }
    }
}

#[test]
fn a_group_of_the_new_protocol_survives_whatever_clients_do() {
    for seed in seeds() {
        let mut random = Random::new(seed);
        let mut bench = Bench::new(1);
        bench.topic("t0", 4);
        let clients = (0..CLIENTS).map(|i| NewClient {
            id: format!("{i}"),
            instance: (i == 1).then(|| "i".to_owned()),
            ..NewClient::default()
        });
        let mut world = NewWorld {
            groups: Groups::default(),
            now: 0,
            epoch: 0,
            clients: clients.collect(),
        };
        if seed % 3 == 0 {
            world.groups.options.modern.assignment_interval = millis(1000);
        }
        for _ in 0..STEPS {
            world.random_step(&mut bench, &mut random);
            world.check(seed);
        }
        // All beat as they should: those that were left behind expire, the rest come to rest.
        for round in 0..100 {
            world.now += 1000;
            let cluster = &bench.core.cluster;
            world
                .groups
                .tick(millis(world.now), cluster, millis(20), |_| false);
            for i in 0..CLIENTS {
                let epoch = world.clients[i].epoch.max(0);
                world.clients[i].topics = None;
                world.beat(&bench.core.cluster, i, epoch, true);
                world.check(seed);
            }
            let state = world.groups.get("g").map(Group::state_name);
            let owned: usize = world
                .clients
                .iter()
                .flat_map(|c| c.owned.values())
                .map(BTreeSet::len)
                .sum();
            let Some(Group::Modern(group)) = world.groups.get("g") else {
                continue;
            };
            let wanted: usize = group.target.values().flatten().map(|(_, p)| p.len()).sum();
            if state == Some("Stable") && group.members.len() == CLIENTS && owned == wanted {
                break;
            }
            assert!(round < 99, "seed {seed}: not at rest: {group:?}");
        }
    }
}
