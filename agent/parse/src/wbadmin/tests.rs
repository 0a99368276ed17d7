use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

const ENGLISH: &str = "wbadmin 1.0 - Backup command-line tool\r\n(C) Copyright Microsoft Corporation. All rights reserved.\r\n\r\n\
    Backup time: 9/21/2026 4:00 PM\r\nBackup target: Network Share labeled \\\\pc1\\share\r\nVersion identifier: 09/21/2026-23:00\r\nCan recover: Volume(s), File(s)\r\n\r\n\
    Backup time: 9/22/2026 4:00 PM\r\nBackup target: Network Share labeled \\\\pc1\\share\r\nVersion identifier: 09/22/2026-23:00\r\nCan recover: Volume(s), File(s)\r\n\r\n\
    Backup time: 9/20/2026 1:00 AM\r\nBackup target: Fixed Disk labeled E:\r\nVersion identifier: 09/20/2026-08:00\r\nCan recover: Volume(s)\r\nSnapshot ID: {44f402ab-2216}\r\n\r\n";

#[test]
fn versions_are_counted_by_target_and_dated_in_utc() {
    let outcome = judged(ENGLISH);
    assert_eq!((outcome.status, outcome.records.len(), outcome.faults.len()), (Status::Ok, 2, 0));
    let record = &outcome.records[0];
    assert_eq!(
        (&record["last_success_at"], &record["generations"], &record["oldest_at"]),
        (&"2026-09-22T23:00:00Z".into(), &2.into(), &"2026-09-21T23:00:00Z".into())
    );
    assert_eq!((&outcome.records[1]["set"], &outcome.records[1]["last_success_at"]), (&"Fixed Disk labeled E:".into(), &"2026-09-20T08:00:00Z".into()));
    assert_eq!(outcome.source_fresh_at, When::read("2026-09-22T23:00:00Z", Order::Unknown).map(When::earliest_ms));
}

#[test]
fn every_language_says_the_same() {
    let japanese = "wbadmin 1.0 - バックアップ コマンド ライン ツール\n(C) Copyright Microsoft Corporation. All rights reserved.\n\n\
        バックアップ時間: 2026/03/02 3:13\nバックアップ対象: 固定ディスク ラベル付き E:\nバージョン識別子: 03/01/2026-18:13\n回復可能: ボリューム, ファイル\nスナップショット ID: {b62017f9}\n";
    let mangled = "??: 2026/03/02 3:13\n??: ??????? E:\n????: 03/01/2026-18:13\n??: ?\n";
    for input in [japanese, mangled, &japanese.replace(": ", "：")] {
        let outcome = judged(input);
        assert_eq!(
            (outcome.status, &outcome.records[0]["last_success_at"], &outcome.records[0]["generations"]),
            (Status::Ok, &"2026-03-01T18:13:00Z".into(), &1.into())
        );
    }
    assert_eq!(judged(japanese).records[0]["set"], "固定ディスク ラベル付き E:");
}

#[test]
fn a_version_that_cannot_be_told_is_no_success() {
    let outcome = judged(&ENGLISH.replace("09/22/2026-23:00", "22/13/2026-23:00"));
    assert_eq!((outcome.status, outcome.faults[0].code, &outcome.records[0]["generations"]), (Status::Unknown, "malformed", &1.into()));
    let never = judged("Backup time: 1/1/1601\nBackup target: E:\nVersion identifier: 01/01/1601-00:00\n");
    assert_eq!((never.status, never.records.len()), (Status::Unknown, 0));
}

#[test]
fn the_modules_objects_are_read() {
    let summary = |result: &str, detailed: &str| {
        format!(
            "\nNextBackupTime                  : 2026-03-16 04:30:00\nNumberOfVersions                : 101\nLastSuccessfulBackupTime        : 2026-03-15 11:16:38\n\
            LastBackupTime                  : 2026-03-15 11:16:38\nLastBackupTarget                : DISK_01\nDetailedMessage                 :\n\
            LastBackupResultHR              : {result}\nLastBackupResultDetailedHR      : {detailed}\nCurrentOperationStatus          : NoOperationInProgress\n"
        )
    };
    let fine = judged(&summary("0", "0"));
    let record = &fine.records[0];
    assert_eq!(
        (fine.status, &record["generations"], &record["last_success_at"], &record["set"]),
        (Status::Ok, &101.into(), &"2026-03-15T11:16:38".into(), &"DISK_01".into())
    );
    assert_eq!((judged(&summary("-2147024713", "0")).status, judged(&summary("0", "2155347997")).status), (Status::Bad, Status::Bad));
    let never = "NextBackupTime : 1/1/0001 12:00:00 AM\nNumberOfVersions : 0\nLastSuccessfulBackupTime : 1/1/0001 12:00:00 AM\nLastBackupTime : 1/1/0001 12:00:00 AM\nLastBackupResultHR : 0\n";
    let outcome = judged(never);
    assert_eq!((outcome.status, &outcome.records[0]["result"], &outcome.records[0]["generations"]), (Status::Unknown, &"never".into(), &Value::Null));
    let sets = "VersionId        : 03/15/2026-02:16\nBackupTime       : 2026/03/15 11:16:38\nBackupTarget     : E:\nRecoverableItems : Volumes\nBackupSetId      : 1a\n\n\
        VersionId        : 03/14/2026-02:16\nBackupTime       : 2026/03/14 11:16:38\nBackupTarget     : E:\n";
    let outcome = judged(sets);
    assert_eq!((outcome.status, &outcome.records[0]["generations"]), (Status::Ok, &2.into()));
    let job =
        |result: &str| format!("JobType : Backup\nStartTime : 2026/03/15 11:00:00\nEndTime : 2026/03/15 11:16:38\nJobState : Completed\nHResult : {result}\n");
    assert_eq!((judged(&job("0")).status, judged(&job("-2147024891")).status), (Status::Ok, Status::Bad));
    assert_eq!(judged("[]").faults[0].code, "empty");
    assert_eq!(
        judged(
            r#"{"NumberOfVersions":3,"LastBackupResultHR":0,"LastSuccessfulBackupTime":"\/Date(1773540998000)\/","LastBackupTime":"\/Date(1773540998000)\/"}"#
        )
        .status,
        Status::Ok
    );
}

#[test]
fn what_the_tool_says_of_itself_is_unknown_and_another_format_is_refused() {
    for (said, code) in [
        ("wbadmin 1.0 - Backup command-line tool\n\nERROR - No backup was found.\n", "empty"),
        ("wbadmin 1.0 - バックアップ コマンド ライン ツール\n\nエラー - バックアップが見つかりませんでした。\n", "empty"),
        ("'wbadmin' is not recognized as an internal or external command,\n", "not_found"),
        (
            "'wbadmin' は、内部コマンドまたは外部コマンド、\n操作可能なプログラムまたはバッチ ファイルとして認識されていません。\nwbadmin として認識されていません。\n",
            "not_found",
        ),
        ("wbadmin 1.0 - Backup command-line tool\n\nERROR - Access is denied. wbadmin must be run elevated.\n", "permission_denied"),
        ("Get-WBSummary : Windows Server Backup is not installed on this computer.\n", "not_found"),
        ("wbadmin 1.0\n\nERROR - The network path was not found.\n", "unreachable"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, code, 0), "{said}");
    }
    assert_eq!(parse(" "), Err(Unreadable::Empty));
    for foreign in ["a\n", "a: b\n", "PS C:\\> $Backups = Get-WBBackupSet -BackupTarget $BackupLocation\n", "{}", "[1]", "Backup time: 9/21/2026 4:00 PM\n"] {
        assert!(parse(foreign).is_err(), "{foreign}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((.{0,9}: )?[0-9]{2}/[0-9]{2}/[0-9]{4}-[0-9]{2}:[0-9]{2}\n|LastBackupResultHR : .*\n|BackupTime : .*\n|.*\n){0,6}", at: Option<i64>) {
        if let Ok(outcome) = outcome(&input, at) {
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
