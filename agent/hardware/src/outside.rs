//! Every parser of this program that is given bytes from outside, by name and as a plain function: tests and fuzzers
//! feed them anything.

use crate::{config, count, look, proc, targets};
use mimamori_shared::word::Word;
use std::hint::black_box;
use std::path::Path;

/// A name and the parser.
pub type Reader = (&'static str, fn(&[u8]));

/// What tools and the kernel say, and what root wrote.
pub const READERS: &[Reader] = &[
    ("journalctl", |bytes| {
        let mut reader = count::Reader::default();
        // Pieces end anywhere.
        for piece in bytes.chunks(61) {
            reader.take(piece, &mut |text, unit| {
                black_box((text, unit));
            });
        }
    }),
    ("helper-config", |bytes| drop(black_box(config::parse(&String::from_utf8_lossy(bytes), &["smartctl"])))),
    ("smartctl-scan", |bytes| drop(targets::disks(&String::from_utf8_lossy(bytes)))),
    ("mountinfo-btrfs", |bytes| drop(targets::btrfs(&String::from_utf8_lossy(bytes)))),
    ("systemctl-show", |bytes| {
        let names: Vec<Word> = ["one", "two"].into_iter().filter_map(|name| name.parse().ok()).collect();
        drop(black_box(look::services(&names.iter().collect::<Vec<_>>(), &String::from_utf8_lossy(bytes), Path::new("/nonexistent"))));
    }),
    ("proc-pid-stat", |bytes| drop(black_box(proc::Stat::read(&String::from_utf8_lossy(bytes))))),
];
