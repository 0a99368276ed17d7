//! Enums that are stored as one word each.

macro_rules! named {
    ($( $(#[doc = $doc:literal])* $name:ident { $( $(#[doc = $about:literal])* $variant:ident = $text:literal, )* } )*) => { $(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $about])* $variant, )* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[ $( $name::$variant, )* ];

            /// The word it is stored and shown as.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( $name::$variant => $text, )* }
            }

            /// Reads the word.
            #[must_use]
            pub fn of(text: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.name() == text)
            }
        }
    )* };
}

named! {
    /// Who acts.
    ActorKind {
        /// Somebody at the command line of the collector.
        Cli = "cli",
        /// An agent.
        Agent = "agent",
        /// The collector itself.
        System = "system",
        /// A login of the facility: the only one whose word counts as the facility's.
        Facility = "facility",
    }

    /// Where a machine stands.
    MachineState {
        /// Waits for an operator who compares the fingerprint.
        Pending = "pending",
        /// Its reports are taken.
        Active = "active",
        /// Its key is no longer welcome.
        Revoked = "revoked",
        /// Replaced or taken away; its alias may belong to another.
        Retired = "retired",
    }

    /// Where a key stands.
    KeyState {
        /// What it signs is taken.
        Active = "active",
        /// What it signs is refused.
        Revoked = "revoked",
    }

    /// Why a chain was opened, as far as it was said.
    ChainReason {
        /// The agent is new.
        Enrolled = "enrolled",
        /// The machine was restored from a backup or snapshot.
        Restored = "restored",
        /// The agent's state was lost.
        StateLost = "state_lost",
        /// The key was rotated.
        Rotated = "rotated",
        /// Its first entry was no opening statement.
        Unsaid = "unsaid",
    }

    /// Something about what an agent sent that somebody should look at.
    FindingKind {
        /// A body that cannot be used was kept as evidence.
        BodyUnusable = "body_unusable",
        /// A chain does not begin with an opening statement.
        ChainWithoutOpen = "chain_without_open",
        /// A payload echoes a lease that no receipt of its chain gave.
        LeaseUnknown = "lease_unknown",
        /// A payload contradicts what is held: the key speaks with two voices.
        Diverged = "diverged",
        /// Two boots take turns on one branch.
        BootsInterleaved = "boots_interleaved",
        /// An older chain reported after a newer one was opened.
        OldChainSpoke = "old_chain_spoke",
        /// A fifth branch was refused.
        TooManyBranches = "too_many_branches",
        /// A new chain was refused until an operator approves.
        TooManyChains = "too_many_chains",
        /// It came up more often in a day than is told apart: further boots share one session.
        BootsTooMany = "boots_too_many",
        /// Its state changed more often in a day than is told apart: the history says so from there on to the next day.
        ChangesTooMany = "changes_too_many",
        /// It stored as much as it may in a day; more was refused.
        BudgetExceeded = "budget_exceeded",
        /// Its clock is more than 120 s off.
        ClockSkewed = "clock_skewed",
        /// Its clock is more than a day off: its times are kept and not used.
        ClockQuarantined = "clock_quarantined",
        /// It reports from two addresses in turn.
        SourceFlapping = "source_flapping",
        /// The consent ends within so many days as the detail says.
        ConsentExpires = "consent_expires",
        /// A key spoke that has handed over to another one: somebody still holds it.
        OldKeySpoke = "old_key_spoke",
        /// A new key was named ahead of what is held: it may speak, and is the machine's when its statement is held.
        KeyVouched = "key_vouched",
        /// A statement names a new key that is not taken; the old one stays.
        NewKeyRefused = "new_key_refused",
        /// More of it is not in order than is kept: the least urgent was let go.
        StandingTooMany = "standing_too_many",
    }

    /// Why a token was not redeemed. The agent is told none of it.
    RedeemRefusal {
        /// No such token.
        Unknown = "unknown",
        /// Past its time.
        Expired = "expired",
        /// Taken back.
        Revoked = "revoked",
        /// Redeemed by another key.
        UsedByAnotherKey = "used_by_another_key",
        /// The key belongs to another agent.
        KeyInUse = "key_in_use",
        /// A machine in service has the alias the token is for.
        AliasTaken = "alias_taken",
        /// Asked for from outside the network the token is for.
        OtherSource = "other_source",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for kind in FindingKind::ALL {
            assert_eq!(FindingKind::of(kind.name()), Some(*kind));
        }
        assert_eq!(MachineState::of("gone"), None);
    }
}
