//! A key names its successor: what the new key signs to prove that it is there (docs/WIRE.md, "key").

use super::{Head, Statement};
use crate::id::{AgentId, ChainId, KeyId};
use crate::sign::{PublicKey, SecretKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The message of the proof. It is bound to one place: a proof cannot be used for another key, agent or chain.
#[derive(Serialize)]
struct Proof {
    agent_id: AgentId,
    old_key_id: KeyId,
    new_key_id: KeyId,
    chain_id: ChainId,
    seq: u64,
}

fn message(head: &Head, new: &PublicKey) -> Vec<u8> {
    let proof = Proof { agent_id: head.agent_id, old_key_id: head.key_id, new_key_id: new.id(), chain_id: head.chain_id, seq: head.seq };
    // Ids and a number: nothing in it can fail to serialise.
    serde_json::to_vec(&proof).unwrap_or_default()
}

/// The statement at the place of `head` by which its key hands over to `next`.
#[must_use]
pub fn hand_over(head: &Head, next: &SecretKey) -> Statement {
    let public = next.public();
    Statement::Key { public_key: STANDARD.encode(public.to_bytes()), proof: STANDARD.encode(next.prove(&message(head, &public))) }
}

/// The key that a statement at the place of `head` names; `None` when it cannot be used or does not prove itself.
#[must_use]
pub fn successor(head: &Head, public_key: &str, proof: &str) -> Option<PublicKey> {
    let key = PublicKey::from_bytes(&STANDARD.decode(public_key).ok()?).ok()?;
    let proof: [u8; 64] = STANDARD.decode(proof).ok()?.try_into().ok()?;
    key.proves(&message(head, &key), &proof).then_some(key)
}
