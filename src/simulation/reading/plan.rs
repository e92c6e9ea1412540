//! Who reads in a seed, how, with which settings, and how they end.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::super::chance::{Chance, backoffs};
use super::group::Group;
use super::seen::Place;
use crate::rng::Rng;

/// How a member commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commits {
    /// In the background, what counts as read by the next poll.
    Auto,
    /// In the background, what was marked.
    Marks,
    /// Each batch once it is done.
    Batches,
}

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Once everything is read.
    Stays,
    Closes(Duration),
    /// The consumer is freed without being closed.
    Drops(Duration),
    /// The process is killed.
    Dies(Duration),
}

impl Leaving {
    pub(super) fn at(self) -> Option<Duration> {
        match self {
            Leaving::Stays => None,
            Leaving::Closes(at) | Leaving::Drops(at) | Leaving::Dies(at) => Some(at),
        }
    }
}

/// What a seed has chosen for a program that reads.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(super) topics: Vec<String>,
    pub(super) pattern: Option<String>,
    /// Partitions assigned one by one; none: all of the topics, or what the group gives.
    pub(super) assigned: Vec<Place>,
    /// Among them one that does not exist at the start.
    pub(in super::super) absent: Option<Place>,
    pub(super) group: Option<Rc<RefCell<Group>>>,
    pub(super) commits: Commits,
    pub(super) read_committed: bool,
    pub(super) leaving: Leaving,
    /// A pause that is too long for the group, now and then.
    pub(super) late: Option<Duration>,
    /// Between steps, at most.
    pub(super) pause: Duration,
    pub(super) seeks: u32,
}

/// A reader to be: when it begins, its settings, what it does.
pub(in super::super) struct Reader {
    pub(in super::super) begins: Duration,
    pub(in super::super) pairs: Vec<(&'static str, String)>,
    /// Its fetches are smaller than batches.
    pub(in super::super) small: bool,
    pub(in super::super) plan: Plan,
}

/// What a seed has for its readers to read.
pub(in super::super) struct Ground<'a> {
    pub(in super::super) bootstrap: &'a [String],
    pub(in super::super) request_timeout: Duration,
    pub(in super::super) span: Duration,
    /// Topics that producers write, and whether they are there from the start: name, partitions.
    pub(in super::super) written: &'a [(String, i32)],
    pub(in super::super) late: &'a [String],
    pub(in super::super) fed: &'a [String],
}

/// The readers of a seed.
pub(in super::super) fn readers(rng: &mut Rng, ground: &Ground<'_>) -> Vec<Reader> {
    let mut readers = Vec::new();
    let mut number = 0;
    for _ in 0..rng.range(0, 2) {
        number += 1;
        readers.push(assigned(rng, ground, number));
    }
    let groups = match readers.is_empty() {
        true => 1,
        false => rng.range(0, 1),
    };
    for group in 0..groups {
        members(rng, ground, group, &mut number, &mut readers);
    }
    readers
}

fn assigned(rng: &mut Rng, ground: &Ground<'_>, number: u64) -> Reader {
    let read_committed = rng.chance(1, 2);
    let topics: Vec<String> = ground
        .written
        .iter()
        .map(|(topic, _)| topic)
        .chain(ground.fed)
        .cloned()
        .collect();
    let single = rng.chance(1, 4);
    let mut assigned: Vec<Place> = ground
        .written
        .iter()
        .filter(|(topic, _)| single && !ground.late.contains(topic))
        .flat_map(|(topic, partitions)| (0..*partitions).map(|p| (topic.clone(), p)))
        .collect();
    // Others may be added, and then it exists.
    let absent = match assigned.last() {
        Some((topic, partition)) if rng.chance(1, 2) => Some((topic.clone(), partition + 1)),
        _ => None,
    };
    assigned.extend(absent.clone());
    let (mut pairs, small) = settings(rng, ground, number, read_committed);
    if rng.chance(1, 4) {
        pairs.push(("group.id", "watchers".to_owned()));
        pairs.push(("enable.auto.commit", "false".to_owned()));
    }
    let leaving = leaving(rng, ground.span, Duration::ZERO, 8);
    Reader {
        begins: rng.millis(0, ground.span.as_millis() as u64),
        pairs,
        small,
        plan: Plan {
            topics,
            pattern: None,
            assigned,
            absent,
            group: None,
            commits: Commits::Auto,
            read_committed,
            leaving,
            late: None,
            pause: Duration::from_micros(rng.spread(4000, 300_000)),
            seeks: rng.range(0, 4) as u32,
        },
    }
}

/// One in so many stays.
fn leaving(rng: &mut Rng, span: Duration, begins: Duration, stays: u64) -> Leaving {
    let at = begins + rng.millis(10, span.as_millis() as u64);
    match rng.range(0, stays - 1) {
        0 => Leaving::Closes(at),
        1 => Leaving::Drops(at),
        2 => Leaving::Dies(at),
        _ => Leaving::Stays,
    }
}

/// Members of a group: some to the end, and others that come and go.
fn members(
    rng: &mut Rng,
    ground: &Ground<'_>,
    group: u64,
    number: &mut u64,
    readers: &mut Vec<Reader>,
) {
    let read_committed = rng.chance(1, 2);
    let name = format!("group-{group}");
    let books = Rc::new(RefCell::new(Group::new(name.clone(), read_committed)));
    let topics: Vec<String> = ground.written.iter().map(|(t, _)| t.clone()).collect();
    let protocol = rng.pick(&["consumer", "classic", "classic"]);
    let assignor = rng.pick(&[
        "range",
        "roundrobin",
        "sticky",
        "cooperative-sticky",
        "cooperative-sticky",
    ]);
    let by_pattern = rng.chance(1, 4);
    let survivors = rng.range(1, 2);
    let passing = rng.spread(1, 5);
    for i in 0..survivors + passing {
        *number += 1;
        let begins = rng.millis(0, ground.span.as_millis() as u64);
        let stays = i < survivors;
        let leaving = match stays {
            true => Leaving::Stays,
            false => leaving(rng, ground.span, begins, 3),
        };
        let (mut pairs, small) = settings(rng, ground, *number, read_committed);
        let commits = rng.pick(&[
            Commits::Auto,
            Commits::Marks,
            Commits::Batches,
            Commits::Batches,
        ]);
        let interval = rng.spread(600, 60_000);
        pairs.push(("group.id", name.clone()));
        pairs.push(("group.protocol", protocol.to_owned()));
        if protocol == "classic" {
            pairs.push(("partition.assignment.strategy", assignor.to_owned()));
            pairs.push(("session.timeout.ms", rng.range(6000, 20_000).to_string()));
            // A member that learns of a rebalance later than it may take is put out each time.
            let beat = rng.spread(100, (interval / 3).min(3000));
            pairs.push(("heartbeat.interval.ms", beat.to_string()));
        }
        pairs.push(("max.poll.interval.ms", interval.to_string()));
        pairs.push((
            "enable.auto.commit",
            (commits != Commits::Batches).to_string(),
        ));
        pairs.push(("auto.commit.interval.ms", rng.spread(20, 5000).to_string()));
        // Those that come and go may follow one another under one name.
        if !stays && rng.chance(1, 3) {
            pairs.push(("group.instance.id", format!("instance-{}", rng.range(0, 1))));
        }
        readers.push(Reader {
            begins,
            pairs,
            small,
            plan: Plan {
                topics: topics.clone(),
                pattern: by_pattern.then(|| "topic-.*".to_owned()),
                assigned: Vec::new(),
                absent: None,
                group: Some(books.clone()),
                commits,
                read_committed,
                leaving,
                late: rng
                    .chance(1, 4)
                    .then(|| Duration::from_millis(interval + rng.spread(50, 5000))),
                pause: Duration::from_micros(rng.spread(4000, interval * 250)),
                seeks: 0,
            },
        });
    }
}

/// What every reader's settings have.
fn settings(
    rng: &mut Rng,
    ground: &Ground<'_>,
    number: u64,
    read_committed: bool,
) -> (Vec<(&'static str, String)>, bool) {
    let retry = rng.spread(1, 500);
    let reconnect = rng.spread(1, 200);
    let small = rng.chance(1, 4);
    let mut pairs = vec![
        ("bootstrap.servers", ground.bootstrap.join(",")),
        ("client.id", format!("reader-{number}")),
        ("auto.offset.reset", "earliest".to_owned()),
        (
            "isolation.level",
            if read_committed {
                "read_committed"
            } else {
                "read_uncommitted"
            }
            .to_owned(),
        ),
        (
            "request.timeout.ms",
            ground.request_timeout.as_millis().to_string(),
        ),
    ];
    pairs.extend(backoffs(rng, retry, reconnect));
    pairs.extend([
        (
            "socket.connection.setup.timeout.ms",
            rng.spread(500, 10_000).to_string(),
        ),
        ("metadata.max.age.ms", rng.spread(200, 20_000).to_string()),
        (
            "fetch.max.wait.ms",
            rng.spread(5, ground.request_timeout.as_millis().min(1000) as u64 / 2)
                .to_string(),
        ),
    ]);
    if small {
        pairs.push(("max.partition.fetch.bytes", rng.spread(1, 300).to_string()));
    }
    if rng.chance(1, 3) {
        pairs.push(("fetch.max.bytes", rng.spread(1000, 100_000).to_string()));
    }
    if rng.chance(1, 6) {
        pairs.push(("connections.max.idle.ms", rng.spread(200, 5000).to_string()));
    }
    (pairs, small)
}
