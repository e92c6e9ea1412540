//! Child processes of this program, so that what one costs is its own: memory at its peak, threads.

use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a child may take for one answer.
const LIMIT: Duration = Duration::from_secs(90);

/// A child process in one of [`super::roles`]; ended when dropped.
pub(crate) struct Role {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Role {
    /// Starts this program again as `name`.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Role {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--role", name])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Role {
            name: name.to_owned(),
            child,
            input,
            lines,
        }
    }

    /// The child's next line, as numbers.
    pub(crate) fn answer(&self) -> Vec<f64> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => line
                .split_whitespace()
                .map(|word| word.parse().unwrap())
                .collect(),
            Err(RecvTimeoutError::Disconnected) => panic!("{} ended without an answer", self.name),
            Err(RecvTimeoutError::Timeout) => panic!("{}: no answer in {LIMIT:?}", self.name),
        }
    }

    /// Lets a child go on that waits in [`told_to_go_on`].
    pub(crate) fn go_on(&mut self) {
        self.input.write_all(b"\n").unwrap();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells the parent numbers.
pub(crate) fn tell(numbers: &[f64]) {
    let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
}

/// Waits for the parent; false if it has gone.
pub(crate) fn told_to_go_on() -> bool {
    stdin().read_line(&mut String::new()).is_ok_and(|n| n > 0)
}

/// A figure of this process: `VmRSS` and `VmHWM` in MB (10^6 bytes), `Threads` as a number.
pub(crate) fn status(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    if line.ends_with("kB") {
        number * 1024e-6
    } else {
        number
    }
}
