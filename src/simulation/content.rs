//! What a record holds: everything follows from whose it is and its number, so that any record found in a log can be
//! told and compared.

use super::chance::Chance;
use super::oracle::Logged;
use crate::rng::Rng;

/// A record's contents.
pub(super) struct Content {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) timestamp: i64,
    /// Single calls give the timestamp, rather than leave it to the client.
    pub(super) timed: bool,
}

/// Owner and number, as they stand at the start of the value, or of a tombstone's key.
const NAME_LEN: usize = 12;

impl Content {
    pub(super) fn of(client: u32, number: u64, largest: u64, wall_start: i64) -> Self {
        let mut rng = Rng::new((u64::from(client) << 48) ^ number);
        let mut name = client.to_be_bytes().to_vec();
        name.extend(number.to_be_bytes());
        let tombstone = rng.chance(1, 40);
        let key = match rng.range(0, 3) {
            _ if tombstone => Some(name.clone()),
            0 | 1 => Some(format!("k{}", rng.range(0, 25)).into_bytes()),
            _ => None,
        };
        let value = (!tombstone).then(|| {
            let mut value = name;
            let padding = rng.spread(0, largest) as usize;
            // Half of it packs well.
            let word = rng.next().to_be_bytes();
            value.extend((0..padding).map(|i| {
                if i % 2 == 0 {
                    word[i % 8]
                } else {
                    (i as u8).wrapping_mul(word[0])
                }
            }));
            value
        });
        let headers = if rng.chance(1, 6) {
            (0..rng.range(1, 3))
                .map(|i| (b"h".to_vec(), rng.chance(3, 4).then(|| vec![i as u8; 5])))
                .collect()
        } else {
            Vec::new()
        };
        Content {
            key,
            value,
            headers,
            timestamp: wall_start + number as i64,
            timed: rng.chance(1, 2),
        }
    }

    /// About what it takes.
    pub(super) fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len) + 4)
            .sum();
        self.key.as_ref().map_or(0, Vec::len)
            + self.value.as_ref().map_or(0, Vec::len)
            + headers
            + 40
    }

    /// Whose record a log holds, and its number.
    pub(super) fn owner(record: &Logged) -> Option<(u32, u64)> {
        let name = record.value.as_ref().or(record.key.as_ref())?;
        let client = name.first_chunk()?;
        let number = name.get(4..NAME_LEN)?.first_chunk()?;
        Some((u32::from_be_bytes(*client), u64::from_be_bytes(*number)))
    }

    /// Says how a record in a log differs from what was sent.
    pub(super) fn compare(&self, record: &Logged, timed: bool) -> Result<(), &'static str> {
        if record.key != self.key {
            return Err("its key is another");
        }
        if record.value != self.value {
            return Err("its value is another");
        }
        if record.headers != self.headers {
            return Err("its headers are others");
        }
        if timed && self.timed && !record.append_time && record.timestamp != self.timestamp {
            return Err("its timestamp is another");
        }
        Ok(())
    }
}
