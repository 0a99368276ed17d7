//! `[application.ALIAS]` in the configuration: the keys, and a check out of each table.

use super::connect::Target;
use super::{Check, Engine, Http, Titles, What};
use mimamori_shared::config::{Fault, Key, Kind, Values};
use mimamori_shared::word::Word;
use reqwest::Url;
use rustls::pki_types::ServerName;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The most checks.
pub const CHECKS_MAX: usize = 32;
/// The key their tables stand below.
const TABLES: &str = "application";
/// Longest text that is looked for, in bytes.
const CONTAINS_BYTES_MAX: usize = 256;
/// This machine's title unless another is written.
const CALLING_AE: &str = "MIMAMORI";

const KINDS: &[&str] = &["tcp", "database", "http", "tls", "certificate_file", "dicom_echo", "hl7_mllp"];

/// What a table may hold.
pub const CHECK_KEYS: &[Key] = &[
    Key::required(
        "kind",
        Kind::OneOf(KINDS),
        "What is asked. hl7_mllp only connects: a message would be taken for a patient's.",
        "確認の種類。hl7_mllpは接続のみ（電文を送ると患者のものとして扱われるため）。",
    ),
    Key::required(
        "target",
        Kind::Text,
        "HOST:PORT; for http a URL, for certificate_file a path. Never leaves this machine.",
        "HOST:PORT。httpはURL、certificate_fileはパス。この機器の外には出ない。",
    ),
    Key::with_default("timeout", Kind::Duration { min_s: 1, max_s: 30 }, "5s", "Deadline of the answer.", "応答の期限。"),
    Key::optional(
        "engine",
        Kind::OneOf(&["postgres", "mysql", "mssql", "oracle"]),
        "Of database: which. None is logged in to. MySQL refuses a machine after max_connect_errors such visits in a row.",
        "databaseの製品。ログインはしない。MySQLはmax_connect_errors回続くとこの機器を拒否する。",
    ),
    Key::optional("method", Kind::OneOf(&["GET", "HEAD"]), "Of http: GET unless written.", "httpのメソッド。省略時はGET。"),
    Key::optional(
        "expect_status",
        Kind::TextList,
        "Of http: good statuses, such as [\"200\", \"300-399\"]; 200-299 unless written. A redirect is not followed.",
        "httpで正常とするステータス（例：[\"200\", \"300-399\"]）。省略時は200-299。リダイレクトには従わない。",
    ),
    Key::optional(
        "contains",
        Kind::Text,
        "Of http: what must stand in the first 64 KiB of the page. The page is not kept.",
        "httpで本文の先頭64KiBに含まれるべき文字列。本文は保存しない。",
    ),
    Key::optional(
        "ca_file",
        Kind::Path,
        "Of https: the server's certificate authority, as PEM; nobody else is trusted.",
        "httpsのサーバーの認証局（PEM）。これ以外は信頼しない。",
    ),
    Key::optional("called_ae", Kind::Text, "Of dicom_echo: the node's AE title.", "dicom_echoの宛先AEタイトル。"),
    Key::optional(
        "calling_ae",
        Kind::Text,
        "Of dicom_echo: this machine's AE title; MIMAMORI unless written.",
        "dicom_echoの自機のAEタイトル。省略時はMIMAMORI。",
    ),
];

/// Which kind has which further keys.
const FURTHER: &[(&str, &str)] = &[
    ("engine", "database"),
    ("method", "http"),
    ("expect_status", "http"),
    ("contains", "http"),
    ("ca_file", "http"),
    ("called_ae", "dicom_echo"),
    ("calling_ae", "dicom_echo"),
];

/// A key that cannot be used, and why, in English and Japanese.
type Wrong = (&'static str, &'static str, &'static str);

/// What is wrong with the tables, beyond what each key says for itself.
#[must_use]
pub fn faults(values: &Values) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (alias, table) in values.tables(TABLES) {
        let mut add = |key: &str, what: &str, what_ja: &str| {
            let key_path = format!("{TABLES}.{alias}.{key}");
            let (what, what_ja) = (format!("`{key_path}` {what}"), format!("`{key_path}` {what_ja}"));
            faults.push(Fault { origin: Some(table.origin(key).clone()), key: key_path, what, what_ja });
        };
        let strangers: Vec<&(&str, &str)> = FURTHER.iter().filter(|(key, kind)| table.is_set(key) && *kind != table.text("kind")).collect();
        for (key, kind) in &strangers {
            add(key, &format!("is only for kind = \"{kind}\": take it out"), &format!("は kind = \"{kind}\" でのみ使えます。削除してください"));
        }
        if let (true, Err((key, what, what_ja))) = (strangers.is_empty(), read(table)) {
            add(key, what, what_ja);
        }
    }
    faults
}

/// The checks of a configuration without faults.
pub(super) fn checks(values: &Values) -> Vec<Check> {
    let check = |(alias, table): (&String, &Values)| {
        Some(Check { alias: Word::alias(alias).ok()?, timeout: Duration::from_secs(table.duration_s("timeout")), what: read(table).ok()? })
    };
    values.tables(TABLES).iter().filter_map(check).collect()
}

fn read(table: &Values) -> Result<What, Wrong> {
    Ok(match table.text("kind") {
        "database" => What::Database(engine(table)?, target(table)?),
        "http" => What::Http(http(table)?),
        "tls" => What::Tls(named(target(table)?)?),
        "certificate_file" => What::CertificateFile(path("target", Path::new(table.text("target")))?),
        "dicom_echo" => {
            let missing = ("called_ae", "is required for kind = \"dicom_echo\"", "は kind = \"dicom_echo\" では必須です");
            let called = table.text_opt("called_ae").ok_or(missing)?;
            let calling = table.text_opt("calling_ae").unwrap_or(CALLING_AE);
            What::DicomEcho(target(table)?, Titles { called: title("called_ae", called)?, calling: title("calling_ae", calling)? })
        }
        "hl7_mllp" => What::Hl7Mllp(target(table)?),
        _ => What::Tcp(target(table)?),
    })
}

fn engine(table: &Values) -> Result<Engine, Wrong> {
    match table.text_opt("engine") {
        Some("postgres") => Ok(Engine::Postgres),
        Some("mysql") => Ok(Engine::Mysql),
        Some(_) => Ok(Engine::Silent),
        None => Err(("engine", "is required for kind = \"database\"", "は kind = \"database\" では必須です")),
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn target(table: &Values) -> Result<Target, Wrong> {
    let text = table.text("target");
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok().filter(|port: &u16| *port > 0)?)));
    let (host, port) = split.ok_or(NO_TARGET)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let good = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&host.len()) && host.bytes().all(plain),
    };
    if good { Ok(Target { host: bare.unwrap_or(host).to_owned(), port }) } else { Err(NO_TARGET) }
}

const NO_TARGET: Wrong = (
    "target",
    "must be HOST:PORT, such as \"pacs.example:104\" or \"[fd00::5]:104\"",
    "は HOST:PORT の形で書いてください（例：\"pacs.example:104\"、\"[fd00::5]:104\"）",
);

/// A host that TLS can name.
fn named(target: Target) -> Result<Target, Wrong> {
    let wrong = ("target", "has a host that no certificate can name", "のホスト名は証明書で扱えない形です");
    if ServerName::try_from(target.host.as_str()).is_ok() { Ok(target) } else { Err(wrong) }
}

fn http(table: &Values) -> Result<Http, Wrong> {
    let wrong = (
        "target",
        "must be a URL such as \"https://ris.example/health\": http or https, no user, password or fragment",
        "は \"https://ris.example/health\" のようなURLで書いてください（httpまたはhttps。利用者名・パスワード・#以降は書けません）",
    );
    let url = Url::parse(table.text("target")).map_err(|_| wrong)?;
    let (host, port) = url.host_str().zip(url.port_or_known_default().filter(|port| *port > 0)).ok_or(wrong)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let ca_file = table.path_opt("ca_file").map(|file| path("ca_file", file)).transpose()?;
    match (url.scheme(), &ca_file) {
        ("http", None) | ("https", Some(_)) if plain => {}
        ("http", Some(_)) => return Err(("ca_file", "is only for https:// targets: take it out", "は https:// の場合のみ使えます。削除してください")),
        ("https", None) => {
            return Err((
                "ca_file",
                "is required for https://: name the server's certificate authority (Debian's own are in /etc/ssl/certs/ca-certificates.crt)",
                "は https:// では必須です。サーバーの認証局を指定してください（Debian標準は /etc/ssl/certs/ca-certificates.crt）",
            ));
        }
        _ => return Err(wrong),
    }
    let contains = table.text_opt("contains").map(str::to_owned);
    if contains.as_ref().is_some_and(|text| !(1..=CONTAINS_BYTES_MAX).contains(&text.len())) {
        return Err(("contains", "must be 1 to 256 bytes", "は1～256バイトで書いてください"));
    }
    let head = table.text_opt("method") == Some("HEAD");
    if head && contains.is_some() {
        return Err(("contains", "cannot be looked for with method = \"HEAD\", which brings no page", "は method = \"HEAD\" では使えません（本文がないため）"));
    }
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let target = named(Target { host: host.trim_matches(['[', ']']).to_owned(), port })?;
    Ok(Http { target, ca_file, authority, path, head, expected: statuses(table.list("expect_status"))?, contains })
}

/// `200` or `200-299`.
fn statuses(written: &[String]) -> Result<Vec<(u16, u16)>, Wrong> {
    if written.is_empty() {
        return Ok(vec![(200, 299)]);
    }
    let status = |text: &str| text.parse().ok().filter(|status| text.len() == 3 && (100..=599).contains(status));
    let range = |text: &String| {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        status(from).zip(status(to)).filter(|(from, to)| from <= to)
    };
    let wrong =
        ("expect_status", "must hold statuses from 100 to 599, such as \"200\" or \"300-399\"", "には100～599を \"200\" や \"300-399\" の形で書いてください");
    written.iter().map(range).collect::<Option<_>>().ok_or(wrong)
}

/// A file by its whole path.
fn path(key: &'static str, path: &Path) -> Result<PathBuf, Wrong> {
    let whole = path.is_absolute() && path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if whole {
        Ok(path.to_owned())
    } else {
        Err((key, "must be a whole path, from / on and without ..", "は / で始まり .. を含まないパスで書いてください"))
    }
}

/// An AE title (PS3.5, 6.2): spaces around it mean nothing and are refused.
fn title(key: &'static str, text: &str) -> Result<String, Wrong> {
    let good = (1..=16).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'\\') && text.trim() == text;
    if good {
        Ok(text.to_owned())
    } else {
        Err((key, "must be 1 to 16 ASCII characters without \\ or outer spaces", "は1～16文字のASCII（\\と前後の空白を除く）で書いてください"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn load(text: &str) -> Result<Config, Vec<Fault>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(&file, std::iter::empty(), &[])
    }

    /// What one table comes to: the check, or the one fault without its place.
    fn outcome(table: &str) -> Result<String, String> {
        match load(&format!("[application.x]\n{table}")) {
            Ok(config) => Ok(super::super::configured(&config).iter().map(|check| format!("{:?}", check.what)).collect()),
            Err(faults) => {
                assert!(faults.len() == 1 && faults[0].what_ja.chars().any(|c| ('ぁ'..='龠').contains(&c)), "{faults:?}");
                Err(faults[0].to_string().split_once("agent.toml:").map_or_else(|| faults[0].to_string(), |(_, rest)| rest.to_owned()))
            }
        }
    }

    #[track_caller]
    fn good(table: &str, expected: &str) {
        assert_eq!(outcome(table).as_deref(), Ok(expected));
    }

    #[track_caller]
    fn bad(table: &str, expected: &str) {
        let said = outcome(table).unwrap_err();
        assert!(said.contains(expected), "{table}\n{said}\n{expected}");
    }

    #[test]
    fn checks_are_read() {
        good("kind = 'tcp'\ntarget = 'a_b.example:104'", r#"Tcp(Target { host: "a_b.example", port: 104 })"#);
        good("kind = 'hl7_mllp'\ntarget = '[fd00::5]:2575'", r#"Hl7Mllp(Target { host: "fd00::5", port: 2575 })"#);
        good("kind = 'database'\nengine = 'oracle'\ntarget = '10.0.0.1:1521'", r#"Database(Silent, Target { host: "10.0.0.1", port: 1521 })"#);
        good("kind = 'tls'\ntarget = 'ris:443'", r#"Tls(Target { host: "ris", port: 443 })"#);
        good("kind = 'certificate_file'\ntarget = '/etc/ris/a b.pem'", r#"CertificateFile("/etc/ris/a b.pem")"#);
        good(
            "kind = 'dicom_echo'\ntarget = 'p:104'\ncalled_ae = 'PA CS'",
            r#"DicomEcho(Target { host: "p", port: 104 }, Titles { called: "PA CS", calling: "MIMAMORI" })"#,
        );
        let read = |text: &str| super::super::configured(&load(&format!("[application.x]\nkind = 'http'\ntarget = {text}\n")).unwrap()).remove(0).what;
        let What::Http(page) = read("'https://ris:8443/a b?c=d'\nca_file = '/ca.pem'\nmethod = 'HEAD'\nexpect_status = ['200', '300-399']") else { panic!() };
        assert_eq!((page.target.host.as_str(), page.target.port, page.authority.as_str(), page.path.as_str()), ("ris", 8443, "ris:8443", "/a%20b?c=d"));
        assert_eq!((page.ca_file, page.head, page.expected, page.contains), (Some("/ca.pem".into()), true, vec![(200, 200), (300, 399)], None));
        let What::Http(page) = read("'http://[::1]'\ncontains = 'ok'") else { panic!() };
        assert_eq!((page.target.host.as_str(), page.target.port, page.authority.as_str(), page.path.as_str()), ("::1", 80, "[::1]", "/"));
        assert_eq!((page.ca_file, page.head, page.expected, page.contains.as_deref()), (None, false, vec![(200, 299)], Some("ok")));
        let both = load("[application.b]\nkind='tcp'\ntarget='b:1'\n[application.a]\nkind='tcp'\ntarget='a:1'\ntimeout='30s'\n").unwrap();
        let read = super::super::configured(&both);
        assert_eq!((read[0].alias.as_str(), read[0].timeout.as_secs(), read[1].timeout.as_secs()), ("a", 30, 5));
    }

    #[test]
    fn faults_name_table_key_and_mend() {
        bad("kind = 'tcp'", "`application.x.target` is required");
        bad("kind = 'pign'\ntarget = 'a:1'", "2: `application.x.kind` is `pign`, must be one of tcp, database,");
        bad("kind = 'tcp'\ntarget = 'a:1'\ntimeout = '31s'", "4: `application.x.timeout` is `31s`, must be a duration from 1s to 30s");
        bad("kind = 'tcp'\ntarget = 'a:1'\ncontians = 'x'", "4: unknown key `application.x.contians`, did you mean `application.x.contains`?");
        bad("kind = 'tcp'\ntarget = 'a:1'\ncalled_ae = 'X'", "4: `application.x.called_ae` is only for kind = \"dicom_echo\": take it out");
        bad("kind = 'database'\ntarget = 'a:1'", "`application.x.engine` is required for kind = \"database\"");
        bad("kind = 'dicom_echo'\ntarget = 'a:1'", "`application.x.called_ae` is required");
        for target in ["a", "a:", "a:0", "a:65536", ":1", "a b:1", "[::1]", "::1:1", "[a]:1", "http://a:1", "a@b:1", "a/b:1"] {
            bad(&format!("kind = 'tcp'\ntarget = '{target}'"), "3: `application.x.target` must be HOST:PORT");
        }
        bad("kind = 'tls'\ntarget = '-.:1'", "no certificate can name");
        for title in ["", " X", "X ", "12345678901234567", "A\\\\B", "é"] {
            bad(&format!("kind = 'dicom_echo'\ntarget = 'a:1'\ncalled_ae = \"{title}\""), "4: `application.x.called_ae` must be 1 to 16 ASCII");
        }
        for path in ["ca.pem", "/a/../b", ""] {
            bad(&format!("kind = 'certificate_file'\ntarget = '{path}'"), "`application.x.target`");
        }
        for url in ["ris", "ftp://a", "http://me:pw@a", "http://me@a", "http://a/#x", "http://", "https://a:0"] {
            bad(&format!("kind = 'http'\ntarget = '{url}'"), "3: `application.x.target` must be a URL");
        }
        let page = "kind = 'http'\ntarget = 'http://a'\n";
        bad("kind = 'http'\ntarget = 'https://a'", "`application.x.ca_file` is required for https://");
        bad(&format!("{page}ca_file = '/a'"), "4: `application.x.ca_file` is only for https://");
        bad(&format!("{page}contains = ''"), "`application.x.contains` must be 1 to 256 bytes");
        bad(&format!("{page}contains = 'a'\nmethod = 'HEAD'"), "4: `application.x.contains` cannot be looked for");
        for status in ["99", "600", "2xx", "299-200", "200-", "+200"] {
            bad(&format!("{page}expect_status = ['{status}']"), "4: `application.x.expect_status` must hold statuses");
        }
    }
}
