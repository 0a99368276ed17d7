//! The collector's keys, in files beside the database and never in it: a stolen database signs nothing.
//!
//! `root.key` signs the certificate of the signing key and nothing else; it may be carried away after `init`.
//! `signing.key` signs receipts. `lease.secret` makes leases. `age.key` opens bundles carried by hand. `ca.key` and
//! `ca.pem` are the authority of the TLS certificate that `serve` makes anew before it runs out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bech32::{Bech32, Hrp};
use mimamori_shared::frame::{Frame, take};
use mimamori_shared::id::{CollectorId, Hash, KeyId, from_hex, to_hex};
use mimamori_shared::payload::{Certificate, encode};
use mimamori_shared::sign::{PayloadType, PublicKey, SecretKey, sha256, verify};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use x25519_dalek::{PublicKey as AgePublic, StaticSecret};
use zeroize::Zeroizing;

/// How long a TLS certificate is good for, in days; it is made anew at a start once a third is left.
const TLS_DAYS: i64 = 397;
/// How long the authority is good for, in days.
const CA_DAYS: i64 = 20 * 365;
const DAY_MS: i64 = 86_400_000;

/// The next signing key's file while the key is changed.
const NEXT: &str = "signing.next";

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There are some already.
    #[error("{0} holds a collector already, and `init` never overwrites keys: `keys show` shows it; another collector needs another state_dir")]
    Exists(PathBuf),
    /// There are none.
    #[error("{0} holds no collector: run `mimamori-collector init --host NAME`")]
    Missing(PathBuf),
    /// A file failed.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file says something else than it should.
    #[error("{0} is damaged: restore it from the backup of the keys")]
    Damaged(PathBuf),
    /// Others can read a secret.
    #[error("{0} can be read by others: run `chmod 600 {0}`; if others had access, the key must be replaced")]
    Exposed(PathBuf),
    /// A root key of another collector.
    #[error("{path} is not this collector's root: carry in the one with the fingerprint {expected}")]
    OtherRoot {
        /// The file.
        path: PathBuf,
        /// The fingerprint wanted.
        expected: String,
    },
    /// The TLS certificate could not be made.
    #[error("the TLS certificate cannot be made")]
    Tls(#[from] rcgen::Error),
}

/// What `collector.toml` says: nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Public {
    collector_id: CollectorId,
    /// 32 bytes in hex.
    root_key: String,
    /// `age` recipient of bundles.
    recipient: String,
    /// Names and addresses agents reach the collector by.
    hosts: Vec<String>,
    /// The two lines of the signing key's certificate.
    certificate: String,
}

/// Everything `serve` signs with.
#[derive(Debug)]
pub struct Keys {
    /// The collector.
    pub collector_id: CollectorId,
    /// The root's public half.
    pub root: PublicKey,
    /// Signs receipts.
    pub signing: SecretKey,
    /// When the root signed for it, UTC, milliseconds since 1970.
    pub issued_at_ms: i64,
    /// The certificate's two lines, as every answer carries them.
    pub certificate: Vec<u8>,
    /// Makes leases.
    pub lease_secret: Zeroizing<[u8; 32]>,
    /// `age` recipient of bundles.
    pub recipient: String,
    /// Names and addresses agents reach the collector by.
    pub hosts: Vec<String>,
}

impl Keys {
    /// Signs a payload of the collector's and puts the certificate behind it: the body of every signed answer.
    #[must_use]
    pub fn answer(&self, kind: PayloadType, payload: Vec<u8>) -> Vec<u8> {
        let frame = Frame { key_id: self.signing.public().id(), signature: self.signing.sign(kind, &payload), payload };
        let mut body = frame.to_lines();
        body.extend_from_slice(&self.certificate);
        body
    }
}

/// Whether there is a collector in `dir`.
///
/// # Errors
/// When the folder cannot be looked at.
pub fn is_made(dir: &Path) -> Result<bool, KeysError> {
    dir.join("collector.toml").try_exists().map_err(io_error(dir))
}

/// Makes a new collector in `dir`.
///
/// # Errors
/// [`KeysError`] names the file and the mend.
pub fn init(dir: &Path, hosts: &[String], now_ms: i64, random: &mut dyn FnMut() -> io::Result<[u8; 32]>) -> Result<Keys, KeysError> {
    if is_made(dir)? {
        return Err(KeysError::Exists(dir.to_owned()));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error(dir))?;
    let mut seed = || random().map(Zeroizing::new).map_err(io_error(dir));
    let (root, signing) = (SecretKey::from_seed(&seed()?), SecretKey::from_seed(&seed()?));
    let Hash(id) = sha256(seed()?.as_slice());
    let mut collector_id = CollectorId::ZERO;
    collector_id.0.copy_from_slice(id.split_at(16).0);
    let age = StaticSecret::from(*seed()?);
    let (identity, recipient) = age_texts(&age).ok_or_else(|| KeysError::Damaged(dir.to_owned()))?;
    let certificate = certify(&root, &signing, collector_id, now_ms);
    let public = Public {
        collector_id,
        root_key: to_hex(&root.public().to_bytes()),
        recipient,
        hosts: hosts.to_vec(),
        certificate: String::from_utf8_lossy(&certificate).into_owned(),
    };
    write(&dir.join("root.key"), to_hex(root.seed().as_slice()).as_bytes())?;
    write(&dir.join("signing.key"), to_hex(signing.seed().as_slice()).as_bytes())?;
    write(&dir.join("lease.secret"), to_hex(seed()?.as_slice()).as_bytes())?;
    write(&dir.join("age.key"), identity.as_bytes())?;
    make_authority(dir, now_ms)?;
    // Last: its presence says that everything else is there.
    let text = toml::to_string(&public).map_err(|_| KeysError::Damaged(dir.join("collector.toml")))?;
    write(&dir.join("collector.toml"), text.as_bytes())?;
    load(dir)
}

fn certify(root: &SecretKey, signing: &SecretKey, collector_id: CollectorId, now_ms: i64) -> Vec<u8> {
    let certificate =
        Certificate { collector_id, key_id: signing.public().id(), public_key: STANDARD.encode(signing.public().to_bytes()), issued_at_ms: now_ms };
    let payload = encode(PayloadType::Certificate, &[&certificate]);
    Frame { key_id: root.public().id(), signature: root.sign(PayloadType::Certificate, &payload), payload }.to_lines()
}

/// Identity and recipient as `age` writes them (age v1: Bech32 over the X25519 secret and public key).
fn age_texts(secret: &StaticSecret) -> Option<(Zeroizing<String>, String)> {
    let identity = bech32::encode::<Bech32>(Hrp::parse("age-secret-key-").ok()?, &secret.to_bytes()).ok()?;
    let recipient = bech32::encode::<Bech32>(Hrp::parse("age").ok()?, AgePublic::from(secret).as_bytes()).ok()?;
    Some((Zeroizing::new(identity.to_uppercase()), recipient))
}

/// Reads the keys of a collector. The root's private half is not needed and may be absent.
///
/// # Errors
/// [`KeysError`] names the file and the mend.
pub fn load(dir: &Path) -> Result<Keys, KeysError> {
    let path = dir.join("collector.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Err(KeysError::Missing(dir.to_owned())),
        Err(fault) => return Err(io_error(&path)(fault)),
    };
    let damaged = || KeysError::Damaged(path.clone());
    let public: Public = toml::from_str(&text).map_err(|_| damaged())?;
    let root = from_hex::<32>(&public.root_key).and_then(|bytes| PublicKey::from_bytes(&bytes).ok()).ok_or_else(damaged)?;
    let certificate = public.certificate.into_bytes();
    let (frame, _) = take(&certificate).map_err(|_| damaged())?;
    let verified = verify(frame, &root).map_err(|_| damaged())?;
    let said: Certificate = mimamori_shared::payload::read(&verified, PayloadType::Certificate).map_err(|_| damaged())?;
    if said.collector_id != public.collector_id {
        return Err(damaged());
    }
    let signing = signing_key(dir, said.key_id)?.ok_or_else(damaged)?;
    Ok(Keys {
        collector_id: public.collector_id,
        root,
        signing,
        issued_at_ms: said.issued_at_ms,
        certificate,
        lease_secret: secret(&dir.join("lease.secret"))?,
        recipient: public.recipient,
        hosts: public.hosts,
    })
}

/// The signing key that a certificate names. While it is changed there are two files, and the certificate decides.
fn signing_key(dir: &Path, named: KeyId) -> Result<Option<SecretKey>, KeysError> {
    let present = secret(&dir.join("signing.key")).map(|seed| SecretKey::from_seed(&seed));
    if let Ok(key) = &present
        && key.public().id() == named
    {
        return Ok(present.ok());
    }
    let next = dir.join(NEXT);
    if next.try_exists().map_err(io_error(&next))? {
        return Ok(Some(SecretKey::from_seed(&secret(&next)?)).filter(|key| key.public().id() == named));
    }
    present.map(|_| None)
}

/// Makes a new signing key and has the root sign for it. The switch is one rename, that of `collector.toml`; before it
/// the old key signs, after it the new one, also when the program ends between any two steps. `root` is the file of
/// the root's private half.
///
/// # Errors
/// [`KeysError`] names the file and the mend; then nothing has changed.
pub fn rotate_signing(dir: &Path, root: &Path, now_ms: i64, random: &mut dyn FnMut() -> io::Result<[u8; 32]>) -> Result<Keys, KeysError> {
    let present = load(dir)?;
    let key = SecretKey::from_seed(&secret(root)?);
    if key.public() != present.root {
        return Err(KeysError::OtherRoot { path: root.to_owned(), expected: present.root.id().fingerprint() });
    }
    let path = dir.join("collector.toml");
    let text = fs::read_to_string(&path).map_err(io_error(&path))?;
    let mut public: Public = toml::from_str(&text).map_err(|_| KeysError::Damaged(path.clone()))?;
    let signing = SecretKey::from_seed(&random().map(Zeroizing::new).map_err(io_error(dir))?);
    // Agents never go back to an older certificate, and do not take another key of the same moment.
    let issued_at_ms = now_ms.max(present.issued_at_ms.saturating_add(1));
    let certificate = certify(&key, &signing, present.collector_id, issued_at_ms);
    public.certificate = String::from_utf8_lossy(&certificate).into_owned();
    let text = toml::to_string(&public).map_err(|_| KeysError::Damaged(path.clone()))?;
    // The key that signs now must not be the file that is written over.
    let (named, next) = (dir.join("signing.key"), dir.join(NEXT));
    if next.try_exists().map_err(io_error(&next))? {
        write(&named, Zeroizing::new(to_hex(present.signing.seed().as_slice())).as_bytes())?;
    }
    write(&next, Zeroizing::new(to_hex(signing.seed().as_slice())).as_bytes())?;
    write(&path, text.as_bytes())?;
    fs::rename(&next, &named).map_err(io_error(&named))?;
    load(dir)
}

/// SHA-256 of the DER of the last certificate of a PEM chain: what agents pin.
///
/// # Errors
/// When the file holds no certificate.
pub fn pin(path: &Path) -> Result<Hash, KeysError> {
    let pem = fs::read(path).map_err(io_error(path))?;
    let last = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).last();
    last.map(|der| sha256(&der)).ok_or_else(|| KeysError::Damaged(path.to_owned()))
}

/// The collector's own TLS chain and key as PEM, made anew when less than a third of its time is left or when the
/// hosts have changed.
///
/// # Errors
/// [`KeysError`] names the file and the mend.
pub fn tls(dir: &Path, hosts: &[String], now_ms: i64) -> Result<(Vec<u8>, Vec<u8>), KeysError> {
    let (chain, key, made) = (dir.join("tls.pem"), dir.join("tls.key"), dir.join("tls.made"));
    let stamp = |until: i64| format!("{until} {}", hosts.join(" "));
    let good = fs::read_to_string(&made).ok().is_some_and(|text| {
        let until = text.split(' ').next().and_then(|until| until.parse::<i64>().ok()).unwrap_or(0);
        text == stamp(until) && until - now_ms > TLS_DAYS * DAY_MS / 3
    });
    if !(good && chain.try_exists().unwrap_or(false)) {
        let ca = fs::read_to_string(dir.join("ca.pem")).map_err(io_error(&dir.join("ca.pem")))?;
        let ca_key = secret_text(&dir.join("ca.key"))?;
        let issuer = Issuer::from_ca_cert_pem(&ca, KeyPair::from_pem(&ca_key)?)?;
        let mut params = CertificateParams::new(hosts.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, "Mimamori collector");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        between(&mut params, now_ms, TLS_DAYS);
        let leaf_key = KeyPair::generate()?;
        let leaf = params.signed_by(&leaf_key, &issuer)?;
        write(&key, Zeroizing::new(leaf_key.serialize_pem()).as_bytes())?;
        write(&chain, format!("{}{ca}", leaf.pem()).as_bytes())?;
        write(&made, stamp(now_ms + TLS_DAYS * DAY_MS).as_bytes())?;
    }
    Ok((fs::read(&chain).map_err(io_error(&chain))?, fs::read(&key).map_err(io_error(&key))?))
}

fn make_authority(dir: &Path, now_ms: i64) -> Result<(), KeysError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, "Mimamori collector authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    between(&mut params, now_ms, CA_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    write(&dir.join("ca.key"), Zeroizing::new(key.serialize_pem()).as_bytes())?;
    write(&dir.join("ca.pem"), certificate.pem().as_bytes())
}

/// From a day ago, for clocks that are behind.
fn between(params: &mut CertificateParams, now_ms: i64, days: i64) {
    let at = |ms: i64| time::OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    params.not_before = at(now_ms - DAY_MS);
    params.not_after = at(now_ms + days * DAY_MS);
}

fn secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let text = secret_text(path)?;
    from_hex(text.trim()).map(Zeroizing::new).ok_or_else(|| KeysError::Damaged(path.to_owned()))
}

fn secret_text(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let meta = fs::metadata(path).map_err(io_error(path))?;
    if meta.mode() & 0o077 != 0 {
        return Err(KeysError::Exposed(path.to_owned()));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(io_error(path))
}

/// New file, synced, renamed over the old one, folder synced. Written as root it belongs to whom the folder belongs.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    let fresh = path.with_extension("new");
    let made = || {
        // Root writes here too, and the folder is the collector's: a link that waits there would give any file away.
        match fs::remove_file(&fresh) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        give(&file, folder)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        fs::File::open(folder)?.sync_all()
    };
    made().map_err(io_error(path))
}

/// What root made belongs to whom the folder belongs.
pub(crate) fn give(file: &fs::File, folder: &Path) -> io::Result<()> {
    let (own, theirs) = (file.metadata()?, fs::metadata(folder)?);
    if own.uid() == 0 && theirs.uid() != 0 { fchown(file, Some(theirs.uid()), Some(theirs.gid())) } else { Ok(()) }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> KeysError + '_ {
    move |source| KeysError::Io { path: path.to_owned(), source }
}

/// Whether a host can stand in a certificate: a DNS name or an address.
#[must_use]
pub fn is_host(host: &str) -> bool {
    let label = |part: &str| !part.is_empty() && part.len() <= 63 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    host.parse::<IpAddr>().is_ok() || (host.len() <= 253 && host.split('.').all(label))
}

#[cfg(test)]
mod tests;
