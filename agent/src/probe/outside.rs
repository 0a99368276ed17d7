//! What probes parse, as functions of bytes: see `crate::outside`.

use super::{Names, Sources, Take};
use super::{agent, boot, chrony, cpu, disk, filesystem, load, machine_check, memory, network, paging, sample, swap, tcp, text, ups};
use crate::host::Host;
use crate::outside::{Reader, done};
use mimamori_parse::hardware;
use mimamori_shared::payload::FaultCode;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// By the file or the answer that is read.
pub(crate) const READERS: &[Reader] = &[
    ("proc-stat", |bytes| section(bytes, |text, take| done(cpu::parse(text, take)))),
    ("proc-loadavg", |bytes| section(bytes, |text, take| done(load::parse(text, take)))),
    ("proc-meminfo", |bytes| section(bytes, |text, take| done((memory::parse(text, take), swap::parse(text, take))))),
    ("proc-vmstat", |bytes| section(bytes, |text, take| done(paging::parse(text, take)))),
    ("proc-diskstats", |bytes| section(bytes, |text, take| done(disk::parse(text, take)))),
    ("proc-net-dev", |bytes| section(bytes, |text, take| done(network::parse(text, &names(), take)))),
    ("proc-net-tables", |bytes| section(bytes, |text, _| tables(text))),
    ("proc-interrupts", |bytes| section(bytes, |text, _| done((machine_check::sum(text, "MCE"), machine_check::sum(text, "MCP"))))),
    ("proc-self", |bytes| section(bytes, |text, _| done((agent::cpu_ms(text), agent::resident_bytes(text))))),
    ("proc-mountinfo", mountinfo),
    ("wtmp", |bytes| done(boot::previous(bytes))),
    ("nut-answer", nut),
    ("apcupsd-answer", |bytes| section(bytes, |text, take| done(ups::entry(names().ups("apcupsd"), ups::status(text), take)))),
    ("chronyd-answer", |bytes| done(chrony::tracking(bytes))),
    ("helper-report", helper_report),
    ("names", |bytes| section(bytes, |text, _| done((names().interface(text), names().device(text), names().mount(bytes), text::milli(text))))),
];

fn names() -> Names {
    Names::new(b"salt", BTreeMap::new())
}

fn section(bytes: &[u8], read: impl FnOnce(&str, &mut Take<'_>)) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    read(text, &mut Take::new("outside", &mut Vec::new()));
}

fn tables(text: &str) {
    done((tcp::column(text, "Tcp:", "OutSegs"), tcp::column(text, "TcpExt:", "ListenDrops"), tcp::sockets(text, "tw")));
    done((text.lines().any(tcp::is_default_4), text.lines().any(tcp::is_default_6)));
}

fn mountinfo(bytes: &[u8]) {
    let mut faults = Vec::new();
    let mounts = filesystem::parse(bytes, &mut Take::new("filesystem", &mut faults));
    done(filesystem::devices(&mounts));
}

fn nut(bytes: &[u8]) {
    section(bytes, |text, take| {
        for ups in ups::upses(text).unwrap_or_else(|_| vec!["ups".to_owned()]) {
            done(ups::entry(names().ups(&ups), ups::variables(text, &ups), take));
        }
    });
}

/// Every section that is made of the helper's report, as if it were of this boot and fresh, on a machine that has nothing else.
fn helper_report(bytes: &[u8]) {
    let Ok(report) = hardware::read(bytes) else { return };
    let (host, names) = (Host::recorded("/nonexistent"), names());
    let helper: OnceCell<Result<_, FaultCode>> = OnceCell::from(Ok(report));
    done(sample(&Sources { host: &host, names: &names, resolve: None, helper }, &|_| true));
}
