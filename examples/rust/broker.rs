//! Runs an embedded broker: prints its address, then goes on until its standard input ends or it is terminated.
//!
//! `cargo run --example broker -- --nodes 3 --topic orders:8 --auto-create`

use std::io::{Read, stdin};
use std::process::ExitCode;

use ottla::broker::{Broker, BrokerOptions};

const USAGE: &str =
    "usage: broker [--nodes N] [--host HOST] [--port PORT] [--directory DIR] [--memory BYTES]
              [--auto-create] [--partitions N] [--topic NAME:PARTITIONS]...
              [--transaction-version 1|2] [--group-version 0|1]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut options = BrokerOptions::new();
    let mut topics = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
        options = match arg.as_str() {
            "--nodes" => options.nodes(number(&value()?)?),
            "--host" => options.host(value()?),
            "--port" => options.port(number(&value()?)?),
            "--directory" => options.directory(value()?),
            "--memory" => options.memory_bytes(number(&value()?)?),
            "--partitions" => options.default_partitions(number(&value()?)?),
            "--transaction-version" => options.transaction_version(number(&value()?)?),
            "--group-version" => options.new_group_protocol(value()? != "0"),
            "--auto-create" => options.auto_create_topics(true),
            "--topic" => {
                let topic = value()?;
                let (name, partitions) = topic.split_once(':').unwrap_or((&topic, "1"));
                topics.push((name.to_owned(), number(partitions)?));
                options
            }
            _ => return Err(format!("{arg}: unknown\n{USAGE}")),
        };
    }
    let broker = Broker::start(options).map_err(|e| e.to_string())?;
    for (name, partitions) in topics {
        broker
            .create_topic(&name, partitions, &[])
            .map_err(|e| e.to_string())?;
    }
    println!("{}", broker.bootstrap_servers());
    // The broker works in its own thread; this one waits for whoever started it.
    let mut ignored = Vec::new();
    stdin()
        .read_to_end(&mut ignored)
        .map_err(|e| e.to_string())?;
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text}: not a number, or too large\n{USAGE}"))
}
