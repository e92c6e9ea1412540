//! What the peers in Rust share: the command line of ../../../bench.h, the checksum, the report.

use std::collections::HashMap;

/// Whatever ends a run.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The command line's options.
pub struct Options(HashMap<String, String>);

impl Options {
    pub fn parse(arguments: &[String]) -> Options {
        let mut options = HashMap::new();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let flag = name == "--keyed" || name == "--single";
            let value = if flag {
                Some("")
            } else {
                rest.next().map(String::as_str)
            };
            options.insert(name.clone(), value.unwrap_or_default().to_owned());
        }
        Options(options)
    }

    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn number(&self, name: &str) -> Result<usize, Failure> {
        Ok(self
            .text(name)
            .parse()
            .map_err(|e| format!("{name}: {e}"))?)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// What a consuming loop adds up for each record (`bench_checksum`).
pub fn add(offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    let value = value.unwrap_or_default();
    let mut sum = offset as u64 + value.len() as u64;
    if let (Some(first), Some(last)) = (value.first(), value.last()) {
        sum += u64::from(*first) + u64::from(*last);
    }
    if let Some(key) = key {
        sum += key.len() as u64 + key.last().map_or(0, |b| u64::from(*b));
    }
    sum
}

fn peak_mb() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|l| l.starts_with("VmHWM:"))
        .ok_or("no VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmHWM")?.parse()?;
    Ok(kib * 1024e-6)
}

fn cpu_s() -> f64 {
    // SAFETY: an all-zero rusage is a valid place for getrusage to write to.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Prints the line that the benchmark reads.
pub fn report(options: &Options, wall: f64, checksum: u64) -> Result<(), Failure> {
    println!(
        "{{\"n\": {}, \"wall_s\": {wall:.6}, \"cpu_s\": {:.6}, \"peak_mb\": {:.1}, \"checksum\": {checksum}}}",
        options.number("--n")?,
        cpu_s(),
        peak_mb()?
    );
    Ok(())
}
