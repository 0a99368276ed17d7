//! What other programs read: metrics.

pub mod exposition;
pub mod metrics;
pub mod reference;
pub mod selfmetrics;
