use super::*;
use proptest::prelude::*;
use std::net::{TcpListener, TcpStream};

const NUT: &[u8] = b"BEGIN LIST UPS\nUPS x \"y\"\nEND LIST UPS\nOK Goodbye\n";
/// Far more than these tests' other side needs, far less than a person would wait.
const SHORT: Duration = Duration::from_millis(300);

/// One connection is taken at a port of loopback, and its question handed over with it.
fn tcp(answer: impl FnOnce(TcpStream, Vec<u8>) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut question = vec![0; 256];
        let length = stream.read(&mut question).unwrap();
        question.truncate(length);
        answer(stream, question);
    });
    port
}

/// One datagram is taken, and answered by what `answer` makes of it.
fn udp(answer: impl FnOnce(Vec<u8>) -> Option<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut question = vec![0; 1024];
        let (length, from) = socket.recv_from(&mut question).unwrap();
        question.truncate(length);
        match answer(question) {
            Some(answer) => drop(socket.send_to(&answer, from)),
            None => std::thread::sleep(SHORT * 4),
        }
    });
    port
}

/// Nobody listens there.
fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// All three daemons at one port, asked for a short time only; how long it took comes with it.
fn asked(port: u16, question: Question<'_>) -> (Result<Vec<u8>, FaultCode>, Duration) {
    let begun = Instant::now();
    let answer = Host::asking(Ports { nut: port, apcupsd: port, chrony: port }).ask(question, begun + SHORT);
    (answer, begun.elapsed())
}

#[test]
fn the_question_is_the_fixed_one_and_the_answer_is_there_before_the_other_side_closes() {
    for (question, sent, answer, expected) in [
        (Question::NutList, &b"LIST UPS\nLOGOUT\n"[..], NUT, NUT),
        (Question::NutVariables("x-1.b_"), b"LIST VAR x-1.b_\nLOGOUT\n", b"ERR DATA-STALE\nOK Goodbye\n", b"ERR DATA-STALE\nOK Goodbye\n"),
        (Question::NutList, b"LIST UPS\nLOGOUT\n", b"ERR X\nGoodbye...\n", b"ERR X\nGoodbye...\n"),
        (Question::ApcupsdStatus, b"\0\x06status", b"\0\x03a:\n\0\x02b\n\0\0", b"a:\nb\n"),
    ] {
        let (say, said) = std::sync::mpsc::channel();
        let port = tcp(move |mut stream, question| {
            say.send(question).unwrap();
            stream.write_all(answer).unwrap();
            // It stays open until the agent goes.
            assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
        });
        assert_eq!(asked(port, question).0.unwrap(), expected);
        assert_eq!(said.recv().unwrap(), sent);
    }
}

#[test]
fn whoever_does_not_answer_in_time_is_left() {
    for question in [Question::NutList, Question::ApcupsdStatus] {
        let silent = tcp(|mut stream, _| drop(stream.read(&mut [0; 9])));
        // Each byte comes in time, and the answer never does.
        let drips = tcp(|mut stream, _| {
            while stream.write_all(b"\x0a").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        for port in [silent, drips] {
            let (answer, took) = asked(port, question);
            assert_eq!(answer, Err(FaultCode::TimedOut), "{question:?}");
            assert!((SHORT..SHORT * 3).contains(&took), "{took:?}");
        }
    }
    let (answer, took) = asked(udp(|_| None), Question::ChronyTracking);
    assert!(answer == Err(FaultCode::TimedOut) && took < SHORT * 3, "{answer:?} {took:?}");
    let past = Instant::now();
    assert_eq!(Host::live().ask(Question::NutList, past), Err(FaultCode::TimedOut), "nothing is begun when the time is up");
    assert!(soon() <= Instant::now() + Duration::from_secs(2));
}

#[test]
fn an_endless_answer_is_left_at_the_bound() {
    let floods: [(Question<'_>, &'static [u8]); 2] = [(Question::NutList, b"VAR a b.c \"d\"\n"), (Question::ApcupsdStatus, b"\0\x04a:b\n")];
    for (question, part) in floods {
        let port = tcp(move |mut stream, _| while stream.write_all(&part.repeat(100)).is_ok() {});
        assert_eq!(asked(port, question).0, Err(FaultCode::TooLarge), "{question:?}");
    }
}

#[test]
fn nobody_there_is_told_from_somebody_who_says_nothing() {
    for question in [Question::NutList, Question::NutVariables("x"), Question::ApcupsdStatus, Question::ChronyTracking] {
        assert_eq!(asked(closed(), question).0, Err(FaultCode::NotFound), "{question:?}");
    }
    for question in [Question::NutList, Question::ApcupsdStatus] {
        assert_eq!(asked(tcp(|_, _| {}), question).0, Err(FaultCode::IoError), "{question:?}");
    }
    for cut in [&b"\0"[..], b"\0\x05abc", b"\0\x03a:\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let port = tcp(move |mut stream, _| stream.write_all(cut).unwrap());
        assert_eq!(asked(port, Question::ApcupsdStatus).0, Err(FaultCode::Malformed), "{cut:?}");
    }
}

/// A reply to a request: its sequence number, in a packet of this size.
fn reply(request: &[u8], bytes: usize) -> Vec<u8> {
    let mut reply = vec![0; bytes];
    reply[16..20].copy_from_slice(&request[8..12]);
    reply
}

#[test]
fn chronyd_is_asked_for_tracking_with_a_number_that_its_answer_must_repeat() {
    let (say, said) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let say = say.clone();
        let port = udp(move |request| {
            say.send(request.clone()).unwrap();
            Some(reply(&request, 104))
        });
        assert_eq!(asked(port, Question::ChronyTracking).0.unwrap().len(), 104);
    }
    let (first, second) = (said.recv().unwrap(), said.recv().unwrap());
    assert_eq!((first.len(), &first[..8], &first[12..]), (104, &[6, 1, 0, 0, 0, 33, 0, 0][..], &[0; 92][..]));
    assert_ne!(first[8..12], second[8..12]);
    let wrong = |request: &[u8]| {
        let mut reply = reply(request, 104);
        reply[19] ^= 1;
        reply
    };
    assert_eq!(asked(udp(move |request| Some(wrong(&request))), Question::ChronyTracking).0, Err(FaultCode::Malformed));
    assert_eq!(asked(udp(|_| Some(Vec::new())), Question::ChronyTracking).0, Err(FaultCode::Malformed));
    assert_eq!(asked(udp(|request| Some(request[..12].to_vec())), Question::ChronyTracking).0, Err(FaultCode::Malformed));
    let large = asked(udp(|request| Some(reply(&request, 900))), Question::ChronyTracking).0;
    assert_eq!(large.unwrap().len(), 105, "and its reader refuses what is longer than a reply");
}

#[test]
fn the_name_of_a_ups_can_say_nothing_but_itself() {
    let long = "x".repeat(65);
    for name in ["", "a b", "a\nSET VAR", "a\r", "../x", "a/b", "a\"", "部屋", &long] {
        for host in [Host::live(), Host::recorded("/")] {
            assert_eq!(host.ask(Question::NutVariables(name), soon()), Err(FaultCode::Malformed), "{name:?}");
        }
    }
    assert_eq!(asked(closed(), Question::NutVariables(&long[1..])).0, Err(FaultCode::NotFound));
}

#[test]
fn a_recorded_machine_answers_out_of_its_files() {
    let host = crate::probe::tests::recorded(&[
        ("recorded/nut/LIST UPS", "BEGIN"),
        ("recorded/nut/LIST VAR x", "VAR"),
        ("recorded/apcupsd", "APC"),
        ("recorded/chrony", "0620ff\n"),
    ]);
    let ask = |host: &Host, question| host.ask(question, Instant::now());
    assert_eq!(ask(&host, Question::NutList).unwrap(), b"BEGIN");
    assert_eq!(ask(&host, Question::NutVariables("x")).unwrap(), b"VAR");
    assert_eq!(ask(&host, Question::NutVariables("y")), Err(FaultCode::NotFound));
    assert_eq!(ask(&host, Question::ApcupsdStatus).unwrap(), b"APC");
    assert_eq!(ask(&host, Question::ChronyTracking).unwrap(), [6, 32, 255]);
    let bad = crate::probe::tests::recorded(&[("recorded/chrony", "06zz")]);
    assert_eq!(ask(&bad, Question::ChronyTracking), Err(FaultCode::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_unframed_without_panic(raw: Vec<u8>, parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5)) {
        prop_assert!(unframed(&raw).is_none_or(|text| text.len() + 2 <= raw.len()));
        let mut framed: Vec<u8> = parts.iter().flat_map(|part| [&u16::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat()).collect();
        prop_assert_eq!(unframed(&framed), None);
        framed.extend([0, 0]);
        prop_assert_eq!(unframed(&framed), Some(parts.concat()));
    }

    #[test]
    fn any_text_is_taken_as_hexadecimal_or_refused(text in ".*") {
        prop_assert!(from_hex(&text).is_none_or(|bytes| bytes.len() <= text.len()));
    }
}
