//! The goals of the security plan that concern what is built, each with the tests that show it; and those that nothing
//! else shows: floods of replays, every pair of payload types, two libraries' verdicts, modes of files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::chain::Tip;
use mimamori_shared::frame::{Batch, Frame, take};
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash, Lease};
use mimamori_shared::payload::{Class, Counts, Head, Loss, LossReason, OpenReason, PushFail, Report, Statement, encode};
use mimamori_shared::sign::{PayloadType, PublicKey, SecretKey, pae, verify};
use mimamori_tests::fleet::START_MS;
use mimamori_tests::fleet::centre::Centre;
use mimamori_tests::{Random, times};
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Goal or incident, and the tests that show it, as `file::name`.
const SHOWN: &[(&str, &[&str])] = &[
    ("SG-01", &["tests/it/vectors.rs::speccheck_cases_get_the_strict_verdict", "tests/it/vectors.rs::wycheproof_vectors_get_their_result"]),
    ("SG-02", &["tests/it/tidy.rs::only_one_file_knows_the_signature_library"]),
    ("SG-03", &["tests/it/goals.rs::every_bit_of_a_kilobyte_counts"]),
    ("SG-04", &["tests/it/goals.rs::nothing_signed_for_one_place_passes_at_another"]),
    ("SG-05", &["tests/it/goals.rs::a_flood_of_replays_adds_no_row_and_gets_the_same_receipts"]),
    ("SG-06", &["tests/it/goals.rs::whatever_is_accepted_another_library_accepts_too"]),
    ("SG-07", &["shared/src/sign.rs::compile_fail"]),
    (
        "SG-09",
        &[
            "tests/it/hostile_answers.rs::no_answer_but_a_genuine_receipt_changes_anything",
            "tests/it/answer_storm.rs::a_storm_of_answers_moves_nothing_but_the_time_of_the_next_try",
        ],
    ),
    (
        "HD-02",
        &["tests/it/agent_process.rs::it_listens_nowhere_while_it_reports", "tests/it/goals_agent.rs::no_command_of_the_agent_asks_the_kernel_to_listen"],
    ),
    (
        "HD-06",
        &["tests/it/agent_process.rs::secrets_that_others_can_read_are_refused", "tests/it/goals_agent.rs::files_that_others_may_read_or_write_are_refused"],
    ),
    ("HD-08", &["tests/it/goals_agent.rs::what_a_collector_can_say_is_numbers_names_and_hashes", "tests/it/goals_agent.rs::neither_program_starts_others"]),
    ("HD-09", &["tests/it/answer_storm.rs::a_storm_of_answers_moves_nothing_but_the_time_of_the_next_try"]),
    ("PV-01", &["tests/it/patient_data.rs::five_hundred_names_of_patients_on_a_recorded_machine_leave_no_trace"]),
    ("incident 1: decoding by a peer's tag", &["shared/src/payload.rs::fn read", "tests/it/goals.rs::nothing_signed_for_one_place_passes_at_another"]),
    (
        "incident 2: a peer's path",
        &["shared/src/id.rs::only_lower_case_hex_of_the_right_length_is_an_id", "shared/src/word.rs::words_refuse_what_could_carry_a_sentence_or_break_a_line"],
    ),
    ("incident 3: depth before the signature", &["shared/src/json.rs::bounds_are_held"]),
    ("incident 5: enrolling anew out of impatience", &["tests/it/answer_storm.rs::a_storm_of_answers_moves_nothing_but_the_time_of_the_next_try"]),
    ("incident 6: a length that is believed", &["collector/src/net/tests/body.rs::fn "]),
    ("incident 7: a new bound breaks senders", &["tests/it/tidy.rs::every_route_answers_as_its_access_says"]),
    ("incidents 9, 10, 11, 13, 14: spools", &["agent/src/outbox/tests/damage.rs::fn ", "agent/src/outbox/tests/model.rs::fn "]),
    ("incident 17: lines in what is checked", &["shared/src/word.rs::words_refuse_what_could_carry_a_sentence_or_break_a_line"]),
    ("incident 25: identity by TLS", &["tests/it/wire_client.rs::whatever_that_client_attacks_with_is_refused_and_nothing_moves"]),
    ("incident 26: the type outside the signature", &["shared/src/sign.rs::no_type_passes_for_another"]),
    ("incident 27: weak keys", &["shared/src/sign.rs::low_order_and_non_canonical_keys_are_refused"]),
    ("incident 34: a lost answer burns the token", &["tests/it/enrolment.rs::an_answer_that_is_lost_costs_nothing_the_same_key_gets_the_same_identity"]),
    ("incident 35: enrolment by default", &["tests/it/enrolment.rs::tokens_that_ran_out_were_revoked_or_never_existed_are_refused_alike"]),
    ("incident 36: expiry strands a machine", &["tests/it/goals_agent.rs::after_years_in_a_drawer_an_agent_still_reports"]),
];

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32].into())
}

#[test]
fn every_goal_names_a_test_that_is_there() {
    for (goal, tests) in SHOWN {
        assert!(!tests.is_empty(), "{goal}");
        for test in *tests {
            let (file, name) = test.split_once("::").unwrap();
            let text = fs::read_to_string(top().join(file)).unwrap_or_else(|fault| panic!("{goal}: {file}: {fault}"));
            let there = text.contains(&format!("fn {name}("))
                || name == "compile_fail" && text.contains("```compile_fail")
                || name.starts_with("fn ") && text.contains(name);
            assert!(there, "{goal}: {test} is not there");
        }
    }
}

/// SG-03.
#[test]
fn every_bit_of_a_kilobyte_counts() {
    let start = Instant::now();
    let payload = format!("{}\"a\":\"{}\"}}", PayloadType::Report.prefix(), "x".repeat(1024 - 140)).into_bytes();
    let signer = key(1);
    let frame = Frame { key_id: signer.public().id(), signature: signer.sign(PayloadType::Report, &payload), payload };
    let good = frame.to_lines();
    assert!((1000..1100).contains(&good.len()), "{}", good.len());
    let public = signer.public();
    let passes = |lines: &[u8]| take(lines).is_ok_and(|(frame, rest)| rest.is_empty() && verify(frame, &public).is_ok());
    assert!(passes(&good));
    let mut tried = 0;
    let mut refused = |lines: &[u8], what: &str| {
        tried += 1;
        assert!(!passes(lines), "{what} passes");
    };
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        refused(&bad, &format!("bit {bit}"));
    }
    for length in 0..good.len() {
        refused(&good[..length], &format!("the first {length} bytes"));
    }
    for extra in 1..=64 {
        for byte in [0, b' ', b'\n', b'A', 0xff] {
            refused(&[good.clone(), vec![byte; extra]].concat(), &format!("{extra} times {byte} behind"));
            refused(&[vec![byte; extra], good.clone()].concat(), &format!("{extra} times {byte} before"));
        }
    }
    println!("{tried} changes of {} bytes refused in {:?}", good.len(), start.elapsed());
    assert!(tried > 9000);
}

/// Everything a chain says of itself.
fn head(ids: (CollectorId, AgentId, ChainId), signer: &SecretKey, tip: Tip) -> Head {
    Head {
        collector_id: ids.0,
        agent_id: ids.1,
        key_id: signer.public().id(),
        chain_id: ids.2,
        seq: tip.next_seq,
        prev_hash: tip.head,
        lease: Lease::ZERO,
        boot_id: mimamori_shared::id::BootId([5; 16]),
        taken_at_ms: START_MS,
        boottime_ms: 1000,
        monotonic_ms: 1000,
        consent_hash: Hash::ZERO,
        plan_hash: Hash::ZERO,
        push_fail_s: PushFail::default(),
    }
}

fn frame(kind: PayloadType, head: &Head, body: &impl Serialize, signer: &SecretKey) -> Frame {
    let payload = encode(kind, &[head, &serde_json::to_value(body).unwrap()]);
    Frame { key_id: signer.public().id(), signature: signer.sign(kind, &payload), payload }
}

fn report() -> Report {
    Report { class: Class::Sample, readings: Default::default(), faults: Vec::new(), findings: Vec::new() }
}

fn body(frames: Vec<Frame>) -> Vec<u8> {
    zstd::bulk::compress(&Batch { frames, preview: None }.to_bytes(), 1).unwrap()
}

/// A collector with two machines, each with an open chain and one report in it.
struct Two {
    _dir: tempfile::TempDir,
    centre: Centre,
    keys: [SecretKey; 2],
    ids: [(CollectorId, AgentId, ChainId); 2],
    tips: [Tip; 2],
    sent: Vec<Vec<u8>>,
}

fn two() -> Two {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(3);
    let mut centre = Centre::new(dir.path(), &mut random, START_MS);
    let keys = [key(31), key(32)];
    let agents = [0, 1].map(|n: usize| centre.enrol(&format!("ct-{n}"), &keys[n], &mut random, START_MS));
    let collector = centre.trust(agents[0]).collector_id;
    let ids = [0, 1].map(|n: usize| (collector, agents[n], ChainId([n as u8 + 1; 16])));
    let mut tips = [Tip::EMPTY; 2];
    let mut sent = Vec::new();
    for n in 0..2 {
        let open = frame(PayloadType::Statement, &head(ids[n], &keys[n], tips[n]), &Statement::Open { reason: OpenReason::Enrolled, previous: None }, &keys[n]);
        tips[n] = Tip { next_seq: 1, head: mimamori_shared::sign::frame_hash(PayloadType::Statement, &open.payload) };
        let first = frame(PayloadType::Report, &head(ids[n], &keys[n], tips[n]), &report(), &keys[n]);
        tips[n] = Tip { next_seq: 2, head: mimamori_shared::sign::frame_hash(PayloadType::Report, &first.payload) };
        let body = body(vec![open, first]);
        assert_eq!(centre.take(&body, START_MS).status, 200);
        sent.push(body);
    }
    Two { _dir: dir, centre, keys, ids, tips, sent }
}

fn rows(two: &Two) -> usize {
    let scope = mimamori_collector::store::Scope::All;
    let store = &two.centre.store;
    two.ids.iter().map(|ids| two.centre.wait(store.evidence(&scope, ids.1, ids.2, 0, 0, 1000)).unwrap().len()).sum()
}

/// SG-04: every type for every other, and every identity of the head for another's, with the right key and a signature
/// that holds for what was signed. Nothing but the genuine one is kept.
#[test]
fn nothing_signed_for_one_place_passes_at_another() {
    let mut two = two();
    let held = rows(&two);
    let (mut tried, mut accepted) = (0, 0);
    let foreign = [CollectorId([77; 16]), two.ids[0].0];
    let loss = Loss {
        first_seq: 2,
        last_seq: 2,
        last_hash: Hash([1; 32]),
        counts: Counts { sample: 1, ..Counts::default() },
        from_ms: 0,
        to_ms: 0,
        reason: LossReason::Quota,
    };
    for signed in PayloadType::ALL {
        for claimed in PayloadType::ALL {
            for collector in foreign {
                for (agent, chain, signer) in (0..8).map(|bits| (bits & 1, bits >> 1 & 1, bits >> 2)) {
                    let ids = (collector, two.ids[agent].1, two.ids[chain].2);
                    let genuine = signed == claimed && collector == two.ids[0].0 && agent == 0 && chain == 0 && signer == 0;
                    let in_chain = matches!(claimed, PayloadType::Report | PayloadType::Statement | PayloadType::Loss);
                    // An agent may open further chains, and its own: that is no confusion. So only what contradicts is tried.
                    if genuine && in_chain || agent == signer && chain == agent && signed == claimed && collector == two.ids[0].0 && in_chain {
                        continue;
                    }
                    let signer = &two.keys[signer];
                    let head = head(ids, signer, two.tips[chain]);
                    let mut made = match claimed {
                        PayloadType::Loss => frame(claimed, &head, &loss, signer),
                        PayloadType::Statement => frame(claimed, &head, &Statement::Purge { purged: Counts::default() }, signer),
                        _ => frame(claimed, &head, &report(), signer),
                    };
                    made.signature = signer.sign(signed, &made.payload);
                    tried += 1;
                    accepted += usize::from(two.centre.take(&body(vec![made]), START_MS).status == 200);
                }
            }
        }
    }
    assert_eq!((accepted, rows(&two)), (0, held), "of {tried}");
    let next = frame(PayloadType::Report, &head(two.ids[0], &two.keys[0], two.tips[0]), &report(), &two.keys[0]);
    assert_eq!(two.centre.take(&body(vec![next]), START_MS).status, 200, "the genuine one is taken");
    assert_eq!(rows(&two), held + 1);
    println!("{tried} confusions of type, collector, agent, chain and key: {accepted} accepted");
    assert!(tried > 1000);
}

/// SG-05. `MIMAMORI_REPLAYS=1000000` is the whole.
#[test]
fn a_flood_of_replays_adds_no_row_and_gets_the_same_receipts() {
    let count = times("MIMAMORI_REPLAYS", 4_000);
    let mut two = two();
    let (held, start) = (rows(&two), Instant::now());
    let first: Vec<_> = two.sent.clone().iter().map(|body| two.centre.take(body, START_MS)).collect();
    for number in 0..count {
        let which = usize::from(number % 2 == 1);
        let again = two.centre.take(&two.sent[which].clone(), START_MS + i64::try_from(number).unwrap());
        assert_eq!(again, first[which], "replay {number}");
    }
    assert_eq!(rows(&two), held);
    let (scope, store) = (mimamori_collector::store::Scope::All, &two.centre.store);
    assert_eq!(two.centre.wait(store.findings(&scope)).unwrap(), Vec::new());
    println!("{count} replays of two requests in {:?}: no row, the same receipts", start.elapsed());
}

/// SG-06: an input that this project accepts is accepted by the library that TLS rests on, too. `MIMAMORI_SIGNATURES`
/// says how many are made.
#[test]
fn whatever_is_accepted_another_library_accepts_too() {
    let (count, start) = (times("MIMAMORI_SIGNATURES", 10_000), Instant::now());
    let provider = rustls::crypto::ring::default_provider();
    let other = provider.signature_verification_algorithms.mapping.iter().find(|(scheme, _)| *scheme == rustls::SignatureScheme::ED25519).unwrap().1[0];
    let mut random = Random(times("MIMAMORI_SEED", 1));
    let (mut ours, mut theirs) = (0_u64, 0_u64);
    for number in 0..count {
        let signer = SecretKey::from_seed(&random.bytes().into());
        let payload: [u8; 48] = random.bytes();
        let message = pae(&PayloadType::Report.media_type(), &payload);
        let (mut public, mut signature) = (signer.public().to_bytes(), signer.sign(PayloadType::Report, &payload));
        match random.between(0, 8) {
            0 | 1 => {}
            2 => signature[usize::try_from(random.between(0, 64)).unwrap()] ^= 1 << random.between(0, 8),
            3 => public[usize::try_from(random.between(0, 32)).unwrap()] ^= 1 << random.between(0, 8),
            4 => {
                let again = plus_order(&signature[32..]);
                signature[32..].copy_from_slice(&again);
            }
            5 => signature[..32].copy_from_slice(&edge(&mut random)),
            6 => public = edge(&mut random),
            _ => signature[63] |= 0xe0,
        }
        let we = PublicKey::from_bytes(&public).is_ok_and(|key| key.accepts(&message, &signature));
        let they = other.verify_signature(&public, &message, &signature).is_ok();
        assert!(they || !we, "{number}: {} {}", STANDARD.encode(public), STANDARD.encode(signature));
        (ours, theirs) = (ours + u64::from(we), theirs + u64::from(they));
    }
    println!("{count} signatures in {:?}: {ours} accepted here, {theirs} there", start.elapsed());
    assert!(ours > count / 5 && ours < count / 2);
}

/// The scalar of a signature with the order of the group added: the same point, written a second way.
fn plus_order(scalar: &[u8]) -> [u8; 32] {
    // L = 2^252 + 27742317777372353535851937790883648493, little end first (RFC 8032, 5.1).
    let order = mimamori_shared::id::from_hex::<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0_u16;
    std::array::from_fn(|at| {
        carry += u16::from(scalar[at]) + u16::from(order[at]);
        let [low, high] = carry.to_le_bytes();
        carry = u16::from(high);
        low
    })
}

/// Points of small order and spellings that are not canonical.
fn edge(random: &mut Random) -> [u8; 32] {
    let mut point = match random.between(0, 4) {
        0 => [0; 32],
        1 => [0xff; 32],
        2 => mimamori_shared::id::from_hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a").unwrap(),
        _ => mimamori_shared::id::from_hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f").unwrap(),
    };
    point[0] ^= u8::try_from(random.between(0, 4)).unwrap();
    point[31] ^= u8::try_from(random.between(0, 2) << 7).unwrap();
    point
}
