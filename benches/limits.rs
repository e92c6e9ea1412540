//! Memory, threads and the effect of a slow broker, at full length: one JSON line per figure on standard output.
//!
//! `cargo bench --bench limits -- memory idle`; without names all of them. See tests/limits.

// A measurement ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
#[path = "../tests/limits/figures.rs"]
mod figures;
#[cfg(target_os = "linux")]
#[path = "../tests/limits/process.rs"]
mod process;
#[cfg(target_os = "linux")]
#[path = "../tests/limits/roles.rs"]
mod roles;

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, role, rest @ ..] = &arguments[..]
        && flag == "--role"
    {
        return roles::run(role, rest);
    }
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let extent = if arguments.iter().any(|a| a == "--quick") {
        figures::Extent::Quick
    } else {
        figures::Extent::Full
    };
    for (name, measure) in figures::ALL {
        if !names.is_empty() && !names.iter().any(|wanted| *wanted == name) {
            continue;
        }
        for f in measure(extent) {
            println!(
                "{{\"case\": \"{name}\", \"what\": \"{}\", \"value\": {:.3}, \"unit\": \"{}\", \"limit\": {:.3}, \
                 \"floor\": {}, \"holds\": {}}}",
                f.what,
                f.value,
                f.unit,
                f.limit,
                f.floor,
                f.holds()
            );
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("not measured: figures of a process are read from Linux's /proc");
}
