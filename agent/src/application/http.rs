//! Status and content of a page. One request, no redirect followed, nothing kept of the body.

use super::connect::{Target, agree, connect, file, io_class, trusting};
use super::{Class, Finding, Trouble, since_us};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// How much of a body is read and searched, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const AGENT: &str = concat!("mimamori-agent/", env!("CARGO_PKG_VERSION"));

/// A page and what is expected of it.
#[derive(Debug, Clone)]
pub struct Http {
    /// Whom to connect to.
    pub target: Target,
    /// The authority of an `https://` page, as PEM; without one it is plain.
    pub ca_file: Option<PathBuf>,
    /// Host and port as the URL has them.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Asks for the head alone.
    pub head: bool,
    /// Good statuses, from and to, both included.
    pub expected: Vec<(u16, u16)>,
    /// What must stand in the first 64 KiB, byte for byte.
    pub contains: Option<String>,
}

/// Asks for the page.
pub(super) async fn check(http: &Http, begun: Instant) -> Result<Finding, Trouble> {
    let Some(ca_file) = &http.ca_file else {
        let stream = connect(&http.target).await?;
        return Ok(ask(stream, http, begun).await?);
    };
    let mut config = trusting(&file(ca_file).await?)?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = agree(config, &http.target, connect(&http.target).await?).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let expires_at_ms = chain.first().and_then(|certificate| super::certificate::not_after_ms(certificate));
    Ok(Finding { expires_at_ms, ..ask(stream, http, begun).await? })
}

pub(super) async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin, http: &Http, begun: Instant) -> Result<Finding, Class> {
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| class(&error))?;
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange(sender, http, begun)));
    tokio::select! {
        biased;
        found = &mut exchange => found,
        // What the connection still holds, or its fault, reaches the exchange.
        ended = &mut connection => {
            drop(ended);
            exchange.await
        }
    }
}

async fn exchange(mut sender: SendRequest<String>, http: &Http, begun: Instant) -> Result<Finding, Class> {
    let request = Request::builder()
        .method(if http.head { Method::HEAD } else { Method::GET })
        .uri(&http.path)
        .header(HOST, &http.authority)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(String::new())
        .map_err(|_| Class::Protocol)?;
    let answer = sender.send_request(request).await.map_err(|error| class(&error))?;
    let (status, first_byte_us) = (answer.status().as_u16(), Some(since_us(begun)));
    let good = http.expected.iter().any(|(from, to)| (*from..=*to).contains(&status));
    let found = if good { content(answer.into_body(), http.contains.as_deref()).await? } else { Class::Status };
    Ok(Finding { first_byte_us, status: Some(i64::from(status)), ..Finding::answered(found, begun) })
}

/// Reads the body, to its end or as far as it is read, and looks for the text.
async fn content(mut body: Incoming, contains: Option<&str>) -> Result<Class, Class> {
    let mut read = Vec::new();
    while read.len() < BODY_BYTES_MAX {
        let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await else { break };
        let frame = frame.map_err(|error| class(&error))?;
        read.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
    }
    read.truncate(BODY_BYTES_MAX);
    let found = contains.is_none_or(|text| read.windows(text.len()).any(|window| window == text.as_bytes()));
    Ok(if found { Class::Ok } else { Class::Content })
}

fn class(error: &hyper::Error) -> Class {
    let io = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match io {
        Some(io) => io_class(io),
        None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => Class::Closed,
        None => Class::Protocol,
    }
}
