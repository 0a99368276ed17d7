//! What a person reads in the journal. Lines begin with the priority that systemd understands.

use crate::core::Note;
use crate::outbox::Noticed;
use mimamori_shared::error::plain;

pub(crate) fn say_noticed(noticed: &Noticed) {
    match noticed {
        Noticed::SetAside(path) => complain(&format!("the outbox was damaged and is set aside as {}; a new one is begun and says so", path.display())),
        Noticed::TailLost { entries } => complain(&format!("the outbox lost its last {entries} entries; they are reported as lost")),
    }
}

pub(crate) fn say_note(note: Note) {
    match note {
        Note::CollectorWentBack { next_seq } => {
            complain(&format!("the collector went back to place {next_seq}: it was restored or replaced; it gets everything again"))
        }
        Note::Forked => complain("the collector sees this key used twice: was this machine cloned or restored? Ask the RSC"),
        Note::ChainOpened(reason) => say(&format!("a new chain was opened: {reason:?}")),
        Note::Revoked => complain("the collector no longer takes reports of this machine; they are kept. Ask the RSC"),
        Note::NeedsApproval => complain("the collector wants an operator's approval first; reports are kept"),
        Note::Unbridgeable { seq } => complain(&format!(
            "a chain of an earlier key has a hole from place {seq} on and can no longer be completed: its key is gone. The rest of it stays in the ledger (`mimamori-agent ledger export`)"
        )),
        Note::NoConsent(_) => {}
    }
}

#[allow(clippy::print_stdout, reason = "the journal reads standard output")]
pub(crate) fn say(text: &str) {
    println!("<6>{}", plain(text));
}

pub(crate) fn complain(text: &str) {
    eprintln!("<4>{}", plain(text));
}
