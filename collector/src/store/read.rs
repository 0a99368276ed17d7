//! Reads: for pages, metrics, export and the tools. None of them sees beyond its scope.

use super::error::StoreError;
use super::rows::{
    AuditRow, BranchRow, ChainRow, EvidenceRow, FacilityRow, FindingRow, KeyRow, MachineRow, Revocations, SessionRow, StandingRow, TokenRow, TransitionRow,
};
use super::scope::Scope;
use super::sqlite::latest::Only;
use super::{Store, sqlite};
use mimamori_shared::id::{AgentId, ChainId, KeyId, TokenId};
use mimamori_shared::word::Word;

/// Most rows of one answer that is given in pages.
pub const PAGE_MAX: u32 = 1000;

impl Store {
    /// A key and whose it is.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn key(&self, key_id: KeyId) -> Result<Option<KeyRow>, StoreError> {
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::machine::key(db, key_id)).await,
        }
    }

    /// The public key of a token, whatever its state.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn token_public_key(&self, token: TokenId) -> Result<Option<[u8; 32]>, StoreError> {
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::token::public_key(db, token)).await,
        }
    }

    /// Every key that an agent has had, with its public half, oldest first.
    ///
    /// # Errors
    /// When there is no such agent in scope.
    pub async fn keys_of(&self, scope: &Scope, agent: AgentId) -> Result<Vec<(KeyId, [u8; 32])>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::machine::keys_of(db, &scope, agent)).await,
        }
    }

    /// Keys that are never taken again. Only within [`Scope::All`].
    ///
    /// # Errors
    /// When the database failed.
    pub async fn revocations(&self, scope: &Scope) -> Result<Revocations, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::revocation::all(db, &scope)).await,
        }
    }

    /// Facilities, by alias.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn facilities(&self, scope: &Scope) -> Result<Vec<FacilityRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::facility::list(db, &scope)).await,
        }
    }

    /// Machines with all that a page shows, by facility and alias, retired ones too.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn machines(&self, scope: &Scope) -> Result<Vec<MachineRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::latest::machines(db, &scope, Only::default())).await,
        }
    }

    /// The machine with an alias: the one in service, or the one retired last.
    ///
    /// # Errors
    /// When there is none in scope.
    pub async fn machine(&self, scope: &Scope, facility: &Word, alias: &Word) -> Result<MachineRow, StoreError> {
        let (scope, facility, alias) = (scope.clone(), facility.clone(), alias.clone());
        let found = match self {
            Store::Sqlite(engine) => {
                let read =
                    move |db: &rusqlite::Connection| sqlite::latest::machines(db, &scope, Only { facility: Some(&facility), alias: Some(&alias), agent: None });
                engine.read(read).await?
            }
        };
        found.into_iter().next().ok_or(StoreError::NotFound("machine"))
    }

    /// The machine of an agent.
    ///
    /// # Errors
    /// When there is none in scope.
    pub async fn machine_of(&self, scope: &Scope, agent: AgentId) -> Result<MachineRow, StoreError> {
        let scope = scope.clone();
        let found = match self {
            Store::Sqlite(engine) => {
                let read = move |db: &rusqlite::Connection| sqlite::latest::machines(db, &scope, Only { agent: Some(agent), ..Only::default() });
                engine.read(read).await?
            }
        };
        found.into_iter().next().ok_or(StoreError::NotFound("machine"))
    }

    /// Tokens, newest first.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn tokens(&self, scope: &Scope) -> Result<Vec<TokenRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::token::list(db, &scope)).await,
        }
    }

    /// The newest findings, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database failed.
    pub async fn findings(&self, scope: &Scope) -> Result<Vec<FindingRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::finding::list(db, &scope, None, PAGE_MAX)).await,
        }
    }

    /// The newest findings of one machine, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database failed.
    pub async fn findings_of(&self, scope: &Scope, agent: AgentId) -> Result<Vec<FindingRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::finding::list(db, &scope, Some(agent), PAGE_MAX)).await,
        }
    }

    /// What a machine's self-diagnosis found to have changed, from what arrived since `from_ms` (UTC, milliseconds since
    /// 1970), newest first by its chains, at most `limit` and [`PAGE_MAX`]. It is read from the evidence itself.
    ///
    /// # Errors
    /// When the machine is not in scope.
    pub async fn found(&self, scope: &Scope, agent: AgentId, from_ms: i64, limit: u32) -> Result<Vec<StandingRow>, StoreError> {
        let (scope, limit) = (scope.clone(), limit.min(PAGE_MAX));
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::evidence::found(db, &scope, agent, from_ms, limit)).await,
        }
    }

    /// Whether a machine's key was heard with two voices since an operator last approved the machine.
    ///
    /// # Errors
    /// When the machine is not in scope.
    pub async fn two_voices(&self, scope: &Scope, agent: AgentId) -> Result<bool, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::finding::heard_twice(db, &scope, agent)).await,
        }
    }

    /// The newest changes of a machine's presence, newest first, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the machine is not in scope.
    pub async fn transitions(&self, scope: &Scope, agent: AgentId) -> Result<Vec<TransitionRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::presence::transitions(db, &scope, agent, PAGE_MAX)).await,
        }
    }

    /// A machine's sessions in the order in which they were first heard of.
    ///
    /// # Errors
    /// When the machine is not in scope.
    pub async fn sessions(&self, scope: &Scope, agent: AgentId) -> Result<Vec<SessionRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::session::list(db, &scope, agent)).await,
        }
    }

    /// An agent's chains by epoch.
    ///
    /// # Errors
    /// When the machine is not in scope.
    pub async fn chains(&self, scope: &Scope, agent: AgentId) -> Result<Vec<ChainRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::chain::list(db, &scope, agent)).await,
        }
    }

    /// The branches of a chain, by number.
    ///
    /// # Errors
    /// When the machine is not in scope.
    pub async fn branches(&self, scope: &Scope, agent: AgentId, chain: ChainId) -> Result<Vec<BranchRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::chain::list_branches(db, &scope, agent, chain)).await,
        }
    }

    /// Entries of one branch in order from a place on, at most `limit` and [`PAGE_MAX`]. The next page begins behind
    /// the last entry's `last_seq`; an empty page is the end.
    ///
    /// # Errors
    /// When the machine is not in scope.
    pub async fn evidence(
        &self,
        scope: &Scope,
        agent: AgentId,
        chain: ChainId,
        branch: u32,
        from_seq: u64,
        limit: u32,
    ) -> Result<Vec<EvidenceRow>, StoreError> {
        let (scope, limit) = (scope.clone(), limit.min(PAGE_MAX));
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::evidence::list(db, &scope, (agent, chain, branch), from_seq, limit)).await,
        }
    }

    /// What was done since `from_ms` (UTC, milliseconds since 1970), newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn audit(&self, scope: &Scope, from_ms: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::audit::list(db, &scope, from_ms, limit)).await,
        }
    }

    /// Recomputes every chain in scope from its payloads; gives what does not agree.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn fsck(&self, scope: &Scope) -> Result<Vec<String>, StoreError> {
        let scope = scope.clone();
        let mut faults = Vec::new();
        match self {
            Store::Sqlite(engine) => {
                for agent in engine.read(move |db| sqlite::fsck::agents(db, &scope)).await? {
                    faults.extend(engine.read(move |db| sqlite::fsck::agent(db, agent)).await?);
                }
            }
        }
        Ok(faults)
    }
}
