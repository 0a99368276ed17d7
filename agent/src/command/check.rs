//! `check`: what would keep the agent from working, one line each, with the mend.

mod probes;

use super::consent_state::Standing;
use super::manifest::{consent_of, only_root_doubts};
use super::noted_words::noted_words;
use super::status::{is_running, newest_receipt};
use super::{print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::consent_file::NoConsent;
use crate::identity::{self, Enrolment};
use crate::outbox::{Ledger, NotedKind, noted};
use crate::setup::{self, Environment};
use crate::uplink::{PushError, Step};
use crate::{clock, probe};
use mimamori_shared::config::show_size;
use mimamori_shared::fields::Readings;
use mimamori_shared::payload::Receipt;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};

/// Below this the agent is still small, but the machine is not one of today.
const MEMORY_BYTES_MIN: u64 = 256 << 20;

/// How far a receipt may stand ahead of this clock, in milliseconds.
const SKEW_MS: i64 = 60_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

struct Line {
    name: String,
    verdict: Verdict,
    text: String,
    mend: String,
}

struct Doctor<'a> {
    config: &'a Config,
    lang: Lang,
    lines: Vec<Line>,
}

pub(super) fn check(config: &Config, output: Output, lang: Lang, environment: &Environment) -> u8 {
    let mut doctor = Doctor { config, lang, lines: Vec::new() };
    doctor.ok("configuration", lang.of("read without fault", "問題ありません"));
    doctor.system();
    doctor.account();
    let enrolment = doctor.identity();
    doctor.consent(environment);
    let receipt = Ledger::open(&config.state_dir()).ok().flatten().as_ref().and_then(newest_receipt);
    doctor.clock();
    doctor.clock_against(receipt.as_ref(), clock::now().wall_ms);
    doctor.probes(consent_of(config, environment).ok().as_ref().map(|consent| &consent.terms));
    doctor.space();
    doctor.agent();
    if let Some(enrolment) = enrolment {
        doctor.way_out(&enrolment, environment);
        doctor.receipt(receipt.as_ref());
    }
    doctor.noted();
    doctor.finish(output)
}

impl Doctor<'_> {
    fn add(&mut self, name: impl Into<String>, verdict: Verdict, text: impl Into<String>, mend: impl Into<String>) {
        self.lines.push(Line { name: name.into(), verdict, text: text.into(), mend: mend.into() });
    }

    fn ok(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.add(name, Verdict::Ok, text, "");
    }

    /// What this machine is, and whether it is one the agent is made for.
    fn system(&mut self) {
        let lang = self.lang;
        let os = sysinfo::System::long_os_version().unwrap_or_else(|_| lang.of("unknown system", "不明なOS").to_owned());
        let kernel = sysinfo::System::kernel_version().unwrap_or_default();
        let memory = sysinfo::System::new().map_or(0, |mut system| {
            system.refresh_memory();
            system.total_memory() >> 20 << 20
        });
        let text = format!("{os}, {kernel}, {}", show_size(memory));
        if memory < MEMORY_BYTES_MIN {
            self.add(
                "system",
                Verdict::Warn,
                text,
                lang.of("this machine has little memory; the agent itself needs about 10 MiB", "メモリが少ない機器です（エージェントは約10MiB使用）"),
            );
        } else {
            self.ok("system", text);
        }
    }

    fn account(&mut self) {
        let lang = self.lang;
        if rustix::process::geteuid().is_root() {
            let mend = lang.of(
                "run this as the agent's account: `sudo -u mimamori-agent mimamori-agent check`",
                "エージェントのアカウントで実行：`sudo -u mimamori-agent mimamori-agent check`",
            );
            self.add(
                "account",
                Verdict::Warn,
                lang.of("this is root; the agent itself refuses to run as root", "rootで実行しています（エージェントはrootでは動きません）"),
                mend,
            );
        } else {
            self.ok("account", lang.of("an ordinary account", "一般アカウントです"));
        }
    }

    fn identity(&mut self) -> Option<Enrolment> {
        match identity::load(&self.config.state_dir()) {
            Ok((key, enrolment)) => {
                self.ok("identity", format!("{} / {}, {}", enrolment.facility, enrolment.machine, identity::fingerprint(&key)));
                Some(enrolment)
            }
            Err(fault) => {
                let mend = self.lang.of("enrol with a token from the RSC, or mend what is named", "トークンで登録するか、示された問題を直してください");
                self.add("identity", Verdict::Fail, fault.in_lang(self.lang), mend);
                None
            }
        }
    }

    fn consent(&mut self, environment: &Environment) {
        let lang = self.lang;
        match consent_of(self.config, environment) {
            Ok(consent) => {
                let standing = Standing::of(self.config, &consent);
                let until = format!("{}; {}", standing.until(lang), standing.now(lang));
                if standing.ends_within_days().is_some() {
                    self.add("consent", Verdict::Warn, until, lang.of("ask the facility for a new one in time", "期限前に新しい同意を得てください"));
                } else {
                    self.ok("consent", until);
                }
            }
            Err(why) if only_root_doubts(&why) => {
                // Of root, and the way to the agent's account, the line above has said it.
                self.add("consent", Verdict::Warn, lang.of("cannot be told from root", "rootでは判断できません"), "");
            }
            Err(why) => {
                let mend = match &why {
                    NoConsent::Missing(_) => lang.of("the facility's administrator writes it", "医療機関の管理者が作成します"),
                    NoConsent::NotProven { .. } => lang.of("chown it to root, chmod 644, in a folder of root's", "所有者をrootにし、644にしてください"),
                    NoConsent::Withdrawn { .. } => lang.of("only the facility can grant it again", "再開には医療機関の新しい同意が必要です"),
                    NoConsent::Unreadable(..) | NoConsent::Faults(..) | NoConsent::NotYet(_) | NoConsent::Expired(_) => {
                        lang.of("mend what is named", "示された点を直してください")
                    }
                };
                self.add("consent", Verdict::Fail, why.in_lang(lang), mend);
            }
        }
    }

    fn clock(&mut self) {
        let lang = self.lang;
        let mut readings = Readings::default();
        let names = crate::probe::Names::new(&[0; 32], std::collections::BTreeMap::new());
        let mut faults = Vec::new();
        if let Some(probe) = probe::PROBES.iter().find(|probe| probe.name == "clock") {
            (probe.read)(&probe::Sources::of(&setup::host_of(self.config), &names), &mut readings, &mut faults);
        }
        let synchronised = readings.clock.and_then(|clock| clock.synchronised);
        match synchronised {
            Some(1) => self.ok("clock", lang.of("synchronised", "同期しています")),
            Some(_) => self.add(
                "clock",
                Verdict::Warn,
                lang.of("not synchronised", "同期していません"),
                lang.of("set up NTP: chrony or systemd-timesyncd", "chronyやsystemd-timesyncdで時刻同期を設定してください"),
            ),
            None => self.add(
                "clock",
                Verdict::Warn,
                lang.of("whether it is synchronised cannot be told", "同期状態を確認できません"),
                lang.of("see `preview` for the fault", "`preview`で理由を確認してください"),
            ),
        }
    }

    /// The collector's clock was ahead of this one when it signed the last receipt: then this one is slow, whatever it
    /// is synchronised with, and certificates seem not to be valid yet.
    fn clock_against(&mut self, receipt: Option<&Receipt>, now_ms: i64) {
        let Some(receipt) = receipt.filter(|receipt| receipt.received_at_ms > now_ms.saturating_add(SKEW_MS)) else { return };
        let lang = self.lang;
        let text = format!(
            "{} {}",
            lang.of("this machine's clock stands before the last receipt, which is of", "この端末の時計が最後の受領証より前を示しています。受領証："),
            lang.when(receipt.received_at_ms)
        );
        let mend = lang.of(
            "set the clock; a wrong clock also makes good certificates look expired or not yet valid",
            "時刻を合わせてください。時計のずれは、正しい証明書を期限切れや有効期間前に見せます",
        );
        self.add("clock", Verdict::Fail, text, mend);
    }

    /// Whether it runs.
    fn agent(&mut self) {
        let lang = self.lang;
        if is_running(&self.config.state_dir()) {
            self.ok("agent", lang.of("running", "稼働しています"));
        } else {
            self.add(
                "agent",
                Verdict::Warn,
                lang.of("not running", "稼働していません"),
                lang.of("start it: sudo systemctl enable --now mimamori-agent", "起動してください：sudo systemctl enable --now mimamori-agent"),
            );
        }
    }

    /// What the running agent noted and a stopped one left.
    fn noted(&mut self) {
        let lang = self.lang;
        for noted in noted(&self.config.state_dir()).unwrap_or_default() {
            let (what, mend) = noted_words(noted.kind);
            let verdict = match noted.kind {
                NotedKind::Revoked | NotedKind::NeedsApproval | NotedKind::Forked => Verdict::Fail,
                // The steps of the way ask for what any caller may have, so they pass all the same.
                NotedKind::KeyUnknown | NotedKind::Forbidden => Verdict::Fail,
                NotedKind::WentBack | NotedKind::Failing(_) => Verdict::Warn,
            };
            self.add("noted", verdict, format!("{}: {}", lang.when(noted.at_ms), lang.of(what.en, what.ja)), lang.of(mend.en, mend.ja));
        }
    }

    fn space(&mut self) {
        let lang = self.lang;
        let dir = self.config.state_dir();
        let floor = self.config.values().size_bytes("outbox.free_floor");
        match rustix::fs::statvfs(&dir) {
            Ok(fs) => {
                let free = fs.f_bavail.saturating_mul(fs.f_frsize);
                let text = format!("{} {}", show_size(free >> 20 << 20), lang.of("free for the outbox", "の空き"));
                if free < floor {
                    self.add(
                        "disk space",
                        Verdict::Fail,
                        text,
                        format!("{} {}", lang.of("free space up to at least", "次の容量まで空けてください："), show_size(floor)),
                    );
                } else {
                    self.ok("disk space", text);
                }
            }
            Err(fault) => self.add(
                "disk space",
                Verdict::Fail,
                format!("{}: {fault}", dir.display()),
                lang.of("make the state folder", "状態フォルダーを作成してください"),
            ),
        }
    }

    fn way_out(&mut self, enrolment: &Enrolment, environment: &Environment) {
        let uplink = match setup::uplink_of(self.config, &enrolment.url, enrolment.ca_pin, environment) {
            Ok(uplink) => uplink,
            Err(fault) => return self.add("proxy", Verdict::Fail, fault, self.lang.of("mend the configuration", "設定を直してください")),
        };
        match uplink.proxy() {
            Some(proxy) => self.ok("proxy", proxy),
            None => self.ok("proxy", self.lang.of("none on the way", "使用しません")),
        }
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let step = uplink.resolve().await;
            let Some(addresses) = self.step("dns", step, |_| String::new()) else { return };
            let step = uplink.connect(&addresses).await;
            let Some(stream) = self.step("connection", step, |_| String::new()) else { return };
            let step = uplink.tls_handshake(stream).await;
            let lang = self.lang;
            let agreed = self.step("tls", step, |facts| {
                let inspected =
                    if facts.inspected { lang.of(", read along by a device of the facility", "、施設の機器が復号しています") } else { "" };
                format!(", {}{inspected}", facts.version)
            });
            if agreed.is_none() {
                return self.led_to(&addresses);
            }
            let step = uplink.ask().await;
            self.step("http", step, |()| String::new());
        });
    }

    /// Where the name led to, when something else than the collector may stand there.
    fn led_to(&mut self, addresses: &[SocketAddr]) {
        let lang = self.lang;
        let all = addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ");
        let private = addresses.iter().all(|address| is_private(address.ip()));
        let mend = if private {
            lang.of(
                "these are addresses of a private network: unless the collector is meant to be there, the DNS of this network answers with another machine",
                "プライベートアドレスです。収集サーバーがそこにあるはずでなければ、このネットワークのDNSが別の機器を答えています",
            )
        } else {
            lang.of("compare with the address that the RSC names", "リモートサービスセンターの示すアドレスと照合してください")
        };
        self.add("dns", Verdict::Warn, format!("{} {all}", lang.of("the way led to", "接続先アドレス：")), mend);
    }

    fn step<T>(&mut self, name: &'static str, step: Step<T>, more: impl Fn(&T) -> String) -> Option<T> {
        let tried = self.lang.of(&step.en, &step.ja).to_owned();
        match step.result {
            Ok(value) => {
                self.ok(name, format!("{tried}{} ({} ms)", more(&value), step.took.as_millis()));
                Some(value)
            }
            Err(PushError { detail, note, .. }) => {
                let (words, mend) = (detail.words(), detail.mend());
                let note = if note.is_empty() { String::new() } else { format!(" [{note}]") };
                self.add(name, Verdict::Fail, format!("{tried}: {}{note}", self.lang.of(words.en, words.ja)), self.lang.of(mend.en, mend.ja));
                None
            }
        }
    }

    fn receipt(&mut self, receipt: Option<&Receipt>) {
        let lang = self.lang;
        match receipt {
            Some(receipt) => {
                let age_s = clock::now().wall_ms.saturating_sub(receipt.received_at_ms) / 1000;
                let text = format!("{} {}", lang.of("the last one is of", "最後の受領証："), lang.when(receipt.received_at_ms));
                if age_s > 3600 {
                    self.add(
                        "receipt",
                        Verdict::Warn,
                        text,
                        lang.of("is the agent running? See the lines above and `status`", "エージェントは動いていますか。上の行と`status`を確認してください"),
                    );
                } else {
                    self.ok("receipt", text);
                }
            }
            None => self.add(
                "receipt",
                Verdict::Warn,
                lang.of("none held yet", "まだありません"),
                lang.of("start the agent and check again in two minutes", "エージェントを起動し、2分後に再確認してください"),
            ),
        }
    }

    fn finish(&self, output: Output) -> u8 {
        let word = |verdict| match verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        if output.json {
            let lines: Vec<_> =
                self.lines.iter().map(|line| json!({"name": line.name, "verdict": word(line.verdict), "text": line.text, "mend": line.mend})).collect();
            print_json(&json!({"schema": "mimamori.check/1", "ok": self.passed(), "lines": lines}));
        } else {
            for line in &self.lines {
                print(&format!("{:<5} {:<20} {}\n", word(line.verdict), line.name, line.text));
                if !line.mend.is_empty() {
                    print(&format!("      {:<20} -> {}\n", "", line.mend));
                }
            }
        }
        if self.passed() { exit::OK } else { exit::FAILED }
    }

    fn passed(&self) -> bool {
        self.lines.iter().all(|line| line.verdict != Verdict::Fail)
    }
}

/// Addresses that lead nowhere beyond a site.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for (address, expected) in
            [("10.0.0.1", true), ("192.168.1.1", true), ("127.0.0.1", true), ("203.0.113.5", false), ("fd00::1", true), ("2001:db8::1", false)]
        {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }
}
