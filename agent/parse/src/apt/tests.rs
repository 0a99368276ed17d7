use super::*;
use crate::Status;
use proptest::prelude::*;

const SIMULATION: &str = "NOTE: This is only a simulation!\n      apt-get needs root privileges for real execution.\n\
    Reading package lists...\nBuilding dependency tree...\nReading state information...\nCalculating upgrade...\n\
    The following packages have been kept back:\n  linux-image-amd64\nThe following NEW packages will be installed:\n  libnew1\n\
    The following packages will be upgraded:\n  libc6 openssl\n2 upgraded, 1 newly installed, 0 to remove and 1 not upgraded.\n\
    Inst libc6 [2.36-9] (2.36-9+deb12u9 Debian:12.9/stable [amd64])\n\
    Inst libnew1 (1.0-1 Debian:12.9/stable [amd64])\n\
    Inst openssl [3.0.1-1] (3.0.1-1~deb12u1 Debian-Security:12/stable-security [amd64]) []\n\
    Conf libc6 (2.36-9+deb12u9 Debian:12.9/stable [amd64])\nConf openssl (3.0.1-1~deb12u1 Debian-Security:12/stable-security [amd64])\n";

const LIST: &str = "WARNING: apt does not have a stable CLI interface. Use with caution in scripts.\n\nListing... Done\n\
    bash/jammy-updates,jammy-security 5.1-6ubuntu1.2 amd64 [upgradable from: 5.1-6ubuntu1]\n\
    coreutils/jammy-updates 8.32-4.1ubuntu1.3 amd64 [upgradable from: 8.32-4.1ubuntu1.2]\n\
    libc6/jammy-updates,jammy-security 2.35-0ubuntu3.13 amd64 [upgradable from: 2.35-0ubuntu3.8]\n\
    libc6/jammy-updates,jammy-security 2.35-0ubuntu3.13 i386 [upgradable from: 2.35-0ubuntu3.8]\n";

fn counts(input: &str) -> (Option<i64>, Option<i64>, Option<i64>) {
    let record = parse(input).unwrap().record;
    (record.pending, record.pending_security, record.held)
}

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn a_simulation_is_counted() {
    assert_eq!(counts(SIMULATION), (Some(3), Some(1), Some(1)));
    let outcome = judged(SIMULATION);
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Bad, "updates for security pending: 1; packages held back: 1"));
    let names: Vec<&str> = outcome.readings.iter().map(|reading| reading.name).collect();
    assert_eq!(names, ["patches_pending", "patches_pending_security", "patches_held"]);
    assert!(!serde_json::to_string(&outcome).unwrap().contains("openssl"), "packages are not named");
}

#[test]
fn inst_lines_alone_are_counted_with_the_origin_of_security_anywhere() {
    let lines = "<<<apt:sep(0)>>>\nRemv old-plugin [2:1.8-58]\nInst a1 [1] (2 Ubuntu:14.04/trusty-updates [amd64])\n\
        Inst b2 (4.19-1 Debian-Security:10/oldstable [amd64])\n\
        Inst c3 [1] (2 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64]) []\n\
        Inst d4 [1] (2 UbuntuESM:16.04/xenial-infra-security [all])\n";
    assert_eq!(counts(lines), (Some(4), Some(3), None));
    assert_eq!(parse(lines).unwrap().record.removals, Some(1));
    let outcome = judged("<<<apt:sep(0)>>>\nNo updates pending for installation\n");
    assert_eq!((outcome.status, &outcome.records[0]["pending"]), (Status::Ok, &serde_json::json!(0)));
}

#[test]
fn a_list_counts_each_package_once() {
    assert_eq!(counts(LIST), (Some(4), Some(3), None));
    assert_eq!(counts(&format!("{LIST}{LIST}")), (Some(4), Some(3), None));
    let installed =
        "Listing...\nbash/stable,now 5.2-2 amd64 [installed,automatic]\nzsh/stable 5.9-1 amd64\nvim/stable 9.1 amd64 [installed,upgradable to: 9.2]\n";
    assert_eq!(counts(installed), (Some(1), Some(0), None));
    for nothing in ["Listing...\n", "Listing... Done\n", "Listing... Done.\n", "一覧表示... 完了\n", "Auflistung…\n"] {
        let outcome = judged(nothing);
        assert_eq!((outcome.status, counts(nothing)), (Status::Ok, (Some(0), Some(0), None)), "{nothing}");
        assert_eq!(super::outcome(nothing, Some(0)).unwrap().status, Status::Unknown, "an age is asked for and not told");
    }
}

#[test]
fn every_language_has_the_same_numbers() {
    for (sums, kept) in [
        ("アップグレード: 2 個、新規インストール: 0 個、削除: 0 個、保留: 5 個。", 5),
        ("2 aktualisiert, 0 neu installiert, 0 zu entfernen und 5 nicht aktualisiert.", 5),
        ("2 mis à jour, 0 nouvellement installés, 0 à enlever et 5 non mis à jour.", 5),
        ("アップグレード: 2 個、新規インストール: 0 個、再インストール: 1 個、削除: 0 個、保留: 5 個。", 5),
        ("  Upgrading: 2, Installing: 0, Removing: 0, Not Upgrading: 5", 5),
    ] {
        let output = format!(
            "Paketlisten werden gelesen… Fertig\n{sums}\nInst a1 [1] (2 Debian:12/stable [amd64])\nInst b2 [1] (2 Debian-Security:12/stable-security [amd64])\n"
        );
        assert_eq!(counts(&output), (Some(2), Some(1), Some(kept)), "{sums}");
    }
    assert_eq!(counts("一覧表示...\nbash/stable-security 5.2-2 amd64 [5.2-1 からアップグレード可]\n"), (Some(1), Some(1), None));
}

#[test]
fn a_debian_whose_list_does_not_name_security_is_not_called_secure() {
    let ten = "Listing...\nlibc6/oldoldstable 2.28-10+deb10u4 amd64 [upgradable from: 2.28-10+deb10u3]\n";
    assert_eq!(counts(ten), (Some(1), None, None));
    assert_eq!(judged(ten).status, Status::Unknown);
    let named = "Listing...\nlibc6/buster/updates 2.28-10+deb10u4 amd64 [upgradable from: 2.28-10+deb10u3]\n";
    assert_eq!((counts(named), judged(named).status), ((Some(1), Some(1), None), Status::Bad));
    let twelve = "Listing...\nlibc6/oldstable 2.36-9+deb12u13 amd64 [upgradable from: 2.36-9+deb12u9]\n";
    assert_eq!((counts(twelve), judged(twelve).status), ((Some(1), Some(0), None), Status::Ok));
}

#[test]
fn an_output_that_was_cut_does_not_count_as_whole() {
    let cut = &SIMULATION[..SIMULATION.find("Inst libnew1").unwrap()];
    assert_eq!((counts(cut), judged(cut).status), ((Some(3), None, Some(1)), Status::Unknown));
    let begun = "Reading package lists...\nBuilding dependency tree...\n";
    assert_eq!((counts(begun), judged(begun).status), ((None, None, None), Status::Unknown));
}

#[test]
fn updates_that_need_a_contract_are_not_fine() {
    let pro = "Reading package lists...\nGet more security updates through Ubuntu Pro with 'esm-apps' enabled:\n  libavcodec58 libavutil56\n  libx1\n\
        Learn more about Ubuntu Pro at https://ubuntu.com/pro\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n";
    let outcome = judged(pro);
    assert_eq!((outcome.status, &outcome.records[0]["withheld_security"]), (Status::Bad, &serde_json::json!(3)), "{}", outcome.reason);
}

#[test]
fn what_apt_says_about_itself_is_unknown() {
    for (said, code) in [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend - open (11: Resource temporarily unavailable)\n", "locked"),
        ("E: Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)\n", "permission_denied"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n", "io_error"),
        ("bash: apt-get: command not found\n", "not_found"),
    ] {
        let outcome = judged(said);
        assert_eq!((outcome.status, outcome.faults[0].code, outcome.records.len()), (Status::Unknown, code, 0), "{said}");
    }
    for (warning, code) in [
        ("W: Some index files failed to download. They have been ignored, or old ones used instead.", "unreachable"),
        ("W: GPG error: http://a.test stable InRelease: The following signatures couldn't be verified: NO_PUBKEY 0123", "wrong_key"),
        ("E: Release file for http://a.test/dists/x/InRelease is expired (invalid since 5d 3h).", "stale"),
        ("Err:1 http://a.test stable InRelease", "unreachable"),
    ] {
        let outcome = judged(&format!("{warning}\nListing...\n"));
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{warning}");
    }
}

#[test]
fn another_format_is_refused() {
    assert_eq!(parse(" \n"), Err(Unreadable::Empty));
    for foreign in ["Package: systemd\nVersion: 1\n", "ii  bash  5.2-2  amd64  GNU shell\n", "a/b c d\n", "{}", "Inst\n", "1, 2, 3, 4\n", "bash\n"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((Inst |Remv |E: |W: |Listing...|  )?[a-z0-9/,: ]{0,30}(\\(.*\\)|\\[.*\\]|[0-9]{1,20}|、)?.*\n){0,8}.*") {
        if let Ok(outcome) = outcome(&input, Some(1_795_824_000_000)) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value >= 0.0));
        }
    }
}
