//! The driver that tests kill, starve and cut the power of: see `mimamori_tests::drive`.

fn main() {
    mimamori_tests::drive::drive(&std::env::args().skip(1).collect::<Vec<_>>());
}
