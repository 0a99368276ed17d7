//! Where and why a push failed, in words for the people who can mend it.

mod http;

use http::http_text;
use mimamori_shared::payload::Layer;
use std::fmt;

/// Longest technical note that is kept, in characters.
const NOTE_CHARS_MAX: usize = 200;

/// The same sentence in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// English.
    pub en: &'static str,
    /// Japanese.
    pub ja: &'static str,
}

/// What exactly failed. Each belongs to one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detail {
    /// The collector's name has no address.
    NameUnknown,
    /// The name servers do not answer in time.
    NameTimeout,
    /// The name servers name this very machine, or no machine at all.
    NameHere,
    /// Nobody listens on the port.
    Refused,
    /// There is no way to the address.
    Unreachable,
    /// The name has IPv4 addresses only, and this network has no way to them.
    OnlyIpv4,
    /// The name has IPv6 addresses only, and this network has no way to them.
    OnlyIpv6,
    /// The address does not answer in time.
    ConnectTimeout,
    /// Connecting failed in another way.
    ConnectFailed,
    /// The proxy's name has no address.
    ProxyName,
    /// The proxy cannot be reached.
    ProxyUnreachable,
    /// The proxy does not answer in time.
    ProxyTimeout,
    /// The proxy does not take the user and password that are set.
    ProxyAuth,
    /// The proxy wants a user and password, and none are set.
    ProxyAuthMissing,
    /// The proxy wants another authentication than Basic.
    ProxyAuthOther,
    /// The proxy does not open the tunnel.
    ProxyRefused,
    /// The pinned certificate authority is not in the server's chain.
    NotPinned,
    /// The server's certificate is for other names.
    WrongName,
    /// The server's certificate is not signed by the trusted authority.
    WrongIssuer,
    /// By this machine's clock the certificate is not valid yet.
    ClockNotYet,
    /// By this machine's clock the certificate has expired.
    ClockExpired,
    /// The server's certificate cannot be used.
    BadCertificate,
    /// What answers on the port does not speak TLS.
    NotTls,
    /// The connection was cut while TLS was being agreed.
    TlsCut,
    /// TLS was not agreed in time.
    TlsTimeout,
    /// TLS was not agreed for another reason.
    TlsFailed,
    /// A status that is no success.
    Status(u16),
    /// An answer that points elsewhere; it is never followed.
    Redirected(u16),
    /// A success that does not come from a collector.
    Portal,
    /// The answer is larger than an agent reads.
    TooLarge,
    /// The answer did not come in time.
    AnswerTimeout,
    /// The connection was cut before the whole answer was there.
    Cut,
    /// The answer is no HTTP.
    NotHttp,
    /// The answer does not consist of two frames, or their content is not understood.
    Malformed,
    /// The certificate in the answer does not lead back to the pinned root key.
    WrongRoot,
    /// The certificate in the answer is older than one seen before.
    OldCertificate,
    /// The answer is not signed by the key the certificate names.
    BadSignature,
    /// Signed, but as something else.
    WrongType,
    /// Signed for another collector.
    OtherCollector,
    /// Signed for another agent.
    OtherAgent,
    /// Signed for another chain.
    OtherChain,
    /// A receipt for something that this request did not send.
    NotSent,
    /// A refusal of another request.
    OtherRequest,
    /// An identity for another token.
    OtherToken,
    /// An identity for another key.
    OtherKey,
}

/// Everything said about a detail.
struct Text {
    layer: Layer,
    name: &'static str,
    words: Words,
    mend: Words,
}

fn row(layer: Layer, name: &'static str, en: &'static str, ja: &'static str, mend_en: &'static str, mend_ja: &'static str) -> Text {
    Text { layer, name, words: Words { en, ja }, mend: Words { en: mend_en, ja: mend_ja } }
}

impl Detail {
    /// The layer it belongs to.
    #[must_use]
    pub fn layer(self) -> Layer {
        self.text().layer
    }

    /// A short name for logs and tables; both faults of the clock begin with `clock`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.text().name
    }

    /// What happened.
    #[must_use]
    pub fn words(self) -> Words {
        self.text().words
    }

    /// What to do about it.
    #[must_use]
    pub fn mend(self) -> Words {
        self.text().mend
    }

    /// Whether this machine's clock is the first suspect.
    #[must_use]
    pub fn is_clock(self) -> bool {
        matches!(self, Detail::ClockNotYet | Detail::ClockExpired)
    }

    fn text(self) -> Text {
        reach_text(self).or_else(|| proxy_text(self)).or_else(|| tls_text(self)).or_else(|| http_text(self)).unwrap_or_else(|| receipt_text(self))
    }
}

#[allow(clippy::too_many_lines, reason = "a table of words")]
fn reach_text(detail: Detail) -> Option<Text> {
    Some(match detail {
        Detail::NameUnknown => row(
            Layer::Dns,
            "name_unknown",
            "the collector's name has no address",
            "収集サーバーの名前を解決できません",
            "check the URL's spelling and this machine's DNS servers",
            "URLのつづりと、この端末のDNSサーバー設定を確認してください",
        ),
        Detail::NameTimeout => row(
            Layer::Dns,
            "name_timeout",
            "the DNS servers did not answer in time",
            "DNSサーバーが時間内に応答しませんでした",
            "check that this machine's DNS servers can be reached",
            "この端末からDNSサーバーに届くことを確認してください",
        ),
        Detail::NameHere => row(
            Layer::Dns,
            "name_here",
            "the DNS servers answer for the collector's name with an address of this very machine",
            "DNSサーバーが、収集サーバーの名前に対してこの端末自身のアドレスを返しています",
            "a filter of this network blocks the name, or its DNS answers falsely: ask for an exception, and look at /etc/hosts",
            "このネットワークのフィルターが名前を遮断しているか、DNSが誤った応答をしています。例外設定を依頼し、/etc/hostsを確認してください",
        ),
        Detail::Refused => row(
            Layer::Tcp,
            "refused",
            "the collector's machine answers, but nothing listens on the port",
            "収集サーバーの機器は応答しますが、そのポートで待ち受けていません",
            "check the port in the URL and that the collector runs",
            "URLのポート番号と、収集サーバーが動作していることを確認してください",
        ),
        Detail::Unreachable => row(
            Layer::Tcp,
            "unreachable",
            "there is no network path to the collector",
            "収集サーバーまでのネットワーク経路がありません",
            "check the cable, the default route and the firewall",
            "ケーブル、デフォルトルート、ファイアウォールを確認してください",
        ),
        Detail::OnlyIpv4 => row(
            Layer::Tcp,
            "only_ipv4",
            "the collector has IPv4 addresses only, and this network has no way to them",
            "収集サーバーのアドレスはIPv4のみですが、このネットワークからIPv4の経路がありません",
            "on a network of IPv6 alone: use its DNS64 and NAT64, a proxy, or ask the RSC for an IPv6 address of the collector",
            "IPv6のみのネットワークでは、DNS64・NAT64かプロキシを使うか、収集サーバーのIPv6アドレスをリモートサービスセンターに依頼してください",
        ),
        Detail::OnlyIpv6 => row(
            Layer::Tcp,
            "only_ipv6",
            "the collector has IPv6 addresses only, and this network has no way to them",
            "収集サーバーのアドレスはIPv6のみですが、このネットワークからIPv6の経路がありません",
            "set a proxy that speaks both, or ask the RSC for an IPv4 address of the collector",
            "両方に対応するプロキシを設定するか、収集サーバーのIPv4アドレスをリモートサービスセンターに依頼してください",
        ),
        Detail::ConnectTimeout => row(
            Layer::Tcp,
            "connect_timeout",
            "the collector did not answer in time",
            "収集サーバーが時間内に応答しませんでした",
            "ask for the firewall to let this machine out to the collector's address and port, or set a proxy",
            "この端末から収集サーバーのアドレスとポートへの通信をファイアウォールで許可するか、プロキシを設定してください",
        ),
        Detail::ConnectFailed => row(
            Layer::Tcp,
            "connect_failed",
            "the connection to the collector failed",
            "収集サーバーへの接続に失敗しました",
            "check the network; a firewall that resets connections also shows like this",
            "ネットワークを確認してください。接続を切断するファイアウォールでも同じ症状になります",
        ),
        _ => return None,
    })
}

#[allow(clippy::too_many_lines, reason = "a table of words")]
fn proxy_text(detail: Detail) -> Option<Text> {
    Some(match detail {
        Detail::ProxyName => row(
            Layer::Proxy,
            "proxy_name",
            "the proxy's name has no address",
            "プロキシの名前を解決できません",
            "check the proxy's URL and this machine's DNS servers",
            "プロキシのURLと、この端末のDNSサーバー設定を確認してください",
        ),
        Detail::ProxyUnreachable => row(
            Layer::Proxy,
            "proxy_unreachable",
            "the proxy cannot be reached",
            "プロキシに接続できません",
            "check the proxy's address and port, and that it runs",
            "プロキシのアドレスとポート、動作状況を確認してください",
        ),
        Detail::ProxyTimeout => row(
            Layer::Proxy,
            "proxy_timeout",
            "the proxy did not open the way in time",
            "プロキシが時間内に通信路を開きませんでした",
            "check that the proxy runs and may reach the collector",
            "プロキシの動作と、プロキシから収集サーバーへの通信許可を確認してください",
        ),
        Detail::ProxyAuth => row(
            Layer::Proxy,
            "proxy_auth",
            "the proxy does not take the user and password that are set (407)",
            "設定された利用者名とパスワードをプロキシが受け付けません（407）",
            "compare proxy.user and the content of proxy.password_file with what the proxy's keeper gave you; the password may have run out",
            "proxy.userとproxy.password_fileの内容を確認してください。パスワードの期限切れも考えられます",
        ),
        Detail::ProxyAuthMissing => row(
            Layer::Proxy,
            "proxy_auth_missing",
            "the proxy asks for a user and password, and none are set (407)",
            "プロキシが利用者名とパスワードを求めていますが、設定されていません（407）",
            "set proxy.user and proxy.password_file; only Basic authentication is spoken",
            "proxy.userとproxy.password_fileを設定してください（Basic認証のみ対応）",
        ),
        Detail::ProxyAuthOther => row(
            Layer::Proxy,
            "proxy_auth_other",
            "the proxy offers no Basic authentication (407)",
            "プロキシがBasic認証に対応していません（407）",
            "ask the proxy's keeper to allow this machine with Basic authentication, or without any to the collector's name alone",
            "プロキシの管理者に、Basic認証の許可、または収集サーバーの名前に限った認証なしの許可を依頼してください",
        ),
        Detail::ProxyRefused => row(
            Layer::Proxy,
            "proxy_refused",
            "the proxy does not open a tunnel to the collector",
            "プロキシが収集サーバーへの接続を許可しません",
            "ask the proxy's keeper to allow CONNECT to the collector's name and port",
            "プロキシの管理者に、収集サーバーの名前とポートへのCONNECTの許可を依頼してください",
        ),
        _ => return None,
    })
}

#[allow(clippy::too_many_lines, reason = "a table of words")]
fn tls_text(detail: Detail) -> Option<Text> {
    Some(match detail {
        Detail::NotPinned => row(
            Layer::Tls,
            "not_pinned",
            "the certificate authority named in the enrolment token is not in the server's chain",
            "登録トークンで指定された認証局が、サーバーの証明書チェーンに含まれていません",
            "if a device inspects TLS here, give its CA certificate to the agent; otherwise the collector must send its CA certificate with its own, or its CA was replaced",
            "TLS検査装置がある場合は、そのCA証明書をエージェントに設定してください。ない場合は、収集サーバーがCA証明書を送っていないか、CAが交換されています",
        ),
        Detail::WrongName => row(
            Layer::Tls,
            "wrong_name",
            "the server's certificate is for other names",
            "サーバー証明書の名前が一致しません",
            "use the name the certificate was made for, or have the collector's certificate made again with this name",
            "証明書に記載された名前をURLに使うか、この名前で収集サーバーの証明書を再発行してください",
        ),
        Detail::WrongIssuer => row(
            Layer::Tls,
            "wrong_issuer",
            "the server's certificate is not signed by the trusted authority",
            "サーバー証明書が、信頼する認証局によって署名されていません",
            "something between here and the collector may pose as it: compare the certificates before going on",
            "途中の機器が収集サーバーになりすましている可能性があります。続ける前に証明書を照合してください",
        ),
        Detail::ClockNotYet => row(
            Layer::Tls,
            "clock_not_yet_valid",
            "by this machine's clock the server's certificate is not valid yet",
            "この端末の時計では、サーバー証明書はまだ有効ではありません",
            "set this machine's clock: it is probably slow; readings are kept meanwhile",
            "この端末の時計が遅れている可能性があります。時刻を合わせてください。測定値は保持されます",
        ),
        Detail::ClockExpired => row(
            Layer::Tls,
            "clock_expired",
            "by this machine's clock the server's certificate has expired",
            "この端末の時計では、サーバー証明書は期限切れです",
            "check this machine's clock; if it is right, the collector's certificate must be renewed; readings are kept meanwhile",
            "この端末の時計を確認してください。正しい場合は、収集サーバーの証明書の更新が必要です。測定値は保持されます",
        ),
        Detail::BadCertificate => row(
            Layer::Tls,
            "bad_certificate",
            "the server's certificate cannot be used",
            "サーバー証明書を使用できません",
            "have the collector's certificate made again",
            "収集サーバーの証明書を再発行してください",
        ),
        Detail::NotTls => row(
            Layer::Tls,
            "not_tls",
            "what answers on the port does not speak TLS",
            "そのポートの応答はTLSではありません",
            "check the port; a portal or a plain HTTP service answers there",
            "ポート番号を確認してください。認証ポータルや平文HTTPのサービスが応答しています",
        ),
        Detail::TlsCut => row(
            Layer::Tls,
            "tls_cut",
            "the connection was cut while TLS was being agreed",
            "TLSの確立中に接続が切断されました",
            "a firewall may forbid TLS to this name: ask for an exception",
            "ファイアウォールがこの名前へのTLSを禁止している可能性があります。許可を依頼してください",
        ),
        Detail::TlsTimeout => row(
            Layer::Tls,
            "tls_timeout",
            "the server did not agree on TLS in time",
            "サーバーとのTLSが時間内に確立しませんでした",
            "check the port and the collector's load; a firewall that drops packets also shows like this",
            "ポート番号と収集サーバーの負荷を確認してください。パケットを破棄するファイアウォールでも同じ症状になります",
        ),
        Detail::TlsFailed => row(
            Layer::Tls,
            "tls_failed",
            "the server and the agent could not agree on TLS",
            "サーバーとのTLSの取り決めに失敗しました",
            "TLS 1.2 or 1.3 is needed all the way; check devices that inspect TLS",
            "経路全体でTLS 1.2または1.3が必要です。TLS検査装置を確認してください",
        ),
        _ => return None,
    })
}

const FORGED: Words = Words {
    en: "nothing was changed and nothing is lost; if this goes on, something between here and the collector alters or repeats answers: tell the collector's operator",
    ja: "状態は変わらず、データも失われていません。続く場合は、途中の機器が応答を改変または再送しています。収集サーバーの担当者に連絡してください",
};

fn receipt_text(detail: Detail) -> Text {
    let (name, en, ja) = match detail {
        Detail::Malformed => ("malformed", "the answer is not a signed answer of a collector", "応答は署名された受領応答ではありません"),
        Detail::WrongRoot => {
            ("wrong_root", "the answer does not lead back to the collector's pinned root key", "応答の署名が、固定された収集サーバーのルート鍵につながりません")
        }
        Detail::OldCertificate => {
            ("old_certificate", "the answer carries an older certificate than one seen before", "応答の証明書が、以前に確認したものより古いものです")
        }
        Detail::BadSignature => ("bad_signature", "the answer's signature does not hold", "応答の署名が正しくありません"),
        Detail::WrongType => ("wrong_type", "the answer was signed as something else", "応答は別の種類のものとして署名されています"),
        Detail::OtherCollector => ("answer_of_other_collector", "the answer is another collector's", "別の収集サーバーの応答です"),
        Detail::OtherAgent => ("answer_for_other_agent", "the answer is for another agent", "別のエージェントあての応答です"),
        Detail::OtherChain => ("answer_for_other_chain", "the answer is for another chain", "別のチェーンに対する応答です"),
        Detail::NotSent => ("receipt_for_other_entry", "the receipt is for something this request did not send", "この送信に含まれないものに対する受領証です"),
        Detail::OtherRequest => ("refusal_of_other_request", "the refusal answers another request", "別の送信に対する拒否です"),
        Detail::OtherToken => ("identity_for_other_token", "the identity is for another token", "別のトークンに対する識別情報です"),
        Detail::OtherKey => ("identity_for_other_key", "the identity is for another key", "別の鍵に対する識別情報です"),
        // The other layers have had their turn.
        _ => ("receipt", "the receipt does not hold", "受領証が正しくありません"),
    };
    row(Layer::Receipt, name, en, ja, FORGED.en, FORGED.ja)
}

/// A push that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushError {
    /// The layer, as it is counted in `push_fail_s`.
    pub layer: Layer,
    /// What exactly.
    pub detail: Detail,
    /// What the library below said, for whoever knows it; may be empty, one line, never a secret.
    pub note: String,
}

impl PushError {
    /// Without a note.
    #[must_use]
    pub fn new(detail: Detail) -> PushError {
        PushError { layer: detail.layer(), detail, note: String::new() }
    }

    /// With a note, cut and on one line.
    #[must_use]
    pub fn with_note(detail: Detail, note: &str) -> PushError {
        let note = note.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NOTE_CHARS_MAX).collect();
        PushError { note, ..PushError::new(detail) }
    }
}

impl From<Detail> for PushError {
    fn from(detail: Detail) -> PushError {
        PushError::new(detail)
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layer.name(), self.detail.words().en)?;
        if let Detail::Status(code) | Detail::Redirected(code) = self.detail {
            write!(f, " (status {code})")?;
        }
        if !self.note.is_empty() {
            write!(f, " [{}]", self.note)?;
        }
        write!(f, "; {}", self.detail.mend().en)
    }
}

impl std::error::Error for PushError {}
