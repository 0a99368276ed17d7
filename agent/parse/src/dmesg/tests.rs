use super::*;
use crate::Status;
use proptest::prelude::*;

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

/// The classes counted, with how often.
fn counted(input: &str) -> Vec<(&'static str, i64)> {
    parse(input).unwrap().counts.iter().filter(|(_, count)| **count > 0).map(|(class, count)| (class.word(), *count)).collect()
}

#[test]
fn every_form_of_time_and_level_is_read() {
    let text = "blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0";
    for before in [
        "[    1.234567] ",
        "[12345.678901] ",
        "[Mon Feb  7 14:36:01 2026] ",
        "[Feb 7 14:36] ",
        "[Feb07 14:36] ",
        "[  +0.000007] ",
        "[    1.234567 <    0.000123>] ",
        "[    1.234567][  T123] ",
        "<3>[    1.234567] ",
        "<3>",
        "kern  :err   : [    1.234567] ",
        "kern  :err   : [Mon Feb  7 14:36:01 2026] ",
        "2026-02-07T14:36:01,123456+09:00 ",
        "Feb  7 14:36:01 host kernel: [    1.234567] ",
        "2026-02-07T14:36:01.123456+09:00 host kernel: ",
        "",
    ] {
        assert_eq!(counted(&format!("{before}{text}\n")), [("io_error", 1)], "{before}");
    }
    let json =
        "{\"dmesg\": [{\"pri\": 3, \"time\": 1.5, \"msg\": \"I/O error, dev sdb, sector 1 op 0x0:(READ)\"}, {\"fac\": \"daemon\", \"msg\": \"BUG: no\"}]}";
    assert_eq!(counted(json), [("io_error", 1)]);
}

#[test]
fn every_class_is_known_by_the_kernels_words() {
    for (class, text) in [
        ("io_error", "blk_update_request: critical medium error, dev sdc, sector 5"),
        ("io_error", "critical target error, dev nvme0n1, sector 5 op 0x3:(DISCARD)"),
        ("io_error", "end_request: I/O error, dev sda, sector 5"),
        ("io_error", "print_req_error: I/O error, dev sda, sector 5"),
        ("io_error", "Buffer I/O error on dev sda1, logical block 3, async page read"),
        ("io_error", "Buffer I/O error on device sda1, logical block 3"),
        ("io_error", "ata1.00: exception Emask 0x0 SAct 0x1 SErr 0x0 action 0x0"),
        ("io_error", "nvme nvme0: I/O 7 (I/O Cmd) QID 4 timeout, aborting"),
        ("io_error", "nvme0: I/O 7 QID 4 timeout, aborting"),
        ("io_error", "sd 0:0:0:0: [sda] tag#3 Sense Key : Medium Error [current]"),
        ("filesystem_error", "EXT4-fs error (device sda1): ext4_lookup:1594: inode #2: comm ls: deleted inode referenced: 5"),
        ("filesystem_error", "EXT4-fs (sda1): Remounting filesystem read-only"),
        ("filesystem_error", "XFS (sda1): Corruption of in-memory data detected.  Shutting down filesystem"),
        ("filesystem_error", "XFS (sda1): Metadata CRC error detected at xfs_agf_read_verify"),
        ("filesystem_error", "BTRFS error (device sda1): bad tree block start"),
        ("filesystem_error", "Aborting journal on device sda1-8."),
        ("raid_failure", "md/raid1:md0: Disk failure on sdb1, disabling device."),
        ("hung_task", "INFO: task kworker/0:1:17 blocked for more than 120 seconds."),
        ("lockup", "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [swapper:0]"),
        ("lockup", "rcu: INFO: rcu_sched self-detected stall on CPU"),
        ("kernel_fault", "BUG: unable to handle page fault for address: 0000"),
        ("machine_check", "mce: [Hardware Error]: Machine check events logged"),
        ("machine_check", "mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 5: be00000000800400"),
        ("machine_check", "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1"),
        ("memory_corrected", "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0"),
        ("memory_uncorrected", "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0"),
        ("pcie_error", "pcieport 0000:00:1c.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer"),
        ("thermal", "mce: CPU0: Core temperature above threshold, cpu clock throttled (total events = 1)"),
        ("thermal", "CPU3: Package temperature above threshold, cpu clock throttled"),
        ("oom", "Out of memory: Killed process 123 (java) total-vm:1kB"),
        ("oom", "Memory cgroup out of memory: Killed process 5 (x)"),
        ("segfault", "viewer[123]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so"),
    ] {
        let outcome = judged(&format!("[    9.000000] {text}"));
        let expected = if ["memory_corrected", "segfault"].contains(&class) { Status::Ok } else { Status::Bad };
        assert_eq!((counted(&format!("[ 9.0] {text}")), outcome.status), (vec![(class, 1)], expected), "{text}");
        assert!(!outcome.reason.contains("sd") && outcome.reason.contains(&class.replace('_', " ")), "{}", outcome.reason);
    }
}

#[test]
fn what_is_usual_does_not_count() {
    for text in [
        "ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND (20210331/psargs-330)",
        "ACPI Error: Aborting method \\_SB.PCI0 due to previous error (AE_NOT_FOUND)",
        "[Firmware Bug]: TSC_DEADLINE disabled due to Errata",
        "tmpfs: Bad mount option huge",
        "tmpfs: Unknown parameter 'huge'",
        "shpchp 0000:01:00.0: pci_hp_register failed with error -16",
        "systemd[1]: foo.service: I/O error, dev sda, sector 5",
        "myprog: fatal error in BUG: xyz",
        "usb 1-1: device descriptor read/64, error -71",
        "mce: CPU0 supports 20 MCE banks",
        "blk_update_request: I/O error, dev fd0, sector 0",
        "Buffer I/O error on dev sr0, logical block 0, async page read",
        "EDAC MC0: Giving out device to module skx_edac controller Skylake",
        "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro",
        "CPU0: Core temperature/speed normal",
        "XFS (sda1): Ending clean mount",
        "BTRFS info (device sda1): bdev /dev/sda1 errs: wr 0, rd 0, flush 0, corrupt 0, gen 0",
        "RAS: Correctable Errors collector initialized.",
    ] {
        let outcome = judged(&format!("[    9.000000] {text}"));
        assert_eq!((outcome.status, counted(&format!("[ 9.0] {text}"))), (Status::Ok, vec![]), "{text}");
    }
    assert_eq!(counted("daemon:err   : [ 9.0] I/O error, dev sda, sector 5\n<30>[ 9.0] BUG: x"), []);
}

#[test]
fn a_link_flaps_only_after_it_was_up() {
    for (down, up) in [
        ("e1000e: eth0 NIC Link is Down", "e1000e: eth0 NIC Link is Up 1000 Mbps Full Duplex, Flow Control: None"),
        ("igb 0000:01:00.0 eno1: igb: eno1 NIC Link is Down", "igb 0000:01:00.0 eno1: igb: eno1 NIC Link is Up 1000 Mbps Full Duplex"),
        ("tg3 0000:02:00.0 eth0: Link is down", "tg3 0000:02:00.0 eth0: Link is up at 1000 Mbps, full duplex"),
        ("r8169 0000:03:00.0 eth0: Link is Down", "r8169 0000:03:00.0 eth0: Link is Up - 1Gbps/Full - flow control off"),
        ("bnx2x 0000:04:00.0: eth0: NIC Link is Down", "bnx2x 0000:04:00.0: eth0: NIC Link is Up, 10000 Mbps full duplex"),
        ("r8169: eth0: link down", "r8169: eth0: link up"),
    ] {
        let flaps = |states: &[&str]| counted(&states.iter().map(|state| format!("[Mon Feb  7 14:36:01 2026] {state}\n")).collect::<String>());
        assert_eq!(flaps(&[down, up]), [], "{down}");
        assert_eq!(flaps(&[down, up, down, up]), [("link_flap", 1)], "{down}");
        assert_eq!(judged(&format!("[ 9.0] {up}\n[ 9.1] {down}\n")).status, Status::Ok);
        assert_eq!(judged(&format!("[ 9.0] {up}\n[ 9.1] {down}\n").repeat(3)).status, Status::Bad);
        assert_eq!(counted(&format!("[ 90000.5] {down}\n")), [("link_flap", 1)]);
    }
    assert_eq!(counted("[ 400.0] ata1: SATA link down (SStatus 0 SControl 300)\n[ 401.0] IPv6: ADDRCONF(NETDEV_UP): eth0: link is not ready\n"), []);
}

#[test]
fn one_want_of_memory_is_one() {
    let event = "[ 9.0] java invoked oom-killer: gfp_mask=0x1, order=0, oom_score_adj=0\n[ 9.1] oom-kill:constraint=CONSTRAINT_NONE\n\
        [ 9.2] Out of memory: Killed process 5 (java)\n";
    assert_eq!(counted(event), [("oom", 1)]);
    assert_eq!(counted(&event.repeat(2)), [("oom", 2)]);
}

#[test]
fn what_the_tool_says_about_itself_is_unknown() {
    let denied = judged("dmesg: read kernel buffer failed: Operation not permitted\n");
    assert_eq!((denied.status, denied.faults[0].code), (Status::Unknown, "permission_denied"));
}

#[test]
fn another_format_is_refused() {
    assert_eq!(parse("\n\n"), Err(Unreadable::Empty));
    for foreign in ["Lorem ipsum\ndolor sit error amet\n", "MemTotal: 1 kB\n", "{\"a\": 1}", "[1, 2]"] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    assert!(matches!(parse("{broken"), Err(Unreadable::Json { .. })));
    assert!(parse(&format!("{{\"dmesg\":{}", "[".repeat(100_000))).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "((<[0-9]{0,3}>|kern :err :)?\\[ {0,3}[0-9.+T<>]{0,20}\\] (EDAC MC|eth0: Link is |\
        sd |[a-z]*\\[[0-9]*\\]: |.)(Up|down| CE | error, dev |.*)\n){0,6}.*") {
        if let Ok(outcome) = outcome(&input, None) {
            prop_assert!(outcome.readings.len() == Class::ALL.len() || !outcome.faults.is_empty());
        }
    }
}
