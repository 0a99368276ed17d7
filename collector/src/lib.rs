//! Verifies, keeps and shows what the agents sign.

pub mod export;
pub mod store;
pub mod view;
pub mod web;
