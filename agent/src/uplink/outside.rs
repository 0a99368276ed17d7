//! What a collector, or whoever stands in its place, answers, as functions of bytes: see `crate::outside`.

use super::retry_after::retry_after_s;
use super::{ANSWER_TYPE, Answer, Sent, SentFrame, Trust, judge, judge_enrolled};
use crate::outside::{Reader, done};
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash, TokenId};
use mimamori_shared::sign::SecretKey;
use mimamori_shared::token::Token;
use zeroize::Zeroizing;

/// By what is read. Nothing in an answer is signed by the key that is believed, unless a fuzzer breaks Ed25519.
pub(crate) const READERS: &[Reader] = &[
    ("collector-answer", answered),
    ("retry-after", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let (value, date) = text.split_once('\n').map_or((&*text, None), |(value, date)| (value, Some(date)));
        done(retry_after_s(value, date, 1_800_000_000_000));
    }),
];

/// The same body as an answer to reports and to an enrolment, of every status that is looked into.
fn answered(bytes: &[u8]) {
    let key = SecretKey::from_seed(&Zeroizing::new([9; 32])).public();
    let (collector_id, chain_id, hash) = (CollectorId([1; 16]), ChainId([2; 16]), Hash([6; 32]));
    let sent = Sent { chain_id, first_hash: hash, frames: vec![SentFrame { seq: 4, last_seq: 4, tip_hash: hash }] };
    let token = Token {
        id: TokenId([5; 8]),
        seed: Zeroizing::new([5; 32]),
        url: "https://rsc.example".to_owned(),
        collector_id,
        root_key: key.to_bytes(),
        ca_pin: Hash::ZERO,
        recipient: "age1".to_owned(),
    };
    for status in [200, 409] {
        let answer = Answer { status, content_type: ANSWER_TYPE.into(), retry_after_s: None, body: bytes.to_vec() };
        let mut trust = Trust { collector_id, agent_id: AgentId([3; 16]), root: key, certificate: None };
        done(judge(&answer, &mut trust, &sent));
        done(judge_enrolled(&answer, &token, &key));
    }
}
