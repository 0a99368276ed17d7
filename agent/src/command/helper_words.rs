//! How it stands with the hardware helper's file, for `probe run` and `check`.

use crate::cli::Lang;
use crate::host::Host;
use crate::probe::Probe;
use crate::probe::hardware::{FILE, report};
use mimamori_parse::hardware::Fault;
use mimamori_shared::payload::{Fault as ReadingFault, FaultCode};
use serde_json::{Value, json};
use std::path::PathBuf;

/// How to start it.
const START: [&str; 2] = [
    "install it (docs/HARDWARE.md), `sudo systemctl enable --now mimamori-agent-hardware.timer`; at once: `sudo systemctl start mimamori-agent-hardware`. Without a consent in force it leaves no file",
    "補助プログラムを導入し（docs/HARDWARE.md）、`sudo systemctl enable --now mimamori-agent-hardware.timer`を実行してください。直ちに実行：`sudo systemctl start mimamori-agent-hardware`。有効な同意がない間は結果を残しません",
];

/// What it could not do, by its word, and what an administrator does about it; docs/HARDWARE.md explains them. What the helper
/// says of them itself may name devices and folders: it stays in its file and its journal.
const TROUBLES: [(&str, [&str; 2], [&str; 2]); 9] = [
    (
        "config_refused",
        ["hardware.toml cannot be used", "hardware.tomlを使用できません"],
        [
            "`journalctl -u mimamori-agent-hardware` names the place; mend it, then `sudo systemctl start mimamori-agent-hardware`",
            "`journalctl -u mimamori-agent-hardware`に示された箇所を直し、`sudo systemctl start mimamori-agent-hardware`を実行してください",
        ],
    ),
    (
        "unreadable",
        ["a log, services, processes or the list of disks cannot be read", "ログ・サービス・プロセス・ディスク一覧のいずれかを読み取れません"],
        [
            "named services and processes need the drop-in of docs/HARDWARE.md, counts a journal of this boot (`journalctl --boot`)",
            "サービスとプロセスにはdocs/HARDWARE.mdのドロップインが、件数には今回の起動のジャーナル（`journalctl --boot`）が必要です",
        ],
    ),
    (
        "behind",
        ["more was written to a log than one run may read", "ログの量が1回の読み取り上限を超えています"],
        ["nothing: the next runs go on", "対処は不要です。次回以降が続きを読みます"],
    ),
    (
        "state_lost",
        ["what it remembered is damaged", "記憶した内容が破損していました"],
        ["nothing: it is counted anew from the start of the boot", "対処は不要です。起動時から数え直します"],
    ),
    (
        "state_not_kept",
        ["what it is to remember cannot be written", "記憶する内容を書き込めません"],
        ["look at the space and the mount of /var/lib/mimamori-agent-hardware", "/var/lib/mimamori-agent-hardwareの空きとマウントを確認してください"],
    ),
    (
        "refused",
        ["a device has a name that is none", "装置名として扱えない名前があります"],
        ["give what `sudo mimamori-agent-hardware --print` says to the maintainers", "`sudo mimamori-agent-hardware --print`の出力を保守担当に渡してください"],
    ),
    (
        "too_many",
        ["there are more devices than are looked at", "装置の数が上限を超えています"],
        ["nothing on this machine: the rest is left out", "この機器での対処はありません。残りは対象外です"],
    ),
    (
        "hidden",
        ["a filesystem is mounted below a home folder only", "ホームフォルダー以下にのみマウントされたファイルシステムがあります"],
        ["mount it elsewhere too, or leave it unwatched", "ほかの場所にもマウントするか、監視対象外としてください"],
    ),
    (
        "stuck",
        ["a tool hangs in a driver", "ツールがドライバー内で停止しています"],
        [
            "look at the device and at `journalctl -k`; only a restart of the machine ends the process",
            "装置と`journalctl -k`を確認してください。残ったプロセスは機器の再起動でのみ終了します",
        ],
    ),
];

/// Where the helper was not allowed to look.
const NOT_CONSENTED: [&str; 2] = [
    "nothing, if that is what the facility wants; else let the consent cover it (docs/CONSENT.md), or mend `[tools] off` in /etc/mimamori/hardware.toml",
    "施設の意向であれば対処は不要です。そうでなければ同意の範囲（docs/CONSENT.md）または/etc/mimamori/hardware.tomlの`[tools] off`を直してください",
];

/// Where the helper ran and its tool did not say what it should.
const SEE: [&str; 2] = [
    "see what the tool says (`sudo mimamori-agent-hardware --print`), and look at the device and at `journalctl -k`",
    "ツールの出力（`sudo mimamori-agent-hardware --print`）、装置、`journalctl -k`を確認してください",
];

/// The helper's file.
pub(super) struct Helper {
    path: PathBuf,
    /// When it was made, UTC, milliseconds since 1970, and what the helper could not do; or why it does not count.
    taken: Result<(i64, Vec<Fault>), FaultCode>,
}

impl Helper {
    pub(super) fn of(host: &Host) -> Helper {
        Helper { path: host.root().join(FILE), taken: report(host).map(|report| (report.taken_at_ms, report.faults)) }
    }

    /// What it could not do, each with the mend and once: all of it, or what concerns no tool or log alone. What the consent
    /// keeps from it is no trouble.
    pub(super) fn troubles(&self, all: bool, lang: Lang) -> Vec<(String, &'static str)> {
        let faults = self.taken.as_ref().map(|(_, faults)| faults.as_slice()).unwrap_or_default();
        let told = TROUBLES.iter().filter_map(|(code, words, mend)| {
            let count = faults.iter().filter(|fault| fault.code.as_str() == *code && (all || fault.subject.is_none())).count();
            let times = if count > 1 { format!(" (×{count})") } else { String::new() };
            (count > 0).then(|| (format!("{code}: {}{times}", lang.of(words[0], words[1])), lang.of(mend[0], mend[1])))
        });
        told.collect()
    }

    /// What an administrator does about a fault of a probe that it feeds.
    pub(super) fn mend_of(&self, probe: &Probe, fault: &ReadingFault, lang: Lang) -> String {
        let own = || lang.of(probe.mend, probe.mend_ja).to_owned();
        if !probe.runs_in.asks_helper() {
            return own();
        }
        match (&self.taken, fault.code) {
            (_, FaultCode::NotConsented) => lang.of(NOT_CONSENTED[0], NOT_CONSENTED[1]).to_owned(),
            (Err(code), said) if *code == said => self.mend(lang),
            (Ok(_), FaultCode::TimedOut | FaultCode::IoError | FaultCode::Malformed | FaultCode::TooLarge | FaultCode::Hidden) => {
                lang.of(SEE[0], SEE[1]).to_owned()
            }
            _ => own(),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.taken.is_ok()
    }

    /// Where it is and of when, or why there is none.
    pub(super) fn text(&self, lang: Lang) -> String {
        let path = self.path.display();
        match self.taken {
            Ok((at_ms, _)) => format!("{path}{} {}", lang.of(", of", "："), lang.when(at_ms)),
            Err(FaultCode::NotFound) => lang.of(format!("there is no file of this boot at {path}"), format!("今回の起動後の{path}がありません")),
            Err(FaultCode::TimedOut) => {
                lang.of(format!("{path} is too old: the helper does not run any more"), format!("{path}が古すぎます：補助プログラムが動いていません"))
            }
            Err(code) => format!("{path}: {}", lang.of(code.words_en(), code.words_ja())),
        }
    }

    /// The mend; empty where there is nothing to mend.
    pub(super) fn mend(&self, lang: Lang) -> String {
        let start = lang.of(START[0], START[1]);
        match self.taken {
            Ok(_) => String::new(),
            Err(FaultCode::NotFound | FaultCode::TimedOut | FaultCode::NotYet) => start.to_owned(),
            Err(_) => {
                let path = self.path.display();
                lang.of(
                    format!("see what stands there and whose it is (`ls -l {path}`), remove it, and {start}"),
                    format!("内容と所有者を確認（`ls -l {path}`）して削除し、{start}"),
                )
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        let (at_ms, faults) = self.taken.as_ref().map(|(at_ms, faults)| (*at_ms, faults)).ok().unzip();
        let faults: Vec<Value> = faults.into_iter().flatten().map(|fault| json!({"code": fault.code, "subject": fault.subject})).collect();
        json!({"file": self.path, "taken_at_ms": at_ms, "fault": self.taken.as_ref().err().map(|code| code.name()), "faults": faults})
    }
}
