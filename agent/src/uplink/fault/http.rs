//! The words for what answered over HTTP.

use super::{Detail, Text, row};
use mimamori_shared::payload::Layer;

pub(super) fn http_text(detail: Detail) -> Option<Text> {
    Some(match detail {
        Detail::Status(code) => status_text(code),
        Detail::Redirected(_) => row(
            Layer::Http,
            "redirected",
            "the answer points to another address, which is never followed",
            "別のアドレスへの転送が返されました（転送には従いません）",
            "a portal may be in the way; otherwise correct the URL",
            "認証ポータルが介在している可能性があります。そうでなければURLを修正してください",
        ),
        Detail::Portal => row(
            Layer::Http,
            "portal",
            "the answer does not come from a collector",
            "応答は収集サーバーのものではありません",
            "a portal, a filter or another service answers in its place: ask for an exception for the collector's name",
            "認証ポータル、フィルター、または別のサービスが応答しています。収集サーバーの名前の例外設定を依頼してください",
        ),
        Detail::TooLarge => row(
            Layer::Http,
            "too_large",
            "the answer is too large",
            "応答が大きすぎます",
            "something other than a collector answers: check the URL and the proxy",
            "収集サーバー以外が応答しています。URLとプロキシを確認してください",
        ),
        Detail::AnswerTimeout => row(
            Layer::Http,
            "answer_timeout",
            "the answer did not come in time",
            "応答が時間内に届きませんでした",
            "check the line and the collector's load; the agent tries again by itself",
            "回線と収集サーバーの負荷を確認してください。エージェントは自動で再試行します",
        ),
        Detail::Cut => row(
            Layer::Http,
            "cut",
            "the connection was cut before the whole answer was there",
            "応答の途中で接続が切断されました",
            "if this goes on, check proxies and firewalls that cut connections; the agent tries again by itself",
            "続く場合は、接続を切断するプロキシやファイアウォールを確認してください。エージェントは自動で再試行します",
        ),
        Detail::NotHttp => row(
            Layer::Http,
            "not_http",
            "the answer is not understood as HTTP",
            "応答をHTTPとして解釈できません",
            "check the port in the URL",
            "URLのポート番号を確認してください",
        ),
        _ => return None,
    })
}

fn status_text(code: u16) -> Text {
    let (name, en, ja, mend_en, mend_ja) = match code {
        401 => (
            "unknown_key",
            "answers 401, as a collector does that does not know this machine's key: it was restored to a time before this machine was enrolled or changed its key, or another collector answers; reports are kept",
            "応答は401です（この機器の鍵を知らない収集サーバーの応答）。収集サーバーがこの機器の登録または鍵の更新より前の状態に復元されたか、別の収集サーバーが応答しています。報告は保持されています",
            "ask the RSC: what was enrolled since the collector's backup must enrol anew (move the state folder away, then use a new token); where the key was used twice and a new one waits, `mimamori-collector machine approve` is enough",
            "リモートサービスセンターに確認してください。収集サーバーのバックアップ以降に登録した機器は再登録が必要です（状態フォルダーを退避し、新しいトークンで登録）。鍵が二重に使われて新しい鍵が承認待ちの場合は、`mimamori-collector machine approve`で足ります",
        ),
        403 => (
            "forbidden",
            "answers 403, as a collector does that waits for approval of this machine; reports are kept",
            "応答は403です（この機器の承認を待つ収集サーバーの応答）。報告は保持されています",
            "ask the RSC for `mimamori-collector machine approve`, and compare the fingerprint of this machine's key (`mimamori-agent status`) with it; if it has approved already, a filter answers in the collector's place",
            "リモートサービスセンターに`mimamori-collector machine approve`を依頼し、この機器の鍵の指紋（`mimamori-agent status`）を照合してください。承認済みの場合は、フィルターが代わりに応答しています",
        ),
        404 | 405 => (
            "no_such_path",
            "what answers is no collector of this version",
            "応答したのは、この版の収集サーバーではありません",
            "check the URL",
            "URLを確認してください",
        ),
        421 => (
            "other_collector",
            "another collector answers at this URL",
            "このURLでは別の収集サーバーが応答しています",
            "check the URL, or enrol with a token of that collector",
            "URLを確認するか、その収集サーバーのトークンで登録してください",
        ),
        429 | 503 => (
            "busy",
            "the collector is busy and asks to wait",
            "収集サーバーが混雑しており、待つよう求めています",
            "nothing needs to be done: the agent waits and tries again",
            "対応は不要です。エージェントは待ってから再試行します",
        ),
        400 | 411 | 413 | 415 | 422 => (
            "not_understood",
            "the collector does not understand what was sent",
            "収集サーバーは送信内容を解釈できません",
            "the agent and the collector are of versions that do not fit: update the older one",
            "エージェントと収集サーバーの版が合いません。古い方を更新してください",
        ),
        500..=599 => (
            "server_fault",
            "the collector, or a proxy before it, has a fault",
            "収集サーバー、またはその手前のプロキシに障害があります",
            "look at the collector's log; the agent tries again by itself",
            "収集サーバーの記録を確認してください。エージェントは自動で再試行します",
        ),
        _ => (
            "status",
            "the answer is no success",
            "成功の応答ではありません",
            "check the URL and what stands between here and the collector",
            "URLと、収集サーバーまでの間にある機器を確認してください",
        ),
    };
    row(Layer::Http, name, en, ja, mend_en, mend_ja)
}
