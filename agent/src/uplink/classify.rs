//! From the libraries' errors to a layer and a detail.

use super::fault::{Detail, PushError};
use super::phase::Phase;
use super::pin::NotPinned;
use rustls::CertificateError;
use std::error::Error as StdError;
use std::io::{self, ErrorKind};

/// How the HTTP library begins every fault of a proxy's tunnel; its type is not public.
const TUNNEL: &str = "tunnel error: ";

/// What the chain of causes says.
#[derive(Debug, Default)]
struct Causes {
    tunnel: Option<String>,
    tls: Option<rustls::Error>,
    io: Option<ErrorKind>,
    last: String,
}

impl Causes {
    fn of(error: &(dyn StdError + 'static)) -> Causes {
        let mut causes = Causes::default();
        let mut next = Some(error);
        while let Some(cause) = next {
            causes.last = cause.to_string();
            if let Some(what) = causes.last.strip_prefix(TUNNEL) {
                causes.tunnel = Some(what.to_owned());
            }
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                causes.tls = Some(tls.clone());
            }
            let io = cause.downcast_ref::<io::Error>();
            if let Some(io) = io {
                causes.io = Some(io.kind());
            }
            // The source of an I/O error skips the very error it was made of.
            next = match io.and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => cause.source(),
            };
        }
        causes
    }
}

/// Tells what a failed request died of.
pub(super) fn classify(error: &reqwest::Error, phase: Phase, proxied: bool) -> PushError {
    let causes = Causes::of(error);
    let timeout = error.is_timeout() || causes.io == Some(ErrorKind::TimedOut);
    let detail = if let Some(tls) = &causes.tls {
        tls_detail(tls)
    } else if let Some(what) = &causes.tunnel {
        tunnel_detail(what, error.is_dns(), timeout)
    } else if error.is_connect() {
        connect_detail(phase, proxied, error.is_dns(), timeout, causes.io)
    } else if timeout {
        Detail::AnswerTimeout
    } else if causes.io.is_some() || causes.last.contains("closed") {
        Detail::Cut
    } else {
        Detail::NotHttp
    };
    PushError::with_note(detail, &causes.tls.as_ref().map_or(causes.last, tls_note))
}

fn tunnel_detail(what: &str, dns: bool, timeout: bool) -> Detail {
    match what {
        "proxy authorization required" => Detail::ProxyAuth,
        _ if dns => Detail::ProxyName,
        _ if timeout => Detail::ProxyTimeout,
        "failed to create underlying connection" | "io error establishing tunnel" => Detail::ProxyUnreachable,
        _ => Detail::ProxyRefused,
    }
}

fn connect_detail(phase: Phase, proxied: bool, dns: bool, timeout: bool, io: Option<ErrorKind>) -> Detail {
    match (phase, proxied) {
        (Phase::Tls, _) if timeout => Detail::TlsTimeout,
        (Phase::Tls, _) => Detail::TlsCut,
        (_, true) if dns => Detail::ProxyName,
        (_, true) if timeout => Detail::ProxyTimeout,
        (_, true) => Detail::ProxyUnreachable,
        _ if dns => Detail::NameUnknown,
        (Phase::Name, false) if timeout => Detail::NameTimeout,
        (_, false) => tcp_detail(timeout, io),
    }
}

/// Of a connection that was not made.
pub(super) fn tcp_detail(timeout: bool, io: Option<ErrorKind>) -> Detail {
    match io {
        _ if timeout => Detail::ConnectTimeout,
        Some(ErrorKind::ConnectionRefused) => Detail::Refused,
        Some(ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown) => Detail::Unreachable,
        Some(ErrorKind::TimedOut) => Detail::ConnectTimeout,
        _ => Detail::ConnectFailed,
    }
}

/// Of a handshake that failed.
pub(super) fn tls_detail(error: &rustls::Error) -> Detail {
    match error {
        rustls::Error::InvalidCertificate(fault) => certificate_detail(fault),
        rustls::Error::NoCertificatesPresented => Detail::BadCertificate,
        rustls::Error::InvalidMessage(_) => Detail::NotTls,
        _ => Detail::TlsFailed,
    }
}

/// What the library says; of our own refusal our own words.
pub(super) fn tls_note(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<NotPinned>() => other.0.to_string(),
        other => other.to_string(),
    }
}

fn certificate_detail(fault: &CertificateError) -> Detail {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Detail::ClockExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Detail::ClockNotYet,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Detail::WrongName,
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Detail::WrongIssuer,
        CertificateError::Other(other) if other.0.is::<NotPinned>() => Detail::NotPinned,
        _ => Detail::BadCertificate,
    }
}
