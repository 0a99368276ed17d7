//! `enroll`: the one time this machine gets an identity. Never happens by itself.

use super::{complain, print};
use crate::cli::{Lang, exit};
use crate::clock;
use crate::config::Config;
use crate::identity::{self, Enrolment, IdentityError};
use crate::run::RunError;
use crate::setup::{self, Environment};
use crate::uplink::{self, judge_enrolled};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_cli::print::{quoted, whole};
use mimamori_shared::frame::Frame;
use mimamori_shared::id::to_hex;
use mimamori_shared::payload::{Enrol, EnrolState, Enrolled, encode};
use mimamori_shared::sign::{PayloadType, PublicKey, SecretKey};
use mimamori_shared::token::Token;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use zeroize::Zeroizing;

pub(super) fn enroll(config: &Config, token_file: &Path, lang: Lang, environment: &Environment) -> u8 {
    if rustix::process::geteuid().is_root() {
        complain(&RunError::Root.in_lang(lang));
        return exit::CONFIG;
    }
    match try_enroll(config, token_file, lang, environment) {
        Ok((enrolled, key, root)) => {
            report(&enrolled, &key, &root, lang);
            exit::OK
        }
        Err((code, fault)) => {
            complain(&fault);
            code
        }
    }
}

type Fault = (u8, String);

fn try_enroll(config: &Config, token_file: &Path, lang: Lang, environment: &Environment) -> Result<(Enrolled, SecretKey, PublicKey), Fault> {
    let dir = config.state_dir();
    match identity::load(&dir) {
        Err(IdentityError::NotEnrolled) => {}
        Ok((_, old)) => return Err((exit::USAGE, enrolled_already(&old, &dir, lang))),
        Err(fault) => return Err((exit::CONFIG, unusable(&fault, &dir, lang))),
    }
    let token = read_token(token_file, lang).map_err(|fault| (exit::USAGE, fault))?;
    let usage = |fault: String| (exit::CONFIG, fault);
    make_folder(&dir).map_err(|fault| usage(format!("state_dir {}: {fault}{}", dir.display(), folder_mend(&dir, &fault, lang))))?;
    let root = PublicKey::from_bytes(&token.root_key).map_err(|fault| (exit::USAGE, format!("the token's root key cannot be used: {fault}")))?;
    let uplink = setup::uplink_of(config, &token.url, token.ca_pin, environment).map_err(usage)?;
    // The key is durable before it is sent: if the answer is lost, the same key asks again and gets the same identity.
    let key = match identity::load_key(&dir).map_err(|fault| usage(unusable(&fault, &dir, lang)))? {
        Some(key) => key,
        None => {
            let seed = Zeroizing::new(clock::random().map_err(|fault| (exit::FAILED, fault.to_string()))?);
            let key = SecretKey::from_seed(&seed);
            identity::save_key(&dir, &key).map_err(|fault| usage(unusable(&fault, &dir, lang)))?;
            key
        }
    };
    let host = setup::host_of(config);
    let now = clock::now();
    let enrol = Enrol {
        collector_id: token.collector_id,
        token_id: token.id,
        key_id: key.public().id(),
        public_key: STANDARD.encode(key.public().to_bytes()),
        boot_id: setup::boot_id(&host).map_err(|fault| usage(fault.in_lang(lang)))?,
        taken_at_ms: now.wall_ms,
        agent_version: env!("CARGO_PKG_VERSION").parse().unwrap_or_default(),
    };
    let payload = encode(PayloadType::Enrol, &[&enrol]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|fault| (exit::FAILED, fault.to_string()))?;
    let posted = runtime.block_on(uplink.post(uplink::ENROL_PATH, uplink::ENROL_TYPE, None, body(&payload, &key, &token), now.wall_ms));
    let answer = posted.map_err(|fault| (exit::FAILED, fault.in_lang(lang)))?;
    if answer.status == 403 {
        let refused = lang.of(
            "the collector refuses this token: it was used, revoked, or has run out; ask the RSC for a new one",
            "コレクターがこのトークンを拒否しました（使用済み・取り消し・期限切れのいずれか）。リモートサービスセンターに新しいトークンを依頼してください",
        );
        return Err((exit::FAILED, refused.to_owned()));
    }
    let (enrolled, _) = judge_enrolled(&answer, &token, &key.public()).map_err(|fault| (exit::FAILED, fault.in_lang(lang)))?;
    let enrolment = Enrolment {
        collector_id: enrolled.collector_id,
        agent_id: enrolled.agent_id,
        url: token.url.clone(),
        root_key: to_hex(&token.root_key),
        ca_pin: token.ca_pin,
        recipient: token.recipient.clone(),
        facility: enrolled.facility.to_string(),
        machine: enrolled.machine.to_string(),
        enrolled_at_ms: enrolled.enrolled_at_ms,
    };
    identity::save(&dir, &enrolment).map_err(|fault| usage(fault.in_lang(lang)))?;
    Ok((enrolled, key, root))
}

/// The state folder, made where it is not there yet: its name is durable before anything in it is relied upon.
fn make_folder(dir: &Path) -> io::Result<()> {
    let is_new = !dir.try_exists()?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    match dir.parent().filter(|parent| is_new && !parent.as_os_str().is_empty()) {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// The folder that stands above is root's, so the agent's account cannot make its own.
fn folder_mend(dir: &Path, fault: &io::Error, lang: Lang) -> String {
    if fault.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let make = format!("`sudo install -d -m 0700 -o mimamori-agent -g mimamori-agent {}`", quoted(dir));
    lang.of(
        format!("; this account may not make or use it: let the administrator run {make}, then enrol again"),
        format!("。このアカウントでは作成・使用できません。管理者が{make}を実行してから、登録をやり直してください"),
    )
}

/// The same of a file in it.
fn unusable(fault: &IdentityError, dir: &Path, lang: Lang) -> String {
    let mend = if let IdentityError::Io { source, .. } = fault { folder_mend(dir, source, lang) } else { String::new() };
    format!("{}{mend}", fault.in_lang(lang))
}

/// Three lines: the payload, signed by the new key, signed by the token.
fn body(payload: &[u8], key: &SecretKey, token: &Token) -> Vec<u8> {
    let frame = Frame { payload: payload.to_vec(), key_id: key.public().id(), signature: key.sign(PayloadType::Enrol, payload) };
    let mut body = frame.to_lines();
    let signature = token.key().sign(PayloadType::Enrol, payload);
    body.extend_from_slice(format!("{} {}\n", token.id, STANDARD.encode(signature)).as_bytes());
    body
}

fn enrolled_already(old: &Enrolment, dir: &Path, lang: Lang) -> String {
    let (machine, facility, dir) = (&old.machine, &old.facility, dir.display());
    lang.of(
        format!("this machine is enrolled already as {machine} at facility {facility}: to begin anew, have the RSC retire it and move {dir} away"),
        format!(
            "この機器は医療機関{facility}の{machine}として登録済みです。登録し直すには、リモートサービスセンターに運用終了を依頼し、{dir} を退避してください"
        ),
    )
}

fn read_token(path: &Path, lang: Lang) -> Result<Token, String> {
    let unreadable = |shown: &str, fault: std::io::Error| format!("{shown} {}: {fault}", lang.of("cannot be read", "を読み取れません"));
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        std::io::stdin().take(4096).read_to_string(&mut text).map_err(|fault| unreadable(lang.of("standard input", "標準入力"), fault))?;
    } else {
        let shown = whole(path).display().to_string();
        let meta = fs::metadata(path).map_err(|fault| unreadable(&shown, fault))?;
        let mode = meta.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(lang.of(
                format!(
                    "{shown} can be read by others (mode {mode:o}), and whoever has a token can enrol: run `chmod 600 {shown}`; if others may have read it, ask for a new one"
                ),
                format!(
                    "{shown} が他者に読める状態です（モード{mode:o}）。トークンを持つ者は登録できてしまいます。`chmod 600 {shown}`を実行し、読まれた恐れがあれば新しいトークンを依頼してください"
                ),
            ));
        }
        let file = fs::File::open(path).map_err(|fault| unreadable(&shown, fault))?;
        file.take(4096).read_to_string(&mut text).map_err(|fault| unreadable(&shown, fault))?;
    }
    Token::parse(&text).map_err(|fault| match lang {
        Lang::En => fault.to_string(),
        Lang::Ja => format!("トークンではありません（{fault}）。リモートサービスセンターから受け取った1行全体を渡してください"),
    })
}

fn report(enrolled: &Enrolled, key: &SecretKey, root: &PublicKey, lang: Lang) {
    let state = match enrolled.state {
        EnrolState::Active => lang.of("active: reports are taken", "有効：報告を受け付けます"),
        EnrolState::Pending => lang.of(
            "pending: the RSC compares the fingerprint by telephone, then runs `mimamori-collector machine approve`",
            "承認待ち：リモートサービスセンターが指紋を照合し、`mimamori-collector machine approve` を実行します",
        ),
    };
    let rows = [
        (lang.of("Facility", "医療機関"), enrolled.facility.to_string()),
        (lang.of("Machine", "保守対象機器"), enrolled.machine.to_string()),
        (lang.of("Agent", "エージェント"), enrolled.agent_id.to_string()),
        (lang.of("Fingerprint of this machine's key", "この機器の鍵の指紋"), identity::fingerprint(key)),
        (lang.of("Fingerprint of the collector's root", "コレクターのルート鍵の指紋"), root.id().fingerprint()),
        (lang.of("State", "状態"), state.to_owned()),
    ];
    for (name, value) in rows {
        print(&format!("{name}: {value}\n"));
    }
    print(lang.of("Write both fingerprints down: they prove later what this machine said.\n", "両方の指紋を控えてください。後日の検証の拠り所になります。\n"));
}
