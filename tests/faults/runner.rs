//! Which scenarios there are, and running them one after the other.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::ground::Ground;
use super::harness::Arguments;
use super::random::Random;
use super::{brokers, groups, member, network, soak, transactions};

struct Scenario {
    name: &'static str,
    run: fn(&mut Ground),
    embedded: bool,
    kafka: bool,
}

const fn both(name: &'static str, run: fn(&mut Ground)) -> Scenario {
    Scenario {
        name,
        run,
        embedded: true,
        kafka: true,
    }
}

const fn embedded(name: &'static str, run: fn(&mut Ground)) -> Scenario {
    Scenario {
        kafka: false,
        ..both(name, run)
    }
}

const fn kafka(name: &'static str, run: fn(&mut Ground)) -> Scenario {
    Scenario {
        embedded: false,
        ..both(name, run)
    }
}

const SCENARIOS: &[Scenario] = &[
    both("replies_lost", network::replies_lost),
    both("leaders_move", network::leaders_move),
    both("cut_and_dribbled", network::cut_and_dribbled),
    both("half_open", network::half_open),
    embedded("half_open_for_long", network::half_open_for_long),
    both("one_slow_broker", network::one_slow_broker),
    both("late_replies", network::late_replies),
    both("transactions", transactions::transactions),
    embedded("all_refuse", network::all_refuse),
    both("delivery_time_ends", network::delivery_time_ends),
    embedded("buffer_full", network::buffer_full),
    embedded("closed_amid_waits", network::closed_amid_waits),
    kafka("leaders_killed", brokers::leaders_killed),
    kafka("rolling_restart", brokers::rolling_restart),
    kafka("broker_stopped", brokers::broker_stopped),
    kafka("client_stopped", brokers::client_stopped),
    kafka("not_enough_replicas", brokers::not_enough_replicas),
    kafka("quota", brokers::quota),
    kafka("too_large", brokers::too_large),
    kafka("records_deleted", brokers::records_deleted),
    kafka(
        "coordinator_lost_amid_commits",
        groups::coordinator_lost_amid_commits,
    ),
    kafka("group_storm", groups::group_storm),
    kafka("classic_group_storm", groups::classic_group_storm),
    // It leaves the brokers at other addresses: last.
    kafka("all_replaced", brokers::all_replaced),
];

/// Scenarios on the embedded broker that run side by side: each waits most of its time.
const SIDE_BY_SIDE: usize = 4;

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, minutes, rest @ ..] = &arguments[..]
        && flag == "--soak"
    {
        let seed = match rest {
            [flag, seed] if flag == "--seed" => seed.parse().expect("a seed is a number"),
            _ => Random::from_os().next() % 1_000_000,
        };
        return soak::run(minutes.parse().expect("minutes are a number"), seed);
    }
    if let [flag, rest @ ..] = &arguments[..]
        && flag == "--member"
    {
        member::run(rest);
        return ExitCode::SUCCESS;
    }
    let on_kafka = arguments.iter().any(|a| a == "--kafka");
    let asked = Arguments::new(&arguments);
    let wanted = |s: &&Scenario| asked.wants(s.name);
    let here = |s: &&Scenario| if on_kafka { s.kafka } else { s.embedded };
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(wanted).filter(here).collect();
    if asked.list {
        chosen.iter().for_each(|s| println!("{}: test", s.name));
        return ExitCode::SUCCESS;
    }
    let failed = if on_kafka {
        one_by_one(&chosen)
    } else {
        side_by_side(&chosen)
    };
    let left = SCENARIOS.iter().filter(wanted).filter(|s| !here(s)).count();
    let passed = chosen.len() - failed;
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed; {left} ignored");
    ExitCode::from(u8::from(failed > 0))
}

/// Runs a scenario in a thread of its name; the ground it leaves, unless it failed.
fn run(scenario: &Scenario, ground: impl FnOnce() -> Ground + Send) -> Option<Ground> {
    let begun = Instant::now();
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(scenario.name.to_owned());
        let body = || {
            let mut ground = ground();
            (scenario.run)(&mut ground);
            ground.heal();
            ground
        };
        thread.spawn_scoped(scope, body).unwrap().join()
    });
    let verdict = if done.is_ok() { "ok" } else { "FAILED" };
    let took = begun.elapsed().as_secs_f64();
    println!("test {} ... {verdict} ({took:.1} s)", scenario.name);
    done.ok()
}

/// A real cluster takes long to start: the next scenario uses it too, unless this one failed amid a fault.
fn one_by_one(chosen: &[&Scenario]) -> usize {
    let mut shared: Option<Ground> = None;
    let mut failed = 0;
    for scenario in chosen {
        let ground = shared.take();
        shared = run(scenario, || ground.unwrap_or_else(|| Ground::kafka(1)));
        failed += usize::from(shared.is_none());
    }
    failed
}

fn side_by_side(chosen: &[&Scenario]) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(scenario) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if run(scenario, || Ground::embedded(1)).is_none() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}
