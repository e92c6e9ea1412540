//! Batches that Kafka's own classes, tools and brokers wrote (`tests/golden`, made by `generate.py`) are read as Kafka
//! reads them, and written as Kafka writes them; key hashes are Kafka's too.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ottla::memory::PoolBuf;
use ottla::producer::partitioner::murmur2;
use ottla::protocol::compress::{self, Codec};
use ottla::protocol::record::crc::crc32c;
use ottla::protocol::record::{
    Attempt, BatchBuilder, BatchHeader, BatchRef, Batches, Columns, ControlType, HEADER_LEN,
    RecordCursor, TimestampType, legacy, verify_crc,
};

const LARGE: usize = 64 << 20;
/// The manifest gives longer byte strings as length and CRC-32C.
const WHOLE: usize = 64;
/// Base offset, length and leader epoch: brokers set the first and the last, so no CRC covers them.
const OUTSIDE_CRC: usize = 16;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).expect(name)
}

/// One batch, its records uncompressed and indexed.
struct Decoded {
    header: BatchHeader,
    records: Vec<u8>,
    columns: Columns,
}

impl Decoded {
    fn read(file: &[u8], batch: &BatchRef) -> Decoded {
        verify_crc(&file[batch.range.clone()]).expect("crc");
        let codec = batch.header.attributes.codec().expect("codec");
        let mut records = PoolBuf::with_capacity(0);
        compress::decompress(codec, &file[batch.records()], &mut records, LARGE)
            .expect("decompress");
        let mut columns = Columns::take();
        let mut cursor =
            RecordCursor::open(&records, 0..records.len(), &batch.header).expect("open");
        cursor
            .index(&records, &mut columns, usize::MAX, usize::MAX, 0)
            .expect("index");
        assert!(cursor.is_done());
        Decoded {
            header: batch.header,
            records: records.to_vec(),
            columns,
        }
    }

    /// What messages of formats 0 and 1 become.
    fn read_messages(bytes: &[u8], run_bytes: usize) -> (Decoded, usize) {
        let limits = legacy::Limits {
            check_crcs: true,
            run_bytes,
            decompressed_bytes: LARGE,
        };
        let mut records = PoolBuf::with_capacity(0);
        let converted = legacy::convert(bytes, limits, &mut records)
            .expect("messages")
            .expect("a message");
        let header = converted.header;
        let mut columns = Columns::take();
        let mut cursor = RecordCursor::open(&records, 0..records.len(), &header).expect("open");
        cursor
            .index(&records, &mut columns, usize::MAX, usize::MAX, 0)
            .expect("index");
        assert!(cursor.is_done());
        let decoded = Decoded {
            header,
            records: records.to_vec(),
            columns,
        };
        (decoded, converted.len)
    }

    fn all(file: &[u8]) -> Vec<Decoded> {
        let mut walk = Batches::new(file);
        let batches = walk
            .by_ref()
            .map(|b| Decoded::read(file, &b.expect("batch")))
            .collect();
        assert_eq!(file.len(), walk.position(), "all of the file is batches");
        batches
    }

    fn rows(&self) -> std::ops::Range<usize> {
        0..self.columns.rows()
    }

    /// Writes the records again with Ottla's encoder: header and body.
    fn encode(&self, codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new(LARGE, 1024);
        for row in self.rows() {
            let headers: Vec<_> = self.columns.headers(&self.records, row).collect();
            let key = self.columns.key(&self.records, row);
            let value = self.columns.value(&self.records, row);
            let timestamp = self.columns.timestamps[row];
            assert!(
                builder
                    .append(key, value, &headers, timestamp)
                    .expect("append")
            );
        }
        let sealed = builder.seal(codec, None).expect("seal");
        let header = sealed.header(&Attempt {
            producer_id: self.header.producer_id,
            producer_epoch: self.header.producer_epoch,
            base_sequence: self.header.base_sequence,
            transactional: self.header.attributes.is_transactional(),
        });
        [&header[..], sealed.body()].concat()
    }

    /// True if a producer could have sent this batch as it is.
    fn as_produced(&self) -> bool {
        let a = self.header.attributes;
        let h = &self.header;
        !a.is_control()
            && !a.has_delete_horizon()
            && a.timestamp_type() == TimestampType::CreateTime
            && h.record_count > 0
            && h.last_offset_delta == h.record_count - 1
    }

    /// What `tests/golden/java/Describe.java` prints of it.
    fn describe(&self, file: &str, out: &mut String) {
        self.describe_header(file, out);
        self.describe_records(out);
    }

    fn describe_header(&self, file: &str, out: &mut String) {
        let (h, a) = (&self.header, self.header.attributes);
        let last_sequence = if h.base_sequence < 0 {
            -1
        } else {
            // Sequence numbers wrap to 0 after i32::MAX.
            (i64::from(h.base_sequence) + i64::from(h.last_offset_delta)) % (1 << 31)
        };
        let append_time = a.timestamp_type() == TimestampType::LogAppendTime;
        let horizon = if a.has_delete_horizon() {
            h.base_timestamp.to_string()
        } else {
            "null".to_owned()
        };
        writeln!(
            out,
            "{{\"file\": \"{file}\", \"base_offset\": {}, \"last_offset\": {}, \"size\": {}, \"magic\": {}, \
             \"codec\": \"{}\", \"append_time\": {append_time}, \"max_timestamp\": {}, \"count\": {}, \
             \"producer_id\": {}, \"producer_epoch\": {}, \"base_sequence\": {}, \"last_sequence\": {last_sequence}, \
             \"transactional\": {}, \"control\": {}, \"leader_epoch\": {}, \"delete_horizon\": {horizon}}}",
            h.base_offset,
            h.last_offset(),
            h.total_len(),
            h.magic,
            a.codec().expect("codec").name(),
            h.max_timestamp,
            h.record_count,
            h.producer_id,
            h.producer_epoch,
            h.base_sequence,
            a.is_transactional(),
            a.is_control(),
            h.partition_leader_epoch,
        )
        .expect("write");
    }

    fn describe_records(&self, out: &mut String) {
        for row in self.rows() {
            let headers: Vec<String> = self
                .columns
                .headers(&self.records, row)
                .map(|(key, value)| format!("[{}, {}]", bytes(Some(key)), bytes(value)))
                .collect();
            writeln!(
                out,
                "{{\"offset\": {}, \"timestamp\": {}, \"key\": {}, \"value\": {}, \"headers\": [{}]}}",
                self.columns.offsets[row],
                self.columns.timestamps[row],
                bytes(self.columns.key(&self.records, row)),
                bytes(self.columns.value(&self.records, row)),
                headers.join(", "),
            )
            .expect("write");
        }
    }
}

fn bytes(value: Option<&[u8]>) -> String {
    match value {
        None => "null".to_owned(),
        Some(b) if b.len() <= WHOLE => {
            let hex: String = b.iter().map(|b| format!("{b:02x}")).collect();
            format!("\"{hex}\"")
        }
        Some(b) => format!("{{\"length\": {}, \"crc32c\": {}}}", b.len(), crc32c(b)),
    }
}

/// The manifest's lines, by file.
fn manifest() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(directory().join("manifest.jsonl")).expect("manifest");
    let mut files: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("{\"file\": \"") {
            let name = rest.split('"').next().expect("name");
            if files.last().is_none_or(|(last, _)| last != name) {
                files.push((name.to_owned(), Vec::new()));
            }
        }
        files.last_mut().expect("a file").1.push(line.to_owned());
    }
    files
}

/// True if there are messages of formats 0 and 1.
fn is_old((_, lines): &(String, Vec<String>)) -> bool {
    lines
        .iter()
        .any(|line| line.contains("\"magic\": 0") || line.contains("\"magic\": 1"))
}

fn readable() -> impl Iterator<Item = (String, Vec<String>)> {
    let files = manifest();
    assert!(files.len() >= 20, "only {} files", files.len());
    files.into_iter().filter(|file| !is_old(file))
}

#[test]
fn reads_messages_of_older_formats_as_kafka_reads_them() {
    let files: Vec<_> = manifest().into_iter().filter(is_old).collect();
    assert!(files.len() >= 13, "only {} files", files.len());
    for (name, lines) in files {
        let theirs: Vec<&String> = lines
            .iter()
            .filter(|line| line.starts_with("{\"offset\""))
            .collect();
        let file = golden(&name);
        // However many messages become one batch.
        for run_bytes in [1, 200, usize::MAX] {
            let mut ours = String::new();
            let mut walk = Batches::new(&file);
            while let Some(batch) = walk.next() {
                match batch {
                    Ok(batch) => Decoded::read(&file, &batch).describe_records(&mut ours),
                    Err(_) => {
                        let (messages, len) = Decoded::read_messages(walk.rest(), run_bytes);
                        messages.describe_records(&mut ours);
                        walk.skip_over(len);
                    }
                }
            }
            assert_eq!(file.len(), walk.position(), "{name}: all of it is read");
            let ours: Vec<&str> = ours.lines().collect();
            assert_eq!(ours, theirs, "{name}");
        }
    }
}

#[test]
fn reads_what_kafka_wrote_as_kafka_reads_it() {
    for (name, lines) in readable() {
        let mut ours = String::new();
        for batch in Decoded::all(&golden(&name)) {
            batch.describe(&name, &mut ours);
        }
        for (ours, kafka) in ours.lines().zip(&lines) {
            assert_eq!(ours, kafka, "{name}");
        }
        assert_eq!(ours.lines().count(), lines.len(), "{name}");
    }
}

#[test]
fn writes_uncompressed_batches_byte_for_byte_as_kafka_does() {
    let mut compared = 0;
    for (name, _) in readable() {
        let file = golden(&name);
        for batch in Batches::new(&file) {
            let batch = batch.expect("batch");
            let decoded = Decoded::read(&file, &batch);
            if !decoded.as_produced()
                || batch.header.attributes.codec().expect("codec") != Codec::None
            {
                continue;
            }
            let (theirs, ours) = (&file[batch.range.clone()], decoded.encode(Codec::None));
            assert_eq!(ours[8..12], theirs[8..12], "length, {name}");
            assert_eq!(
                ours[OUTSIDE_CRC..HEADER_LEN],
                theirs[OUTSIDE_CRC..HEADER_LEN],
                "header, {name}"
            );
            assert!(
                ours[HEADER_LEN..] == theirs[HEADER_LEN..],
                "records, {name}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 9, "only {compared} batches");
}

#[test]
fn compressed_batches_come_back_as_they_were() {
    for name in [
        "plain.bin",
        "lengths.bin",
        "zstd-large.bin",
        "transactions.bin",
    ] {
        let original = &Decoded::all(&golden(name))[0];
        for codec in Codec::ALL {
            let file = original.encode(codec);
            let again = &Decoded::all(&file)[0];
            assert_eq!(original.records, again.records, "{name} {codec:?}");
            assert_eq!(
                *original.columns.offsets,
                *again
                    .columns
                    .offsets
                    .iter()
                    .map(|o| o + original.header.base_offset)
                    .collect::<Vec<_>>()
            );
        }
    }
}

/// `tests/golden/java_reads.py` shows what this leaves to Kafka's own classes, which must read the same.
#[test]
fn leaves_batches_for_java_to_read() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
    fs::create_dir_all(&out).expect("directory");
    let mut expected = String::new();
    let mut names = Vec::new();
    for source in [
        "idempotent",
        "lengths",
        "sequence-wraps",
        "times",
        "transactions",
        "zstd-large",
    ] {
        let batch = &Decoded::all(&golden(&format!("{source}.bin")))[0];
        for codec in Codec::ALL {
            let file = batch.encode(codec);
            let name = format!("{source}-{}.bin", codec.name());
            fs::write(out.join(&name), &file).expect("write");
            names.push((name, file));
        }
    }
    names.sort();
    for (name, file) in names {
        for batch in Decoded::all(&file) {
            batch.describe(&name, &mut expected);
        }
    }
    fs::write(out.join("expected.jsonl"), expected).expect("write");
}

#[test]
fn control_records_say_how_transactions_ended() {
    let kinds = |name| {
        let batches = Decoded::all(&golden(name));
        let control = batches.iter().filter(|b| b.header.attributes.is_control());
        control
            .map(|b| ControlType::parse(b.columns.key(&b.records, 0).expect("key")))
            .collect::<Vec<_>>()
    };
    let (commit, abort) = (Some(ControlType::Commit), Some(ControlType::Abort));
    assert_eq!(kinds("transactions.bin"), [commit, abort]);
    assert_eq!(
        kinds("broker-transactions.bin"),
        [commit, abort, commit, abort]
    );
    assert_eq!(kinds("leader-change.bin"), [Some(ControlType::Other(2))]);
}

#[test]
fn a_batch_cut_off_anywhere_ends_the_walk_after_those_before_it() {
    let file = golden("broker-transactions.bin");
    let whole: Vec<_> = Batches::new(&file)
        .map(|b| b.expect("batch").range.end)
        .collect();
    for cut in 0..file.len() {
        let walked = Batches::new(&file[..cut]).map(|b| b.expect("batch").range.end);
        assert!(
            walked.eq(whole.iter().copied().filter(|end| *end <= cut)),
            "cut at {cut}"
        );
    }
}

#[test]
fn the_old_format_is_refused_by_name() {
    let file = golden("old-format.bin");
    let error = Batches::new(&file)
        .next()
        .expect("one")
        .expect_err("format 1");
    assert!(error.to_string().contains("format 1"), "{error}");
}

/// The keys of `Golden.murmur2`: bytes of a linear congruential generator, lengths 0 to 40 going round.
fn keys() -> impl Iterator<Item = Vec<u8>> {
    let mut state = 1u32;
    (0..10_000).map(move |i| {
        (0..i % 41)
            .map(|_| {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                (state >> 16) as u8
            })
            .collect()
    })
}

#[test]
fn key_hashes_and_partitions_are_javas() {
    let hashes = golden("murmur2.bin");
    let partitions = golden("partitions.bin");
    let counts = [1, 2, 3, 7, 12, 100, 127];
    assert_eq!((hashes.len(), partitions.len()), (40_000, 10_000));
    for (i, key) in keys().enumerate() {
        let hash = murmur2(&key);
        assert_eq!(hash.to_be_bytes(), hashes[4 * i..4 * i + 4], "key {i}");
        let partition = (hash & 0x7fff_ffff) % counts[i % counts.len()];
        assert_eq!(partition, u32::from(partitions[i]), "key {i}");
    }
}
