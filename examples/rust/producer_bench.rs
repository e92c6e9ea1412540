//! Measures producing from Rust: `producer_bench BOOTSTRAP TOPIC N SIZE [columns|single]`.
use ottla::config::ProducerConfig;
use ottla::producer::{Producer, Record, Wait};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};
use std::time::{Duration, Instant};

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(") ").next().unwrap().split(' ').collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: usize = a[3].parse().unwrap();
    let size: usize = a[4].parse().unwrap();
    let columns = a.get(5).is_none_or(|m| m == "columns");
    let config = ProducerConfig::from_pairs([("bootstrap.servers", a[1].as_str())]).unwrap();
    let p = Producer::new(config).unwrap();
    p.connect(Duration::from_secs(10)).unwrap();
    let (t, c) = (Instant::now(), cpu());
    let value = vec![b'x'; size];
    if columns {
        const ROWS: usize = 10_000;
        let blob = value.repeat(ROWS);
        let lens = vec![size as i32; ROWS];
        let mut starts = Vec::new();
        let ts = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis() as i64;
        let mut sent = 0;
        while sent < n {
            let b = Blob::new("values", &blob, &lens, &mut starts).unwrap();
            let r =
                Records::new(ROWS, Bytes::Null, Bytes::Blob(b), None, Timestamps::One(ts)).unwrap();
            let (k, res) = p.send_batch(&a[2], None, &r, 0, Wait::MaxBlock);
            res.unwrap();
            sent += k;
        }
    } else {
        for _ in 0..n {
            p.send(
                &Record {
                    topic: &a[2],
                    value: Some(&value),
                    ..Default::default()
                },
                Wait::MaxBlock,
            )
            .unwrap();
        }
    }
    p.flush(Duration::from_secs(60)).unwrap();
    let (w, c) = (t.elapsed().as_secs_f64(), cpu() - c);
    println!(
        "{n} records, wall {w:.3} s, {:.2} M/s, cpu {:.1} ns/record {:?}",
        n as f64 / w / 1e6,
        c * 1e9 / n as f64,
        p.counts()
    );
    p.close(Duration::from_secs(5)).unwrap();
}
