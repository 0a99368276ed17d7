//! Network interfaces, from `proc/net/dev` and the carrier files of `sys/class/net`.

use super::take::Entries;
use super::{Names, Sources, Take, text};
use crate::host::Host;
use mimamori_shared::fields::{Network, Readings};
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;

const BYTES_MAX: u64 = 256 * 1024;
const CARRIER_BYTES_MAX: u64 = 64;

pub(super) fn read(Sources { host, names, .. }: &Sources<'_>, readings: &mut Readings, faults: &mut Vec<Fault>) {
    let mut take = Take::new("network", faults);
    let Some(text) = take.whole(host.read("proc/net/dev", BYTES_MAX)) else { return };
    for (device, mut network) in parse(&text, names, &mut take) {
        let mut take = take.entry(&network.name);
        network.link_up = take.value("link_up", link_up(host, &device));
        network.carrier_changes = take.value("carrier_changes", carrier_changes(host, &device));
        // The kernel refuses both of a link that is down, and of devices without a speed: nothing is wrong with them.
        network.speed_mbit = attribute(host, &device, "speed").and_then(|text| text::whole(&text));
        network.full_duplex = attribute(host, &device, "duplex").and_then(|text| duplex(&text));
        readings.network.push(network);
    }
}

/// The interfaces, each with the kernel's name: below `sys` that one is needed, and it stays here.
pub(super) fn parse(text: &str, names: &Names, take: &mut Take<'_>) -> Vec<(String, Network)> {
    let mut entries = Entries::default();
    let mut found = Vec::new();
    let mut lines = text.lines();
    if !lines.next().is_some_and(|head| head.contains('|')) || !lines.next().is_some_and(|head| head.contains('|')) {
        take.fail(FaultCode::Malformed);
        return found;
    }
    for line in lines {
        // Old kernels write no space between the colon and the first counter; a name may hold a colon itself.
        let Some((device, counters)) = line.trim_start().rsplit_once(':') else {
            take.fail(FaultCode::Malformed);
            continue;
        };
        let Some(name) = names.interface(device) else { continue };
        if entries.admit(&name, take) {
            let counters: Vec<&str> = counters.split_ascii_whitespace().collect();
            found.push((device.to_owned(), one(name.clone(), &counters, &mut take.entry(&name))));
        }
    }
    found
}

fn one(name: Word, counters: &[&str], take: &mut Take<'_>) -> Network {
    let mut at = |field, place: usize| take.parsed(field, counters.get(place).copied(), text::whole);
    Network {
        name,
        rx_bytes: at("rx_bytes", 0),
        rx_packets: at("rx_packets", 1),
        rx_errors: at("rx_errors", 2),
        rx_drops: at("rx_drops", 3),
        tx_bytes: at("tx_bytes", 8),
        tx_packets: at("tx_packets", 9),
        tx_errors: at("tx_errors", 10),
        tx_drops: at("tx_drops", 11),
        ..Network::default()
    }
}

/// The kernel refuses to tell the carrier of an interface that is switched off; its state still says that it is down.
fn link_up(host: &Host, device: &str) -> Result<i64, FaultCode> {
    let read = |file| host.read(&format!("sys/class/net/{device}/{file}"), CARRIER_BYTES_MAX);
    let carrier = read("carrier").and_then(|text| match text.trim_end() {
        "0" => Ok(0),
        "1" => Ok(1),
        _ => Err(FaultCode::Malformed),
    });
    carrier.or_else(|code| match read("operstate").as_deref().map(str::trim_end) {
        Ok("down" | "notpresent" | "lowerlayerdown") => Ok(0),
        Ok("up") => Ok(1),
        _ => Err(code),
    })
}

fn carrier_changes(host: &Host, device: &str) -> Result<i64, FaultCode> {
    let text = host.read(&format!("sys/class/net/{device}/carrier_changes"), CARRIER_BYTES_MAX)?;
    text::whole(text.trim_end()).ok_or(FaultCode::Malformed)
}

fn attribute(host: &Host, device: &str, file: &str) -> Option<String> {
    let text = host.read(&format!("sys/class/net/{device}/{file}"), CARRIER_BYTES_MAX).ok()?;
    Some(text.trim_end().to_owned())
}

fn duplex(text: &str) -> Option<i64> {
    match text {
        "full" => Some(1),
        "half" => Some(0),
        // `unknown`, as virtual machines say.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::check_list;
    use proptest::prelude::*;

    const HEAD: &str = "Inter-|   Receive  |  Transmit\n face |bytes packets errs |bytes packets\n";

    fn parse_named(text: &str, take: &mut Take<'_>) -> Vec<Network> {
        parse(text, &Names::new(b"salt", [].into()), take).into_iter().map(|(_, network)| network).collect()
    }

    fn check(lines: &str, expected: &str, faults: &[&str]) {
        check_list("network", &format!("{HEAD}{lines}"), parse_named, expected, faults);
    }

    #[test]
    fn counters_are_read_with_and_without_a_space_behind_the_colon() {
        let expected = r#"[{"name":"eth0","rx_bytes":1,"rx_packets":2,"rx_errors":3,"rx_drops":4,"tx_bytes":9,"tx_packets":10,"tx_errors":11,"tx_drops":12}]"#;
        check("    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", expected, &[]);
        check("  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", expected, &[]);
    }

    #[test]
    fn a_broken_value_costs_only_itself() {
        check(
            "  eth0: 18446744073709551615 2 -3 4 5 6 7 8 9 10 11\n",
            r#"[{"name":"eth0","rx_packets":2,"rx_drops":4,"tx_bytes":9,"tx_packets":10,"tx_errors":11}]"#,
            &["network.rx_bytes eth0 malformed", "network.rx_errors eth0 malformed", "network.tx_drops eth0 not_found"],
        );
        check("garbage\n", "[]", &["network malformed"]);
        check_list("network", "", parse_named, "[]", &["network malformed"]);
    }

    #[test]
    fn the_carrier_decides_and_the_state_stands_in_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("sys/class/net/eth0");
        std::fs::create_dir_all(&device).unwrap();
        let table = [
            (Some("1\n"), Some("dormant\n"), Ok(1)),
            (Some("0\n"), Some("up\n"), Ok(0)),
            (None, Some("down\n"), Ok(0)),
            (None, Some("up\n"), Ok(1)),
            (None, Some("unknown\n"), Err(FaultCode::NotFound)),
            (Some("\n"), None, Err(FaultCode::Malformed)),
            (None, None, Err(FaultCode::NotFound)),
        ];
        for (carrier, state, expected) in table {
            for (file, text) in [("carrier", carrier), ("operstate", state)] {
                match text {
                    Some(text) => std::fs::write(device.join(file), text).unwrap(),
                    None => drop(std::fs::remove_file(device.join(file))),
                }
            }
            assert_eq!(link_up(&Host::recorded(folder.path()), "eth0"), expected, "{carrier:?} {state:?}");
        }
    }

    #[test]
    fn speed_and_duplex_are_told_only_where_the_link_has_them() {
        let table = [("1000\n", "full\n", Some(1000), Some(1)), ("100\n", "half\n", Some(100), Some(0)), ("-1\n", "unknown\n", None, None)];
        for (speed, duplex, expected_speed, expected_duplex) in table {
            let text = format!("{HEAD}  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
            let host = crate::probe::tests::recorded(&[("proc/net/dev", &text), ("sys/class/net/eth0/speed", speed), ("sys/class/net/eth0/duplex", duplex)]);
            let mut readings = Readings::default();
            read(&Sources::of(&host, &Names::new(b"salt", [].into())), &mut readings, &mut Vec::new());
            assert_eq!((readings.network[0].speed_mbit, readings.network[0].full_duplex), (expected_speed, expected_duplex));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(lines in "(.|\n)*|(eth[0-9]:( [0-9-]*)*\n)*") {
            parse_named(&format!("{HEAD}{lines}"), &mut Take::new("network", &mut Vec::new()));
            parse_named(&lines, &mut Take::new("network", &mut Vec::new()));
        }
    }
}
