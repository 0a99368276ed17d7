//! The one integration binary: a module per story.

mod agent_process;
mod chaos;
mod documents;
mod enrolment;
mod hostile_answers;
mod offline;
mod packaging;
mod slow_connections;
mod tidy;
mod vectors;
mod wire_client;
