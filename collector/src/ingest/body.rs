//! Decompression under bounds: before any signature is seen, nothing may grow.

use super::Refused;
use mimamori_shared::limits::{BODY_PLAIN_BYTES_MAX, BODY_RATIO_MAX, RATIO_FREE_BYTES, ZSTD_WINDOW_LOG_MAX};
use std::io::Read as _;

/// The most that a body of `length` bytes may become.
#[must_use]
pub fn plain_bytes_most(length: usize) -> usize {
    length.saturating_mul(BODY_RATIO_MAX).clamp(RATIO_FREE_BYTES, BODY_PLAIN_BYTES_MAX)
}

/// Decompresses one zstd stream: at most 8 MiB, at most 64 times the body, window at most 8 MiB.
///
/// # Errors
/// [`Refused::TooLarge`] beyond the bounds, [`Refused::Zstd`] for anything that is not exactly one stream.
pub fn decompress(body: &[u8]) -> Result<Vec<u8>, Refused> {
    let most = plain_bytes_most(body.len());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|_| Refused::Zstd)?.single_frame();
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| Refused::Zstd)?;
    let mut plain = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let length = decoder.read(&mut chunk).map_err(|fault| if is_window(&fault) { Refused::TooLarge } else { Refused::Zstd })?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { break };
        if plain.len() + length > most {
            return Err(Refused::TooLarge);
        }
        plain.extend_from_slice(read);
    }
    if decoder.finish().is_empty() { Ok(plain) } else { Err(Refused::Zstd) }
}

fn is_window(fault: &std::io::Error) -> bool {
    fault.to_string().contains("requires too much memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_comes_back_whole() {
        let plain: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        assert_eq!(decompress(&zstd::bulk::compress(&plain, 3).unwrap()).unwrap(), plain);
        assert_eq!(decompress(&zstd::bulk::compress(b"", 3).unwrap()).unwrap(), b"");
    }

    #[track_caller]
    fn check(body: &[u8], too_large: bool) {
        match decompress(body) {
            Err(Refused::TooLarge) => assert!(too_large),
            Err(Refused::Zstd) => assert!(!too_large),
            other => panic!("{:?}", other.map(|plain| plain.len())),
        }
    }

    #[test]
    fn bombs_second_streams_and_rubbish_are_refused() {
        check(&zstd::bulk::compress(&vec![0; 100 << 20], 3).unwrap(), true);
        check(&zstd::bulk::compress(&vec![0; 1 << 20], 3).unwrap(), true);
        let one = zstd::bulk::compress(b"one", 3).unwrap();
        check(&[one.as_slice(), one.as_slice()].concat(), false);
        check(&[one.as_slice(), b"x"].concat(), false);
        check(&one[..one.len() - 1], false);
        check(b"", false);
        check(b"not zstd at all", false);
        let mut wide = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        wide.window_log(27).unwrap();
        std::io::Write::write_all(&mut wide, &(0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
        check(&wide.finish().unwrap(), true);
    }
}
