//! Checks that the facility defined: whether what this machine depends on answers, how fast, and until when its
//! certificates last.
//!
//! They ask only what stands in the facility's own configuration, which root or the agent's account alone can write. No
//! redirect is followed and no proxy used; names go to where the system's resolver says. Of an answer nothing is kept but a
//! word, a number, a time and a date: hosts, URLs, titles and contents stay on the machine.

mod certificate;
mod config;
mod connect;
mod dicom;
mod http;
pub(crate) mod outside;
mod tcp;
#[cfg(test)]
mod tests;
mod words;

pub use config::{CHECK_KEYS, CHECKS_MAX, faults};
pub use dicom::Titles;
pub use http::Http;
pub use tcp::Engine;

use crate::clock;
use crate::config::Config;
use connect::Target;
use mimamori_shared::fields::Application;
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The section they fill.
pub const SECTION: &str = "application";
/// How many run at once: a facility's network is not to notice them.
const AT_ONCE: usize = 4;
/// No check is begun that could last beyond this, counted from the first one's beginning.
const TOTAL: Duration = Duration::from_secs(60);

/// One check.
#[derive(Debug, Clone)]
pub struct Check {
    /// The facility's name for it: all that others learn of what is checked.
    pub alias: Word,
    /// From the lookup of the name to the answer.
    pub timeout: Duration,
    /// What is asked.
    pub what: What,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum What {
    /// Whether a port can be connected to.
    Tcp(Target),
    /// The same of an HL7 engine. Nothing is sent: a message there would be taken for a patient's.
    Hl7Mllp(Target),
    /// Whether a database answers, without a login.
    Database(Engine, Target),
    /// Status and content of a page.
    Http(Http),
    /// When the certificate of a port ends, whoever signed it.
    Tls(Target),
    /// When the first of the certificates in a file ends.
    CertificateFile(PathBuf),
    /// Whether a DICOM node answers a C-ECHO.
    DicomEcho(Target, Titles),
}

impl What {
    /// The word in the configuration and on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            What::Tcp(_) => "tcp",
            What::Hl7Mllp(_) => "hl7_mllp",
            What::Database(..) => "database",
            What::Http(_) => "http",
            What::Tls(_) => "tls",
            What::CertificateFile(_) => "certificate_file",
            What::DicomEcho(..) => "dicom_echo",
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Class {
    /// As expected.
    #[default]
    Ok,
    /// Nobody listens there, or a firewall says so.
    Refused,
    /// No answer, or not all of it, within the deadline.
    TimedOut,
    /// No way there.
    Unreachable,
    /// The name is not resolved.
    NameNotFound,
    /// No agreement on TLS, or no certificate that holds.
    TlsHandshake,
    /// The certificate has ended.
    CertificateExpired,
    /// Another status than expected.
    Status,
    /// The expected text is not there.
    Content,
    /// An answer of another protocol, or a broken one.
    Protocol,
    /// The other side refuses this machine.
    Rejected,
    /// The other side broke the exchange off.
    Aborted,
    /// The connection ended before the answer was whole.
    Closed,
}

impl Class {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Ok => "ok",
            Class::Refused => "refused",
            Class::TimedOut => "timed_out",
            Class::Unreachable => "unreachable",
            Class::NameNotFound => "name_not_found",
            Class::TlsHandshake => "tls_handshake",
            Class::CertificateExpired => "certificate_expired",
            Class::Status => "status",
            Class::Content => "content",
            Class::Protocol => "protocol",
            Class::Rejected => "rejected",
            Class::Aborted => "aborted",
            Class::Closed => "closed",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finding {
    /// Whether it is as expected, and else what is wrong.
    pub class: Class,
    /// To the answer, in microseconds; `None` without one.
    pub latency_us: Option<i64>,
    /// Of HTTP: to the head of the answer, in microseconds.
    pub first_byte_us: Option<i64>,
    /// A status of HTTP or DICOM, or source * 256 + reason of an association that was rejected.
    pub status: Option<i64>,
    /// When the certificate ends, in milliseconds since 1970, UTC.
    pub expires_at_ms: Option<i64>,
    /// What more is known, in English and Japanese. Stays here.
    pub note: Option<(&'static str, &'static str)>,
}

impl Finding {
    /// An answer that came just now.
    fn answered(class: Class, begun: Instant) -> Finding {
        Finding { class, latency_us: Some(since_us(begun)), ..Finding::default() }
    }
}

/// Why there is no finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// There was no answer to judge, which says enough.
    Down(Class),
    /// It cannot be told whether it is up.
    Unmeasured(FaultCode),
}

impl From<Class> for Trouble {
    fn from(class: Class) -> Trouble {
        Trouble::Down(class)
    }
}

/// A check that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The facility's name for it.
    pub alias: Word,
    /// [`What::name`].
    pub kind: &'static str,
    /// What was found, or why it cannot be told.
    pub result: Result<Finding, FaultCode>,
}

impl Checked {
    /// What of it may leave the machine.
    ///
    /// # Errors
    /// The fault, when it could not be told whether it is up.
    pub fn reading(&self) -> Result<Application, Fault> {
        let word = |text: &str| text.parse().unwrap_or_default();
        match &self.result {
            Ok(found) => Ok(Application {
                name: self.alias.clone(),
                up: Some(i64::from(found.class == Class::Ok)),
                latency_us: found.latency_us,
                error: Some(word(found.class.name())),
                status: found.status,
                certificate_expires_at_ms: found.expires_at_ms,
                kind: Some(word(self.kind)),
            }),
            Err(code) => Err(Fault { probe: word(SECTION), code: *code, name: Some(self.alias.clone()) }),
        }
    }
}

/// The checks of a configuration, in the order of their aliases.
#[must_use]
pub fn configured(config: &Config) -> Vec<Check> {
    config::checks(config.values())
}

/// Makes all checks, a few at once, and gives their readings and faults in the order of the checks.
pub async fn check_all(checks: &[Check]) -> (Vec<Application>, Vec<Fault>) {
    let (mut readings, mut faults) = (Vec::new(), Vec::new());
    for checked in run(checks).await {
        match checked.reading() {
            Ok(reading) => readings.push(reading),
            Err(fault) => faults.push(fault),
        }
    }
    (readings, faults)
}

/// Makes all checks, a few at once, and gives what they came to in the order of the checks. Ends within a minute: what could
/// not be begun in time says that it cannot be told.
pub async fn run(checks: &[Check]) -> Vec<Checked> {
    let (waiting, done) = (Mutex::new(checks.iter().enumerate()), Mutex::new(Vec::new()));
    let begun = Instant::now();
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let worker = || async {
        while let Some((place, check)) = next() {
            let fits = begun.elapsed() + check.timeout <= TOTAL;
            let result = if fits { one(check).await } else { Err(FaultCode::TimedOut) };
            let checked = Checked { alias: check.alias.clone(), kind: check.what.name(), result };
            if let Ok(mut done) = done.lock() {
                done.push((place, checked));
            }
        }
    };
    // As many as AT_ONCE says.
    let [a, b, c, d] = [(); AT_ONCE].map(|()| worker());
    tokio::join!(a, b, c, d);
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, checked)| checked).collect()
}

async fn one(check: &Check) -> Result<Finding, FaultCode> {
    let begun = Instant::now();
    let result = match &check.what {
        // It goes on after the answer, which is no part of the deadline.
        What::DicomEcho(target, titles) => dicom::check(target, titles, begun, check.timeout).await,
        What::Tcp(target) | What::Hl7Mllp(target) => within(check.timeout, tcp::connects(target, begun)).await,
        What::Database(engine, target) => within(check.timeout, tcp::database(*engine, target, begun)).await,
        What::Http(page) => within(check.timeout, http::check(page, begun)).await,
        What::Tls(target) => within(check.timeout, certificate::of_port(target, begun, clock::now().wall_ms)).await,
        What::CertificateFile(path) => {
            let read = timeout(check.timeout, certificate::of_file(path, clock::now().wall_ms)).await;
            read.unwrap_or(Err(Trouble::Unmeasured(FaultCode::TimedOut)))
        }
    };
    match result {
        Ok(finding) => Ok(finding),
        Err(Trouble::Down(class)) => Ok(Finding { class, ..Finding::default() }),
        Err(Trouble::Unmeasured(code)) => Err(code),
    }
}

async fn within(limit: Duration, asked: impl Future<Output = Result<Finding, Trouble>>) -> Result<Finding, Trouble> {
    timeout(limit, asked).await.unwrap_or(Err(Trouble::Down(Class::TimedOut)))
}

fn since_us(begun: Instant) -> i64 {
    i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX)
}
