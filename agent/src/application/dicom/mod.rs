//! Whether a DICOM node answers a C-ECHO: an association, the echo, and the end of the association (PS3.8, 9.2).

mod pdu;
#[cfg(test)]
mod tests;

use super::connect::{Target, connect, io_class};
use super::{Class, Finding, Trouble};
use pdu::{ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, BYTES_MAX, DATA, RELEASE_RQ};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long a node is waited for that has answered and is to let go.
const RELEASE: Duration = Duration::from_secs(1);

/// Whom the association is between, each 1 to 16 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Titles {
    /// The node's.
    pub called: String,
    /// This machine's.
    pub calling: String,
}

/// Asks a node for an echo; the deadline is for its answer.
pub(super) async fn check(target: &Target, titles: &Titles, begun: Instant, limit: Duration) -> Result<Finding, Trouble> {
    let asked = async {
        let mut stream = connect(target).await?;
        let finding = converse(&mut stream, titles, begun).await?;
        Ok::<(Finding, TcpStream), Class>((finding, stream))
    };
    let (finding, mut stream) = timeout(limit, asked).await.unwrap_or(Err(Class::TimedOut))?;
    if finding.class == Class::Ok {
        // What comes of it changes nothing: the node has answered.
        drop(timeout(RELEASE, release(&mut stream)).await);
    }
    Ok(finding)
}

/// Up to the answer. When it is not what it should be, the node is told that the association is over.
pub(super) async fn converse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), titles: &Titles, begun: Instant) -> Result<Finding, Class> {
    send(stream, &pdu::associate(titles)).await?;
    let answer = pdu::read(stream).await?;
    let found = match answer.kind {
        ASSOCIATE_AC => match pdu::context_result(&answer.body) {
            Some(0) => echo(stream, begun).await,
            Some(refused) => Ok(Finding { note: Some(context_words(refused)), ..Finding::answered(Class::Rejected, begun) }),
            None => Err(Class::Protocol),
        },
        ASSOCIATE_RJ => return rejected(&answer.body, begun).ok_or(Class::Protocol),
        ABORT => return Err(Class::Aborted),
        _ => Err(Class::Protocol),
    };
    if !matches!(found, Ok(Finding { class: Class::Ok, .. }) | Err(Class::Aborted | Class::Closed)) {
        // Whether this arrives does not matter.
        drop(stream.write_all(&pdu::write(ABORT, &[0; 4])).await);
    }
    found
}

async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), begun: Instant) -> Result<Finding, Class> {
    send(stream, &pdu::echo()).await?;
    let (mut command, mut taken) = (Vec::new(), 0);
    loop {
        let answer = pdu::read(stream).await?;
        taken += answer.body.len() + 6;
        match answer.kind {
            DATA if taken <= BYTES_MAX => {}
            ABORT => return Err(Class::Aborted),
            RELEASE_RQ => return Err(Class::Closed),
            _ => return Err(Class::Protocol),
        }
        if pdu::pieces(&answer.body, &mut command).ok_or(Class::Protocol)? {
            break;
        }
    }
    let status = pdu::status(&command).ok_or(Class::Protocol)?;
    let class = if status == 0 { Class::Ok } else { Class::Status };
    Ok(Finding { status: Some(i64::from(status)), ..Finding::answered(class, begun) })
}

async fn release(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), Class> {
    send(stream, &pdu::write(RELEASE_RQ, &[0; 4])).await?;
    pdu::read(stream).await.map(drop)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Class> {
    stream.write_all(bytes).await.map_err(|error| io_class(&error))
}

/// An association that was refused: who did, and why (PS3.8, 9.3.4).
fn rejected(body: &[u8], begun: Instant) -> Option<Finding> {
    let [_, _, source, reason] = body else { return None };
    let words = match (source, reason) {
        (1, 2) => ("it does not know the application context", "アプリケーションコンテキストを認識しません"),
        (1, 3) => ("it does not know the calling AE title", "送信元AEタイトルを認識しません"),
        (1, 7) => ("it does not know the called AE title", "宛先AEタイトルを認識しません"),
        (2, 2) => ("it does not know the protocol version", "プロトコルのバージョンを認識しません"),
        (3, 1) => ("it is congested for now", "一時的に混雑しています"),
        (3, 2) => ("it has as many associations as it takes", "接続数の上限に達しています"),
        _ => ("it gives no reason", "理由は示されていません"),
    };
    let status = Some(i64::from(*source) * 256 + i64::from(*reason));
    Some(Finding { status, note: Some(words), ..Finding::answered(Class::Rejected, begun) })
}

/// Why the offer was not taken (PS3.8, 9.3.3.2).
fn context_words(result: u8) -> (&'static str, &'static str) {
    match result {
        3 => ("it accepts this machine but offers no verification", "接続は受け付けましたが、Verificationに対応していません"),
        4 => ("it accepts this machine but none of the encodings", "接続は受け付けましたが、転送構文に対応していません"),
        _ => ("it accepts this machine but refuses verification", "接続は受け付けましたが、Verificationを拒否しました"),
    }
}
