//! Reports folded into sessions: stretches of one machine, one boot and one chain, in the order of the chain.
//!
//! Within a session the machine was up, whenever its reports arrived. What lies between two sessions is judged
//! from their edges. Sessions are a function of the evidence: folding the parts of a chain and joining them
//! gives what folding the whole gives.

#[cfg(test)]
mod tests;

use mimamori_shared::id::{AgentId, BootId, ChainId};

/// A report, as far as sessions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportPoint {
    /// The machine's agent.
    pub agent_id: AgentId,
    /// The chain.
    pub chain_id: ChainId,
    /// The boot.
    pub boot_id: BootId,
    /// When and where.
    pub edge: Edge,
}

/// The place and the times of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Its place in the chain.
    pub seq: u64,
    /// The machine's wall clock.
    pub taken_at_ms: i64,
    /// Milliseconds since boot, suspended time included.
    pub boottime_ms: i64,
    /// Milliseconds since boot without suspended time.
    pub monotonic_ms: i64,
    /// When the collector received it.
    pub received_at_ms: i64,
}

impl Edge {
    fn suspended_ms(&self) -> i64 {
        self.boottime_ms.saturating_sub(self.monotonic_ms)
    }
}

/// A stretch of one machine, one boot and one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The machine's agent.
    pub agent_id: AgentId,
    /// The chain.
    pub chain_id: ChainId,
    /// The boot.
    pub boot_id: BootId,
    /// Its first report.
    pub from: Edge,
    /// Its last report.
    pub to: Edge,
    /// How many reports.
    pub reports: u64,
    /// Largest boottime between two reports that follow each other.
    pub largest_gap_ms: i64,
}

/// What a report does to the session before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extend {
    /// It belongs to it, or begins the first one.
    Same(Session),
    /// It begins another one.
    New {
        /// The one before, complete.
        closed: Session,
        /// The one that begins.
        opened: Session,
    },
}

impl Session {
    /// The session of one report.
    #[must_use]
    pub fn of(report: &ReportPoint) -> Session {
        let ReportPoint { agent_id, chain_id, boot_id, edge } = *report;
        Session { agent_id, chain_id, boot_id, from: edge, to: edge, reports: 1, largest_gap_ms: 0 }
    }

    /// Milliseconds the machine was proven up, suspended time included.
    #[must_use]
    pub fn length_ms(&self) -> i64 {
        self.to.boottime_ms.saturating_sub(self.from.boottime_ms)
    }

    /// Milliseconds of it that the machine was suspended: growth of boottime minus monotonic.
    #[must_use]
    pub fn suspended_ms(&self) -> i64 {
        self.to.suspended_ms().saturating_sub(self.from.suspended_ms()).max(0)
    }

    /// Puts the session that follows in the chain behind this one.
    #[must_use]
    pub fn join(self, later: Session) -> Extend {
        let same = |one: &Session| (one.agent_id, one.chain_id, one.boot_id);
        if same(&self) != same(&later) || later.from.boottime_ms < self.to.boottime_ms || later.from.seq <= self.to.seq {
            return Extend::New { closed: self, opened: later };
        }
        let gap_ms = later.from.boottime_ms.saturating_sub(self.to.boottime_ms);
        let largest_gap_ms = gap_ms.max(self.largest_gap_ms).max(later.largest_gap_ms);
        Extend::Same(Session { to: later.to, reports: self.reports.saturating_add(later.reports), largest_gap_ms, ..self })
    }

    /// Whether it makes sense; for assertions, properties and checks of a live database.
    #[must_use]
    pub fn holds(&self) -> bool {
        let ordered = self.from.seq <= self.to.seq && self.from.boottime_ms <= self.to.boottime_ms;
        ordered && self.reports > 0 && (0..=self.length_ms()).contains(&self.largest_gap_ms)
    }
}

/// Adds the next report of the chain. One whose place the session already covers (a replay) changes nothing.
#[must_use]
pub fn extend(session: Option<Session>, report: &ReportPoint) -> Extend {
    let opened = Session::of(report);
    let Some(session) = session else { return Extend::Same(opened) };
    let covered = (session.from.seq..=session.to.seq).contains(&report.edge.seq);
    if covered && session.chain_id == report.chain_id && session.agent_id == report.agent_id {
        return Extend::Same(session);
    }
    let extended = session.join(opened);
    debug_assert!(matches!(extended, Extend::New { .. }) || matches!(extended, Extend::Same(session) if session.holds()));
    extended
}
