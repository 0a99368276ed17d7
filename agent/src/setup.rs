//! What follows from configuration, enrolment and consent, for the running agent and for the commands alike.

use crate::config::Config;
use crate::core::Settings;
use crate::host::Host;
use crate::outbox::{Ledger, Quota};
use crate::probe::Names;
use crate::run::RunError;
use crate::uplink::{self, Uplink};
use mimamori_shared::config::Secret;
use mimamori_shared::consent::{ConsentTerms, Plan};
use mimamori_shared::fields::Scope;
use mimamori_shared::frame::take;
use mimamori_shared::id::BootId;
use mimamori_shared::payload::read;
use mimamori_shared::sign::{PayloadType, PublicKey, verify};
use std::path::Path;

/// What `main` read from the environment.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `https_proxy`.
    pub https_proxy: Option<String>,
    /// `no_proxy`.
    pub no_proxy: Option<String>,
}

/// The way out, as configuration and enrolment have it.
///
/// # Errors
/// What is wrong and how to mend it.
pub fn uplink_of(config: &Config, url: &str, ca_pin: mimamori_shared::id::Hash, environment: &Environment) -> Result<Uplink, String> {
    let values = config.values();
    let url = values.text_opt("collector.url").unwrap_or(url);
    let mut out = uplink::UplinkConfig::new(url.to_owned(), ca_pin);
    out.allow_plain_loopback = values.flag("collector.plain_http_loopback");
    if let Some(path) = values.path_opt("tls.extra_ca_file") {
        out.extra_ca_pem = Some(std::fs::read(path).map_err(|fault| format!("tls.extra_ca_file {}: {fault}", path.display()))?);
    }
    out.proxy = proxy_of(config, environment)?;
    Uplink::new(out).map_err(|fault| fault.to_string())
}

fn proxy_of(config: &Config, environment: &Environment) -> Result<uplink::Proxy, String> {
    let values = config.values();
    if let Some(url) = values.text_opt("proxy.url") {
        let password = config.proxy_password()?;
        let user = values.text_opt("proxy.user").map(str::to_owned);
        let user = match (user, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            _ => return Err("proxy.user and proxy.password_file belong together".to_owned()),
        };
        return Ok(uplink::Proxy::Explicit { url: url.to_owned(), user });
    }
    if values.flag("proxy.from_environment") {
        return Ok(uplink::Proxy::Environment { https_proxy: environment.https_proxy.clone().map(Secret::new), no_proxy: environment.no_proxy.clone() });
    }
    Ok(uplink::Proxy::None)
}

/// Names for what lies outside the vocabulary.
///
/// # Errors
/// An alias that cannot be used.
pub fn names_of(config: &Config, salt: &[u8; 32]) -> Result<Names, String> {
    let aliases = |key: &str| {
        let read = config.aliases(key).iter().map(|(outside, alias)| {
            let word = mimamori_shared::word::Word::alias(alias).map_err(|fault| format!("{key}.\"{outside}\": {fault}"))?;
            Ok((outside.clone(), word))
        });
        read.collect::<Result<std::collections::BTreeMap<_, _>, String>>()
    };
    Ok(Names::new(salt, aliases("aliases.filesystems")?))
}

/// What configuration and consent leave: of two intervals the longer, per scope, and the fields held back.
#[must_use]
pub fn settings_of(config: &Config, terms: Option<&ConsentTerms>) -> Settings {
    stretched(config, terms, 1)
}

/// The same while the machine is busy: all intervals but heartbeat's are `factor` times as long.
#[must_use]
pub fn stretched(config: &Config, terms: Option<&ConsentTerms>, factor: u64) -> Settings {
    let except = config.except();
    let interval_s = |scope| config.interval_s(scope).saturating_mul(if scope == Scope::Heartbeat { 1 } else { factor });
    let plan = Plan::of(terms, interval_s, |field| !except.contains(&field.id));
    Settings { plan, except }
}

/// What the outbox may use.
#[must_use]
pub fn quota_of(config: &Config) -> Quota {
    let values = config.values();
    Quota {
        bytes: values.size_bytes("outbox.size"),
        age_ms: i64::try_from(values.duration_s("outbox.age")).unwrap_or(i64::MAX / 1000).saturating_mul(1000),
        free_floor_bytes: values.size_bytes("outbox.free_floor"),
    }
}

/// After how long the key is changed, in milliseconds; `None` never by itself.
#[must_use]
pub fn rotate_after_ms_of(config: &Config) -> Option<i64> {
    let after_s = config.values().duration_s("key.rotate_after");
    (after_s > 0).then(|| i64::try_from(after_s).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
}

/// The boot this is, from the host's tree.
///
/// # Errors
/// When the kernel does not say.
pub fn boot_id(host: &Host) -> Result<BootId, RunError> {
    let text = host.read("proc/sys/kernel/random/boot_id", 256).map_err(|code| RunError::Config(format!("proc/sys/kernel/random/boot_id: {}", code.name())))?;
    BootId::from_uuid(&text).ok_or_else(|| RunError::Config("proc/sys/kernel/random/boot_id is no UUID".to_owned()))
}

/// The tree the readings come from.
#[must_use]
pub fn host_of(config: &Config) -> Host {
    let root = config.values().path("host_root");
    if root == Path::new("/") { Host::live() } else { Host::recorded(root) }
}

/// The collector's signing key by the newest certificate that the ledger holds: an older one does not come back with a
/// restart.
pub(crate) fn newest_signer(dir: &Path, root: &PublicKey) -> Option<uplink::Signer> {
    let chains = Ledger::open(dir).ok()??.chains().ok()?;
    let signers = chains.into_iter().filter_map(|chain| {
        let (frame, _) = take(&chain.held?.certificate).ok()?;
        let verified = verify(frame, root).ok()?;
        uplink::Signer::of(&read(&verified, PayloadType::Certificate).ok()?).ok()
    });
    signers.max_by_key(|signer| signer.issued_at_ms)
}
