//! The agent's configuration: one table of keys, from which files, environment, flags, documents and checks follow.

use crate::application;
use crate::probe::seldom_s;
use mimamori_cli::config::Source;
use mimamori_shared::config::{Fault, Key, Kind, Secret, Values, suggest};
use mimamori_shared::fields::{Field, SECTIONS, Scope, fields, named};
use mimamori_shared::limits::{INTERVAL_S_MAX, INTERVAL_S_MIN};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where the configuration is looked for.
pub const DEFAULT_FILE: &str = "/etc/mimamori/agent.toml";
/// Prefix of the environment's variables.
pub const ENV_PREFIX: &str = "MIMAMORI_AGENT_";

const INTERVAL: Kind = Kind::Duration { min_s: INTERVAL_S_MIN, max_s: INTERVAL_S_MAX };

const fn scope_interval(path: &'static str) -> Key {
    Key::optional(
        path,
        INTERVAL,
        "Time between two readings of this scope; the longest of this, `interval` and the consent's is kept. Without it 15min for hardware, log_counts and backup, 1h for patch, antivirus, inventory and accounts; a state that changes is told at once all the same.",
        "この範囲の測定間隔。これと`interval`と同意の間隔のうち最も長いものに従う。省略時はhardware・log_counts・backupが15分、patch・antivirus・inventory・accountsが1時間。状態の変化は間隔によらず直ちに送る。",
    )
}

/// Every key.
pub const KEYS: &[Key] = &[
    Key::with_default("state_dir", Kind::Path, "/var/lib/mimamori-agent", "Folder of key, outbox and ledger.", "鍵・送信待ち・台帳を置くフォルダー。"),
    Key::with_default("consent_file", Kind::Path, "/etc/mimamori/consent.toml", "The facility's consent.", "医療機関の同意書ファイル。"),
    Key::with_default("host_root", Kind::Path, "/", "Root of the tree the readings are taken from.", "計測対象のルートディレクトリ。"),
    Key::with_default(
        "interval",
        INTERVAL,
        "60s",
        "Time between two reports; the consent's is kept if it is longer.",
        "報告の間隔。同意の間隔の方が長ければそちらに従う。",
    ),
    scope_interval("intervals.heartbeat"),
    scope_interval("intervals.performance"),
    scope_interval("intervals.hardware"),
    scope_interval("intervals.os_state"),
    scope_interval("intervals.network"),
    scope_interval("intervals.application_probe"),
    scope_interval("intervals.patch"),
    scope_interval("intervals.antivirus"),
    scope_interval("intervals.backup"),
    scope_interval("intervals.inventory"),
    scope_interval("intervals.accounts"),
    scope_interval("intervals.log_counts"),
    Key::with_default(
        "collect.less_when_busy",
        Kind::Flag,
        "true",
        "Lengthens all intervals but heartbeat's, up to eight times, while the machine is busy.",
        "機器の負荷が高い間、heartbeat以外の間隔を最大8倍まで延ばす。",
    ),
    Key::optional(
        "collect.except",
        Kind::TextList,
        "Fields, sections or scopes that are held back whatever the consent allows.",
        "同意の範囲内でも収集しない項目・セクション・範囲。",
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
    Key::with_default(
        "outbox.size",
        Kind::Size { min: 1 << 20, max: 1 << 36 },
        "256MiB",
        "Bytes kept: reports sent and unsent, and the hashes of older ones.",
        "保持する容量（送信済みと古い報告のハッシュを含む）。",
    ),
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
    Key::optional(
        "application",
        Kind::Tables { keys: application::CHECK_KEYS, max: application::CHECKS_MAX },
        "Checks of what this machine depends on. Only the alias and what was found leave it.",
        "この機器が依存するものの確認。外に出るのは別名と結果だけ。",
    ),
    Key::optional("aliases.filesystems", Kind::AliasMap, "Names for mount points; others are hashed.", "マウント先の別名。別名がないものはハッシュ化する。"),
];

const SOURCE: Source = Source { keys: KEYS, folder: "conf.d", env_prefix: ENV_PREFIX };

/// The configuration, checked.
#[derive(Debug, Clone)]
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
        match SOURCE.load(file, vars, sets, disagreements) {
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

    /// Fields that are held back, by their ids.
    #[must_use]
    pub fn except(&self) -> BTreeSet<u16> {
        self.values.list("collect.except").iter().flat_map(|name| named(name)).collect()
    }

    /// The interval of a scope, in seconds: never shorter than that of reports.
    #[must_use]
    pub fn interval_s(&self, scope: Scope) -> u64 {
        let own = self.values.duration_s_opt(&format!("intervals.{}", scope.name())).or(seldom_s(scope)).unwrap_or(0);
        self.values.duration_s("interval").max(own)
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

/// What is wrong between values that are good each for itself.
fn disagreements(values: &Values) -> Vec<Fault> {
    let mut faults = unknown_fields(values);
    faults.extend(application::faults(values));
    faults
}

/// Names in `collect.except` that name nothing.
fn unknown_fields(values: &Values) -> Vec<Fault> {
    let names = SECTIONS.iter().copied().chain(Scope::ALL.into_iter().map(Scope::name)).map(str::to_owned);
    let known: Vec<String> = fields().map(Field::path).chain(names).collect();
    let mut faults = Vec::new();
    for name in values.list("collect.except").iter().filter(|name| named(name).is_empty() && Scope::from_name(name).is_none()) {
        let near = suggest(name, known.iter().map(String::as_str));
        let (hint, hint_ja) = near.map(|near| (format!(", did you mean `{near}`?"), format!("もしかして：`{near}`"))).unwrap_or_default();
        let origin = Some(values.origin("collect.except").clone());
        let what = format!("`collect.except` names `{name}`, which is no field, section or scope{hint}");
        let what_ja = format!("`collect.except`の`{name}`は、項目・区分・範囲のいずれの名前でもありません。{hint_ja}");
        faults.push(Fault { origin, key: "collect.except".to_owned(), what, what_ja });
    }
    faults
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

    #[test]
    fn the_configuration_holds_fields_back_and_slows_scopes_down() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        fs::write(
            &file,
            "interval = \"30s\"\nintervals.performance = \"5m\"\nintervals.network = \"10s\"\ncollect.except = [\"load\", \"cpu.steal_ms\", \"network\"]\n",
        )
        .unwrap();
        let config = Config::load(&file, std::iter::empty(), &[]).unwrap();
        assert_eq!([Scope::Heartbeat, Scope::Performance, Scope::Network].map(|scope| config.interval_s(scope)), [30, 300, 30]);
        let held_back: BTreeSet<u16> = ["load", "cpu.steal_ms", "network"].into_iter().flat_map(named).collect();
        assert!(config.except() == held_back && held_back.is_superset(&[8, 20, 21, 22, 120, 170].into()));
        let sets = ["collect.except=cpu.stael_ms,log_counts".to_owned()];
        let faults = Config::load(&file, std::iter::empty(), &sets).unwrap_err();
        assert!(faults.len() == 1 && faults[0].to_string().contains("did you mean `cpu.steal_ms`"), "{faults:?}");
    }
}
