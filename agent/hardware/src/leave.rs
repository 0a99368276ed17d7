//! Leaves a file whole or not at all.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes beside the file, makes it durable and puts it in its place. A link in that place is replaced, not followed.
///
/// # Errors
/// What failed; the old file is then as it was.
pub(crate) fn leave(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = folder.join(format!(".{name}.new"));
    // What an earlier run left when it was killed; anything else of that name is no business of ours and goes too.
    match fs::remove_file(&new) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).and_then(|mut file| {
        // The mask of the process may have taken the group's right away.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&new, folder.join(name)));
    if done.is_err() {
        fs::remove_file(&new).unwrap_or_default();
        return done;
    }
    fs::File::open(folder)?.sync_all()
}

/// Takes a file away, and what a run that was killed left of it. A link is removed, not what it leads to.
///
/// # Errors
/// What failed; that there is none is no failure.
pub(crate) fn take_away(folder: &Path, name: &str) -> io::Result<()> {
    for name in [format!(".{name}.new"), name.to_owned()] {
        match fs::remove_file(folder.join(name)) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
    }
    match fs::File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(()),
        Err(fault) => Err(fault),
    }
}
