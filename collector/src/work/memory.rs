//! What presence remembers between two looks, as the JSON that is kept beside its row.

use crate::store::PresenceRow;
use mimamori_domain::presence::{Because, Boot, Presence, State};
use mimamori_shared::id::{BootId, ChainId};
use serde::{Deserialize, Serialize};

/// Newest chains of a machine that are looked at, and whose cursors are therefore remembered.
pub(super) const CHAINS_MAX: usize = 16;

/// How far one chain has been looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) chain_id: ChainId,
    pub(super) branch: u32,
    pub(super) next_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptBoot {
    boot_id: BootId,
    boottime_ms: i64,
    offset_ms: Option<i64>,
    proven_ms: i64,
    told_ms: i64,
}

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    last_received_ms: Option<i64>,
    boot: Option<KeptBoot>,
    past: Option<KeptBoot>,
    grace_s: Option<u64>,
    due_at_ms: Option<i64>,
    turn_at_ms: Option<i64>,
    agreed_from_ms: Option<i64>,
    /// Newest last.
    cursors: Vec<Cursor>,
    /// The preview that was looked at.
    pub(super) preview: Option<(ChainId, u64)>,
}

impl From<Boot> for KeptBoot {
    fn from(boot: Boot) -> KeptBoot {
        let Boot { boot_id, boottime_ms, offset_ms, proven_ms, told_ms } = boot;
        KeptBoot { boot_id, boottime_ms, offset_ms, proven_ms, told_ms }
    }
}

impl From<&KeptBoot> for Boot {
    fn from(kept: &KeptBoot) -> Boot {
        let KeptBoot { boot_id, boottime_ms, offset_ms, proven_ms, told_ms } = *kept;
        Boot { boot_id, boottime_ms, offset_ms, proven_ms, told_ms }
    }
}

impl Memory {
    /// What a row remembers. A row that cannot be read is a machine seen for the first time: its evidence tells all again.
    pub(super) fn of(row: Option<&PresenceRow>) -> (Memory, Option<Presence>) {
        let Some(row) = row else { return (Memory::default(), None) };
        let Ok(memory) = serde_json::from_str::<Memory>(&row.memory) else { return (Memory::default(), None) };
        let presence = presence_of(row, &memory);
        (memory, presence)
    }

    /// The place of a chain's branch that was not looked at yet.
    pub(super) fn next_seq(&self, chain_id: ChainId, branch: u32) -> u64 {
        self.cursors.iter().find(|cursor| cursor.chain_id == chain_id && cursor.branch == branch).map_or(0, |cursor| cursor.next_seq)
    }

    /// Remembers how far a chain's branch was looked at.
    pub(super) fn looked(&mut self, chain_id: ChainId, branch: u32, next_seq: u64) {
        self.cursors.retain(|cursor| cursor.chain_id != chain_id || cursor.branch != branch);
        self.cursors.push(Cursor { chain_id, branch, next_seq });
        if self.cursors.len() > CHAINS_MAX {
            self.cursors.remove(0);
        }
    }

    /// The row that keeps a presence.
    pub(super) fn row(mut self, presence: &Presence) -> PresenceRow {
        self.last_received_ms = presence.last_received_ms;
        self.boot = presence.boot.map(KeptBoot::from);
        self.past = presence.past.map(KeptBoot::from);
        self.due_at_ms = presence.due_at_ms;
        self.turn_at_ms = presence.turn_at_ms;
        self.agreed_from_ms = presence.agreed_from_ms;
        self.grace_s = match presence.because {
            Because::Silent { grace_s } => Some(grace_s),
            _ => None,
        };
        PresenceRow {
            state: presence.state.name().parse().unwrap_or_default(),
            since_ms: presence.since_ms,
            because: presence.because.code().parse().unwrap_or_default(),
            due_at_ms: presence.look_at_ms(),
            memory: serde_json::to_string(&self).unwrap_or_default(),
        }
    }
}

/// The presence that a row keeps; `None` when it is not understood.
pub(crate) fn presence(row: &PresenceRow) -> Option<Presence> {
    Memory::of(Some(row)).1
}

fn presence_of(row: &PresenceRow, memory: &Memory) -> Option<Presence> {
    Some(Presence {
        state: State::from_name(row.state.as_str())?,
        since_ms: row.since_ms,
        because: Because::from_code(row.because.as_str(), memory.grace_s)?,
        last_received_ms: memory.last_received_ms,
        boot: memory.boot.as_ref().map(Boot::from),
        past: memory.past.as_ref().map(Boot::from),
        due_at_ms: memory.due_at_ms,
        turn_at_ms: memory.turn_at_ms,
        agreed_from_ms: memory.agreed_from_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_survives_its_row() {
        let boot = Boot { boot_id: BootId([1; 16]), boottime_ms: 2, offset_ms: Some(-3), proven_ms: 4, told_ms: 5 };
        for because in [Because::Silent { grace_s: 150 }, Because::FirstReport] {
            let presence = Presence {
                state: State::NotKnown,
                since_ms: 6,
                because,
                last_received_ms: Some(7),
                boot: Some(boot),
                past: None,
                due_at_ms: Some(8),
                turn_at_ms: Some(9),
                agreed_from_ms: Some(10),
            };
            let row = Memory::default().row(&presence);
            assert_eq!(row.due_at_ms, Some(8), "what comes first is looked at first");
            assert_eq!(Memory::of(Some(&row)).1, Some(presence));
        }
    }

    #[test]
    fn cursors_are_bounded() {
        let mut memory = Memory::default();
        for byte in 0..40 {
            memory.looked(ChainId([byte; 16]), 0, u64::from(byte));
        }
        assert_eq!(memory.cursors.len(), CHAINS_MAX);
        assert_eq!((memory.next_seq(ChainId([39; 16]), 0), memory.next_seq(ChainId([0; 16]), 0)), (39, 0));
    }
}
