//! `simulate --refusals`: runs the combinations, and says which requests are sent too often.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ottla::protocol::schema::api_name;
use ottla::simulation::{
    Combination, Group, Place, RefusedRole, Verdict, combinations, is_known, refuse,
};

/// Fewer combinations that came about would mean that something is not tried any more.
const FEWEST: usize = 10_000;

/// What combinations are about: role, request, place.
type Subject = (RefusedRole, i16, Place);

/// Runs every combination whose words contain all of `only`'s; false if one fails that is not known to.
pub(crate) fn all(only: Option<&str>, jobs: usize, trace: bool) -> bool {
    let begun = Instant::now();
    let mut good = true;
    if only.is_none() {
        for &role in RefusedRole::ALL {
            let calm = refuse(role, None, false);
            good &= is_calm(role, &calm);
        }
    }
    let wanted = |c: &Combination| {
        let words = c.to_string();
        only.is_none_or(|only| only.split_whitespace().all(|word| words.contains(word)))
    };
    let groups = combinations().into_iter();
    let groups = groups.map(|group| group.into_iter().filter(wanted).collect());
    let groups: Vec<Group> = groups.filter(|group: &Group| !group.is_empty()).collect();
    let next = AtomicUsize::new(0);
    let verdicts: Mutex<Vec<(Combination, Verdict)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for combination in group {
                        let once = || refuse(combination.role, Some(combination), trace);
                        let verdict = std::panic::catch_unwind(once).unwrap_or_else(|_| Verdict {
                            failure: Some("a panic".to_owned()),
                            ..Verdict::default()
                        });
                        let never = verdict.refused == 0 && verdict.failure.is_none();
                        let mut verdicts = verdicts.lock().unwrap_or_else(|e| e.into_inner());
                        verdicts.push((*combination, verdict));
                        if never {
                            break;
                        }
                    }
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_else(|e| e.into_inner());
    verdicts.sort_by_key(|(combination, _)| *combination);
    good &= judge(&verdicts, only.is_none());
    println!("  in {:.1} s", begun.elapsed().as_secs_f64());
    if good {
        println!("ok: {} checks", verdicts.len());
    }
    good
}

/// A role with nothing wrong sends all that is going to be refused.
fn is_calm(role: RefusedRole, calm: &Verdict) -> bool {
    let sent: Vec<String> = calm
        .requests
        .iter()
        .map(|(api, n)| format!("{} {n}", api_name(*api)))
        .collect();
    println!("{role:?}: {} events, {}", calm.events, sent.join(", "));
    if let Some(failure) = &calm.failure {
        println!("FAILED: {role:?} with nothing wrong: {failure}");
    }
    calm.failure.is_none()
}

fn judge(verdicts: &[(Combination, Verdict)], all: bool) -> bool {
    let mut refused = 0;
    let mut met: BTreeMap<Subject, u64> = BTreeMap::new();
    let (mut failed, mut known, mut mended) = (0, 0, 0);
    for (combination, verdict) in verdicts {
        refused += usize::from(verdict.refused > 0);
        let subject = (combination.role, combination.api, combination.place);
        *met.entry(subject).or_default() += verdict.refused;
        match &verdict.failure {
            Some(_) if is_known(combination) => known += 1,
            Some(failure) => {
                println!("FAILED: {combination}: {failure}");
                failed += 1;
            }
            None if is_known(combination) => mended += 1,
            None => {}
        }
        if !all {
            let (api, most) = verdict.busiest;
            println!(
                "  {combination}: refused {} times; at most {most} {} a second; {} events; {:?}",
                verdict.refused,
                api_name(api),
                verdict.events,
                verdict.requests
            );
        }
    }
    println!(
        "{} combinations, {refused} came about, {failed} failed, {known} fail as is known, {mended} that are known to fail don't",
        verdicts.len()
    );
    let mut good = failed == 0;
    let never = met.iter().filter(|(_, n)| **n == 0);
    for ((role, api, _), _) in never.filter(|((_, _, place), _)| *place == Place::Usual) {
        println!("FAILED: {role:?}: no {} was refused", api_name(*api));
        good = false;
    }
    if all && refused < FEWEST {
        println!("FAILED: {FEWEST} combinations at least must come about");
        good = false;
    }
    good
}
