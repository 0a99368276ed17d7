//! Every parser of this program that is given bytes from outside, by name and as a plain function: tests and fuzzers
//! feed them anything. What they make of it their own tests say; here they only have to come to an end, soon and without
//! a panic. Kinds of `mimamori_parse` are in its own table.

use crate::config::KEYS;
use crate::{application, consent_file, host, probe, uplink};
use mimamori_shared::config::{Layer, resolve};

/// A name and the parser.
pub type Reader = (&'static str, fn(&[u8]));

const HERE: &[Reader] = &[
    ("apcupsd-frames", |bytes| done(host::ask::unframed(bytes))),
    ("agent-config", |bytes| {
        if let Ok(layer) = Layer::from_toml("agent.toml", &String::from_utf8_lossy(bytes)) {
            done(resolve(KEYS, vec![layer]).map(|values| application::faults(&values)));
        }
    }),
    ("consent", |bytes| done(consent_file::parse("consent.toml", &String::from_utf8_lossy(bytes), &[7; 32]))),
];

/// What came of it is of no use here, and is made all the same.
pub(crate) fn done<T>(made: T) {
    std::hint::black_box(made);
}

/// All of them.
pub fn readers() -> impl Iterator<Item = Reader> {
    [HERE, probe::outside::READERS, application::outside::READERS, uplink::outside::READERS].into_iter().flatten().copied()
}
