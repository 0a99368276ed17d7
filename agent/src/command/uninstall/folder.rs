//! The state folder as it was opened once, whatever is put into its place while it is taken away.
//!
//! It is the agent's, and root may take it away: the agent's account could put links where its files were. So what is in
//! it is looked at and removed through the folder that was opened, and root lays its rights down for as long as anything
//! in it is opened or written: what a link leads to is then touched with no more rights than the agent's own.

use crate::cli::Lang;
use crate::consent_file::prove;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat};
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files looked at in it.
const FILES_MAX: usize = 4096;

/// The state folder.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    pub(super) path: PathBuf,
    uid: u32,
    gid: u32,
}

/// What stands in it: a name, and what it is without following it.
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: FileType,
    pub(super) bytes: u64,
}

impl Folder {
    /// `None` when there is none. A link in its place is an error.
    pub(super) fn open(path: &Path) -> io::Result<Option<Folder>> {
        match openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => {
                let Stat { st_uid, st_gid, .. } = fstat(&fd)?;
                Ok(Some(Folder { fd, path: path.to_owned(), uid: st_uid, gid: st_gid }))
            }
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.fd)?.take(FILES_MAX) {
            let entry = entry?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if name == "." || name == ".." {
                continue;
            }
            match statat(&self.fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => found.push(Entry { name, kind: FileType::from_raw_mode(stat.st_mode), bytes: u64::try_from(stat.st_size).unwrap_or(0) }),
                // It went away meanwhile.
                Err(rustix::io::Errno::NOENT) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(found)
    }

    /// Removes a name in it; a link is removed, not what it leads to.
    pub(super) fn remove(&self, name: &Path) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Its names, durably.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// From here on root acts as the account whose folder it is; any other account stays what it is.
    pub(super) fn as_owner(&self, lang: Lang) -> Result<Rights, String> {
        if !geteuid().is_root() {
            return Ok(Rights { was_root: false });
        }
        let shown = self.path.display();
        if self.uid == 0 {
            return Err(lang.of(
                format!("{shown} belongs to root, and the agent never runs as root: what is in it is not the agent's. See what it is, and remove it by hand"),
                format!(
                    "{shown} はrootの所有です。エージェントはrootで動作しないため、エージェントのものではありません。内容を確認し、手作業で削除してください"
                ),
            ));
        }
        if let Some(above) = self.strangers() {
            let (above, uid) = (above.display(), self.uid);
            return Err(lang.of(
                format!("{above}, above {shown}, can be changed by others than root and the folder's owner: run this as that owner, sudo -u '#{uid}'"),
                format!("{shown} の上位の {above} を、rootと所有者以外も変更できます。所有者として実行してください：sudo -u '#{uid}'"),
            ));
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let laid_down = set_thread_groups(&[gid])
            .and_then(|()| set_thread_res_gid(None::<Gid>, gid, None::<Gid>))
            .and_then(|()| set_thread_res_uid(None::<Uid>, uid, None::<Uid>));
        laid_down.map(|()| Rights { was_root: true }).map_err(|fault| format!("setresuid {}: {fault}", self.uid))
    }

    /// A folder above it that a third account could have put another one into.
    fn strangers(&self) -> Option<PathBuf> {
        let path = std::path::absolute(&self.path).ok()?;
        let closed = |meta: &fs::Metadata| meta.is_symlink() || meta.mode() & 0o022 == 0 || meta.mode() & 0o1000 != 0;
        let fine = |step: &Path| fs::symlink_metadata(step).is_ok_and(|meta| meta.uid() == self.uid || (meta.uid() == 0 && closed(&meta)));
        path.ancestors().skip(1).find(|step| !fine(step)).map(Path::to_owned)
    }
}

/// What this process may do, for as long as the removal lasts.
#[derive(Debug)]
pub(super) struct Rights {
    was_root: bool,
}

impl Rights {
    /// Removes what lies outside of the folder, and the folder itself. Root's rights are taken up again for it only where
    /// the agent's account could have changed nothing on the way there.
    pub(super) fn remove(&self, path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let denied = |fault: &io::Error| matches!(fault.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
        match remove(path) {
            Err(fault) if self.was_root && denied(&fault) => {
                if let Some(what) = path.parent().and_then(prove) {
                    return Err(io::Error::new(fault.kind(), format!("{fault}; {what} is not root's alone")));
                }
                let owner = geteuid();
                set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>)?;
                let done = remove(path);
                set_thread_res_uid(None::<Uid>, owner, None::<Uid>)?;
                done
            }
            done => done,
        }
    }
}
