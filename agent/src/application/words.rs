//! What a check came to, in a line for people at the machine.

use super::{Checked, Class, Finding};
use crate::cli::Lang;
use mimamori_shared::payload::FaultCode;

impl Class {
    /// What is wrong and where to look, in English and Japanese; of [`Class::Ok`] that it is up.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Class::Ok => ("up", "正常"),
            Class::Refused => ("nobody listens there: is the service running, is the port right?", "接続を拒否されました（サービスの稼働とポート番号を確認）"),
            Class::TimedOut => {
                ("no whole answer in time: is it overloaded, or does a firewall drop?", "期限内に応答がありません（過負荷やファイアウォールを確認）")
            }
            Class::Unreachable => ("no way there: check network and firewall", "到達できません（ネットワークとファイアウォールを確認）"),
            Class::NameNotFound => ("the name is not resolved: check target and DNS", "名前を解決できません（targetとDNSを確認）"),
            Class::TlsHandshake => (
                "no trusted TLS: check ca_file, the name in the certificate, and the TLS version",
                "信頼できるTLS接続ができません（ca_file・証明書の名前・TLSの版を確認）",
            ),
            Class::CertificateExpired => {
                ("the certificate has ended: renew it, or check this machine's clock", "証明書の有効期限が切れています（更新、またはこの機器の時計を確認）")
            }
            Class::Status => ("another status than expected", "期待と異なるステータスです"),
            Class::Content => ("the expected text is not in the page", "期待する文字列が本文にありません"),
            Class::Protocol => ("what answers there speaks another protocol, or a broken one", "別のプロトコル、または壊れた応答です"),
            Class::Rejected => ("it refuses this machine", "この機器を拒否しました"),
            Class::Aborted => ("it broke the exchange off", "相手がやり取りを中断しました"),
            Class::Closed => ("it closed the connection before the answer was whole", "応答の途中で接続が閉じられました"),
        }
    }
}

impl Checked {
    /// One line without its end, such as `pacs (dicom_echo): up, answered in 3.2 ms`.
    #[must_use]
    pub fn line(&self, lang: Lang) -> String {
        let what = match &self.result {
            Ok(found) => found.line(lang),
            Err(code) => unmeasured(*code, lang),
        };
        format!("{} ({}){}{what}", self.alias, self.kind, lang.of(": ", "："))
    }
}

impl Finding {
    fn line(&self, lang: Lang) -> String {
        let (en, ja) = self.class.words();
        let mut parts = vec![match self.class {
            Class::Ok => lang.of(en, ja).to_owned(),
            class => lang.of(format!("DOWN ({}), {en}", class.name()), format!("異常（{}）、{ja}", class.name())),
        }];
        parts.extend(self.note.map(|(en, ja)| lang.of(en, ja).to_owned()));
        parts.extend(self.status.map(|status| lang.of(format!("status {status}"), format!("ステータス{status}"))));
        parts.extend(self.first_byte_us.map(|us| lang.of(format!("began after {}", ms(us)), format!("応答開始まで{}", ms(us)))));
        parts.extend(self.latency_us.map(|us| lang.of(format!("answered in {}", ms(us)), format!("応答{}", ms(us)))));
        parts.extend(self.expires_at_ms.map(|end| lang.of(format!("certificate until {}", lang.when(end)), format!("証明書の期限{}", lang.when(end)))));
        parts.join(lang.of(", ", "、"))
    }
}

fn unmeasured(code: FaultCode, lang: Lang) -> String {
    let (en, ja) = match code {
        FaultCode::NotFound => ("the file is not there", "ファイルがありません"),
        FaultCode::PermissionDenied => ("the agent's account may not read the file", "エージェントのアカウントにファイルの読み取り権限がありません"),
        FaultCode::Malformed => ("the file holds no certificate that can be read (PEM or DER)", "ファイルに読み取れる証明書（PEMまたはDER）がありません"),
        FaultCode::TooLarge => ("the file is larger than 256 KiB", "ファイルが256KiBを超えています"),
        FaultCode::TimedOut => ("there was no time for it: fewer checks, or shorter deadlines", "時間内に実施できません（確認の数や期限を減らしてください）"),
        _ => ("the file cannot be read", "ファイルを読み取れません"),
    };
    lang.of(format!("cannot be told ({}), {en}", code.name()), format!("判定できません（{}）、{ja}", code.name()))
}

/// Microseconds as milliseconds with a tenth.
fn ms(us: i64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_a_line_in_both_languages() {
        let line = |result, lang| Checked { alias: "pacs".parse().unwrap(), kind: "http", result }.line(lang);
        let good = Finding { latency_us: Some(3250), first_byte_us: Some(990), status: Some(200), expires_at_ms: Some(0), ..Finding::default() };
        let expected = "pacs (http): up, status 200, began after 0.9 ms, answered in 3.2 ms, certificate until 1970-01-01T00:00:00Z";
        assert_eq!(line(Ok(good.clone()), Lang::En), expected);
        assert!(line(Ok(good), Lang::Ja).starts_with("pacs (http)：正常、ステータス200、応答開始まで0.9 ms、応答3.2 ms、証明書の期限1970-01-01T00:00:00Z"));
        let bad = Finding { class: Class::Rejected, note: Some(("why", "理由")), ..Finding::default() };
        assert_eq!(line(Ok(bad.clone()), Lang::En), "pacs (http): DOWN (rejected), it refuses this machine, why");
        assert_eq!(line(Ok(bad), Lang::Ja), "pacs (http)：異常（rejected）、この機器を拒否しました、理由");
        assert_eq!(line(Err(FaultCode::NotFound), Lang::En), "pacs (http): cannot be told (not_found), the file is not there");
        assert_eq!(line(Err(FaultCode::NotFound), Lang::Ja), "pacs (http)：判定できません（not_found）、ファイルがありません");
    }
}
