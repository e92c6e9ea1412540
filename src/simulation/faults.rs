//! What goes wrong, when, and how it is put right again.

mod cluster;

use std::time::Duration;

use self::cluster::{crash, create_late, replace_all, shrink};
use super::chance::Chance;
use super::network::{LinkId, Way, Weather};
use super::world::World;
use crate::broker::api_key;
use crate::broker::core::coordinators::CoordinatorKind;
use crate::broker::core::fault::{Fault, FaultRule};
use crate::error::ErrorCode;
use crate::rng::Rng;

pub use super::kinds::FaultKind;

struct Planned {
    kind: FaultKind,
    at: Duration,
    rng: Rng,
    tries: u32,
    over: bool,
    /// The node it has to do with, to put it right again.
    node: i32,
}

impl Planned {
    fn new(kind: FaultKind, at: Duration, rng: Rng) -> Self {
        Planned {
            kind,
            at,
            rng,
            tries: 0,
            over: false,
            node: -1,
        }
    }

    /// At some time within `span`.
    fn within(span: Duration, kind: FaultKind, rng: &mut Rng) -> Self {
        let at = Duration::from_micros(rng.range(0, span.as_micros() as u64));
        Planned::new(kind, at, Rng::new(rng.next()))
    }
}

/// What will go wrong in this seed.
pub(super) struct Faults {
    planned: Vec<Planned>,
    /// What a client waits for an answer, so that answers can be later than that.
    request_timeout: Duration,
    /// Topics to be created late: name, partitions, settings.
    late: Vec<(String, i32)>,
    /// Nothing is put right again.
    lasting: bool,
}

/// What comes of other faults, or of programs.
const UNPLANNED: &[FaultKind] = &[
    FaultKind::TopicLate,
    FaultKind::Overtaken,
    FaultKind::MemberKilled,
    FaultKind::MemberClosed,
    FaultKind::MemberDropped,
    FaultKind::SlowProgram,
    FaultKind::SmallFetch,
    FaultKind::Absent,
];

/// How often a fault that finds nothing to happen to tries again.
const TRIES: u32 = 20;

impl Faults {
    /// `count` faults within `span`.
    pub(super) fn plan(
        mut rng: Rng,
        count: usize,
        span: Duration,
        request_timeout: Duration,
        late: Vec<(String, i32)>,
        reading: bool,
        transactional: bool,
    ) -> Self {
        let mut planned = Vec::new();
        let mut add = |kind, rng: &mut Rng| {
            planned.push(Planned::within(span, kind, rng));
        };
        // Some seeds know few kinds, so that these meet often; forgetting producers loosens what can be asked of the
        // rest, so it is rare.
        let mut known: Vec<FaultKind> = FaultKind::ALL
            .iter()
            .copied()
            .filter(|k| !UNPLANNED.contains(k))
            // Of what was committed, and of what was read, nobody could say what of it must still be there.
            .filter(|k| *k != FaultKind::Shrunk || !reading && !transactional)
            .filter(|k| reading || !super::reading::faults::KINDS.contains(k))
            .collect();
        let forgets = rng.chance(1, 12);
        known.retain(|k| forgets || *k != FaultKind::ProducersForgotten);
        if rng.chance(1, 2) {
            let few = rng.range(3, 8) as usize;
            while known.len() > few {
                known.swap_remove(rng.below(known.len()));
            }
        }
        for _ in 0..count {
            let kind = rng.pick(&known);
            add(kind, &mut rng);
        }
        // For those who read, the hardest is a topic that comes when nothing else happens any more.
        if !reading || rng.chance(1, 2) {
            for _ in &late {
                add(FaultKind::TopicLate, &mut rng);
            }
        }
        Faults {
            planned,
            request_timeout,
            late,
            lasting: false,
        }
    }

    /// Nothing of its own accord; what goes wrong stays so.
    pub(super) fn lasting() -> Self {
        Faults {
            planned: Vec::new(),
            request_timeout: Duration::ZERO,
            late: Vec::new(),
            lasting: true,
        }
    }

    /// Nothing but slow brokers, `count` times within `span`.
    pub(super) fn slow(mut rng: Rng, count: usize, span: Duration) -> Self {
        let planned = (0..count).map(|_| Planned::within(span, FaultKind::Slow, &mut rng));
        Faults {
            planned: planned.collect(),
            request_timeout: Duration::ZERO,
            late: Vec::new(),
            lasting: false,
        }
    }

    pub(super) fn times(&self) -> Vec<Duration> {
        self.planned.iter().map(|p| p.at).collect()
    }

    pub(super) fn all_over(&self) -> bool {
        !self.lasting && self.planned.iter().all(|p| p.over)
    }

    /// One more, of a kind that needs little to happen to: for seeds whose faults found nothing. Its number.
    pub(super) fn one_more(&mut self) -> usize {
        let mut rng = Rng::new(self.planned.len() as u64);
        let kinds = [
            FaultKind::Reset,
            FaultKind::Slow,
            FaultKind::LeaderMove,
            FaultKind::Crash,
        ];
        let kind = rng.pick(&kinds);
        self.planned.push(Planned::new(kind, Duration::ZERO, rng));
        self.planned.len() - 1
    }
}

/// Begins a planned fault.
pub(super) fn begin(world: &mut World, index: usize) {
    let planned = &mut world.faults.planned[index];
    let (kind, mut rng) = (planned.kind, planned.rng.clone());
    planned.tries += 1;
    let last = planned.tries >= TRIES;
    // The next try chooses anew.
    planned.rng.next();
    match inject(world, index, kind, &mut rng) {
        Some(lasts) if lasts > Duration::ZERO => {
            let at = world.now() + lasts;
            world.mend_at(at, index);
        }
        Some(_) => world.faults.planned[index].over = true,
        None if last => world.faults.planned[index].over = true,
        None => {
            let at = world.now() + rng.millis(5, 100);
            world.fault_at(at, index);
        }
    }
}

/// Lets a fault happen: how long it lasts, or `None` if there was nothing for it to happen to.
fn inject(world: &mut World, index: usize, kind: FaultKind, rng: &mut Rng) -> Option<Duration> {
    let once = Some(Duration::ZERO);
    match kind {
        FaultKind::Slow | FaultKind::Drip => {
            let node = any_node(world, rng, true)?;
            world.faults.planned[index].node = node;
            let slow = Duration::from_micros(rng.spread(5_000, 2_000_000));
            let weather = world.net.weather.entry(node).or_default();
            match kind {
                FaultKind::Slow => weather.slow = slow,
                _ => weather.drip = true,
            }
            world.tally(kind);
            Some(rng.millis(50, 3000))
        }
        FaultKind::Reset => {
            let link = any_link(world, rng)?;
            world.tally(kind);
            reset(world, link);
            once
        }
        FaultKind::CutRequest | FaultKind::CutReply => {
            let link = any_link(world, rng)?;
            let way = if kind == FaultKind::CutRequest {
                Way::Up
            } else {
                Way::Down
            };
            world.net.links[link].stream(way).cut_after = Some(rng.spread(1, 4000) as usize);
            once
        }
        FaultKind::HalfOpen => {
            let link = any_link(world, rng)?;
            let which = rng.range(0, 2);
            if which != 0 {
                world.net.links[link].stream(Way::Up).vanishes = true;
            }
            if which != 1 {
                world.net.links[link].stream(Way::Down).vanishes = true;
            }
            world.tally(kind);
            once
        }
        FaultKind::Unreachable | FaultKind::Refused => {
            let node = any_node(world, rng, true)?;
            world.faults.planned[index].node = node;
            let weather = world.net.weather.entry(node).or_default();
            match kind {
                FaultKind::Unreachable => weather.hangs = true,
                _ => weather.refuses = true,
            }
            for link in links_of(world, node) {
                reset(world, link);
            }
            Some(rng.millis(100, 6000))
        }
        FaultKind::LateRequest | FaultKind::LateReply => {
            let link = any_link(world, rng)?;
            let way = if kind == FaultKind::LateRequest {
                Way::Up
            } else {
                Way::Down
            };
            let late = world
                .faults
                .request_timeout
                .mul_f64(rng.range(2, 30) as f64 / 10.0);
            world.net.links[link].stream(way).stall = late;
            world.tally(kind);
            once
        }
        FaultKind::Drop => rule(world, rng, Fault::Drop, None),
        FaultKind::SwallowedReply => {
            let close = rng.chance(1, 2);
            rule(world, rng, Fault::SwallowReply { close }, None)
        }
        FaultKind::Throttle => {
            let time = Duration::from_millis(rng.spread(5, 3000));
            rule(world, rng, Fault::Throttle(time), None)
        }
        FaultKind::Crash => {
            let node = any_node(world, rng, true)?;
            world.faults.planned[index].node = node;
            world.tally(kind);
            crash(world, node, rng);
            Some(Duration::from_millis(rng.spread(20, 8000)))
        }
        FaultKind::Pause => {
            let node = any_node(world, rng, true)?;
            world.faults.planned[index].node = node;
            world.tally(kind);
            world.act(|core, now, out| core.pause(now, node, true, out));
            Some(Duration::from_millis(rng.spread(20, 12_000)))
        }
        FaultKind::AllReplaced => {
            if world.broker.cluster.nodes.keys().any(|id| *id > 100) {
                return once;
            }
            world.tally(kind);
            let nodes: Vec<i32> = world.broker.cluster.nodes.keys().copied().collect();
            for node in nodes {
                crash(world, node, rng);
            }
            Some(rng.millis(100, 4000))
        }
        FaultKind::LeaderMove => {
            let (topic, partition) = any_partition(world, rng)?;
            let node = any_node(world, rng, true)?;
            let moved =
                world.act(|core, now, out| core.move_leader(now, &topic, partition, node, out));
            moved.then(|| world.tally(kind))?;
            once
        }
        FaultKind::NotLeader => error(world, rng, &[ErrorCode::NOT_LEADER_OR_FOLLOWER]),
        FaultKind::Retriable => {
            let codes = [
                ErrorCode::NOT_ENOUGH_REPLICAS,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode::LEADER_NOT_AVAILABLE,
                ErrorCode::CORRUPT_MESSAGE,
                ErrorCode::NETWORK_EXCEPTION,
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ];
            let code = rng.pick(&codes);
            // InitProducerId has retriable errors too.
            let api = match code {
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => api_key::INIT_PRODUCER_ID,
                _ => api_key::PRODUCE,
            };
            rule(world, rng, Fault::Error { code }, Some(api))
        }
        FaultKind::StorageError => error(world, rng, &[ErrorCode::KAFKA_STORAGE_ERROR]),
        FaultKind::OutOfOrder => error(world, rng, &[ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER]),
        FaultKind::UnknownProducer => error(world, rng, &[ErrorCode::UNKNOWN_PRODUCER_ID]),
        FaultKind::TooLarge => error(world, rng, &[ErrorCode::MESSAGE_TOO_LARGE]),
        FaultKind::Forbidden => error(
            world,
            rng,
            &[
                ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                ErrorCode::INVALID_RECORD,
            ],
        ),
        FaultKind::AfterAppend => after(world, rng, &[ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND]),
        FaultKind::ErrorAfterAppend => after(
            world,
            rng,
            &[
                ErrorCode::REQUEST_TIMED_OUT,
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::KAFKA_STORAGE_ERROR,
            ],
        ),
        FaultKind::Duplicate => after(world, rng, &[ErrorCode::DUPLICATE_SEQUENCE_NUMBER]),
        FaultKind::ProducersForgotten => {
            let (topic, partition) = any_partition(world, rng)?;
            // A request that its client has given up already must not find its producer unknown: no client could help
            // that it is written a second time.
            let given_up: Vec<LinkId> = (0..world.net.links.len())
                .filter(|id| !world.net.links[*id].client_open)
                .collect();
            for link in given_up {
                world.end_at_broker(link);
            }
            let partition_state = world.broker.cluster.partition_mut(&topic, partition)?;
            partition_state.producers.forget();
            world.tally(kind);
            for program in world.programs() {
                program.producers_forgotten(&topic, partition);
            }
            once
        }
        FaultKind::CoordinatorMove => {
            let ids: Vec<String> = world
                .broker
                .transactions
                .iter()
                .map(|(id, _)| id.to_owned())
                .collect();
            let id = ids.first()?;
            let node = any_node(world, rng, true)?;
            let until = world.now() + Duration::from_millis(rng.spread(1, 1500));
            world
                .broker
                .set_coordinator(CoordinatorKind::Transaction, id, node, until)
                .then(|| world.tally(kind))?;
            once
        }
        FaultKind::TopicLate => {
            let left = world.faults.late.len();
            create_late(world);
            (world.faults.late.len() < left).then_some(Duration::ZERO)
        }
        FaultKind::PartitionsAdded => {
            let (topic, _) = any_partition(world, rng)?;
            let count = world
                .broker
                .cluster
                .topic(&topic)
                .map_or(0, |t| t.partitions.len());
            let more = count as i32 + rng.range(1, 3) as i32;
            world
                .broker
                .create_partitions(&topic, more, None, false)
                .ok()?;
            world.tally(kind);
            once
        }
        FaultKind::Lasting => {
            let at = world.now() + rng.millis(2000, 12_000);
            super::lasting::begin(world, rng, at);
            world.tally(kind);
            Some(at - world.now())
        }
        FaultKind::Shrunk => {
            shrink(world, rng)?;
            world.tally(kind);
            once
        }
        FaultKind::WallJump => {
            let ms = rng.spread(1, 200_000_000) as i64;
            let ms = if rng.chance(1, 2) { ms } else { -ms };
            if rng.chance(2, 3) {
                world.clock.jump_wall(ms);
            } else {
                world.broker_wall_offset += ms;
            }
            world.tally(kind);
            once
        }
        FaultKind::ProcessStopped => {
            let client = rng.below(world.client_count());
            let until = world.now() + Duration::from_millis(rng.spread(50, 30_000));
            world.stop_client(client, until);
            world.tally(kind);
            once
        }
        _ => super::reading::faults::inject(world, kind, rng),
    }
}

/// A fault that is over.
pub(super) fn mend(world: &mut World, index: usize) {
    let Planned { kind, node, .. } = world.faults.planned[index];
    world.faults.planned[index].over = true;
    match kind {
        FaultKind::Crash => world.act(|core, now, out| core.set_alive(now, node, true, out)),
        FaultKind::Pause => world.act(|core, now, out| core.pause(now, node, false, out)),
        FaultKind::AllReplaced => replace_all(world),
        FaultKind::Lasting => super::lasting::end(world),
        _ => {
            let weather = world.net.weather.entry(node).or_default();
            match kind {
                FaultKind::Slow => weather.slow = Duration::ZERO,
                FaultKind::Drip => weather.drip = false,
                FaultKind::Unreachable => weather.hangs = false,
                FaultKind::Refused => weather.refuses = false,
                _ => {}
            }
        }
    }
}

/// Puts everything right that is still wrong after the last fault.
pub(super) fn heal(world: &mut World) {
    world.broker.clear_faults();
    world.broker_wall_offset = 0;
    world
        .net
        .weather
        .values_mut()
        .for_each(|w| *w = Weather::default());
    // No packet of a connection that its client has given up wanders about any more: a late AddPartitionsToTxn begins a
    // transaction that nobody wants, which transactions of the first kind can't help (KIP-890).
    let given_up: Vec<LinkId> = (0..world.net.links.len())
        .filter(|id| !world.net.links[*id].client_open)
        .collect();
    for link in given_up {
        world.end_at_broker(link);
    }
    // What lost packets, or has them still to come, ends rather than have its client wait for its timeout.
    let now = world.now();
    let sick: Vec<LinkId> = (0..world.net.links.len())
        .filter(|id| world.net.links[*id].client_open && world.net.links[*id].is_sick(now))
        .collect();
    for link in sick {
        reset(world, link);
    }
    let nodes: Vec<i32> = world.broker.cluster.nodes.keys().copied().collect();
    for node in nodes {
        world.act(|core, now, out| {
            core.pause(now, node, false, out);
            core.set_alive(now, node, true, out);
        });
    }
    while !world.faults.late.is_empty() {
        create_late(world);
    }
}

fn reset(world: &mut World, link: LinkId) {
    world.end_at_broker(link);
    world.end_at_client(link, "the connection was lost: reset by peer");
}

fn error(world: &mut World, rng: &mut Rng, codes: &[ErrorCode]) -> Option<Duration> {
    let code = rng.pick(codes);
    rule(world, rng, Fault::Error { code }, Some(api_key::PRODUCE))
}

fn after(world: &mut World, rng: &mut Rng, codes: &[ErrorCode]) -> Option<Duration> {
    let code = rng.pick(codes);
    rule(
        world,
        rng,
        Fault::ErrorAfterAppend { code },
        Some(api_key::PRODUCE),
    )
}

/// Has the broker misbehave at the next requests of a kind, `Produce` most of the time.
fn rule(world: &mut World, rng: &mut Rng, fault: Fault, api: Option<i16>) -> Option<Duration> {
    let others = [
        api_key::METADATA,
        api_key::API_VERSIONS,
        api_key::INIT_PRODUCER_ID,
        api_key::FIND_COORDINATOR,
        api_key::ADD_PARTITIONS_TO_TXN,
        api_key::END_TXN,
        api_key::END_TXN,
    ];
    let api = api.unwrap_or_else(|| {
        if rng.chance(3, 4) {
            api_key::PRODUCE
        } else {
            rng.pick(&others)
        }
    });
    let mut rule = FaultRule::new(fault)
        .api(api)
        .times(rng.spread(1, 6) as u32);
    if api == api_key::PRODUCE
        && rng.chance(1, 2)
        && let Some((topic, partition)) = any_partition(world, rng)
    {
        rule = rule.topic(topic).partition(partition);
    }
    world.broker.add_fault(rule);
    Some(Duration::ZERO)
}

pub(super) fn any_node(world: &World, rng: &mut Rng, alive: bool) -> Option<i32> {
    let nodes: Vec<i32> = world
        .broker
        .cluster
        .nodes
        .values()
        .filter(|n| n.alive == alive)
        .map(|n| n.id)
        .collect();
    (!nodes.is_empty()).then(|| rng.pick(&nodes))
}

pub(super) fn any_partition(world: &World, rng: &mut Rng) -> Option<(String, i32)> {
    let all: Vec<(&str, usize)> = world
        .broker
        .cluster
        .topics()
        .map(|t| (t.name.as_str(), t.partitions.len()))
        .collect();
    if all.is_empty() {
        return None;
    }
    let (topic, partitions) = rng.pick(&all);
    Some((topic.to_owned(), rng.below(partitions) as i32))
}

fn any_link(world: &World, rng: &mut Rng) -> Option<LinkId> {
    let open: Vec<LinkId> = world
        .net
        .links
        .iter()
        .enumerate()
        .filter(|(_, l)| l.client_open && l.server.is_some())
        .map(|(id, _)| id)
        .collect();
    (!open.is_empty()).then(|| rng.pick(&open))
}

fn links_of(world: &World, node: i32) -> Vec<LinkId> {
    world
        .net
        .links
        .iter()
        .enumerate()
        .filter(|(_, l)| l.node == node && l.client_open && l.established)
        .map(|(id, _)| id)
        .collect()
}
