//! A folder with one collector in it, in this process or as the real program.

use crate::process::{AgentHome, Guard, command};
use crate::{get, wait_until};
use mimamori_collector::config::Config;
use mimamori_collector::serve::{self, Running};
use mimamori_shared::token::Token;
use std::fs::{self, OpenOptions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// The facility every world has.
pub const FACILITY: &str = "hcf-1";
/// How long a collector may take to become ready.
pub const READY: Duration = Duration::from_secs(10);

static WORLDS: AtomicU8 = AtomicU8::new(1);

/// One collector and what belongs to it. On drop everything it started is killed; the folder is removed unless the
/// test failed, and then its place is printed.
#[derive(Debug)]
pub struct World {
    /// The folder: `collector/` is the state, `collector.log` what the program wrote, `agents/NAME/` the real agents.
    pub dir: PathBuf,
    /// Where agents report to.
    pub ingest: SocketAddr,
    /// Pages.
    pub pages: SocketAddr,
    /// Metrics and health.
    pub metrics: SocketAddr,
    /// `--set` pairs of a story, over those of every world.
    pub more: Vec<String>,
    /// Further arguments of `serve`.
    pub serve_args: Vec<&'static str>,
    collector: Option<Guard>,
}

impl World {
    /// An initialised collector with one facility, [`FACILITY`]; not started.
    ///
    /// Each world has a loopback address of its own. Outgoing connections take 127.0.0.1 for their own end, so none of
    /// them can sit on a port that the collector wants back after a restart.
    ///
    /// # Panics
    /// When anything fails.
    #[must_use]
    pub fn new(name: &str) -> World {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let ip = IpAddr::V4(Ipv4Addr::new(127, 1 + high % 250, low, WORLDS.fetch_add(1, Ordering::Relaxed)));
        let free = [(); 3].map(|()| TcpListener::bind((ip, 0)).unwrap());
        let [ingest, pages, metrics] = free.each_ref().map(|listener| listener.local_addr().unwrap());
        drop(free);
        let dir = tempfile::Builder::new().prefix(&format!("mimamori-{name}-")).tempdir().unwrap().keep();
        // The agents run under another account and must get through.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let world = World { dir, ingest, pages, metrics, more: Vec::new(), serve_args: Vec::new(), collector: None };
        world.cli(&["init", "--host", &ip.to_string()]);
        world.cli(&["facility", "add", FACILITY, "--name", "Example hospital", "--example"]);
        world
    }

    /// The `--set` pairs of the collector.
    #[must_use]
    pub fn sets(&self) -> Vec<String> {
        let mut sets = vec![
            format!("state_dir={}", self.state_dir().display()),
            format!("ingest.listen={}", self.ingest),
            format!("ingest.public_url={}", self.url()),
            format!("pages.listen={}", self.pages),
            format!("metrics.listen={}", self.metrics),
            // A simulated agent does in a minute what a real one does in days; stories about rates set their own.
            "ingest.rate.requests=1000000".to_owned(),
            "ingest.rate.entries=60000000".to_owned(),
            "ingest.rate.bytes=1GiB".to_owned(),
            "ingest.rate.day_bytes=1TiB".to_owned(),
            "ingest.rate.enrol_refusals=1000000".to_owned(),
        ];
        let key = |set: &str| set.split('=').next().unwrap_or_default().to_owned();
        sets.retain(|set| !self.more.iter().any(|more| key(more) == key(set)));
        sets.extend(self.more.iter().cloned());
        sets
    }

    /// The collector's state folder.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("collector")
    }

    /// Where agents report to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.ingest)
    }

    /// The collector's configuration.
    ///
    /// # Panics
    /// When it cannot be used.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::load(Path::new("/nonexistent/collector.toml"), std::iter::empty(), &self.sets()).unwrap()
    }

    /// Starts the collector in this process.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_within(&self) -> Running {
        serve::start(&self.config()).await.unwrap()
    }

    /// Starts the real program and waits until it is ready. Gives the time from start to ready.
    ///
    /// # Panics
    /// When it is not ready within [`READY`], or ends.
    #[track_caller]
    pub fn start(&mut self) -> Duration {
        assert!(self.collector.is_none(), "the collector runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.dir.join("collector.log")).unwrap();
        let start = Instant::now();
        let mut program = command("mimamori-collector");
        self.arguments(&mut program).arg("serve").args(&self.serve_args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut guard = Guard(program.spawn().unwrap());
        wait_until("the collector is ready", READY, || {
            assert!(guard.0.try_wait().unwrap().is_none(), "the collector ended: {}", self.log());
            get(self.metrics, "/readyz").is_some_and(|(status, _)| status == 200)
        });
        self.collector = Some(guard);
        start.elapsed()
    }

    /// Kills the program, as a power cut would.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        // The guard sends SIGKILL and waits.
        drop(self.collector.take().expect("a running collector"));
    }

    /// The process id of the program.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.collector.as_ref().map(|guard| guard.0.id())
    }

    /// What the program wrote on standard error.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("collector.log")).unwrap_or_default()
    }

    /// Runs a command of the collector, whatever comes of it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn try_cli(&self, args: &[&str]) -> Output {
        let mut program = command("mimamori-collector");
        self.arguments(&mut program).args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command of the collector and gives its standard output.
    ///
    /// # Panics
    /// When its exit code is not 0.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> String {
        let done = self.try_cli(args);
        assert!(done.status.success(), "mimamori-collector {args:?}: {} {}", done.status, String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn arguments<'a>(&self, program: &'a mut std::process::Command) -> &'a mut std::process::Command {
        program.args(["--config", "/nonexistent/collector.toml", "--lang", "en"]);
        program.args(self.sets().iter().flat_map(|set| ["--set", set]))
    }

    /// A token for a machine of [`FACILITY`]; without a name the machine waits for approval.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    #[must_use]
    pub fn token(&self, machine: Option<&str>) -> Token {
        Token::parse(&self.token_text(machine)).unwrap()
    }

    /// The same as text.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    #[must_use]
    pub fn token_text(&self, machine: Option<&str>) -> String {
        let mut args = vec!["token", "create", "--facility", FACILITY];
        args.extend(machine.iter().flat_map(|machine| ["--machine", machine]));
        self.cli(&args)
    }

    /// Tokens for many machines in one call.
    ///
    /// # Panics
    /// When they cannot be made.
    #[track_caller]
    #[must_use]
    pub fn tokens(&self, machines: &[String]) -> Vec<Token> {
        let csv = self.dir.join("machines.csv");
        fs::write(&csv, machines.join("\n")).unwrap();
        let text = self.cli(&["token", "create", "--facility", FACILITY, "--csv", &csv.display().to_string()]);
        text.lines().skip(1).map(|line| Token::parse(line.split_once(',').unwrap().1).unwrap()).collect()
    }

    /// The machines as `machine list --json` shows them.
    ///
    /// # Panics
    /// When the command fails.
    #[track_caller]
    #[must_use]
    pub fn machines(&self) -> Vec<serde_json::Value> {
        let list: serde_json::Value = serde_json::from_str(&self.cli(&["machine", "list", "--json"])).unwrap();
        list["machines"].as_array().unwrap().clone()
    }

    /// Everything the collector keeps of a machine, verbatim: the lines of `export` between the first and the last.
    ///
    /// # Panics
    /// When the command fails.
    #[track_caller]
    #[must_use]
    pub fn export(&self, machine: &str) -> Vec<serde_json::Value> {
        let text = self.cli(&["export", &format!("{FACILITY}/{machine}")]);
        let mut lines: Vec<serde_json::Value> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
        let end = lines.pop().unwrap();
        assert_eq!(end["entries"], lines.len(), "cut off: {end}");
        lines
    }

    /// Fails unless everything that is kept agrees with itself.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn fsck(&self) {
        let done = self.try_cli(&["fsck", "--json"]);
        let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        assert!(done.status.success() && said["ok"] == true, "fsck: {} {said} {}", done.status, String::from_utf8_lossy(&done.stderr));
    }

    /// A home for a real agent.
    #[must_use]
    pub fn agent_home(&self, name: &str) -> AgentHome {
        AgentHome::new(&self.dir.join("agents").join(name))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.collector = None;
        if std::thread::panicking() {
            eprintln!("kept for looking at: {}", self.dir.display());
        } else if let Err(fault) = fs::remove_dir_all(&self.dir) {
            eprintln!("{} is left behind: {fault}", self.dir.display());
        }
    }
}
