//! The batch call, with every column it has.

use std::time::Duration;

use super::super::content::Content;
use crate::producer::{Producer, Wait};
use crate::protocol::record::{Blob, Bytes, HeaderBlob, Records, Timestamps};

/// How many records were accepted, and the call's answer.
pub(super) fn send_batch(
    producer: &Producer,
    topic: &str,
    wish: Option<i32>,
    contents: &[Content],
    token: u64,
) -> (usize, crate::Result<()>) {
    let lengths = |parts: &mut dyn Iterator<Item = Option<&[u8]>>| -> (Vec<u8>, Vec<i32>) {
        let (mut blob, mut lengths) = (Vec::new(), Vec::new());
        for part in parts {
            lengths.push(part.map_or(-1, |p| p.len() as i32));
            blob.extend_from_slice(part.unwrap_or_default());
        }
        (blob, lengths)
    };
    let (keys, key_lengths) = lengths(&mut contents.iter().map(|c| c.key.as_deref()));
    let (values, value_lengths) = lengths(&mut contents.iter().map(|c| c.value.as_deref()));
    let counts: Vec<i32> = contents.iter().map(|c| c.headers.len() as i32).collect();
    let (headers, header_lengths) = lengths(
        &mut contents
            .iter()
            .flat_map(|c| &c.headers)
            .flat_map(|(k, v)| [Some(k.as_slice()), v.as_deref()]),
    );
    let timestamps: Vec<i64> = contents.iter().map(|c| c.timestamp).collect();
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    let key_column = match keys.is_empty() {
        true => Ok(Bytes::Null),
        false => Blob::new("keys", &keys, &key_lengths, &mut a).map(Bytes::Blob),
    };
    let value_column = Blob::new("values", &values, &value_lengths, &mut b).map(Bytes::Blob);
    let header_column = match header_lengths.is_empty() {
        true => Ok(None),
        false => HeaderBlob::new(&counts, &header_lengths, &headers, &mut c).map(Some),
    };
    let records = key_column.and_then(|keys| {
        Records::new(
            contents.len(),
            keys,
            value_column?,
            header_column?,
            Timestamps::Each(&timestamps),
        )
    });
    match records {
        Ok(records) => {
            producer.send_batch(topic, wish, &records, token, Wait::UpTo(Duration::ZERO))
        }
        Err(e) => (0, Err(e)),
    }
}
