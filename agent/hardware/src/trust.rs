//! Whose word counts: files that only root, or whom the plan names, could have written.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Why a file does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Untrusted {
    /// There is none.
    Missing,
    /// It, or a folder above it, is not what it must be; says which and how to mend it.
    Refused(String),
}

/// Opens a regular file that, with every folder above it, belongs to root or to `owner` and that nobody else can write.
/// A folder such as `/tmp`, where everybody may write but only take away what is theirs (sticky), does.
///
/// # Errors
/// [`Untrusted`].
pub(crate) fn open(path: &Path, owner: u32) -> Result<File, Untrusted> {
    let io = |at: &Path, fault: &std::io::Error| match fault.kind() {
        ErrorKind::NotFound => Untrusted::Missing,
        _ => Untrusted::Refused(format!("{}: {fault}", at.display())),
    };
    // Links are followed here, once; the path that results is looked at from the top down.
    let real = fs::canonicalize(path).map_err(|fault| io(path, &fault))?;
    for folder in real.ancestors().skip(1) {
        let meta = fs::symlink_metadata(folder).map_err(|fault| io(folder, &fault))?;
        let open_to_others = meta.mode() & OTHERS_WRITE != 0 && meta.mode() & STICKY == 0;
        fitting(folder, &meta, owner, open_to_others)?;
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&real).map_err(|fault| io(&real, &fault))?;
    let meta = file.metadata().map_err(|fault| io(&real, &fault))?;
    if !meta.is_file() {
        return Err(Untrusted::Refused(format!("{} is no file", real.display())));
    }
    fitting(&real, &meta, owner, meta.mode() & OTHERS_WRITE != 0)?;
    Ok(file)
}

/// Reads such a file as text of at most `bytes_max` bytes.
///
/// # Errors
/// As [`open`].
pub(crate) fn text(path: &Path, owner: u32, bytes_max: u64) -> Result<String, Untrusted> {
    let name = path.display();
    let mut text = String::new();
    let read = open(path, owner)?.take(bytes_max.saturating_add(1)).read_to_string(&mut text);
    read.map_err(|fault| Untrusted::Refused(format!("{name}: {fault}")))?;
    if u64::try_from(text.len()).is_ok_and(|length| length > bytes_max) {
        return Err(Untrusted::Refused(format!("{name}: larger than {} KiB", bytes_max / 1024)));
    }
    Ok(text)
}

fn fitting(path: &Path, meta: &Metadata, owner: u32, open_to_others: bool) -> Result<(), Untrusted> {
    let path = path.display();
    if meta.uid() != 0 && meta.uid() != owner {
        return Err(Untrusted::Refused(format!("{path} belongs to account {}, not to root: chown root {path}", meta.uid())));
    }
    if open_to_others {
        return Err(Untrusted::Refused(format!("{path} can be written by others: chmod go-w {path}")));
    }
    Ok(())
}
