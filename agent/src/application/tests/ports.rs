//! Ports that answer, refuse, fall silent or talk nonsense.

use super::*;
use crate::application::connect::io_class;
use std::io::{Error, ErrorKind};

/// A port whose queue is full: what else comes is dropped without a word.
async fn silent_port() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(stream);
    }
    (address, queued, listener)
}

#[tokio::test]
async fn a_port_is_connected_to_and_an_hl7_engine_is_sent_nothing() {
    let (address, seen) = plain(Then::Say(b"MSH|".to_vec())).await;
    let port = answered(found(What::Tcp(target(address))).await, Class::Ok);
    assert_eq!((port.status, port.expires_at_ms, port.note), (None, None, None));
    answered(found(What::Hl7Mllp(target(address))).await, Class::Ok);
    assert_eq!(seen.bytes(), b"");
    let refused = refused_port().await;
    down(found(What::Tcp(target(refused))).await, Class::Refused);
    down(found(What::Hl7Mllp(target(refused))).await, Class::Refused);
    let (silent, _queued, _listener) = silent_port().await;
    down(failed(What::Tcp(target(silent)), Class::TimedOut).await, Class::TimedOut);
    let nowhere = What::Tcp(Target { host: "pacs.invalid".to_owned(), port: 104 });
    // Long enough for a resolver that asks several servers in vain.
    let patient = Check { timeout: Duration::from_secs(40), ..check(nowhere) };
    down(run(&[patient]).await.remove(0).result, Class::NameNotFound);
}

#[test]
fn faults_of_the_network_have_their_words() {
    for (kind, class) in [
        (ErrorKind::ConnectionRefused, Class::Refused),
        (ErrorKind::TimedOut, Class::TimedOut),
        (ErrorKind::HostUnreachable, Class::Unreachable),
        (ErrorKind::NetworkUnreachable, Class::Unreachable),
        (ErrorKind::PermissionDenied, Class::Unreachable),
        (ErrorKind::ConnectionReset, Class::Closed),
        (ErrorKind::UnexpectedEof, Class::Closed),
    ] {
        assert_eq!(io_class(&Error::from(kind)), class, "{kind}");
    }
}

#[tokio::test]
async fn postgres_is_asked_whether_it_encrypts_and_nothing_else() {
    for (letter, class) in [(b'S', Class::Ok), (b'N', Class::Ok), (b'E', Class::Rejected)] {
        let (address, seen) = plain(Then::Answer(vec![letter])).await;
        answered(found(What::Database(Engine::Postgres, target(address))).await, class);
        assert_eq!(seen.bytes(), [0, 0, 0, 8, 4, 210, 22, 47]);
    }
    for (then, class) in
        [(Then::Answer(b"HTTP/1.1 400".to_vec()), Class::Protocol), (Then::Answer(Vec::new()), Class::Closed), (Then::Stall(Vec::new()), Class::TimedOut)]
    {
        let (address, _) = plain(then).await;
        down(failed(What::Database(Engine::Postgres, target(address)), class).await, class);
    }
    down(found(What::Database(Engine::Postgres, target(refused_port().await))).await, Class::Refused);
}

#[tokio::test]
async fn mysql_greets_and_others_are_only_connected_to() {
    for (greeting, class) in [(&b"\x4a\0\0\0\x0a8.0.36\0"[..], Class::Ok), (b"\x17\0\0\0\xff\x10\x04Too many connections", Class::Rejected)] {
        let (address, seen) = plain(Then::Say(greeting.to_vec())).await;
        answered(found(What::Database(Engine::Mysql, target(address))).await, class);
        assert_eq!(seen.bytes(), b"");
    }
    for (greeting, class) in [(&b"SSH-2.0-x"[..], Class::Protocol), (b"\x4a\0\0", Class::Closed), (b"", Class::Closed)] {
        let (address, _) = plain(Then::Say(greeting.to_vec())).await;
        down(found(What::Database(Engine::Mysql, target(address))).await, class);
    }
    let (silent, seen) = plain(Then::Stall(Vec::new())).await;
    down(failed(What::Database(Engine::Mysql, target(silent)), Class::TimedOut).await, Class::TimedOut);
    answered(found(What::Database(Engine::Silent, target(silent))).await, Class::Ok);
    assert_eq!(seen.bytes(), b"");
}
