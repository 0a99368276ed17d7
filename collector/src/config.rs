//! The collector's configuration: one table of keys.

use crate::ingest::Rates;
use mimamori_cli::config::Source;
use mimamori_shared::config::{Fault, Key, Kind, Values};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the configuration is looked for.
pub const DEFAULT_FILE: &str = "/etc/mimamori/collector.toml";
/// Prefix of the environment's variables.
pub const ENV_PREFIX: &str = "MIMAMORI_COLLECTOR_";

/// Every key.
pub const KEYS: &[Key] = &[
    Key::with_default(
        "state_dir",
        Kind::Path,
        "/var/lib/mimamori-collector",
        "Folder of keys, certificates and database.",
        "鍵・証明書・データベースを置くフォルダー。",
    ),
    Key::optional(
        "revocation_file",
        Kind::Path,
        "What was revoked, kept outside the database and its backups; by default `revocation` in state_dir.",
        "失効記録のファイル。データベースとそのバックアップの外に置く。",
    ),
    Key::with_default("ingest.listen", Kind::Address, "0.0.0.0:8443", "Where agents report to (TLS).", "エージェントの報告先（TLS）。"),
    Key::optional(
        "ingest.public_url",
        Kind::Url,
        "How agents reach it; stands in tokens. By default the first host of `init` and the port.",
        "エージェントから見た宛先。トークンに記載される。",
    ),
    Key::with_default(
        "ingest.rate.requests",
        Kind::Count { min: 1, max: 1_000_000 },
        "60",
        "Requests per minute that are taken of one agent.",
        "1台のエージェントから受ける要求数（毎分）。",
    ),
    Key::with_default(
        "ingest.rate.entries",
        Kind::Count { min: 1, max: 60_000_000 },
        "3000",
        "Entries per minute that are taken of one agent; three minutes' worth at once.",
        "1台のエージェントから受ける記録数（毎分）。3分ぶんまでは一度に受ける。",
    ),
    Key::with_default(
        "ingest.rate.bytes",
        Kind::Size { min: 64 * 1024, max: 1 << 40 },
        "16MiB",
        "Bytes of payloads per minute that are taken of one agent; three minutes' worth at once.",
        "1台のエージェントから受けるバイト数（毎分）。3分ぶんまでは一度に受ける。",
    ),
    Key::with_default(
        "ingest.rate.day_bytes",
        Kind::Size { min: 1024 * 1024, max: 1 << 40 },
        "256MiB",
        "Bytes of payloads that one agent may store on a day (UTC).",
        "1台のエージェントが1日（協定世界時）に保存できるバイト数。",
    ),
    Key::with_default(
        "ingest.rate.enrol_refusals",
        Kind::Count { min: 1, max: 1_000_000 },
        "5",
        "Refused enrolments per minute after which the next are told to wait: of a source, counting only those without a valid token, and of a token at a source. For all sources together without a valid token twelve times as many. None of them keeps anybody out who has a valid token, also behind the same address.",
        "登録の拒否が毎分これだけになると、次からは待つように答える。有効なトークンのない要求は送信元ごとに（全体ではその12倍まで）、トークンのある要求は送信元とトークンごとに数える。同じアドレスの後ろでも、有効なトークンを持つ機器の登録は妨げない。",
    ),
    Key::with_default(
        "digest.utc_offset_h",
        Kind::OneOf(&[
            "-12", "-11", "-10", "-9", "-8", "-7", "-6", "-5", "-4", "-3", "-2", "-1", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12",
            "13", "14",
        ]),
        "9",
        "Hours that the digest's day is ahead of UTC; Japan is 9.",
        "日報の1日を区切る時差（協定世界時との差、時間）。日本は9。",
    ),
    Key::with_default(
        "pages.listen",
        Kind::Address,
        "127.0.0.1:8080",
        "Pages; this machine only, there is no login yet.",
        "画面。ログイン機能がないため自機のみ。",
    ),
    Key::with_default("metrics.listen", Kind::Address, "127.0.0.1:9464", "Metrics and health.", "メトリクスと死活確認。"),
    Key::optional(
        "tls.certificate_file",
        Kind::Path,
        "Certificate chain as PEM, leaf first, up to and with the authority; by default the collector's own.",
        "証明書チェーン（PEM、認証局まで含む）。",
    ),
    Key::optional("tls.key_file", Kind::Path, "Its private key as PEM.", "その秘密鍵（PEM）。"),
];

// The agent's fragments may lie in the same folder; ours have one of their own.
const SOURCE: Source = Source { keys: KEYS, folder: "collector.d", env_prefix: ENV_PREFIX };

/// Every file that the configuration may come from, whether it is there or not.
#[must_use]
pub fn files(file: &Path) -> Vec<PathBuf> {
    SOURCE.files(file)
}

/// The configuration, checked.
#[derive(Debug)]
pub struct Config {
    values: Values,
}

impl Config {
    /// Reads the file (which may be absent), `collector.d` beside it, the environment's variables and `--set` flags.
    ///
    /// # Errors
    /// All faults, each naming its place and the mend.
    pub fn load(file: &Path, vars: impl Iterator<Item = (String, String)>, sets: &[String]) -> Result<Config, Vec<Fault>> {
        Ok(Config { values: SOURCE.load(file, vars, sets, contradictions)? })
    }

    /// Every value with where it came from.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Folder of keys, certificates and database.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.values.path("state_dir").to_owned()
    }

    /// What is taken of one agent and source.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let values = &self.values;
        Rates {
            requests: values.count("ingest.rate.requests"),
            entries: values.count("ingest.rate.entries"),
            bytes: values.size_bytes("ingest.rate.bytes"),
            day_bytes: values.size_bytes("ingest.rate.day_bytes"),
            enrol_refusals: values.count("ingest.rate.enrol_refusals"),
        }
    }

    /// Hours that the operator's day is ahead of UTC.
    #[must_use]
    pub fn utc_offset_h(&self) -> i64 {
        self.values.text("digest.utc_offset_h").parse().unwrap_or(9)
    }

    /// An address to listen on.
    #[must_use]
    pub fn address(&self, key: &str) -> SocketAddr {
        self.values.address(key)
    }
}

fn contradictions(values: &Values) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut add = |key: &str, what: &str, what_ja: &str| {
        faults.push(Fault { origin: Some(values.origin(key).clone()), key: key.to_owned(), what: what.to_owned(), what_ja: what_ja.to_owned() });
    };
    // Without a login, whoever reaches the pages reads everything.
    for key in ["pages.listen", "metrics.listen"] {
        if !values.address(key).ip().is_loopback() {
            add(
                key,
                "must be a loopback address such as 127.0.0.1:8080: there is no login yet; put a proxy with one before it",
                "ループバックアドレス（例：127.0.0.1:8080）にしてください。まだログイン機能がないため、認証付きのプロキシを前に置いてください",
            );
        }
    }
    match (values.path_opt("tls.certificate_file"), values.path_opt("tls.key_file")) {
        (Some(_), None) => add("tls.certificate_file", "needs tls.key_file too", "tls.key_fileも必要です"),
        (None, Some(_)) => add("tls.key_file", "needs tls.certificate_file too", "tls.certificate_fileも必要です"),
        _ => {}
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(set: &str, expected: &str) {
        let faults = Config::load(Path::new("/nonexistent/collector.toml"), std::iter::empty(), &[set.to_owned()]).unwrap_err();
        assert!(faults.len() == 1 && faults[0].to_string().contains(expected), "{faults:?}");
    }

    #[test]
    fn the_table_is_sound_and_contradictions_are_named() {
        assert_eq!(mimamori_shared::config::table_faults(KEYS), Vec::<String>::new());
        assert!(Config::load(Path::new("/nonexistent/collector.toml"), std::iter::empty(), &[]).is_ok());
        check("pages.listen=0.0.0.0:8080", "loopback");
        check("metrics.listen=[::]:9464", "loopback");
        check("tls.key_file=/x", "certificate_file");
        check("ingest.lisen=1.2.3.4:5", "did you mean `ingest.listen`");
    }
}
