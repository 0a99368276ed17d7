//! Verifies, keeps and shows what the agents sign.
