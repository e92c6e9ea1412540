//! Rows 12 and 13. A rebalance storm: members are processes that come, leave, are killed and stopped, while brokers are killed and
//! stopped too, the group's coordinator among them. Every record that was written is read, no partition is read by two members
//! at once, and in the end all of it is committed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ottla::config::ConsumerConfig;
use ottla::consumer::{Consumer, Polled, Start};

use super::brokers::{in_sync, is_long};
use super::ground::{Ground, LIMIT};
use super::load::{Load, Plan};
use super::member::monotonic;
use super::random::Random;

/// At most; fewer where the storm is short, as each is a process.
const MEMBERS: usize = 12;
const PARTITIONS: i32 = 60;
/// Longer than a member may be silent (`group.consumer.session.timeout.ms`, `session.timeout.ms`).
const STOPPED: Duration = Duration::from_secs(8);

/// What members told, and what was done to them: time, member, word, numbers.
type Story = Arc<Mutex<Vec<(u64, usize, String, Vec<i64>)>>>;

struct Members {
    protocol: &'static str,
    servers: String,
    topic: String,
    story: Story,
    living: Vec<(usize, Child)>,
    stopped: Vec<(usize, Child, Instant)>,
    leaving: Vec<Child>,
    born: usize,
}

impl Members {
    fn add(&mut self) {
        let number = self.born;
        self.born += 1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--member",
                &self.servers,
                &self.topic,
                &self.topic,
                self.protocol,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let story = self.story.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut words = line.split(' ');
                let time = words.next().and_then(|t| t.parse().ok());
                let (Some(time), Some(word)) = (time, words.next()) else {
                    continue;
                };
                let numbers = words.filter_map(|n| n.parse().ok()).collect();
                let entry = (time, number, word.to_owned(), numbers);
                story.lock().unwrap().push(entry);
            }
        });
        self.living.push((number, child));
    }

    /// From now on others may have what this one has, without a word of its own.
    fn away(&self, number: usize) {
        let entry = (monotonic(), number, "away".to_owned(), Vec::new());
        self.story.lock().unwrap().push(entry);
    }

    fn any(&mut self, dice: &mut Random) -> (usize, Child) {
        let at = dice.below(self.living.len());
        self.living.swap_remove(at)
    }

    fn kill(&mut self, dice: &mut Random) {
        let (number, mut child) = self.any(dice);
        // Before, as it may be that nobody hears of its last words.
        self.away(number);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn stop(&mut self, dice: &mut Random) {
        let (number, child) = self.any(dice);
        self.away(number);
        signal(&child, libc::SIGSTOP);
        self.stopped.push((number, child, Instant::now()));
    }

    /// Wakes those that were silent for too long.
    fn wake(&mut self, all: bool) {
        for (number, child, since) in std::mem::take(&mut self.stopped) {
            if all || since.elapsed() > STOPPED {
                signal(&child, libc::SIGCONT);
                self.living.push((number, child));
            } else {
                self.stopped.push((number, child, since));
            }
        }
    }

    fn leave(&mut self, dice: &mut Random) {
        let (_, mut child) = self.any(dice);
        drop(child.stdin.take());
        self.leaving.push(child);
    }

    /// Has all leave, in the time that a close may take.
    fn end(&mut self) {
        let living = std::mem::take(&mut self.living);
        self.leaving
            .extend(living.into_iter().map(|(_, child)| child));
        self.leaving
            .iter_mut()
            .for_each(|child| drop(child.stdin.take()));
        let by = Instant::now() + LIMIT;
        for child in &mut self.leaving {
            while child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < by, "a member does not leave");
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(child.wait().unwrap().success(), "a member has failed");
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.wake(true);
        let living = self.living.iter_mut().map(|(_, child)| child);
        for child in living.chain(&mut self.leaving) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: a signal to a child that was not waited for, so that the number is still its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

pub(crate) fn group_storm(ground: &mut Ground) {
    storm(ground, "consumer");
}

pub(crate) fn classic_group_storm(ground: &mut Ground) {
    storm(ground, "classic");
}

fn storm(ground: &mut Ground, protocol: &'static str) {
    let topic = ground.topic(&format!("storm-{protocol}"), PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS).rate(300));
    let story = Story::default();
    let mut members = Members {
        protocol,
        servers: ground.bootstrap(),
        topic: topic.clone(),
        story: story.clone(),
        living: Vec::new(),
        stopped: Vec::new(),
        leaving: Vec::new(),
        born: 0,
    };
    let most = if is_long() { MEMBERS } else { 5 };
    (0..most).for_each(|_| members.add());
    let time = Duration::from_secs(if is_long() { 300 } else { 20 });
    let (begun, mut dice, mut round) = (Instant::now(), Random::new(13), 0);
    while begun.elapsed() < time {
        members.wake(false);
        match dice.below(4) {
            _ if members.living.len() < most / 2 => {}
            0 => members.kill(&mut dice),
            1 => members.stop(&mut dice),
            _ => members.leave(&mut dice),
        }
        while members.living.len() + members.stopped.len() < most {
            members.add();
        }
        // Each broker in turn, so that the group's coordinator is among them. One that was killed takes its time to come
        // back, so that happens in long storms only.
        let broker = round / 2 % 3 + 1;
        match round % 4 {
            0 if is_long() => ground.order(&format!("kill {broker}")),
            1 if is_long() => {
                ground.order(&format!("restart {broker}"));
                in_sync(ground, &topic, 3);
            }
            0 | 2 => ground.order(&format!("pause {broker}")),
            _ => ground.order(&format!("resume {broker}")),
        }
        round += 1;
        std::thread::sleep(Duration::from_millis(2500));
    }
    // Whatever was broken last is mended.
    if round % 2 == 1 {
        let broker = (round - 1) / 2 % 3 + 1;
        let killed = is_long() && round % 4 == 1;
        ground.order(&format!(
            "{} {broker}",
            if killed { "restart" } else { "resume" }
        ));
    }
    members.wake(true);
    let finished = load.finish(LIMIT);
    finished.all_written(ground);
    let ends: Vec<i64> = ends(ground, &topic);
    ground.until("every record is read", |_| {
        missing(&story, &ends).is_empty()
    });
    ground.until("all is committed", |ground| {
        committed(ground, &topic) == ends
    });
    members.end();
    let story = story.lock().unwrap();
    let count = |wanted: &str| {
        story
            .iter()
            .filter(|(_, _, word, _)| word == wanted)
            .count()
    };
    note!(
        "{} members lived; partitions assigned {} times, revoked {}, lost {}; {} members killed or stopped",
        members.born,
        count("assigned"),
        count("revoked"),
        count("lost"),
        count("away")
    );
    // A classic group in which members keep falling silent may hardly ever come to rest.
    assert!(count("revoked") > 0 || protocol == "classic");
    assert!(count("assigned") > 0 && count("away") > 0);
    one_owner_at_a_time(&story);
}

fn consumer(ground: &Ground, group: &str) -> Consumer {
    let servers = ground.direct.join(",");
    let pairs = [("bootstrap.servers", &*servers), ("group.id", group)];
    Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap()
}

fn ends(ground: &Ground, topic: &str) -> Vec<i64> {
    let all: Vec<(&str, i32)> = (0..PARTITIONS).map(|p| (topic, p)).collect();
    let consumer = consumer(ground, topic);
    consumer.end_offsets(&all, LIMIT).unwrap()
}

fn committed(ground: &Ground, topic: &str) -> Vec<i64> {
    let all: Vec<(&str, i32)> = (0..PARTITIONS).map(|p| (topic, p)).collect();
    let found = consumer(ground, topic).committed(&all, LIMIT).unwrap();
    found
        .into_iter()
        .map(|c| c.map_or(0, |c| c.offset))
        .collect()
}

/// Partitions of which not everything was read, and how many records each lacks.
fn missing(story: &Story, ends: &[i64]) -> BTreeMap<usize, usize> {
    let mut read: Vec<Vec<bool>> = ends.iter().map(|end| vec![false; *end as usize]).collect();
    for (_, _, word, numbers) in story.lock().unwrap().iter() {
        if let ("read", [partition, offsets @ ..]) = (&**word, &numbers[..]) {
            for offset in offsets {
                read[*partition as usize][*offset as usize] = true;
            }
        }
    }
    let lacks = read.iter().map(|r| r.iter().filter(|was| !**was).count());
    lacks.enumerate().filter(|(_, n)| *n > 0).collect()
}

/// By the members' own words in the order of their times: who is given a partition has it alone, unless who had it before
/// was killed, stopped or has left; and nobody reads what it does not have.
fn one_owner_at_a_time(story: &[(u64, usize, String, Vec<i64>)]) {
    let mut story: Vec<_> = story.to_vec();
    story.sort();
    // The owner of each partition, and whether others may take over without its word.
    let mut owners: BTreeMap<i64, (usize, bool)> = BTreeMap::new();
    for (_, member, word, numbers) in &story {
        match &**word {
            "assigned" => {
                for partition in numbers {
                    let before = owners.insert(*partition, (*member, false));
                    assert!(
                        before.is_none_or(|(owner, away)| away || owner == *member),
                        "partition {partition} is given to member {member} while {before:?} has it"
                    );
                }
            }
            "revoked" | "lost" => {
                for partition in numbers {
                    if owners
                        .get(partition)
                        .is_some_and(|(owner, _)| owner == member)
                    {
                        owners.remove(partition);
                    }
                }
            }
            "away" | "left" => {
                for (owner, away) in owners.values_mut() {
                    *away |= owner == member;
                }
            }
            // One that was stopped may wake with records at hand that it got before.
            "read" => {
                let owner = owners.get(&numbers[0]);
                let stopped = || {
                    let mut own = story.iter().filter(|(_, m, ..)| m == member);
                    own.any(|(_, _, word, _)| word == "away")
                };
                assert!(
                    owner.is_some_and(|(owner, _)| owner == member) || stopped(),
                    "member {member} reads {} of {owner:?}",
                    numbers[0]
                );
            }
            _ => {}
        }
    }
}

/// Row 12: every broker in turn stands still and goes on, the group's coordinator among them, while a consumer commits each
/// batch and waits for it. What is committed in the end is what was read.
pub(crate) fn coordinator_lost_amid_commits(ground: &mut Ground) {
    const PARTITIONS: i32 = 3;
    let topic = ground.topic("commits", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS).rate(300));
    let servers = ground.bootstrap();
    let pairs = [
        ("bootstrap.servers", &*servers),
        ("group.id", &*topic),
        ("enable.auto.commit", "false"),
        ("request.timeout.ms", "2000"),
        ("reconnect.backoff.max.ms", "250"),
    ];
    let consumer = Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap();
    consumer.assign_topic(&topic, Start::Earliest).unwrap();
    let (over, commits) = (AtomicBool::new(false), AtomicU64::new(0));
    let read = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut next = vec![0; PARTITIONS as usize];
            while !over.load(Ordering::Relaxed) {
                if let Polled::Batch(batch) = consumer.poll(0, Duration::from_millis(100)).unwrap()
                {
                    consumer.commit_batch(&batch, LIMIT).unwrap();
                    commits.fetch_add(1, Ordering::Relaxed);
                    for record in batch.iter() {
                        let next = &mut next[record.partition() as usize];
                        assert_eq!(record.offset(), *next, "partition {}", record.partition());
                        *next += 1;
                    }
                }
            }
            next
        });
        for broker in 1..=3 {
            ground.order(&format!("pause {broker}"));
            std::thread::sleep(Duration::from_secs(4));
            ground.order(&format!("resume {broker}"));
            let before = commits.load(Ordering::Relaxed);
            ground.until("commits go on", |_| {
                commits.load(Ordering::Relaxed) > before + 5
            });
        }
        over.store(true, Ordering::Relaxed);
        reading.join().unwrap()
    });
    load.finish(LIMIT).all_written(ground);
    let all: Vec<(&str, i32)> = (0..PARTITIONS).map(|p| (&*topic, p)).collect();
    let found = consumer.committed(&all, LIMIT).unwrap();
    let committed: Vec<i64> = found
        .into_iter()
        .map(|c| c.map_or(0, |c| c.offset))
        .collect();
    assert_eq!(committed, read);
}
