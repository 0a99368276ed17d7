//! The one question that is put to the system bus: which units systemd has. It changes nothing, systemd answers it to
//! every account, and the messages are constants: there is nothing else that this could write.
//!
//! D-Bus specification: authentication (EXTERNAL, by the account that the kernel names), message protocol. Every client
//! says `Hello` first, and the bus then hands on what it is sent.

use super::ask::{left, receive};
use super::code;
use mimamori_parse::dbus::{self, Malformed, Message};
use mimamori_shared::payload::FaultCode;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

/// Where the bus listens, below the root.
pub(super) const SOCKET: &str = "run/dbus/system_bus_socket";
/// Most that is read of a bus, in bytes: several thousand units, of 200 to 400 each.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What the bus says before there are messages, in bytes; a tenth of it is usual.
const WELCOME_BYTES_MAX: usize = 512;

/// A zero, because on some systems it carries who asks; then EXTERNAL without a name, which leaves that to the kernel.
const AUTH: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\n";
/// What ends authentication, and both calls behind it; of none is anybody started to answer it.
const QUESTION: &[u8] = b"BEGIN\r\n\
    l\x01\x02\x01\0\0\0\0\x01\0\0\0\x6d\0\0\0\
    \x01\x01o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0\
    \x02\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
    \x03\x01s\0\x05\0\0\0Hello\0\0\0\
    \x06\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
    l\x01\x02\x01\0\0\0\0\x02\0\0\0\x91\0\0\0\
    \x01\x01o\0\x19\0\0\0/org/freedesktop/systemd1\0\0\0\0\0\0\0\
    \x02\x01s\0\x20\0\0\0org.freedesktop.systemd1.Manager\0\0\0\0\0\0\0\0\
    \x03\x01s\0\x09\0\0\0ListUnits\0\0\0\0\0\0\0\
    \x06\x01s\0\x18\0\0\0org.freedesktop.systemd1\0\0\0\0\0\0\0\0";
/// The serial numbers of the calls in it.
const HELLO: u32 = 1;
const LIST_UNITS: u32 = 2;

/// The message that answers or refuses the question.
pub(super) fn units(socket: &Path, until: Instant) -> Result<Vec<u8>, FaultCode> {
    let mut bus = reach(socket, until)?;
    write(&mut bus, AUTH, until)?;
    welcome(&mut bus, until)?;
    // dbus-daemon asks who it is, says that this is fine, and hangs up without a word on whom its policy does not take.
    let turned_away = |fault, begins: usize| if fault == FaultCode::IoError && begins == 0 { FaultCode::PermissionDenied } else { fault };
    write(&mut bus, QUESTION, until).map_err(|fault| turned_away(fault, 0))?;
    let (mut read, mut begins) = (Vec::new(), 0);
    let ends = loop {
        let ends = message(&mut bus, &mut read, begins, until).map_err(|fault| turned_away(fault, begins))?;
        let told = Message::read(read.get(begins..ends).unwrap_or_default()).map_err(|Malformed| FaultCode::Malformed)?;
        // The bus welcomes its client with an answer to Hello and with signals; when it does not, it says why.
        match told.answers() {
            Some(LIST_UNITS) => break ends,
            Some(HELLO) if told.is_error() => break ends,
            _ => begins = ends,
        }
    };
    read.truncate(ends);
    read.drain(..begins);
    Ok(read)
}

/// Where nobody takes connections any more the kernel would have us wait without an end, but for the time of a write.
fn reach(socket: &Path, until: Instant) -> Result<UnixStream, FaultCode> {
    let failed = |error: rustix::io::Errno| code(&error.into());
    let address = SocketAddrUnix::new(socket).map_err(failed)?;
    let bus = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed)?;
    set_socket_timeout(&bus, Timeout::Send, Some(left(until)?)).map_err(failed)?;
    connect(&bus, &address).map_err(failed)?;
    Ok(bus.into())
}

fn write(bus: &mut UnixStream, question: &[u8], until: Instant) -> Result<(), FaultCode> {
    bus.set_write_timeout(Some(left(until)?)).and_then(|()| bus.write_all(question)).map_err(|error| code(&error))
}

/// A challenge without content comes before `OK`, in a line of its own.
fn welcome(bus: &mut UnixStream, until: Instant) -> Result<(), FaultCode> {
    let decided = |said: &[u8]| !said.starts_with(b"DATA\r\n") || said.len() > b"DATA\r\n".len();
    let mut said = Vec::new();
    receive(bus, &mut said, WELCOME_BYTES_MAX, |said| decided(said) && said.ends_with(b"\r\n"), until)?;
    let line = said.strip_prefix(b"DATA\r\n").unwrap_or(&said);
    let is_one_line = line.iter().position(|byte| *byte == b'\n') == line.len().checked_sub(1);
    match line.split(u8::is_ascii_whitespace).next() {
        _ if said.is_empty() => Err(FaultCode::IoError),
        Some(b"OK") if is_one_line => Ok(()),
        Some(b"REJECTED") => Err(FaultCode::PermissionDenied),
        _ => Err(FaultCode::Malformed),
    }
}

/// Where the message ends that begins here; what is read of those behind it stays behind it.
fn message(bus: &mut UnixStream, read: &mut Vec<u8>, begins: usize, until: Instant) -> Result<usize, FaultCode> {
    let so_far = |read: &[u8]| read.len().saturating_sub(begins);
    receive(bus, read, ANSWER_BYTES_MAX, |read| so_far(read) >= dbus::PRELUDE_BYTES, until)?;
    let length = dbus::length(read.get(begins..).unwrap_or_default()).map_err(|Malformed| FaultCode::Malformed)?;
    let length = length.ok_or(if so_far(read) == 0 { FaultCode::IoError } else { FaultCode::Malformed })?;
    let ends = begins.checked_add(length).filter(|ends| *ends <= ANSWER_BYTES_MAX).ok_or(FaultCode::TooLarge)?;
    receive(bus, read, ANSWER_BYTES_MAX, |read| so_far(read) >= length, until)?;
    if so_far(read) < length { Err(FaultCode::Malformed) } else { Ok(ends) }
}

#[cfg(test)]
#[path = "bus_tests.rs"]
mod tests;
