//! Signatures against vectors that nobody on the project wrote (I10), through `mimamori_shared::sign` only; and the
//! golden wire, made again by an independent program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "the corpus is named by the environment, and the golden wire is made by a script")]

use mimamori_shared::sign::{PayloadType, PublicKey, SecretKey, frame_hash, pae, sha256};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use zeroize::Zeroizing;

/// "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020), table 5: case, our verdict, why.
const SPECCHECK: &[(u32, bool, &str)] = &[
    (0, false, "A and R have small order, S = 0: one signature for every message"),
    (1, false, "A has small order"),
    (2, false, "R has small order"),
    (3, true, "A and R have a part of small order, and the equation holds without the cofactor"),
    (4, false, "the equation holds only when multiplied by the cofactor"),
    (5, false, "the equation holds only when multiplied by the cofactor, and only before the hash is reduced"),
    (6, false, "S is larger than the group's order: a second spelling of a signature"),
    (7, false, "S is far larger than the group's order"),
    (8, false, "R is not canonical and of small order, hashed as it is written"),
    (9, false, "R is not canonical and of small order, hashed as it is reduced"),
    (10, false, "A is not canonical and of small order, hashed as it is written"),
    (11, false, "A is not canonical and of small order, hashed as it is reduced"),
];

/// The folder with the vectors; `None` when no corpus lies beside the workspace. One that is named must be there.
fn corpus(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("MIMAMORI_CORPUS").map(PathBuf::from);
    if let Some(named) = &named {
        assert!(named.is_dir(), "MIMAMORI_CORPUS names {}, which is no folder", named.display());
    }
    let corpus = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/open"));
    let folder = corpus.join("crypto");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: crypto corpus absent ({test}: {})", folder.display());
    None
}

/// The JSON files of a folder, by name. A folder that yields none has been renamed, not passed.
fn files(folder: &Path) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!found.is_empty(), "{} holds no vectors", folder.display());
    found
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Our verdict. A key that cannot be used and a signature that has not 64 bytes accept nothing.
fn accepts(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = PublicKey::from_bytes(key) else { return false };
    <&[u8; 64]>::try_from(signature).is_ok_and(|signature| key.accepts(message, signature))
}

#[test]
fn rfc_8032_vectors_verify_and_nothing_near_them_does() {
    let Some(folder) = corpus("rfc8032") else { return };
    let mut checked = 0;
    for vector in files(&folder.join("rfc8032")).iter().flat_map(|(_, file)| file.as_array().unwrap()) {
        let name = &vector["name"];
        let (seed, key, message, signature) = (hex(&vector["secret"]), hex(&vector["public"]), hex(&vector["msg"]), hex(&vector["sig"]));
        let secret = SecretKey::from_seed(&Zeroizing::new(seed.try_into().unwrap()));
        assert_eq!(secret.public().to_bytes().as_slice(), key, "{name}");
        assert!(accepts(&key, &message, &signature), "{name}");
        for bit in 0..512 {
            let mut bad = signature.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!accepts(&key, &message, &bad), "{name}, bit {bit}");
        }
        assert!(!accepts(&key, &[&message[..], b"x"].concat(), &signature), "{name}, longer message");
        checked += 1;
    }
    assert!(checked > 0);
    println!("rfc8032: {checked} vectors checked, 512 changed bits each");
}

#[test]
fn wycheproof_vectors_get_their_result() {
    let Some(folder) = corpus("wycheproof") else { return };
    let (mut valid, mut invalid) = (0, 0);
    for (name, file) in files(&folder.join("wycheproof")) {
        let key = hex(&file["publicKey"]["pk"]);
        for test in file["tests"].as_array().unwrap() {
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("{name}: result {other} is not known to this test"),
            };
            let told = accepts(&key, &hex(&test["msg"]), &hex(&test["sig"]));
            assert_eq!(told, expected, "{name}, tcId {}: {}", test["tcId"], test["comment"]);
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid > 0 && invalid > 0, "{valid} valid, {invalid} invalid");
    println!("wycheproof: {valid} valid and {invalid} invalid signatures checked");
}

#[test]
fn speccheck_cases_get_the_strict_verdict() {
    let Some(folder) = corpus("speccheck") else { return };
    let mut seen = BTreeSet::new();
    for (name, case) in files(&folder.join("speccheck")) {
        let number: u32 = name.strip_prefix("case-").unwrap().parse().unwrap();
        let (_, verdict, why) = SPECCHECK.iter().find(|row| row.0 == number).unwrap_or_else(|| panic!("{name} has no verdict in the table"));
        let told = accepts(&hex(&case["pub_key"]), &hex(&case["message"]), &hex(&case["signature"]));
        assert_eq!(told, *verdict, "{name}: {why}");
        seen.insert(number);
    }
    println!("speccheck: {} cases checked: {seen:?}", seen.len());
}

#[test]
fn dsse_example_is_encoded_alike() {
    let Some(folder) = corpus("dsse") else { return };
    let files = files(&folder.join("dsse"));
    for (name, file) in &files {
        let made = pae(file["payloadType"].as_str().unwrap(), file["payload_utf8"].as_str().unwrap().as_bytes());
        assert_eq!(String::from_utf8(made).unwrap(), file["PAE"].as_str().unwrap(), "{name}");
    }
    // What chains refer to is the hash of that very encoding.
    assert_eq!(frame_hash(PayloadType::Loss, b"x"), sha256(b"DSSEv1 37 application/vnd.mimamori.loss.v1+json 1 x"));
    println!("dsse: {} examples checked", files.len());
}

#[test]
fn a_broken_vector_would_be_noticed() {
    let key = SecretKey::from_seed(&Zeroizing::new([5; 32]));
    let signature = key.sign(PayloadType::Report, b"{}");
    let message = pae(&PayloadType::Report.media_type(), b"{}");
    assert!(accepts(&key.public().to_bytes(), &message, &signature));
    assert!(!accepts(&key.public().to_bytes(), &message, &signature[..63]));
    assert!(!accepts(&key.public().to_bytes()[..31], &message, &signature));
    assert!(!accepts(&key.public().to_bytes(), b"{}", &signature));
}

/// The golden wire is never edited: it is what a program without any code of ours makes.
#[test]
fn golden_wire_is_what_the_independent_program_makes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verify/vectors.py");
    let done = Command::new("python3").arg("-B").arg(script).arg("--check").output();
    let done = done.unwrap_or_else(|fault| panic!("python3 is needed (`make setup` installs it): {fault}"));
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}{err}\npython3 with the module `cryptography` is needed: `make setup` installs it");
    let said: Value = serde_json::from_str(out.trim()).unwrap();
    assert!(said["ok"] == true && said["files"].as_u64() >= Some(10), "{said}");
    println!("golden wire: {} files made again and alike", said["files"]);
}
