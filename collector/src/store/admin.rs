//! What operators do, each with its audit row in the same transaction; and enrolment.

use super::error::StoreError;
use super::named::RedeemRefusal;
use super::network::Network;
use super::rows::{RefusedKey, Revocations, RevokedAgain};
use super::scope::{Actor, Scope};
use super::{Store, sqlite};
use mimamori_shared::id::{AgentId, KeyId, TokenId};
use mimamori_shared::payload::EnrolState;
use mimamori_shared::word::Word;
use std::net::IpAddr;

/// A token to be kept. Its secret is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its public name, random.
    pub token_id: TokenId,
    /// The public key of its seed.
    pub public_key: [u8; 32],
    /// The facility it enrols into.
    pub facility: Word,
    /// The alias it is for: that machine is active at once. Without one, machines wait for approval.
    pub slot: Option<Word>,
    /// What for; one line.
    pub reason: String,
    /// From where it may be redeemed; from anywhere without one.
    pub source: Option<Network>,
    /// When it ends, at most 24 hours from now.
    pub expires_at_ms: i64,
}

/// An enrolment whose two signatures hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redeem {
    /// The token.
    pub token_id: TokenId,
    /// The new key's id.
    pub key_id: KeyId,
    /// The new key.
    pub public_key: [u8; 32],
    /// The agent id it gets, random, unless it has one already.
    pub agent_id: AgentId,
    /// The other end of the connection it asks over.
    pub source: IpAddr,
}

/// What a redemption came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// An identity.
    Enrolled {
        /// The same each time the same key asks.
        enrolment: Enrolment,
        /// Whether it was given just now.
        first_time: bool,
    },
    /// None; why. The agent is not told.
    Refused(RedeemRefusal),
}

/// An identity as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The identity.
    pub agent_id: AgentId,
    /// The key it is bound to.
    pub key_id: KeyId,
    /// The token it was given for.
    pub token_id: TokenId,
    /// The facility's alias.
    pub facility: Word,
    /// The machine's alias at the time.
    pub machine: Word,
    /// Whether reports were taken at once.
    pub state: EnrolState,
    /// When.
    pub enrolled_at_ms: i64,
}

impl Store {
    /// Adds a facility. Only within [`Scope::All`].
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the alias is.
    pub async fn add_facility(&self, scope: &Scope, actor: &Actor, alias: &Word, name: &str, example: bool, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor, alias, name) = (scope.clone(), actor.clone(), alias.clone(), name.to_owned());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::facility::add(db, &scope, &actor, (&alias, &name, example), now_ms)).await,
        }
    }

    /// Keeps a token's public half.
    ///
    /// # Errors
    /// When the facility is not in scope, or the alias of the slot or the token's id is taken.
    pub async fn add_token(&self, scope: &Scope, actor: &Actor, token: NewToken, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor) = (scope.clone(), actor.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::token::add(db, &scope, &actor, &token, now_ms)).await,
        }
    }

    /// Takes a token back. The machine it enrolled, if any, stays.
    ///
    /// # Errors
    /// When there is none in scope.
    pub async fn revoke_token(&self, scope: &Scope, actor: &Actor, token: TokenId, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor) = (scope.clone(), actor.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::token::revoke(db, &scope, &actor, token, now_ms)).await,
        }
    }

    /// Redeems a token, once; the same key gets the same answer ever after. Whoever calls this has checked both
    /// signatures of the request, that of the token with [`Store::token_public_key`].
    ///
    /// # Errors
    /// When the key cannot be used or is not its id's.
    pub async fn redeem(&self, ask: Redeem, now_ms: i64) -> Result<Redeemed, StoreError> {
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::enrol::redeem(db, &ask, now_ms)).await,
        }
    }

    /// Decides which new key is the machine's: it is taken when its statement comes again, whatever was heard before.
    ///
    /// # Errors
    /// When there is no such machine in scope, or it is revoked.
    pub async fn choose_key(&self, scope: &Scope, actor: &Actor, facility: &Word, alias: &Word, key: KeyId, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor, facility, alias) = (scope.clone(), actor.clone(), facility.clone(), alias.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::machine::choose_key(db, &scope, &actor, (&facility, &alias), key, now_ms)).await,
        }
    }

    /// The new keys that were named for a machine and not taken, oldest first.
    ///
    /// # Errors
    /// When there is no such machine in scope.
    pub async fn refused_keys(&self, scope: &Scope, agent: AgentId) -> Result<Vec<RefusedKey>, StoreError> {
        let scope = scope.clone();
        match self {
            Store::Sqlite(engine) => engine.read(move |db| sqlite::handover::refused(db, &scope, agent)).await,
        }
    }

    /// Lets a machine report, and lets one that does open new chains again. `rename` gives it its alias.
    ///
    /// # Errors
    /// When there is none in scope, it is revoked, or the alias is taken.
    pub async fn approve_machine(
        &self,
        scope: &Scope,
        actor: &Actor,
        facility: &Word,
        alias: &Word,
        rename: Option<&Word>,
        now_ms: i64,
    ) -> Result<AgentId, StoreError> {
        let (scope, actor, facility, alias, rename) = (scope.clone(), actor.clone(), facility.clone(), alias.clone(), rename.cloned());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::machine::approve(db, &scope, &actor, (&facility, &alias, rename.as_ref()), now_ms)).await,
        }
    }

    /// Gives a machine another alias.
    ///
    /// # Errors
    /// When there is none in scope or the alias is taken.
    pub async fn rename_machine(&self, scope: &Scope, actor: &Actor, facility: &Word, alias: &Word, name: &Word, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor, facility, alias, name) = (scope.clone(), actor.clone(), facility.clone(), alias.clone(), name.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::machine::rename(db, &scope, &actor, (&facility, &alias, &name), now_ms)).await,
        }
    }

    /// Refuses a machine and its key from this transaction on. Doing it again changes nothing.
    ///
    /// # Errors
    /// When there is none in scope.
    pub async fn revoke_machine(&self, scope: &Scope, actor: &Actor, facility: &Word, alias: &Word, now_ms: i64) -> Result<KeyId, StoreError> {
        let (scope, actor, facility, alias) = (scope.clone(), actor.clone(), facility.clone(), alias.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::machine::revoke(db, &scope, &actor, (&facility, &alias), now_ms)).await,
        }
    }

    /// Takes over the revocations that a database which went back has forgotten; `known` is what is kept outside it.
    /// Gives the keys that were not revoked here.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn reapply_revocations(&self, actor: &Actor, known: Revocations, now_ms: i64) -> Result<Vec<RevokedAgain>, StoreError> {
        let actor = actor.clone();
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::revocation::reapply(db, &actor, &known, now_ms)).await,
        }
    }

    /// Takes a machine out of service. Its history stays, its alias becomes free.
    ///
    /// # Errors
    /// When there is none in scope.
    pub async fn retire_machine(&self, scope: &Scope, actor: &Actor, facility: &Word, alias: &Word, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor, facility, alias) = (scope.clone(), actor.clone(), facility.clone(), alias.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::machine::retire(db, &scope, &actor, (&facility, &alias), now_ms)).await,
        }
    }

    /// Puts the machine `new` into the place of `old`: it takes the alias, the old one is retired and linked.
    ///
    /// # Errors
    /// When one of them is not in scope.
    pub async fn replace_machine(&self, scope: &Scope, actor: &Actor, facility: &Word, old: &Word, new: &Word, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor, facility, old, new) = (scope.clone(), actor.clone(), facility.clone(), old.clone(), new.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::machine::replace(db, &scope, &actor, (&facility, &old, &new), now_ms)).await,
        }
    }

    /// Moves a machine, with its history, to another facility.
    ///
    /// # Errors
    /// When machine or facility is not in scope, or the alias is taken there.
    pub async fn move_machine(&self, scope: &Scope, actor: &Actor, facility: &Word, alias: &Word, to: &Word, now_ms: i64) -> Result<(), StoreError> {
        let (scope, actor, facility, alias, to) = (scope.clone(), actor.clone(), facility.clone(), alias.clone(), to.clone());
        match self {
            Store::Sqlite(engine) => engine.write(move |db| sqlite::machine::relocate(db, &scope, &actor, (&facility, &alias, &to), now_ms)).await,
        }
    }
}
