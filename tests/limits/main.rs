//! What the client promises to stay within: memory, threads, and that one slow broker leaves the others alone.
//!
//! Without the usual harness, as parts run in child processes of this program. `cargo bench --bench limits` measures
//! the same at full length.

// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
#[path = "../support/harness.rs"]
mod harness;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod roles;

/// How often a measurement may be made.
#[cfg(target_os = "linux")]
const ATTEMPTS: usize = 4;

/// Measures once, and says what came out. A panic in a measurement is its failure, and has said why.
#[cfg(target_os = "linux")]
fn holds(measure: figures::Measure) -> bool {
    let figures = std::panic::catch_unwind(|| measure(figures::Extent::Quick));
    figures.is_ok_and(|figures| {
        for f in &figures {
            let holds = if f.holds() { "holds " } else { "MISSED" };
            println!(
                "{holds} {}: {:.1} {}, limit {:.1}",
                f.what, f.value, f.unit, f.limit
            );
        }
        figures.iter().all(figures::Figure::holds)
    })
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, role, rest @ ..] = &arguments[..]
        && flag == "--role"
    {
        roles::run(role, rest);
        return std::process::ExitCode::SUCCESS;
    }
    let asked = harness::Arguments::new(&arguments);
    // In the inner loop only what takes a moment: the other figures are those of an optimised library anyway.
    let hurried = std::env::var_os("OTTLA_TEST_QUICK").is_some();
    let due = |name: &str| asked.wants(name) && (!hurried || figures::SOON.contains(&name));
    let chosen = figures::ALL.iter().filter(|(name, _)| due(name));
    if asked.list {
        chosen.for_each(|(name, _)| println!("{name}: test"));
        return std::process::ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, measure) in chosen {
        // Other programs on the machine can only spoil a figure, never improve it for good: it is measured again.
        let good = (0..ATTEMPTS).any(|_| holds(*measure));
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        *(if good { &mut passed } else { &mut failed }) += 1;
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored");
    std::process::ExitCode::from(u8::from(failed > 0))
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not measured: figures of a process are read from Linux's /proc");
}
