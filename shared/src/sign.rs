//! Signing and verifying: Ed25519 over DSSE's pre-authentication encoding, strictly.
//!
//! A [`Verified`] can only be made by [`verify`]; whoever holds one knows that the bytes were signed for this
//! payload type by that key. Nothing else in the project calls the signature library.

use crate::id::{Hash, KeyId};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// What a payload is for. The name stands inside the signature, so that one kind can never pass for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PayloadType {
    /// Readings of a machine, by the agent.
    Report,
    /// Opening of a chain, consent, plan, key, purge, by the agent.
    Statement,
    /// Bridge over entries that are gone, by the agent.
    Loss,
    /// How far the collector holds a chain, by the collector.
    Receipt,
    /// Why it does not go on, by the collector.
    Refusal,
    /// Request for an identity, by the agent and the token.
    Enrol,
    /// The identity given, by the collector.
    Enrolled,
    /// The collector's signing key, by its root.
    Certificate,
    /// The head of a hand-carried bundle, by the agent.
    Bundle,
}

/// What a new key's proof is signed as. No payload is of this type, so a proof passes for none.
const KEY_PROOF_TYPE: &str = "application/vnd.mimamori.key-proof.v1+json";

impl PayloadType {
    /// All of them.
    pub const ALL: [PayloadType; 9] = [
        PayloadType::Report,
        PayloadType::Statement,
        PayloadType::Loss,
        PayloadType::Receipt,
        PayloadType::Refusal,
        PayloadType::Enrol,
        PayloadType::Enrolled,
        PayloadType::Certificate,
        PayloadType::Bundle,
    ];

    /// The value of `type` in the payload.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PayloadType::Report => "report",
            PayloadType::Statement => "statement",
            PayloadType::Loss => "loss",
            PayloadType::Receipt => "receipt",
            PayloadType::Refusal => "refusal",
            PayloadType::Enrol => "enrol",
            PayloadType::Enrolled => "enrolled",
            PayloadType::Certificate => "certificate",
            PayloadType::Bundle => "bundle",
        }
    }

    /// The DSSE payload type.
    #[must_use]
    pub fn media_type(self) -> String {
        format!("application/vnd.mimamori.{}.v1+json", self.name())
    }

    /// The bytes every payload of this type begins with.
    #[must_use]
    pub fn prefix(self) -> String {
        format!("{{\"v\":1,\"type\":\"{}\",", self.name())
    }

    /// The type whose fixed prefix the payload begins with. A hint until the signature holds: the type is
    /// inside what is signed, so a payload under another's prefix verifies under neither.
    #[must_use]
    pub fn of(payload: &[u8]) -> Option<PayloadType> {
        PayloadType::ALL.into_iter().find(|kind| payload.starts_with(kind.prefix().as_bytes()))
    }
}

/// DSSE v1 pre-authentication encoding (secure-systems-lab/dsse, protocol.md).
#[must_use]
pub fn pae(media_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {media_type} {} ", media_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The hash that chains refer to: SHA-256 over the pre-authentication encoding.
#[must_use]
pub fn frame_hash(kind: PayloadType, payload: &[u8]) -> Hash {
    Hash(Sha256::digest(pae(&kind.media_type(), payload)).into())
}

/// SHA-256 of any bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// HMAC-SHA-256 (RFC 2104).
#[must_use]
pub fn hmac(secret: &[u8], bytes: &[u8]) -> Hash {
    match Hmac::<Sha256>::new_from_slice(secret) {
        Ok(mut mac) => {
            mac.update(bytes);
            Hash(mac.finalize().into_bytes().into())
        }
        // HMAC takes keys of every length; the library's signature cannot say so.
        Err(_) => Hash::ZERO,
    }
}

/// A public key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not 32 bytes.
    #[error("a public key has 32 bytes")]
    Length,
    /// Not a point of the curve, or one written in a second way.
    #[error("the public key is not the canonical encoding of a curve point")]
    NotCanonical,
    /// A point of small order: one signature would fit many messages.
    #[error("the public key has small order")]
    Weak,
}

/// A public key fit for strict verification: canonical and not of small order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Checks and takes 32 bytes.
    ///
    /// # Errors
    /// [`BadKey`] says which rule the key breaks.
    pub fn from_bytes(bytes: &[u8]) -> Result<PublicKey, BadKey> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| BadKey::Length)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKey::NotCanonical)?;
        if key.is_weak() {
            return Err(BadKey::Weak);
        }
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(BadKey::NotCanonical);
        }
        Ok(PublicKey(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The first 16 bytes of SHA-256 over the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let Hash(hash) = sha256(&self.to_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(hash.split_at(16).0);
        KeyId(id)
    }

    /// Whether `signature` is this key's over `message`. Strict: RFC 8032 with canonical R, S and A, no small order.
    #[must_use]
    pub fn accepts(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl PublicKey {
    /// Whether `signature` is this key's proof over `message` (docs/WIRE.md, "key").
    #[must_use]
    pub fn proves(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.accepts(&pae(KEY_PROOF_TYPE, message), signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// A private key; wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> SecretKey {
        SecretKey(SigningKey::from_bytes(seed))
    }

    /// The seed, for the key file.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a payload for its type.
    #[must_use]
    pub fn sign(&self, kind: PayloadType, payload: &[u8]) -> [u8; 64] {
        self.0.sign(&pae(&kind.media_type(), payload)).to_bytes()
    }
}

impl SecretKey {
    /// Proves to be there: what a new key signs when it is named by the old one (docs/WIRE.md, "key").
    #[must_use]
    pub fn prove(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(&pae(KEY_PROOF_TYPE, message)).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([secret])")
    }
}

/// Bytes whose signature holds. There is no way to make one but [`verify`] (I2): its fields are its own.
///
/// ```compile_fail,E0451
/// use mimamori_shared::{id, sign};
/// let forged = sign::Verified {
///     kind: sign::PayloadType::Report,
///     payload: Vec::new(),
///     key_id: id::KeyId([0; 16]),
///     signature: [0; 64],
///     hash: id::Hash([0; 32]),
/// };
/// ```
///
/// Nor can one that was made be changed, nor read from JSON:
///
/// ```compile_fail,E0616
/// fn change(verified: &mut mimamori_shared::sign::Verified) {
///     verified.payload.clear();
/// }
/// ```
///
/// ```compile_fail,E0277
/// let read: mimamori_shared::sign::Verified = serde_json::from_str("{}").unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    kind: PayloadType,
    payload: Vec<u8>,
    key_id: KeyId,
    signature: [u8; 64],
    hash: Hash,
}

impl Verified {
    /// What it was signed as.
    #[must_use]
    pub fn kind(&self) -> PayloadType {
        self.kind
    }
    /// The exact bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
    /// The key that signed.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }
    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
    /// [`frame_hash`] of it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }
}

/// Why bytes were not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The payload does not begin with the prefix of any type.
    #[error("the payload begins like no known type")]
    UnknownType,
    /// The wrapper names another key.
    #[error("signed by another key")]
    OtherKey,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    BadSignature,
}

/// Verifies one frame with one key.
///
/// # Errors
/// [`Unverified`] says why not.
pub fn verify(frame: crate::frame::Frame, key: &PublicKey) -> Result<Verified, Unverified> {
    let kind = PayloadType::of(&frame.payload).ok_or(Unverified::UnknownType)?;
    if frame.key_id != key.id() {
        return Err(Unverified::OtherKey);
    }
    let message = pae(&kind.media_type(), &frame.payload);
    if !key.accepts(&message, &frame.signature) {
        return Err(Unverified::BadSignature);
    }
    let hash = sha256(&message);
    Ok(Verified { kind, payload: frame.payload, key_id: frame.key_id, signature: frame.signature, hash })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed(&Zeroizing::new([byte; 32]))
    }

    fn frame(kind: PayloadType, rest: &str, key: &SecretKey) -> Frame {
        let payload = format!("{}{rest}}}", kind.prefix()).into_bytes();
        Frame { key_id: key.public().id(), signature: key.sign(kind, &payload), payload }
    }

    #[test]
    fn pae_is_dsse() {
        assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn a_frame_verifies_under_its_own_key_only() {
        let good = frame(PayloadType::Report, "\"a\":1", &key(1));
        assert!(verify(good.clone(), &key(1).public()).is_ok());
        assert_eq!(verify(good, &key(2).public()), Err(Unverified::OtherKey));
    }

    #[test]
    fn no_type_passes_for_another() {
        for signed in PayloadType::ALL {
            for claimed in PayloadType::ALL {
                let payload = format!("{}\"a\":1}}", claimed.prefix()).into_bytes();
                let frame = Frame { key_id: key(1).public().id(), signature: key(1).sign(signed, &payload), payload };
                assert_eq!(verify(frame, &key(1).public()).is_ok(), signed == claimed, "{signed:?} as {claimed:?}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = frame(PayloadType::Report, &format!("\"a\":\"{}\"", "x".repeat(300)), &key(1));
        for bit in 0..good.payload.len() * 8 {
            let mut bad = good.clone();
            bad.payload[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(bad, &key(1).public()).is_err(), "payload bit {bit}");
        }
        for bit in 0..512 {
            let mut bad = good.clone();
            bad.signature[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(bad, &key(1).public()).is_err(), "signature bit {bit}");
        }
        for length in 0..good.payload.len() {
            let mut bad = good.clone();
            bad.payload.truncate(length);
            assert!(verify(bad, &key(1).public()).is_err(), "cut at {length}");
        }
        for extra in 1..64 {
            let mut bad = good.clone();
            bad.payload.extend(std::iter::repeat_n(b' ', extra));
            assert!(verify(bad, &key(1).public()).is_err(), "{extra} bytes more");
        }
    }

    #[test]
    fn low_order_and_non_canonical_keys_are_refused() {
        // The eight points of small order and their non-canonical spellings
        // (https://cr.yp.to/ecdh.html#validate and "Taming the many EdDSAs", table 1 and section 3).
        let encodings = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for text in encodings {
            let bytes = crate::id::from_hex::<32>(text).unwrap();
            assert!(PublicKey::from_bytes(&bytes).is_err(), "{text}");
        }
        // y = p + 3 is a point of large order written in a second way.
        let mut second = [0xff; 32];
        second[0] = 0xf0;
        second[31] = 0x7f;
        assert!(PublicKey::from_bytes(&second).is_err());
    }
}
