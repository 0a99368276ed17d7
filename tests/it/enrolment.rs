//! One token, one identity: whatever is lost, copied, guessed or stolen on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests: a panic is a failed test")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use mimamori_agent::uplink::{ENROL_PATH, ENROL_TYPE, Outcome};
use mimamori_shared::id::to_hex;
use mimamori_shared::payload::{EnrolState, RefusalReason};
use mimamori_shared::sign::SecretKey;
use mimamori_shared::token::Token;
use mimamori_tests::raw::{RawAnswer, read_answer, send};
use mimamori_tests::sim::{enrol_body, key_of, now_ms};
use mimamori_tests::world::FACILITY;
use mimamori_tests::{Random, Raw, SimAgent, World, get, times, wait_until};
use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn request(raw: &Raw, body: &[u8]) -> Vec<u8> {
    raw.post(ENROL_PATH, &[("Content-Type", ENROL_TYPE)], body)
}

/// Asks over a connection of its own.
fn ask(raw: &Raw, member: u8, token: &Token, key: &SecretKey, vouches: &SecretKey) -> RawAnswer {
    let mut stream = raw.tls(9, member).unwrap();
    send(&mut stream, &request(raw, &enrol_body(token, key, vouches))).unwrap();
    read_answer(&mut stream).unwrap()
}

/// How often enrolments ended this way, as the collector counts.
fn counted(world: &World, result: &str) -> u64 {
    let (_, page) = get(world.metrics, "/metrics").unwrap();
    let name = format!("mimamori_collector_enrolments_total{{result=\"{result}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

#[test]
fn of_a_hundred_keys_that_redeem_one_token_at_once_exactly_one_gets_it() {
    let mut world = World::new("hundred");
    world.start();
    let rounds = times("MIMAMORI_ENROL_ROUNDS", 10);
    let raw = Raw::new(&world);
    for round in 0..rounds {
        race(&world, &raw, round);
    }
    world.fsck();
}

/// One token, a hundred keys at the same moment.
fn race(world: &World, raw: &Raw, round: u64) {
    let token = world.token(Some(&format!("ct-{round}")));
    let before = (counted(world, "active"), counted(world, "refused"));
    let together = Barrier::new(100);
    // All have their connection and wait for the last one, then all ask at the same moment.
    let answers: Vec<(SecretKey, RawAnswer)> = thread::scope(|scope| {
        let one = |n: u8| {
            let (token, together) = (&token, &together);
            move || {
                let key = key_of(token, &format!("key {n}"));
                let bytes = request(raw, &enrol_body(token, &key, &token.key()));
                let mut stream = raw.tls(1, 1 + n % 10).unwrap();
                together.wait();
                send(&mut stream, &bytes).unwrap();
                (key, read_answer(&mut stream).unwrap())
            }
        };
        let asking: Vec<_> = (0..100).map(|n| scope.spawn(one(n))).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (given, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer.status == 200);
    assert_eq!((given.len(), refused.len()), (1, 99));
    let constant = &refused[0].1;
    assert!(constant.status == 403 && refused.iter().all(|(_, answer)| answer == constant), "{refused:?}");
    assert_eq!(constant.body, b"not granted\n");
    let machines = world.machines();
    let fingerprint = given[0].0.public().id().fingerprint();
    assert!(machines.len() as u64 == round + 1 && machines.iter().any(|machine| machine["fingerprint"] == fingerprint.as_str()), "{machines:?}");
    let tokens: serde_json::Value = serde_json::from_str(&world.cli(&["token", "list", "--json"])).unwrap();
    assert!(tokens["tokens"].as_array().unwrap().iter().any(|row| row["state"] == "used" && row["used_by"] == fingerprint.as_str()), "{tokens}");
    assert_eq!((counted(world, "active") - before.0, counted(world, "refused") - before.1), (1, 99));
    // The one may ask again, the others never.
    assert_eq!(ask(raw, 1, &token, &given[0].0, &token.key()), given[0].1);
    assert_eq!(ask(raw, 1, &token, &refused[0].0, &token.key()), *constant);
}

#[test]
fn an_answer_that_is_lost_costs_nothing_the_same_key_gets_the_same_identity() {
    let mut world = World::new("lost");
    world.start();
    let raw = Raw::new(&world);
    let runs = times("MIMAMORI_LOST_RUNS", 50);
    let names: Vec<String> = (0..runs).map(|n| format!("ct-{n}")).collect();
    let seed = 4_711;
    let mut random = Random(seed);
    let mut lost_after_redeeming = 0;
    for (n, token) in world.tokens(&names).iter().enumerate() {
        let key = key_of(token, "lost");
        let mut stream = raw.tls(2, 1).unwrap();
        send(&mut stream, &request(&raw, &enrol_body(token, &key, &token.key()))).unwrap();
        // Not waiting for anything: the moment of the cut is the test's input, anywhere between before the collector
        // has read the request and, in the later rounds, long after its answer is on the wire.
        thread::sleep(Duration::from_micros(random.between(0, 2000 * (n as u64 % 50 + 1))));
        stream.sock.shutdown(std::net::Shutdown::Both).unwrap();
        let first = ask(&raw, 2, token, &key, &token.key());
        let again = ask(&raw, 2, token, &key, &token.key());
        assert_eq!((first.status, &first), (200, &again), "round {n}, seed {seed}");
        let repeated = counted(&world, "repeated");
        // Of three requests two are repeats if the lost one was redeemed.
        lost_after_redeeming = repeated - (n as u64 + 1);
        assert_eq!(world.machines().len(), n + 1, "one machine a token");
    }
    assert_eq!(counted(&world, "active"), runs, "an enrolment is counted also when nobody waits for the answer");
    let said = || world.log().matches("<5>enrolled: ").count() as u64;
    wait_until("each is said in the log", Duration::from_secs(2), || said() == runs + counted(&world, "repeated"));
    assert_eq!(counted(&world, "refused"), 0);
    println!("{runs} cut connections, {lost_after_redeeming} of them after the token was redeemed");
    assert!(lost_after_redeeming >= runs / 5, "only {lost_after_redeeming} of {runs} answers were lost after the token had been redeemed");
    world.fsck();
}

#[test]
fn tokens_that_ran_out_were_revoked_or_never_existed_are_refused_alike() {
    let mut world = World::new("expired");
    world.start();
    let raw = Raw::new(&world);
    let create = |machine: &str| Token::parse(&world.cli(&["token", "create", "--facility", FACILITY, "--machine", machine, "--ttl", "2s"])).unwrap();
    let (used, expired) = (create("ct-1"), create("ct-2"));
    let until = now_ms() + 2000;
    let key = key_of(&used, "in time");
    let given = ask(&raw, 1, &used, &key, &used.key());
    assert_eq!(given.status, 200);
    wait_until("the tokens have run out", Duration::from_secs(4), || now_ms() > until);
    assert_eq!(ask(&raw, 1, &used, &key, &used.key()), given, "redeemed in time, asked again later: the same");
    let revoked = world.token(Some("ct-3"));
    world.cli(&["token", "revoke", &revoked.id.to_string()]);
    let mut unknown = world.token(Some("ct-4"));
    unknown.id.0[0] ^= 1;
    let refused = [&expired, &revoked, &unknown].map(|token| ask(&raw, 1, token, &key_of(token, "late"), &token.key()));
    assert_eq!(refused[0].status, 403);
    assert!(refused.iter().all(|answer| *answer == refused[0]), "{refused:?}");
    assert_eq!(world.machines().len(), 1);
    world.fsck();
}

#[test]
fn a_secret_with_any_single_bit_flipped_redeems_nothing() {
    let mut world = World::new("bits");
    world.start();
    let (raw, token) = (Raw::new(&world), world.token(Some("ct-1")));
    let key = key_of(&token, "guess");
    let mut stream = raw.tls(1, 1).unwrap();
    let mut constant = None;
    for bit in 0..256 {
        let mut seed = Zeroizing::new(*token.seed);
        seed[bit / 8] ^= 1 << (bit % 8);
        send(&mut stream, &request(&raw, &enrol_body(&token, &key, &SecretKey::from_seed(&seed)))).unwrap();
        let answer = read_answer(&mut stream).unwrap();
        assert_eq!(answer.status, 403, "bit {bit}");
        assert_eq!(constant.get_or_insert_with(|| answer.clone()), &answer, "bit {bit}");
    }
    assert_eq!((counted(&world, "refused"), world.machines().len()), (256, 0));
    assert_eq!(ask(&raw, 1, &token, &key, &token.key()).status, 200, "nothing was used up");
}

/// Many machines of a facility stand behind one address of its router, and one of them has no token and asks on and on.
#[test]
fn a_stranger_behind_the_same_address_keeps_nobody_waiting_who_has_a_token() {
    let mut world = World::new("nat");
    world.more = vec!["ingest.rate.enrol_refusals=5".to_owned()];
    world.start();
    let raw = Raw::new(&world);
    let tokens = ["ct-1", "ct-2", "ct-3"].map(|name| world.token_text(Some(name)));
    let [by_program, known, spare] = tokens.each_ref().map(|text| Token::parse(text).unwrap());
    let mut unknown = Token::parse(&tokens[2]).unwrap();
    unknown.id.0[0] ^= 1;
    let guess = key_of(&known, "guess");
    let bodies = [&known, &unknown].map(|token| request(&raw, &enrol_body(token, &guess, &guess)));
    // Which tokens there are is not told: to guess the secret of one that exists is answered as one that does not.
    let told = [2, 3].map(|member| {
        let mut stream = raw.tls(9, member).unwrap();
        let mut again = || {
            send(&mut stream, &bodies[usize::from(member) - 2]).unwrap();
            let answer = read_answer(&mut stream).unwrap();
            (answer.status, answer.body)
        };
        (0..20).map(|_| again()).collect::<Vec<_>>()
    });
    assert!(told[0] == told[1] && told[0][..5].iter().all(|answer| answer.0 == 403) && told[0][5..].iter().all(|answer| answer.0 == 429), "{told:?}");
    // From 127.0.0.1, where the agent comes from too.
    let (over, asked, waited) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = raw.tls(0, 1).unwrap();
            for body in bodies.iter().cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                send(&mut stream, body).unwrap();
                let answer = read_answer(&mut stream).unwrap();
                waited.fetch_add(u64::from(answer.status == 429), Ordering::Relaxed);
                asked.fetch_add(1, Ordering::Relaxed);
                if answer.headers.iter().any(|line| line == "connection: close") {
                    stream = raw.tls(0, 1).unwrap();
                }
            }
        });
        wait_until("the stranger is told to wait", Duration::from_secs(20), || waited.load(Ordering::Relaxed) > 20);
        let before = asked.load(Ordering::Relaxed);
        assert!(world.agent_home("ct-1").enroll(&tokens[0]).contains("State: active"));
        // Also by the token whose secret is being guessed.
        for token in [&known, &spare] {
            let mut stream = raw.tls(0, 1).unwrap();
            send(&mut stream, &request(&raw, &enrol_body(token, &key_of(token, "x"), &token.key()))).unwrap();
            assert_eq!(read_answer(&mut stream).unwrap().status, 200);
        }
        assert!(asked.load(Ordering::Relaxed) > before, "it asked on meanwhile");
        over.store(true, Ordering::Relaxed);
    });
    // Who copied a used token is told to wait like every stranger, and nobody else there is.
    let copied = request(&raw, &enrol_body(&by_program, &guess, &by_program.key()));
    let mut stream = raw.tls(0, 1).unwrap();
    let statuses = [(); 8].map(|()| {
        send(&mut stream, &copied).unwrap();
        read_answer(&mut stream).unwrap().status
    });
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429, 429]);
    let last = world.token(Some("ct-4"));
    let mut stream = raw.tls(0, 1).unwrap();
    send(&mut stream, &request(&raw, &enrol_body(&last, &key_of(&last, "x"), &last.key()))).unwrap();
    assert_eq!((read_answer(&mut stream).unwrap().status, world.machines().len()), (200, 4));
    world.fsck();
}

/// Where in the files of a folder the bytes stand, as they are, in hex or in base64. Files named in `but` are left out.
fn places(folder: &Path, secret: &[u8], but: &[&str]) -> Vec<String> {
    let forms = [
        secret.to_vec(),
        to_hex(secret).into_bytes(),
        to_hex(secret).to_uppercase().into_bytes(),
        STANDARD_NO_PAD.encode(secret).into_bytes(),
        URL_SAFE_NO_PAD.encode(secret).into_bytes(),
        // Within longer base64 three bytes of the secret make four digits at one of three offsets.
        STANDARD_NO_PAD.encode(&secret[1..31]).into_bytes(),
        STANDARD_NO_PAD.encode(&secret[2..32]).into_bytes(),
        URL_SAFE_NO_PAD.encode(&secret[1..31]).into_bytes(),
        URL_SAFE_NO_PAD.encode(&secret[2..32]).into_bytes(),
    ];
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(path.is_file(), "a folder in the state folder: {name}");
        if !but.contains(&name.as_str()) {
            let bytes = fs::read(&path).unwrap();
            let holds = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form.as_slice());
            found.extend(forms.iter().any(holds).then_some(name));
        }
    }
    found.sort();
    found
}

#[test]
fn a_stolen_database_holds_no_secret() {
    let mut world = World::new("stolen");
    world.start();
    let runtime = runtime();
    let (open, used) = (world.token(Some("ct-1")), world.token(Some("ct-2")));
    let mut agent = runtime.block_on(SimAgent::enrol(&used, "one")).unwrap();
    runtime.block_on(agent.report_now());
    // What is in the write-ahead log belongs to what is stolen: the collector still runs.
    let folder = world.state_dir();
    let names: Vec<String> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.contains(&"collector.db".to_owned()), "{names:?}");
    for token in [&open, &used] {
        assert_eq!(places(&folder, token.seed.as_slice(), &[]), Vec::<String>::new(), "the token's secret");
        // The same search finds what is there.
        assert_ne!(places(&folder, &token.key().public().to_bytes(), &[]), Vec::<String>::new(), "the token's public key");
    }
    for file in ["signing.key", "root.key", "lease.secret"] {
        let secret: [u8; 32] = mimamori_shared::id::from_hex(fs::read_to_string(folder.join(file)).unwrap().trim()).unwrap();
        assert_eq!(places(&folder, &secret, &[]), [file], "{file} stands in its own file only");
    }
    assert_eq!(places(&folder, agent.key.seed().as_slice(), &[]), Vec::<String>::new(), "the machine's key");
    let planted = format!("x{}", STANDARD.encode([b"ab", open.seed.as_slice()].concat()));
    fs::write(folder.join("planted"), planted).unwrap();
    assert_eq!(places(&folder, open.seed.as_slice(), &["collector.db"]), ["planted"], "the search sees through base64 at any offset");
    assert!(!world.log().contains(&*URL_SAFE_NO_PAD.encode(open.seed.as_slice())));
}

#[test]
fn a_machine_that_waits_for_approval_is_not_listened_to_until_it_is_approved() {
    let mut world = World::new("pending");
    world.start();
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(None), "one")).unwrap();
    assert_eq!(agent.enrolled.state, EnrolState::Pending);
    let waiting = agent.enrolled.machine.to_string();
    for _ in 0..3 {
        agent.sample();
        let outcome = runtime.block_on(agent.push(usize::MAX));
        let Outcome::Failed(fault, _) = &outcome else { panic!("{outcome:?}") };
        assert!(fault.to_string().contains("403"), "{fault}");
    }
    assert_eq!(world.export(&waiting).len(), 0, "nothing is stored");
    let row = &world.machines()[0];
    assert!(row["state"] == "pending" && row["reports"] == 0 && row["last_received_ms"].is_null(), "{row}");
    world.cli(&["machine", "approve", &format!("{FACILITY}/{waiting}"), "--as", "ct-9"]);
    assert_eq!(runtime.block_on(agent.report_now()).seq, 4, "what was kept meanwhile comes too");
    assert_eq!(world.export("ct-9").len(), 5);
    world.fsck();
}

#[test]
fn a_revoked_machine_is_told_so_under_signature_and_nothing_more_is_kept_of_it() {
    let mut world = World::new("revoked");
    world.start();
    let runtime = runtime();
    let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
    let mut other = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-2")), "two")).unwrap();
    runtime.block_on(agent.report_now());
    let said = world.cli(&["machine", "revoke", &format!("{FACILITY}/ct-1")]);
    assert!(said.contains(&agent.key.public().id().fingerprint()), "{said}");
    for _ in 0..3 {
        agent.sample();
        // `judge` lets a refusal through only when the chain of signatures from the root on holds.
        let outcome = runtime.block_on(agent.push(usize::MAX));
        assert!(matches!(&outcome, Outcome::Refused(refusal) if refusal.reason == RefusalReason::Revoked), "{outcome:?}");
    }
    assert_eq!(world.export("ct-1").len(), 2, "what was acknowledged before stays, nothing is added");
    assert_eq!(world.machines().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), ["revoked", "active"]);
    assert_eq!(runtime.block_on(other.report_now()).seq, 1, "the neighbour is not concerned");
    world.fsck();
}

#[test]
fn both_sides_print_the_same_fingerprints() {
    let mut world = World::new("fingerprints");
    world.start();
    let home = world.agent_home("ct-1");
    let said = home.enroll(&world.token_text(None));
    let printed = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {said}")).to_owned();
    let row = world.machines()[0].clone();
    assert_eq!(row["fingerprint"], printed("Fingerprint of this machine's key: "));
    assert!(printed("State: ").starts_with("pending"), "{said}");
    let name = format!("{FACILITY}/{}", row["machine"].as_str().unwrap());
    let shown: serde_json::Value = serde_json::from_str(&world.cli(&["machine", "show", &name, "--json"])).unwrap();
    assert_eq!(shown["root_fingerprint"], printed("Fingerprint of the collector's root: "));
    assert_ne!(shown["root_fingerprint"], row["fingerprint"]);
    let list = world.cli(&["machine", "show", &name]);
    assert!(list.contains(row["fingerprint"].as_str().unwrap()), "{list}");
    // A second agent has another key.
    let other = world.agent_home("ct-2").enroll(&world.token_text(None));
    assert!(!other.contains(row["fingerprint"].as_str().unwrap()), "{other}");
}
