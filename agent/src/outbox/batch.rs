//! What goes into one request.

use super::rows::{self, tip_of};
use super::{Outbox, OutboxError, id_of};
use crate::core::LossSpec;
use crate::uplink::{Sent, SentFrame};
use mimamori_shared::frame::{self, Frame};
use mimamori_shared::id::{ChainId, Hash};
use mimamori_shared::sign::{PayloadType, frame_hash};

/// What a frame takes besides its payload: key id, signature and the two newlines.
const WRAPPER_BYTES: usize = 123;

/// Frames of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The frames, in order, and a preview when the newest report is not among them.
    pub body: frame::Batch,
    /// Their places.
    pub sent: Sent,
}

/// What stands at a place.
enum At {
    Frame { frame: Frame, last_seq: u64, tip_hash: Hash },
    Gap(LossSpec),
    End,
}

impl Outbox {
    /// Unsent frames of a chain from a place on: at most `frames_max`, and no more than `bytes_max` unless the first
    /// alone is larger. `Err(spec)` when something is gone at the very place and a loss record must be made first;
    /// `Ok(None)` when there is nothing.
    ///
    /// # Errors
    /// When the file fails.
    pub fn batch(&self, chain_id: ChainId, from_seq: u64, frames_max: usize, bytes_max: usize) -> Result<Result<Option<Batch>, LossSpec>, OutboxError> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut places = Vec::new();
        let mut first_hash = None;
        let mut bytes = 0_usize;
        let mut seq = from_seq;
        while frames.len() < frames_max {
            match self.at(chain_id, seq)? {
                At::Frame { frame, last_seq, tip_hash } => {
                    bytes = bytes.saturating_add(frame.payload.len() + WRAPPER_BYTES);
                    if bytes > bytes_max && !frames.is_empty() {
                        break;
                    }
                    first_hash = first_hash.or_else(|| PayloadType::of(&frame.payload).map(|kind| frame_hash(kind, &frame.payload)));
                    places.push(SentFrame { seq, last_seq, tip_hash });
                    frames.push(frame);
                    seq = last_seq + 1;
                }
                At::Gap(spec) if frames.is_empty() => return Ok(Err(spec)),
                At::Gap(_) | At::End => break,
            }
        }
        let Some(first_hash) = first_hash else { return Ok(Ok(None)) };
        let preview = self.preview(chain_id, seq)?;
        let sent = Sent { chain_id, first_hash, frames: places };
        Ok(Ok(Some(Batch { body: frame::Batch { frames, preview }, sent })))
    }

    fn at(&self, chain_id: ChainId, seq: u64) -> Result<At, OutboxError> {
        let no = self.number(chain_id)?;
        let id = id_of(no, seq);
        if let Some(loss) = rows::loss(&self.db, id)? {
            return Ok(At::Frame { frame: loss.frame, last_seq: loss.last_seq, tip_hash: loss.last_hash });
        }
        if let Some(head) = rows::head(&self.db, id)?
            && let Some(frame) = rows::frame(&self.db, &head)?
        {
            return Ok(At::Frame { frame, last_seq: seq, tip_hash: head.hash });
        }
        Ok(rows::gap_at(&self.db, no, chain_id, seq)?.map_or(At::End, At::Gap))
    }

    /// The newest report of a chain, when it lies at or behind `from_seq`.
    fn preview(&self, chain_id: ChainId, from_seq: u64) -> Result<Option<Frame>, OutboxError> {
        let no = self.number(chain_id)?;
        let next_seq = tip_of(&self.db, no)?.next_seq;
        if from_seq >= next_seq {
            return Ok(None);
        }
        match rows::head(&self.db, id_of(no, next_seq - 1))? {
            Some(head) if head.kind == PayloadType::Report => rows::frame(&self.db, &head),
            Some(_) | None => Ok(None),
        }
    }
}
