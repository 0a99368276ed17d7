//! One message of D-Bus as its specification marshals it (protocol version 1, either byte order), and in it systemd's
//! answer to `ListUnits` (org.freedesktop.systemd1(5)): units are counted, none is named.
//!
//! Nothing is as long as it says it is before it is there, whatever stands between two values must be zero, and nothing
//! nests: a header whose fields hold more than one plain value is none that the specification names.

use crate::systemd;

/// What every message begins with, in bytes; its length follows from it.
pub const PRELUDE_BYTES: usize = 16;

const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
/// Codes of the header's fields.
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const SIGNATURE: u8 = 8;
/// An array of units: name, description, load state, active state, sub state, unit that is followed, object, and of its
/// job number, type and object.
const UNITS: &str = "a(ssssssouso)";

/// It is no message, or not the one that was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A message. What its body says is read when it is known which question it answers.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    kind: u8,
    reply_to: Option<u32>,
    error: Option<&'a str>,
    signature: &'a str,
    body: Reader<'a>,
}

/// How many units there are. Their names were read and are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Loaded, whatever their state.
    pub total: i64,
    /// In the active state `failed`.
    pub failed: i64,
    /// Ended, and waiting to be started again.
    pub restarting: i64,
}

/// How long the message is that begins here, in bytes; `None` while its first [`PRELUDE_BYTES`] are not all there.
///
/// # Errors
/// When it is none of version 1, or claims more than any message may have.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
    let mut reader = Reader::of(prelude).filter(|_| prelude[3] == 1).ok_or(Malformed)?;
    reader.at = 4;
    let body = reader.u32().ok_or(Malformed)?;
    reader.at = 12;
    let fields = reader.u32().ok_or(Malformed)?;
    // The specification's bounds of an array and of a message. Whoever reads has one of its own.
    if fields > 1 << 26 || body > 1 << 27 {
        return Err(Malformed);
    }
    let whole = |fields: usize, body: usize| fields.checked_add(PRELUDE_BYTES)?.checked_next_multiple_of(8)?.checked_add(body);
    usize::try_from(fields).ok().zip(usize::try_from(body).ok()).and_then(|(fields, body)| whole(fields, body)).map(Some).ok_or(Malformed)
}

impl<'a> Message<'a> {
    /// Reads the header of a whole message.
    ///
    /// # Errors
    /// When it is no message, or is cut, or goes on behind its end.
    pub fn read(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        if length(bytes)? != Some(bytes.len()) {
            return Err(Malformed);
        }
        Message::header(bytes).ok_or(Malformed)
    }

    fn header(bytes: &'a [u8]) -> Option<Message<'a>> {
        let mut body = Reader::of(bytes)?;
        let mut message = Message { kind: *bytes.get(1)?, reply_to: None, error: None, signature: "", body: body.clone() };
        body.at = 12;
        let end = usize::try_from(body.u32()?).ok()?.checked_add(PRELUDE_BYTES)?;
        while body.at < end {
            body.align(8)?;
            let code = body.byte()?;
            match (code, body.signature()?) {
                (0, _) => return None,
                (ERROR_NAME, "s") => message.error = Some(body.string()?),
                (REPLY_SERIAL, "u") => message.reply_to = Some(body.u32()?),
                (SIGNATURE, "g") => message.signature = body.signature()?,
                (ERROR_NAME | REPLY_SERIAL | SIGNATURE, _) => return None,
                (_, kind) => body.skip(kind)?,
            }
        }
        if body.at != end || message.kind == 0 {
            return None;
        }
        body.align(8)?;
        Some(Message { body, ..message })
    }

    /// The serial number of the call that this answers; `None` of whatever is no answer.
    #[must_use]
    pub fn answers(&self) -> Option<u32> {
        self.reply_to.filter(|_| [METHOD_RETURN, ERROR].contains(&self.kind))
    }

    /// Whether the call was refused.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.kind == ERROR
    }
}

/// The words for the names of errors of the specification, and of systemd; every other is `io_error`.
const REFUSALS: &[(&str, &str)] = &[
    ("AccessDenied", "permission_denied"),
    ("InteractiveAuthorizationRequired", "permission_denied"),
    // Nobody has the name on the bus: it is there, and systemd is not.
    ("ServiceUnknown", "not_running"),
    ("NameHasNoOwner", "not_running"),
    ("NoReply", "timed_out"),
    ("Timeout", "timed_out"),
    ("TimedOut", "timed_out"),
    ("UnknownMethod", "unsupported"),
    ("UnknownInterface", "unsupported"),
    ("UnknownObject", "unsupported"),
];

/// Counts the units in systemd's answer to `ListUnits`.
///
/// # Errors
/// The word of a fault: why it was refused, or `malformed`. systemd is never without a unit: a list of none is no answer.
pub fn units(message: &[u8]) -> Result<Units, &'static str> {
    let message = Message::read(message).map_err(|Malformed| "malformed")?;
    if message.is_error() {
        let name = message.error.ok_or("malformed")?;
        let known = |(refusal, word): &(&str, &'static str)| (name.strip_prefix("org.freedesktop.DBus.Error.") == Some(refusal)).then_some(*word);
        return Err(REFUSALS.iter().find_map(known).unwrap_or("io_error"));
    }
    if message.kind != METHOD_RETURN || message.signature != UNITS {
        return Err("malformed");
    }
    counted(message.body).filter(|units| units.total > 0).ok_or("malformed")
}

/// The array fills the body to its last byte.
fn counted(mut body: Reader<'_>) -> Option<Units> {
    let bytes = usize::try_from(body.u32()?).ok()?;
    body.align(8)?;
    if body.at.checked_add(bytes)? != body.bytes.len() {
        return None;
    }
    let mut units = Units { total: 0, failed: 0, restarting: 0 };
    while body.at < body.bytes.len() {
        body.align(8)?;
        for kind in ["s", "s", "s"] {
            body.skip(kind)?;
        }
        let (active, sub) = (body.string()?, body.string()?);
        for kind in ["s", "o", "u", "s", "o"] {
            body.skip(kind)?;
        }
        units.total += 1;
        units.failed += i64::from(active == "failed");
        units.restarting += i64::from(systemd::waits_to_restart(sub));
    }
    Some(units)
}

/// Reads values in the order they stand; alignment is counted from the message's first byte.
#[derive(Debug, Clone)]
struct Reader<'a> {
    bytes: &'a [u8],
    is_big: bool,
    at: usize,
}

impl<'a> Reader<'a> {
    fn of(bytes: &'a [u8]) -> Option<Reader<'a>> {
        match bytes.first()? {
            b'l' => Some(Reader { bytes, is_big: false, at: 0 }),
            b'B' => Some(Reader { bytes, is_big: true, at: 0 }),
            _ => None,
        }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    /// Goes on to a multiple, over zeros.
    fn align(&mut self, to: usize) -> Option<()> {
        let over = self.at.checked_next_multiple_of(to)?.checked_sub(self.at)?;
        self.take(over)?.iter().all(|byte| *byte == 0).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = *self.take(4)?.first_chunk()?;
        Some(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn string(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.terminated(length)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?.into();
        self.terminated(length)
    }

    /// UTF-8 without a zero but the one behind its end.
    fn terminated(&mut self, length: usize) -> Option<&'a str> {
        let (end, text) = self.take(length.checked_add(1)?)?.split_last()?;
        let text = std::str::from_utf8(text).ok()?;
        (*end == 0 && !text.contains('\0')).then_some(text)
    }

    /// Passes over one plain value.
    fn skip(&mut self, kind: &str) -> Option<()> {
        let bytes = match kind {
            "s" => return self.string().map(drop),
            "o" => return self.string().filter(|path| path.starts_with('/')).map(drop),
            "g" => return self.signature().map(drop),
            "y" => 1,
            "n" | "q" => 2,
            "b" | "i" | "u" | "h" => 4,
            "x" | "t" | "d" => 8,
            _ => return None,
        };
        self.align(bytes)?;
        self.take(bytes).map(drop)
    }
}

#[cfg(test)]
mod tests;
