//! The conversation, with nodes of every sort.

use super::*;
use crate::application::tests::{Then, answered, down, failed, found, plain, refused_port, target};
use crate::application::{Checked, What};
use mimamori_shared::payload::FaultCode;
use pdu::{read, write};
use proptest::prelude::*;
use std::net::SocketAddr;
use tokio::net::TcpListener;

fn titles() -> Titles {
    Titles { called: "PACS".to_owned(), calling: "MIMAMORI".to_owned() }
}

/// An association that is accepted, with the result of its one context.
fn accept(result: u8) -> Vec<u8> {
    let items = [&[0x21, 0, 0, 25, 1, 0, result, 0, 0x40, 0, 0, 17][..], b"1.2.840.10008.1.2"].concat();
    write(ASSOCIATE_AC, &[&[0, 1, 0, 0][..], &[b' '; 32], &[0; 32], &items].concat())
}

fn piece(control: u8, bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len() + 2).unwrap().to_be_bytes()[..], &[1, control], bytes].concat()
}

fn command(status: u16) -> Vec<u8> {
    let element = |number: u16, value: u16| [&[0, 0][..], &number.to_le_bytes(), &[2, 0, 0, 0], &value.to_le_bytes()].concat();
    [element(0x0100, 0x8030), element(0x0120, 1), element(0x0800, 0x0101), element(0x0900, status)].concat()
}

fn answer(status: u16) -> Vec<u8> {
    write(DATA, &piece(3, &command(status)))
}

/// A node that answers unit by unit with these, byte by byte if it is `slow`; the units it was sent.
async fn node(answers: Vec<Vec<u8>>, slow: bool) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut answers = answers.into_iter();
        let mut kinds = Vec::new();
        while let Ok(unit) = read(&mut stream).await {
            kinds.push(unit.kind);
            for byte in answers.next().unwrap_or_default().chunks(if slow { 1 } else { usize::MAX }) {
                drop(stream.write_all(byte).await);
                tokio::task::yield_now().await;
            }
        }
        kinds
    });
    (address, task)
}

async fn ask(answers: Vec<Vec<u8>>, slow: bool) -> (Result<Finding, FaultCode>, Vec<u8>) {
    let (address, task) = node(answers, slow).await;
    let found = found(What::DicomEcho(target(address), titles())).await;
    (found, task.await.unwrap())
}

#[tokio::test]
async fn a_node_that_answers_is_up_and_is_let_go_politely() {
    let good = vec![accept(0), answer(0), write(6, &[0; 4])];
    let cut = vec![
        accept(0),
        [write(DATA, &piece(1, &command(0)[..9])), write(DATA, &[piece(1, &command(0)[9..20]), piece(3, &command(0)[20..])].concat())].concat(),
    ];
    for (answers, slow) in [(good.clone(), false), (good, true), (cut, false)] {
        let (found, kinds) = ask(answers, slow).await;
        assert_eq!(answered(found, Class::Ok).status, Some(0));
        assert_eq!(kinds, [1, DATA, RELEASE_RQ]);
    }
}

#[tokio::test]
async fn a_node_that_does_not_let_go_is_up_all_the_same_and_in_time() {
    let begun = Instant::now();
    let (found, _) = ask(vec![accept(0), answer(0)], false).await;
    answered(found, Class::Ok);
    assert!(begun.elapsed() >= RELEASE && begun.elapsed() < RELEASE * 3);
}

#[tokio::test]
async fn a_refused_association_says_who_refused_and_why() {
    for (rejection, status, words) in [
        ([0, 1, 1, 7], 0x0107, "called AE title"),
        ([0, 1, 1, 3], 0x0103, "calling AE title"),
        ([0, 2, 3, 2], 0x0302, "as many associations"),
        ([0, 1, 9, 9], 0x0909, "no reason"),
    ] {
        let (found, kinds) = ask(vec![write(ASSOCIATE_RJ, &rejection)], false).await;
        let found = answered(found, Class::Rejected);
        assert!(found.status == Some(status) && found.note.unwrap().0.contains(words), "{found:?}");
        assert_eq!(kinds, [1]);
        let line = Checked { alias: "pacs".parse().unwrap(), kind: "dicom_echo", result: Ok(found) }.line(crate::cli::Lang::En);
        assert!(line.contains(words), "{line}");
    }
    down(ask(vec![write(ASSOCIATE_RJ, &[0, 1, 1])], false).await.0, Class::Protocol);
    for (result, words) in [(3, "no verification"), (4, "none of the encodings"), (1, "refuses verification")] {
        let (found, kinds) = ask(vec![accept(result)], false).await;
        assert!(answered(found, Class::Rejected).note.unwrap().0.contains(words));
        assert_eq!(kinds, [1, ABORT]);
    }
}

#[tokio::test]
async fn an_echo_that_fails_has_its_status() {
    let (found, kinds) = ask(vec![accept(0), answer(0x0122)], false).await;
    assert_eq!((answered(found, Class::Status).status, kinds), (Some(0x0122), vec![1, DATA, ABORT]));
}

#[tokio::test]
async fn what_is_no_answer_has_its_word() {
    let aborted = write(ABORT, &[0, 0, 2, 0]);
    let bomb = [&[ASSOCIATE_AC, 0][..], &u32::MAX.to_be_bytes()].concat();
    let just_too_long = write(ASSOCIATE_AC, &vec![0; BYTES_MAX + 1]);
    let endless = write(DATA, &piece(1, &[0; 900])).repeat(80);
    let unfinished = accept(0)[..30].to_vec();
    for (answers, class) in [
        (vec![aborted.clone()], Class::Aborted),
        (vec![accept(0), aborted], Class::Aborted),
        (vec![accept(0), write(RELEASE_RQ, &[0; 4])], Class::Closed),
        (vec![write(DATA, &piece(3, &command(0)))], Class::Protocol),
        (vec![write(6, &[0; 4])], Class::Protocol),
        (vec![accept(0), accept(0)], Class::Protocol),
        (vec![write(ASSOCIATE_AC, &[0; 40])], Class::Protocol),
        (vec![bomb], Class::Protocol),
        (vec![just_too_long], Class::Protocol),
        (vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], Class::Protocol),
        (vec![accept(0), endless], Class::Protocol),
        (vec![accept(0), write(DATA, &piece(2, &command(0)))], Class::Protocol),
        (vec![accept(0), write(DATA, &piece(3, &command(0)[..30]))], Class::Protocol),
        (vec![accept(0), write(DATA, &[0, 0, 1, 0, 1, 3])], Class::Protocol),
        (vec![unfinished], Class::TimedOut),
        (vec![accept(0)], Class::TimedOut),
        (vec![], Class::TimedOut),
        (vec![accept(0), write(DATA, &piece(1, &command(0)))], Class::TimedOut),
    ] {
        let shown = format!("{:.80}", format!("{answers:?}"));
        let (address, _) = node(answers, false).await;
        let found = failed(What::DicomEcho(target(address), titles()), class).await;
        assert_eq!(found, Ok(Finding { class, ..Finding::default() }), "{shown}");
    }
}

#[tokio::test]
async fn nodes_that_go_away() {
    down(found(What::DicomEcho(target(refused_port().await), titles())).await, Class::Refused);
    for half in [Vec::new(), accept(0)[..4].to_vec(), accept(0)[..40].to_vec(), accept(0)] {
        let (address, _) = plain(Then::Answer(half)).await;
        down(found(What::DicomEcho(target(address), titles())).await, Class::Closed);
    }
    let (address, _) = plain(Then::Endless(vec![0; 1000])).await;
    down(found(What::DicomEcho(target(address), titles())).await, Class::Protocol);
}

/// Comes with its answers at once, and takes whatever it is told.
struct Deaf<'a>(&'a [u8]);

impl AsyncRead for Deaf<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Deaf<'_> {
    fn poll_write(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>, bytes: &[u8]) -> std::task::Poll<std::io::Result<usize>> {
        std::task::Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

proptest! {
    /// A good conversation, cut and with bytes changed: always an answer, and up only if the status says so.
    #[test]
    fn property_any_node_is_answered(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [accept(0), answer(0)].concat();
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let whole = changes.is_empty();
        let length = if whole { bytes.len() } else { cut.index(bytes.len() + 1) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(converse(&mut Deaf(&bytes[..length]), &titles(), Instant::now())) {
            Ok(found) => prop_assert_eq!(found.class == Class::Ok, found.status == Some(0)),
            Err(class) => prop_assert!(!whole && matches!(class, Class::Protocol | Class::Closed | Class::Aborted)),
        }
    }
}
