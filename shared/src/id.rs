//! Identifiers: fixed numbers of bytes, lower-case hex on the wire, parsed once at the border.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Text that is no identifier of the wanted length in lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0} lower-case hex digits")]
pub struct BadId(pub usize);

/// Decodes exactly `N` bytes of lower-case hex; anything else, upper case too, is `None`.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let pairs = text.as_bytes();
    if pairs.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Lower-case hex.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

macro_rules! ids {
    ($( $(#[doc = $doc:literal])* $name:ident $len:literal; )*) => { $(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// All bytes zero: stands for "none yet" where the wire says so.
            pub const ZERO: $name = $name([0; $len]);
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                from_hex(text).map($name).ok_or(BadId($len * 2))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&to_hex(&self.0)) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({self})", stringify!($name)) }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.collect_str(self) }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

ids! {
    /// The collector, the same on all its nodes; random, made by `init`.
    CollectorId 16;
    /// An agent, given by the collector at enrolment; random.
    AgentId 16;
    /// The first 16 bytes of SHA-256 over a public key.
    KeyId 16;
    /// One chain of an agent; random, made by the agent.
    ChainId 16;
    /// The kernel's id of one boot.
    BootId 16;
    /// An enrolment token; public.
    TokenId 8;
    /// What a receipt gives and the next report echoes.
    Lease 16;
    /// SHA-256.
    Hash 32;
}

impl KeyId {
    /// The form two people compare over the telephone: eight groups of four hex digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let groups: Vec<String> = self.0.chunks(2).map(to_hex).collect();
        groups.join("-")
    }
}

impl BootId {
    /// Reads the kernel's UUID form, dashes and all.
    #[must_use]
    pub fn from_uuid(text: &str) -> Option<BootId> {
        let plain: String = text.trim().chars().filter(|c| *c != '-').collect();
        from_hex(&plain).map(BootId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_an_id() {
        let good = "00112233445566778899aabbccddeeff";
        assert_eq!(good.parse::<AgentId>().unwrap().to_string(), good);
        for bad in ["", "0", &good.to_uppercase(), &good[2..], &format!("{good}00"), "zz112233445566778899aabbccddeeff"] {
            assert!(bad.parse::<AgentId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn fingerprints_are_grouped() {
        let id: KeyId = "00112233445566778899aabbccddeeff".parse().unwrap();
        assert_eq!(id.fingerprint(), "0011-2233-4455-6677-8899-aabb-ccdd-eeff");
    }

    #[test]
    fn boot_ids_come_as_uuids() {
        let id = BootId::from_uuid("1b4e28ba-2fa1-11d2-883f-0016d3cca427\n").unwrap();
        assert_eq!(id.to_string(), "1b4e28ba2fa111d2883f0016d3cca427");
        assert_eq!(BootId::from_uuid("1b4e28ba"), None);
    }

    proptest! {
        #[test]
        fn property_ids_survive_the_text_form(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(Hash(bytes).to_string().parse::<Hash>(), Ok(Hash(bytes)));
        }

        #[test]
        fn property_no_text_panics(text in ".{0,80}") {
            prop_assert!(text.parse::<Hash>().is_ok() == from_hex::<32>(&text).is_some());
        }
    }
}
