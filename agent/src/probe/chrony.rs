//! What chronyd's reply to the command `tracking` holds (chrony's header of its command protocol, version 6).
//!
//! Big-endian: version, 2 for a reply, two zeros, the command (2 bytes), the kind of reply (2), status (2), six bytes of
//! nothing, the sequence number (4), eight of nothing. Then the reference's id (4) and address (20), stratum (2), leap
//! status (2), time of the reference (12), and nine numbers: correction, last and mean offset, frequency, its residue and
//! skew, root delay, root dispersion, interval.

use mimamori_parse::chronyc::{Reference, Tracking};
use mimamori_shared::payload::FaultCode;

const VERSION: u8 = 6;
const REPLY: u8 = 2;
const COMMAND_TRACKING: u16 = 33;
const REPLY_TRACKING: u16 = 5;
const UNAUTHORISED: u16 = 2;
/// chronyd's word for itself: 127.127.1.1, and none for nothing.
const OWN: u32 = 0x7f7f_0101;

/// The values of a reply that a report is made of.
///
/// # Errors
/// `unsupported` of another version, `permission_denied` when chronyd refuses, `malformed` of anything else.
pub(super) fn tracking(reply: &[u8]) -> Result<Tracking, FaultCode> {
    let word = |at: usize| reply.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    let long = |at: usize| reply.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let (Some([version, kind]), Some(command), Some(content), Some(status)) = (reply.first_chunk(), word(4), word(6), word(8)) else {
        return Err(FaultCode::Malformed);
    };
    match (*kind, command, *version, status, content) {
        (REPLY, COMMAND_TRACKING, VERSION, 0, REPLY_TRACKING) if reply.len() == crate::host::ask::TRACKING_BYTES => {}
        (REPLY, COMMAND_TRACKING, VERSION, UNAUTHORISED, _) => return Err(FaultCode::PermissionDenied),
        (REPLY, COMMAND_TRACKING, version, ..) if version != VERSION => return Err(FaultCode::Unsupported),
        _ => return Err(FaultCode::Malformed),
    }
    let synchronised = match word(54) {
        Some(0..=2) => true,
        Some(3) => false,
        _ => return Err(FaultCode::Malformed),
    };
    let number = |at: usize| long(at).and_then(nanos).ok_or(FaultCode::Malformed);
    Ok(Tracking {
        synchronised: Some(synchronised),
        reference: match long(28) {
            Some(OWN) => Reference::Own,
            None | Some(0) => Reference::None,
            Some(_) => Reference::Source,
        },
        stratum: word(52).map(i64::from),
        // A positive correction is one of a clock that is behind.
        offset_ns: Some(number(68)?.saturating_neg()),
        root_delay_ns: Some(number(92)?),
        root_dispersion_ns: Some(number(96)?),
        ..Tracking::default()
    })
}

/// A number of seconds in billionths: seven bits of exponent and 25 of coefficient, both signed, 2^(exponent - 25) *
/// coefficient. `None` when it does not fit; rounded to nearest.
fn nanos(float: u32) -> Option<i64> {
    let float = float.cast_signed();
    let exponent = (float >> 25) - 25;
    let scaled = i128::from((float << 7) >> 7) * 1_000_000_000;
    let shift = exponent.unsigned_abs();
    let nanos = match exponent {
        0.. => scaled << shift,
        _ => (scaled + (1 << (shift - 1))) >> shift,
    };
    i64::try_from(nanos).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::Host;
    use crate::host::ask::{Ports, Question, soon};
    use proptest::prelude::*;
    use std::path::Path;
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    /// What chronyd 4.3 of Debian 12 answered when it followed a server of which it was told that it is 0.3 s off.
    /// `chronyc tracking` said a moment later: 7F000001, stratum 4, 0.299999028 s slow, root delay 0.000005394 s, root
    /// dispersion 0.000001770 s (which grows), Normal.
    pub(in crate::probe) const FOLLOWS: &str = "060200000021000500000000000000000102030400000000000000007f0000017f000001000000000000000000000000\
        0001000000040000000000006b0a06e62757c39a00999978d524d1a2d4f8e62bfd21314df5517217fedfa9b5e0b4fe1bdce84f110283191a";
    /// The same without a server.
    pub(in crate::probe) const ALONE: &str = "060200000021000500000000000000000102030400000000000000000000000000000000000000000000000000000000\
        0000000000000003000000000000000000000000000000000000000000000000000000000000000000000000048000000480000000000000";
    /// The same told to be its own reference (`local stratum 3`).
    const OWN_CLOCK: &str = "060200000021000500000000000000000102030400000000000000007f7f010100000000000000000000000000000000\
        0000000000030000000000006b0a06bc3840b8e7000000000000000000000000000000000000000000000000000000000000000000000000";
    /// The same asked in version 5, and with too little padding.
    const OTHER_VERSION: &str = "06020000002100010012000000000000010203040000000000000000";
    const TOO_SHORT: &str = "06020000002100010013000000000000010203040000000000000000";

    pub(in crate::probe) fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn with(at: usize, value: &[u8]) -> Result<Tracking, FaultCode> {
        let mut reply = bytes(FOLLOWS);
        reply[at..at + value.len()].copy_from_slice(value);
        tracking(&reply)
    }

    #[test]
    fn what_chronyd_answered_is_what_chronyc_printed() {
        let read = tracking(&bytes(FOLLOWS)).unwrap();
        assert_eq!((read.synchronised, read.reference, read.stratum), (Some(true), Reference::Source, Some(4)));
        assert!((read.offset_ns.unwrap() + 299_999_028).abs() < 1000, "{read:?}");
        assert_eq!((read.root_delay_ns, read.disciplined()), (Some(5394), Some(true)));
        assert!((1700..1780).contains(&read.root_dispersion_ns.unwrap()), "{read:?}");
        let alone = tracking(&bytes(ALONE)).unwrap();
        assert_eq!((alone.synchronised, alone.reference, alone.root_delay_ns), (Some(false), Reference::None, Some(1_000_000_000)));
        let own = tracking(&bytes(OWN_CLOCK)).unwrap();
        assert_eq!((own.synchronised, own.reference, own.disciplined()), (Some(true), Reference::Own, Some(false)));
    }

    #[test]
    fn what_is_no_answer_to_this_question_is_a_fault() {
        for (at, value, expected) in [
            (0, &[7][..], FaultCode::Unsupported),
            (0, &[5], FaultCode::Unsupported),
            (1, &[1], FaultCode::Malformed),
            (4, &[0, 34], FaultCode::Malformed),
            (6, &[0, 14], FaultCode::Malformed),
            (8, &[0, 2], FaultCode::PermissionDenied),
            (8, &[0, 1], FaultCode::Malformed),
            (54, &[0, 4], FaultCode::Malformed),
            (92, &[0x7e, 0xff, 0xff, 0xff], FaultCode::Malformed),
        ] {
            assert_eq!(with(at, value), Err(expected), "{at} {value:?}");
        }
        for refusal in [OTHER_VERSION, TOO_SHORT, &FOLLOWS[..206], &format!("{FOLLOWS}00")] {
            assert_eq!(tracking(&bytes(refusal)), Err(FaultCode::Malformed), "{refusal}");
        }
        assert_eq!(with(54, &[0, 2]).unwrap().synchronised, Some(true), "a leap second is announced");
    }

    #[test]
    fn numbers_are_coefficients_and_powers_of_two() {
        let float = |exponent: i32, coefficient: i32| ((exponent << 25) | (coefficient & 0x1ff_ffff)).cast_unsigned();
        for (number, expected) in [
            (0, Some(0)),
            (float(2, 1 << 23), Some(1_000_000_000)),
            (float(1, 1 << 23), Some(500_000_000)),
            (float(1, -(1 << 24)), Some(-1_000_000_000)),
            (float(-64, (1 << 24) - 1), Some(0)),
            (float(-64, -(1 << 24)), Some(0)),
            (float(26, 9), Some(18_000_000_000)),
            (float(63, 1), None),
            (float(63, 0), Some(0)),
        ] {
            assert_eq!(nanos(number), expected, "{number:#x}");
        }
    }

    /// Ends with the test, however that ends.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().and_then(|()| self.0.wait()).unwrap();
        }
    }

    /// A chronyd of the test's, which leaves the machine's clock alone; `None` where none is installed.
    #[allow(clippy::disallowed_methods, reason = "the daemon that is asked is a program of its own")]
    fn start(folder: &Path, name: &str, config: &str) -> Option<Running> {
        let file = folder.join(name);
        let common = format!("bindaddress 127.0.0.1\nbindcmdaddress 127.0.0.1\nbindcmdaddress /\npidfile {}.pid", file.display());
        std::fs::write(&file, format!("{config}\n{common}\n")).unwrap();
        let uid = rustix::process::geteuid().as_raw().to_string();
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
        let user = accounts.lines().find(|line| line.split(':').nth(2) == Some(&uid))?.split(':').next()?;
        let mut command = std::process::Command::new("chronyd");
        command.args(["-x", "-U", "-d", "-u", user, "-f"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok().map(Running)
    }

    /// Not among the packages that `make setup` installs: Debian lets no two time services be installed, and the
    /// machine's own is not ours to take away. The captured answers above stand for it where it is absent.
    #[test]
    fn the_real_chronyd_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let free = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (time, own, follows) = (free(), free(), free());
        let server = start(folder.path(), "own", &format!("local stratum 3\nallow 127.0.0.1\nport {time}\ncmdport {own}"));
        let client = format!("server 127.0.0.1 port {time} iburst minpoll -2 maxpoll 0 offset 0.3\nport 0\ncmdport {follows}");
        let (Some(_server), Some(_client)) = (server, start(folder.path(), "follows", &client)) else {
            println!("skipped: chronyd absent: the_real_chronyd_is_understood");
            return;
        };
        let closed = free();
        let ask = |chrony| {
            let host = Host::asking(Ports { nut: closed, apcupsd: closed, chrony });
            tracking(&host.ask(Question::ChronyTracking, soon())?)
        };
        let until = |port, wanted: fn(&Tracking) -> bool| {
            let begun = Instant::now();
            loop {
                match ask(port) {
                    Ok(told) if wanted(&told) => return told,
                    told => assert!(begun.elapsed() < Duration::from_secs(30), "{told:?}"),
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        let itself = until(own, |told| told.reference == Reference::Own);
        assert_eq!((itself.synchronised, itself.stratum, itself.disciplined()), (Some(true), Some(3), Some(false)));
        let told = until(follows, |told| told.disciplined() == Some(true));
        assert_eq!((told.reference, told.stratum), (Reference::Source, Some(4)));
        assert!((-300_100_000..-299_000_000).contains(&told.offset_ns.unwrap()), "the clock is behind by what it was told: {told:?}");
        assert!((1..50_000_000).contains(&told.root_delay_ns.unwrap()), "{told:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), body: [u8; 32], tail: [u8; 32]) {
            prop_assert!(tracking(&bytes).is_err() || bytes.len() == 104);
            let mut reply = super::tests::bytes(FOLLOWS);
            reply[28..60].copy_from_slice(&body);
            reply[68..100].copy_from_slice(&tail);
            if let Ok(read) = tracking(&reply) {
                prop_assert_eq!(read.synchronised, Some(reply[55] < 3));
            }
        }

        #[test]
        fn every_number_is_as_a_float_would_have_it(float: u32) {
            let coefficient = f64::from((float.cast_signed() << 7) >> 7);
            let seconds = coefficient * f64::from((float.cast_signed() >> 25) - 25).exp2();
            match nanos(float) {
                #[allow(clippy::cast_precision_loss, reason = "compared within what a float holds")]
                Some(nanos) => prop_assert!((nanos as f64 - seconds * 1e9).abs() <= 0.5 + seconds.abs(), "{} {}", nanos, seconds),
                None => prop_assert!(seconds.abs() > 9.2e9, "{}", seconds),
            }
        }
    }
}
