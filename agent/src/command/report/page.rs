//! The page: plain HTML with both languages side by side. No script, nothing from elsewhere, every value escaped.

use super::gather::{Facts, Gone, Kept, Who};
use crate::command::manifest::only_root_doubts;
use crate::command::noted_words::noted_words;
use crate::consent_file::{ConsentFile, NoConsent};
use crate::outbox::NotedKind;
use crate::uplink::layer_words;
use mimamori_shared::config::show_duration;
use mimamori_shared::error::plain;
use mimamori_shared::fields::{Scope, fields};
use mimamori_shared::payload::{Layer, LossReason};
use mimamori_shared::time::{show, show_japan};
use std::collections::BTreeSet;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">
<title>Mimamori: this machine / この機器</title>
<style>
body { font-family: sans-serif; margin: 1.5em; max-width: 70em; color: #111; background: #fff; line-height: 1.45; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 0.5em 0; }
th, td { border: 1px solid #999; padding: 0.25em 0.6em; text-align: left; vertical-align: top; }
th { background: #eee; font-weight: normal; min-width: 9em; }
tr { break-inside: avoid; }
h2 { border-bottom: 2px solid #666; margin-top: 1.6em; break-after: avoid; }
code { background: #eee; padding: 0.1em 0.3em; }
.bad, .good { padding: 0.3em 0.6em; border-left: 0.4em solid; }
.bad { background: #fdd; border-color: #b00; } .good { background: #dfd; border-color: #080; }
@media (max-width: 45em) {
body { margin: 1em; }
table, tbody, tr, th, td { display: block; }
tr { border: 1px solid #999; margin-bottom: 0.5em; }
th, td { border: 0; padding: 0.15em 0.6em; }
td:first-child { font-weight: bold; }
}
@media print { body { margin: 0; max-width: none; font-size: 9.5pt; } }
</style></head><body>
";

struct Page(String);

fn escape(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// Both languages, one below the other.
fn both(en: &str, ja: &str) -> String {
    format!("{}<br><span lang=\"ja\">{}</span>", escape(en), escape(ja))
}

fn when(ms: i64) -> String {
    format!("{} ({})", show_japan(ms), show(ms))
}

impl Page {
    fn part(&mut self, en: &str, ja: &str) {
        self.0.push_str(&format!("<h2>{} / <span lang=\"ja\">{}</span></h2>\n", escape(en), escape(ja)));
    }

    fn say(&mut self, en: &str, ja: &str) {
        self.0.push_str(&format!("<p>{}</p>\n", both(en, ja)));
    }

    fn mark(&mut self, class: &str, en: &str, ja: &str) {
        self.0.push_str(&format!("<p class=\"{class}\">{}</p>\n", both(en, ja)));
    }

    fn begin(&mut self, heads: &[(&str, &str)]) {
        self.0.push_str("<table>\n");
        if !heads.is_empty() {
            let cells: String = heads.iter().map(|(en, ja)| format!("<th>{}</th>", both(en, ja))).collect();
            self.0.push_str(&format!("<tr>{cells}</tr>\n"));
        }
    }

    fn row(&mut self, en: &str, ja: &str, value: &str) {
        self.0.push_str(&format!("<tr><th>{}</th><td>{}</td></tr>\n", both(en, ja), escape(value)));
    }

    /// Cells that are escaped already.
    fn cells(&mut self, cells: &[String]) {
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        self.0.push_str(&format!("<tr>{cells}</tr>\n"));
    }

    fn end(&mut self) {
        self.0.push_str("</table>\n");
    }
}

/// The whole page.
pub(super) fn render(facts: &Facts) -> String {
    let mut page = Page(HEAD.to_owned());
    page.0.push_str("<h1>Mimamori / <span lang=\"ja\">見守り</span></h1>\n");
    page.begin(&[]);
    page.row("Made at", "作成日時", &when(facts.now_ms));
    page.row("The agent runs now", "エージェントの稼働", if facts.running { "yes / はい" } else { "no / いいえ" });
    page.end();
    identity(&mut page, &facts.identity);
    collected(&mut page, facts);
    sent(&mut page, facts);
    failed(&mut page, facts);
    approved(&mut page, facts);
    stop(&mut page, facts);
    page.0.push_str("</body></html>\n");
    page.0
}

fn identity(page: &mut Page, identity: &Result<Who, String>) {
    page.part("This machine", "この機器");
    let who = match identity {
        Ok(who) => who,
        Err(why) => {
            page.mark("bad", "This machine has no identity: nothing can be sent.", "この機器は未登録のため、何も送信できません。");
            return page.0.push_str(&format!("<p>{}</p>\n", escape(why)));
        }
    };
    page.begin(&[]);
    page.row("Facility / machine", "医療機関／機器", &format!("{} / {}", who.given.facility, who.given.machine));
    page.row("Reports only to", "唯一の送信先", &who.given.url);
    page.row("Fingerprint of this machine's key", "この機器の鍵の指紋", &who.agent_fingerprint);
    page.row("Fingerprint of the collector's root key", "コレクターのルート鍵の指紋", &who.root_fingerprint);
    page.row("Enrolled", "登録日時", &when(who.given.enrolled_at_ms));
    page.end();
}

fn collected(page: &mut Page, facts: &Facts) {
    page.part("What is collected", "収集する項目");
    let consent = match &facts.consent {
        Ok(consent) => consent,
        Err(why) => return no_consent(page, why),
    };
    if consent.terms.example {
        page.mark(
            "bad",
            "EXAMPLE: nobody approved this; it counts only towards a collector on this machine.",
            "例：誰も承認していません。この機器上のコレクターに対してのみ有効です。",
        );
    }
    page.say(
        &format!("One report every {}. No other field can leave; there is no free text, and no patient data.", show_duration(facts.settings.plan.interval_s)),
        &format!("{}ごとに1件の報告。ほかの項目は送信されません。自由記述も患者情報も含みません。", show_duration(facts.settings.plan.interval_s)),
    );
    page.begin(&[("Field", "項目"), ("Scope, interval", "範囲・間隔"), ("Unit", "単位"), ("Meaning", "意味")]);
    for field in fields().filter(|field| consent.terms.allows(field) && !facts.settings.except.contains(&field.id)) {
        let scope = format!("{}, {}", field.scope.name(), show_duration(facts.settings.plan.section_s(field.section)));
        page.cells(&[escape(&field.path()), escape(&scope), escape(field.unit), both(field.meaning, field.meaning_ja)]);
    }
    page.end();
    held_back(page, consent, &facts.settings.except);
}

fn no_consent(page: &mut Page, why: &NoConsent) {
    if only_root_doubts(why) {
        let mend = "sudo -u mimamori-agent mimamori-agent report --html -";
        return page.mark(
            "bad",
            &format!("What is collected cannot be told from root, to whom no consent is proven. Make this page as the agent's account: {mend}"),
            &format!("rootには同意を証明できないため、収集項目を判断できません。エージェントのアカウントで作成してください：{mend}"),
        );
    }
    page.mark("good", "Nothing is collected: there is no valid consent.", "有効な同意がないため、何も収集していません。");
    page.say(&why.to_string(), &why.in_lang(crate::cli::Lang::Ja));
}

fn held_back(page: &mut Page, consent: &ConsentFile, except: &BTreeSet<u16>) {
    let within = |scope: Scope| consent.terms.scopes.contains_key(&scope);
    let held: Vec<String> = fields().filter(|field| within(field.scope) && !consent.terms.allows(field)).map(|field| field.path()).collect();
    let configured: Vec<String> = fields().filter(|field| consent.terms.allows(field) && except.contains(&field.id)).map(|field| field.path()).collect();
    let scopes: Vec<&str> = Scope::ALL.into_iter().filter(|scope| !within(*scope)).map(Scope::name).collect();
    let none = |list: String| if list.is_empty() { "– none / なし".to_owned() } else { list };
    page.begin(&[]);
    page.row("Held back by the facility", "医療機関が除外した項目", &none(held.join(", ")));
    page.row("Held back by the configuration", "設定で除外した項目", &none(configured.join(", ")));
    page.row("Scopes not consented to", "同意していない範囲", &none(scopes.join(", ")));
    page.end();
}

fn sent(page: &mut Page, facts: &Facts) {
    page.part("What was sent today", "本日の送信");
    let kept = match &facts.ledger {
        Ok(kept) => kept,
        Err(why) => {
            page.mark("bad", "The ledger cannot be read.", "台帳を読み取れません。");
            return page.0.push_str(&format!("<p>{}</p>\n", escape(why)));
        }
    };
    if kept.entries == 0 {
        page.say("The ledger is empty: nothing has left this machine.", "台帳は空です。この機器から送信したものはありません。");
    } else {
        page.say(
            "Counted from the ledger by the time an entry was taken; the day is Japan's (+09:00). Bytes before compression.",
            "台帳に基づき、測定時刻で数えています（日本時間の一日）。バイト数は圧縮前です。",
        );
        today(page, kept);
    }
    page.begin(&[]);
    page.row("Waiting to be sent, at most", "送信待ち（最大）", &facts.unsent.to_string());
    page.end();
    last_receipt(page, kept);
}

fn today(page: &mut Page, kept: &Kept) {
    page.begin(&[("Kind", "種類"), ("Entries", "件数"), ("Bytes", "バイト")]);
    for (kind, sum) in &kept.sent_today {
        let (en, ja) = kind_words(kind);
        page.cells(&[both(en, ja), sum.entries.to_string(), sum.bytes.to_string()]);
    }
    let total = kept.sent_today.values().fold((0, 0), |(entries, bytes), sum| (entries + sum.entries, bytes + sum.bytes));
    page.cells(&[both("Together", "合計"), total.0.to_string(), total.1.to_string()]);
    page.cells(&[both("Taken today, without a receipt yet", "本日分で未受領"), kept.waiting_today.entries.to_string(), kept.waiting_today.bytes.to_string()]);
    page.end();
    if let Some((first, last)) = kept.span_ms {
        page.begin(&[]);
        page.row("First", "最初", &when(first));
        page.row("Last", "最後", &when(last));
        page.end();
    }
}

fn kind_words(kind: &str) -> (&str, &str) {
    match kind {
        "report" => ("readings", "測定値"),
        "statement" => ("statements (consent, plan, chain)", "通知（同意・間隔・チェーン）"),
        "loss" => ("loss records", "欠落の記録"),
        other => (other, "不明"),
    }
}

fn last_receipt(page: &mut Page, kept: &Kept) {
    page.part("Last receipt", "最後の受領証");
    let Some((receipt, verified)) = &kept.receipt else {
        return page.say("None is held yet.", "まだありません。");
    };
    page.begin(&[]);
    page.row("Received by the collector", "コレクターの受領日時", &when(receipt.received_at_ms));
    page.row("Covers the chain up to place", "受領済みの連番", &format!("{} ({})", receipt.seq, receipt.chain_id));
    page.end();
    match verified {
        Ok(()) => page.mark(
            "good",
            "Verified offline: signed by the collector whose root key is named above.",
            "オフライン検証済み：上記のルート鍵のコレクターによる署名です。",
        ),
        Err(why) => {
            page.mark("bad", &format!("It does not hold: {why}. Run `ledger verify`."), "受領証は正しくありません。`ledger verify`を実行してください。")
        }
    }
}

fn failed(page: &mut Page, facts: &Facts) {
    page.part("What failed", "失敗");
    let mut clean = true;
    for noted in &facts.noted {
        clean = false;
        let (what, mend) = noted_words(noted.kind);
        let (since, kara) = if noted.kind == NotedKind::WentBack { ("", "") } else { ("since ", "から") };
        page.mark(
            "bad",
            &format!("{since}{}: {}. {}.", when(noted.at_ms), what.en, mend.en),
            &format!("{}{kara}：{}。{}。", show_japan(noted.at_ms), what.ja, mend.ja),
        );
    }
    if facts.push_fail_ms.iter().any(|ms| *ms >= 1000) {
        clean = false;
        page.say("Time without a way through, in the present chain, by layer:", "現在のチェーンで送信できなかった時間（原因別）：");
        page.begin(&[("Layer", "層"), ("Time", "時間"), ("Means", "意味"), ("Mend", "対処")]);
        for (layer, ms) in Layer::ALL.into_iter().zip(facts.push_fail_ms).filter(|(_, ms)| *ms >= 1000) {
            let (what, mend) = layer_words(layer);
            page.cells(&[escape(layer.name()), show_duration(ms / 1000), both(what.en, what.ja), both(mend.en, mend.ja)]);
        }
        page.end();
    }
    if let Ok(kept) = &facts.ledger
        && !kept.gone.is_empty()
    {
        clean = false;
        page.say("Entries that are gone; each is accounted for in the ledger:", "失われたエントリ（台帳に記録されています）：");
        page.begin(&[("Places", "連番"), ("Why", "理由"), ("Taken", "測定時刻")]);
        kept.gone.iter().for_each(|gone| lost(page, gone));
        page.end();
        if kept.more_gone > 0 {
            page.say(&format!("{} more ranges are not listed.", kept.more_gone), &format!("ほか{}件。", kept.more_gone));
        }
    }
    if clean {
        page.mark("good", "Nothing is known to have failed.", "失敗の記録はありません。");
    }
    page.0.push_str(&format!("<p>{}: <code>{} check</code></p>\n", both("For a look at every step of the way", "経路の各段階の確認"), escape(&facts.call)));
}

fn lost(page: &mut Page, gone: &Gone) {
    let (en, ja) = match gone.reason {
        Some(LossReason::Quota) => ("the outbox was full", "保存容量の超過"),
        Some(LossReason::Age) => ("older than is kept", "保持期間の超過"),
        Some(LossReason::Withdrawn) => ("consent withdrawn before they were sent", "送信前に同意が撤回された"),
        Some(LossReason::Damage) => ("the file was damaged", "ファイルの破損"),
        None => ("what is kept on this machine is damaged", "この機器に保存された内容の破損"),
    };
    let span = gone.span_ms.map(|(from, to)| format!("{} – {}", when(from), when(to))).unwrap_or_default();
    page.cells(&[format!("{} – {}", gone.first_seq, gone.last_seq), both(en, ja), escape(&span)]);
}

fn approved(page: &mut Page, facts: &Facts) {
    page.part("Who approved, and why", "承認者と理由");
    page.say("Both stay on this machine; only a keyed hash of them is sent.", "いずれもこの機器の外には出ません（鍵付きハッシュのみ送信）。");
    let Ok(consent) = &facts.consent else {
        return page.say(&format!("There is no valid consent at {}.", facts.consent_path), &format!("有効な同意がありません：{}", facts.consent_path));
    };
    page.begin(&[]);
    page.row("Approved by", "承認者", &consent.approver);
    page.row("Reason", "理由", &consent.reason);
    page.row("Valid from", "有効期間の開始", &when(consent.terms.valid_from_ms));
    page.row("Valid until (not included)", "有効期間の終了（含まない）", &when(consent.terms.valid_to_ms));
    page.row("Hash, in every report", "ハッシュ（全報告に記載）", &consent.terms.hash().to_string());
    page.row("File", "ファイル", &facts.consent_path);
    page.end();
}

fn stop(page: &mut Page, facts: &Facts) {
    page.part("How to stop it now", "今すぐ止める方法");
    let call = &facts.call;
    let ways = [
        ("Stop it; everything is kept", "停止する（データは保持）", "sudo systemctl disable --now mimamori-agent".to_owned()),
        (
            "Withdraw the consent; what is unsent is removed and the collector is told once",
            "同意を撤回する（未送信分は消去し、撤回を1回だけ通知）",
            format!("sudo {call} consent withdraw"),
        ),
        (
            "Remove it with its keys and its ledger (stop it first)",
            "鍵と台帳ごと削除する（先に停止）",
            format!("sudo -u mimamori-agent {call} uninstall --purge --yes"),
        ),
    ];
    page.begin(&[]);
    for (en, ja, command) in ways {
        page.0.push_str(&format!("<tr><th>{}</th><td><code>{}</code></td></tr>\n", both(en, ja), escape(&command)));
    }
    page.end();
    page.say(
        "Nobody at the RSC can start it again or change anything on this machine.",
        "リモートサービスセンターから再開したり、この機器の設定を変えたりすることはできません。",
    );
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
