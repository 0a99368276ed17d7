//! The pure core of the collector: no I/O, no clock.
