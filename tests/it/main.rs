//! The one integration binary: a module per story.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says what it measured"
)]

mod agent_disk;
mod agent_faults;
mod agent_names;
mod agent_process;
mod answer_storm;
mod backup_wrapper;
mod chaos;
mod command_lines;
mod consent;
mod dicom_echo;
mod documents;
mod enrolment;
mod facility;
mod forks_in_words;
mod fuzz;
mod goals;
mod goals_agent;
mod hardware_helper;
mod hostile_answers;
mod identity;
mod identity_copies;
mod identity_programs;
mod identity_rig;
mod ingress;
mod offline;
mod packaging;
mod page_in_a_browser;
mod patient_data;
mod portable;
mod removed_while_keys_change;
mod removed_while_swapped;
mod removed_without_an_answer;
mod revocation;
mod simulation;
mod slow_connections;
mod somebody_between;
mod tidy;
mod told_truly;
mod vectors;
mod what_stands;
mod wire_client;
