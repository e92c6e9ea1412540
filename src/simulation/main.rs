//! Runs the seeded simulation: many seeds (`--seeds N --start S`), one (`--seed N [--trace]`), the planted bugs (`--bugs`),
//! each of which some seed must find, or every request refused with every error for good (`--refusals`).

#[path = "refusals/run.rs"]
mod refusals;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla::simulation::{BUGS, Bug, FaultKind, Report, simulate};

/// What every seed has to go through.
const LEAST_RECORDS: u64 = 1000;
const LEAST_FAULTS: u64 = 5;
/// Every so many-th seed runs twice, and both traces must be the same.
const TWICE: u64 = 20;
/// Seeds that a planted bug may take to be found.
const SEEDS_FOR_A_BUG: u64 = 4000;
/// Fewer seeds need not meet every kind of fault.
const ALL_KINDS_FROM: u64 = 1000;
const TELL_EVERY: Duration = Duration::from_secs(10);

struct Options {
    start: u64,
    seeds: u64,
    one: bool,
    trace: bool,
    bugs: bool,
    refusals: bool,
    bug: Option<&'static str>,
    jobs: usize,
    /// Combinations to try: those whose words have all of these in them.
    only: Option<String>,
}

const USAGE: &str = "simulate [--seeds N] [--start S] [--jobs J] | --seed N [--trace] [--bug NAME] | --bugs | \
                     --refusals ['WORDS OF THE COMBINATIONS'] [--jobs J] [--trace]";

fn options() -> Result<Options, String> {
    let mut o = Options {
        start: 0,
        seeds: 2000,
        one: false,
        trace: false,
        bugs: false,
        refusals: false,
        bug: None,
        only: None,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            text.parse::<u64>()
                .map_err(|e| format!("{arg} {text}: {e}"))
        };
        match arg.as_str() {
            "--seeds" => o.seeds = number()?,
            "--start" => o.start = number()?,
            "--jobs" => o.jobs = number()?.max(1) as usize,
            "--seed" => (o.start, o.seeds, o.one) = (number()?, 1, true),
            "--trace" => o.trace = true,
            "--bugs" => o.bugs = true,
            "--refusals" => o.refusals = true,
            "--bug" => {
                let name = args.next().unwrap_or_default();
                let bug = BUGS.iter().find(|b| b.name == name);
                o.bug = Some(
                    bug.ok_or_else(|| format!("there is no bug '{name}'; --bugs lists them"))?
                        .name,
                );
            }
            _ if o.refusals && !arg.starts_with('-') => o.only = Some(arg),
            _ => return Err(format!("{arg} is none of: {USAGE}")),
        }
    }
    Ok(o)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(2);
        }
    };
    let good = if options.refusals {
        refusals::all(options.only.as_deref(), options.jobs, options.trace)
    } else if options.bugs {
        find_bugs(&options)
    } else if options.one {
        one(&options)
    } else {
        many(&options)
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What is wrong with a seed's run.
fn fault_of(report: &Report) -> Option<String> {
    let fired: u64 = report.fired.values().sum();
    match &report.failure {
        Some(failure) => Some(failure.clone()),
        None if report.records < LEAST_RECORDS => {
            Some(format!("only {} records were accepted", report.records))
        }
        None if fired < LEAST_FAULTS => Some(format!("only {fired} faults fired")),
        None => None,
    }
}

fn replay(seed: u64, bug: Option<&str>) -> String {
    let bug = bug.map_or_else(String::new, |name| format!(" BUG={name}"));
    format!("make simulate SEED={seed}{bug}   (TRACE=1 prints every event)")
}

fn one(options: &Options) -> bool {
    let report = simulate(options.start, options.bug, options.trace);
    println!(
        "seed {}: {} events in {:.1} s of virtual time, {} records, trace {:016x}",
        options.start,
        report.events,
        report.virtual_ms as f64 / 1000.0,
        report.records,
        report.hash
    );
    print_kinds(&report.fired, false);
    match fault_of(&report) {
        Some(what) => println!("FAILED: {what}"),
        None => println!("ok"),
    }
    fault_of(&report).is_none()
}

/// Runs seeds on all cores until they are done or one fails; what failed.
fn run(
    options: &Options,
    bug: Option<&'static str>,
    quiet: bool,
    seeds: u64,
    each: impl Fn(u64, &Report) + Sync,
) -> Option<(u64, String)> {
    let next = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let told = Mutex::new(Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= seeds {
                        return;
                    }
                    let seed = options.start + n;
                    // A panic is a failure of its seed, and must name it.
                    let once = || std::panic::catch_unwind(|| simulate(seed, bug, false));
                    let what = match once() {
                        Ok(report) => {
                            each(seed, &report);
                            fault_of(&report).or_else(|| {
                                let again =
                                    (bug.is_none() && seed.is_multiple_of(TWICE)).then(once);
                                let same = again.is_none_or(|r| {
                                    r.is_ok_and(|r| {
                                        (r.hash, r.events) == (report.hash, report.events)
                                    })
                                });
                                (!same).then(|| "a second run went another way".to_owned())
                            })
                        }
                        Err(_) => Some("a panic".to_owned()),
                    };
                    if let Some(what) = what {
                        let mut failed = failed.lock().unwrap_or_else(|e| e.into_inner());
                        if failed.as_ref().is_none_or(|(other, _)| seed < *other) {
                            *failed = Some((seed, what));
                        }
                        stop.store(true, Ordering::Relaxed);
                    }
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if let Ok(mut told) = told.try_lock()
                        && !quiet
                        && told.elapsed() > TELL_EVERY
                    {
                        *told = Instant::now();
                        println!("  {count} of {seeds} seeds");
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(|e| e.into_inner())
}

fn many(options: &Options) -> bool {
    let begun = Instant::now();
    let totals: Mutex<(BTreeMap<FaultKind, u64>, u64, u64, u64)> = Mutex::default();
    let failed = run(options, options.bug, false, options.seeds, |_, report| {
        let mut totals = totals.lock().unwrap_or_else(|e| e.into_inner());
        for (kind, n) in &report.fired {
            *totals.0.entry(*kind).or_default() += n;
        }
        totals.1 += report.records;
        totals.2 += report.events;
        totals.3 += report.virtual_ms;
    });
    if let Some((seed, what)) = failed {
        println!(
            "seed {seed} FAILED: {what}\nagain with: {}",
            replay(seed, options.bug)
        );
        return false;
    }
    let (fired, records, events, virtual_ms) =
        totals.into_inner().unwrap_or_else(|e| e.into_inner());
    println!(
        "{} seeds from {}: {records} records, {} faults, {events} events, {:.1} h of virtual time in {:.1} s",
        options.seeds,
        options.start,
        fired.values().sum::<u64>(),
        virtual_ms as f64 / 3.6e6,
        begun.elapsed().as_secs_f64()
    );
    let complete = print_kinds(&fired, options.seeds >= ALL_KINDS_FROM);
    if complete {
        println!("ok: {} checks", options.seeds);
    }
    complete
}

/// How often each kind of fault fired; false if all must have, and one has not.
fn print_kinds(fired: &BTreeMap<FaultKind, u64>, all: bool) -> bool {
    let mut missing = false;
    for kind in FaultKind::ALL {
        let n = fired.get(kind).copied().unwrap_or(0);
        if n > 0 || all {
            println!("  {n:>9}  {}", kind.name());
        }
        missing |= n == 0;
    }
    if all && missing {
        println!("FAILED: a kind of fault never fired");
    }
    !(all && missing)
}

/// Plants each bug; some seed must fail.
fn find_bugs(options: &Options) -> bool {
    let mut all = true;
    for Bug {
        name,
        what,
        seen_in,
    } in BUGS
    {
        let tried = AtomicU64::new(0);
        let found = run(options, Some(name), true, SEEDS_FOR_A_BUG, |_, _| {
            tried.fetch_add(1, Ordering::Relaxed);
        });
        let real = if seen_in.is_empty() {
            String::new()
        } else {
            format!("\n    seen in {seen_in}")
        };
        println!("{name}: {what}{real}");
        match found {
            Some((seed, how)) => println!(
                "    found after {} seeds, by seed {seed}: {how}\n    again with: {}",
                tried.load(Ordering::Relaxed),
                replay(seed, Some(name))
            ),
            None => {
                println!("    FAILED: not found in {SEEDS_FOR_A_BUG} seeds");
                all = false;
            }
        }
    }
    if all {
        println!("ok: {} checks", BUGS.len());
    }
    all
}
