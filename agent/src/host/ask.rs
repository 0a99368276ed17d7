//! Fixed questions to daemons of this machine, three over loopback and one over the system bus: a program of theirs need
//! not be run for it.
//!
//! What may be asked is a closed list, so nothing else can be written and nobody else be reached. An answer is bounded in
//! bytes and in time whatever the other side does. Protocols: Network UPS Tools' and apcupsd's documents on their network
//! protocols, chrony's own header of its command protocol, version 6, and the D-Bus specification ([`bus`]).

use super::{Host, bus, code};
use crate::clock;
use mimamori_shared::payload::FaultCode;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io::{ErrorKind, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Longest time for the questions to one daemon together.
const ASK_MAX: Duration = Duration::from_secs(2);
/// Longest time in which a daemon takes a connection: on loopback the kernel does that by itself.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Largest answer, in bytes; what NUT says of a large UPS is a tenth of it.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest name of a UPS that is sent back in a question, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// A request is padded to the size of its reply, so that chronyd does not answer with more than it was sent.
pub(crate) const TRACKING_BYTES: usize = 104;
/// Version 6, a request, two zeros; command 33, tracking; first attempt.
const TRACKING: [u8; 8] = [6, 1, 0, 0, 0, 33, 0, 0];
/// Where a reply repeats the request's sequence number.
const REPLY_SEQUENCE: std::ops::Range<usize> = 16..20;

/// What a daemon may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// Which UPSes Network UPS Tools watch. The answer is the protocol's list.
    NutList,
    /// What they know of the UPS of this name. The answer is the protocol's list.
    NutVariables(&'a str),
    /// What apcupsd knows of its UPS. The answer is the status report, out of its frames.
    ApcupsdStatus,
    /// How chronyd keeps the clock. The answer is the reply's packet.
    ChronyTracking,
    /// Which units systemd has. The answer is the message of D-Bus that answers `ListUnits`, or refuses it.
    Units,
}

/// Where the daemons listen on loopback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) nut: u16,
    pub(crate) apcupsd: u16,
    pub(crate) chrony: u16,
}

impl Ports {
    pub(super) const STANDARD: Ports = Ports { nut: 3493, apcupsd: 3551, chrony: 323 };
}

/// The end of the time that one daemon has from now on.
#[must_use]
pub fn soon() -> Instant {
    let now = Instant::now();
    now.checked_add(ASK_MAX).unwrap_or(now)
}

impl Host {
    /// Asks a daemon; the answer is not empty and at most 64 KiB, 2 MiB that of systemd. A recorded machine has its
    /// answers in `recorded/`: as they come in `nut/LIST UPS` and `nut/LIST VAR x`, without frames in `apcupsd`, in
    /// hexadecimal in `chrony` and `systemd`.
    ///
    /// # Errors
    /// `not_found` when nobody listens, `permission_denied` when the bus does not let the account in, `timed_out` when
    /// there is no whole answer by `until`, `too_large` beyond the bound, `malformed` when it is no answer to this
    /// question or the name of a UPS is none that can be asked for.
    pub fn ask(&self, question: Question<'_>, until: Instant) -> Result<Vec<u8>, FaultCode> {
        // The name came from outside: it must not be able to say anything but itself.
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        match question {
            Question::NutVariables(name) if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_name) => Err(FaultCode::Malformed),
            _ => (self.calls.ask)(self, question, until),
        }
    }

    /// This machine with daemons of a test.
    #[cfg(test)]
    pub(crate) fn asking(ports: Ports) -> Host {
        Host::at("/", ports)
    }

    /// This machine with files and the system bus of a test.
    #[cfg(test)]
    pub(crate) fn below(root: &std::path::Path) -> Host {
        Host::at(root, Ports::STANDARD)
    }
}

fn nut_line(ups: Option<&str>) -> String {
    ups.map_or_else(|| "LIST UPS".to_owned(), |name| format!("LIST VAR {name}"))
}

pub(super) fn live(host: &Host, question: Question<'_>, until: Instant) -> Result<Vec<u8>, FaultCode> {
    let nut = |ups| over_tcp(host.ports.nut, format!("{}\nLOGOUT\n", nut_line(ups)).as_bytes(), said_goodbye, until);
    match question {
        Question::NutList => nut(None),
        Question::NutVariables(name) => nut(Some(name)),
        Question::ApcupsdStatus => {
            let framed = over_tcp(host.ports.apcupsd, b"\0\x06status", |raw| unframed(raw).is_some(), until)?;
            unframed(&framed).ok_or(FaultCode::Malformed)
        }
        Question::ChronyTracking => tracking(host.ports.chrony, until),
        Question::Units => bus::units(&host.path(bus::SOCKET)?, until),
    }
}

pub(super) fn recorded(host: &Host, question: Question<'_>, _: Instant) -> Result<Vec<u8>, FaultCode> {
    let bytes_max = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
    let nut = |ups| host.read_bytes(&format!("recorded/nut/{}", nut_line(ups)), bytes_max);
    match question {
        Question::NutList => nut(None),
        Question::NutVariables(name) => nut(Some(name)),
        Question::ApcupsdStatus => host.read_bytes("recorded/apcupsd", bytes_max),
        Question::ChronyTracking => from_hex(&host.read("recorded/chrony", bytes_max)?).ok_or(FaultCode::Malformed),
        // Whoever may not reach the socket has no answer either.
        Question::Units => host.path(bus::SOCKET).and_then(|_| from_hex(&host.read("recorded/systemd", bytes_max)?).ok_or(FaultCode::Malformed)),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.trim_end().as_bytes().chunks(2).map(byte).collect()
}

/// The time that is left.
pub(super) fn left(until: Instant) -> Result<Duration, FaultCode> {
    until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(FaultCode::TimedOut)
}

/// Writes a question and reads until the answer is whole, or the other side has closed.
fn over_tcp(port: u16, question: &[u8], is_whole: fn(&[u8]) -> bool, until: Instant) -> Result<Vec<u8>, FaultCode> {
    let failed = |error: std::io::Error| code(&error);
    let mut stream = TcpStream::connect_timeout(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into(), left(until)?.min(CONNECT_MAX)).map_err(failed)?;
    stream.set_write_timeout(Some(left(until)?)).map_err(failed)?;
    stream.write_all(question).map_err(failed)?;
    let mut answer = Vec::new();
    receive(&mut stream, &mut answer, ANSWER_BYTES_MAX, is_whole, until)?;
    if answer.is_empty() { Err(FaultCode::IoError) } else { Ok(answer) }
}

/// Reads on until the answer is whole, or the other side has closed; every wait is for what is left of the time.
pub(super) fn receive(
    stream: &mut (impl Read + AsFd),
    answer: &mut Vec<u8>,
    bytes_max: usize,
    is_whole: impl Fn(&[u8]) -> bool,
    until: Instant,
) -> Result<(), FaultCode> {
    let mut part = [0; 4096];
    while !is_whole(answer) {
        set_socket_timeout(&*stream, Timeout::Recv, Some(left(until)?)).map_err(|error| code(&error.into()))?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(code(&error)),
        }
        if answer.len() > bytes_max {
            return Err(FaultCode::TooLarge);
        }
    }
    Ok(())
}

/// The answer to LOGOUT, which stands behind the one that was wanted; older versions say it without `OK`.
fn said_goodbye(answer: &[u8]) -> bool {
    [&b"\nOK Goodbye\n"[..], b"\nGoodbye...\n"].iter().any(|end| answer.ends_with(end))
}

/// What apcupsd's frames hold (length in two bytes, text) up to the empty one that ends an answer; `None` without it.
pub(crate) fn unframed(raw: &[u8]) -> Option<Vec<u8>> {
    let (mut text, mut rest) = (Vec::new(), raw);
    loop {
        let (length, behind) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 {
            return Some(text);
        }
        let (frame, behind) = behind.split_at_checked(length)?;
        text.extend_from_slice(frame);
        rest = behind;
    }
}

/// One datagram there, one back, which must repeat a number that nobody else knows.
fn tracking(port: u16, until: Instant) -> Result<Vec<u8>, FaultCode> {
    let failed = |error: std::io::Error| code(&error);
    let sequence: [u8; 4] = clock::random().map_err(failed)?;
    let mut request = [TRACKING.as_slice(), &sequence].concat();
    request.resize(TRACKING_BYTES, 0);
    let socket = datagrams(port).map_err(failed)?;
    socket.set_read_timeout(Some(left(until)?)).map_err(failed)?;
    socket.send(&request).map_err(failed)?;
    // One byte more than fits, so that what is longer is seen to be.
    let mut answer = vec![0; TRACKING_BYTES + 1];
    let length = socket.recv(&mut answer).map_err(failed)?;
    answer.truncate(length);
    if answer.get(REPLY_SEQUENCE) == Some(&sequence) { Ok(answer) } else { Err(FaultCode::Malformed) }
}

/// The standard library binds a socket before it connects it, which asks to be reachable; this only connects.
fn datagrams(port: u16) -> std::io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(socket.into())
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
