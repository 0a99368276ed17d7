use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

const JOBS: &str = "<<<veeam_jobs:sep(9)>>>\nRIS_daily\tBackup\tStopped\tSuccess\t27.10.2013 22:00:17\t27.10.2013 22:06:12\n\
    PACS\tBackup\tStopped\tFailed\t26.10.2013 23:13:13\t27.10.2013 00:51:17\nNIGHT\tReplica\tStopped\tSuccess\t27.10.2013 44:00:01\t27.10.2013 44:44:26\n\
    NOW\tBackup\tWorking\tNone\t27.10.2013 23:00:00\t01.01.1900 00:00:00\nNEW\tBackup\tStopped\tNone\t\t\n";

#[test]
fn jobs_of_a_section_are_sets() {
    let outcome = judged(JOBS);
    assert_eq!((outcome.status, outcome.records.len()), (Status::Bad, 5));
    let of = |place: usize, key: &str| outcome.records[place][key].clone();
    assert_eq!((of(0, "set"), of(0, "result"), of(0, "last_success_at")), ("RIS_daily".into(), "success".into(), "2013-10-27T22:06:12".into()));
    assert_eq!((of(1, "result"), of(1, "last_success_at"), of(1, "last_run_at")), ("failed".into(), Value::Null, "2013-10-27T00:51:17".into()));
    assert_eq!((of(2, "result"), of(2, "last_success_at")), ("success".into(), Value::Null));
    assert_eq!((of(3, "result"), of(4, "result")), ("running".into(), "never".into()));
    assert_eq!(outcome.faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["malformed"]);
    assert!(outcome.reason.starts_with("set 2: the last run failed"), "{}", outcome.reason);
    assert!(outcome.records.iter().all(|record| record["generations"].is_null()));
}

#[test]
fn other_sections_are_read_by_their_columns() {
    let o365 = judged("<<<veeam_o365jobs:sep(9)>>>\n0123\tMail of the clinic\tSuccess\t29.05.2020 16:45:46\t29.05.2020 16:47:55\t128.75\t191\t142\n");
    assert_eq!(
        (o365.status, &o365.records[0]["set"], &o365.records[0]["last_success_at"]),
        (Status::Ok, &"Mail of the clinic".into(), &"2020-05-29T16:47:55".into())
    );
    let tape = judged("<<<veeam_tapejobs:sep(124)>>>\nJobName|JobID|LastResult|LastState\nTape 1|0a|Success|Stopped\nTape 2|0b|Warning|Stopped\n");
    assert_eq!((tape.status, &tape.records[0]["result"], &tape.records[1]["result"]), (Status::Bad, &"success".into(), &"warning".into()));
    let cdp = judged("<<<veeam_cdp_jobs:sep(124)>>>\nA|1632216559.73749|Running\nB|null|Failed\nC|null|Disabled\n");
    assert_eq!(cdp.records.iter().map(|record| record["result"].as_str().unwrap()).collect::<Vec<_>>(), ["success", "failed", "never"]);
    let client = judged(
        "<<<<pc1>>>>\n<<<veeam_client:sep(9)>>>\nStatus\tSuccess\nJobName\tRIS\nTotalSizeByte\t53\nTransferedSizeByte\t7\nStartTime\t27.10.2013 22:00:17\n\
        StopTime\t27.10.2013 22:06:12\nDisplayName\tpc1\n<<<<>>>>\n",
    );
    let record = &client.records[0];
    assert_eq!((client.status, &record["set"], &record["size_bytes"], &record["added_bytes"]), (Status::Ok, &"RIS: pc1".into(), &53.into(), &7.into()));
    assert_eq!(judged("<<<veeam_jobs:sep(9)>>>\n").faults[0].code, "empty");
}

#[test]
fn sessions_of_one_job_are_one_set_and_the_last_decides() {
    let csv = "\"JobName\",\"Result\",\"State\",\"CreationTime\",\"EndTime\"\n\"A, nightly\",\"Success\",\"Stopped\",\"10/26/2026 1:00:00 AM\",\"10/26/2026 1:30:00 AM\"\n\
        \"A, nightly\",\"Failed\",\"Stopped\",\"10/27/2026 1:00:00 AM\",\"10/27/2026 1:30:00 AM\"\n";
    let outcome = judged(csv);
    let record = &outcome.records[0];
    assert_eq!((outcome.status, outcome.records.len(), &record["set"]), (Status::Bad, 1, &"A, nightly".into()));
    assert_eq!(
        (&record["result"], &record["last_success_at"], &record["last_run_at"]),
        (&"failed".into(), &"2026-10-26T01:30:00".into(), &"2026-10-27T01:30:00".into())
    );
    let fine = judged(&csv.replace("Failed", "Success").replace(',', ";").replace("A; nightly", "A, nightly"));
    assert_eq!((fine.status, &fine.records[0]["last_success_at"]), (Status::Ok, &"2026-10-27T01:30:00".into()));
    let list =
        judged("JobName      : A\nResult       : Success\nState        : Stopped\nCreationTime : 2026/10/26 1:00:00\nEndTime      : 2026/10/26 1:30:00\n");
    assert_eq!((list.status, &list.records[0]["last_success_at"]), (Status::Ok, &"2026-10-26T01:30:00".into()));
    let agent = "Job name      Type    ID      State    Created at        Started at        Finished at\nSystem one    Backup  {db76}  Success  2026-10-26 01:00  2026-10-26 01:00  2026-10-26 01:30\nTotal amount: 1\n";
    assert_eq!((&judged(agent).records[0]["set"], &judged(agent).records[0]["last_success_at"]), (&"System one".into(), &"2026-10-26T01:30:00".into()));
}

#[test]
fn answers_of_the_interfaces_are_read() {
    let sessions = r#"{"data":[{"id":"1","name":"A","state":"Stopped","creationTime":"2026-10-26T01:00:00+09:00","endTime":"2026-10-26T01:30:00+09:00","result":{"result":"Success","message":"by yamada"}}],"pagination":{"total":1}}"#;
    let outcome = judged(sessions);
    assert_eq!((outcome.status, &outcome.records[0]["last_success_at"]), (Status::Ok, &"2026-10-25T16:30:00Z".into()));
    assert!(!serde_json::to_string(&outcome).unwrap().contains("yamada"));
    let states = r#"{"data":[{"name":"A","status":"inactive","lastRun":"2026-10-26T01:00:00Z","lastResult":"Success"},{"name":"B","status":"disabled","lastResult":"None"}]}"#;
    assert_eq!((judged(states).status, &judged(states).records[0]["last_success_at"]), (Status::Unknown, &"2026-10-26T01:00:00Z".into()));
    let module = r#"[{"JobName":"A","Result":0,"State":-1,"CreationTime":"\/Date(1382911217000)\/","EndTime":"\/Date(1382911218000)\/"}]"#;
    assert_eq!((judged(module).status, &judged(module).records[0]["last_success_at"]), (Status::Ok, &"2013-10-27T22:00:18Z".into()));
    let manager = r#"{"BackupJobSessions":[{"Name":"A@2026-10-26 01:00:00","State":"Stopped","Result":"Warning","EndTimeUTC":"2026-10-26T01:30:00"}]}"#;
    assert_eq!(
        (judged(manager).status, &judged(manager).records[0]["set"], &judged(manager).records[0]["last_run_at"]),
        (Status::Bad, &"A".into(), &"2026-10-26T01:30:00Z".into())
    );
    assert_eq!(judged(r#"{"data":[]}"#).faults[0].code, "empty");
    assert_eq!(judged(r#"{"errorCode":"AccessDenied","message":"yamada"}"#).faults[0].code, "permission_denied");
}

#[test]
fn statistics_are_judged_by_their_counts() {
    let statistics = |failed: i64, good: i64, warned: i64| {
        format!(
            r#"{{"job_statistics":{{"FailedJobRuns":{failed},"SuccessfulJobRuns":{good},"TotalJobRuns":12,"WarningsJobRuns":{warned},"ScheduledJobs":8,"RunningJobs":0,"MaxDurationBackupJobName":"yamada"}},"vms_overview":{{"restorePoints":38,"sourceVmsSize":29,"successBackupPercents":100}}}}"#
        )
    };
    let fine = judged(&statistics(0, 7, 0));
    assert_eq!((fine.status, &fine.records[0]["generations"], &fine.records[0]["size_bytes"]), (Status::Ok, &38.into(), &29.into()));
    assert!(!serde_json::to_string(&fine).unwrap().contains("yamada"));
    assert_eq!(
        (judged(&statistics(1, 7, 0)).status, judged(&statistics(0, 7, 2)).status, judged(&statistics(0, 0, 0)).status),
        (Status::Bad, Status::Bad, Status::Unknown)
    );
    assert_eq!(judged(&statistics(0, 7, 0).replace("100", "97")).status, Status::Bad);
    assert_eq!(judged(&statistics(0, 7, 0).replace("\"ScheduledJobs\":8", "\"ScheduledJobs\":0")).status, Status::Unknown);
    assert_eq!(outcome(&statistics(0, 7, 0), Some(1_795_132_800_000)).unwrap().status, Status::Unknown);
}

#[test]
fn what_cannot_look_is_unknown_and_another_format_is_refused() {
    for (said, code) in [
        ("Get-VBRJob : The term 'Get-VBRJob' is not recognized as the name of a cmdlet, function, script file, or operable program.\n", "not_found"),
        ("Connect-VBRServer : Failed to connect to Veeam Backup & Replication server: pc1\n", "unreachable"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        assert!(!outcome.reason.contains("pc1"));
    }
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    for foreign in ["a\n", "{}", "[1]", "{\"a\":1}", "<<<df>>>\n/ 1 2\n", "Name : x\nSize : 4\n", "a,b\n1,2\n", "[{\"time\":\"2026-10-26T01:00:00Z\"}]"] {
        assert!(parse(foreign).is_err(), "{foreign}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken(
        input in "(<<<veeam_(jobs|client|tapejobs|cdp_jobs):sep\\([0-9]{1,3}\\)>>>\n|JobName,Result,EndTime\n|\\{\"data\":\\[)?(.{0,9}\t(Success|Failed|.)\t.*\n|.*\n){0,6}",
        at: Option<i64>
    ) {
        if let Ok(outcome) = outcome(&input, at) {
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
