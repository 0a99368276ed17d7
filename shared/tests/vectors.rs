//! The wire's test vectors, made by `tests/verify/vectors.py` without any code of this project, against this code:
//! the same bytes, hashes, signatures and verdicts, in both directions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a test that cannot go on has failed")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::chain::{self, Fit, Link, Tip};
use mimamori_shared::consent::{ConsentTerms, Plan};
use mimamori_shared::frame::{self, Batch, Frame};
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash, KeyId, from_hex, to_hex};
use mimamori_shared::payload::{self, Body, Certificate, Enrol, Enrolled, Entry, ErasedSerialize, Head, Receipt, Refusal, Statement};
use mimamori_shared::sign::{self, PayloadType, PublicKey, SecretKey, Verified};
use mimamori_shared::token::Token;
use mimamori_shared::{json, limits};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/golden/wire/v1/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn load<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&golden(name)).unwrap()
}

#[derive(Deserialize)]
struct KeyVector {
    name: String,
    seed: String,
    public: String,
    public_key: String,
    key_id: KeyId,
    fingerprint: String,
}

#[derive(Deserialize)]
struct Keys {
    collector_id: CollectorId,
    agent_id: AgentId,
    keys: Vec<KeyVector>,
}

/// A signed payload as the script describes it.
#[derive(Deserialize, Clone)]
struct FrameVector {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    signer: String,
    payload: String,
    wrapper: String,
    hash: Hash,
    pae: String,
}

#[derive(Deserialize)]
struct Chains {
    consent: Normal,
    plan: Normal,
    key_proof: KeyProof,
    chains: Vec<ChainVector>,
    lost: Vec<FrameVector>,
}

#[derive(Deserialize)]
struct Normal {
    json: String,
    hash: Hash,
}

#[derive(Deserialize)]
struct KeyProof {
    media_type: String,
    message: String,
    proof: String,
}

#[derive(Deserialize)]
struct ChainVector {
    chain_id: ChainId,
    entries: Vec<FrameVector>,
}

#[derive(Deserialize)]
struct Answers {
    certificate: FrameVector,
    frames: Vec<FrameVector>,
    bodies: Vec<NamedBody>,
}

#[derive(Deserialize)]
struct NamedBody {
    name: String,
    body: String,
}

fn secret(name: &str) -> SecretKey {
    let keys: Keys = load("keys.json");
    let key = keys.keys.iter().find(|key| key.name == name).unwrap();
    SecretKey::from_seed(&Zeroizing::new(from_hex(&key.seed).unwrap()))
}

fn kind_named(name: &str) -> PayloadType {
    PayloadType::ALL.into_iter().find(|kind| kind.name() == name).unwrap()
}

fn chains() -> Chains {
    load("chain.json")
}

fn answers() -> Answers {
    load("answers.json")
}

/// Checks everything outside the payload's meaning, both ways, and gives the verified frame.
#[track_caller]
fn verified(vector: &FrameVector) -> Verified {
    let (kind, key) = (kind_named(&vector.kind), secret(&vector.signer));
    let bytes = vector.payload.as_bytes();
    assert_eq!(to_hex(&sign::pae(&kind.media_type(), bytes)), vector.pae, "{}", vector.name);
    assert_eq!(sign::frame_hash(kind, bytes), vector.hash, "{}", vector.name);
    assert_eq!(PayloadType::of(bytes), Some(kind), "{}", vector.name);
    let made = Frame { payload: bytes.to_vec(), key_id: key.public().id(), signature: key.sign(kind, bytes) };
    let lines = format!("{}\n{}\n", vector.payload, vector.wrapper);
    assert_eq!(made.to_lines(), lines.as_bytes(), "{}", vector.name);
    let (read, rest) = frame::take(lines.as_bytes()).unwrap();
    assert!(rest.is_empty() && read == made, "{}", vector.name);
    let verified = sign::verify(read, &key.public()).unwrap();
    assert_eq!(verified.hash(), vector.hash, "{}", vector.name);
    verified
}

#[track_caller]
fn same_bytes(vector: &FrameVector, parts: &[&dyn ErasedSerialize]) {
    let made = payload::encode(kind_named(&vector.kind), parts);
    assert_eq!(String::from_utf8(made).unwrap(), vector.payload, "{}", vector.name);
}

/// Reads an answer's payload and writes it again.
#[track_caller]
fn answer<T: DeserializeOwned + Serialize>(vector: &FrameVector) -> T {
    let read: T = payload::read(&verified(vector), kind_named(&vector.kind)).unwrap();
    same_bytes(vector, &[&read]);
    read
}

#[test]
fn keys_ids_and_fingerprints_are_the_same() {
    for vector in load::<Keys>("keys.json").keys {
        let public = secret(&vector.name).public();
        assert_eq!(to_hex(&public.to_bytes()), vector.public);
        assert_eq!(public.id(), vector.key_id);
        assert_eq!(vector.key_id.fingerprint(), vector.fingerprint);
        assert_eq!(PublicKey::from_bytes(&from_hex::<32>(&vector.public).unwrap()), Ok(public));
        assert_eq!(STANDARD.encode(public.to_bytes()), vector.public_key);
    }
}

#[test]
fn media_types_prefixes_and_the_encoding_are_the_same() {
    #[derive(Deserialize)]
    struct Pae {
        examples: Vec<Example>,
        media_types: BTreeMap<String, String>,
        prefixes: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    struct Example {
        media_type: String,
        payload: String,
        pae: String,
    }
    let vectors: Pae = load("pae.json");
    for example in vectors.examples {
        assert_eq!(to_hex(&sign::pae(&example.media_type, example.payload.as_bytes())), example.pae);
    }
    assert_eq!(vectors.media_types, PayloadType::ALL.iter().map(|kind| (kind.name().to_owned(), kind.media_type())).collect());
    assert_eq!(vectors.prefixes, PayloadType::ALL.iter().map(|kind| (kind.name().to_owned(), kind.prefix())).collect());
}

#[test]
fn every_entry_of_a_chain_is_read_and_written_as_the_same_bytes() {
    let keys: Keys = load("keys.json");
    let chains = chains();
    let everything = chains.chains.iter().flat_map(|chain| &chain.entries).chain(&chains.lost);
    let mut seen = 0;
    for vector in everything.filter(|vector| !vector.name.starts_with("consent")) {
        let entry = Entry::read(&verified(vector)).unwrap_or_else(|fault| panic!("{}: {fault}", vector.name));
        assert_eq!((entry.head.collector_id, entry.head.agent_id), (keys.collector_id, keys.agent_id));
        match &entry.body {
            Body::Report(report) => same_bytes(vector, &[&entry.head, report.as_ref()]),
            Body::Statement(statement) => same_bytes(vector, &[&entry.head, statement]),
            Body::Loss(loss) => same_bytes(vector, &[&entry.head, loss]),
            Body::Unusable(why) => panic!("{}: {why}", vector.name),
        }
        seen += 1;
    }
    assert_eq!(seen, 7 + 2 + 1 + 2 + 3);
}

/// The head names the consent an entry was taken under; the statement names the one it speaks of, under a name of its
/// own: a member that stands twice could not be read.
#[test]
fn a_consent_statement_names_the_hash_of_its_terms() {
    let chains = chains();
    let statements = chains.chains.iter().flat_map(|chain| &chain.entries).filter(|vector| vector.name.starts_with("consent"));
    let mut seen = 0;
    for vector in statements {
        let entry = Entry::read(&verified(vector)).unwrap();
        let Body::Statement(statement @ Statement::Consent { terms, terms_hash, .. }) = &entry.body else { panic!("{:?}", entry.body) };
        same_bytes(vector, &[&entry.head, statement]);
        assert_eq!(*terms_hash, chains.consent.hash, "{}", vector.name);
        assert_eq!(terms.as_ref().map(ConsentTerms::hash), (vector.name == "consent-granted").then_some(*terms_hash));
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn every_chain_follows_the_rule_and_the_loss_record_bridges() {
    for vector in chains().chains {
        let mut tip = Tip::EMPTY;
        for (at, entry) in vector.entries.iter().enumerate() {
            let read = Entry::read(&verified(entry)).unwrap();
            assert_eq!(read.head.chain_id, vector.chain_id);
            assert_eq!(at == 0, matches!(read.body, Body::Statement(Statement::Open { .. })), "{}", entry.name);
            match tip.fit(&Link::of(&read, entry.hash)) {
                Fit::Extends(next) => tip = next,
                other => panic!("{}: {other:?}", entry.name),
            }
        }
    }
    let chains = chains();
    let loss = Entry::read(&verified(&chains.chains[0].entries[6])).unwrap();
    assert_eq!(Link::of(&loss, Hash::ZERO), Link { seq: 6, last_seq: 8, prev_hash: chains.chains[0].entries[5].hash, tip_hash: chains.lost[2].hash });
}

#[test]
fn consent_and_plan_have_the_same_normal_form() {
    let chains = chains();
    let consent: ConsentTerms = serde_json::from_str(&chains.consent.json).unwrap();
    assert_eq!(serde_json::to_string(&consent).unwrap(), chains.consent.json);
    assert_eq!(consent.hash(), chains.consent.hash);
    let plan: Plan = serde_json::from_str(&chains.plan.json).unwrap();
    assert_eq!(serde_json::to_string(&plan).unwrap(), chains.plan.json);
    assert_eq!(plan.hash(), chains.plan.hash);
    let report = Entry::read(&verified(&chains.chains[0].entries[3])).unwrap();
    assert_eq!((report.head.consent_hash, report.head.plan_hash), (consent.hash(), plan.hash()));
}

#[test]
fn the_new_key_proves_itself() {
    #[derive(Serialize)]
    struct Proof {
        agent_id: AgentId,
        old_key_id: KeyId,
        new_key_id: KeyId,
        chain_id: ChainId,
        seq: u64,
    }
    let chains = chains();
    let vector = &chains.chains[1].entries[1];
    let head: Head = serde_json::from_str(&vector.payload).unwrap();
    let new = secret("agent-new").public();
    let proof = Proof { agent_id: head.agent_id, old_key_id: head.key_id, new_key_id: new.id(), chain_id: head.chain_id, seq: head.seq };
    let message = serde_json::to_string(&proof).unwrap();
    assert_eq!(message, chains.key_proof.message);
    assert!(vector.payload.contains(&chains.key_proof.proof));
    let line = format!("{} {}", new.id(), chains.key_proof.proof);
    let (_, signature) = frame::parse_wrapper(line.as_bytes()).unwrap();
    assert!(new.accepts(&sign::pae(&chains.key_proof.media_type, message.as_bytes()), &signature));
}

#[test]
fn everything_a_collector_says_is_the_same() {
    let answers = answers();
    let certificate: Certificate = answer(&answers.certificate);
    assert_eq!(certificate.key_id, secret("collector").public().id());
    let mut kinds = Vec::new();
    for (vector, body) in answers.frames.iter().zip(&answers.bodies) {
        assert_eq!(vector.name, body.name);
        match vector.kind.as_str() {
            "receipt" => drop(answer::<Receipt>(vector)),
            "refusal" => kinds.push(answer::<Refusal>(vector).reason),
            "enrolled" => drop(answer::<Enrolled>(vector)),
            other => panic!("{other}"),
        }
        let frames = Batch::parse(body.body.as_bytes(), 2).unwrap().frames;
        let [first, second] = frames.as_slice() else { panic!("{}: two frames", body.name) };
        assert!(sign::verify(first.clone(), &secret("collector").public()).is_ok());
        assert!(sign::verify(second.clone(), &secret("root").public()).is_ok());
        assert!(body.body.len() <= limits::ANSWER_BYTES_MAX);
    }
    let reasons: Vec<String> = kinds.iter().map(|reason| serde_json::to_value(reason).unwrap()["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["behind", "behind", "diverged", "diverged", "revoked", "too_many_branches", "too_many_chains"]);
}

#[test]
fn leases_are_the_same() {
    #[derive(Deserialize)]
    struct Leases {
        secret: String,
        leases: Vec<LeaseVector>,
    }
    #[derive(Deserialize)]
    struct LeaseVector {
        chain_id: ChainId,
        seq: u64,
        lease: mimamori_shared::id::Lease,
    }
    let vectors: Leases = load("leases.json");
    let secret = from_hex::<32>(&vectors.secret).unwrap();
    assert!(vectors.leases.len() >= 10);
    for vector in vectors.leases {
        assert_eq!(chain::lease(&secret, vector.chain_id, vector.seq), vector.lease);
    }
    for vector in answers().frames.iter().filter(|vector| vector.kind == "receipt") {
        let receipt: Receipt = serde_json::from_str(&vector.payload).unwrap();
        assert_eq!(chain::lease(&secret, receipt.chain_id, receipt.seq), receipt.lease);
    }
}

#[test]
fn the_enrolment_is_the_same() {
    #[derive(Deserialize)]
    struct Enrolment {
        frame: FrameVector,
        token_line: String,
        body: String,
    }
    let vector: Enrolment = load("enrol.json");
    let enrol: Enrol = answer(&vector.frame);
    let (id, signature) = frame::parse_signature_line::<8>(vector.token_line.as_bytes()).unwrap();
    assert_eq!(id, enrol.token_id.0);
    let token = secret("token");
    assert_eq!(token.sign(PayloadType::Enrol, vector.frame.payload.as_bytes()), signature);
    assert_eq!(vector.body, format!("{}\n{}\n{}\n", vector.frame.payload, vector.frame.wrapper, vector.token_line));
    assert!(vector.body.len() <= limits::ENROL_BYTES_MAX);
    let keys: Keys = load("keys.json");
    assert_eq!(keys.keys.iter().find(|key| key.name == "agent").map(|key| &key.public_key), Some(&enrol.public_key));
}

#[test]
fn the_token_is_the_same() {
    #[derive(Deserialize)]
    struct TokenVector {
        fields: Fields,
        text: String,
        refused: Vec<Refused>,
    }
    #[derive(Deserialize)]
    struct Fields {
        id: mimamori_shared::id::TokenId,
        seed: String,
        url: String,
        collector_id: CollectorId,
        root_key: String,
        ca_pin: Hash,
        recipient: String,
    }
    #[derive(Deserialize)]
    struct Refused {
        text: String,
        why: String,
    }
    let vector: TokenVector = load("token.json");
    let made = Token {
        id: vector.fields.id,
        seed: Zeroizing::new(from_hex(&vector.fields.seed).unwrap()),
        url: vector.fields.url,
        collector_id: vector.fields.collector_id,
        root_key: from_hex(&vector.fields.root_key).unwrap(),
        ca_pin: vector.fields.ca_pin,
        recipient: vector.fields.recipient,
    };
    assert_eq!(made.to_text().as_str(), vector.text);
    let read = Token::parse(&vector.text).unwrap();
    assert_eq!(read.to_text().as_str(), vector.text);
    assert_eq!(read.key().public(), secret("token").public());
    for refused in vector.refused {
        assert!(Token::parse(&refused.text).is_err(), "{}", refused.why);
    }
}

#[test]
fn bodies_are_read_and_refused_alike() {
    #[derive(Deserialize)]
    struct Batches {
        accepted: Vec<Accepted>,
        refused: Vec<NamedBody>,
    }
    #[derive(Deserialize)]
    struct Accepted {
        name: String,
        frames: Vec<String>,
        preview: Option<String>,
        body: String,
    }
    let vectors: Batches = load("batch.json");
    let chains = chains();
    let entries = &chains.chains[0].entries;
    let payload = |name: &String| entries.iter().find(|entry| entry.name == *name).unwrap().payload.clone().into_bytes();
    for vector in vectors.accepted {
        let batch = Batch::parse(vector.body.as_bytes(), limits::FRAMES_MAX).unwrap();
        assert_eq!(batch.frames.iter().map(|frame| frame.payload.clone()).collect::<Vec<_>>(), vector.frames.iter().map(payload).collect::<Vec<_>>());
        assert_eq!(batch.preview.as_ref().map(|frame| frame.payload.clone()), vector.preview.as_ref().map(payload), "{}", vector.name);
        assert_eq!(batch.to_bytes(), vector.body.as_bytes(), "{}", vector.name);
    }
    for vector in vectors.refused {
        assert!(Batch::parse(vector.body.as_bytes(), limits::FRAMES_MAX).is_err(), "{}", vector.name);
    }
}

#[test]
fn exported_envelopes_are_the_same() {
    #[derive(Deserialize)]
    struct Exports {
        exports: Vec<Export>,
    }
    #[derive(Deserialize)]
    struct Export {
        name: String,
        payload: String,
        dsse: String,
    }
    let (chains, answers) = (chains(), answers());
    let all: Vec<&FrameVector> = chains.chains.iter().flat_map(|chain| &chain.entries).chain(&answers.frames).chain([&answers.certificate]).collect();
    let exports: Exports = load("dsse.json");
    assert!(exports.exports.len() >= 7);
    for export in exports.exports {
        let vector = all.iter().find(|vector| vector.payload == export.payload).unwrap();
        let (frame, _) = frame::take(format!("{}\n{}\n", vector.payload, vector.wrapper).as_bytes()).map(|(frame, rest)| (frame, rest.len())).unwrap();
        assert_eq!(frame.to_dsse(kind_named(&vector.kind)), export.dsse, "{}", export.name);
    }
}

#[test]
fn a_bundle_is_the_same() {
    #[derive(Serialize, Deserialize)]
    struct BundleHead {
        collector_id: CollectorId,
        agent_id: AgentId,
        key_id: KeyId,
        chain_id: ChainId,
        first_seq: u64,
        last_seq: u64,
        frames: u64,
        sha256: Hash,
        made_at_ms: i64,
    }
    #[derive(Deserialize)]
    struct Bundle {
        frame: FrameVector,
        plain: String,
    }
    let vector: Bundle = load("bundle.json");
    let head: BundleHead = answer(&vector.frame);
    let (_, carried) = frame::take(vector.plain.as_bytes()).unwrap();
    assert_eq!(sign::sha256(carried), head.sha256);
    let frames = Batch::parse(carried, limits::FRAMES_MAX).unwrap().frames;
    assert_eq!(frames.len() as u64, head.frames);
    let links: Vec<Link> = frames
        .into_iter()
        .map(|frame| {
            let verified = sign::verify(frame, &secret("agent").public()).unwrap();
            Link::of(&Entry::read(&verified).unwrap(), verified.hash())
        })
        .collect();
    assert_eq!(links.first().map(|link| link.seq), Some(head.first_seq));
    assert_eq!(links.last().map(|link| link.last_seq), Some(head.last_seq));
}

#[test]
fn signatures_are_judged_alike() {
    #[derive(Deserialize)]
    struct Signatures {
        message: String,
        cases: Vec<Case>,
        refused_keys: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Case {
        name: String,
        public: String,
        signature: String,
        accepted: bool,
    }
    let vectors: Signatures = load("signatures.json");
    let message = from_hex::<8>(&vectors.message).unwrap();
    for case in vectors.cases {
        let signature = from_hex::<64>(&case.signature).unwrap();
        let key = PublicKey::from_bytes(&from_hex::<32>(&case.public).unwrap());
        assert_eq!(key.is_ok_and(|key| key.accepts(&message, &signature)), case.accepted, "{}", case.name);
    }
    assert_eq!(vectors.refused_keys.len(), 15);
    for key in vectors.refused_keys {
        assert!(PublicKey::from_bytes(&from_hex::<32>(&key).unwrap()).is_err(), "{key}");
    }
}

#[test]
fn bounds_are_judged_alike() {
    #[derive(Deserialize)]
    struct Bounds {
        within: Vec<String>,
        outside: Vec<String>,
    }
    let vectors: Bounds = load("bounds.json");
    for text in vectors.within {
        assert!(json::check(text.as_bytes()).is_ok(), "{text:.60}");
    }
    for text in vectors.outside {
        assert!(json::check(text.as_bytes()).is_err(), "{text:.60}");
    }
}

#[test]
fn every_frame_of_the_exported_ledger_is_known() {
    let chains = chains();
    let text = String::from_utf8(golden("ledger.jsonl")).unwrap();
    let mut frames = 0;
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(payload) = line["frame"][0].as_str() else { continue };
        let vector = chains.chains.iter().flat_map(|chain| &chain.entries).find(|vector| vector.payload == payload).unwrap();
        assert_eq!(line["frame"][1], vector.wrapper.as_str());
        assert_eq!(line["hash"], vector.hash.to_string().as_str());
        frames += 1;
    }
    assert_eq!(frames, 13);
}
