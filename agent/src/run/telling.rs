//! What the running agent tells people: to the journal, to the manager, and to the outbox for `status` to find.

use super::Shell;
use crate::clock;
use crate::core::Note;
use crate::notify_systemd::{self as systemd, tell};
use crate::outbox::{NotedKind, OutboxError};
use crate::say::{complain, say, say_note};
use crate::uplink::{Detail, PushError};
use mimamori_shared::payload::ReceiptStatus;

impl Shell {
    pub(super) fn take_note(&mut self, note: Note) {
        say_note(note);
        let kind = match note {
            Note::Revoked => NotedKind::Revoked,
            Note::NeedsApproval => NotedKind::NeedsApproval,
            Note::Forked => NotedKind::Forked,
            Note::CollectorWentBack { .. } => NotedKind::WentBack,
            Note::ChainOpened(_) | Note::NoConsent(_) | Note::Unbridgeable { .. } => return,
        };
        self.said.over = false;
        let kept = self.outbox.note_event(kind, clock::now().wall_ms);
        self.kept(kept);
    }

    fn kept(&mut self, kept: Result<(), OutboxError>) {
        if let Err(fault) = kept {
            self.failed("what was noted could not be kept", &fault);
        }
    }

    /// A receipt came: whatever stood in its way is over.
    pub(super) fn say_reached(&mut self, status: ReceiptStatus) {
        if !self.said.reached || self.said.failing.is_some() {
            say("the collector receipts");
            tell(systemd::status("Reporting"));
        }
        self.said.reached = true;
        self.said.failing = None;
        if self.said.over {
            return;
        }
        let trusted = status == ReceiptStatus::Ok;
        let kept = self.outbox.clear_noted(|kind| match kind {
            NotedKind::Revoked | NotedKind::NeedsApproval => true,
            NotedKind::Failing(_) | NotedKind::KeyUnknown | NotedKind::Forbidden => true,
            NotedKind::Forked => trusted,
            NotedKind::WentBack => false,
        });
        self.said.over = kept.is_ok() && trusted;
        self.kept(kept);
    }

    pub(super) fn say_failed(&mut self, fault: &PushError) {
        let kind = kind_of(fault);
        if self.said.failing != Some(kind) {
            complain(&format!("reports are kept, the collector is not reached: {fault}"));
            tell(systemd::status(&format!("Collector not reached ({}): reports are kept", fault.layer.name())));
            self.said.failing = Some(kind);
            self.said.over = false;
            let kept = self.outbox.clear_noted(|other| other.is_failing() && other != kind);
            self.kept(kept);
            let kept = self.outbox.note_event(kind, clock::now().wall_ms);
            self.kept(kept);
        }
    }
}

/// Two refusals of a collector are known by their status alone: whoever reads of them is told so, and the agent does
/// what it does at any failure.
fn kind_of(fault: &PushError) -> NotedKind {
    match fault.detail {
        Detail::Status(401) => NotedKind::KeyUnknown,
        Detail::Status(403) => NotedKind::Forbidden,
        _ => NotedKind::Failing(fault.layer),
    }
}
