//! Whatever answers in the collector's place: nothing but a genuine receipt for what was sent changes what is kept (I5).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]

use crate::offline::Rig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_agent::outbox::Quota;
use mimamori_agent::uplink::{ANSWER_TYPE, Detail, Outcome, SentFrame, UplinkConfig};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash, Lease};
use mimamori_shared::payload::{Certificate, Receipt, ReceiptStatus, Refusal, RefusalReason, encode};
use mimamori_shared::sign::{PayloadType, SecretKey, sha256};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

const COLLECTOR: CollectorId = CollectorId([1; 16]);
const AGENT: AgentId = AgentId([2; 16]);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&Zeroizing::new([seed; 32]))
}

/// What the server says next.
#[derive(Clone, Default)]
enum Say {
    #[default]
    Nothing,
    Bytes(Vec<u8>),
    Endless(&'static str),
}

/// A server that is the collector as far as TLS can tell, and says what it is told to.
struct Impostor {
    url: String,
    pin: Hash,
    say: Arc<Mutex<Say>>,
}

async fn impostor() -> Impostor {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca: CertificateDer<'static> = params.self_signed(&ca_key).unwrap().der().clone();
    let issuer = Issuer::new(params, ca_key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone(), ca.clone()], private).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let say = Arc::new(Mutex::new(Say::Nothing));
    let told = Arc::clone(&say);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, say) = (acceptor.clone(), told.lock().unwrap().clone());
            tokio::spawn(async move { serve(acceptor.accept(stream).await.unwrap(), say).await });
        }
    });
    Impostor { url, pin: sha256(&ca), say }
}

/// Reads one request to its end, then speaks and closes. A client that goes away is no fault here.
async fn serve(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, say: Say) {
    let mut seen = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        seen.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        let whole = text.find("\r\n\r\n").is_some_and(|end| {
            let length = text[..end].lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            // The head is ASCII, so its length is the same in both.
            seen.len() >= end + 4 + length.unwrap_or(0)
        });
        if whole || read == 0 {
            break;
        }
    }
    match say {
        Say::Nothing => {}
        Say::Bytes(bytes) => drop(stream.write_all(&bytes).await),
        Say::Endless(head) => {
            drop(stream.write_all(head.as_bytes()).await);
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
        }
    }
    drop(stream.shutdown().await);
}

fn http(status: &str, content_type: &str, body: &[u8]) -> Say {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Say::Bytes(bytes)
}

fn frame(kind: PayloadType, payload: Vec<u8>, by: &SecretKey) -> Vec<u8> {
    Frame { key_id: by.public().id(), signature: by.sign(kind, &payload), payload }.to_lines()
}

/// The certificate of the signing key `signer`, by `root`.
fn certificate(signer: &SecretKey, root: &SecretKey, collector_id: CollectorId) -> Vec<u8> {
    let public = signer.public();
    let certificate = Certificate { collector_id, key_id: public.id(), public_key: STANDARD.encode(public.to_bytes()), issued_at_ms: 5 };
    frame(PayloadType::Certificate, encode(PayloadType::Certificate, &[&certificate]), root)
}

fn receipt_for(chain_id: ChainId, place: SentFrame) -> Receipt {
    Receipt {
        collector_id: COLLECTOR,
        agent_id: AGENT,
        chain_id,
        branch: 0,
        seq: place.last_seq,
        head_hash: place.tip_hash,
        received_at_ms: 6,
        lease: Lease([4; 16]),
        status: ReceiptStatus::Ok,
    }
}

/// A signed answer as the collector gives it: key 11 is its root, key 12 signs.
fn signed(receipt: &Receipt) -> Vec<u8> {
    let mut body = frame(PayloadType::Receipt, encode(PayloadType::Receipt, &[receipt]), &key(12));
    body.extend(certificate(&key(12), &key(11), COLLECTOR));
    body
}

fn refused(reason: RefusalReason, chain_id: ChainId, in_reply_to: Hash, by: &SecretKey) -> Vec<u8> {
    let refusal = Refusal { collector_id: COLLECTOR, agent_id: AGENT, chain_id, in_reply_to, reason };
    let mut body = frame(PayloadType::Refusal, encode(PayloadType::Refusal, &[&refusal]), by);
    body.extend(certificate(by, &key(11), COLLECTOR));
    body
}

/// Everything that is kept: chains as the core has them, and every row of the outbox's tables.
fn kept(rig: &Rig, folder: &Path) -> String {
    let db = rusqlite::Connection::open(folder.join("outbox.db")).unwrap();
    let mut text = format!("{:?}\n", rig.agent.chains());
    let mut tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.iter().any(|table| table == "entry") && tables.iter().any(|table| table == "chain"), "{tables:?}");
    for table in tables {
        let mut rows = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
        let columns = rows.column_count();
        let rows = rows.query_map([], |row| Ok((0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect::<Vec<_>>().join(","))).unwrap();
        let rows: Vec<String> = rows.map(Result::unwrap).collect();
        text.push_str(&format!("{table}: {} rows, {}\n", rows.len(), sha256(rows.join("\n").as_bytes())));
    }
    text
}

/// Every answer that is worth nothing, and why. They are made from a genuine one for `last`; `asked` is what the request
/// begins with, `old` a receipt that was genuine once.
fn cases(url: &str, chain_id: ChainId, asked: Hash, last: SentFrame, old: &[u8]) -> Vec<(&'static str, Say, Detail)> {
    let genuine = receipt_for(chain_id, last);
    let other_chain = Receipt { chain_id: ChainId([8; 16]), ..genuine.clone() };
    let future = Receipt { seq: last.last_seq + 9, ..genuine.clone() };
    let wrong_hash = Receipt { head_hash: Hash([9; 32]), ..genuine.clone() };
    let other_agent = Receipt { agent_id: AgentId([9; 16]), ..genuine.clone() };
    let by_stranger = {
        let mut body = frame(PayloadType::Receipt, encode(PayloadType::Receipt, &[&genuine]), &key(99));
        body.extend(certificate(&key(99), &key(98), COLLECTOR));
        body
    };
    let unsigned = {
        let mut body = signed(&genuine);
        let at = body.iter().position(|b| *b == b'\n').unwrap() + 60;
        body[at] = if body[at] == b'A' { b'B' } else { b'A' };
        body
    };
    let as_refusal = frame(PayloadType::Report, encode(PayloadType::Report, &[&genuine]), &key(12));
    let wrong_type = [as_refusal, certificate(&key(12), &key(11), COLLECTOR)].concat();
    let behind = RefusalReason::Behind { next_seq: 0, head_hash: Hash::ZERO };
    let html = b"<html><body>Welcome to the hospital network. Please log in.</body></html>";
    let receipts = |body: &[u8]| http("200 OK", ANSWER_TYPE, body);
    vec![
        ("a portal's page", http("200 OK", "text/html", html), Detail::Portal),
        ("a portal that names our type", http("200 OK", ANSWER_TYPE, html), Detail::Malformed),
        ("204", Say::Bytes(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec()), Detail::Portal),
        ("201 with a genuine receipt", http("201 Created", ANSWER_TYPE, &signed(&genuine)), Detail::Portal),
        (
            "302",
            Say::Bytes(format!("HTTP/1.1 302 Found\r\nLocation: {}/login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", url).into_bytes()),
            Detail::Redirected(302),
        ),
        (
            "307",
            Say::Bytes(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()),
            Detail::Redirected(307),
        ),
        ("500", http("500 Internal Server Error", "text/plain", b"oops"), Detail::Status(500)),
        ("500 with a genuine receipt", http("500 Internal Server Error", ANSWER_TYPE, &signed(&genuine)), Detail::Status(500)),
        ("an old genuine receipt", receipts(old), Detail::NotSent),
        ("a genuine receipt for another chain", receipts(&signed(&other_chain)), Detail::OtherChain),
        ("a receipt for more than was sent", receipts(&signed(&future)), Detail::NotSent),
        ("a receipt with another hash", receipts(&signed(&wrong_hash)), Detail::NotSent),
        ("a receipt for another agent", receipts(&signed(&other_agent)), Detail::OtherAgent),
        ("a receipt under another root", receipts(&by_stranger), Detail::WrongRoot),
        ("a receipt with one changed character", receipts(&unsigned), Detail::BadSignature),
        ("a receipt signed as a report", receipts(&wrong_type), Detail::WrongType),
        ("a receipt cut short", receipts(&signed(&genuine)[..300]), Detail::Malformed),
        ("a receipt and more", receipts(&[signed(&genuine), b"x\n".to_vec()].concat()), Detail::Malformed),
        ("an unsigned 409", http("409 Conflict", "text/plain", b"revoked"), Detail::Status(409)),
        ("a 409 of our type without signatures", http("409 Conflict", ANSWER_TYPE, b"revoked\n"), Detail::Malformed),
        ("a signed refusal of another request", http("409 Conflict", ANSWER_TYPE, &refused(behind, chain_id, Hash([7; 32]), &key(12))), Detail::OtherRequest),
        (
            "a revocation of another request",
            http("409 Conflict", ANSWER_TYPE, &refused(RefusalReason::Revoked, chain_id, Hash([7; 32]), &key(12))),
            Detail::OtherRequest,
        ),
        ("a refusal for another chain", http("409 Conflict", ANSWER_TYPE, &refused(behind, ChainId([8; 16]), asked, &key(12))), Detail::OtherChain),
        (
            "an endless body of our type",
            Say::Endless("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.mimamori.answer\r\nConnection: close\r\n\r\n"),
            Detail::TooLarge,
        ),
        ("an endless error", Say::Endless("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n"), Detail::Status(502)),
        ("endless heads", Say::Endless("HTTP/1.1 200 OK\r\nX-Fill: "), Detail::NotHttp),
        ("garbage", Say::Bytes(b"\x00\x01\x02 SSH-2.0-OpenSSH\r\n\r\n".to_vec()), Detail::NotHttp),
        ("nothing", Say::Nothing, Detail::Cut),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_but_a_genuine_receipt_changes_anything() {
    let server = impostor().await;
    let dir = tempfile::tempdir().unwrap();
    let mut uplink = UplinkConfig::new(server.url.clone(), server.pin);
    (uplink.connect_timeout, uplink.request_timeout) = (Duration::from_secs(4), Duration::from_secs(5));
    let quota = Quota { bytes: 1 << 30, age_ms: 1 << 50, free_floor_bytes: 0 };
    let mut rig = Rig::new(dir.path().to_owned(), (COLLECTOR, AGENT), key(21), key(11).public(), uplink, quota);
    // A first life: some entries are receipted genuinely, so that there is an old receipt to play again.
    rig.consent().await;
    while rig.sent.is_none() {
        rig.wake().await;
    }
    let chain_id = rig.agent.newest().unwrap().chain_id;
    let first = rig.sent.as_ref().unwrap().frames[0];
    *server.say.lock().unwrap() = http("200 OK", ANSWER_TYPE, &signed(&receipt_for(chain_id, first)));
    while rig.requests() == 0 {
        rig.wake().await;
    }
    assert_eq!(rig.agent.newest().unwrap().unsent_from, first.last_seq + 1, "the genuine one counts");
    let old = signed(&receipt_for(chain_id, first));
    *server.say.lock().unwrap() = Say::Nothing;
    rig.reports(3).await;

    let chain = rig.agent.newest().unwrap().clone();
    let batch = rig.outbox.batch(chain.chain_id, chain.unsent_from, 9, 1 << 20).unwrap().unwrap().unwrap();
    let (place, last, asked) = (batch.sent.frames[0], *batch.sent.frames.last().unwrap(), batch.sent.first_hash);
    let cases = cases(&server.url, chain_id, asked, last, &old);
    // What they were made from is genuine: only what each changes makes it worthless.
    assert_ne!(place, last);
    let (count, mut alone) = (cases.len(), 0);
    let failed_before: u64 = rig.agent.push_state().failed_ms().iter().sum();
    for (name, say, detail) in cases {
        *server.say.lock().unwrap() = say;
        let (before, tries) = (kept(&rig, dir.path()), rig.ends.len());
        let samples = rig.samples;
        while rig.ends.len() == tries {
            rig.wake().await;
        }
        let fault = rig.last_fault();
        assert_eq!((fault.detail, fault.layer), (detail, detail.layer()), "{name}");
        assert_eq!(rig.agent.push_state().failing(), Some(detail.layer()), "{name}");
        assert_eq!(rig.agent.newest().unwrap().unsent_from, chain.unsent_from, "{name}");
        // A report may have fallen due before the try; what it adds is no change by the answer.
        if rig.samples == samples {
            assert_eq!(kept(&rig, dir.path()), before, "{name}");
            alone += 1;
        }
        // The same answer again, judged without any clock: nothing is written for an answer.
        let before = kept(&rig, dir.path());
        let again = rig.post(&batch.body, &batch.sent).await;
        assert!(matches!(&again, Outcome::Failed(fault, _) if fault.detail == detail), "{name}: {again:?}");
        assert_eq!(kept(&rig, dir.path()), before, "{name}");
    }
    assert!(rig.agent.push_state().failed_ms().iter().sum::<u64>() > failed_before);
    // After all of them the genuine answer still counts, and it shows in what is kept.
    let before = kept(&rig, dir.path());
    let end = *rig.sent.as_ref().unwrap().frames.last().unwrap();
    *server.say.lock().unwrap() = http("200 OK", ANSWER_TYPE, &signed(&receipt_for(chain_id, end)));
    let receipted = rig.requests();
    while rig.requests() == receipted {
        rig.wake().await;
    }
    assert_ne!(kept(&rig, dir.path()), before);
    assert!(rig.agent.newest().unwrap().unsent_from > chain.unsent_from);
    assert!(alone >= count / 4, "only {alone} answers were looked at through the core alone");
    println!("{count} hostile answers ({alone} through the core alone), each twice: nothing kept was changed");
}
