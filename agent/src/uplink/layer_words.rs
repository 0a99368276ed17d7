//! A layer in words, where no more is known than that pushes failed there.

use super::Words;
use mimamori_shared::payload::Layer;

/// What failed, and the mend.
#[must_use]
pub fn layer_words(layer: Layer) -> (Words, Words) {
    let (en, ja, mend_en, mend_ja) = match layer {
        Layer::Dns => (
            "the name is not resolved",
            "名前を解決できません",
            "check the URL's spelling and this machine's DNS servers",
            "URLのつづりと、この端末のDNSサーバー設定を確認してください",
        ),
        Layer::Tcp => (
            "no connection",
            "接続できません",
            "check the network, and that the firewall lets this machine out to the collector's address and port",
            "ネットワークと、収集サーバーのアドレス・ポートへの通信がファイアウォールで許可されていることを確認してください",
        ),
        Layer::Proxy => (
            "the proxy does not let through",
            "プロキシを通過できません",
            "check the proxy's address, user and password, and that it may open the way to the collector",
            "プロキシのアドレス・利用者名・パスワードと、収集サーバーへの接続許可を確認してください",
        ),
        Layer::Tls => (
            "no trusted TLS connection",
            "信頼できるTLS接続を確立できません",
            "check this machine's clock, and whether a device inspects TLS on the way",
            "この端末の時計と、途中にTLS検査装置がないかを確認してください",
        ),
        Layer::Http => (
            "no success from the collector",
            "収集サーバーから成功の応答がありません",
            "a portal or filter may answer in its place, or the collector has a fault",
            "認証ポータルやフィルターが応答しているか、収集サーバーに障害があります",
        ),
        Layer::Receipt => (
            "answers without a receipt that holds",
            "有効な受領証のない応答",
            "nothing is lost; if this goes on, tell the collector's operator",
            "データは失われていません。続く場合は収集サーバーの担当者に連絡してください",
        ),
    };
    (Words { en, ja }, Words { en: mend_en, ja: mend_ja })
}
