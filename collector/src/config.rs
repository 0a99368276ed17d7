//! The collector's configuration: one table of keys.

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
    Key::with_default(
        "enrol.per_source",
        Kind::Count { min: 1, max: 1_000_000 },
        "5",
        "Enrolments that may fail within a minute from one address (an IPv6 /64 is one).",
        "1分間に同じアドレスから失敗できる登録の回数。",
    ),
    Key::with_default("enrol.all", Kind::Count { min: 1, max: 1_000_000 }, "60", "The same from all addresses together.", "同じく全アドレスの合計。"),
    Key::with_default("ingest.listen", Kind::Address, "0.0.0.0:8443", "Where agents report to (TLS).", "エージェントの報告先（TLS）。"),
    Key::optional(
        "ingest.public_url",
        Kind::Url,
        "How agents reach it; stands in tokens. By default the first host of `init` and the port.",
        "エージェントから見た宛先。トークンに記載される。",
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

    /// An address to listen on.
    #[must_use]
    pub fn address(&self, key: &str) -> SocketAddr {
        self.values.address(key)
    }
}

fn contradictions(values: &Values) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut add = |key: &str, what: &str| faults.push(Fault { origin: Some(values.origin(key).clone()), key: key.to_owned(), what: what.to_owned() });
    // Without a login, whoever reaches the pages reads everything.
    for key in ["pages.listen", "metrics.listen"] {
        if !values.address(key).ip().is_loopback() {
            add(key, "must be a loopback address such as 127.0.0.1:8080: there is no login yet; put a proxy with one before it");
        }
    }
    match (values.path_opt("tls.certificate_file"), values.path_opt("tls.key_file")) {
        (Some(_), None) => add("tls.certificate_file", "needs tls.key_file too"),
        (None, Some(_)) => add("tls.key_file", "needs tls.certificate_file too"),
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
