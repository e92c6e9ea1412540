//! `docs/configuration.md`, generated from the table.

use std::fmt::Write;

use super::super::*;

/// The page as the table says it.
fn page() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         <!-- Generated from src/config/table: `OTTLA_UPDATE=1 cargo test --lib config::` writes it. -->\n\n\
         Keys are Kafka's own. librdkafka's names are accepted where they mean the same; two names of the same key are an \
         error, and so is any key that is not listed here.\n\n\
         - **Durations** are milliseconds as plain numbers, or have a unit: `5us`, `5ms`, `1.5s`, `2min`, `1h`, `7d`; `inf` (or \
         `-1`) where allowed. More than a hundred years counts as a hundred years.\n\
         - **Sizes** are bytes as plain numbers, or have a unit: `64kB` is 64000, `64MB` 64 million, `64KiB` 65536, `64MiB` \
         67108864 bytes; `GB` and `GiB` likewise.\n\
         - **Booleans** are `true` or `false`.\n\
         - If a default conflicts with a value you set, the default is adjusted, and a log line says so. Two values you set \
         that conflict with each other are an error.\n\
         - P, C, A and S: the key is for producers, consumers, admin clients, share consumers. T: can also be set for one topic of a producer.\n",
    );
    let mut groups: Vec<&str> = Vec::new();
    for key in keys() {
        if !groups.contains(&key.group) {
            groups.push(key.group);
        }
    }
    for group in groups {
        let rows: Vec<&Key> = keys().filter(|key| key.group == group).collect();
        let not_yet = rows.iter().all(|key| matches!(key.kind, Kind::NotYet));
        let _ = write!(out, "\n## {group}\n\n");
        if not_yet {
            out.push_str(
                "Keys of Kafka's clients that are not supported yet: setting one is an error.\n\n",
            );
            out.push_str("| key | for | meaning |\n|---|---|---|\n");
        } else {
            out.push_str("| key | for | values | default | meaning |\n|---|---|---|---|---|\n");
        }
        for key in rows {
            let (name, clients, doc) = (key.name, clients(key), key.doc);
            if not_yet {
                let _ = writeln!(out, "| `{name}` | {clients} | {doc} |");
                continue;
            }
            let default = match key.default {
                None => "none; required".to_owned(),
                Some("") => "not set".to_owned(),
                Some(text) => format!("`{text}`"),
            };
            let values = values(&key.kind);
            let also = also(key.aliases);
            let _ = writeln!(
                out,
                "| `{name}` | {clients} | {values} | {default} | {doc}{also} |"
            );
        }
    }
    out
}

fn clients(key: &Key) -> String {
    let letters = key.clients.iter().map(|kind| match kind {
        ClientKind::Producer => "P",
        ClientKind::Consumer => "C",
        ClientKind::Admin => "A",
        ClientKind::ShareConsumer => "S",
    });
    let topics = key.per_topic.then_some("T");
    letters.chain(topics).collect::<Vec<_>>().join(" ")
}

fn range(min: i64, max: i64, unit: &str) -> String {
    match (min, max) {
        (0, i64::MAX) => String::new(),
        (min, max) if min == max => format!(", only {min}{unit}"),
        (_, i64::MAX) => format!(", from {min}{unit}"),
        _ => format!(", {min} to {max}{unit}"),
    }
}

fn values(kind: &Kind) -> String {
    match kind {
        Kind::Int { min, max, or } => {
            let or = or.map_or(String::new(), |or| format!(", or {or}"));
            format!("integer{}{or}", range(*min, *max, ""))
        }
        Kind::Duration {
            min_ms,
            max_ms,
            infinite,
        } => {
            let inf = if *infinite { ", or `inf`" } else { "" };
            format!("duration{}{inf}", range(*min_ms, *max_ms, " ms"))
        }
        Kind::Size { min, max, system } => {
            let system = if *system {
                ", or `-1`: the operating system decides"
            } else {
                ""
            };
            format!("size{}{system}", range(*min, *max, ""))
        }
        Kind::Choice(choices) => choices.iter().map(choice).collect::<Vec<_>>().join(", "),
        Kind::Reset => {
            let words: Vec<_> = super::super::reset::WORDS.iter().map(choice).collect();
            format!(
                "{}, `by_duration:` and a duration (`by_duration:PT36H`, `by_duration:36h`)",
                words.join(", ")
            )
        }
        Kind::Hosts => "`host:port`, …".to_owned(),
        Kind::Bool | Kind::Text | Kind::NotYet => kind.name().to_owned(),
    }
}

fn choice(choice: &Choice) -> String {
    let aliases: Vec<String> = choice
        .aliases
        .iter()
        .map(|alias| format!("`{alias}`"))
        .collect();
    match choice {
        Choice {
            not_yet: true,
            name,
            ..
        } => format!("`{name}` (not supported yet)"),
        Choice { name, .. } if aliases.is_empty() => format!("`{name}`"),
        Choice { name, .. } => format!("`{name}` (also {})", aliases.join(", ")),
    }
}

fn also(aliases: &[Alias]) -> String {
    let names = aliases.iter().map(|alias| {
        let how = match alias.convert {
            Convert::Same => "",
            Convert::Kibibytes => " (plain numbers are KiB)",
            Convert::ZeroIsInfinite => " (0 is `inf`)",
            Convert::JavaPartitioner => {
                " (Java's `DefaultPartitioner` and `RoundRobinPartitioner` only)"
            }
        };
        format!("`{}`{how}", alias.name)
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" Also: {}.", names.join(", "))
    }
}

#[test]
fn the_reference_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let wanted = page();
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/configuration.md is stale: run `OTTLA_UPDATE=1 cargo test --lib config::`"
    );
}
