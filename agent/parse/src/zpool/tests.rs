use super::*;
use crate::Status;
use proptest::prelude::*;

/// A report about `tank`, a mirror of two.
fn report(state: &str, paragraphs: &str, rows: &str, errors: &str) -> String {
    format!(
        "  pool: tank\n state: {state}\n{paragraphs}config:\n\n\tNAME        STATE     READ WRITE CKSUM\n\ttank        {state}     0     0     0\n{rows}\nerrors: {errors}\n"
    )
}

const ROWS: &str = "\t  mirror-0  ONLINE       0     0     0\n\t    sda     ONLINE       0     0     0\n\t    sdb     ONLINE       0     0     0\n";
const NONE: &str = "No known data errors";

fn judged(input: &str) -> (Status, String) {
    let outcome = outcome(input, None).unwrap();
    (outcome.status, outcome.reason)
}

#[test]
fn a_degraded_pool_is_read_whole() {
    let rows = "\t  raidz1-0                                    DEGRADED     0     0     0\n\
                \t    ata-ACME_DISK-12_SECRET-part1             ONLINE       0     0     0\n\
                \t    1234567890                                UNAVAIL      3  1.5K     7  was /dev/sdb1\n\
                \t    spare-2                                   DEGRADED     0     0     2\n\
                \t      sdc                                     FAULTED      0     0     0  too many errors\n\
                \t      sdd                                     ONLINE       0     0     0  (resilvering)\n\
                \tlogs\t\n\t  nvme0n1p1                                   ONLINE       0     0     0\n\
                \tspares\n\t  sdd                                         INUSE     currently in use\n\t  sde                                         AVAIL\n";
    let scan = "status: One or more devices has been taken offline.\n\tSufficient replicas exist.\naction: Online it.\n   see: https://example/msg/ZFS-0\n\
                \x20 scan: resilver in progress since Mon Mar  2 01:02:03 2026\n\
                \t1.02T / 2T scanned at 1G/s, 0.50T / 2T issued at 500M/s\n\
                \t250G resilvered, 25.03% done, 01:00:00 to go\n";
    let text = report("DEGRADED", scan, rows, "2 data errors, use '-v' for a list");
    let zpool = parse(&text).unwrap();
    assert_eq!(zpool.faults, []);
    let pool = &zpool.pools[0];
    assert_eq!((pool.name.as_str(), pool.health.as_deref(), pool.data_errors), ("tank", Some("DEGRADED"), Some(2)));
    let expected =
        Scan { operation: "resilver".into(), state: "running".into(), errors: None, done_milli_percent: Some(25_030), repaired_bytes: Some(250 << 30) };
    assert_eq!(pool.scans, [expected]);
    let row = |name: &str| pool.vdevs.iter().find(|vdev| vdev.name == name).unwrap();
    assert_eq!((row("1234567890").read_errors, row("1234567890").write_errors, row("1234567890").checksum_errors), (Some(3), Some(1536), Some(7)));
    assert_eq!(row("1234567890").note.as_deref(), Some("was /dev/sdb1"));
    assert_eq!((row("raidz1-0").depth, row("spare-2").depth, row("sdc").depth), (1, 2, 3));
    assert_eq!((row("nvme0n1p1").group.as_deref(), row("sde").group.as_deref(), row("sde").read_errors), (Some("logs"), Some("spares"), None));
    assert_eq!(row("ata-ACME_DISK-12_…-part1").state.as_deref(), Some("ONLINE"));
    let outcome = outcome(&text, None).unwrap();
    assert_eq!(outcome.status, Status::Bad);
    for part in ["tank is DEGRADED", "2 data errors", "1234567890 is UNAVAIL", "sdc is FAULTED", "3 read, 1536 write, 7 checksum"] {
        assert!(outcome.reason.contains(part), "{part}: {}", outcome.reason);
    }
    assert!(!serde_json::to_string(&outcome).unwrap().contains("SECRET"));
}

#[test]
fn a_pool_in_order_is_fine_whatever_was_scanned() {
    for (scan, expected) in [
        ("  scan: none requested\n", None),
        (" scrub: none requested\n", None),
        ("", None),
        ("  scan: scrub repaired 0B in 00:00:01 with 0 errors on Sun Mar  1 00:24:02 2026\n", Some(("scrub", "finished", Some(0), Some(0)))),
        ("  scan: scrub repaired 1.5M in 0h12m with 0 errors on Sun Mar  1 00:24:02 2026\n", Some(("scrub", "finished", Some(0), Some(1_572_864)))),
        ("  scan: scrub repaired 0 in 1 days 02:00:01 with 0 errors on Sun Mar  1 00:24:02 2026\n", Some(("scrub", "finished", Some(0), Some(0)))),
        (" scrub: scrub completed after 0h1m with 0 errors on Sun Mar  1 00:24:02 2026\n", Some(("scrub", "finished", Some(0), None))),
        ("  scan: scrub canceled on Sun Mar  1 00:24:02 2026\n", Some(("scrub", "canceled", None, None))),
        (
            "  scan: scrub paused since Sun Mar  1 00:24:02 2026\n\tscrub started on Sun Mar  1 00:20:00 2026\n\t0B repaired, 1.00% done\n",
            Some(("scrub", "paused", None, Some(0))),
        ),
        (
            "  scan: scrub in progress since Sun Mar  1\n\t1T scanned at 1G/s\n\t0B repaired, 12.34% done, no estimated completion time\n",
            Some(("scrub", "running", None, Some(0))),
        ),
        ("  scan: resilvered 12.0G in 00:01:02 with 0 errors on Sun Mar  1 00:24:02 2026\n", Some(("resilver", "finished", Some(0), Some(12 << 30)))),
        ("  scan: resilvered (mirror-0) 1.0G in 00:00:11 with 0 errors on Sun Mar  1\n", Some(("resilver", "finished", Some(0), Some(1 << 30)))),
    ] {
        let status = "status: Some supported features are not enabled on the pool. The pool can\n        still be used.\naction: Upgrade.\n";
        let text = report(
            "ONLINE",
            &format!("{status}{scan}checkpoint: created Sun Mar 1, consumes 1M\nremove: Removal of vdev 1 copied 2.5M in 0h0m\n    4.5K memory used\n"),
            ROWS,
            NONE,
        );
        assert_eq!(judged(&text).0, Status::Ok, "{scan}");
        let zpool = parse(&text).unwrap();
        let scans: Vec<_> = zpool.pools[0].scans.iter().map(|s| (s.operation.as_str(), s.state.as_str(), s.errors, s.repaired_bytes)).collect();
        assert_eq!((scans, zpool.faults.len()), (expected.into_iter().collect(), 0), "{scan}");
    }
}

#[test]
fn further_columns_and_notes_are_no_errors() {
    let rows = "\t  sda       ONLINE       0     0     0     3  (100% trimmed, completed at Sun Mar  1)\n\t  sdb       ONLINE       0     0     0     -  (untrimmed)\n";
    let text = report("ONLINE", "", rows, NONE).replace("READ WRITE CKSUM", "READ WRITE CKSUM  SLOW");
    assert_eq!(judged(&text).0, Status::Ok);
    assert_eq!(parse(&text).unwrap().pools[0].vdevs[1].note.as_deref(), Some("(untrimmed)"));
    let spaces = report("ONLINE", "", ROWS, NONE).replace('\t', "        ");
    assert_eq!((judged(&spaces).0, parse(&spaces).unwrap().pools[0].vdevs.len()), (Status::Ok, 3));
}

#[test]
fn what_is_wrong_with_a_pool_is_named() {
    let running = "  scan: resilver in progress since Mon\n\t1G resilvered, 3.10% done, 01:00:00 to go\n";
    let filling = ROWS.replace("sdb     ONLINE       0     0     0", "sdb     ONLINE       0     0     0  (resilvering)");
    for (text, reason) in [
        (report("ONLINE", "", &ROWS.replace("sdb     ONLINE       0", "sdb     ONLINE       4"), NONE), "tank: sdb has 4 read, 0 write, 0 checksum errors"),
        (report("SUSPENDED", "", ROWS, NONE), "tank is SUSPENDED"),
        (report("ONLINE", "", &format!("{ROWS}\tspares\n\t  sdc  UNAVAIL   cannot open\n"), NONE), "tank: sdc is UNAVAIL"),
        (report("ONLINE", "", &format!("{ROWS}\tcache\n\t  sdc  REMOVED  0 0 0\n"), NONE), "tank: sdc is REMOVED"),
        (
            report("ONLINE", "", ROWS, "Permanent errors have been detected in the following files:\n\n        /tank/a\n        tank/b:<0x1>\n"),
            "tank: 2 data errors",
        ),
        (report("ONLINE", "", ROWS, "List of errors unavailable (insufficient privileges)"), "tank: data errors"),
        (report("ONLINE", "  scan: scrub repaired 0B in 00:00:01 with 3 errors on Sun\n", ROWS, NONE), "tank: the last scrub left 3 errors"),
        (report("ONLINE", running, &filling, NONE), "tank: resilvering, 3.10 % done"),
    ] {
        assert_eq!(judged(&text), (Status::Bad, reason.to_owned()), "{text}");
    }
    let replacing = "\t  mirror-0     ONLINE  0 0 0\n\t    sda        ONLINE  0 0 0\n\t    replacing-1  ONLINE  0 0 0\n\
                \t      sdb      ONLINE  0 0 0\n\t      sdc      ONLINE  0 0 0  (resilvering)\n";
    assert_eq!(judged(&report("ONLINE", running, replacing, NONE)).0, Status::Ok);
    let beside = replacing.replace("sda        ONLINE  0 0 0", "sda        ONLINE  0 0 0  (resilvering)");
    assert_eq!(judged(&report("ONLINE", running, &beside, NONE)).0, Status::Bad);
    let files = report("ONLINE", "", ROWS, "Permanent errors have been detected in the following files:\n\n        /tank/patient-0815\n");
    assert!(!serde_json::to_string(&outcome(&files, None).unwrap()).unwrap().contains("patient"));
}

#[test]
fn several_pools_are_judged_each_and_one_cut_short_is_not_fine() {
    let two = report("ONLINE", "", ROWS, NONE) + "\n" + &report("FAULTED", "", "", NONE).replace("tank", "lake");
    assert_eq!((judged(&two), parse(&two).unwrap().pools.len()), ((Status::Bad, "lake is FAULTED".to_owned()), 2));
    let whole = report("ONLINE", "", ROWS, NONE);
    let only_what_is_wrong = report("ONLINE", "", "", NONE);
    assert_eq!(judged(&only_what_is_wrong).0, Status::Ok);
    for cut in [whole.split("errors:").next().unwrap(), whole.split("config:").next().unwrap(), "  pool: tank\n"] {
        assert_eq!(judged(cut).0, Status::Unknown, "{cut}");
    }
    assert_eq!(judged(&whole.repeat(2)).0, Status::Unknown);
}

#[test]
fn a_list_of_every_age_is_read() {
    for (text, free) in [
        (
            "NAME   SIZE  ALLOC   FREE  CKPOINT  EXPANDSZ   FRAG    CAP  DEDUP    HEALTH  ALTROOT\n\
                tank  9.50G   106K  9.50G        -         -     7%    12%  1.25x    ONLINE  -\n",
            10_200_547_328,
        ),
        (
            "NAME   SIZE  ALLOC   FREE  EXPANDSZ   FRAG    CAP  DEDUP  HEALTH  ALTROOT\ntank  9.50G   106K  9.50G         -     7%    12%  1.25x  ONLINE  /mnt\n",
            10_200_547_328,
        ),
        ("tank\t10200547328\t108544\t10200438784\t-\t-\t7\t12\t1.25\tONLINE\t-\n", 10_200_438_784),
        ("tank\t10200547328\t108544\t10200438784\t-\t7%\t12%\t1.25x\tONLINE\t-\n", 10_200_438_784),
        ("tank\tONLINE\t10200547328\t108544\t10200438784\t7%\t12\t1.25x\n", 10_200_438_784),
    ] {
        let outcome = outcome(text, None).unwrap();
        let record = &outcome.records[0];
        assert_eq!((outcome.status, outcome.faults.len(), record["name"].as_str()), (Status::Ok, 0, Some("tank")), "{text}");
        assert_eq!(
            (record["size_bytes"].as_i64(), record["allocated_bytes"].as_i64(), record["free_bytes"].as_i64()),
            (Some(10_200_547_328), Some(108_544), Some(free))
        );
        assert_eq!(
            (record["fragmentation_percent"].as_i64(), record["capacity_percent"].as_i64(), record["dedup_milli"].as_i64()),
            (Some(7), Some(12), Some(1250)),
            "{text}"
        );
    }
    let old = "NAME    SIZE  ALLOC   FREE    CAP  DEDUP  HEALTH  ALTROOT\nmy tank   1T   1G  1023G     0%  1.00x  ONLINE  -\n";
    assert_eq!(parse(old).unwrap().pools[0].name, "my tank");
    assert_eq!(outcome(old, None).unwrap().records[0]["fragmentation_percent"], serde_json::Value::Null);
}

#[test]
fn a_list_shows_what_is_wrong() {
    assert_eq!(judged("t\tUNAVAIL\t-\t-\t-\t-\t-\t-\n"), (Status::Bad, "t is UNAVAIL".to_owned()));
    assert_eq!(judged("t\t100\t100\t0\t-\t-\t7\t98\t1.00\tONLINE\t-\n").1, "t is full");
    assert_eq!(judged("NAME CAP HEALTH\nt 99% ONLINE\n").1, "t is full");
    assert_eq!(judged("NAME SIZE\nt 1G\n").0, Status::Unknown);
    assert_eq!(judged("a\tONLINE\nb\tDEGRADED\n").1, "b is DEGRADED");
    let below = "NAME  SIZE  ALLOC  FREE  CKPOINT  EXPANDSZ  FRAG  CAP  DEDUP  HEALTH  ALTROOT\n\
                tank 9G 1G 8G - - 0% 12% 1.00x ONLINE -\n  mirror-0 9G 1G 8G - - 0% 11.11% - ONLINE\n\
                \x20   sda - - - - - - - - ONLINE\n    sdb - - - - - - - - REMOVED\nlogs - - - - - - - - -\n\
                \x20 sdc 1G 0 1G - - 0% 0% - ONLINE\n  sdd 1G 0 1G\n";
    let pool = &parse(below).unwrap().pools[0];
    let rows: Vec<_> = pool.vdevs.iter().map(|v| (v.name.as_str(), v.depth, v.group.as_deref(), v.state.as_deref())).collect();
    assert_eq!(rows[2..], [("sdb", 2, None, Some("REMOVED")), ("sdc", 1, Some("logs"), Some("ONLINE")), ("sdd", 1, Some("logs"), None)]);
    assert_eq!(judged(below), (Status::Bad, "tank: sdb is REMOVED".to_owned()));
}

#[test]
fn json_is_read_with_numbers_and_with_texts() {
    let status = |state: &str, count: &str, scan: &str| {
        format!(
            r#"{{"output_version":{{"command":"zpool status"}},"pools":{{"tank":{{"name":"tank","state":"ONLINE","scan_stats":{{"function":"{scan}","state":"SCANNING","to_examine":"2T","issued":"1T","processed":"0B","errors":"0"}},
            "vdevs":{{"tank":{{"vdev_type":"root","state":"ONLINE","read_errors":"0","write_errors":"0","checksum_errors":"0","vdevs":{{"mirror-0":{{"state":"ONLINE","vdevs":{{"sda":{{"state":"{state}","read_errors":{count},"write_errors":0,"checksum_errors":0}}}}}}}}}}}},
            "l2cache":{{"sdb":{{"state":"ONLINE"}}}},"error_count":"0"}}}}}}"#
        )
    };
    let fine = parse(&status("ONLINE", "\"0\"", "SCRUB")).unwrap();
    let rows: Vec<_> = fine.pools[0].vdevs.iter().map(|v| (v.name.as_str(), v.depth, v.group.as_deref())).collect();
    assert_eq!(rows, [("mirror-0", 1, None), ("sda", 2, None), ("sdb", 1, Some("cache"))]);
    assert_eq!((fine.pools[0].data_errors, fine.pools[0].scans[0].done_milli_percent), (Some(0), Some(50_000)));
    assert_eq!(judged(&status("ONLINE", "0", "SCRUB")).0, Status::Ok);
    assert_eq!(judged(&status("ONLINE", "\"1.5K\"", "SCRUB")).1, "tank: sda has 1536 read, 0 write, 0 checksum errors");
    assert_eq!(judged(&status("FAULTED", "0", "SCRUB")).1, "tank: sda is FAULTED");
    assert_eq!(judged(&status("ONLINE", "0", "RESILVER")).1, "tank: resilvering, 50.00 % done");
    let list = r#"{"output_version":{"command":"zpool list"},"pools":{"tank":{"name":"tank","state":"ONLINE","properties":{"size":{"value":"9.5G"},"allocated":{"value":"1G"},"free":{"value":"8.5G"},"fragmentation":{"value":"7%"},"capacity":{"value":"11%"},"dedupratio":{"value":"1.00x"},"health":{"value":"DEGRADED"}}}}}"#;
    let outcome = outcome(list, None).unwrap();
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Bad, "tank is DEGRADED"));
    assert_eq!((outcome.records[0]["size_bytes"].as_i64(), outcome.records[0]["capacity_percent"].as_i64()), (Some(10_200_547_328), Some(11)));
    for bad in ["{", "{}", r#"{"output_version":{"command":"zfs list"},"datasets":{}}"#, &"{\"pools\":".repeat(5000)] {
        assert!(matches!(parse(bad), Err(Unreadable::Json { .. })));
    }
}

#[test]
fn messages_of_the_tool() {
    for fine in ["no pools available\n", "all pools are healthy\n", "pool 'tank' is healthy\n"] {
        assert_eq!(judged(fine), (Status::Ok, fine.trim().to_owned()));
    }
    for (line, code) in [
        ("cannot open 'x': no such pool", "not_found"),
        ("The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root to load them.", "not_running"),
        ("Permission denied the ZFS utilities must be run as root.", "permission_denied"),
        ("cannot open 'x': pool I/O is currently suspended", "io_error"),
        ("internal error: failed to initialize ZFS library", "not_running"),
        ("zsh: command not found: zpool", "not_found"),
        ("bash: zpool: command not found", "not_found"),
    ] {
        let outcome = outcome(line, None).unwrap();
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{line}");
    }
    let both = outcome(&("cannot open 'x': no such pool\n".to_owned() + &report("DEGRADED", "", ROWS, NONE)), None).unwrap();
    assert_eq!((both.status, both.records.len(), both.faults.len()), (Status::Bad, 1, 1));
}

#[test]
fn anything_else_is_refused_and_a_broken_line_costs_itself() {
    assert_eq!(parse(" \n"), Err(Unreadable::Empty));
    for foreign in ["tank\t1\t2\t0\t3\ntank/home\t1\t2\t0\t3\n", "NAME USED AVAIL REFER MOUNTPOINT\n", "md0 : active\n", "\u{0}"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { line: 1, .. })), "{foreign:?}");
    }
    let broken = report("ONLINE", "", &format!("{ROWS}\t    lone\n"), NONE);
    let outcome = outcome(&broken, None).unwrap();
    assert_eq!((outcome.status, outcome.faults.len(), outcome.faults[0].code), (Status::Ok, 1, "malformed"));
    assert!(outcome.faults[0].detail.starts_with("line 10:"), "{:?}", outcome.faults);
}

#[test]
fn the_kernel_says_a_pools_state_in_a_word() {
    let state = |text: &str| outcome_state(text, None).map(|outcome| (outcome.status, outcome.reason));
    assert_eq!(state("ONLINE\n").unwrap().0, Status::Ok);
    assert_eq!(state("SUSPENDED\n").unwrap(), (Status::Bad, "the pool is SUSPENDED".to_owned()));
    assert_eq!(state("\n"), Err(Unreadable::Empty));
    assert!(matches!(state("online enough\n"), Err(Unreadable::Foreign { .. })));
    assert_eq!(state("cat: state: No such file or directory\n").unwrap().0, Status::Unknown);
}

proptest! {
    #[test]
    fn any_text_is_taken(lines in prop::collection::vec(
        "( {0,3}(pool|state|scan|config|errors|status): ?(tank|ONLINE|scrub|resilver(ed)?|[0-9]{1,20}[KMGTPEZ]?|with|errors|in progress| ){0,5}|\t {0,6}[a-z0-9]{1,4}( +(ONLINE|FAULTED|[0-9.]{1,20}[KZ]?|-|é)){0,5}|NAME( (SIZE|CAP|HEALTH|FREE)){0,3}|[a-z]{1,3}(\t(ONLINE|[0-9.]{1,9}[%xKZ]?|-)){0,10}|.*)",
        0..12,
    )) {
        if let Ok(outcome) = outcome(&lines.join("\n"), None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            prop_assert!(outcome.status == Status::Ok || !outcome.reason.is_empty());
        }
    }
}
