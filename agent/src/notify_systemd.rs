//! Words to the service manager. All of them do nothing where there is none to talk to.
//!
//! A word that does not arrive is no reason to stop: callers log the error at most.

use sd_notify::NotifyState;
use std::io;
use std::time::Duration;

/// The service is up.
///
/// # Errors
/// When the manager's socket is named but cannot be written to.
pub fn ready() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready])
}

/// One line on what it is doing, for `systemctl status`.
///
/// # Errors
/// As [`ready`].
pub fn status(text: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Status(&one_line(text))])
}

/// The service is going down.
///
/// # Errors
/// As [`ready`].
pub fn stopping() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Stopping])
}

/// The main loop lives.
///
/// # Errors
/// As [`ready`].
pub fn watchdog() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Watchdog])
}

/// How often [`watchdog`] must be called: half of `WATCHDOG_USEC`, as `sd_watchdog_enabled(3)` advises. `None`
/// when no watchdog is set, or `WATCHDOG_PID` names another process.
#[must_use]
pub fn watchdog_interval(watchdog_usec: Option<&str>, watchdog_pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let ours = watchdog_pid.is_none_or(|pid| pid.trim().parse() == Ok(own_pid));
    let usec: u64 = watchdog_usec?.trim().parse().ok()?;
    (ours && usec >= 2).then(|| Duration::from_micros(usec / 2))
}

/// A newline would begin another word of the protocol.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Without systemd, or when it does not listen, the agent works all the same.
pub fn tell(told: io::Result<()>) {
    drop(told);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn the_watchdog_is_served_at_half_its_time() {
        for (usec, pid, expected) in [
            (None, None, None),
            (Some("30000000"), None, Some(15_000)),
            (Some("30000000"), Some("7"), Some(15_000)),
            (Some("30000000"), Some("8"), None),
            (Some("30000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (Some("soon"), None, None),
        ] {
            assert_eq!(watchdog_interval(usec, pid, 7), expected.map(Duration::from_millis), "{usec:?} {pid:?}");
        }
    }

    /// A service that says everything it can say. Where there is no manager each word does nothing; [`play`] runs it
    /// again in a process of its own, with one, because the crate below reads the environment.
    #[test]
    fn service() {
        status("12 waiting\nREADY=1").unwrap();
        ready().unwrap();
        watchdog().unwrap();
        stopping().unwrap();
    }

    #[allow(clippy::disallowed_methods, reason = "the test needs a process with another environment")]
    fn play(socket: Option<&std::path::Path>) {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "notify_systemd::tests::service"]).env_remove("NOTIFY_SOCKET");
        if let Some(socket) = socket {
            child.env("NOTIFY_SOCKET", socket);
        }
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn the_manager_hears_each_word_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        play(Some(&path));
        let mut heard = Vec::new();
        for _ in 0..4 {
            let mut buffer = [0; 256];
            let length = manager.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        assert_eq!(heard, ["STATUS=12 waiting READY=1\n", "READY=1\n", "WATCHDOG=1\n", "STOPPING=1\n"]);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        play(None);
    }
}
