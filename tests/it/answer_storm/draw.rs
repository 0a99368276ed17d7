//! The answers of the storm: genuine ones, and all that can be made of them.

use super::{AGENT, COLLECTOR, Storm, key, lines};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_agent::uplink::{ANSWER_TYPE, Answer, Sent};
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash, KeyId, Lease};
use mimamori_shared::payload::{Certificate, Place, Receipt, ReceiptStatus, Refusal, RefusalReason, encode};
use mimamori_shared::sign::{PayloadType, SecretKey};

impl Storm {
    /// What the collector would say.
    fn receipt(&self, sent: &Sent) -> Receipt {
        let last = sent.frames.last().unwrap();
        Receipt {
            collector_id: COLLECTOR,
            agent_id: AGENT,
            chain_id: sent.chain_id,
            branch: 0,
            seq: last.last_seq,
            head_hash: last.tip_hash,
            received_at_ms: self.now.wall_ms,
            lease: Lease([4; 16]),
            status: ReceiptStatus::Ok,
        }
    }

    fn certificate(&self, issued_at_ms: i64, signer: &SecretKey) -> Vec<u8> {
        let public = signer.public();
        let body = Certificate { collector_id: COLLECTOR, key_id: public.id(), public_key: STANDARD.encode(public.to_bytes()), issued_at_ms };
        lines(PayloadType::Certificate, encode(PayloadType::Certificate, &[&body]), &key(11))
    }

    fn signed(&self, kind: PayloadType, payload: Vec<u8>) -> Vec<u8> {
        [lines(kind, payload, &key(12)), self.certificate(self.issued_ms, &key(12))].concat()
    }

    fn genuine_body(&self, sent: &Sent) -> Vec<u8> {
        self.signed(PayloadType::Receipt, encode(PayloadType::Receipt, &[&self.receipt(sent)]))
    }

    /// One answer; whether a genuine collector, or one who holds its root, may have said it.
    pub(super) fn draw(&mut self, sent: &Sent) -> (Answer, bool) {
        let kind = self.random.between(0, 16);
        let status = [200, 200, 200, 409, 409, 201, 204, 302, 403, 413, 429, 500, 503][self.random.between(0, 13) as usize];
        let content_type = if self.random.between(0, 8) == 0 { "text/html" } else { ANSWER_TYPE }.to_owned();
        let retry_after_s = [None, None, Some(0), Some(1), Some(30), Some(3600), Some(86_400), Some(u64::MAX)][self.random.between(0, 8) as usize];
        let wrap = |body: Vec<u8>| Answer { status, content_type: content_type.clone(), retry_after_s, body };
        match kind {
            0 => (wrap(self.noise()), false),
            1 => (wrap(b"<html><body>Welcome. Please log in.</body></html>".repeat(1 + self.random.between(0, 300) as usize)), false),
            2..=4 => {
                let body = self.genuine_body(sent);
                (wrap(self.mutated(body)), false)
            }
            5..=7 => (wrap(self.wrong_receipt(sent)), false),
            8 => (wrap(self.malformed()), false),
            9 => (wrap(self.bad_certificate(sent)), false),
            10 | 11 => (wrap(self.refusal(sent, false)), false),
            12 | 13 => (Answer { status: 409, ..wrap(self.refusal(sent, true)) }, true),
            14 => (wrap(Vec::new()), false),
            _ if self.random.between(0, 4) == 0 => (Answer { status: 200, content_type: ANSWER_TYPE.to_owned(), ..wrap(self.genuine_body(sent)) }, true),
            // After a rewind an old receipt may be for what is sent once more, and counts.
            _ => {
                let body = self.old_receipt();
                (wrap(body), sent.frames.iter().any(|frame| self.old.iter().any(|old| (old.seq, old.head_hash) == (frame.last_seq, frame.tip_hash))))
            }
        }
    }

    fn noise(&mut self) -> Vec<u8> {
        let length = self.random.between(0, 2000) as usize;
        let text = self.random.between(0, 2) == 0;
        (0..length).map(|_| if text { b" \n{}\":,0aZ=\\"[self.random.between(0, 12) as usize] } else { self.random.next().to_le_bytes()[0] }).collect()
    }

    /// A genuine body with something changed; flips, cuts, repeats, lines in another order, a foreign half.
    fn mutated(&mut self, good: Vec<u8>) -> Vec<u8> {
        let mut body = good.clone();
        match self.random.between(0, 6) {
            0 => body.truncate(self.random.between(0, good.len() as u64) as usize),
            1 => body.extend_from_slice(&good),
            2 => {
                let mut parts: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
                parts.swap(self.random.between(0, 2) as usize, 2 + self.random.between(0, 2) as usize);
                body = parts.concat();
            }
            3 => {
                let at = self.random.between(0, good.len() as u64) as usize;
                let extra: [u8; 7] = self.random.bytes();
                body.splice(at..at, extra);
            }
            _ => {
                for _ in 0..=self.random.between(0, 3) {
                    let at = self.random.between(0, good.len() as u64) as usize;
                    body[at] ^= 1 << self.random.between(0, 8);
                }
            }
        }
        if body == good { b"\n".to_vec() } else { body }
    }

    /// Signed as it must be, but not about what was sent.
    fn wrong_receipt(&mut self, sent: &Sent) -> Vec<u8> {
        let good = self.receipt(sent);
        let huge = [u64::MAX, 1 << 62, (1 << 62) - 1, u64::from(u32::MAX), good.seq + 1, good.seq + 1000][self.random.between(0, 6) as usize];
        let receipt = match self.random.between(0, 7) {
            0 => Receipt { seq: huge, ..good },
            1 => Receipt { head_hash: Hash(self.random.bytes()), ..good },
            2 => Receipt { chain_id: ChainId(self.random.bytes()), ..good },
            3 => Receipt { agent_id: AgentId(self.random.bytes()), ..good },
            4 => Receipt { collector_id: CollectorId(self.random.bytes()), ..good },
            5 => Receipt { seq: huge, head_hash: Hash(self.random.bytes()), received_at_ms: i64::MIN, ..good },
            _ => {
                // What one place says, told of another.
                let other = sent.frames[self.random.between(0, sent.frames.len() as u64) as usize];
                Receipt { seq: other.last_seq.wrapping_sub(1), ..good }
            }
        };
        let by = if self.random.between(0, 4) == 0 { key(99) } else { key(12) };
        let body = lines(PayloadType::Receipt, encode(PayloadType::Receipt, &[&receipt]), &by);
        [body, self.certificate(self.issued_ms, &by)].concat()
    }

    fn old_receipt(&mut self) -> Vec<u8> {
        match self.old.len() as u64 {
            0 => b"x\n".to_vec(),
            count => {
                let receipt = self.old[self.random.between(0, count) as usize].clone();
                self.signed(PayloadType::Receipt, encode(PayloadType::Receipt, &[&receipt]))
            }
        }
    }

    /// Signed by the signing key, and no receipt all the same.
    fn malformed(&mut self) -> Vec<u8> {
        let kind = PayloadType::ALL[self.random.between(0, 9) as usize];
        let inner = match self.random.between(0, 7) {
            0 => "\"seq\":1e999".to_owned(),
            1 => format!("\"seq\":{}", "9".repeat(1 + self.random.between(0, 400) as usize)),
            2 => format!("\"a\":{}{}", "[".repeat(3000), "]".repeat(3000)),
            3 => format!("\"a\":\"{}\"", "\\u0000".repeat(2000)),
            4 => "\"seq\":1,\"seq\":2,\"collector_id\":null".to_owned(),
            5 => format!("\"exec\":\"/bin/sh\",\"url\":\"http://127.0.0.1/\",\"interval_s\":{}", self.random.next()),
            _ => "\"reason\":\"behind\",\"next_seq\":-1,\"head_hash\":\"\"".to_owned(),
        };
        self.signed(kind, format!("{}{inner}}}", kind.prefix()).into_bytes())
    }

    fn bad_certificate(&mut self, sent: &Sent) -> Vec<u8> {
        let body = lines(PayloadType::Receipt, encode(PayloadType::Receipt, &[&self.receipt(sent)]), &key(12));
        let public = key(12).public();
        let good = Certificate { collector_id: COLLECTOR, key_id: public.id(), public_key: STANDARD.encode(public.to_bytes()), issued_at_ms: self.issued_ms };
        // The key that signs here is a rival's: a certificate of the same moment or an earlier one does not bring it in.
        let (certificate, by) = match self.random.between(0, 6) {
            0 => (Certificate { public_key: "A".repeat(9000), ..good }, key(11)),
            1 => (Certificate { public_key: STANDARD.encode([0; 32]), ..good }, key(11)),
            2 => (Certificate { key_id: KeyId(self.random.bytes()), ..good }, key(11)),
            3 => (Certificate { collector_id: CollectorId(self.random.bytes()), ..good }, key(11)),
            4 => (Certificate { issued_at_ms: i64::MAX, ..good }, key(98)),
            _ => {
                let rival = key(13).public();
                let body = lines(PayloadType::Receipt, encode(PayloadType::Receipt, &[&self.receipt(sent)]), &key(13));
                let older = Certificate { key_id: rival.id(), public_key: STANDARD.encode(rival.to_bytes()), issued_at_ms: self.issued_ms - 1, ..good };
                return [body, lines(PayloadType::Certificate, encode(PayloadType::Certificate, &[&older]), &key(11))].concat();
            }
        };
        [body, lines(PayloadType::Certificate, encode(PayloadType::Certificate, &[&certificate]), &by)].concat()
    }

    /// A refusal under the genuine signature; `ours` when it answers this very request.
    fn refusal(&mut self, sent: &Sent, ours: bool) -> Vec<u8> {
        let last = sent.frames.last().unwrap();
        // Rarely what contradicts the ledger: each such word costs a chain, and of those there are three a day.
        let contradicts = !ours || self.random.between(0, 400) == 0;
        let near = sent.frames[0].seq.saturating_sub(self.random.between(0, 3));
        let next_seq = [0, near, near + 1][self.random.between(0, 3) as usize];
        let known = next_seq.checked_sub(1).map_or(Some(Hash::ZERO), |seq| self.made.get(&(sent.chain_id, seq)).copied());
        let (next_seq, head_hash) = match known {
            Some(hash) if !contradicts => (next_seq, hash),
            _ => ([next_seq, u64::MAX, self.random.next()][self.random.between(0, 3) as usize], Hash(self.random.bytes())),
        };
        let ancestor = Some(Place { chain_id: ChainId(self.random.bytes()), seq: self.random.next(), hash: head_hash });
        let reason = match self.random.between(0, 40) {
            0..=29 => RefusalReason::Behind { next_seq, head_hash },
            30..=36 => RefusalReason::Diverged { ancestor, branch: 9, seq: u64::MAX - next_seq, head_hash },
            37 if contradicts => RefusalReason::Diverged { ancestor: None, branch: 1, seq: last.last_seq, head_hash: last.tip_hash },
            37 => RefusalReason::TooManyChains,
            38 => RefusalReason::TooManyBranches,
            _ => RefusalReason::Revoked,
        };
        let in_reply_to = if ours { sent.first_hash } else { Hash(self.random.bytes()) };
        let refusal = Refusal { collector_id: COLLECTOR, agent_id: AGENT, chain_id: sent.chain_id, in_reply_to, reason };
        self.signed(PayloadType::Refusal, encode(PayloadType::Refusal, &[&refusal]))
    }
}
