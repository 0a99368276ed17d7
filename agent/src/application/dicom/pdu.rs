//! The units of DICOM's upper layer (PS3.8, 9.3) and the command of a C-ECHO (PS3.7, 9.3.5): written and read, nothing else.

use super::Titles;
use crate::application::Class;
use crate::application::connect::io_class;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest unit, and longest answer of several, in bytes.
pub(super) const BYTES_MAX: usize = 64 * 1024;
/// What we say to take at most, in bytes.
const WE_TAKE: u32 = 16 * 1024;

pub(super) const ASSOCIATE_RQ: u8 = 1;
pub(super) const ASSOCIATE_AC: u8 = 2;
pub(super) const ASSOCIATE_RJ: u8 = 3;
pub(super) const DATA: u8 = 4;
pub(super) const RELEASE_RQ: u8 = 5;
pub(super) const ABORT: u8 = 7;

const CONTEXT: u8 = 1;
/// The only offer: verification, in either encoding that every node knows.
const APPLICATION_CONTEXT: &[u8] = b"1.2.840.10008.3.1.1.1";
const VERIFICATION: &[u8] = b"1.2.840.10008.1.1";
const IMPLICIT_LITTLE_ENDIAN: &[u8] = b"1.2.840.10008.1.2";
const EXPLICIT_LITTLE_ENDIAN: &[u8] = b"1.2.840.10008.1.2.1";
/// Ours, of a UUID made for it.
const IMPLEMENTATION: &[u8] = b"2.25.285280515134761495848487599586108874913";
const IMPLEMENTATION_NAME: &[u8] = b"MIMAMORI";

/// Version, reserved, two titles, reserved: what stands before the items of an association.
const ITEMS_AT: usize = 2 + 2 + 16 + 16 + 32;
const MESSAGE_ID: u16 = 1;
const ECHO_RQ: u16 = 0x0030;
const ECHO_RSP: u16 = 0x8030;
const NO_DATA_SET: u16 = 0x0101;
/// The elements of group 0 that matter.
const SOP_CLASS: u16 = 0x0002;
const COMMAND: u16 = 0x0100;
const ID: u16 = 0x0110;
const ID_ANSWERED: u16 = 0x0120;
const DATA_SET: u16 = 0x0800;
const STATUS: u16 = 0x0900;

/// One unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pdu {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Reads one unit, however it is cut on the way.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Pdu, Class> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).await.map_err(|error| io_class(&error))?;
    let [kind, _, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| Class::Protocol)?;
    if !(ASSOCIATE_RQ..=ABORT).contains(&kind) || length > BYTES_MAX {
        return Err(Class::Protocol);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(|error| io_class(&error))?;
    Ok(Pdu { kind, body })
}

/// Writes one unit. What is written here is short.
pub(super) fn write(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0], &u32::try_from(body.len()).unwrap_or_default().to_be_bytes()[..], body].concat()
}

fn item(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 0], &u16::try_from(content.len()).unwrap_or_default().to_be_bytes()[..], content].concat()
}

/// A title in its 16 bytes, filled up with spaces.
fn title(text: &str) -> Vec<u8> {
    text.bytes().chain(std::iter::repeat(b' ')).take(16).collect()
}

/// Asks for an association.
pub(super) fn associate(titles: &Titles) -> Vec<u8> {
    let context = [&[CONTEXT, 0, 0, 0][..], &item(0x30, VERIFICATION), &item(0x40, IMPLICIT_LITTLE_ENDIAN), &item(0x40, EXPLICIT_LITTLE_ENDIAN)].concat();
    let user = [item(0x51, &WE_TAKE.to_be_bytes()), item(0x52, IMPLEMENTATION), item(0x55, IMPLEMENTATION_NAME)].concat();
    let items = [item(0x10, APPLICATION_CONTEXT), item(0x20, &context), item(0x50, &user)].concat();
    write(ASSOCIATE_RQ, &[&[0, 1, 0, 0][..], &title(&titles.called), &title(&titles.calling), &[0; 32], &items].concat())
}

/// What an accepted association says of our offer: 0 is taken, everything else is not.
pub(super) fn context_result(accepted: &[u8]) -> Option<u8> {
    let mut items = accepted.get(ITEMS_AT..)?;
    while let [kind, _, a, b, rest @ ..] = items {
        let (content, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([*a, *b])))?;
        if let (0x21, [CONTEXT, _, result, ..]) = (*kind, content) {
            return Some(*result);
        }
        items = behind;
    }
    None
}

fn element(number: u16, value: &[u8]) -> Vec<u8> {
    [&[0, 0][..], &number.to_le_bytes(), &u32::try_from(value.len()).unwrap_or_default().to_le_bytes(), value].concat()
}

/// Asks for an echo.
pub(super) fn echo() -> Vec<u8> {
    // A UID of odd length is filled up with a zero.
    let sop_class = element(SOP_CLASS, &[VERIFICATION, &[0]].concat());
    let numbers = [(COMMAND, ECHO_RQ), (ID, MESSAGE_ID), (DATA_SET, NO_DATA_SET)].map(|(number, value)| element(number, &value.to_le_bytes()));
    let rest = [sop_class, numbers.concat()].concat();
    let length = element(0, &u32::try_from(rest.len()).unwrap_or_default().to_le_bytes());
    let command = [length, rest].concat();
    // The last piece of a command.
    let value = [&[CONTEXT, 3], &command[..]].concat();
    write(DATA, &[&u32::try_from(value.len()).unwrap_or_default().to_be_bytes()[..], &value].concat())
}

/// Adds the pieces of a unit of data to a command; whether it is whole, or `None` when this is no command.
pub(super) fn pieces(body: &[u8], command: &mut Vec<u8>) -> Option<bool> {
    let (mut rest, mut whole) = (body, false);
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (value, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let [CONTEXT, control, piece @ ..] = value else { return None };
        if whole || control & 1 == 0 {
            return None;
        }
        whole = control & 2 != 0;
        command.extend_from_slice(piece);
        rest = behind;
    }
    Some(whole)
}

/// The status of the answer to our echo, or `None` when this is something else.
pub(super) fn status(command: &[u8]) -> Option<u16> {
    let (mut kind, mut answered, mut status) = (None, None, None);
    let mut rest = command;
    while !rest.is_empty() {
        let (head, behind) = rest.split_first_chunk::<8>()?;
        let [0, 0, n0, n1, l0, l1, l2, l3] = *head else { return None };
        let (value, behind) = behind.split_at_checked(usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?)?;
        let number = || <[u8; 2]>::try_from(value).ok().map(u16::from_le_bytes);
        match u16::from_le_bytes([n0, n1]) {
            COMMAND => kind = number(),
            ID_ANSWERED => answered = number(),
            STATUS => status = number(),
            _ => {}
        }
        rest = behind;
    }
    status.filter(|_| kind == Some(ECHO_RSP) && answered == Some(MESSAGE_ID))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_written_as_the_standard_has_them() {
        let asked = associate(&Titles { called: "PACS".to_owned(), calling: "A123456789012345".to_owned() });
        assert_eq!(asked[..10], [1, 0, 0, 0, 0, u8::try_from(asked.len() - 6).unwrap(), 0, 1, 0, 0]);
        assert_eq!(&asked[10..42], b"PACS            A123456789012345");
        assert_eq!(asked[42..74], [0; 32]);
        assert_eq!(&asked[74..78], [0x10, 0, 0, 21]);
        let asked = echo();
        let mut command = Vec::new();
        assert_eq!(pieces(&asked[6..], &mut command), Some(true));
        assert_eq!(asked.len(), 6 + 6 + 68);
        assert_eq!(command[..12], [0, 0, 0, 0, 4, 0, 0, 0, 56, 0, 0, 0]);
        assert_eq!(status(&command), None, "a request is no answer");
    }

    #[test]
    fn an_answer_is_found_whatever_stands_beside_it() {
        let answer = |kind: u16, id: u16| {
            [element(COMMAND, &kind.to_le_bytes()), element(0x0003, b"x"), element(ID_ANSWERED, &id.to_le_bytes()), element(STATUS, &[0x22, 1])].concat()
        };
        assert_eq!(status(&answer(ECHO_RSP, 1)), Some(0x0122));
        assert_eq!((status(&answer(ECHO_RQ, 1)), status(&answer(ECHO_RSP, 2)), status(&[])), (None, None, None));
        assert_eq!(status(&[element(STATUS, &[0]), answer(ECHO_RSP, 1)].concat()), Some(0x0122));
        assert_eq!(status(&answer(ECHO_RSP, 1)[1..]), None);
        let context = |content: &[u8]| [&[0; ITEMS_AT][..], &item(0x10, b"1.2"), &item(0x21, content)].concat();
        assert_eq!((context_result(&context(&[1, 0, 0, 0])), context_result(&context(&[1, 0, 3, 0]))), (Some(0), Some(3)));
        assert_eq!((context_result(&context(&[3, 0, 0, 0])), context_result(&context(&[1])), context_result(&[0; 20])), (None, None, None));
    }

    proptest! {
        #[test]
        fn property_any_bytes_are_answered(head in prop::collection::vec(any::<u8>(), 0..80), body in prop::collection::vec(0u8..5, 0..200)) {
            let bytes = [head, body].concat();
            let mut command = Vec::new();
            prop_assert!(context_result(&bytes).is_none_or(|_| bytes.len() >= ITEMS_AT + 7));
            prop_assert!(status(&bytes).is_none_or(|_| bytes.len() >= 30));
            prop_assert!(pieces(&bytes, &mut command).is_none_or(|_| command.len() <= bytes.len()));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            match runtime.block_on(read(&mut &bytes[..])) {
                Ok(pdu) => prop_assert!(pdu.body.len() + 6 <= bytes.len()),
                Err(class) => prop_assert!(matches!(class, Class::Protocol | Class::Closed)),
            }
        }

        #[test]
        fn property_a_command_survives_being_cut(cuts in prop::collection::vec(1usize..30, 0..6), status_sent in any::<u16>()) {
            let numbers = [(COMMAND, ECHO_RSP), (ID_ANSWERED, 1), (STATUS, status_sent)];
            let command = numbers.map(|(number, value)| element(number, &value.to_le_bytes())).concat();
            let (mut rest, mut body) = (&command[..], Vec::new());
            let mut piece = |control: u8, piece: &[u8]| {
                body.extend(u32::try_from(piece.len() + 2).unwrap().to_be_bytes());
                body.extend([CONTEXT, control]);
                body.extend_from_slice(piece);
            };
            for cut in cuts {
                let (first, behind) = rest.split_at(cut.min(rest.len()));
                piece(1, first);
                rest = behind;
            }
            piece(3, rest);
            let mut read = Vec::new();
            prop_assert_eq!(pieces(&body, &mut read), Some(true));
            prop_assert_eq!(status(&read), Some(status_sent));
        }
    }
}
