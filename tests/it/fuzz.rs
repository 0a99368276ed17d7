//! Every parser of what comes from outside, fed with our own fixtures, with what random changes make of them, and with
//! files of the corpus where there is one. `make fuzz` does the same for longer and knows where it has been.

use mimamori_parse::{Kind, Read, text};
use mimamori_tests::outside::{Target, seeds, seeds_of, targets};
use mimamori_tests::{Random, times};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Largest file of the corpus that is fed, in bytes; a handful are larger.
const CORPUS_BYTES_MAX: u64 = 32 * 1024;
/// How large a seed is made by repeating it, in bytes. What takes more than linear time comes to no end there.
const LARGE_BYTES: usize = 256 * 1024;
/// Far above what a loaded machine needs for it without optimisation, far below what a parser of quadratic time needs.
const LARGE_MAX: Duration = Duration::from_secs(60);

/// Feeds one input; a panic names what it was fed.
#[track_caller]
fn feed(target: &Target, bytes: &[u8], from: &str) {
    let read = catch_unwind(AssertUnwindSafe(|| target.read(bytes)));
    assert!(read.is_ok(), "{} panics on {from}: {:?}", target.name(), String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]));
}

/// A seed with a few of the changes that break parsers.
fn changed(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.between(1, 5) {
        let at = random.between(0, bytes.len() as u64 + 1) as usize;
        let until = (at + random.between(0, 40) as usize).min(bytes.len());
        match random.between(0, 9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..until, [])),
            2 => drop(bytes.splice(at..at, other[other.len() / 2..].iter().copied().take(80))),
            3 => drop(bytes.splice(at..until, b"99999999999999999999".iter().copied())),
            4 => drop(bytes.splice(at..at, "\u{202e}層\u{ff1a}".bytes())),
            5 => drop(bytes.splice(at..at, bytes[at..until].to_vec())),
            6 => drop(bytes.splice(at..at, [b'\n', b':', b'"', b'{', b'-', b'.', 0, 0xff][random.between(0, 8) as usize..][..1].to_vec())),
            7 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.between(0, 8)),
            _ => drop(bytes.splice(at..until, b"-0".iter().copied())),
        }
    }
    bytes
}

#[test]
fn every_parser_has_seeds_and_every_kind_can_read_one() {
    let names: Vec<&str> = targets().map(|target| target.name()).collect();
    let folders: BTreeSet<String> = fs::read_dir(seeds()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), folders);
    assert_eq!(names.len(), folders.len(), "a name stands twice");
    let reads = |target: &Target, bytes: &[u8]| match target {
        Target::Kind(Kind { read: Read::Text(read), .. }) => read(&text::decode(bytes), None).is_ok(),
        Target::Kind(_) | Target::Other(..) => true,
    };
    let without: Vec<&str> = targets().filter(|target| !seeds_of(target).iter().any(|(_, bytes)| reads(target, bytes))).map(|target| target.name()).collect();
    assert!(without.is_empty(), "no seed is what these read: {without:?}");
}

#[test]
fn no_parser_panics_on_what_changes_make_of_its_seeds() {
    let (rounds, mut random, mut fed) = (times("MIMAMORI_FUZZ_ROUNDS", 200), Random(0x6d69_6d61), 0);
    let all: Vec<(Target, _)> = targets().map(|target| (target, seeds_of(&target))).collect();
    for (place, (target, seeds)) in all.iter().enumerate() {
        // What another parser reads is the most foreign thing of all.
        let others = &all[(place + 1) % all.len()].1;
        for (name, seed) in seeds {
            feed(target, seed, name);
            for round in 0..rounds / seeds.len() as u64 + 1 {
                let other = &others[round as usize % others.len()].1;
                feed(target, &changed(&mut random, seed, other), name);
                fed += 1;
            }
        }
        for (name, seed) in others {
            feed(target, seed, name);
        }
    }
    println!("{fed} changed seeds fed to {} parsers", all.len());
}

#[test]
fn no_parser_takes_long_for_much() {
    for target in targets() {
        for (name, seed) in seeds_of(&target).iter().filter(|(_, seed)| !seed.is_empty()) {
            let large: Vec<u8> = seed.iter().copied().cycle().take(LARGE_BYTES).collect();
            // The same without an end of a line, and nothing but the byte it begins with.
            let joined = large.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
            for bytes in [large, joined, vec![seed[0]; LARGE_BYTES]] {
                let begun = Instant::now();
                feed(&target, &bytes, name);
                assert!(begun.elapsed() < LARGE_MAX, "{}: {name} repeated took {:?}", target.name(), begun.elapsed());
            }
        }
    }
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            below(&entry.path(), found);
        } else if kind.is_file() && entry.metadata().unwrap().len() <= CORPUS_BYTES_MAX {
            found.push(entry.path());
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "tests find the corpus by the environment")]
fn no_parser_panics_on_a_file_of_the_corpus_whatever_it_was_made_for() {
    let named = std::env::var_os("MIMAMORI_CORPUS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/open"));
    if !folder.is_dir() {
        println!("skipped no_parser_panics_on_a_file_of_the_corpus: no corpus");
        return;
    }
    let (mut paths, mut random) = (Vec::new(), Random(0x6675_7a7a));
    below(&folder, &mut paths);
    paths.sort();
    assert!(paths.len() > 100, "{} files in {}", paths.len(), folder.display());
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        for target in targets() {
            feed(&target, &bytes, &path.display().to_string());
        }
        let changed = changed(&mut random, &bytes, &bytes);
        targets().for_each(|target| feed(&target, &changed, &format!("{} with changes", path.display())));
    }
    println!("{} files of the corpus fed to {} parsers", paths.len(), targets().count());
}
