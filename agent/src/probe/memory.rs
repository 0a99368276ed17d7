//! Main memory, from `proc/meminfo`.

use super::{Sources, Take, text};
use mimamori_shared::fields::{Memory, Readings};
use mimamori_shared::payload::Fault;

pub(super) const BYTES_MAX: u64 = 64 * 1024;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    readings.memory = Take::new("memory", faults).section(host.read("proc/meminfo", BYTES_MAX), parse, Memory::is_empty);
}

pub(super) fn parse(text: &str, take: &mut Take<'_>) -> Memory {
    let mut bytes = |field, key| take.parsed(field, value(text, key), kibibytes);
    Memory {
        total_bytes: bytes("total_bytes", "MemTotal"),
        available_bytes: bytes("available_bytes", "MemAvailable"),
        free_bytes: bytes("free_bytes", "MemFree"),
        buffers_bytes: bytes("buffers_bytes", "Buffers"),
        cached_bytes: bytes("cached_bytes", "Cached"),
    }
}

/// What stands behind `key:` in files like `meminfo` and `status`.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
}

/// `17 kB` in bytes.
pub(super) fn kibibytes(value: &str) -> Option<i64> {
    text::whole(value.strip_suffix("kB")?.trim_end())?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{check_section, corpus};
    use proptest::prelude::*;

    fn check(text: &str, expected: &str, faults: &[&str]) {
        check_section("memory", text, parse, Memory::is_empty, expected, faults);
    }

    #[test]
    fn kibibytes_become_bytes_and_similar_keys_are_told_apart() {
        check(
            "MemTotal: 8 kB\nMemFree:  2 kB\nMemAvailable: 4 kB\nBuffers: 1 kB\nSwapCached: 9 kB\nCached: 3 kB\n",
            r#"{"total_bytes":8192,"available_bytes":4096,"free_bytes":2048,"buffers_bytes":1024,"cached_bytes":3072}"#,
            &[],
        );
    }

    #[test]
    fn a_missing_or_broken_value_costs_only_itself() {
        check(
            "MemTotal: 8 kB\nMemFree: -2 kB\nBuffers: 1 MB\nCached: 9223372036854775807 kB\n",
            r#"{"total_bytes":8192}"#,
            &["memory.available_bytes not_found", "memory.free_bytes malformed", "memory.buffers_bytes malformed", "memory.cached_bytes malformed"],
        );
        for text in ["", "garbage", "MemTotal: kB\n"] {
            check(text, "null", &["memory malformed"]);
        }
    }

    #[test]
    fn kernels_before_3_14_do_not_know_available_memory() {
        let Some(text) = corpus("memory::kernels_before_3_14_do_not_know_available_memory", "proc-sys/node_exporter/proc/meminfo") else {
            return;
        };
        check(
            &text,
            r#"{"total_bytes":3831959552,"free_bytes":230883328,"buffers_bytes":22568960,"cached_bytes":953229312}"#,
            &["memory.available_bytes not_found"],
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in "(.|\n)*|MemTotal:.*|MemTotal: *[0-9]* kB\n") {
            parse(&text, &mut Take::new("memory", &mut Vec::new()));
        }
    }
}
