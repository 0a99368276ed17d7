use super::*;
use crate::Status;
use mimamori_shared::time;
use proptest::prelude::*;

const CHECK: &str = "Last metadata expiration check: 0:10:00 ago on Mon 16 Jun 2025 12:32:14 AM UTC.\n\n\
    kernel.x86_64                     5.14.0-503.el9          baseos\nopenssl-libs.x86_64               1:3.0.7-27.el9          baseos\n\
    python3-some-very-long-package-name-that-wraps.noarch\n                                  1.2.3-4.el9             appstream\n\
    Security: kernel-core-5.14.0-427.el9.x86_64 is an installed security update\n\
    Security: kernel-core-5.14.0-362.el9.x86_64 is the currently running version\n\
    Obsoleting Packages\ngrub2-tools.x86_64                1:2.06-80.el9           baseos\n    grub2-tools.x86_64            1:2.06-77.el9           @baseos\n";

fn counts(input: &str) -> (Option<i64>, Option<i64>) {
    let record = parse(input).unwrap().record;
    (record.pending, record.pending_security)
}

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn a_list_of_packages_is_counted_without_what_it_replaces() {
    let updates = parse(CHECK).unwrap();
    assert_eq!((counts(CHECK), updates.record.reboot_required), ((Some(3), None), Some(true)));
    assert_eq!(updates.record.metadata_fresh_at.unwrap().shown(), "2025-06-16T00:32:14Z");
    assert_eq!(updates.observed_at, Some(time::parse("2025-06-16T00:42:14Z").unwrap()));
    let outcome = judged(CHECK);
    assert_eq!(outcome.status, Status::Bad, "{}", outcome.reason);
    assert_eq!(outcome.source_fresh_at, Some(time::parse("2025-06-16T00:32:14Z").unwrap()));
    assert!(!serde_json::to_string(&outcome).unwrap().contains("openssl"));
    let pending = judged("Available Upgrades\nbash.x86_64   5.1.8-9.el9   baseos\n");
    assert_eq!((pending.status, counts("Available upgrades\nbash.x86_64   5.1.8-9.el9   baseos\n")), (Status::Unknown, (Some(1), None)));
}

#[test]
fn advisories_tell_what_is_for_security_once_for_each_package() {
    let dnf4 = "RHSA-2026:1 Important/Sec. kernel-5.14.0-1.el9.x86_64\nRHSA-2026:2 Moderate/Sec.  kernel-5.14.0-2.el9.x86_64\n\
        RHBA-2026:3 bugfix         bash-5.1.8-9.el9.x86_64\nFEDORA-2026-a unknown tzdata-2026a-1.fc40.noarch\ni RHSA-2025:9 Low/Sec. zlib-1.2-3.el9.x86_64\n";
    assert_eq!(counts(dnf4), (Some(3), Some(1)));
    let yum = "Loaded plugins: fastestmirror\n  RHSA-2013:0550 Moderate/Sec.  bind-utils-32:9.8.2-0.17.el6.x86_64\nupdateinfo list done\n";
    assert_eq!(counts(yum), (Some(1), Some(1)));
    let dnf5 = "Updating and loading repositories:\n Fedora 42 - x86_64   100% |   7.7 MiB/s |  35.4 MiB |  00m05s\nRepositories loaded.\n\
        Name         Type     Severity                 Package              Issued\n\
        FEDORA-2026-1 security Important vim-data-2:9.2-1.fc42.noarch 2026-04-08 07:44:03\n\
        FEDORA-2026-2 security None xz-1:5.8-2.fc42.x86_64 2026-04-01 07:44:03\nFEDORA-2026-3 bugfix   None libblkid-2.4-1.fc42.x86_64 2025-01-17 01:25:27\n";
    assert_eq!(counts(dnf5), (Some(3), Some(2)));
    assert_eq!(parse(dnf5).unwrap().record.oldest_security_at.unwrap().shown(), "2026-04-01T07:44:03");
    assert_eq!(judged(dnf5).status, Status::Bad);
    assert_eq!(judged("RHBA-2026:3 bugfix bash-5.1.8-9.el9.x86_64\n").status, Status::Ok);
}

#[test]
fn nothing_listed_is_fine_only_where_the_repositories_were_read_and_are_fresh() {
    let read = "BaseOS    1.6 MB/s | 734 kB     00:00    \n";
    assert_eq!((counts(read), judged(read).status), ((Some(0), Some(0)), Status::Ok));
    let unregistered = format!("Unable to read consumer identity\n\nThis system is not registered with an entitlement server.\n\n{read}");
    let outcome = judged(&unregistered);
    assert_eq!((outcome.status, outcome.faults[0].code, &outcome.records[0]["pending"]), (Status::Unknown, "not_registered", &serde_json::Value::Null));
    let old = "Last metadata expiration check: 1 day, 2:03:04 ago on Wed Jul  6 18:01:05 2022.\n";
    assert_eq!(judged(old).status, Status::Ok);
    let outcome = super::outcome(old, Some(time::parse("2022-08-06T00:00:00Z").unwrap())).unwrap();
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Unknown, "the list of updates is 29 days old"));
    assert_eq!(super::outcome(read, Some(0)).unwrap().status, Status::Unknown, "an age is asked for and not told");
}

#[test]
fn yums_own_counts_are_taken() {
    assert_eq!(counts("Loaded plugins: security\nNo packages needed for security; 17 packages available\n"), (Some(17), Some(0)));
    let some = "6 package(s) needed for security, out of 17 available\n\nbash.x86_64  4.2.46-35.el7_9  updates\n";
    assert_eq!((counts(some), judged(some).status), ((Some(17), Some(6)), Status::Bad));
}

#[test]
fn japanese_is_read() {
    let ja = "メタデータの期限切れの最終確認: 3:20:56 前の 2024年04月06日 11時06分42秒 に実施しました。\n利用可能なアップグレード\nbash.x86_64  5.1.8-9.el9  baseos\n";
    assert_eq!((counts(ja), parse(ja).unwrap().record.metadata_fresh_at.unwrap().shown().as_str()), ((Some(1), None), "2024-04-06T11:06:42"));
    // Without a zone the earliest moment it can have been stands for its freshness.
    assert_eq!(judged(ja).source_fresh_at, Some(time::parse("2024-04-05T21:06:42Z").unwrap()));
}

#[test]
fn what_the_tool_says_about_itself_is_unknown() {
    for (said, code) in [
        ("Error: Failed to download metadata for repo 'baseos': Cannot prepare internal mirrorlist: No URLs in mirrorlist\n", "unreachable"),
        ("Error: Failed to download metadata for repo 'x': repomd.xml GPG signature verification error: Bad GPG signature\n", "wrong_key"),
        ("Error: There are no enabled repositories in \"/etc/yum.repos.d\".\n", "not_found"),
        (
            "Existing lock /var/run/yum.pid: another copy is running as pid 1.\nAnother app is currently holding the yum lock; waiting for it to exit...\n",
            "locked",
        ),
        ("Error: This command has to be run with superuser privileges (under the root user on most systems).\n", "permission_denied"),
        ("Cache-only enabled but no cache for repository \"updates\"\n", "stale"),
        ("bash: dnf: command not found\n", "not_found"),
        ("Error: something new\n", "io_error"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        assert!(outcome.records.iter().all(|record| record["pending"].is_null()), "{said}");
    }
    let partly = judged("Ignoring repositories: epel\nRHBA-2026:3 bugfix bash-5.1.8-9.el9.x86_64\n");
    assert_eq!((partly.status, partly.faults[0].code), (Status::Unknown, "unreachable"));
}

#[test]
fn another_format_is_refused() {
    assert_eq!(parse("\n"), Err(Unreadable::Empty));
    let installed = "Installed Packages\nbash.x86_64  5.1.8-9.el9  @System\nzlib.x86_64 1.2.11-40.el9 8fefcd\n";
    for foreign in [installed, "MemTotal: 1 kB\n", "a b c\n", "{}", "bash/stable 5.2 amd64 [upgradable from: 5.1]\n"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    let later = "Updating Subscription Management repositories.\nInstalled Packages\nbash.x86_64  5.1.8-9.el9  @System\n";
    assert!(matches!(parse(later), Err(Unreadable::Foreign { .. })));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((RHSA-1 |i |Last metadata expiration check: [0-9:]{0,30}|Error: )?(security |bugfix |[a-z.]{0,9}\\.x86_64 )?.*\n){0,8}.*") {
        if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value >= 0.0));
        }
    }
}
