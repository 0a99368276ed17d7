//! The collector: verifies what agents sign, keeps it, and shows it.
//!
//! `ingest -> store -> work`, and `web` and `export` read the store. Decisions are in `mimamori-domain`, which does
//! no I/O.

pub mod export;
pub mod net;
pub mod store;
pub mod view;
pub mod web;
