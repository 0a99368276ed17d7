//! Verifies, keeps and shows what the agents sign.

pub mod store;
