//! Seeded clients of both protocols in one group, some of which change theirs between lives.

use std::collections::{BTreeMap, BTreeSet};

use ottla_base::error::ErrorCode;

use super::answer::{Answer, Joined};
use super::classic::Sync;
use super::mixed_world::{New, Old, PARTITIONS, SESSION, World, assignment, partitions, secs};
use super::{Group, Ticket};
use crate::core::random::Random;

#[test]
fn whatever_clients_of_both_protocols_do_no_partition_has_two_owners() {
    let long = std::env::var("OTTLA_TEST_LONG").is_ok_and(|v| v == "1");
    for seed in 0..if long { 2000 } else { 60 } {
        let mut random = Random::new(seed);
        let mut storm = Storm {
            w: World::new(),
            clients: BTreeMap::new(),
            waits: BTreeMap::new(),
        };
        storm.w.groups.options.modern.session_timeout = secs(SESSION);
        for _ in 0..300 {
            storm.step(&mut random);
            storm.check(seed);
        }
        storm
            .clients
            .entry(1)
            .or_insert_with(|| Client::Old(Old::default()));
        let resting = (0..200).any(|_| {
            for i in 0..CLIENTS {
                storm.go_on(i);
                storm.check(seed);
            }
            storm.w.pass(1);
            storm.answers();
            storm.check(seed);
            let owned = storm
                .clients
                .values()
                .map(|c| c.owned().len())
                .sum::<usize>();
            storm.w.kind().1 == "Stable" && owned == PARTITIONS as usize
        });
        assert!(resting, "seed {seed}: {:?}", storm.w.groups.get("g"));
    }
}

const CLIENTS: u64 = 5;

#[derive(Clone, Debug)]
enum Client {
    Old(Old),
    New(New),
}

impl Client {
    fn owned(&self) -> &BTreeSet<i32> {
        match self {
            Client::Old(c) => &c.owned,
            Client::New(c) => &c.owned,
        }
    }
}

struct Storm {
    w: World,
    clients: BTreeMap<u64, Client>,
    /// Those that wait for an answer.
    waits: BTreeMap<u64, Ticket>,
}

impl Storm {
    fn step(&mut self, random: &mut Random) {
        let i = random.next_u64() % CLIENTS;
        match random.next_u64() % 16 {
            0 => self.leave(i),
            // It dies, and nobody knows.
            1 => {
                self.clients.remove(&i);
                self.waits.remove(&i);
            }
            2 => {
                let node = (random.next_u64() % 2) as i32;
                self.w.groups.moved(secs(self.w.now), |_| Some(node));
            }
            3..=5 => self.w.pass(1),
            _ if random.next_u64().is_multiple_of(3) && !self.clients.contains_key(&i) => {
                let instance = (i == 0).then(|| "i".to_owned());
                let client = if random.next_u64().is_multiple_of(2) {
                    Client::Old(Old {
                        instance,
                        ..Old::default()
                    })
                } else {
                    Client::New(New {
                        id: format!("new-{}", random.next_u64()),
                        instance,
                        ..New::default()
                    })
                };
                self.clients.insert(i, client);
            }
            _ => self.go_on(i),
        }
        self.answers();
    }

    fn leave(&mut self, i: u64) {
        self.waits.remove(&i);
        match self.clients.remove(&i) {
            Some(Client::Old(old)) => {
                self.w.leave_old(&old.id, old.instance.as_deref());
            }
            Some(Client::New(new)) => {
                let _ = self.w.leave_new(&new.id, new.instance.as_deref());
            }
            None => {}
        }
    }

    /// The client does the next thing that it should.
    fn go_on(&mut self, i: u64) {
        if self.waits.contains_key(&i) {
            return;
        }
        match self.clients.remove(&i) {
            None => {}
            Some(Client::New(mut new)) => {
                match self.w.beat(&mut new) {
                    Ok(()) => {}
                    // Another has its instance id.
                    Err(ErrorCode::FENCED_INSTANCE_ID) => return,
                    Err(_) => (new.epoch, new.owned) = (0, BTreeSet::new()),
                }
                self.clients.insert(i, Client::New(new));
            }
            Some(Client::Old(mut old)) => {
                let beaten = if old.generation == 0 {
                    ErrorCode::REBALANCE_IN_PROGRESS
                } else {
                    self.w.heartbeat(&old)
                };
                match beaten {
                    ErrorCode::NONE => {}
                    ErrorCode::FENCED_INSTANCE_ID => return,
                    code => {
                        if code != ErrorCode::REBALANCE_IN_PROGRESS {
                            old.owned.clear();
                        }
                        if code == ErrorCode::UNKNOWN_MEMBER_ID {
                            old.id.clear();
                        }
                        let join = self.w.join_of(&old);
                        let ticket = self.w.send_join(join);
                        self.waits.insert(i, ticket);
                    }
                }
                self.clients.insert(i, Client::Old(old));
                self.answers();
            }
        }
    }

    fn answers(&mut self) {
        let mut answers: Vec<(Ticket, Answer)> = self.w.groups.answers.drain();
        while !answers.is_empty() {
            for (ticket, answer) in std::mem::take(&mut answers) {
                let waits = self.waits.iter().find(|(_, t)| **t == ticket);
                let Some((&i, _)) = waits else { continue };
                self.waits.remove(&i);
                let Some(Client::Old(mut old)) = self.clients.get(&i).cloned() else {
                    continue;
                };
                match answer {
                    Answer::Joined(joined) => self.joined(i, &mut old, joined),
                    Answer::Synced(synced) if synced.code == ErrorCode::NONE => {
                        old.owned = partitions(&synced.assignment);
                    }
                    Answer::Synced(synced) => {
                        // It joins again.
                        old.generation = 0;
                        if synced.code != ErrorCode::REBALANCE_IN_PROGRESS {
                            old.owned.clear();
                        }
                    }
                }
                self.clients.insert(i, Client::Old(old));
            }
            answers.extend(self.w.groups.answers.drain());
        }
    }

    fn joined(&mut self, i: u64, old: &mut Old, joined: Joined) {
        match joined.code {
            ErrorCode::NONE => {
                (old.id, old.generation) = (joined.member_id, joined.generation);
                // A leader shares out by number, but gives nobody what another holds (cooperative).
                let ids: Vec<&String> = joined.members.iter().map(|(id, ..)| id).collect();
                let holder = |p: i32| {
                    let mut olds = self.clients.values().filter_map(|c| match c {
                        Client::Old(o) if o.owned.contains(&p) => Some(&o.id),
                        _ => None,
                    });
                    olds.find(|id| ids.contains(id)).cloned()
                };
                let mut shares: BTreeMap<String, Vec<i32>> = BTreeMap::new();
                for p in 0..PARTITIONS {
                    if let Some(next) = ids.get(p as usize % ids.len().max(1)) {
                        let id = holder(p).unwrap_or_else(|| (*next).clone());
                        shares.entry(id).or_default().push(p);
                    }
                }
                let ticket = self.w.groups.ticket();
                let assignments = ids.iter().map(|id| {
                    let share = shares.get(*id).map_or(&[][..], Vec::as_slice);
                    ((*id).clone(), assignment(share, None))
                });
                let sync = Sync {
                    member_id: old.id.clone(),
                    instance: old.instance.clone(),
                    generation: old.generation,
                    protocol_type: None,
                    protocol: None,
                    assignments: assignments.collect(),
                };
                self.waits.insert(i, ticket);
                let (now, cluster) = (secs(self.w.now), &self.w.bench.core.cluster);
                self.w.groups.sync(now, cluster, "g", sync, ticket);
            }
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::NOT_COORDINATOR => {
                old.id = joined.member_id;
                old.generation = 0;
            }
            _ => {
                *old = Old {
                    instance: old.instance.clone(),
                    ..Old::default()
                };
            }
        }
    }

    /// In a group of the new protocol nobody holds what another one does, by the group's account and by the clients'
    /// own, as far as they are members.
    fn check(&self, seed: u64) {
        let Some(Group::Modern(group)) = self.w.groups.get("g") else {
            return;
        };
        let mut owner: BTreeMap<i32, &str> = BTreeMap::new();
        for (id, m) in &group.members {
            for p in m.holdings().values().flatten() {
                let before = owner.insert(*p, id);
                assert!(
                    before.is_none(),
                    "seed {seed}: {p} is {before:?}'s and {id}'s"
                );
            }
        }
    }
}
