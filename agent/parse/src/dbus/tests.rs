use super::*;
use proptest::prelude::*;

/// What systemd 252 of Debian 12 answered to `ListUnitsByPatterns` of six names, through its dbus-daemon, to an account
/// without any right: the same array as that of `ListUnits`, shorter.
const CAPTURED: &str = "6c020101be0300000a0000003d000000050175000200000006017300040000003a312e3100000000080167000d61287373737373736f75736f2900000000000007017300040000\
        003a312e3000000000b603000000000000070000002d2e736c696365000a000000526f6f7420536c6963650000060000006c6f6164656400000600000061637469766500000600\
        0000616374697665000000000000000000002a0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f5f32645f3265736c69636500000000000000\
        00000000000000010000002f000000000000000e00000062726f6b656e2e7365727669636500000a0000002f62696e2f66616c73650000060000006c6f61646564000006000000\
        6661696c65640000060000006661696c6564000000000000000000002f0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f62726f6b656e5f32\
        657365727669636500000000000000000000000000010000002f0000000d000000616761696e2e736572766963650000000a0000002f62696e2f66616c73650000060000006c6f\
        6164656400000a00000061637469766174696e6700000c0000006175746f2d726573746172740000000000000000000000002e0000002f6f72672f667265656465736b746f702f\
        73797374656d64312f756e69742f616761696e5f3265736572766963650000000000000000000000000000010000002f000000000000000e000000626f6f742e6175746f6d6f75\
        6e7400000e000000626f6f742e6175746f6d6f756e740000090000006e6f742d666f756e6400000008000000696e61637469766500000000040000006465616400000000000000\
        00000000002f0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f626f6f745f32656175746f6d6f756e74000000000000000000000000000100\
        00002f000000000000000c000000646275732e736572766963650000000018000000442d4275732053797374656d204d6573736167652042757300000000060000006c6f616465\
        6400000600000061637469766500000700000072756e6e696e670000000000000000002d0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f64\
        6275735f326573657276696365000000000000000000000000000000010000002f0000000a000000626f6f742e6d6f756e7400000a000000626f6f742e6d6f756e740000090000\
        006e6f742d666f756e6400000008000000696e6163746976650000000004000000646561640000000000000000000000002b0000002f6f72672f667265656465736b746f702f73\
        797374656d64312f756e69742f626f6f745f32656d6f756e7400000000000000000000000000010000002f00";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Writes messages, in either order of bytes.
#[derive(Debug, Clone)]
struct Writer {
    is_big: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: usize) {
        self.align(4);
        let number = u32::try_from(number).unwrap();
        self.bytes.extend(if self.is_big { number.to_be_bytes() } else { number.to_le_bytes() });
    }

    fn string(&mut self, text: &str) {
        self.number(text.len());
        self.bytes.extend([text.as_bytes(), b"\0"].concat());
    }

    fn signature(&mut self, text: &str) {
        self.bytes.push(u8::try_from(text.len()).unwrap());
        self.bytes.extend([text.as_bytes(), b"\0"].concat());
    }

    fn put(&mut self, at: usize, number: usize) {
        let mut other = Writer { is_big: self.is_big, bytes: Vec::new() };
        other.number(number);
        self.bytes[at..at + 4].copy_from_slice(&other.bytes);
    }
}

/// One part of a message, written by itself.
type Part<'a> = &'a dyn Fn(&mut Writer);

/// A message of this kind with these fields, each written by itself behind its code, and this body.
fn message(is_big: bool, kind: u8, fields: &[(u8, Part<'_>)], body: impl Fn(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer { is_big, bytes: vec![if is_big { b'B' } else { b'l' }, kind, 1, 1] };
    [0, 7, 0].into_iter().for_each(|number| writer.number(number));
    for (code, value) in fields {
        writer.align(8);
        writer.bytes.push(*code);
        value(&mut writer);
    }
    writer.put(12, writer.bytes.len() - 16);
    writer.align(8);
    let begins = writer.bytes.len();
    body(&mut writer);
    writer.put(4, writer.bytes.len() - begins);
    writer.bytes
}

fn to_two(writer: &mut Writer) {
    writer.signature("u");
    writer.number(2);
}

fn text_field(text: &'static str) -> impl Fn(&mut Writer) {
    move |writer| {
        writer.signature("s");
        writer.string(text);
    }
}

fn of_units(writer: &mut Writer) {
    writer.signature("g");
    writer.signature(UNITS);
}

fn listed(writer: &mut Writer, units: &[[&str; 3]]) {
    let at = writer.bytes.len();
    writer.number(0);
    writer.align(8);
    let begins = writer.bytes.len();
    for [name, active, sub] in units {
        writer.align(8);
        for text in [name, "説明", "loaded", active, sub, "", "/org/freedesktop/systemd1/unit/x"] {
            writer.string(text);
        }
        writer.number(7);
        writer.string("start");
        writer.string("/");
    }
    writer.put(at, writer.bytes.len() - begins);
}

fn answer(is_big: bool, units: &[[&str; 3]]) -> Vec<u8> {
    message(is_big, METHOD_RETURN, &[(5, &to_two), (7, &text_field(":1.0")), (8, &of_units)], |writer| listed(writer, units))
}

fn refusal(name: &'static str) -> Vec<u8> {
    let body = |writer: &mut Writer| writer.string("秘密 in words");
    let signature = |writer: &mut Writer| {
        writer.signature("g");
        writer.signature("s");
    };
    message(false, ERROR, &[(4, &text_field(name)), (5, &to_two), (8, &signature)], body)
}

#[test]
fn what_systemd_answered_is_counted() {
    let captured = bytes(CAPTURED);
    let read = Message::read(&captured).unwrap();
    assert_eq!((read.answers(), read.is_error(), length(&captured[..16])), (Some(2), false, Ok(Some(captured.len()))));
    assert_eq!(units(&captured), Ok(Units { total: 6, failed: 1, restarting: 1 }));
}

#[test]
fn both_orders_of_bytes_are_read() {
    let listed =
        [["a.service", "failed", "failed"], ["b.mount", "active", "mounted"], ["c.service", "activating", "auto-restart-queued"], ["d", "failed", "x"]];
    for is_big in [false, true] {
        for number in 1..=listed.len() {
            let restarting = i64::from(number > 2);
            let expected = Units { total: i64::try_from(number).unwrap(), failed: if number == 4 { 2 } else { 1 }, restarting };
            assert_eq!(units(&answer(is_big, &listed[..number])), Ok(expected), "{is_big} {number}");
        }
        assert_eq!(units(&answer(is_big, &[])), Err("malformed"), "systemd is never without a unit");
    }
}

#[test]
fn a_refusal_is_told_by_its_name_and_its_words_are_left() {
    for (name, expected) in [
        ("org.freedesktop.DBus.Error.AccessDenied", "permission_denied"),
        ("org.freedesktop.DBus.Error.ServiceUnknown", "not_running"),
        ("org.freedesktop.DBus.Error.NoReply", "timed_out"),
        ("org.freedesktop.DBus.Error.UnknownMethod", "unsupported"),
        ("org.freedesktop.DBus.Error.LimitsExceeded", "io_error"),
        ("org.example.AccessDenied", "io_error"),
    ] {
        let refused = refusal(name);
        assert_eq!((units(&refused), Message::read(&refused).unwrap().answers()), (Err(expected), Some(2)), "{name}");
    }
    let nameless = message(false, ERROR, &[(5, &to_two)], |_| {});
    assert_eq!(units(&nameless), Err("malformed"));
}

#[test]
fn what_answers_nothing_is_told_apart_and_unknown_fields_are_passed_over() {
    let plain = |writer: &mut Writer| {
        writer.signature("t");
        writer.align(8);
        writer.bytes.extend([1; 8]);
    };
    let signal = message(false, 4, &[(1, &text_field("/x")), (200, &plain), (5, &to_two)], |_| {});
    assert_eq!(Message::read(&signal).unwrap().answers(), None);
    assert_eq!(units(&signal), Err("malformed"));
    let other = message(false, METHOD_RETURN, &[(5, &to_two), (200, &plain)], |_| {});
    assert_eq!((Message::read(&other).unwrap().answers(), units(&other)), (Some(2), Err("malformed")));
    // What holds other values than plain ones nests, and no field that is known does.
    for kind in ["as", "v", "(s)", "a{sv}", "", "ss", "z"] {
        let nests = |writer: &mut Writer| {
            writer.signature(kind);
            writer.number(0);
        };
        assert_eq!(Message::read(&message(false, 4, &[(200, &nests)], |_| {})).err(), Some(Malformed), "{kind}");
    }
    for (code, value) in [(0, &to_two as Part<'_>), (5, &text_field("2")), (4, &to_two), (8, &to_two)] {
        assert_eq!(Message::read(&message(false, METHOD_RETURN, &[(code, value)], |_| {})).err(), Some(Malformed), "{code}");
    }
}

#[test]
fn lengths_are_believed_only_as_far_as_they_fit() {
    assert_eq!(length(&[b'l'; 15]), Ok(None));
    for is_big in [false, true] {
        let whole = answer(is_big, &[["a.service", "active", "running"]]);
        let mut longer = whole.clone();
        longer.push(0);
        for wrong in [&whole[..whole.len() - 1], &longer, &[]] {
            assert_eq!(units(wrong), Err("malformed"));
        }
        // Of body, fields, array, first string: more than there is, less, and the most that can be said.
        let body = Message::read(&whole).unwrap().body.at;
        for at in [4, 12, body, body + 8] {
            let mut writer = Writer { is_big, bytes: whole.clone() };
            let said = u32::from_ne_bytes(whole[at..at + 4].try_into().unwrap());
            let said = usize::try_from(if is_big { said.to_be() } else { said.to_le() }).unwrap();
            for number in [0, said - 1, said + 1, said + 8, 1 << 31, u32::MAX.try_into().unwrap()] {
                writer.put(at, number);
                assert_eq!(units(&writer.bytes), Err("malformed"), "{at} {number}");
            }
        }
    }
    for (at, byte) in [(0, b'x'), (1, 0), (3, 2)] {
        let mut other = answer(false, &[["a.service", "active", "running"]]);
        other[at] = byte;
        assert_eq!(units(&other), Err("malformed"), "{at}");
    }
}

/// Padding, the zero behind a text, UTF-8: each byte of a message has one meaning, and what has none is refused.
#[test]
fn what_stands_between_values_must_be_zero() {
    let whole = answer(false, &[["abcd", "active", "running"], ["b", "failed", "failed"]]);
    let expected = units(&whole).unwrap();
    let body = Message::read(&whole).unwrap().body.at;
    for at in (body..whole.len()).filter(|at| whole[*at] == 0) {
        let mut other = whole.clone();
        other[at] = 0xff;
        // The upper bytes of a length and of a job's number are zeros that mean something.
        assert!(units(&other) == Err("malformed") || units(&other) == Ok(expected), "{at}");
    }
    for (at, byte) in [(body + 5, 1), (body + 12 + 4, 1), (body + 12, 0xff), (body + 12, 0)] {
        let mut other = whole.clone();
        other[at] = byte;
        assert_eq!(units(&other), Err("malformed"), "{at}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(any: Vec<u8>, begins in "(l|B)[\\x00-\\x05][\\x00-\\x03]\\x01") {
        let begun = [begins.as_bytes(), &any].concat();
        for input in [&any, &begun] {
            prop_assert!(length(input).is_err() || input.len() < PRELUDE_BYTES || length(input).is_ok_and(|whole| whole.is_some()));
            prop_assert!(units(input).is_err(), "no unit fits in so few bytes of chance");
        }
    }

    #[test]
    fn a_message_with_any_bytes_changed_is_counted_or_refused(is_big: bool, changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut: usize) {
        let mut other = answer(is_big, &[["a.service", "failed", "failed"], ["b.service", "activating", "auto-restart"]]);
        for (at, byte) in &changes {
            let at = at % other.len();
            other[at] = *byte;
        }
        if let Ok(counted) = units(&other) {
            prop_assert!(counted.total <= 2 && counted.failed + counted.restarting <= 2 * counted.total);
        }
        other.truncate(cut % other.len());
        prop_assert_eq!(units(&other), Err("malformed"));
    }

    #[test]
    fn what_is_written_is_counted(is_big: bool, listed in proptest::collection::vec((".{0,40}", "(active|failed|activating)", "(auto-restart|running|dead)"), 1..20)) {
        let listed: Vec<[&str; 3]> = listed.iter().map(|(name, active, sub)| [name.as_str(), active, sub]).filter(|unit| !unit[0].contains('\0')).collect();
        prop_assume!(!listed.is_empty());
        let count = |at: usize, word: &str| i64::try_from(listed.iter().filter(|unit| unit[at] == word).count()).unwrap();
        let expected = Units { total: i64::try_from(listed.len()).unwrap(), failed: count(1, "failed"), restarting: count(2, "auto-restart") };
        prop_assert_eq!(units(&answer(is_big, &listed)), Ok(expected));
    }
}
