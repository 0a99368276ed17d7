//! The network as a whole, from `proc/net` and, where connections are tracked, `proc/sys/net/netfilter`.

use super::{Sources, Take, text};
use crate::host::Host;
use mimamori_shared::fields::{Readings, Tcp};
use mimamori_shared::payload::{Fault, FaultCode};
use std::net::ToSocketAddrs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const BYTES_MAX: u64 = 64 * 1024;
/// A router of a hospital may hold thousands of routes.
const ROUTES_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest wait for a name server.
const LOOKUP_MAX: Duration = Duration::from_secs(3);
/// `RTF_UP` (linux/route.h).
const UP: i64 = 1;
/// `RTF_REJECT`: a default route that leads nowhere.
const REJECT: i64 = 0x200;

pub(super) fn read(Sources { host, resolve, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("tcp", faults);
    let mut tcp = Tcp::default();
    if let Some(text) = take.value("segments_sent", host.read("proc/net/snmp", BYTES_MAX)) {
        tcp.segments_sent = take.parsed("segments_sent", column(&text, "Tcp:", "OutSegs"), text::whole);
        tcp.retransmits = take.parsed("retransmits", column(&text, "Tcp:", "RetransSegs"), text::whole);
        tcp.established = take.parsed("established", column(&text, "Tcp:", "CurrEstab"), text::whole);
    }
    if let Some(text) = take.value("listen_drops", host.read("proc/net/netstat", BYTES_MAX)) {
        tcp.listen_drops = take.parsed("listen_drops", column(&text, "TcpExt:", "ListenDrops"), text::whole);
    }
    if let Some(text) = take.value("time_wait", host.read("proc/net/sockstat", BYTES_MAX)) {
        tcp.time_wait = take.parsed("time_wait", sockets(&text, "tw"), text::whole);
    }
    // A machine without connection tracking lacks nothing.
    let tracked = |file| host.read(&format!("proc/sys/net/netfilter/{file}"), BYTES_MAX).ok();
    if let (Some(count), Some(max)) = (tracked("nf_conntrack_count"), tracked("nf_conntrack_max")) {
        tcp.tracked = take.parsed("tracked", Some(count.trim_end()), text::whole);
        tcp.tracked_max = take.parsed("tracked_max", Some(max.trim_end()), text::whole);
    }
    tcp.default_route = take.value("default_route", default_route(host)).map(i64::from);
    tcp.dns_us = resolve.and_then(|name| take.value("dns_us", lookup_us(name)));
    readings.tcp = (!tcp.is_empty()).then_some(tcp);
}

/// How long the machine's resolver takes for a name, in microseconds. It may block for as long as its own timeouts, half
/// a minute: it is left behind then, and the rest of the section does not wait.
fn lookup_us(name: &str) -> Result<i64, FaultCode> {
    let (name, (give, answer)) = (name.to_owned(), mpsc::channel());
    let begun = Instant::now();
    // The port takes no part in it. Nobody listens any more when it took too long.
    let look = move || give.send((name.as_str(), 443).to_socket_addrs().is_ok_and(|mut found| found.next().is_some())).unwrap_or_default();
    std::thread::Builder::new().stack_size(256 * 1024).spawn(look).map_err(|_| FaultCode::IoError)?;
    match answer.recv_timeout(LOOKUP_MAX) {
        Ok(true) => i64::try_from(begun.elapsed().as_micros()).map_err(|_| FaultCode::TimedOut),
        Ok(false) => Err(FaultCode::NotFound),
        Err(_) => Err(FaultCode::TimedOut),
    }
}

/// The value of a column in a file where one line names the columns and the next holds them, both begun by `group`.
pub(super) fn column<'a>(text: &'a str, group: &str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter(|line| line.split(' ').next() == Some(group));
    let place = lines.next()?.split_ascii_whitespace().position(|word| word == name)?;
    lines.next()?.split_ascii_whitespace().nth(place)
}

pub(super) fn sockets<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut words = text.lines().find_map(|line| line.strip_prefix("TCP:"))?.split_ascii_whitespace();
    words.find(|word| *word == key)?;
    words.next()
}

/// Whether a default route is up, of either protocol: facilities with IPv6 only exist.
fn default_route(host: &Host) -> Result<bool, FaultCode> {
    let four = host.read("proc/net/route", ROUTES_BYTES_MAX).map(|text| text.lines().skip(1).any(is_default_4));
    let six = host.read("proc/net/ipv6_route", ROUTES_BYTES_MAX).map(|text| text.lines().any(is_default_6));
    match (four, six) {
        (Ok(true), _) | (_, Ok(true)) => Ok(true),
        // No IPv6 at all is usual.
        (Ok(false), Ok(false) | Err(FaultCode::NotFound)) => Ok(false),
        (Err(code), _) | (_, Err(code)) => Err(code),
    }
}

pub(super) fn is_default_4(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, destination, _, flags, _, _, _, mask, ..] = *words.as_slice() else { return false };
    destination == "00000000" && mask == "00000000" && leads(flags)
}

pub(super) fn is_default_6(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [destination, length, _, _, _, _, _, _, flags, device] = *words.as_slice() else { return false };
    destination.bytes().all(|b| b == b'0') && length == "00" && device != "lo" && leads(flags)
}

fn leads(flags: &str) -> bool {
    i64::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP != 0 && flags & REJECT == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{corpus, recorded, taken};
    use proptest::prelude::*;

    const SNMP: &str = "Ip: Forwarding OutSegs\nIp: 1 99\nTcp: RtoAlgorithm CurrEstab OutSegs RetransSegs\nTcp: 1 7 100 3\n";
    const ROUTE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    const DEFAULT: &str = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    const OWN: &str = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const SIX: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000000000000000ff01 00000400 00000001 00000000 00000003     eth0\n";
    const SIX_NOWHERE: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

    #[test]
    fn counters_are_found_by_the_names_of_their_columns() {
        let host = recorded(&[
            ("proc/net/snmp", SNMP),
            ("proc/net/netstat", "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 1 5\n"),
            ("proc/net/sockstat", "sockets: used 1\nTCP: inuse 4 orphan 0 tw 8 alloc 9 mem 1\n"),
            ("proc/sys/net/netfilter/nf_conntrack_count", "12\n"),
            ("proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
            ("proc/net/route", &format!("{ROUTE}{OWN}{DEFAULT}")),
        ]);
        let (readings, faults) = taken(&host, "tcp");
        let expected = r#"{"tcp":{"segments_sent":100,"retransmits":3,"listen_drops":5,"established":7,"time_wait":8,"tracked":12,"tracked_max":65536,"default_route":1}}"#;
        assert_eq!((readings.as_str(), faults.len()), (expected, 0), "{faults:?}");
    }

    #[test]
    fn a_default_route_is_one_that_leads_somewhere() {
        let table = [
            (Some(DEFAULT), None, Ok(true)),
            (Some(OWN), None, Ok(false)),
            (Some(""), Some(SIX), Ok(true)),
            (Some(""), Some(SIX_NOWHERE), Ok(false)),
            (None, Some(SIX), Ok(true)),
            (None, Some(""), Err(FaultCode::NotFound)),
            (Some("eth0\t00000000\t0\t0200\t0\t0\t0\t00000000\t0\t0\t0\n"), None, Ok(false)),
        ];
        for (four, six, expected) in table {
            let four = four.map(|four| format!("{ROUTE}{four}"));
            let files: Vec<(&str, &str)> =
                four.as_deref().map(|four| ("proc/net/route", four)).into_iter().chain(six.map(|six| ("proc/net/ipv6_route", six))).collect();
            assert_eq!(default_route(&recorded(&files)), expected, "{four:?} {six:?}");
        }
    }

    #[test]
    fn real_files_are_read() {
        let Some(snmp) = corpus("tcp::real_files_are_read", "proc-sys/node_exporter/proc/net/snmp") else { return };
        let sockstat = corpus("tcp::real_files_are_read", "proc-sys/node_exporter/proc/net/sockstat").unwrap();
        assert_eq!((column(&snmp, "Tcp:", "RetransSegs"), column(&snmp, "Tcp:", "OutSegs")), (Some("227"), Some("54915039")), "{snmp}");
        assert_eq!(sockets(&sockstat, "tw"), Some("4"), "{sockstat}");
    }

    #[test]
    fn a_name_is_looked_up_where_there_is_one() {
        assert!(lookup_us("localhost").is_ok_and(|took| took >= 0));
        assert_eq!(lookup_us("no such name"), Err(FaultCode::NotFound));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in "(.|\n)*|(Tcp:( [A-Za-z0-9]*)*\n)*") {
            prop_assert!(column(&text, "Tcp:", "OutSegs").is_none_or(|word| !word.is_empty()));
            prop_assert!(!is_default_4(&text) || text.contains("00000000"));
            prop_assert!(!is_default_6(&text) || text.contains("00"));
        }
    }
}
