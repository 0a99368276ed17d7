//! Every parser of what comes from outside, as a plain function of bytes: kinds of `mimamori-agent parse`, what agent and
//! helper read, and what travels. Stable tests (`tests/it/fuzz.rs`) and the fuzzer (`tests/fuzz`) call the same ones.

use mimamori_agent::outside::{Reader, readers};
use mimamori_agent_hardware::outside::READERS as HELPER;
use mimamori_collector::config::KEYS as COLLECTOR_KEYS;
use mimamori_collector::ingest::decompress;
use mimamori_parse::{KINDS, Kind, Read, Tree, text};
use mimamori_shared::config::{Layer, resolve};
use mimamori_shared::consent::Window;
use mimamori_shared::frame::{Batch, Frame, line, parse_signature_line, parse_wrapper, take};
use mimamori_shared::payload::{Certificate, Enrol, Enrolled, Entry, Receipt, Refusal, read};
use mimamori_shared::sign::{PayloadType, SecretKey, verify};
use mimamori_shared::token::Token;
use mimamori_shared::{json, time};
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The moment by which ages are judged: 2026-11-28, UTC.
const AT_MS: i64 = 1_795_824_000_000;
/// Begins a file of a folder that is written as one text; its path follows.
const FILE: &str = "== ";
/// Frames of a batch.
const FRAMES_MAX: usize = 256;

/// One parser.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// A row of the table behind `mimamori-agent parse`.
    Kind(&'static Kind),
    /// Anything else, by name.
    Other(&'static str, fn(&[u8])),
}

impl Target {
    /// Its name; also that of the folder with its seeds.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Target::Kind(kind) => kind.name,
            Target::Other(name, _) => name,
        }
    }

    /// Lets it read. Whatever the bytes are, it comes to an end, without a panic.
    pub fn read(&self, bytes: &[u8]) {
        match self {
            Target::Other(_, read) => read(bytes),
            Target::Kind(kind) => {
                let read = match kind.read {
                    Read::Text(read) => read(&text::decode(bytes), Some(AT_MS)),
                    Read::Bytes(read) => read(bytes, Some(AT_MS)),
                    Read::Tree(read) => read(&tree(bytes), Some(AT_MS)),
                };
                // What people and programs get of it.
                done(read.map(|outcome| serde_json::to_string(&outcome).unwrap()).map_err(|error| (error.to_string(), error.ja())));
            }
        }
    }
}

/// What travels, and what people write for the collector.
const TRAVELS: &[Reader] = &[
    ("batch", |bytes| done(Batch::parse(bytes, FRAMES_MAX))),
    ("compressed-batch", |bytes| done(decompress(bytes).map(|plain| Batch::parse(&plain, FRAMES_MAX)))),
    ("enrolment", |bytes| {
        if let Ok((third, rest)) = take(bytes).and_then(|(_, rest)| line(rest)) {
            done((parse_signature_line::<8>(third), rest.is_empty()));
        }
        done(parse_wrapper(bytes));
    }),
    ("payload", payload),
    ("payload-json", |bytes| done(json::check(bytes))),
    ("token", |bytes| done(Token::parse(&String::from_utf8_lossy(bytes)))),
    ("moment", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        done((time::parse(&text), Window::parse_line(&text)));
    }),
    ("collector-config", |bytes| {
        if let Ok(layer) = Layer::from_toml("collector.toml", &String::from_utf8_lossy(bytes)) {
            done(resolve(COLLECTOR_KEYS, vec![layer]).is_ok());
        }
    }),
];

/// Signed by somebody who may sign, as a machine that was taken over would: what is behind the signature is read too.
fn payload(bytes: &[u8]) {
    let Some(kind) = PayloadType::of(bytes) else { return };
    let key = SecretKey::from_seed(&Zeroizing::new([7; 32]));
    let frame = Frame { payload: bytes.to_vec(), key_id: key.public().id(), signature: key.sign(kind, bytes) };
    let Ok(verified) = verify(frame, &key.public()) else { return };
    done(Entry::read(&verified));
    done(read::<Receipt>(&verified, kind));
    done(read::<Refusal>(&verified, kind));
    done(read::<Enrol>(&verified, kind));
    done(read::<Enrolled>(&verified, kind));
    done(read::<Certificate>(&verified, kind));
}

/// What came of it is of no use here, and is made all the same.
fn done<T>(made: T) {
    black_box(made);
}

/// All of them.
pub fn targets() -> impl Iterator<Item = Target> {
    let others = readers().chain(HELPER.iter().copied()).chain(TRAVELS.iter().copied());
    KINDS.iter().map(Target::Kind).chain(others.map(|(name, read)| Target::Other(name, read)))
}

/// A folder out of one text: `== PATH` begins a file, the lines behind it are what the file holds.
fn tree(bytes: &[u8]) -> Tree {
    let mut tree = Tree::default();
    let (mut path, mut held) = (None, Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(next) = line.strip_prefix(FILE.as_bytes()) else {
            held.extend_from_slice(line);
            continue;
        };
        if let Some(path) = path.replace(String::from_utf8_lossy(next).trim_end().to_owned()) {
            drop(tree.put(path, std::mem::take(&mut held)));
        }
    }
    if let Some(path) = path {
        drop(tree.put(path, held));
    }
    tree
}

/// Where the seeds of the fuzzer lie, a folder for each target: our own fixtures.
#[must_use]
pub fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

/// The seeds of a target by their names, sorted.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn seeds_of(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = seeds().join(target.name());
    let entries = fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    found.sort();
    found
}
