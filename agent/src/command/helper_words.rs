//! How it stands with the hardware helper's file, for `probe run` and `check`.

use crate::cli::Lang;
use crate::host::Host;
use crate::probe::hardware::{FILE, report};
use mimamori_shared::payload::FaultCode;
use serde_json::{Value, json};
use std::path::PathBuf;

/// How to start it.
const START: [&str; 2] = [
    "install it (docs/HARDWARE.md), `sudo systemctl enable --now mimamori-agent-hardware.timer`; at once: `sudo systemctl start mimamori-agent-hardware`. Without a consent in force it leaves no file",
    "補助プログラムを導入し（docs/HARDWARE.md）、`sudo systemctl enable --now mimamori-agent-hardware.timer`を実行してください。直ちに実行：`sudo systemctl start mimamori-agent-hardware`。有効な同意がない間は結果を残しません",
];

/// The helper's file.
pub(super) struct Helper {
    path: PathBuf,
    /// When it was made, UTC, milliseconds since 1970; or why it does not count.
    taken: Result<i64, FaultCode>,
}

impl Helper {
    pub(super) fn of(host: &Host) -> Helper {
        Helper { path: host.root().join(FILE), taken: report(host).map(|report| report.taken_at_ms) }
    }

    pub(super) fn is_there(&self) -> bool {
        self.taken.is_ok()
    }

    /// Where it is and of when, or why there is none.
    pub(super) fn text(&self, lang: Lang) -> String {
        let path = self.path.display();
        match self.taken {
            Ok(at_ms) => format!("{path}{} {}", lang.of(", of", "："), lang.when(at_ms)),
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
            Err(FaultCode::NotFound | FaultCode::TimedOut) => start.to_owned(),
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
        json!({"file": self.path, "taken_at_ms": self.taken.ok(), "fault": self.taken.err().map(FaultCode::name)})
    }
}
