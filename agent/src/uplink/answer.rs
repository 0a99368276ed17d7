//! What an answer is worth. Pure: nothing here reads a clock, a file or the network.
//!
//! Only signed bytes that lead back to the pinned root key, and that speak of what this very request sent, change
//! anything. All else, whatever its status says, is a failed push.

use super::fault::{Detail, PushError};
use super::{ANSWER_TYPE, Answer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::frame::{Frame, take};
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash};
use mimamori_shared::limits::ANSWER_BYTES_MAX;
use mimamori_shared::payload::{Certificate, Enrolled, Receipt, Refusal, read};
use mimamori_shared::sign::{PayloadType, PublicKey, Verified, verify};
use mimamori_shared::token::Token;
use serde::Deserialize;

/// The collector's signing key as its newest certificate seen names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    /// When the certificate was signed.
    pub issued_at_ms: i64,
    /// The key.
    pub key: PublicKey,
}

impl Signer {
    /// Of a certificate that was verified before, such as the one kept since enrolment.
    ///
    /// # Errors
    /// [`Detail::Malformed`] when its key cannot be used or is not the one it names.
    pub fn of(certificate: &Certificate) -> Result<Signer, Detail> {
        let bytes = STANDARD.decode(&certificate.public_key).map_err(|_| Detail::Malformed)?;
        let key = PublicKey::from_bytes(&bytes).map_err(|_| Detail::Malformed)?;
        if key.id() != certificate.key_id {
            return Err(Detail::Malformed);
        }
        Ok(Signer { issued_at_ms: certificate.issued_at_ms, key })
    }
}

/// Whom the agent believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Our collector.
    pub collector_id: CollectorId,
    /// Ourselves.
    pub agent_id: AgentId,
    /// The collector's root key, from the token.
    pub root: PublicKey,
    /// The newest signing key seen; moves forwards only, and only with an answer that was accepted.
    pub certificate: Option<Signer>,
}

/// A frame of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentFrame {
    /// Its place.
    pub seq: u64,
    /// The last place it covers; differs for a loss record.
    pub last_seq: u64,
    /// The chain's tip behind it.
    pub tip_hash: Hash,
}

/// What the request carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The chain.
    pub chain_id: ChainId,
    /// Hash of the request's first frame; of the preview if that is all.
    pub first_hash: Hash,
    /// The frames in order; empty if there was only a preview.
    pub frames: Vec<SentFrame>,
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The collector holds the chain up to here.
    Receipted(Receipt),
    /// The collector does not go on, and says why.
    Refused(Refusal),
    /// A request with nothing but a preview was taken.
    PreviewTaken,
    /// Nothing is known; try again, not before the seconds given.
    Failed(PushError, Option<u64>),
}

/// Judges the answer to a push. `trust` changes only when a newer certificate came with an accepted answer.
pub fn judge(answer: &Answer, trust: &mut Trust, sent: &Sent) -> Outcome {
    if answer.status == 204 && sent.frames.is_empty() && answer.body.is_empty() {
        return Outcome::PreviewTaken;
    }
    match weigh(answer, trust, sent) {
        Ok((outcome, signer)) => {
            trust.certificate = Some(signer);
            outcome
        }
        Err(detail) => Outcome::Failed(detail.into(), answer.retry_after_s),
    }
}

fn weigh(answer: &Answer, trust: &Trust, sent: &Sent) -> Result<(Outcome, Signer), Detail> {
    // The status is not signed; which of the two it is, the payload says.
    let (frame, certificate) = frames(answer, &[200, 409])?;
    let (_, signer) = certified(certificate, trust.collector_id, &trust.root, trust.certificate)?;
    let verified = verify(frame, &signer.key).map_err(|_| Detail::BadSignature)?;
    let outcome = match verified.kind() {
        PayloadType::Receipt => Outcome::Receipted(receipt(&verified, trust, sent)?),
        PayloadType::Refusal => Outcome::Refused(refusal(&verified, trust, sent)?),
        _ => return Err(Detail::WrongType),
    };
    Ok((outcome, signer))
}

/// The two frames, if the answer has the outer form of a signed one.
fn frames(answer: &Answer, statuses: &[u16]) -> Result<(Frame, Frame), Detail> {
    if !statuses.contains(&answer.status) {
        return Err(match answer.status {
            300..=399 => Detail::Redirected(answer.status),
            // No other success means anything here, 204 behind frames included.
            200..=299 => Detail::Portal,
            status => Detail::Status(status),
        });
    }
    if answer.content_type != ANSWER_TYPE {
        return Err(if answer.status == 200 { Detail::Portal } else { Detail::Status(answer.status) });
    }
    if answer.body.len() > ANSWER_BYTES_MAX {
        return Err(Detail::TooLarge);
    }
    let (first, rest) = take(&answer.body).map_err(|_| Detail::Malformed)?;
    let (second, rest) = take(rest).map_err(|_| Detail::Malformed)?;
    if rest.is_empty() { Ok((first, second)) } else { Err(Detail::Malformed) }
}

fn certified(frame: Frame, ours: CollectorId, root: &PublicKey, newest: Option<Signer>) -> Result<(Certificate, Signer), Detail> {
    let verified = verify(frame, root).map_err(|_| Detail::WrongRoot)?;
    let certificate: Certificate = content(&verified, PayloadType::Certificate)?;
    if certificate.collector_id != ours {
        return Err(Detail::OtherCollector);
    }
    let signer = Signer::of(&certificate)?;
    if let Some(newest) = newest {
        // Two keys of one moment would leave open which is the later.
        let rival = signer.issued_at_ms == newest.issued_at_ms && signer.key != newest.key;
        if signer.issued_at_ms < newest.issued_at_ms || rival {
            return Err(Detail::OldCertificate);
        }
    }
    Ok((certificate, signer))
}

fn content<'de, T: Deserialize<'de>>(verified: &'de Verified, kind: PayloadType) -> Result<T, Detail> {
    if verified.kind() != kind {
        return Err(Detail::WrongType);
    }
    read(verified, kind).map_err(|_| Detail::Malformed)
}

fn ours(trust: &Trust, sent: &Sent, collector: CollectorId, agent: AgentId, chain: ChainId) -> Result<(), Detail> {
    if collector != trust.collector_id {
        return Err(Detail::OtherCollector);
    }
    if agent != trust.agent_id {
        return Err(Detail::OtherAgent);
    }
    if chain != sent.chain_id {
        return Err(Detail::OtherChain);
    }
    Ok(())
}

fn receipt(verified: &Verified, trust: &Trust, sent: &Sent) -> Result<Receipt, Detail> {
    let receipt: Receipt = content(verified, PayloadType::Receipt)?;
    ours(trust, sent, receipt.collector_id, receipt.agent_id, receipt.chain_id)?;
    let was_sent = sent.frames.iter().any(|frame| frame.last_seq == receipt.seq && frame.tip_hash == receipt.head_hash);
    if was_sent { Ok(receipt) } else { Err(Detail::NotSent) }
}

fn refusal(verified: &Verified, trust: &Trust, sent: &Sent) -> Result<Refusal, Detail> {
    let refusal: Refusal = content(verified, PayloadType::Refusal)?;
    ours(trust, sent, refusal.collector_id, refusal.agent_id, refusal.chain_id)?;
    if refusal.in_reply_to == sent.first_hash { Ok(refusal) } else { Err(Detail::OtherRequest) }
}

/// Judges the answer to an enrolment with `token` for `key`. The certificate is the one to keep from here on.
///
/// # Errors
/// [`PushError`], when anything but this collector's signed answer for this token and this key came.
pub fn judge_enrolled(answer: &Answer, token: &Token, key: &PublicKey) -> Result<(Enrolled, Certificate), PushError> {
    let (frame, certificate) = frames(answer, &[200])?;
    let root = PublicKey::from_bytes(&token.root_key).map_err(|_| Detail::WrongRoot)?;
    let (certificate, signer) = certified(certificate, token.collector_id, &root, None)?;
    let verified = verify(frame, &signer.key).map_err(|_| Detail::BadSignature)?;
    let enrolled: Enrolled = content(&verified, PayloadType::Enrolled)?;
    if enrolled.collector_id != token.collector_id {
        return Err(Detail::OtherCollector.into());
    }
    if enrolled.token_id != token.id {
        return Err(Detail::OtherToken.into());
    }
    if enrolled.key_id != key.id() {
        return Err(Detail::OtherKey.into());
    }
    Ok((enrolled, certificate))
}
