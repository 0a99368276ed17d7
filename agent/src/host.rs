//! The only way to the machine that is watched: bounded reads below one root, three system calls, and fixed questions
//! to four daemons of the same machine ([`ask`]).
//!
//! Production uses [`Host::live`]; tests and simulations use [`Host::recorded`], a folder that answers like a machine.
//! What this does not do: it never writes, never lists processes and never follows a name upwards.

pub mod ask;
mod bus;

use crate::probe::text;
use ask::{Ports, Question};
use mimamori_shared::payload::FaultCode;
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Largest file of a recorded tree's own answers, in bytes.
const RECORDED_BYTES_MAX: u64 = 64 * 1024;
const EVERYBODY_WRITES: u32 = 0o002;

/// A machine.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
    calls: Calls,
    ports: Ports,
}

/// What cannot be had by reading a file below the root.
#[derive(Debug, Clone, Copy)]
struct Calls {
    space: fn(&Host, &[u8]) -> Result<Space, FaultCode>,
    now: fn(&Host) -> Result<Now, FaultCode>,
    may_read: fn(&Host, &str) -> bool,
    modified_ms: fn(&Host, &Path) -> Result<i64, FaultCode>,
    ask: fn(&Host, Question<'_>, Instant) -> Result<Vec<u8>, FaultCode>,
}

/// What `statvfs` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes of one block.
    pub block_bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Free for root.
    pub blocks_free: u64,
    /// Free for everybody else.
    pub blocks_available: u64,
    /// Inodes; 0 where the filesystem does not count them.
    pub inodes: u64,
    /// Inodes not used.
    pub inodes_free: u64,
}

/// The two clocks of one moment, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since 1970, UTC, as the machine has it.
    pub wall_ms: i64,
    /// Since boot, suspended time included.
    pub boottime_ms: i64,
}

impl Host {
    /// This machine.
    #[must_use]
    pub fn live() -> Host {
        Host::at("/", Ports::STANDARD)
    }

    /// This machine, with its files and its bus below this folder and its daemons at these ports.
    fn at(root: impl Into<PathBuf>, ports: Ports) -> Host {
        let calls = Calls { space: statvfs, now: clocks, may_read: |_, _| true, modified_ms: modified, ask: ask::live };
        Host { root: root.into(), calls, ports }
    }

    /// A folder that answers like a machine. What no file of a real machine holds stands in `recorded/`:
    /// `denied` (what it begins with may not be read, one a line), `statvfs` (mount point, block bytes, blocks, free, available, inodes, inodes free, or the mount point and the
    /// word of a fault) and `modified` (path, milliseconds since 1970). Its time is `proc/uptime` after `btime`. Its
    /// daemons' answers stand there too ([`Host::ask`]); a daemon without a file does not run. No socket is opened.
    #[must_use]
    pub fn recorded(root: impl Into<PathBuf>) -> Host {
        let calls = Calls { space: recorded_space, now: recorded_now, may_read: recorded_may_read, modified_ms: recorded_modified, ask: ask::recorded };
        Host { root: root.into(), calls, ports: Ports::STANDARD }
    }

    /// Where its files begin.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than `bytes_max`; nothing beyond that is read.
    pub fn read_bytes(&self, relative: &str, bytes_max: u64) -> Result<Vec<u8>, FaultCode> {
        bounded(File::open(self.path(relative)?).map_err(|e| code(&e))?, bytes_max)
    }

    /// The bytes of a file that another program of ours leaves: a file and no link or pipe, of the account whose the machine's
    /// tree is (root), and not for everybody to write.
    ///
    /// # Errors
    /// As [`Host::read_bytes`]; `permission_denied` when somebody else could have written it.
    pub fn read_left(&self, relative: &str, bytes_max: u64) -> Result<Vec<u8>, FaultCode> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.path(relative)?).map_err(|e| code(&e))?;
        let meta = file.metadata().map_err(|e| code(&e))?;
        if !meta.is_file() {
            return Err(FaultCode::IoError);
        }
        let whose = fs::metadata(&self.root).map_err(|e| code(&e))?.uid();
        if (meta.uid() != 0 && meta.uid() != whose) || meta.mode() & EVERYBODY_WRITES != 0 {
            return Err(FaultCode::PermissionDenied);
        }
        bounded(file, bytes_max)
    }

    /// The end of a file made of records of one size, at most `bytes_max` of it, from the beginning of a record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_tail(&self, relative: &str, bytes_max: u64, record_bytes: usize) -> Result<Vec<u8>, FaultCode> {
        let mut file = File::open(self.path(relative)?).map_err(|e| code(&e))?;
        let length = file.metadata().map_err(|e| code(&e))?.len();
        let record = u64::try_from(record_bytes).unwrap_or(1).max(1);
        let from = length.saturating_sub(bytes_max).next_multiple_of(record);
        file.seek(SeekFrom::Start(from)).map_err(|e| code(&e))?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes).map_err(|e| code(&e))?;
        Ok(bytes)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// As [`Host::read_bytes`], and when it is not UTF-8.
    pub fn read(&self, relative: &str, bytes_max: u64) -> Result<String, FaultCode> {
        String::from_utf8(self.read_bytes(relative, bytes_max)?).map_err(|_| FaultCode::Malformed)
    }

    /// The names in a folder, sorted. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// When it cannot be read, or holds more than `entries_max`.
    pub fn list(&self, relative: &str, entries_max: usize) -> Result<Vec<String>, FaultCode> {
        let mut names = Vec::new();
        for (seen, entry) in fs::read_dir(self.path(relative)?).map_err(|e| code(&e))?.enumerate() {
            if seen >= entries_max {
                return Err(FaultCode::TooMany);
            }
            names.extend(entry.map_err(|e| code(&e))?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    /// How full the filesystem at a mount point is. Blocks for as long as the device does: ask local ones only.
    ///
    /// # Errors
    /// When the call fails.
    pub fn space(&self, mount_point: &[u8]) -> Result<Space, FaultCode> {
        (self.calls.space)(self, mount_point)
    }

    /// What time it is there.
    ///
    /// # Errors
    /// Never on a live machine; when a recorded one lacks the files.
    pub fn now(&self) -> Result<Now, FaultCode> {
        (self.calls.now)(self)
    }

    /// When a file was last written, in milliseconds since 1970 by the machine's clock.
    ///
    /// # Errors
    /// When it cannot be seen.
    pub fn modified_ms(&self, relative: &str) -> Result<i64, FaultCode> {
        (self.calls.modified_ms)(self, Path::new(relative))
    }

    /// The path below the root. Names that came from the machine are joined here, so no part may lead upwards.
    fn path(&self, relative: &str) -> Result<PathBuf, FaultCode> {
        if !(self.calls.may_read)(self, relative) {
            return Err(FaultCode::PermissionDenied);
        }
        let relative = Path::new(relative);
        if relative.components().all(|part| matches!(part, Component::Normal(_))) { Ok(self.root.join(relative)) } else { Err(FaultCode::Malformed) }
    }
}

fn bounded(file: File, bytes_max: u64) -> Result<Vec<u8>, FaultCode> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| code(&e))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) { Ok(bytes) } else { Err(FaultCode::TooLarge) }
}

fn code(error: &std::io::Error) -> FaultCode {
    match error.kind() {
        // Nobody listens at a port: whoever would answer does not run here.
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => FaultCode::NotFound,
        ErrorKind::PermissionDenied => FaultCode::PermissionDenied,
        // The second is how a socket says that its time is up.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => FaultCode::TimedOut,
        // Pressure files of a kernel that was started with `psi=0`.
        ErrorKind::Unsupported => FaultCode::Unsupported,
        _ => FaultCode::IoError,
    }
}

fn statvfs(_: &Host, mount_point: &[u8]) -> Result<Space, FaultCode> {
    let found = rustix::fs::statvfs(OsStr::from_bytes(mount_point)).map_err(|e| code(&e.into()))?;
    Ok(Space {
        block_bytes: found.f_frsize,
        blocks: found.f_blocks,
        blocks_free: found.f_bfree,
        blocks_available: found.f_bavail,
        inodes: found.f_files,
        inodes_free: found.f_ffree,
    })
}

#[allow(clippy::unnecessary_wraps, reason = "has the type of its recorded counterpart")]
fn clocks(_: &Host) -> Result<Now, FaultCode> {
    let ms = |id| {
        let time = rustix::time::clock_gettime(id);
        time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
    };
    use rustix::time::ClockId;
    Ok(Now { wall_ms: ms(ClockId::Realtime), boottime_ms: ms(ClockId::Boottime) })
}

fn modified(host: &Host, relative: &Path) -> Result<i64, FaultCode> {
    let time: SystemTime = fs::metadata(host.root.join(relative)).and_then(|found| found.modified()).map_err(|e| code(&e))?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| FaultCode::Malformed)?;
    i64::try_from(since.as_millis()).map_err(|_| FaultCode::Malformed)
}

/// What stands behind a key and a space on a line of its own.
fn recorded_line(host: &Host, file: &str, key: &[u8]) -> Result<String, FaultCode> {
    let text = host.read(file, RECORDED_BYTES_MAX)?;
    let key = std::str::from_utf8(key).map_err(|_| FaultCode::NotFound)?;
    let behind = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    Ok(behind.ok_or(FaultCode::NotFound)?.to_owned())
}

/// Root reads everything, and tests run as root: what an account may not read stands in a file.
fn recorded_may_read(host: &Host, relative: &str) -> bool {
    let denied = || host.read("recorded/denied", RECORDED_BYTES_MAX).unwrap_or_default();
    relative.starts_with("recorded/") || !denied().lines().any(|prefix| relative.starts_with(prefix))
}

fn recorded_space(host: &Host, mount_point: &[u8]) -> Result<Space, FaultCode> {
    let line = recorded_line(host, "recorded/statvfs", mount_point)?;
    if line == "permission_denied" {
        return Err(FaultCode::PermissionDenied);
    }
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [block_bytes, blocks, blocks_free, blocks_available, inodes, inodes_free] = *numbers.as_slice() else {
        return Err(FaultCode::Malformed);
    };
    Ok(Space { block_bytes, blocks, blocks_free, blocks_available, inodes, inodes_free })
}

fn recorded_now(host: &Host) -> Result<Now, FaultCode> {
    let uptime = host.read("proc/uptime", RECORDED_BYTES_MAX)?;
    let up = uptime.split_ascii_whitespace().next().and_then(text::milli).ok_or(FaultCode::Malformed)?;
    let boot = text::whole(&recorded_line(host, "proc/stat", b"btime")?).ok_or(FaultCode::Malformed)?;
    let wall_ms = boot.checked_mul(1000).and_then(|boot| boot.checked_add(up)).ok_or(FaultCode::Malformed)?;
    Ok(Now { wall_ms, boottime_ms: up })
}

fn recorded_modified(host: &Host, relative: &Path) -> Result<i64, FaultCode> {
    let line = recorded_line(host, "recorded/modified", relative.as_os_str().as_bytes())?;
    text::whole(&line).ok_or(FaultCode::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn reads_are_bounded_and_never_lead_upwards() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("four"), "1234").unwrap();
        fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let host = Host::recorded(folder.path());
        let table: [(&str, u64, Result<&str, FaultCode>); 8] = [
            ("four", 4, Ok("1234")),
            ("four", 3, Err(FaultCode::TooLarge)),
            ("four", u64::MAX, Ok("1234")),
            ("none", 4, Err(FaultCode::NotFound)),
            ("binary", 4, Err(FaultCode::Malformed)),
            ("folder", 4, Err(FaultCode::IoError)),
            ("folder/../four", 4, Err(FaultCode::Malformed)),
            ("/etc/passwd", 1 << 20, Err(FaultCode::Malformed)),
        ];
        for (path, bytes_max, expected) in table {
            assert_eq!(host.read(path, bytes_max).as_deref(), expected.as_ref().copied(), "{path}");
        }
    }

    #[test]
    fn what_another_program_left_is_a_file_of_roots_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (path, host) = (folder.path().join("left"), Host::recorded(folder.path()));
        let left = || host.read_left("left", 4);
        assert_eq!(left(), Err(FaultCode::NotFound));
        fs::write(&path, "1234").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(left().as_deref(), Ok(&b"1234"[..]));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
        assert_eq!(left(), Err(FaultCode::PermissionDenied));
        fs::write(&path, "12345").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(left(), Err(FaultCode::TooLarge));
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert_eq!(left(), Err(FaultCode::IoError), "a link is not followed");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(left(), Err(FaultCode::IoError));
        fs::remove_dir(&path).unwrap();
        // Nobody ever writes into it: opening it must not wait.
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0).unwrap();
        assert_eq!(left(), Err(FaultCode::IoError));
    }

    #[test]
    fn a_folder_is_listed_in_order_and_refused_when_too_full() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("c")).unwrap();
        let host = Host::recorded(folder.path());
        let below = Host::recorded(folder.path().parent().unwrap());
        let relative = folder.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(below.list(relative, 3).unwrap(), ["a", "b", "c"]);
        assert_eq!(below.list(relative, 2), Err(FaultCode::TooMany));
        assert_eq!(host.list("d", 2), Err(FaultCode::NotFound));
    }

    #[test]
    fn what_the_account_may_not_read_is_told_from_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "x").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
        // Root reads everything; there the error itself is what can be tested.
        if File::open(&secret).is_err() {
            assert_eq!(Host::recorded(folder.path()).read("secret", 9), Err(FaultCode::PermissionDenied));
        }
        assert_eq!(code(&ErrorKind::PermissionDenied.into()), FaultCode::PermissionDenied);
    }
}
