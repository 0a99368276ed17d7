//! Failed pushes, by the layer they failed at.

use serde::{Deserialize, Serialize};

/// Why pushes failed, by layer; seconds added up since the chain was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushFail {
    /// The name was not resolved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dns: u64,
    /// No connection.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tcp: u64,
    /// The proxy refused or failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub proxy: u64,
    /// No trusted TLS connection.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tls: u64,
    /// An HTTP answer that was no success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub http: u64,
    /// A success without a receipt that holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub receipt: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The layer at which a push failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Name resolution.
    Dns,
    /// Connection.
    Tcp,
    /// Proxy.
    Proxy,
    /// TLS.
    Tls,
    /// HTTP status.
    Http,
    /// Receipt.
    Receipt,
}

impl Layer {
    /// All layers, in the order in which a push passes them.
    pub const ALL: [Layer; 6] = [Layer::Dns, Layer::Tcp, Layer::Proxy, Layer::Tls, Layer::Http, Layer::Receipt];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::Dns => "dns",
            Layer::Tcp => "tcp",
            Layer::Proxy => "proxy",
            Layer::Tls => "tls",
            Layer::Http => "http",
            Layer::Receipt => "receipt",
        }
    }
}

impl PushFail {
    /// Seconds of one layer.
    #[must_use]
    pub fn of(&self, layer: Layer) -> u64 {
        match layer {
            Layer::Dns => self.dns,
            Layer::Tcp => self.tcp,
            Layer::Proxy => self.proxy,
            Layer::Tls => self.tls,
            Layer::Http => self.http,
            Layer::Receipt => self.receipt,
        }
    }

    /// Adds seconds to one layer; stays at the largest number rather than wrapping.
    pub fn add(&mut self, layer: Layer, seconds: u64) {
        let slot = match layer {
            Layer::Dns => &mut self.dns,
            Layer::Tcp => &mut self.tcp,
            Layer::Proxy => &mut self.proxy,
            Layer::Tls => &mut self.tls,
            Layer::Http => &mut self.http,
            Layer::Receipt => &mut self.receipt,
        };
        *slot = slot.saturating_add(seconds);
    }
}
