//! The real programs, started as processes and ended for certain.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// The account agents run under when the tests run as root: the agent refuses root.
const NOBODY: u32 = 65_534;

/// A child that is killed (SIGKILL) and waited for when dropped.
#[derive(Debug)]
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The program of this name in the folder cargo built the tests in.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let found = own.ancestors().skip(1).take(3).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: run `cargo build -p mimamori-agent -p mimamori-collector` first, with the same profile"))
}

/// A command line of one of the project's programs, with nothing in its environment.
#[must_use]
pub fn command(name: &str) -> Command {
    program(&binary(name))
}

/// A command line of any program, with nothing in its environment but the usual places of programs.
#[allow(clippy::disallowed_methods, reason = "the harness starts the real programs; neither of them starts others")]
#[must_use]
pub fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command
}

/// Runs one of the scripts in `tests/verify` with Debian's Python.
///
/// # Panics
/// When Python or its library is missing.
#[must_use]
pub fn python(script: &str, args: &[&str]) -> Output {
    let python = Path::new("/usr/bin/python3");
    static THERE: OnceLock<bool> = OnceLock::new();
    let look = || program(python).args(["-c", "import tomllib, cryptography"]).output().is_ok_and(|done| done.status.success());
    assert!(
        THERE.get_or_init(look),
        "/usr/bin/python3 (3.11 or later) with the module `cryptography` is missing: `make setup` installs it (Debian: python3-cryptography)"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("verify").join(script);
    // No compiled files beside the sources.
    program(python).arg("-B").arg(path).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Milliseconds of processor time that a program has used; the kernel counts hundredths of a second.
///
/// # Panics
/// When there is no such program.
#[must_use]
pub fn cpu_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

/// Kilobytes of memory that a program holds.
///
/// # Panics
/// When there is no such program.
#[must_use]
pub fn rss_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap()
}

/// Bytes that a program had written to disks.
///
/// # Panics
/// When there is no such program, or it is another account's.
#[must_use]
pub fn written_bytes(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap()
}

/// Whether what is made here belongs to root.
///
/// # Panics
/// When the folder is not there.
#[must_use]
pub fn is_root(dir: &Path) -> bool {
    fs::metadata(dir).unwrap().uid() == 0
}

/// A folder for the real agent: `state/`, `consent.toml`, `agent.log`, and `agent.toml` where a story writes one.
#[derive(Debug)]
pub struct AgentHome {
    /// The folder.
    pub dir: PathBuf,
    /// Further `--set` pairs, such as `interval=5s`.
    pub sets: Vec<String>,
    binary: PathBuf,
    root: bool,
}

impl AgentHome {
    /// Makes the folder, with an example consent in it that allows every scope every 5 s.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(dir: &Path) -> AgentHome {
        fs::create_dir_all(dir.join("state")).unwrap();
        let root = is_root(dir);
        let binary = reachable(binary("mimamori-agent"), dir, root);
        let home = AgentHome {
            dir: dir.to_owned(),
            sets: ["interval=5s", "outbox.free_floor=0B", "collect.less_when_busy=false"].map(str::to_owned).to_vec(),
            binary,
            root,
        };
        fs::set_permissions(home.state_dir(), fs::Permissions::from_mode(0o700)).unwrap();
        home.give(&home.state_dir());
        let scopes: String = mimamori_shared::fields::Scope::ALL.iter().map(|scope| format!("{} = {{ every = \"5s\" }}\n", scope.name())).collect();
        home.consent(&format!(
            "version = 1\nexample = true\napprover = \"Nobody\"\nreason = \"Example\"\nvalid_from = \"2020-01-01T00:00:00+09:00\"\nvalid_to = \"2099-01-01T00:00:00+09:00\"\n[scopes]\n{scopes}"
        ));
        home
    }

    /// Where the agent keeps key, outbox and ledger.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Replaces the consent.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn consent(&self, text: &str) {
        let path = self.dir.join("consent.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Gives a file or folder to the agent's account.
    fn give(&self, path: &Path) {
        if self.root {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// A command of the agent under its account.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = if self.root {
            let mut command = program(Path::new("/usr/bin/setpriv"));
            command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups", "--no-new-privs"]).arg(&self.binary);
            command
        } else {
            program(&self.binary)
        };
        self.arguments(&mut command, args);
        command
    }

    /// Whether there is an administrator apart from the agent's account.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// Runs a command of the agent as the facility's administrator, whatever comes of it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn admin(&self, args: &[&str]) -> Output {
        let mut command = program(&self.binary);
        self.arguments(&mut command, args);
        command.output().unwrap()
    }

    fn arguments(&self, command: &mut Command, args: &[&str]) {
        command.arg("--config").arg(self.dir.join("agent.toml")).args([
            "--lang",
            "en",
            "--set",
            &format!("state_dir={}", self.state_dir().display()),
            "--set",
            &format!("consent_file={}", self.dir.join("consent.toml").display()),
        ]);
        command.args(self.sets.iter().flat_map(|set| ["--set", set])).args(args).stdin(Stdio::null());
    }

    /// Runs a command of the agent, whatever comes of it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn try_cli(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command of the agent and gives its standard output.
    ///
    /// # Panics
    /// When its exit code is not 0.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> String {
        let done = self.try_cli(args);
        assert!(done.status.success(), "mimamori-agent {args:?}: {} {}", done.status, String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Redeems a token, and gives what the agent printed.
    ///
    /// # Panics
    /// When the collector refuses.
    #[track_caller]
    pub fn enroll(&self, token: &str) -> String {
        let done = self.enroll_command(token).output().unwrap();
        assert!(done.status.success(), "enroll: {} {}", done.status, String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// The command line that redeems a token, which is put into a file.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn enroll_command(&self, token: &str) -> Command {
        let path = self.dir.join("token");
        fs::File::create(&path).and_then(|mut file| file.write_all(token.as_bytes())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.give(&path);
        self.command(&["enroll", "--token-file", &path.display().to_string()])
    }

    /// Starts the agent; it is killed when the guard is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self) -> Guard {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("agent.log")).unwrap();
        Guard(self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// What the running agent wrote on standard error.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("agent.log")).unwrap_or_default()
    }
}

/// The binary itself, or a copy of it where another account can get at it.
fn reachable(binary: PathBuf, dir: &Path, root: bool) -> PathBuf {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o001 != 0);
    if !root || binary.ancestors().all(open) {
        return binary;
    }
    let copy = dir.join("mimamori-agent");
    fs::copy(&binary, &copy).unwrap();
    copy
}
