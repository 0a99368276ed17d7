//! Enrolment tokens: a one-time Ed25519 seed with what authenticates the collector from the first byte on.
//!
//! `mimamori_enr1_<id>_<body>_<crc32>`: the id is public; the body is base64url without padding over compact
//! JSON; the check sum covers everything before its underscore, so that a typing error is told from a refusal.

use crate::id::{CollectorId, Hash, TokenId, from_hex, to_hex};
use crate::sign::SecretKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

const PREFIX: &str = "mimamori_enr1_";
/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 2048;

/// A token as the collector mints it and the agent redeems it.
pub struct Token {
    /// Public name.
    pub id: TokenId,
    /// The secret: the collector keeps only the public key of it.
    pub seed: Zeroizing<[u8; 32]>,
    /// Where to enrol and report, such as `https://rsc.example:8443`.
    pub url: String,
    /// Which collector.
    pub collector_id: CollectorId,
    /// The collector's root key: everything it signs leads back to it.
    pub root_key: [u8; 32],
    /// SHA-256 of the DER of the certificate authority that the TLS chain must contain.
    pub ca_pin: Hash,
    /// `age` recipient for bundles carried by hand.
    pub recipient: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    s: String,
    u: String,
    c: CollectorId,
    r: String,
    p: Hash,
    a: String,
}

/// Text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It does not begin and end like one.
    #[error("this is no enrolment token: it begins with {PREFIX} and is one line")]
    Form,
    /// The check sum is wrong.
    #[error("the enrolment token is damaged (its check sum is wrong): copy it again, whole")]
    CheckSum,
    /// The body is not understood.
    #[error("the enrolment token was made for another version of this program")]
    Body,
}

impl Token {
    /// The key of the seed.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        SecretKey::from_seed(&self.seed)
    }

    /// The printable form. Whoever has it can enrol once.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let body = Body {
            s: URL_SAFE_NO_PAD.encode(self.seed.as_slice()),
            u: self.url.clone(),
            c: self.collector_id,
            r: URL_SAFE_NO_PAD.encode(self.root_key),
            p: self.ca_pin,
            a: self.recipient.clone(),
        };
        let mut json = serde_json::to_string(&body).unwrap_or_default();
        let text = format!("{PREFIX}{}_{}", self.id, URL_SAFE_NO_PAD.encode(&json));
        json.zeroize();
        let sum = crc32(text.as_bytes());
        Zeroizing::new(format!("{text}_{}", to_hex(&sum.to_be_bytes())))
    }

    /// Reads the printable form, with blanks around it.
    ///
    /// # Errors
    /// [`BadToken`] says what is wrong; never with a part of the token in it.
    pub fn parse(text: &str) -> Result<Token, BadToken> {
        let text = text.trim();
        if text.len() > TOKEN_BYTES_MAX || !text.is_ascii() {
            return Err(BadToken::Form);
        }
        let (checked, sum) = text.rsplit_once('_').ok_or(BadToken::Form)?;
        let inner = checked.strip_prefix(PREFIX).ok_or(BadToken::Form)?;
        let (id, body) = inner.split_once('_').ok_or(BadToken::Form)?;
        let sum = from_hex::<4>(sum).ok_or(BadToken::CheckSum)?;
        if crc32(checked.as_bytes()).to_be_bytes() != sum {
            return Err(BadToken::CheckSum);
        }
        let id = id.parse().map_err(|_| BadToken::Form)?;
        let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| BadToken::Body)?);
        let body: Body = serde_json::from_slice(&json).map_err(|_| BadToken::Body)?;
        let seed = Zeroizing::new(URL_SAFE_NO_PAD.decode(&body.s).map_err(|_| BadToken::Body)?);
        let key = URL_SAFE_NO_PAD.decode(&body.r).map_err(|_| BadToken::Body)?;
        Ok(Token {
            id,
            seed: Zeroizing::new(seed.as_slice().try_into().map_err(|_| BadToken::Body)?),
            url: body.u,
            collector_id: body.c,
            root_key: key.try_into().map_err(|_| BadToken::Body)?,
            ca_pin: body.p,
            recipient: body.a,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, [secret])", self.id)
    }
}

/// CRC-32 as in IEEE 802.3, reflected, as zlib computes it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            id: TokenId([7; 8]),
            seed: Zeroizing::new([9; 32]),
            url: "https://127.0.0.1:8443".to_owned(),
            collector_id: CollectorId([1; 16]),
            root_key: [2; 32],
            ca_pin: Hash([3; 32]),
            recipient: "age1example".to_owned(),
        }
    }

    #[test]
    fn crc32_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn tokens_survive_the_text_form() {
        let text = token().to_text();
        let back = Token::parse(&format!("  {}\n", text.as_str())).unwrap();
        assert_eq!(back.id, token().id);
        assert_eq!(back.seed, token().seed);
        assert_eq!(back.to_text(), text);
    }

    #[test]
    fn every_typing_error_is_noticed_and_none_is_repeated() {
        let text = token().to_text();
        for position in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'x' { b'y' } else { b'x' };
            let fault = Token::parse(std::str::from_utf8(&bytes).unwrap()).unwrap_err().to_string();
            assert!(!fault.contains(&text[24..60]), "{fault}");
        }
        for length in 0..text.len() {
            assert!(Token::parse(&text[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", token()), "Token(0707070707070707, [secret])");
    }
}
