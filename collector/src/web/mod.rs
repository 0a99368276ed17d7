//! The web: pages in two languages.

pub mod lang;
pub mod page;
