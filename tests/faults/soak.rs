//! The soak: random faults, one after the other and together, against three Apache Kafka brokers, for as long as asked.
//!
//! In rounds: two producers of different settings write to topics of their own while faults strike; then all is made
//! well again and the oracle judges. Every choice comes from the seed; what the processes do in the meantime does not.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::ground::{Ground, LIMIT};
use super::load::{Load, Plan, Verdict};
use super::proxy::{Network, Way};
use super::random::Random;

const PARTITIONS: i32 = 6;
const ROUND: Duration = Duration::from_secs(40);
/// How much this process may grow after its second round.
const GROWTH_MB: f64 = 64.0;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Sleeps unless Ctrl-C has been pressed.
fn rest(time: Duration) {
    let by = Instant::now() + time;
    while Instant::now() < by && !INTERRUPTED.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the progress line tells.
#[derive(Default)]
struct Progress {
    round: u32,
    /// What the rounds so far came to.
    verdict: Verdict,
    /// Records acknowledged in this round.
    written: u64,
    retries: u64,
    faults: BTreeMap<&'static str, u32>,
}

fn memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}

pub(crate) fn run(minutes: f64, seed: u64) -> ExitCode {
    println!("soak: {minutes} minutes, seed {seed}; Ctrl-C ends it with a verdict");
    // SAFETY: the handler does nothing but set an atomic flag.
    unsafe {
        libc::signal(libc::SIGINT, interrupt as *const () as libc::sighandler_t);
        libc::signal(libc::SIGTERM, interrupt as *const () as libc::sighandler_t);
    }
    let progress = Arc::new(Mutex::new(Progress::default()));
    let done = Arc::new(AtomicBool::new(false));
    let (shown, over) = (progress.clone(), done.clone());
    let begun = Instant::now();
    let reporter = std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_secs(10));
            let p = shown.lock().unwrap();
            println!(
                "{:5.0} s  round {:3}  written {:9}  retries {:6}  memory {:4.0} MB  {:?}",
                begun.elapsed().as_secs_f64(),
                p.round,
                p.verdict.written as u64 + p.written,
                p.retries,
                memory_mb(),
                p.faults
            );
        }
    });
    let soak = {
        let progress = progress.clone();
        std::thread::Builder::new()
            .name("soak".to_owned())
            .spawn(move || {
                rounds(
                    begun + Duration::from_secs_f64(minutes * 60.0),
                    seed,
                    &progress,
                )
            })
            .unwrap()
    };
    let held = soak.join().is_ok();
    done.store(true, Ordering::Relaxed);
    reporter.thread().unpark();
    let _ = reporter.join();
    let p = progress.lock().unwrap_or_else(|p| p.into_inner());
    let faults: u32 = p.faults.values().sum();
    let words = if held { "the oracle holds" } else { "FAILED" };
    println!(
        "soak: {words} after {} rounds, {faults} faults, {:?}; seed {seed}",
        p.round, p.verdict
    );
    if !held {
        println!("again with the same choices: make soak MINUTES={minutes} SEED={seed}");
    }
    ExitCode::from(u8::from(!held))
}

fn rounds(until: Instant, seed: u64, progress: &Mutex<Progress>) {
    let mut random = Random::new(seed);
    let mut ground = Ground::kafka(seed);
    let mut settled = None;
    while Instant::now() < until && !INTERRUPTED.load(Ordering::Relaxed) {
        progress.lock().unwrap().round += 1;
        round(&mut ground, &mut random, until, progress);
        let now = memory_mb();
        // Buffers and threads are all there after two rounds.
        if progress.lock().unwrap().round == 2 {
            settled = Some(now);
        }
        if let Some(settled) = settled {
            assert!(
                now < settled + GROWTH_MB,
                "memory grew from {settled:.0} to {now:.0} MB"
            );
        }
    }
}

fn round(ground: &mut Ground, random: &mut Random, until: Instant, progress: &Mutex<Progress>) {
    let plans: Vec<Plan> = (0..2).map(|i| plan(ground, random, i)).collect();
    let loads: Vec<Load> = plans.iter().map(|plan| Load::start(ground, plan)).collect();
    let end = until.min(Instant::now() + ROUND);
    let mut broken: Option<(i32, &'static str)> = None;
    while Instant::now() < end && !INTERRUPTED.load(Ordering::Relaxed) {
        let name = strike(ground, random, &plans, &mut broken);
        {
            let mut p = progress.lock().unwrap();
            if let Some(name) = name {
                *p.faults.entry(name).or_default() += 1;
            }
            p.written = loads.iter().map(Load::all_written).sum();
        }
        rest(Duration::from_millis(500 + random.below(3500) as u64));
    }
    ground.heal();
    mend(ground, &mut broken);
    for load in &loads {
        load.progress(20);
    }
    for load in loads {
        let patient = load.is_patient();
        let finished = load.finish(LIMIT);
        let verdict = finished.judge(ground);
        if patient {
            let failed = verdict.not_written + verdict.possibly_written;
            assert_eq!(failed, 0, "{verdict:?}: {:?}", finished.errors().first());
        }
        let mut p = progress.lock().unwrap();
        p.retries += finished.counts.retries;
        p.written = 0;
        p.verdict.add(verdict);
    }
    for plan in &plans {
        ground.delete_topic(&plan.topic);
    }
}

/// The first producer has time enough to deliver everything; the second's time is short, so that some records end
/// without being written.
fn plan(ground: &mut Ground, random: &mut Random, which: usize) -> Plan {
    let topic = ground.topic("soak", PARTITIONS, &[]);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let mut plan = Plan::new(&topic, PARTITIONS)
        .rate(300 + random.below(1500) as u64)
        .value_len(20 + random.below(800))
        .set("compression.type", codecs[random.below(codecs.len())])
        .set("linger.ms", [0, 1, 5, 50][random.below(4)])
        .set("batch.size", [1000, 16_384, 200_000][random.below(3)])
        .set("request.timeout.ms", 1000 + random.below(4000));
    if random.below(3) == 0 {
        plan = plan.set("buffer.memory", 500_000).refuse();
    }
    if which == 1 {
        plan = plan.set("delivery.timeout.ms", 6000 + random.below(10_000));
    }
    plan
}

/// One random fault, if any; now and then what is wrong is made well instead. At most one broker is down or still at a time, so that two replicas are in sync.
fn strike(
    ground: &mut Ground,
    random: &mut Random,
    plans: &[Plan],
    broken: &mut Option<(i32, &'static str)>,
) -> Option<&'static str> {
    let broker = 1 + random.below(3) as i32;
    let ms = |n: usize| Duration::from_millis(n as u64);
    let api = (random.below(2) == 0).then_some(0);
    let mut way = Way::default();
    let name = match random.below(13) {
        0..=2 => {
            if broken.is_some() {
                mend(ground, broken);
                return None;
            }
            let (order, mending) = [
                ("kill", "restart"),
                ("terminate", "restart"),
                ("pause", "resume"),
            ][random.below(3)];
            ground.order(&format!("{order} {broker}"));
            *broken = Some((broker, mending));
            return Some(order);
        }
        3 => {
            let plan = &plans[random.below(plans.len())];
            if broken.is_some() {
                return None;
            }
            ground.move_leaders(&plan.topic, random.below(2) as i32);
            return Some("leaders moved");
        }
        4 => {
            ground.proxy(broker).reset();
            return Some("reset");
        }
        5 => {
            ground.proxy(broker).refuse(true);
            rest(ms(random.below(2000)));
            ground.proxy(broker).refuse(false);
            return Some("refused");
        }
        6 | 7 => {
            ground.heal();
            return None;
        }
        8 => {
            way.delay = ms(random.below(3000));
            "delay"
        }
        9 => {
            way.rate = Some(20_000 + random.below(200_000) as u64);
            "throttle"
        }
        10 => {
            way.swallow = true;
            "half-open"
        }
        11 => {
            way.dribble = true;
            "dribble"
        }
        _ => {
            way.cuts = 1 + random.below(3) as u32;
            "cut"
        }
    };
    let (to_broker, to_client) = match random.below(3) {
        0 => (way.clone(), Way::default()),
        1 => (Way::default(), way.clone()),
        _ => (way.clone(), way),
    };
    ground.proxy(broker).set(Network {
        to_broker,
        to_client,
        api,
    });
    Some(name)
}

/// Brings back the broker that is down or still.
fn mend(ground: &mut Ground, broken: &mut Option<(i32, &'static str)>) {
    if let Some((broker, order)) = broken.take() {
        ground.order(&format!("{order} {broker}"));
    }
}
