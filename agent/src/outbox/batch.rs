//! What goes into one request.

use super::{Outbox, OutboxError, id_of, kind_of, seq_of, tip_of};
use crate::core::LossSpec;
use crate::uplink::{Sent, SentFrame};
use mimamori_shared::frame::{self, Frame};
use mimamori_shared::id::{ChainId, Hash, KeyId};
use mimamori_shared::limits::REPORT_BYTES_MAX;
use mimamori_shared::sign::{PayloadType, frame_hash};
use rusqlite::OptionalExtension as _;

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
    /// Unsent frames of a chain from a place on: at most `frames_max`, and no more than `bytes_max` of them.
    /// `Err(spec)` when something is gone at the very place and a loss record must be made first; `Ok(None)` when
    /// there is nothing.
    ///
    /// # Errors
    /// When the file fails.
    pub fn batch(&self, chain_id: ChainId, from_seq: u64, frames_max: usize, bytes_max: usize) -> Result<Result<Option<Batch>, LossSpec>, OutboxError> {
        let mut frames = Vec::new();
        let mut places = Vec::new();
        let mut first_hash = None;
        let mut bytes = 0;
        let mut seq = from_seq;
        while frames.len() < frames_max && bytes < bytes_max {
            match self.at(chain_id, seq)? {
                At::Frame { frame, last_seq, tip_hash } => {
                    bytes += frame.payload.len() + 124;
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
        let loss = self.db.prepare_cached("SELECT last_id, key_id, signature, payload, hash FROM loss WHERE first_id = ?")?
            .query_row([id], |row| Ok((row.get::<_, i64>(0)?, read_frame(row, 1)?, row.get::<_, [u8; 32]>(4)?)))
            .optional()?;
        if let Some((last_id, frame, _)) = loss {
            let frame = unpack(frame)?;
            let tip_hash = super::hash_before(&self.db, no, seq_of(last_id) + 1)?.ok_or(OutboxError::Damaged)?;
            return Ok(At::Frame { frame, last_seq: seq_of(last_id), tip_hash });
        }
        let entry = self.db.prepare_cached("SELECT hash, key_id, signature, payload FROM entry WHERE id = ? AND payload IS NOT NULL")?
            .query_row([id], |row| Ok((Hash(row.get(0)?), read_frame(row, 1)?)))
            .optional()?;
        if let Some((tip_hash, frame)) = entry {
            return Ok(At::Frame { frame: unpack(frame)?, last_seq: seq, tip_hash });
        }
        Ok(self.gap_at(no, chain_id, seq)?.map_or(At::End, At::Gap))
    }

    /// The newest report of a chain, when it lies at or behind `from_seq`.
    fn preview(&self, chain_id: ChainId, from_seq: u64) -> Result<Option<Frame>, OutboxError> {
        let no = self.number(chain_id)?;
        let tip = tip_of(&self.db, no)?;
        if from_seq >= tip.next_seq {
            return Ok(None);
        }
        let row = self.db.query_row(
            "SELECT kind, key_id, signature, payload FROM entry WHERE id >= ? AND id < ? AND payload IS NOT NULL ORDER BY id DESC LIMIT 1",
            [id_of(no, from_seq), id_of(no + 1, 0)],
            |row| Ok((row.get::<_, String>(0)?, read_frame(row, 1)?)),
        );
        match row.optional()? {
            Some((kind, frame)) if kind_of(&kind) == Some(PayloadType::Report) => Ok(Some(unpack(frame)?)),
            Some(_) | None => Ok(None),
        }
    }
}

pub(super) struct Packed {
    key_id: [u8; 16],
    signature: [u8; 64],
    payload: Vec<u8>,
}

pub(super) fn read_frame(row: &rusqlite::Row<'_>, from: usize) -> Result<Packed, rusqlite::Error> {
    Ok(Packed { key_id: row.get(from)?, signature: row.get(from + 1)?, payload: row.get(from + 2)? })
}

pub(super) fn unpack(packed: Packed) -> Result<Frame, OutboxError> {
    let payload = zstd::bulk::decompress(&packed.payload, REPORT_BYTES_MAX).map_err(|_| OutboxError::Damaged)?;
    Ok(Frame { payload, key_id: KeyId(packed.key_id), signature: packed.signature })
}
