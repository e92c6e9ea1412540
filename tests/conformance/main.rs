//! The same requests, errors included, to the embedded broker and to Apache Kafka 4.4.0: their answers may differ in
//! ids, addresses and times only.
//!
//! What Kafka answered is recorded in `golden/`. By itself this suite compares the embedded broker with the record;
//! with `OTTLA_TEST_BOOTSTRAP` (and `OTTLA_TEST_KAFKA_VERSION=4.4.0`) it compares that Kafka with the record, and
//! with `OTTLA_CONFORMANCE_RECORD=1` besides writes the record anew. The cases of `auto_create` need a Kafka that was started
//! with `auto.create.topics.enable=true`, and `OTTLA_TEST_AUTO_CREATE=true` to say so.

mod auto_create;
mod batches;
mod cluster;
mod configs;
mod fetch;
mod groups;
mod groups_mixed;
mod groups_new;
mod offsets;
mod produce;
mod records;
mod share;
mod talk;
mod topics;
mod transactions;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ottla::broker::{Broker, BrokerOptions};
use talk::Talk;

/// The cases for brokers that make topics by themselves; a Kafka that does not (`auto.create.topics.enable`) is left out.
fn group_with_auto_create(name: &str, cases: impl FnOnce(&mut Talk)) {
    let real = std::env::var("OTTLA_TEST_BOOTSTRAP").unwrap_or_default();
    if !real.is_empty() && !std::env::var("OTTLA_TEST_AUTO_CREATE").is_ok_and(|v| v == "true") {
        println!("{name}: this Kafka makes no topics by itself");
        return;
    }
    group(name, cases);
}

/// Runs a group of cases against whatever is to be tested and compares the transcript with the record.
fn group(name: &str, cases: impl FnOnce(&mut Talk)) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/conformance/golden")
        .join(format!("{name}.txt"));
    let real = std::env::var("OTTLA_TEST_BOOTSTRAP")
        .ok()
        .filter(|s| !s.is_empty());
    let version = std::env::var("OTTLA_TEST_KAFKA_VERSION").unwrap_or_else(|_| "4.4.0".to_owned());
    let embedded;
    let address = match real {
        Some(_) if version != "4.4.0" => {
            println!(
                "{name}: the record is of Kafka 4.4.0, nothing to compare Kafka {version} with"
            );
            return;
        }
        Some(address) => address.split(',').next().unwrap_or_default().to_owned(),
        None => {
            let options = BrokerOptions::new()
                .auto_create_topics(name == "auto_create")
                .consumer_heartbeat_interval(Duration::from_secs(5));
            embedded = Broker::start(options).expect("a broker");
            embedded.bootstrap_servers()
        }
    };
    // On one Kafka the suites would see each other's groups.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut talk = Talk::new(address);
    cases(&mut talk);
    let transcript = talk.transcript();
    if std::env::var("OTTLA_CONFORMANCE_RECORD").is_ok() {
        std::fs::write(&file, &transcript).expect("writing the record");
        return;
    }
    let record = std::fs::read_to_string(&file).expect("the record");
    let differences = differences(&record, &transcript);
    assert!(
        differences.is_empty(),
        "{name}: {} answers differ from Kafka's:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// What differs, step by step (`## label`, then the answer), line by line.
fn differences(record: &str, transcript: &str) -> Vec<String> {
    let steps =
        |text: &str| -> Vec<String> { text.split("## ").skip(1).map(str::to_owned).collect() };
    let (recorded, now) = (steps(record), steps(transcript));
    let mut found = Vec::new();
    for i in 0..recorded.len().max(now.len()) {
        let lines = |steps: &[String]| -> Vec<String> {
            steps
                .get(i)
                .into_iter()
                .flat_map(|s| s.lines())
                .map(str::to_owned)
                .collect()
        };
        let (a, b) = (lines(&recorded), lines(&now));
        let mut told = Vec::new();
        for n in 0..a.len().max(b.len()) {
            if a.get(n) != b.get(n) {
                told.extend(a.get(n).map(|line| format!("  Kafka: {line}")));
                told.extend(b.get(n).map(|line| format!("  now:   {line}")));
            }
        }
        if !told.is_empty() {
            let label = a.first().or(b.first()).cloned().unwrap_or_default();
            found.push(format!("{label}\n{}", told.join("\n")));
        }
    }
    found
}

#[test]
fn cluster() {
    group("cluster", cluster::cases);
}

#[test]
fn topics() {
    group("topics", topics::cases);
}

#[test]
fn auto_create() {
    group_with_auto_create("auto_create", auto_create::cases);
}

#[test]
fn configs() {
    group("configs", configs::cases);
}

#[test]
fn records() {
    group("records", records::cases);
}

#[test]
fn compaction() {
    group("compaction", records::compaction);
}

#[test]
fn produce() {
    group("produce", produce::cases);
}

#[test]
fn fetch() {
    group("fetch", fetch::cases);
}

#[test]
fn offsets() {
    group("offsets", offsets::cases);
}

#[test]
fn groups() {
    group("groups", groups::cases);
}

#[test]
fn groups_new() {
    group("groups_new", groups_new::cases);
}

#[test]
fn groups_mixed() {
    group("groups_mixed", groups_mixed::cases);
}

#[test]
fn share() {
    group("share", share::cases);
}

#[test]
fn transactions() {
    group("transactions", transactions::cases);
}
