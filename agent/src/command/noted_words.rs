//! What was noted, in words and with the mend.

use crate::outbox::NotedKind;
use crate::uplink::{Detail, Words, layer_words};

/// What it means, and what to do.
pub(super) fn noted_words(kind: NotedKind) -> (Words, Words) {
    let (en, ja, mend_en, mend_ja) = match kind {
        NotedKind::Revoked => (
            "the collector takes no more of this machine's key (revoked); reports are kept",
            "コレクターがこの機器の鍵を受け付けません（失効）。報告は保持されています",
            "ask the RSC; if it is meant to go on, enrol anew: move the state folder away, then use a new token",
            "リモートサービスセンターに確認してください。続ける場合は状態フォルダーを退避し、新しいトークンで登録してください",
        ),
        NotedKind::NeedsApproval => (
            "the collector wants an operator's approval first; reports are kept",
            "コレクターが担当者の承認を待っています。報告は保持されています",
            "ask the RSC to look and to run `mimamori-collector machine approve`",
            "リモートサービスセンターに確認と`mimamori-collector machine approve`の実行を依頼してください",
        ),
        NotedKind::Forked => (
            "the collector sees this machine's key used twice (forked): was this machine cloned or restored?",
            "同じ鍵が二重に使われています（フォーク）。この機器を複製または復元しませんでしたか",
            "if this machine was restored from a backup or snapshot, tell the RSC: it approves; otherwise look for the second machine, and tell the RSC",
            "この機器をバックアップやスナップショットから復元した場合は、リモートサービスセンターに連絡してください（確認後に承認されます）。そうでなければもう1台の機器を探し、連絡してください",
        ),
        NotedKind::WentBack => (
            "the collector held less than it had receipted (it was restored or replaced) and got everything again",
            "コレクターの保持分が受領済みより減っていたため（復元または交換）、台帳から再送しました",
            "nothing on this machine; the RSC should know why",
            "この機器での対応は不要です。リモートサービスセンターに原因を確認してください",
        ),
        NotedKind::Failing(layer) => return layer_words(layer),
        NotedKind::KeyUnknown => return exactly(Detail::Status(401)),
        NotedKind::Forbidden => return exactly(Detail::Status(403)),
    };
    (Words { en, ja }, Words { en: mend_en, ja: mend_ja })
}

fn exactly(detail: Detail) -> (Words, Words) {
    (detail.words(), detail.mend())
}
