//! How the run before this one ended, from `var/log/wtmp` and the kernel's persistent store.
//!
//! `shutdown(8)` and systemd write a record before the machine goes down; a run without one ended by itself. When the
//! kernel left its last words in `sys/fs/pstore`, it crashed; where there are none, the power went away.
//! The accounts in the same file are neither kept nor sent.

use super::{Sources, Take};
use crate::host::Host;
use mimamori_shared::fields::{Boot, Readings};
use mimamori_shared::payload::{Fault, FaultCode};

/// The newest records: thousands of logins since the last two boots are usual.
const WTMP_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// `sizeof(struct utmp)` on 64-bit machines that also run 32-bit programs (utmp(5)).
const RECORD_BYTES: usize = 384;
const RUN_LEVEL: u16 = 1;
const BOOT_TIME: u16 = 2;
const STORE_FILES_MAX: usize = 256;

pub(super) fn read(Sources { host, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("boot", faults);
    let wtmp = host.read_tail("var/log/wtmp", WTMP_BYTES_MAX, RECORD_BYTES);
    let Some(ended) = take.whole(wtmp.and_then(|bytes| previous(&bytes))) else { return };
    let word = match ended {
        Ended::Cleanly => "clean",
        Ended::ByItself => by_itself(host),
        Ended::Unknown => "unknown",
    };
    readings.boot = Some(Boot { previous_shutdown: word.parse().ok() });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Cleanly,
    ByItself,
    /// This is the first boot the file knows of.
    Unknown,
}

/// What stands between the newest boot and the one before it.
pub(super) fn previous(wtmp: &[u8]) -> Result<Ended, FaultCode> {
    let (records, rest) = wtmp.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return Err(FaultCode::Malformed);
    }
    let mut newest = false;
    for record in records.iter().rev() {
        let kind = record.first_chunk().map_or(0, |kind| u16::from_le_bytes(*kind));
        let user = record.get(44..76).unwrap_or_default();
        match kind {
            BOOT_TIME if newest => return Ok(Ended::ByItself),
            BOOT_TIME => newest = true,
            RUN_LEVEL if newest && user.starts_with(b"shutdown\0") => return Ok(Ended::Cleanly),
            0..=9 => {}
            _ => return Err(FaultCode::Malformed),
        }
    }
    Ok(Ended::Unknown)
}

/// Last words of the kernel tell a crash. Where they may not be read, or may have been put away at boot
/// (systemd-pstore(8)), nobody can tell it from a loss of power.
fn by_itself(host: &Host) -> &'static str {
    let has_words = |names: &[String]| names.iter().any(|name| name.starts_with("dmesg-"));
    let kept_away = host.list("var/lib/systemd/pstore", STORE_FILES_MAX);
    match (host.list("sys/fs/pstore", STORE_FILES_MAX), kept_away) {
        (Ok(names), _) if has_words(&names) => "crash",
        (Ok(_), Err(FaultCode::NotFound)) => "power_loss",
        (Ok(_), Ok(names)) if names.is_empty() => "power_loss",
        _ => "unclean",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{recorded_bytes, taken};
    use proptest::prelude::*;

    fn record(kind: u16, user: &str) -> Vec<u8> {
        let mut record = vec![0; RECORD_BYTES];
        record[..2].copy_from_slice(&kind.to_le_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record
    }

    #[test]
    fn the_record_before_the_newest_boot_decides() {
        let (boot, down, login) = (record(BOOT_TIME, "reboot"), record(RUN_LEVEL, "shutdown"), record(7, "someone"));
        let level = record(RUN_LEVEL, "runlevel");
        let table: [(&[&Vec<u8>], Ended); 6] = [
            (&[&boot, &login, &down, &boot, &level, &login], Ended::Cleanly),
            (&[&boot, &level, &login, &boot], Ended::ByItself),
            (&[&down, &boot, &boot], Ended::ByItself),
            (&[&boot, &login], Ended::Unknown),
            (&[&login], Ended::Unknown),
            (&[], Ended::Unknown),
        ];
        for (records, expected) in table {
            let bytes: Vec<u8> = records.iter().flat_map(|record| record.iter().copied()).collect();
            assert_eq!(previous(&bytes), Ok(expected));
        }
    }

    #[test]
    fn last_words_of_the_kernel_make_it_a_crash() {
        let wtmp = [record(BOOT_TIME, "reboot"), record(BOOT_TIME, "reboot")].concat();
        let host = recorded_bytes(&[("var/log/wtmp", &wtmp), ("sys/fs/pstore/other", b"")]);
        assert_eq!(taken(&host, "boot").0, r#"{"boot":{"previous_shutdown":"power_loss"}}"#);
        let unclean = r#"{"boot":{"previous_shutdown":"unclean"}}"#;
        assert_eq!(taken(&recorded_bytes(&[("var/log/wtmp", &wtmp)]), "boot").0, unclean, "no store to look into");
        let host = recorded_bytes(&[("var/log/wtmp", &wtmp), ("sys/fs/pstore/other", b""), ("var/lib/systemd/pstore/1/dmesg.txt", b"Oops")]);
        assert_eq!(taken(&host, "boot").0, unclean, "put away, from whichever boot");
        let host = recorded_bytes(&[("var/log/wtmp", &wtmp), ("sys/fs/pstore/dmesg-efi-1", b"Oops")]);
        assert_eq!(taken(&host, "boot").0, r#"{"boot":{"previous_shutdown":"crash"}}"#);
    }

    #[test]
    fn what_is_no_wtmp_is_a_fault() {
        for bytes in [&b"text"[..], &[0xff; RECORD_BYTES]] {
            assert_eq!(previous(bytes), Err(FaultCode::Malformed));
        }
        assert_eq!(taken(&recorded_bytes(&[]), "boot").1, ["boot not_found"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
            prop_assert!(previous(&bytes).is_err() || bytes.len() % RECORD_BYTES == 0);
        }
    }
}
