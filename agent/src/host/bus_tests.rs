use crate::host::Host;
use crate::host::ask::Question;
use mimamori_parse::dbus::{Message, length};
use mimamori_shared::payload::FaultCode;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far more than these tests' other side needs, far less than a person would wait.
const SHORT: Duration = Duration::from_millis(300);
const OK: &[u8] = b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n";
/// What a bus says to Hello: an answer to call 1 and a signal, without what is of no use here.
const HELLO: &[u8] = b"l\x02\x01\x01\0\0\0\0\x01\0\0\0\x08\0\0\0\x05\x01u\0\x01\0\0\0l\x04\x01\x01\0\0\0\0\x02\0\0\0\0\0\0\0";
/// An answer to call 2 with the body of four zeros, from a side whose numbers are big-endian.
const ANSWER: &[u8] = b"B\x02\x01\x01\0\0\0\x04\0\0\0\x09\0\0\0\x08\x05\x01u\0\0\0\0\x02\0\0\0\0";

fn place(folder: &TempDir) -> PathBuf {
    let place = folder.path().join(super::SOCKET);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    place
}

/// A bus that is asked once, for a short time only, and how long it took.
fn asked(bus: impl FnOnce(UnixStream) + Send + 'static) -> (Result<Vec<u8>, FaultCode>, Duration) {
    asked_for(SHORT, bus)
}

fn asked_for(limit: Duration, bus: impl FnOnce(UnixStream) + Send + 'static) -> (Result<Vec<u8>, FaultCode>, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(place(&folder)).unwrap();
    std::thread::spawn(move || bus(listener.accept().unwrap().0));
    ask(&folder, limit)
}

fn ask(folder: &TempDir, limit: Duration) -> (Result<Vec<u8>, FaultCode>, Duration) {
    let begun = Instant::now();
    let answer = Host::below(folder.path()).ask(Question::Units, begun + limit);
    (answer, begun.elapsed())
}

/// Takes what the agent says in order to be let in, and says this to it.
fn welcome(bus: &mut UnixStream, said: &[u8]) {
    let mut auth = [0; super::AUTH.len()];
    bus.read_exact(&mut auth).unwrap();
    assert_eq!(auth, *b"\0AUTH EXTERNAL\r\nDATA\r\n");
    bus.write_all(said).unwrap();
}

fn let_in(bus: &mut UnixStream) {
    welcome(bus, OK);
}

/// The same, and takes the question.
fn until_asked(bus: &mut UnixStream) -> Vec<u8> {
    let_in(bus);
    let mut question = vec![0; super::QUESTION.len()];
    bus.read_exact(&mut question).unwrap();
    question
}

#[test]
fn the_question_is_the_fixed_one_and_nothing_else_is_written() {
    let (say, said) = std::sync::mpsc::channel();
    let (answer, _) = asked(move |mut bus| {
        let question = until_asked(&mut bus);
        bus.write_all(&[HELLO, ANSWER, b"behind it"].concat()).unwrap();
        // It stays open until the agent goes.
        let mut more = Vec::new();
        bus.read_to_end(&mut more).unwrap();
        say.send((question, more)).unwrap();
    });
    assert_eq!(answer.unwrap(), ANSWER);
    let (question, more) = said.recv().unwrap();
    assert_eq!(more, b"");
    let calls = question.strip_prefix(b"BEGIN\r\n").unwrap();
    let (hello, list) = calls.split_at(length(calls).unwrap().unwrap());
    for (call, serial, words) in [
        (hello, 1, ["/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "org.freedesktop.DBus"]),
        (list, 2, ["/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "ListUnits", "org.freedesktop.systemd1"]),
    ] {
        let header = Message::read(call).unwrap();
        assert_eq!((header.answers(), header.is_error(), length(call)), (None, false, Ok(Some(call.len()))));
        // A method call for which nobody is started, without a body.
        assert_eq!(call[..12], [b'l', 1, 2, 1, 0, 0, 0, 0, serial, 0, 0, 0]);
        let texts = call[16..].split(|byte| *byte < 0x20).filter(|part| part.len() > 1);
        assert_eq!(texts.map(|part| std::str::from_utf8(part).unwrap()).collect::<Vec<_>>(), words);
    }
}

#[test]
fn an_answer_is_whole_however_it_comes() {
    let (answer, _) = asked_for(SHORT * 100, |mut bus| {
        let whole = [HELLO, ANSWER].concat();
        until_asked(&mut bus);
        for byte in whole {
            bus.write_all(&[byte]).unwrap();
        }
        drop(bus.read(&mut [0; 9]));
    });
    assert_eq!(answer.unwrap(), ANSWER);
}

#[test]
fn whoever_does_not_answer_in_time_is_left() {
    let silent: [fn(&mut UnixStream); 3] = [|_| {}, let_in, |bus| drop(until_asked(bus))];
    for before in silent {
        let (answer, took) = asked(move |mut bus| {
            before(&mut bus);
            bus.read_to_end(&mut Vec::new()).unwrap();
        });
        assert_eq!(answer, Err(FaultCode::TimedOut));
        assert!((SHORT..SHORT * 3).contains(&took), "{took:?}");
    }
    // Each byte comes in time, and the answer never does.
    for (before, part) in [(silent[0], &b"x"[..]), (silent[2], &[b'l', 4, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0])] {
        let (answer, took) = asked(move |mut bus| {
            before(&mut bus);
            for byte in part.iter().chain(std::iter::repeat(&0)) {
                if bus.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        assert_eq!(answer, Err(FaultCode::TimedOut), "{part:?}");
        assert!((SHORT..SHORT * 3).contains(&took), "{took:?}");
    }
}

/// The kernel takes connections for the bus only as long as its queue has room.
#[test]
fn a_bus_that_takes_no_connection_is_left_in_time() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
    let folder = tempfile::tempdir().unwrap();
    let address = SocketAddrUnix::new(place(&folder)).unwrap();
    let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    let bus = socket();
    bind(&bus, &address).unwrap();
    listen(&bus, 1).unwrap();
    let mut waiting = Vec::new();
    loop {
        let one = socket();
        let is_full = connect(&one, &address).is_err();
        waiting.push(one);
        if is_full {
            break;
        }
    }
    let (answer, took) = ask(&folder, SHORT);
    assert_eq!(answer, Err(FaultCode::TimedOut));
    assert!((SHORT..SHORT * 3).contains(&took), "{took:?}");
}

#[test]
fn an_endless_answer_is_left_at_the_bound() {
    let signal = &HELLO[24..];
    let claims = |body: u32| [&b"l\x02\x01\x01"[..], &body.to_le_bytes(), &[1, 0, 0, 0, 8, 0, 0, 0]].concat();
    // Its numbers may be larger than the agent reads, or larger than any message is.
    for (flood, expected) in [
        (signal.repeat(1000), FaultCode::TooLarge),
        (claims(2 << 20), FaultCode::TooLarge),
        (claims(1 << 27), FaultCode::TooLarge),
        (claims(u32::MAX), FaultCode::Malformed),
    ] {
        // The bound ends it, not the time.
        let (answer, _) = asked_for(SHORT * 100, move |mut bus| {
            until_asked(&mut bus);
            while bus.write_all(&flood).is_ok() {}
        });
        assert_eq!(answer, Err(expected));
    }
    let (answer, _) = asked_for(SHORT * 100, |mut bus| while bus.write_all(b"OKOKOK").is_ok() {});
    assert_eq!(answer, Err(FaultCode::TooLarge), "the welcome has a bound of its own");
}

#[test]
fn what_is_no_bus_is_not_understood() {
    for said in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"ERROR\r\n", b"OK\r\nmore\r\n", b"DATA\r\nDATA\r\n", b"\0\0\r\n", b"OK"] {
        let (answer, _) = asked(move |mut bus| welcome(&mut bus, said));
        assert_eq!(answer, Err(FaultCode::Malformed), "{said:?}");
    }
    for said in [&b"x"[..], &[0; 16], &ANSWER[..20], b"HTTP/1.1 400 Bad Request\r\n\r\n", &HELLO[..30], &[&HELLO[..19], b"x", &HELLO[20..], ANSWER].concat()] {
        let said = said.to_vec();
        let (answer, _) = asked(move |mut bus| {
            until_asked(&mut bus);
            bus.write_all(&said).unwrap();
        });
        assert_eq!(answer, Err(FaultCode::Malformed));
    }
}

#[test]
fn a_bus_that_refuses_is_told_from_one_that_goes_away_and_from_none() {
    for said in [&b"REJECTED\r\n"[..], b"REJECTED ANONYMOUS\r\n"] {
        assert_eq!(asked(|mut bus| welcome(&mut bus, said)).0, Err(FaultCode::PermissionDenied), "{said:?}");
    }
    assert_eq!(asked(|mut bus| drop(until_asked(&mut bus))).0, Err(FaultCode::PermissionDenied), "hung up on at the door");
    assert_eq!(asked(drop).0, Err(FaultCode::IoError));
    let left = asked(|mut bus| {
        until_asked(&mut bus);
        bus.write_all(HELLO).unwrap();
    });
    assert_eq!(left.0, Err(FaultCode::IoError));
    // Why it says no to Hello is its answer to everything behind it.
    let mut refusal = HELLO[..24].to_vec();
    refusal[1] = 3;
    let expected = refusal.clone();
    let refused = asked(move |mut bus| {
        until_asked(&mut bus);
        bus.write_all(&refusal).unwrap();
    });
    assert_eq!(refused.0, Ok(expected));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ask(&folder, SHORT).0, Err(FaultCode::NotFound));
    drop(UnixListener::bind(place(&folder)).unwrap());
    assert_eq!(ask(&folder, SHORT).0, Err(FaultCode::NotFound), "nobody listens there any more");
    let past = Instant::now();
    assert_eq!(Host::below(folder.path()).ask(Question::Units, past), Err(FaultCode::TimedOut), "nothing is begun when the time is up");
}
