//! Starting and stopping: config, keys, store, work, listeners; and back in reverse.

use crate::cli::Lang;
use crate::clock;
use crate::config::Config;
use crate::export::selfmetrics::SelfMetrics;
use crate::ingest::{Ingest, Tally};
use crate::keys::{self, Keys, KeysError};
use crate::net::{self, ConnLimits, NetTelemetry, TlsError, TlsReloader};
use crate::revocation::{self, RevocationError};
use crate::store::{Actor, Store, StoreError};
use crate::web::{self, Listener, Web};
use crate::work::{self, Security};
use mimamori_shared::id::Hash;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The database's file within the state folder.
pub const DATABASE: &str = "collector.db";
/// People read pages at their own pace, and several of them from one address.
const PAGES_IDLE: Duration = Duration::from_secs(30);
/// Connections from one address to the pages.
const PAGES_PER_SOURCE: usize = 512;

/// Why the collector does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Store.
    #[error("the database {0} cannot be opened")]
    Store(PathBuf, #[source] StoreError),
    /// There are keys, and no database.
    #[error(
        "there is no database at {0}, or it is empty: was it left out of a restore? Restore it with the rest of the state folder; if it is lost, `mimamori-collector serve --accept-rollback` begins an empty one, to which every machine has to be enrolled anew"
    )]
    NoDatabase(PathBuf),
    /// TLS.
    #[error("the TLS certificate cannot be used")]
    Tls(#[from] TlsError),
    /// A configured file.
    #[error("{0} cannot be read")]
    File(PathBuf, #[source] std::io::Error),
    /// An address.
    #[error("{key} = {address} cannot be listened on: is another program there?")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The revocations.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// Two metrics of one name.
    #[error("the metrics cannot be set up")]
    Metrics(#[from] prometheus::Error),
    /// The operating system.
    #[error("the operating system refused")]
    System(#[from] std::io::Error),
}

impl StartError {
    /// Whether starting again cannot help.
    #[must_use]
    pub fn is_config(&self) -> bool {
        match self {
            StartError::Revocation(RevocationError::Store(_) | RevocationError::Io { .. }) => false,
            StartError::Keys(_) | StartError::NoDatabase(_) | StartError::Tls(_) | StartError::File(..) | StartError::Revocation(_) => true,
            StartError::Store(..) | StartError::Listen { .. } | StartError::Metrics(_) | StartError::System(_) => false,
        }
    }
}

/// A running collector.
#[derive(Debug)]
pub struct Running {
    /// Where agents report to.
    pub ingest: SocketAddr,
    /// Pages.
    pub pages: SocketAddr,
    /// Metrics and health.
    pub metrics: SocketAddr,
    /// The store, for whoever started it in the same process.
    pub store: Store,
    ingest_keys: Arc<Ingest>,
    tls: Arc<TlsReloader>,
    chain: TlsFiles,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Where the TLS certificate comes from.
#[derive(Debug, Clone)]
struct TlsFiles {
    dir: PathBuf,
    hosts: Vec<String>,
    configured: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), StartError> {
        let Some((certificate, key)) = &self.configured else { return Ok(keys::tls(&self.dir, &self.hosts, clock::now_ms())?) };
        let read = |path: &Path| std::fs::read(path).map_err(|fault| StartError::File(path.to_owned(), fault));
        Ok((read(certificate)?, read(key)?))
    }
}

fn tls_files(config: &Config, keys: &Keys) -> TlsFiles {
    let values = config.values();
    let configured = values.path_opt("tls.certificate_file").zip(values.path_opt("tls.key_file"));
    TlsFiles { dir: config.state_dir(), hosts: keys.hosts.clone(), configured: configured.map(|(certificate, key)| (certificate.to_owned(), key.to_owned())) }
}

/// What agents pin: the authority at the end of the chain that is served.
///
/// # Errors
/// When the certificate cannot be read.
pub fn pin(config: &Config) -> Result<Hash, KeysError> {
    let own = config.state_dir().join("ca.pem");
    keys::pin(config.values().path_opt("tls.certificate_file").unwrap_or(&own))
}

/// How agents reach the collector: as configured, or by the first host of `init`.
#[must_use]
pub fn public_url(config: &Config, keys: &Keys) -> String {
    let host = keys.hosts.first().map_or("localhost", String::as_str);
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = config.address("ingest.listen").port();
    config.values().text_opt("ingest.public_url").map_or_else(|| format!("https://{host}:{port}"), |url| url.trim_end_matches('/').to_owned())
}

/// What is wrong with `ingest.public_url`: agents check the certificate against the host in it. `hosts` are those of
/// the collector's own certificate, which counts where none is configured.
#[must_use]
pub fn public_url_fault(config: &Config, hosts: &[String], lang: Lang) -> Option<String> {
    let url = config.values().text_opt("ingest.public_url")?;
    let host = url.split("://").nth(1)?.split(['/', '?', '#']).next()?;
    let host = host.strip_prefix('[').and_then(|rest| rest.split(']').next()).or_else(|| host.split(':').next())?;
    let (covered, mend) = match config.values().path_opt("tls.certificate_file") {
        None => {
            let mend = lang.of("use a host that was given to `init --host`", "`init --host`で指定した名前を使用してください");
            (hosts.iter().any(|one| one.eq_ignore_ascii_case(host)), mend.to_owned())
        }
        Some(file) => {
            let shown = file.display();
            let mend = lang
                .of(format!("use a host that is in {shown}, or have it added there"), format!("{shown} に含まれる名前を使用するか、追加してもらってください"));
            (net::certificate_covers(&std::fs::read(file).ok()?, host), mend)
        }
    };
    (!covered).then(|| {
        lang.of(
            format!("ingest.public_url = {url}: no agent could connect, the certificate is not for {host}; {mend}"),
            format!("ingest.public_url = {url}：証明書が {host} のものではないため、エージェントは接続できません。{mend}"),
        )
    })
}

/// Opens the store of a configuration, which is there.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub fn open_store(config: &Config) -> Result<Store, StartError> {
    let path = config.state_dir().join(DATABASE);
    // An empty database answers every question, and all its answers are wrong.
    match std::fs::metadata(&path) {
        Ok(file) if file.len() == 0 => return Err(StartError::NoDatabase(path)),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Err(StartError::NoDatabase(path)),
        Ok(_) | Err(_) => {}
    }
    make_store(config)
}

/// Opens the store of a configuration, and makes it where there is none: for `init`, and for a start that may.
///
/// # Errors
/// When it cannot be opened.
pub fn make_store(config: &Config) -> Result<Store, StartError> {
    let path = config.state_dir().join(DATABASE);
    Store::open(&path, clock::now_ms()).map_err(|fault| StartError::Store(path, fault))
}

/// Starts everything and returns when all three listeners are bound.
///
/// # Errors
/// [`StartError`] names the mend.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    start_as(config, None, Lang::En).await
}

/// The same; `accept` is who accepts that the database went back, and is told in `lang` what was taken over.
///
/// # Errors
/// [`StartError`] names the mend.
pub async fn start_as(config: &Config, accept: Option<&Actor>, lang: Lang) -> Result<Running, StartError> {
    let keys = keys::load(&config.state_dir())?;
    let collector_id = keys.collector_id;
    if let Some(fault) = public_url_fault(config, &keys.hosts, Lang::En) {
        eprintln!("<4>{fault}");
    }
    let chain = tls_files(config, &keys);
    let (certificate, key) = chain.read()?;
    let tls = Arc::new(TlsReloader::new(&certificate, &key)?);
    let revocations = revocation::path(config);
    // Without the file nothing ever started here, as after an `init` that was cut; beside it a database was there.
    let may_make = accept.is_some() || !revocations.try_exists().unwrap_or(true);
    let store = if may_make { make_store(config)? } else { open_store(config)? };
    // Before anything is taken.
    let accepted = revocation::check(&revocations, &keys, &store, accept, clock::now_ms()).await?;
    if accept.is_some() {
        accepted.lines(lang).iter().for_each(|line| eprintln!("<4>{line}"));
    }
    let metrics = Arc::new(SelfMetrics::new(env!("CARGO_PKG_VERSION"), clock::now_ms())?);
    let (stop, stopping) = watch::channel(false);
    let limits = ConnLimits::default();
    let telemetry = Arc::new(NetTelemetry::default());
    let tally = Arc::new(Tally::new(Arc::clone(&metrics)));
    let security = Security::new(Arc::clone(&tally), Arc::clone(&metrics), Arc::clone(&telemetry), config.utc_offset_h());
    let ingest = Arc::new(Ingest::new(store.clone(), keys, limits.clone(), config.rates(), tally, Arc::clone(&metrics)));
    let database = config.state_dir().join(DATABASE);
    let web = Arc::new(Web {
        store: store.clone(),
        collector_id,
        metrics,
        net: Arc::clone(&telemetry),
        database,
        utc_offset_h: config.utc_offset_h(),
        ready_at_ms: std::sync::atomic::AtomicI64::new(i64::MIN),
    });
    let bind = |key: &'static str| {
        let address = config.address(key);
        net::listen(address).map_err(|source| StartError::Listen { key, address, source })
    };
    let (agents, people, watchers) = (bind("ingest.listen")?, bind("pages.listen")?, bind("metrics.listen")?);
    let addresses = (agents.local_addr()?, people.local_addr()?, watchers.local_addr()?);
    let calm = ConnLimits { idle_unverified: PAGES_IDLE, per_source_max: PAGES_PER_SOURCE, per_known_source_max: PAGES_PER_SOURCE, ..limits.clone() };
    let own = || Arc::new(NetTelemetry::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(work::run(store.clone(), security, stopping.clone()));
    let router = |listener| web::router(listener, &ingest, &web);
    tasks.spawn(net::serve(agents, Some(Arc::clone(&tls)), router(Listener::Ingest), limits, telemetry, stopping.clone()));
    tasks.spawn(net::serve(people, None, router(Listener::Pages), calm.clone(), own(), stopping.clone()));
    tasks.spawn(net::serve(watchers, None, router(Listener::Metrics), calm, own(), stopping));
    Ok(Running { ingest: addresses.0, pages: addresses.1, metrics: addresses.2, store, ingest_keys: ingest, tls, chain, stop, tasks })
}

impl Running {
    /// Reads signing key and TLS certificate again; bad ones are refused and the old ones stay.
    ///
    /// # Errors
    /// When the new one cannot be used.
    pub fn reload(&self) -> Result<(), StartError> {
        let keys = keys::load(&self.chain.dir)?;
        let (certificate, key) = self.chain.read()?;
        self.tls.reload(&certificate, &key)?;
        self.ingest_keys.set_keys(keys);
        Ok(())
    }

    /// Stops accepting, lets requests in flight finish, ends the work.
    pub async fn stop(mut self) {
        // Nobody listens only when everything has ended already.
        self.stop.send(true).ok();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Serves until SIGTERM or SIGINT; SIGHUP reads signing key and certificate again.
///
/// # Errors
/// [`StartError`] names the mend.
pub fn serve(config: &Config, accept: Option<&Actor>, lang: Lang) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(16).build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut interrupt, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
        let running = start_as(config, accept, lang).await?;
        eprintln!("<6>agents report to {}; pages http://{}/; metrics http://{}/metrics", running.ingest, running.pages, running.metrics);
        notify(&[sd_notify::NotifyState::Ready]);
        let mut beat = tokio::time::interval(Duration::from_secs(15));
        loop {
            tokio::select! {
                _ = beat.tick() => watchdog(&running).await,
                _ = hangup.recv() => match running.reload() {
                    Ok(()) => eprintln!("<6>signing key and TLS certificate were read again"),
                    Err(fault) => eprintln!("<3>signing key and TLS certificate stay as they were: {}", mimamori_shared::error::chain(&fault)),
                },
                _ = term.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        notify(&[sd_notify::NotifyState::Stopping]);
        running.stop().await;
        eprintln!("<6>stopped");
        Ok(())
    })
}

/// A sign of life only after the store has made a write durable.
async fn watchdog(running: &Running) {
    if running.store.write_probe(clock::now_ms()).await.is_ok() {
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Without systemd the collector works all the same.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    drop(sd_notify::notify(states));
}
