//! What the shell does about keys: the file's side of [`crate::core::Rotation`].

use super::Shell;
use crate::clock;
use crate::core::{Agent, Event, KeyTask, Restored, Rotation};
use crate::identity::IdentityError;
use crate::keyring::{self, Keyring};
use crate::say::{complain, say};
use mimamori_shared::error::chain;
use mimamori_shared::id::ChainId;
use std::collections::VecDeque;
use zeroize::Zeroizing;

impl Shell {
    /// An agent that goes on from what the outbox holds, with the key the ledger says.
    pub(super) fn agent_of(&self, restored: Restored) -> Agent {
        let mut agent = Agent::new(self.identity.clone(), self.settings.clone(), restored);
        agent.set_rotation(self.rotation());
        agent
    }

    pub(super) fn rotation(&self) -> Rotation {
        Rotation { since_ms: self.keyring.since_ms(), after_ms: self.rotate_after_ms, old: self.keyring.old.clone() }
    }

    /// The outbox was begun anew: a statement about a key may be gone with it.
    pub(super) fn begin_anew(&mut self, restored: Restored) {
        let dir = self.dir.clone();
        match Keyring::open(&dir, self.enrolment.enrolled_at_ms, &restored, clock::now().wall_ms) {
            Ok(keyring) => {
                self.identity.key = keyring.key.clone();
                self.keyring = keyring;
            }
            Err(fault) => complain(&format!("the key file cannot be read again, and the key goes on: {}", chain(&fault))),
        }
        // What was asked of the old file is void; a push under way reports to an agent that does not wait for it.
        self.agent = self.agent_of(restored);
    }

    /// Whether somebody at the machine asked for a new key. A request that was granted and cannot be taken away counts once.
    pub(super) fn look_for_request(&mut self) -> Option<Event> {
        let asked = keyring::is_requested(&self.dir);
        self.request_stays &= asked;
        (asked && !self.request_stays).then_some(Event::Rotate)
    }

    pub(super) fn key_task(&mut self, task: KeyTask, queue: &mut VecDeque<Event>) {
        match task {
            KeyTask::Make => queue.push_front(Event::KeyMade(match self.make_key() {
                Ok(key) => Some(key),
                Err(fault) => {
                    complain(&format!("no new key could be made, the present one goes on: {}", chain(&fault)));
                    None
                }
            })),
            KeyTask::Changed { since_ms } => {
                if let Err(fault) = self.keyring.changed(since_ms) {
                    complain(&format!("the key file is written again at the next start: {}", chain(&fault)));
                }
                self.identity.key = self.keyring.key.clone();
                if let Err(fault) = keyring::request_is_done(&self.dir) {
                    complain(&format!("the request for a new key was granted and cannot be taken away: {}", chain(&fault)));
                    self.request_stays = true;
                }
                say(&format!("this machine signs with a new key, {}", self.identity.key.public().id().fingerprint()));
            }
            KeyTask::ForgetOld => match self.keyring.forget_old() {
                Ok(()) => say("the old key is removed: everything it signed is receipted"),
                Err(fault) => complain(&format!("the old key could not be removed: {}", chain(&fault))),
            },
        }
    }

    fn make_key(&mut self) -> Result<mimamori_shared::sign::SecretKey, IdentityError> {
        let seed = Zeroizing::new(clock::random().map_err(|source| IdentityError::Io { path: self.dir.clone(), source })?);
        self.keyring.make_next(&seed)
    }

    pub(super) fn recall(&mut self, before: ChainId, queue: &mut VecDeque<Event>) {
        let found = self.outbox.before(before);
        let chain = match found {
            Ok(chain) => chain,
            Err(fault) => {
                self.failed("the ledger cannot be read", &fault);
                None
            }
        };
        if chain.is_some() {
            complain("the collector does not know what this machine goes on from: it was restored or replaced, and is told how the chain before ended");
        }
        queue.push_back(Event::Recalled { before, chain });
    }
}
