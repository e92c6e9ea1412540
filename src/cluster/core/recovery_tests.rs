//! Back to the bootstrap servers: when no known broker answers, when one asks for it, when one is not the one meant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::engine::Role;
use crate::client::rig::Rig;
use crate::cluster::core::{Core, Event};
use crate::config::ProducerConfig;
use crate::error::ErrorCode;
use crate::stats::Stats;

/// Wants nothing but the cluster, and notes why it can't be reached.
#[derive(Default)]
struct Nobody {
    unreachable: Vec<ErrorCode>,
}

impl Role for Nobody {
    type Tag = ();

    fn on_event(&mut self, _: &mut Core<()>, _: Instant, event: Event<()>) {
        if let Event::Unreachable(error) = event {
            self.unreachable.push(error.code());
        }
    }

    fn poll(&mut self, _: &mut Core<()>, _: Instant) -> Option<Instant> {
        None
    }

    fn finished(&self) -> bool {
        false
    }

    fn stats(&self, core: &Core<()>, now: Instant) -> Stats {
        core.plain_stats("test", now)
    }
}

fn rig(more: &[(&str, &str)]) -> Rig<Nobody> {
    let pairs = [
        ("bootstrap.servers", "seed:1000"),
        ("enable.metrics.push", "false"),
    ];
    let pairs = pairs.into_iter().chain(more.iter().copied());
    let config = ProducerConfig::from_pairs(pairs).unwrap();
    Rig::new(Arc::new(config.common), |_, _| Nobody::default())
}

impl Rig<Nobody> {
    fn settle(&mut self) {
        self.turn();
        assert!(self.engine.core.contacted());
        self.engine.core.refresh_metadata();
        self.wait(1000);
        // The bootstrap address is asked for as long as its connection stands; now a broker by its id is.
        let seeds: Vec<u64> = self
            .conns
            .iter()
            .filter(|(_, n)| **n == -1)
            .map(|(c, _)| *c)
            .collect();
        self.down.insert(-1);
        seeds.into_iter().for_each(|conn| self.cut(conn));
        self.engine.core.refresh_metadata();
        self.wait(2000);
        assert!(self.conns.values().any(|n| *n > 0), "{:?}", self.conns);
        self.down.clear();
        self.tried.clear();
    }

    fn lose_brokers(&mut self) {
        self.down.extend([1, 2, 3]);
        let conns: Vec<u64> = self.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.cut(conn));
        for _ in 0..600 {
            self.wait(100);
        }
    }
}

#[test]
fn where_no_known_broker_answers_the_strategy_says_whether_to_bootstrap_again() {
    let mut again = rig(&[]);
    again.settle();
    again.lose_brokers();
    assert!(again.tried.contains(&-1), "{:?}", again.tried);

    let mut never = rig(&[("metadata.recovery.strategy", "none")]);
    never.settle();
    never.lose_brokers();
    assert!(!never.tried.contains(&-1), "{:?}", never.tried);
    assert!(never.tried.len() > 10, "the known ones are tried on");
    never.down.clear();
    never.wait(2000);
    assert!(!never.conns.is_empty());
}

#[test]
fn brokers_that_give_no_metadata_for_too_long_are_forgotten() {
    for (strategy, left) in [("rebootstrap", 0), ("none", 3)] {
        let mut rig = rig(&[
            ("metadata.recovery.strategy", strategy),
            ("metadata.recovery.rebootstrap.trigger.ms", "90s"),
        ]);
        rig.settle();
        rig.down.insert(-1);
        rig.lose_brokers();
        assert_eq!(rig.engine.core.brokers().count(), 3, "after 60 s");
        for _ in 0..400 {
            rig.wait(100);
        }
        assert_eq!(rig.engine.core.brokers().count(), left, "{strategy}");
        // Not the whole time at full speed.
        assert!(rig.tried.len() < 1000, "{} attempts", rig.tried.len());
        rig.down.clear();
        rig.wait(3000);
        rig.wait(3000);
        assert_eq!(rig.engine.core.brokers().count(), 3, "{strategy}");
    }
}

#[test]
fn a_broker_is_told_whom_it_is_taken_for_and_one_that_is_another_is_forgotten() {
    let mut rig = rig(&[]);
    rig.checks_ids = true;
    rig.settle();
    let (node, version, body) = rig.greetings.iter().find(|(n, ..)| *n > 0).unwrap().clone();
    assert_eq!(version, 5);
    let end = [&[12][..], b"the-cluster", &node.to_be_bytes(), &[0]].concat();
    assert!(body.ends_with(&end), "{body:?}");
    // The bootstrap address is nobody's in particular.
    assert!(rig.greetings.iter().all(|(n, v, _)| *n > 0 || *v < 5));

    rig.misrouted.extend([1, 2, 3]);
    let conns: Vec<u64> = rig.conns.keys().copied().collect();
    conns.into_iter().for_each(|conn| rig.cut(conn));
    for _ in 0..100 {
        rig.wait(100);
    }
    assert!(rig.tried.contains(&-1), "{:?}", rig.tried);
    assert!(rig.tried.len() < 60, "{} attempts in 10 s", rig.tried.len());
}

#[test]
fn nobody_is_told_where_that_is_not_wanted_or_not_understood() {
    for (key, value, understood) in [
        ("metadata.cluster.check.enable", "false", true),
        ("metadata.recovery.strategy", "none", true),
        ("client.id", "as-it-comes", false),
    ] {
        let mut rig = rig(&[(key, value)]);
        rig.checks_ids = understood;
        rig.settle();
        assert!(rig.greetings.iter().any(|(n, ..)| *n > 0));
        assert!(
            rig.greetings.iter().all(|(_, version, _)| *version == 4),
            "{key}"
        );
    }
}

#[test]
fn names_that_are_not_found_end_the_wait_after_the_limit_for_that() {
    let config = ProducerConfig::from_pairs([
        ("bootstrap.servers", "seed:1000"),
        ("bootstrap.resolve.timeout.ms", "3s"),
        ("socket.connection.setup.timeout.ms", "30s"),
    ]);
    let now = Instant::now();
    let log = Arc::new(crate::log::LogRing::new("c", None));
    let clock = crate::clock::Clock::System;
    let mut core: Core<()> = Core::new(Arc::new(config.unwrap().common), log, clock, now);
    let mut ended = None;
    for tick in 0..100 {
        let at = now + Duration::from_millis(100 * tick);
        core.poll(at);
        for action in core.take_actions() {
            if let super::Action::Connect { conn, .. } = action {
                let error = crate::Error::new(ErrorCode::DNS, "name look-up of 'seed' failed");
                core.on_ended(at, conn, error);
            }
        }
        core.poll(at);
        if let Some(Event::Unreachable(error)) = core.next_event() {
            assert_eq!(error.code(), ErrorCode::DNS);
            ended.get_or_insert(at - now);
        }
    }
    let ended = ended.unwrap();
    assert!((3..5).contains(&ended.as_secs()), "{ended:?}");
}
