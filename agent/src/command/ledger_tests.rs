//! A state folder made by the real core and outbox, and a collector of two keys.

use super::*;
use crate::core::{Agent, Answered, Consent, Effect, Event, Identity, LossSpec, Now, Record, Settings};
use crate::outbox::{Outbox, Quota};
use crate::uplink::Sent;
use mimamori_shared::chain::lease;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Plan, ScopeTerms};
use mimamori_shared::fields::Scope;
use mimamori_shared::id::{AgentId, BootId, ChainId, CollectorId, to_hex};
use mimamori_shared::payload::{Counts as LossCounts, LossReason, ReceiptStatus, encode};
use mimamori_shared::sign::SecretKey;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zeroize::Zeroizing;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&Zeroizing::new([seed; 32]))
}

const AGENT: u8 = 3;
const ROOT: u8 = 4;
const SIGNER: u8 = 5;

struct Folder {
    dir: tempfile::TempDir,
    outbox: Outbox,
    agent: Agent,
    now: Now,
    /// Place and hash of everything made.
    tips: Vec<(u64, Hash)>,
}

fn enrolment() -> Enrolment {
    Enrolment {
        collector_id: CollectorId([1; 16]),
        agent_id: AgentId([2; 16]),
        url: "https://127.0.0.1:8443".to_owned(),
        root_key: to_hex(&key(ROOT).public().to_bytes()),
        ca_pin: Hash([3; 32]),
        recipient: "age1x".to_owned(),
        facility: "example".to_owned(),
        machine: "m-1".to_owned(),
        enrolled_at_ms: 5,
    }
}

impl Folder {
    fn new(reports: usize) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        identity::save_key(dir.path(), &key(AGENT)).unwrap();
        identity::save(dir.path(), &enrolment()).unwrap();
        let quota = Quota { bytes: 1 << 30, age_ms: i64::MAX / 2, free_floor_bytes: 0 };
        let (outbox, restored, _) = Outbox::open(dir.path(), quota, 0).unwrap();
        let identity = Identity { collector_id: CollectorId([1; 16]), agent_id: AgentId([2; 16]), key: key(AGENT), boot_id: BootId([4; 16]) };
        let settings = Settings { plan: Plan { v: 1, interval_s: 60, sections: BTreeMap::from([("system".to_owned(), 60)]) }, except: BTreeSet::new() };
        let now = Now { wall_ms: 1_000_000, boottime_ms: 5_000, monotonic_ms: 5_000 };
        let mut folder = Folder { dir, outbox, agent: Agent::new(identity, settings, restored), now, tips: Vec::new() };
        let scopes = BTreeMap::from([(Scope::Heartbeat, ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() })]);
        folder.event(Event::Consent(Consent::Valid(ConsentTerms {
            v: 1,
            valid_from_ms: 0,
            valid_to_ms: i64::MAX,
            mode: ConsentMode::Continuous,
            utc_offset_s: 0,
            windows: Vec::new(),
            quiet: Vec::new(),
            scopes,
            approval_hash: Hash::ZERO,
            example: true,
        })));
        for _ in 1..reports {
            folder.minute();
        }
        folder
    }

    fn minute(&mut self) {
        self.now = Now { wall_ms: self.now.wall_ms + 60_000, boottime_ms: self.now.boottime_ms + 60_000, monotonic_ms: self.now.monotonic_ms + 60_000 };
        self.event(Event::Wake);
    }

    fn event(&mut self, event: Event) {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            for effect in self.agent.step(event, self.now, [8; 16]) {
                match effect {
                    Effect::Sample => queue.push_back(Event::Sampled { readings: Box::default(), faults: Vec::new(), states: BTreeMap::new() }),
                    Effect::Commit(record) => {
                        self.outbox.commit(&record).unwrap();
                        self.made(&record);
                        queue.push_front(Event::Committed);
                    }
                    Effect::Bridge(record) => self.outbox.bridge(&record).unwrap(),
                    _ => {}
                }
            }
        }
    }

    fn made(&mut self, record: &Record) {
        self.tips.push((record.last_seq, record.tip_hash));
    }

    fn chain_id(&self) -> ChainId {
        self.agent.newest().unwrap().chain_id
    }

    /// A receipt for a place, signed as told, kept with the next report.
    fn receipt(&mut self, seq: usize, head_hash: Hash, root: u8, signer: u8) {
        let chain_id = self.chain_id();
        let place = seq as u64;
        let certificate = Certificate {
            collector_id: CollectorId([1; 16]),
            key_id: key(signer).public().id(),
            public_key: STANDARD.encode(key(signer).public().to_bytes()),
            issued_at_ms: 1,
        };
        let receipt = Receipt {
            collector_id: CollectorId([1; 16]),
            agent_id: AgentId([2; 16]),
            chain_id,
            branch: 0,
            seq: place,
            head_hash,
            received_at_ms: 2,
            lease: lease(b"secret", chain_id, place),
            status: ReceiptStatus::Ok,
        };
        let lines =
            |kind: PayloadType, payload: Vec<u8>, by: u8| Frame { signature: key(by).sign(kind, &payload), key_id: key(by).public().id(), payload }.to_lines();
        let certificate = lines(PayloadType::Certificate, encode(PayloadType::Certificate, &[&certificate]), root);
        let answer = lines(PayloadType::Receipt, encode(PayloadType::Receipt, &[&receipt]), signer);
        self.outbox.note_receipt(chain_id, answer, certificate);
        self.event(Event::Answered { sent: Sent { chain_id, first_hash: Hash::ZERO, frames: Vec::new() }, answer: Answered::Receipt(receipt) });
        self.minute();
    }

    fn sql(&self, text: &str) {
        rusqlite::Connection::open(self.dir.path().join("outbox.db")).unwrap().execute_batch(text).unwrap();
    }

    fn verdict(&self) -> Result<Counts, String> {
        let ledger = Ledger::open(self.dir.path()).unwrap().unwrap();
        verify_all(&ledger, &[key(AGENT).public()], &enrolment()).map_err(|fault| fault.to_string())
    }

    #[track_caller]
    fn is_false(&self, seq: usize, what: &str) {
        let fault = self.verdict().err().unwrap();
        assert_eq!(fault, format!("chain {} place {seq}: {what}", self.chain_id()));
    }

    /// Exports, and asks the verifier that shares no code with this project.
    #[allow(clippy::disallowed_methods, reason = "the verifier is a program of its own")]
    fn exported(&self) -> (Option<i32>, serde_json::Value) {
        let ledger = Ledger::open(self.dir.path()).unwrap().unwrap();
        let (path, trust) = (self.dir.path().join("ledger.jsonl"), self.dir.path().join("trust.toml"));
        write_export(&ledger, &[key(AGENT).public()], &enrolment(), std::fs::File::create(&path).unwrap()).unwrap();
        let [root, agent] = [ROOT, AGENT].map(|seed| key(seed).public().id().fingerprint());
        std::fs::write(&trust, format!("collector_root = \"{root}\"\nagents = [\"{agent}\"]\n")).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/verify/verify.py");
        let output = std::process::Command::new("/usr/bin/python3").arg(program).arg(path).arg("--trust").arg(trust).output().unwrap();
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), said)
    }
}

#[test]
fn a_good_ledger_holds_and_so_does_its_export() {
    let mut folder = Folder::new(6);
    folder.receipt(5, folder.tips[5].1, ROOT, SIGNER);
    let counts = folder.verdict().unwrap();
    assert_eq!((counts.chains, counts.frames, counts.heads, counts.receipts), (1, 10, 0, 1));
    let (code, said) = folder.exported();
    assert_eq!(
        (code, &said["ok"], &said["trusted"], &said["reports"], &said["receipts"]),
        (Some(0), &json!(true), &json!(true), &json!(7), &json!(1)),
        "{said}"
    );
}

#[test]
fn heads_and_losses_hold_too() {
    let mut folder = Folder::new(8);
    folder.receipt(5, folder.tips[5].1, ROOT, SIGNER);
    // Of what is receipted the first minute is too old, and two samples are a loss.
    let quota = Quota { bytes: 1 << 30, age_ms: 8 * 60_000 - 30_000, free_floor_bytes: 0 };
    folder.outbox = Outbox::open(folder.dir.path(), quota, 7).unwrap().0;
    assert_eq!(folder.outbox.trim(folder.agent.chains(), folder.now.wall_ms).unwrap(), None);
    let hash = |seq: usize| folder.tips[seq].1;
    let spec = LossSpec {
        chain_id: folder.chain_id(),
        first_seq: 7,
        last_seq: 8,
        prev_hash: hash(6),
        last_hash: hash(8),
        counts: LossCounts { sample: 2, ..LossCounts::default() },
        from_ms: 0,
        to_ms: 0,
        reason: LossReason::Quota,
    };
    folder.event(Event::Dropped(spec));
    let counts = folder.verdict().unwrap();
    assert_eq!((counts.frames, counts.heads, counts.receipts), (7, 4, 1));
    let (code, said) = folder.exported();
    assert_eq!((code, &said["chains"][0]["heads"], &said["chains"][0]["losses"]), (Some(0), &json!(4), &json!(1)), "{said}");
}

#[test]
fn one_flipped_byte_is_named_with_chain_and_place() {
    let mut folder = Folder::new(6);
    folder.receipt(5, folder.tips[5].1, ROOT, SIGNER);
    let db = rusqlite::Connection::open(folder.dir.path().join("outbox.db")).unwrap();
    let good: Vec<u8> = db.query_row("SELECT payload FROM entry WHERE id & 0xff = 6", [], |row| row.get(0)).unwrap();
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1;
        db.execute("UPDATE entry SET payload = ? WHERE id & 0xff = 6", [&bad]).unwrap();
        if let Err(fault) = folder.verdict() {
            assert_eq!(fault, format!("chain {} place 6: what is kept of it is damaged", folder.chain_id()), "byte {position}");
        } else {
            // A few bits of the compressed form mean nothing: what is unpacked is the very same.
            assert_eq!(zstd::bulk::decompress(&bad, 1 << 20).unwrap(), zstd::bulk::decompress(&good, 1 << 20).unwrap(), "byte {position}");
        }
    }
    for column in ["signature = zeroblob(64)", "hash = zeroblob(32)", "key_id = zeroblob(16)", "taken_at_ms = 1"] {
        let folder = Folder::new(4);
        folder.sql(&format!("UPDATE entry SET {column} WHERE id & 0xff = 4"));
        folder.is_false(4, "what is kept of it is damaged");
    }
    let folder = Folder::new(4);
    folder.sql("DELETE FROM entry WHERE id & 0xff IN (3, 4)");
    folder.is_false(3, "what is kept of it is damaged");
    assert_eq!(folder.exported().0, Some(0), "what is left can still be exported");
}

#[test]
fn an_entry_of_another_key_is_false() {
    let folder = Folder::new(4);
    let ledger = Ledger::open(folder.dir.path()).unwrap().unwrap();
    let fault = verify_all(&ledger, &[key(9).public()], &enrolment()).err().unwrap().to_string();
    assert!(fault.contains("place 0"), "{fault}");
}

#[test]
fn a_wrong_receipt_is_false() {
    let mut folder = Folder::new(6);
    folder.receipt(5, Hash([9; 32]), ROOT, SIGNER);
    folder.is_false(5, "the receipt held names another hash");
    let (code, said) = folder.exported();
    assert_eq!((code, &said["ok"]), (Some(1), &json!(false)));
    let mut folder = Folder::new(6);
    folder.receipt(5, folder.tips[5].1, SIGNER, SIGNER);
    folder.is_false(0, "the certificate is not the root's");
    assert_eq!(folder.exported().0, Some(1));
    for (column, what) in [("receipt", "the receipt kept is damaged"), ("certificate", "the certificate kept is damaged")] {
        let mut folder = Folder::new(6);
        folder.receipt(5, folder.tips[5].1, ROOT, SIGNER);
        folder.sql(&format!("UPDATE chain SET {column} = X'00'"));
        folder.is_false(0, what);
    }
}

/// The sum that a row of `entry` must carry, as whoever edits the file with care would make it again.
fn row_sum(parts: &[&[u8]]) -> [u8; 16] {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    mimamori_shared::sign::sha256(&all).0[..16].try_into().unwrap()
}

type Row = (String, i64, i64, Vec<u8>, Vec<u8>, Vec<u8>, Option<Vec<u8>>);

impl Folder {
    fn row(&self, seq: i64) -> (i64, Row) {
        let db = rusqlite::Connection::open(self.dir.path().join("outbox.db")).unwrap();
        db.query_row("SELECT id, kind, class, taken_at_ms, key_id, signature, hash, payload FROM entry WHERE id & 0xffffffffff = ?", [seq], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?)))
        })
        .unwrap()
    }

    /// Puts a row into a place, with a sum that fits.
    fn put(&self, id: i64, row: &Row) {
        let (kind, class, taken, key_id, signature, hash, payload) = row;
        let sum = row_sum(&[&id.to_le_bytes(), kind.as_bytes(), &class.to_le_bytes(), &taken.to_le_bytes(), key_id, signature, hash]);
        let db = rusqlite::Connection::open(self.dir.path().join("outbox.db")).unwrap();
        db.execute(
            "INSERT OR REPLACE INTO entry (id, kind, class, taken_at_ms, key_id, signature, hash, sum, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rusqlite::params![id, kind, class, taken, key_id, signature, hash, sum, payload],
        )
        .unwrap();
    }
}

#[test]
fn a_payload_edited_with_care_is_named_by_its_signature() {
    let mut folder = Folder::new(6);
    folder.receipt(5, folder.tips[5].1, ROOT, SIGNER);
    let (id, mut row) = folder.row(4);
    let payload = String::from_utf8(zstd::bulk::decompress(row.6.as_ref().unwrap(), 1 << 20).unwrap()).unwrap();
    let edited = payload.replacen("\"taken_at_ms\":1", "\"taken_at_ms\":2", 1);
    assert_ne!(edited, payload);
    row.5 = frame_hash(PayloadType::Report, edited.as_bytes()).0.to_vec();
    row.6 = Some(zstd::bulk::compress(edited.as_bytes(), 3).unwrap());
    folder.put(id, &row);
    let fault = folder.verdict().err().unwrap();
    assert!(fault.starts_with(&format!("chain {} place 4: ", folder.chain_id())) && fault.contains("signature"), "{fault}");
}

#[test]
fn rows_that_changed_places_are_named_at_the_first() {
    let mut folder = Folder::new(8);
    folder.receipt(5, folder.tips[5].1, ROOT, SIGNER);
    let ((first, a), (second, b)) = (folder.row(4), folder.row(6));
    folder.put(first, &b);
    folder.put(second, &a);
    folder.is_false(4, "it does not follow the entry before");
}

#[test]
fn a_row_taken_from_the_middle_or_from_the_end_is_missed() {
    let folder = Folder::new(6);
    folder.sql("DELETE FROM entry WHERE id & 0xff = 5");
    folder.is_false(5, "what is kept of it is damaged");
    let folder = Folder::new(6);
    let last = usize::try_from(folder.tips.last().unwrap().0).unwrap();
    folder.sql(&format!("DELETE FROM entry WHERE id & 0xff = {last}"));
    folder.is_false(last, "the file `tip` names it as the newest, and the ledger ends before it");
}

#[test]
fn a_receipt_for_more_than_the_ledger_holds_and_a_forged_one_are_false() {
    let mut folder = Folder::new(6);
    let next = folder.tips.len();
    folder.receipt(next + 3, Hash([9; 32]), ROOT, SIGNER);
    folder.is_false(folder.tips.len(), "the receipt held covers this place, and the ledger does not hold it");
    let mut folder = Folder::new(6);
    folder.receipt(5, folder.tips[5].1, ROOT, SIGNER);
    let db = rusqlite::Connection::open(folder.dir.path().join("outbox.db")).unwrap();
    let receipt: Vec<u8> = db.query_row("SELECT receipt FROM chain", [], |row| row.get(0)).unwrap();
    let (frame, _) = take(&receipt).unwrap();
    let forged = Frame { signature: key(9).sign(PayloadType::Receipt, &frame.payload), ..frame }.to_lines();
    db.execute("UPDATE chain SET receipt = ?", [forged]).unwrap();
    folder.is_false(0, "the receipt is not the collector's");
}

#[test]
fn a_report_under_a_consent_that_was_never_stated_is_false() {
    let folder = Folder::new(3);
    let ledger = Ledger::open(folder.dir.path()).unwrap().unwrap();
    let mut entries = Vec::new();
    ledger
        .walk::<Fault>(&ledger.chains().unwrap()[0], None, |entry| {
            let LedgerEntry::Frame { frame, .. } = entry else { panic!("a frame") };
            entries.push(Entry::read(&verify_frame(frame, &key(AGENT).public()).unwrap()).unwrap());
            Ok(())
        })
        .unwrap();
    let report = entries.iter().find(|entry| matches!(entry.body, Body::Report(_))).unwrap();
    assert!(Stated::default().take(report).is_err());
    let mut stated = Stated::default();
    assert!(entries.iter().all(|entry| stated.take(entry).is_ok()));
    let mut partly = Stated { partly: true, ..Stated::default() };
    assert!(partly.take(report).is_ok(), "what is no longer kept may have stated it");
}

#[test]
fn the_trust_anchor_has_the_form_that_verifiers_take() {
    let text = Trust::of(&[key(AGENT).public()], &enrolment()).unwrap().toml();
    let golden = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/wire/v1/trust.toml")).unwrap();
    let shape = |text: &str| text.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect::<String>();
    assert_eq!(shape(&text), shape(&golden));
    assert!(text.contains(&key(ROOT).public().id().fingerprint()) && text.contains(&key(AGENT).public().id().fingerprint()));
}
