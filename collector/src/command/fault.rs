//! Why a command did not do what it was asked, in both languages.

use crate::cli::{Lang, exit};
use crate::keys::KeysError;
use crate::revocation::RevocationError;
use crate::serve::StartError;
use crate::store::StoreError;
use mimamori_cli::print::reader_left;
use mimamori_shared::error::chain;

/// The exit code, and the reason in English and Japanese.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) code: u8,
    en: String,
    ja: String,
}

impl Failed {
    /// A reason that stands in the reader's language already, or has one form only.
    pub(super) fn said(code: u8, text: impl Into<String>) -> Failed {
        let text = text.into();
        Failed { code, en: text.clone(), ja: text }
    }

    /// Says of what it is true, in front of the reason.
    pub(super) fn of(self, what: &str) -> Failed {
        Failed { en: format!("{what}: {}", self.en), ja: format!("{what}：{}", self.ja), ..self }
    }

    pub(super) fn in_lang(&self, lang: Lang) -> &str {
        lang.of(&self.en, &self.ja)
    }
}

impl From<StoreError> for Failed {
    fn from(fault: StoreError) -> Failed {
        let code = match &fault {
            StoreError::NotFound(_) | StoreError::Taken(_) | StoreError::Retired => exit::USAGE,
            _ => exit::FAILED,
        };
        let mend = |lang: Lang| if is_machines_name(&fault) { free_the_name(lang) } else { "" };
        Failed { code, en: format!("{}{}", chain(&fault), mend(Lang::En)), ja: format!("{}{}", store(&fault), mend(Lang::Ja)) }
    }
}

fn is_machines_name(fault: &StoreError) -> bool {
    matches!(fault, StoreError::Taken("machine's alias"))
}

/// Also a machine whose key was revoked keeps its name, until somebody says that it is gone.
fn free_the_name(lang: Lang) -> &'static str {
    lang.of(
        ". If the machine that has it is gone or its key is revoked, `machine retire` frees it; or enrol the new machine under another name, then `machine replace` puts it into the place of the old one",
        "。その機器が撤去済みか鍵が失効している場合、`machine retire`で名前が空きます。または新しい機器を別の名前で登録し、`machine replace`で置き換えてください",
    )
}

impl From<KeysError> for Failed {
    fn from(fault: KeysError) -> Failed {
        Failed { code: exit::CONFIG, en: chain(&fault), ja: keys(&fault) }
    }
}

impl From<StartError> for Failed {
    fn from(fault: StartError) -> Failed {
        let ja = match &fault {
            StartError::Keys(fault) => keys(fault),
            StartError::Store(path, fault) => format!("{} のデータベースを開けません：{}", path.display(), store(fault)),
            StartError::NoDatabase(path) => format!(
                "{} にデータベースがないか、空です。復元時に漏れていませんか。状態フォルダーの他のファイルとともに復元してください。失われた場合は`mimamori-collector serve --accept-rollback`で空のデータベースから始められますが、すべての機器の再登録が必要です",
                path.display()
            ),
            StartError::Tls(fault) => format!("TLS証明書を使用できません：{}", chain(fault)),
            StartError::File(path, fault) => format!("{} を読み取れません：{fault}", path.display()),
            StartError::Listen { key, address, source } => format!("{key} = {address} で待ち受けできません。別のプログラムが使用していませんか：{source}"),
            StartError::Revocation(fault) => revocation(fault),
            StartError::Metrics(fault) => format!("メトリクスを準備できません：{fault}"),
            StartError::System(fault) => format!("OSが拒否しました：{fault}"),
        };
        Failed { code: if fault.is_config() { exit::CONFIG } else { exit::FAILED }, en: chain(&fault), ja }
    }
}

impl From<std::io::Error> for Failed {
    fn from(fault: std::io::Error) -> Failed {
        // Whoever read it has seen enough, and is told nothing.
        if reader_left(&fault) { Failed::said(exit::OK, "") } else { Failed::said(exit::FAILED, fault.to_string()) }
    }
}

/// What a noun of the store's faults is in Japanese.
fn noun(noun: &'static str) -> &'static str {
    match noun {
        "facility" => "医療機関",
        "machine" => "機器",
        "token" => "トークン",
        "key" => "鍵",
        "facility's alias" => "医療機関の短い名前",
        "machine's alias" => "機器の名前",
        "token's id" => "トークンのID",
        "agent id" => "エージェントのID",
        other => other,
    }
}

fn store(fault: &StoreError) -> String {
    match fault {
        StoreError::NotFound(what) => format!("該当する{}がありません", noun(what)),
        StoreError::Taken(what) => format!("{}は既に使用されています", noun(what)),
        StoreError::Retired => "この機器は既に運用終了です（以後の操作はできません。履歴は残り、名前は空いています）".to_owned(),
        StoreError::Invalid(what) => format!("値が規則に合いません：{what}"),
        StoreError::Newer(number) => format!("データベースは新しい版（移行{number}）のものです。作成した版をインストールしてください"),
        StoreError::OtherMigration(number) => format!("データベースの移行{number}が、この版のものと一致しません"),
        StoreError::Closed => "データベースは閉じられています".to_owned(),
        StoreError::Database(fault) => format!("データベースが拒否しました：{fault}"),
        StoreError::Commit(fault) => format!("データベースに確定できませんでした：{fault}"),
        StoreError::Thread(fault) => format!("書き込み処理を開始できません：{fault}"),
    }
}

fn keys(fault: &KeysError) -> String {
    match fault {
        KeysError::Exists(dir) => {
            format!(
                "{} には既にコレクターがあります。`init`は鍵を上書きしません。`keys show`で確認できます。別のコレクターには別のstate_dirを指定してください",
                dir.display()
            )
        }
        KeysError::Missing(dir) => format!("{} にコレクターがありません。`mimamori-collector init --host NAME`を実行してください", dir.display()),
        KeysError::Io { path, source } => format!("{} を使用できません：{source}", path.display()),
        KeysError::Damaged(path) => format!("{} が壊れています。鍵のバックアップから戻してください", path.display()),
        KeysError::Exposed(path) => {
            let path = path.display();
            format!("{path} が他者に読める状態です。`chmod 600 {path}`を実行し、読まれた恐れがあれば鍵を交換してください")
        }
        KeysError::OtherRoot { path, expected } => {
            format!("{} はこのコレクターのルート鍵ではありません。指紋が {expected} のものを使用してください", path.display())
        }
        KeysError::Tls(fault) => format!("TLS証明書を作成できません：{fault}"),
    }
}

pub(super) fn revocation(fault: &RevocationError) -> String {
    const ACCEPT: &str = "`mimamori-collector serve --accept-rollback`";
    match fault {
        RevocationError::WentBack { path, file, database, forgotten } => format!(
            "データベースが以前の状態に戻っています（失効の決定：データベース{database}件、{} {file}件。データベースで失効していない鍵：{forgotten}個）。新しいデータベースを復元するか、{ACCEPT}でファイルの内容を再び失効させてください",
            path.display()
        ),
        RevocationError::Missing { path } => format!(
            "{} がないため、データベースが以前の状態に戻っていないか、失効が忘れられていないかを確認できません。ファイルを復元するか、`mimamori-collector machine list`と手元の記録を照合してから{ACCEPT}を実行してください",
            path.display()
        ),
        RevocationError::Damaged { path, what } => format!(
            "{} は壊れているか、偽造か、別のコレクターのものです（{what}）。復元するか、`mimamori-collector machine list`と手元の記録を照合してから{ACCEPT}を実行してください",
            path.display()
        ),
        RevocationError::Io { path, source } => format!("{} を使用できません：{source}", path.display()),
        RevocationError::Store(fault) => store(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn every_fault_is_said_in_both_languages_and_names_the_same_things() {
        let (path, io) = (|| PathBuf::from("/a/b"), || std::io::Error::other("denied"));
        let faults: Vec<Failed> = vec![
            StoreError::NotFound("machine").into(),
            StoreError::Taken("machine's alias").into(),
            StoreError::Retired.into(),
            StoreError::Invalid("x").into(),
            StoreError::Closed.into(),
            KeysError::Exists(path()).into(),
            KeysError::Missing(path()).into(),
            KeysError::Io { path: path(), source: io() }.into(),
            KeysError::Damaged(path()).into(),
            KeysError::Exposed(path()).into(),
            KeysError::OtherRoot { path: path(), expected: "00".to_owned() }.into(),
            StartError::File(path(), io()).into(),
            StartError::Store(path(), StoreError::Newer(7)).into(),
            StartError::NoDatabase(path()).into(),
            StartError::Revocation(RevocationError::WentBack { path: path(), file: 7, database: 3, forgotten: 2 }).into(),
            StartError::Revocation(RevocationError::Missing { path: path() }).into(),
            StartError::Revocation(RevocationError::Damaged { path: path(), what: "no epoch" }).into(),
            StartError::System(io()).into(),
        ];
        for fault in faults {
            let (en, ja) = (fault.in_lang(Lang::En), fault.in_lang(Lang::Ja));
            assert!(en.is_ascii() && !ja.is_ascii() && fault.code != exit::OK, "{en} {ja}");
            for named in ["/a/b", "denied", "7", "init", "chmod 600", "--accept-rollback", "no epoch", "machine retire", "machine replace"] {
                assert_eq!(en.contains(named), ja.contains(named), "{named}: {en} {ja}");
            }
        }
        let left = Failed::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!((left.code, left.in_lang(Lang::Ja)), (exit::OK, ""));
    }
}
