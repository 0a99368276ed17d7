//! The way out, one step after the other, for the `check` command: what was done, how long it took, what to mend.

use super::classify::{tcp_detail, tls_detail, tls_note};
use super::fault::{Detail, PushError};
use super::{Uplink, proxy};
use mimamori_shared::limits::ANSWER_BYTES_MAX;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One step. On failure [`PushError`] has the words and the mend.
#[derive(Debug)]
pub struct Step<T> {
    /// What it brought.
    pub result: Result<T, PushError>,
    /// How long it took.
    pub took: Duration,
    /// What was tried, in English.
    pub en: String,
    /// What was tried, in Japanese.
    pub ja: String,
}

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1_3` or `TLSv1_2`.
    pub version: String,
    /// Whether the pinned authority is not in the chain: a device of the facility reads along. What is signed
    /// stays provable, but is no longer confidential towards that device.
    pub inspected: bool,
}

impl Uplink {
    /// Resolves the first name on the way: the proxy's, or the collector's.
    pub async fn resolve(&self) -> Step<Vec<SocketAddr>> {
        let (host, port) = self.first_hop();
        let (en, ja) = (format!("resolve the name {host}"), format!("名前解決: {host}"));
        let (unknown, late) = if self.proxy.is_some() { (Detail::ProxyName, Detail::ProxyTimeout) } else { (Detail::NameUnknown, Detail::NameTimeout) };
        let bare = host.trim_matches(['[', ']']).to_owned();
        let work = async move {
            if let Ok(address) = bare.parse::<IpAddr>() {
                return Ok(vec![SocketAddr::new(address, port)]);
            }
            let found = tokio::net::lookup_host((bare.as_str(), port)).await;
            let found: Vec<_> = found.map_err(|error| PushError::with_note(unknown, &error.to_string()))?.collect();
            if found.is_empty() {
                return Err(unknown.into());
            }
            if lies(&bare, &found) {
                let said = found.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ");
                return Err(PushError::with_note(Detail::NameHere, &said));
            }
            Ok(found)
        };
        self.step(en, ja, late, work).await
    }

    /// Connects to the first of the addresses that answers, and opens the proxy's tunnel if there is a proxy.
    pub async fn connect(&self, addresses: &[SocketAddr]) -> Step<TcpStream> {
        let (host, port) = self.first_hop();
        let (en, ja) = match &self.proxy {
            None => (format!("connect to {host}:{port}"), format!("接続: {host}:{port}")),
            Some(_) => (
                format!("connect to {}:{} through the proxy {host}:{port}", self.host, self.port),
                format!("プロキシ {host}:{port} 経由で接続: {}:{}", self.host, self.port),
            ),
        };
        let late = if self.proxy.is_some() { Detail::ProxyTimeout } else { Detail::ConnectTimeout };
        let work = async {
            let mut fault = PushError::new(late);
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => return self.tunnelled(stream).await,
                    Err(error) => fault = self.unreached(&error, addresses),
                }
            }
            Err(fault)
        };
        self.step(en, ja, late, work).await
    }

    /// Agrees on TLS with the collector over a connection of [`Uplink::connect`]; no request is sent.
    pub async fn tls_handshake(&self, mut stream: TcpStream) -> Step<TlsFacts> {
        let (en, ja) = (format!("agree on TLS with {}", self.host), format!("TLSの確立: {}", self.host));
        let work = async {
            let name = self.host.trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(name).map_err(|_| PushError::new(Detail::WrongName))?;
            let mut connection = ClientConnection::new(Arc::clone(&self.tls), name).map_err(|fault| refused(&fault))?;
            handshake(&mut connection, &mut stream).await?;
            let chain = connection.peer_certificates().unwrap_or_default();
            let behind = chain.get(1..).unwrap_or_default();
            Ok(TlsFacts {
                version: connection.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
                inspected: !self.verifier.is_pinned(behind),
            })
        };
        self.step(en, ja, Detail::TlsTimeout, work).await
    }

    /// Asks for the collector's limits, which is harmless and says whether a collector answers at all.
    pub async fn ask(&self) -> Step<()> {
        let (en, ja) = (format!("ask {} for its limits", self.host), format!("収集サーバーへの問い合わせ: {}", self.host));
        let work = async {
            let mut url = self.url.clone();
            url.set_path("/limits");
            self.tracker.set(super::Phase::Connect);
            let mut answer = self.client.get(url).send().await.map_err(|error| self.classify(&error))?;
            let status = answer.status().as_u16();
            match status {
                200 => {}
                300..=399 => return Err(Detail::Redirected(status).into()),
                // No collector asks who wants to know its limits.
                201..=299 | 401 | 403 => return Err(Detail::Portal.into()),
                _ => return Err(Detail::Status(status).into()),
            }
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|error| self.classify(&error))? {
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(Detail::Portal.into());
                }
                body.extend_from_slice(&chunk);
            }
            let limits: serde_json::Value = serde_json::from_slice(&body).map_err(|_| PushError::new(Detail::Portal))?;
            if limits.to_string().contains("report_bytes_max") { Ok(()) } else { Err(Detail::Portal.into()) }
        };
        self.step(en, ja, Detail::AnswerTimeout, work).await
    }

    fn first_hop(&self) -> (&str, u16) {
        self.proxy.as_ref().map_or((self.host.as_str(), self.port), |proxy| (proxy.host.as_str(), proxy.port))
    }

    async fn tunnelled(&self, mut stream: TcpStream) -> Result<TcpStream, PushError> {
        if let Some(chosen) = &self.proxy {
            proxy::tunnel(&mut stream, chosen, &self.host, self.port).await?;
        }
        Ok(stream)
    }

    fn unreached(&self, error: &io::Error, addresses: &[SocketAddr]) -> PushError {
        let detail = match tcp_detail(false, Some(error.kind())) {
            _ if self.proxy.is_some() => Detail::ProxyUnreachable,
            Detail::Unreachable => one_family(addresses),
            other => other,
        };
        PushError::with_note(detail, &error.to_string())
    }

    async fn step<T>(&self, en: String, ja: String, late: Detail, work: impl Future<Output = Result<T, PushError>>) -> Step<T> {
        let begun = Instant::now();
        let result = tokio::time::timeout(self.connect_timeout, work).await.unwrap_or_else(|_| Err(late.into()));
        Step { result, took: begun.elapsed(), en, ja }
    }
}

/// Whether a name that means another machine leads to this one: a filter's answer, or a false one.
fn lies(name: &str, found: &[SocketAddr]) -> bool {
    let local = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    !local && found.iter().all(|address| address.ip().to_canonical().is_loopback() || address.ip().is_unspecified())
}

/// No way to any address: whether they are all of a family that this network does not carry.
fn one_family(addresses: &[SocketAddr]) -> Detail {
    match (addresses.iter().any(SocketAddr::is_ipv4), addresses.iter().any(SocketAddr::is_ipv6)) {
        (true, false) => Detail::OnlyIpv4,
        (false, true) => Detail::OnlyIpv6,
        _ => Detail::Unreachable,
    }
}

fn refused(fault: &rustls::Error) -> PushError {
    PushError::with_note(tls_detail(fault), &tls_note(fault))
}

fn cut(error: &io::Error) -> PushError {
    PushError::with_note(Detail::TlsCut, &error.to_string())
}

async fn handshake(connection: &mut ClientConnection, stream: &mut TcpStream) -> Result<(), PushError> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        flush(connection, stream).await?;
        if !connection.is_handshaking() {
            return Ok(());
        }
        let length = stream.read(&mut buffer).await.map_err(|error| cut(&error))?;
        let mut unread = buffer.get(..length).unwrap_or_default();
        if unread.is_empty() {
            return Err(Detail::TlsCut.into());
        }
        while !unread.is_empty() {
            connection.read_tls(&mut unread).map_err(|error| cut(&error))?;
            if let Err(fault) = connection.process_new_packets() {
                // The alert tells the other side why; whether it arrives does not matter.
                drop(flush(connection, stream).await);
                return Err(refused(&fault));
            }
        }
    }
}

async fn flush(connection: &mut ClientConnection, stream: &mut TcpStream) -> Result<(), PushError> {
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).map_err(|error| cut(&error))?;
    }
    stream.write_all(&bytes).await.map_err(|error| cut(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect()
    }

    #[test]
    fn a_name_that_leads_to_this_machine_is_a_lie() {
        for (name, found, expected) in [
            ("rsc.example", &["127.0.0.1"][..], true),
            ("rsc.example", &["0.0.0.0", "::"], true),
            ("rsc.example", &["::1", "::ffff:127.0.0.2"], true),
            ("rsc.example", &["127.0.0.1", "192.0.2.7"], false),
            ("rsc.example", &["10.1.2.3"], false),
            ("localhost", &["127.0.0.1"], false),
            ("rsc.LOCALHOST", &["::1"], false),
        ] {
            assert_eq!(lies(name, &addresses(found)), expected, "{name} {found:?}");
        }
    }

    #[test]
    fn a_network_of_the_other_family_is_told_by_the_addresses() {
        assert_eq!(one_family(&addresses(&["192.0.2.7", "192.0.2.8"])), Detail::OnlyIpv4);
        assert_eq!(one_family(&addresses(&["2001:db8::7"])), Detail::OnlyIpv6);
        assert_eq!(one_family(&addresses(&["192.0.2.7", "2001:db8::7"])), Detail::Unreachable);
    }
}
