//! Once warm, compressing and decompressing a batch allocates nothing.

#[path = "schema/allocation.rs"]
mod allocation;

use allocation::allocated_by;
use ottla::memory::{Budget, PoolBuf};
use ottla::protocol::compress::{Codec, compress, decompress};

#[test]
fn codecs_allocate_nothing_in_steady_state() {
    let _budget = Budget::new(64 << 20);
    let text: Vec<u8> = (0..20_000)
        .flat_map(|i| format!("record {} of many\n", i * i).into_bytes())
        .collect();
    let round = |codec| {
        let mut packed = PoolBuf::with_capacity(0);
        compress(codec, None, &text, &mut packed).unwrap();
        let mut out = PoolBuf::with_capacity(0);
        decompress(codec, &packed, &mut out, text.len()).unwrap();
        assert!(out[..] == text[..]);
    };
    for codec in Codec::ALL {
        round(codec);
        let (allocated, ()) = allocated_by(|| round(codec));
        assert_eq!(allocated, 0, "{codec}");
    }
}
