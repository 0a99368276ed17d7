//! The way through a proxy: which one, whether at all, and its tunnel.

use super::UplinkError;
use super::fault::{Detail, PushError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::config::Secret;
use reqwest::Url;
use reqwest::header::HeaderValue;
use std::net::IpAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

/// Longest answer head to a CONNECT that is read, in bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Which proxy to use.
#[derive(Debug, Clone)]
pub enum Proxy {
    /// None.
    None,
    /// This one, always.
    Explicit {
        /// Such as `http://proxy.example:3128`.
        url: String,
        /// User and password for Basic authentication.
        user: Option<(String, Secret)>,
    },
    /// What the environment says.
    Environment {
        /// Value of `https_proxy`, or of `HTTPS_PROXY`.
        https_proxy: Option<Secret>,
        /// Value of `no_proxy`, or of `NO_PROXY`.
        no_proxy: Option<String>,
    },
}

/// A proxy that will be used.
#[derive(Clone)]
pub(super) struct Chosen {
    pub(super) url: Url,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authorization: Option<HeaderValue>,
}

impl Chosen {
    /// What a 407 means, with the proxy's offers where they are known.
    pub(super) fn unauthorised(&self, offers: Option<&str>) -> Detail {
        match (offers, &self.authorization) {
            (Some(offers), _) if !offers.is_empty() && !offers.contains("basic") => Detail::ProxyAuthOther,
            (_, None) => Detail::ProxyAuthMissing,
            (_, Some(_)) => Detail::ProxyAuth,
        }
    }
}

/// The values of every `Proxy-Authenticate` line of an answer's head, in lower case.
fn offers(head: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let lines = lines.filter(|(name, _)| name.trim().eq_ignore_ascii_case("proxy-authenticate"));
    lines.map(|(_, value)| value.trim().to_ascii_lowercase()).collect::<Vec<_>>().join(", ")
}

/// Decides once: there is only one host to go to.
pub(super) fn choose(proxy: &Proxy, host: &str) -> Result<Option<Chosen>, UplinkError> {
    match proxy {
        Proxy::None => Ok(None),
        Proxy::Explicit { url, user } => {
            let url = parse(url)?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err(UplinkError::ProxyUserInUrl);
            }
            let authorization = user.as_ref().map(|(name, password)| basic(name, password.expose())).transpose()?;
            chosen(url, authorization).map(Some)
        }
        Proxy::Environment { https_proxy, no_proxy } => {
            let text = https_proxy.as_ref().map(|secret| secret.expose().trim()).unwrap_or_default();
            if text.is_empty() || no_proxy.as_deref().is_some_and(|list| bypassed(host, list)) {
                return Ok(None);
            }
            let mut url = parse(text)?;
            let name = percent_decoded(url.username())?;
            let password = percent_decoded(url.password().unwrap_or_default())?;
            let authorization = if name.is_empty() && password.is_empty() { None } else { Some(basic(&name, &password)?) };
            // It travels in the header alone, so that no message about the URL can show it.
            if url.set_username("").is_err() || url.set_password(None).is_err() {
                return Err(UplinkError::ProxyUrl);
            }
            chosen(url, authorization).map(Some)
        }
    }
}

fn parse(text: &str) -> Result<Url, UplinkError> {
    let text = Zeroizing::new(if text.contains("://") { text.to_owned() } else { format!("http://{text}") });
    let url = Url::parse(&text).map_err(|_| UplinkError::ProxyUrl)?;
    if url.scheme() != "http" {
        return Err(UplinkError::ProxyScheme);
    }
    Ok(url)
}

fn chosen(url: Url, authorization: Option<HeaderValue>) -> Result<Chosen, UplinkError> {
    let host = url.host_str().ok_or(UplinkError::ProxyUrl)?.to_owned();
    let port = url.port_or_known_default().ok_or(UplinkError::ProxyUrl)?;
    Ok(Chosen { url, host, port, authorization })
}

fn basic(name: &str, password: &str) -> Result<HeaderValue, UplinkError> {
    if name.contains(':') {
        return Err(UplinkError::ProxyUserColon);
    }
    let pair = Zeroizing::new(format!("{name}:{password}"));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(|_| UplinkError::ProxyUrl)?;
    value.set_sensitive(true);
    Ok(value)
}

fn percent_decoded(text: &str) -> Result<Zeroizing<String>, UplinkError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, escape) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| UplinkError::ProxyUrl)
}

/// Whether `no_proxy` names the host: `*`, a name or the end of one at a dot, an address, or a network such as
/// `10.0.0.0/8`; separated by commas or blanks.
pub(super) fn bypassed(host: &str, no_proxy: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    no_proxy.split([',', ' ']).map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some(address) = address {
            return match entry.split_once('/') {
                Some((network, bits)) => within(address, network, bits),
                None => entry.trim_matches(['[', ']']).parse() == Ok(address),
            };
        }
        let name = entry.trim_start_matches("*.").trim_start_matches('.');
        host == name || host.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
    })
}

fn within(address: IpAddr, network: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (address, network.parse()) {
        (IpAddr::V4(a), Ok(IpAddr::V4(n))) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(a) & mask == u32::from(n) & mask
        }
        (IpAddr::V6(a), Ok(IpAddr::V6(n))) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(a) & mask == u128::from(n) & mask
        }
        _ => false,
    }
}

/// Opens the tunnel by hand, for the step-by-step check; pushes go through the HTTP library's own.
pub(super) async fn tunnel(stream: &mut TcpStream, proxy: &Chosen, host: &str, port: u16) -> Result<(), PushError> {
    let cut = |error: std::io::Error| PushError::with_note(Detail::ProxyUnreachable, &error.to_string());
    let mut request = Zeroizing::new(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes());
    if let Some(value) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(cut)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(PushError::with_note(Detail::ProxyRefused, "the answer's head is too long"));
        }
        head.push(stream.read_u8().await.map_err(cut)?);
    }
    let head = String::from_utf8_lossy(&head);
    let first = head.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some("407") => Err(proxy.unauthorised(Some(&offers(&head))).into()),
        _ => Err(PushError::with_note(Detail::ProxyRefused, first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_read_as_everybody_writes_it() {
        for (host, list, expected) in [
            ("rsc.example", "", false),
            ("rsc.example", "*", true),
            ("rsc.example", "localhost, rsc.example", true),
            ("rsc.example", "example", true),
            ("RSC.example", ".Example", true),
            ("rsc.example", "*.example", true),
            ("rsc.example", "c.example", false),
            ("rsc.example", "10.0.0.0/8", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8 11.1.2.3", true),
            ("11.1.2.3", "10.0.0.0/8,2.3", false),
            ("11.1.2.3", "0.0.0.0/0", true),
            ("11.1.2.3", "0.0.0.0/33,::/0,x/y", false),
            ("[fd00::1]", "fd00::/8", true),
            ("[fd00::1]", "[fd00::1]", true),
            ("[fd00::1]", "fe80::/10", false),
        ] {
            assert_eq!(bypassed(host, list), expected, "{host} in {list:?}");
        }
    }

    #[track_caller]
    fn environment(https_proxy: &str, no_proxy: &str) -> Result<Option<Chosen>, UplinkError> {
        let proxy = Proxy::Environment { https_proxy: Some(Secret::new(https_proxy.to_owned())), no_proxy: Some(no_proxy.to_owned()) };
        choose(&proxy, "rsc.example")
    }

    #[test]
    fn the_environments_proxy_is_understood() {
        let proxy = environment("http://taro:p%40ss%3A%@proxy.example:3128", "").unwrap().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
        assert_eq!(proxy.authorization.unwrap(), "Basic dGFybzpwQHNzOiU=");
        assert_eq!(proxy.url.as_str(), "http://proxy.example:3128/");
        assert_eq!(environment("proxy.example", "").unwrap().unwrap().port, 80);
        assert!(environment("", "").unwrap().is_none());
        assert!(environment("proxy.example", ".example").unwrap().is_none());
        assert!(matches!(environment("socks5://proxy.example", ""), Err(UplinkError::ProxyScheme)));
        assert!(matches!(environment("http://", ""), Err(UplinkError::ProxyUrl)));
    }

    #[test]
    fn an_explicit_proxy_keeps_its_password_out_of_the_url_and_of_debug() {
        let explicit = |url: &str, user: Option<(&str, &str)>| Proxy::Explicit {
            url: url.to_owned(),
            user: user.map(|(name, password)| (name.to_owned(), Secret::new(password.to_owned()))),
        };
        let refused = choose(&explicit("http://a:b@proxy.example", None), "rsc.example");
        assert!(matches!(refused, Err(UplinkError::ProxyUserInUrl)));
        let refused = choose(&explicit("http://proxy.example", Some(("a:b", "c"))), "rsc.example");
        assert!(matches!(refused, Err(UplinkError::ProxyUserColon)));
        assert!(!format!("{:?}", explicit("http://proxy.example", Some(("taro", "hunter2")))).contains("hunter2"));
    }
}
