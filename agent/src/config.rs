//! The agent's configuration: one table of keys, from which files, environment, flags, documents and checks follow.

use mimamori_cli::config::Source;
use mimamori_shared::config::{Fault, Key, Kind, Secret, Values};
use mimamori_shared::limits::{INTERVAL_S_MAX, INTERVAL_S_MIN};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where the configuration is looked for.
pub const DEFAULT_FILE: &str = "/etc/mimamori/agent.toml";
/// Prefix of the environment's variables.
pub const ENV_PREFIX: &str = "MIMAMORI_AGENT_";

/// Every key.
pub const KEYS: &[Key] = &[
    Key::with_default("state_dir", Kind::Path, "/var/lib/mimamori-agent", "Folder of key, outbox and ledger.", "鍵・送信待ち・台帳を置くフォルダー。"),
    Key::with_default("consent_file", Kind::Path, "/etc/mimamori/consent.toml", "The facility's consent.", "医療機関の同意書ファイル。"),
    Key::with_default("host_root", Kind::Path, "/", "Root of the tree the readings are taken from.", "計測対象のルートディレクトリ。"),
    Key::with_default(
        "interval",
        Kind::Duration { min_s: INTERVAL_S_MIN, max_s: INTERVAL_S_MAX },
        "60s",
        "Time between two reports; the consent's is kept if it is longer.",
        "報告の間隔。同意の間隔の方が長ければそちらに従う。",
    ),
    Key::optional("collector.url", Kind::Url, "Overrides the address the token gave.", "トークンの宛先の代わりに使う宛先。"),
    Key::with_default(
        "collector.plain_http_loopback",
        Kind::Flag,
        "false",
        "For tests: allows http:// to this machine itself.",
        "試験用：自機へのhttp://接続を許可する。",
    ),
    Key::optional("proxy.url", Kind::Url, "The facility's HTTP proxy.", "施設のHTTPプロキシ。"),
    Key::optional("proxy.user", Kind::Text, "User for the proxy (Basic).", "プロキシの利用者名（Basic認証）。"),
    Key::optional("proxy.password_file", Kind::Path, "File that holds the proxy's password.", "プロキシのパスワードを書いたファイル。"),
    Key::with_default("proxy.from_environment", Kind::Flag, "true", "Uses https_proxy and no_proxy.", "https_proxyとno_proxyを使う。"),
    Key::optional("tls.extra_ca_file", Kind::Path, "Certificate authority of a proxy that inspects TLS, as PEM.", "TLSを検査するプロキシのCA証明書（PEM）。"),
    Key::with_default("outbox.size", Kind::Size { min: 1 << 20, max: 1 << 36 }, "256MiB", "Bytes kept, sent and unsent.", "保持する容量（送信済みを含む）。"),
    Key::with_default(
        "outbox.age",
        Kind::Duration { min_s: 3600, max_s: 10 * 365 * 86_400 },
        "30d",
        "Age kept, sent and unsent.",
        "保持する期間（送信済みを含む）。",
    ),
    Key::with_default(
        "outbox.free_floor",
        Kind::Size { min: 0, max: 1 << 40 },
        "200MiB",
        "Free space below which nothing more is written.",
        "これより空きが少ないときは書き込まない。",
    ),
    Key::with_default(
        "key.rotate_after",
        Kind::Duration { min_s: 0, max_s: 10 * 365 * 86_400 },
        "90d",
        "Age at which this machine's key is changed by itself; 0s never. An old key goes on being good.",
        "鍵を自動で更新するまでの期間。0sで自動更新なし。古い鍵も失効はしない。",
    ),
    Key::optional("aliases.filesystems", Kind::AliasMap, "Names for mount points; others are hashed.", "マウント先の別名。別名がないものはハッシュ化する。"),
];

const SOURCE: Source = Source { keys: KEYS, folder: "conf.d", env_prefix: ENV_PREFIX };

/// The configuration, checked.
#[derive(Debug)]
pub struct Config {
    values: Values,
}

impl Config {
    /// Reads the file (which may be absent), `conf.d` beside it, the environment's variables and `--set` flags.
    ///
    /// # Errors
    /// All faults, each naming its place and the mend.
    pub fn load(file: &Path, vars: impl Iterator<Item = (String, String)>, sets: &[String]) -> Result<Config, Vec<Fault>> {
        let vars = vars.filter(|(name, _)| name != "MIMAMORI_AGENT_CONFIG");
        let fault = |path: &PathBuf| {
            let (what, what_ja) = written_by_others(path)?;
            Some(Fault { origin: None, key: path.display().to_string(), what, what_ja })
        };
        let mut exposed: Vec<Fault> = files(file).iter().filter_map(fault).collect();
        match SOURCE.load(file, vars, sets, |_| Vec::new()) {
            Ok(values) if exposed.is_empty() => Ok(Config { values }),
            Ok(_) => Err(exposed),
            Err(more) => {
                exposed.extend(more);
                Err(exposed)
            }
        }
    }

    /// Every value with where it came from.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Folder of key, outbox and ledger.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.values.path("state_dir").to_owned()
    }

    /// The consent file.
    #[must_use]
    pub fn consent_file(&self) -> PathBuf {
        self.values.path("consent_file").to_owned()
    }

    /// The proxy's password.
    ///
    /// # Errors
    /// When the file cannot be read or others can read it.
    pub fn proxy_password(&self) -> Result<Option<Secret>, String> {
        let Some(path) = self.values.path_opt("proxy.password_file") else { return Ok(None) };
        let shown = path.display();
        let meta = fs::metadata(path).map_err(|fault| format!("proxy.password_file {shown}: {fault}"))?;
        if meta.mode() & 0o077 != 0 {
            return Err(format!("proxy.password_file {shown} can be read by others (mode {:o}): run `chmod 600 {shown}`", meta.mode() & 0o777));
        }
        let text = fs::read_to_string(path).map_err(|fault| format!("proxy.password_file {shown}: {fault}"))?;
        Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())))
    }

    /// Names for mount points or interfaces.
    #[must_use]
    pub fn aliases(&self, key: &str) -> &BTreeMap<String, String> {
        self.values.alias_map(key)
    }
}

/// Every file that the configuration may come from, whether it is there or not.
#[must_use]
pub fn files(file: &Path) -> Vec<PathBuf> {
    SOURCE.files(file)
}

/// Whoever can write the configuration decides where the reports go: that is nobody but root and the agent's own account.
fn written_by_others(path: &Path) -> Option<(String, String)> {
    let meta = fs::metadata(path).ok()?;
    let (mode, owner) = (meta.mode() & 0o777, meta.uid());
    if mode & 0o022 == 0 && (owner == 0 || owner == rustix::process::geteuid().as_raw()) {
        return None;
    }
    let shown = path.display();
    let mend = format!("`chmod go-w {shown}`");
    Some((
        format!("others can write it (mode {mode:o}, owner {owner}): run {mend}, and `chown root {shown}` if it is not root's"),
        format!("他の利用者が書き込めます（モード {mode:o}、所有者 {owner}）。{mend} を実行し、rootの所有でなければ `chown root {shown}` も実行してください。"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert_eq!(mimamori_shared::config::table_faults(KEYS), Vec::<String>::new());
    }
}
