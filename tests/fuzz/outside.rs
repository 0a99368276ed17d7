//! One parser by its name in `MIMAMORI_FUZZ`; the folders below `seeds` name them all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mimamori_tests::outside::{Target, targets};
use std::sync::LazyLock;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MIMAMORI_FUZZ").expect("MIMAMORI_FUZZ names a parser");
    targets().find(|target| target.name() == name).unwrap_or_else(|| panic!("no parser is called {name}"))
});

fuzz_target!(|bytes: &[u8]| TARGET.read(bytes));
