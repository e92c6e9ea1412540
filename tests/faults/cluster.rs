//! Three Apache Kafka brokers, run and obeyed by `tests/kafka/cluster.py serve`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for a start or an order: Java is slow on a busy machine, and `cluster.py` has limits of its own within.
const LIMIT: Duration = Duration::from_secs(240);

/// The listener that clients under test use, whose advertised ports are the proxies'.
const LISTENER: &str = "PROXIED";

/// The cluster; its brokers end with it, also where this process is killed.
pub(crate) struct Cluster {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Ports listened on by the brokers 1, 2, 3: direct ones, and those the proxies lead to.
    pub(crate) direct: Vec<u16>,
    pub(crate) proxied: Vec<u16>,
}

impl Cluster {
    /// Starts three brokers that tell clients the proxies' ports.
    pub(crate) fn start(advertised: &[u16], properties: &[(&str, &str)]) -> Cluster {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/cluster.py");
        let ports: Vec<String> = advertised.iter().map(u16::to_string).collect();
        let mut command = Command::new("python3");
        command
            .args([script, "serve", "--brokers", "3", "--listener"])
            .arg(format!("{LISTENER}=PLAINTEXT"))
            .args(["--advertised", &format!("{LISTENER}={}", ports.join(","))])
            // Brokers that are started again and again spend more on compiling than they gain by it.
            .arg("--java-option=-XX:TieredStopAtLevel=1");
        for (key, value) in properties {
            command.args(["--property", &format!("{key}={value}")]);
        }
        // A group of its own: Ctrl-C is for this program, which then ends the cluster.
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let output = child.stdout.take().unwrap();
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let mut cluster = Cluster {
            input: child.stdin.take(),
            child,
            lines,
            direct: Vec::new(),
            proxied: Vec::new(),
        };
        let told = cluster
            .lines
            .recv_timeout(LIMIT)
            .expect("the cluster starts");
        cluster.direct = numbers(&told, "\"PLAINTEXT\": ");
        cluster.proxied = numbers(&told, &format!("\"{LISTENER}\": "));
        assert_eq!(
            (cluster.direct.len(), cluster.proxied.len()),
            (3, 3),
            "{told}"
        );
        cluster
    }

    /// Gives an order and waits until it is carried out.
    pub(crate) fn order(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").map_err(|e| format!("{line}: {e}"))?;
        match self.lines.recv_timeout(LIMIT) {
            Ok(answer) if answer == "ok" => Ok(()),
            Ok(answer) => Err(format!("{line}: {answer}")),
            Err(e) => Err(format!("{line}: no answer from cluster.py: {e}")),
        }
    }

    /// From its next start, a broker tells clients this port.
    pub(crate) fn advertise(&mut self, broker: usize, port: u16) -> Result<(), String> {
        self.order(&format!("advertise {broker} {LISTENER} {port}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It stops when its input closes; should it not, its own guard ends the brokers.
        drop(self.input.take());
        let by = Instant::now() + Duration::from_secs(30);
        while Instant::now() < by && self.child.try_wait().is_ok_and(|end| end.is_none()) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The numbers that follow a word.
fn numbers(text: &str, word: &str) -> Vec<u16> {
    let after = text.split(word).skip(1);
    after
        .map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest[..end].parse().unwrap()
        })
        .collect()
}
