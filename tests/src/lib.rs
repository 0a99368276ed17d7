//! The World harness, stories, faults and benches.
