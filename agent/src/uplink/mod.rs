//! The agent's way out: one host, HTTP/1.1 over TLS with a pinned authority, and an exact word for every failure.

pub mod answer;
pub mod backoff;
pub mod doctor;
pub mod fault;

mod classify;
mod issuer;
mod layer_words;
pub(crate) mod outside;
mod phase;
mod pin;
mod proxy;
mod retry_after;
#[cfg(test)]
mod tests;

pub use answer::{Outcome, Sent, SentFrame, Signer, Trust, judge, judge_enrolled};
pub use backoff::next_delay;
pub use doctor::{Step, TlsFacts};
pub use fault::{Detail, PushError, Words};
pub use layer_words::layer_words;
pub use proxy::Proxy;

use mimamori_shared::id::Hash;
use mimamori_shared::limits::ANSWER_BYTES_MAX;
use phase::{Phase, Resolver, Sessions, Tracker};
use pin::PinVerifier;
use proxy::Chosen;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, Url};
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where batches go.
pub const REPORTS_PATH: &str = "/v1/reports";
/// Where enrolments go.
pub const ENROL_PATH: &str = "/v1/enrol";
/// What a batch is.
pub const REPORTS_TYPE: &str = "application/vnd.mimamori.reports";
/// What an enrolment is.
pub const ENROL_TYPE: &str = "application/vnd.mimamori.enrol";
/// What a collector's signed answer is.
pub const ANSWER_TYPE: &str = "application/vnd.mimamori.answer";

const USER_AGENT: &str = concat!("mimamori-agent/", env!("CARGO_PKG_VERSION"));
/// How long a firewall's forgetting of an idle connection goes unnoticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Where to send and whom to trust.
#[derive(Debug, Clone)]
pub struct UplinkConfig {
    /// Such as `https://rsc.example:8443`: scheme, host, port, nothing else.
    pub url: String,
    /// SHA-256 of the DER of the authority's certificate that the server's chain must contain.
    pub ca_pin: Hash,
    /// Authorities, in PEM, of a facility that inspects TLS; used when the pinned one is not in the chain.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Which proxy.
    pub proxy: Proxy,
    /// For tests: `http://` to a loopback address.
    pub allow_plain_loopback: bool,
    /// For name, connection, proxy and TLS together; shorter than `request_timeout`.
    pub connect_timeout: Duration,
    /// For the whole request and its answer.
    pub request_timeout: Duration,
    /// How long a connection is kept for the next push.
    pub idle_pool: Duration,
}

impl UplinkConfig {
    /// The usual times, no proxy, no extra authority.
    #[must_use]
    pub fn new(url: String, ca_pin: Hash) -> UplinkConfig {
        UplinkConfig {
            url,
            ca_pin,
            extra_ca_pem: None,
            proxy: Proxy::None,
            allow_plain_loopback: false,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            idle_pool: Duration::from_secs(130),
        }
    }
}

/// A configuration that cannot be used, and its mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UplinkError {
    /// Not a URL, or one with more than scheme, host and port.
    #[error("the collector's URL is not understood: write it as https://HOST:PORT, with nothing behind it")]
    Url,
    /// Neither https nor plain to loopback.
    #[error("the collector's URL must begin with https://")]
    Scheme,
    /// Plain HTTP beyond this machine.
    #[error("plain http:// leaves this machine unprotected: only a test to 127.0.0.1 or [::1] may use it; write https://")]
    PlainElsewhere,
    /// The extra authorities.
    #[error("the extra CA file holds no usable certificate: it must be PEM, beginning with -----BEGIN CERTIFICATE-----")]
    ExtraCa,
    /// The proxy's URL.
    #[error("the proxy's URL is not understood: write it as http://HOST:PORT")]
    ProxyUrl,
    /// The proxy's scheme.
    #[error("only http:// proxies are spoken (what goes through them is encrypted all the same): write the proxy as http://HOST:PORT")]
    ProxyScheme,
    /// User and password in the URL of the configuration.
    #[error("the proxy's user and password do not belong in its URL: set the user and the password file of their own")]
    ProxyUserInUrl,
    /// A colon in the user.
    #[error("the proxy's user must not contain a colon: Basic authentication could not tell it from the password")]
    ProxyUserColon,
    /// The limits contradict each other.
    #[error("the connect timeout must be longer than zero and shorter than the request timeout")]
    Timeouts,
    /// The libraries refuse.
    #[error("the HTTP client cannot be set up ({0}): this is a fault of the program, please report it")]
    Setup(String),
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Content type without parameters, in lower case; empty when there is none.
    pub content_type: String,
    /// What the server asks for, bounded.
    pub retry_after_s: Option<u64>,
    /// At most [`ANSWER_BYTES_MAX`]; of an answer that cannot be a signed one perhaps only the beginning.
    pub body: Vec<u8>,
}

/// The way out.
pub struct Uplink {
    client: Client,
    url: Url,
    host: String,
    port: u16,
    proxy: Option<Chosen>,
    tls: Arc<ClientConfig>,
    verifier: Arc<PinVerifier>,
    tracker: Tracker,
    connect_timeout: Duration,
}

impl Uplink {
    /// Checks the configuration and sets up the client; nothing is sent yet.
    ///
    /// # Errors
    /// [`UplinkError`] names the fault and its mend.
    pub fn new(config: UplinkConfig) -> Result<Uplink, UplinkError> {
        let url = collector_url(&config)?;
        if config.connect_timeout.is_zero() || config.connect_timeout >= config.request_timeout {
            return Err(UplinkError::Timeouts);
        }
        let host = url.host_str().ok_or(UplinkError::Url)?.to_owned();
        let port = url.port_or_known_default().ok_or(UplinkError::Url)?;
        let proxy = if url.scheme() == "https" { proxy::choose(&config.proxy, &host)? } else { None };
        let tracker = Tracker::new();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(PinVerifier::new(config.ca_pin, config.extra_ca_pem.as_deref(), Arc::clone(&provider))?);
        let setup = |what: String| UplinkError::Setup(what);
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|fault| setup(fault.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        tls.resumption = Resumption::store(Arc::new(Sessions::new(tracker.clone())));
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .https_only(url.scheme() == "https")
            .dns_resolver(Arc::new(Resolver(tracker.clone())))
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .pool_idle_timeout(config.idle_pool)
            .pool_max_idle_per_host(1)
            .tcp_keepalive(KEEPALIVE)
            .no_proxy();
        if let Some(chosen) = &proxy {
            let mut through = reqwest::Proxy::all(chosen.url.clone()).map_err(|_| UplinkError::ProxyUrl)?;
            if let Some(value) = &chosen.authorization {
                through = through.custom_http_auth(value.clone());
            }
            builder = builder.proxy(through);
        }
        let client = builder.build().map_err(|fault| setup(fault.to_string()))?;
        let connect_timeout = config.connect_timeout;
        Ok(Uplink { client, url, host, port, proxy, tls: Arc::new(tls), verifier, tracker, connect_timeout })
    }

    /// Sends one body and reads the whole answer. Only the path of the URL is the caller's; `now_ms` is for a
    /// `Retry-After` that is a date.
    ///
    /// # Errors
    /// [`PushError`] tells the layer; an answer of any status is no error here.
    pub async fn post(&self, path: &str, content_type: &str, encoding: Option<&str>, body: Vec<u8>, now_ms: i64) -> Result<Answer, PushError> {
        let mut url = self.url.clone();
        url.set_path(path);
        let mut request = self.client.post(url).header(CONTENT_TYPE, content_type).body(body);
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        self.tracker.set(Phase::Connect);
        let mut response = request.send().await.map_err(|error| self.classify(&error))?;
        // Only these two can be signed; of any other answer the status is all that counts.
        let matters = matches!(response.status().as_u16(), 200 | 409);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.classify(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                if matters {
                    return Err(Detail::TooLarge.into());
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let headers = response.headers();
        let asked = text(headers, &RETRY_AFTER);
        Ok(Answer {
            status: response.status().as_u16(),
            content_type: text(headers, &CONTENT_TYPE).map(essence).unwrap_or_default(),
            retry_after_s: asked.and_then(|value| retry_after::retry_after_s(value, text(headers, &DATE), now_ms)),
            body,
        })
    }

    /// Whether what is sent stays on this machine: a loopback address, by number, and no proxy on the way.
    #[must_use]
    pub fn stays_here(&self) -> bool {
        self.proxy.is_none() && self.host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// The name that this machine's resolver is asked for before a push: none through a proxy, none for an address.
    #[must_use]
    pub fn resolves(&self) -> Option<String> {
        let literal = self.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        (self.proxy.is_none() && !literal).then(|| self.host.clone())
    }

    /// The proxy on the way, as `host:port`.
    #[must_use]
    pub fn proxy(&self) -> Option<String> {
        self.proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host, proxy.port))
    }

    fn classify(&self, error: &reqwest::Error) -> PushError {
        let fault = classify::classify(error, self.tracker.get(), self.proxy.is_some());
        match (fault.detail, &self.proxy) {
            (Detail::ProxyAuth, Some(proxy)) => PushError { detail: proxy.unauthorised(None), ..fault },
            _ => fault,
        }
    }
}

impl fmt::Debug for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uplink({})", self.url)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn collector_url(config: &UplinkConfig) -> Result<Url, UplinkError> {
    let url = Url::parse(config.url.trim()).map_err(|_| UplinkError::Url)?;
    let more = !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some();
    let host = url.host_str().ok_or(UplinkError::Url)?;
    if more || !matches!(url.path(), "" | "/") {
        return Err(UplinkError::Url);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" => {
            // A name could be resolved to anywhere.
            let loopback = host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
            if config.allow_plain_loopback && loopback { Ok(url) } else { Err(UplinkError::PlainElsewhere) }
        }
        _ => Err(UplinkError::Scheme),
    }
}
