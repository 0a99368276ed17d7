//! Why the agent cannot be who it is, or run, in the reader's language.

use crate::cli::Lang;
use crate::identity::IdentityError;
use crate::run::RunError;
use crate::uplink::{Detail, PushError};
use mimamori_shared::error::chain;

impl IdentityError {
    /// What is wrong and the mend; what the system says is repeated as it is.
    #[must_use]
    pub fn in_lang(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return chain(self);
        }
        match self {
            IdentityError::NotEnrolled => "この機器は未登録です。`mimamori-agent enroll --token-file FILE`を実行してください".to_owned(),
            IdentityError::Io { path, source } => format!("{} を使用できません：{source}", path.display()),
            IdentityError::Damaged { path } => {
                format!("{} は登録時の内容ではありません。バックアップから戻すか、新しいトークンで登録してください", path.display())
            }
            IdentityError::Exposed { path, mode } => {
                let path = path.display();
                format!("{path} が他者に読める状態です（モード{mode:o}）。`chmod 600 {path}`を実行し、読まれた恐れがあれば鍵の失効を依頼してください")
            }
        }
    }
}

impl PushError {
    /// What went wrong on the way and the mend.
    #[must_use]
    pub fn in_lang(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return self.to_string();
        }
        let status = if let Detail::Status(code) | Detail::Redirected(code) = self.detail { format!("（状態{code}）") } else { String::new() };
        let note = if self.note.is_empty() { String::new() } else { format!(" [{}]", self.note) };
        format!("{}：{}{status}{note}。{}", self.layer.name(), self.detail.words().ja, self.detail.mend().ja)
    }
}

impl RunError {
    /// Why the agent does not run, and the mend.
    #[must_use]
    pub fn in_lang(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return chain(self);
        }
        match self {
            RunError::Root => {
                "エージェントはrootでは動きません。rootでは自分の同意書を書けてしまうためです。専用アカウントで起動してください（systemd：User=mimamori-agent）"
                    .to_owned()
            }
            RunError::Identity(fault) => fault.in_lang(lang),
            RunError::Config(what) => format!("設定：{what}"),
            RunError::Outbox(path, fault) => format!("{} の送信待ちファイルを使用できません：{}", path.display(), chain(fault)),
            RunError::Locked(path) => format!("別のエージェントが {} を使用中です。2つ同時に動くとチェーンが分岐します", path.display()),
            RunError::System(fault) => format!("OSが拒否しました：{fault}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_push_that_failed_is_said_in_both_languages() {
        let fault = PushError::with_note(Detail::Status(503), "busy");
        let (en, ja) = (fault.in_lang(Lang::En), fault.in_lang(Lang::Ja));
        assert!(en.is_ascii() && ja.contains(fault.detail.mend().ja), "{en} {ja}");
        assert!(["503", "busy", "http"].iter().all(|named| en.contains(named) && ja.contains(named)), "{en} {ja}");
    }

    #[test]
    fn every_fault_is_said_in_both_languages() {
        let path = || PathBuf::from("/a/b");
        let io = || std::io::Error::other("denied");
        let identity = [
            IdentityError::NotEnrolled,
            IdentityError::Io { path: path(), source: io() },
            IdentityError::Damaged { path: path() },
            IdentityError::Exposed { path: path(), mode: 0o644 },
        ];
        let mut faults: Vec<RunError> = identity.into_iter().map(RunError::Identity).collect();
        faults.extend([RunError::Root, RunError::Config("x".to_owned()), RunError::Locked(path()), RunError::System(io())]);
        for fault in faults {
            let (en, ja) = (fault.in_lang(Lang::En), fault.in_lang(Lang::Ja));
            assert!(en.is_ascii() && !ja.is_ascii(), "{en} {ja}");
            assert!(["/a/b", "644", "denied"].iter().all(|named| en.contains(named) == ja.contains(named)), "{en} {ja}");
        }
    }
}
