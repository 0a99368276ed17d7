//! Counters of network interfaces since boot: `/proc/net/dev` (net/core/net-procfs.c). The head names the columns.

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;
use std::collections::BTreeSet;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Netdev {
    /// In the file's order.
    pub interfaces: Vec<Interface>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// `eth0`; an alias keeps its colon, as `eth0:1`.
    pub name: String,
    /// What came in.
    pub received: Counters,
    /// What went out.
    pub sent: Counters,
}

/// One direction; a column that the kernel does not have is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the kernel's, whose meaning is the driver's")]
pub struct Counters {
    pub bytes: Option<i64>,
    pub packets: Option<i64>,
    pub errors: Option<i64>,
    pub dropped: Option<i64>,
    pub fifo: Option<i64>,
    pub frame: Option<i64>,
    pub compressed: Option<i64>,
    pub multicast: Option<i64>,
    pub collisions: Option<i64>,
    pub carrier: Option<i64>,
}

const SUCH_AS: &str = " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets";

/// Reads the file.
///
/// # Errors
/// When it is empty or has not the kernel's head.
pub fn parse(input: &str) -> Result<Netdev, Unreadable> {
    let mut netdev = Netdev::default();
    let mut lines = input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let first = lines.peek().ok_or(Unreadable::Empty)?.0;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    lines.next_if(|(_, line)| line.starts_with("Inter-|"));
    let (_, head) = lines.next().ok_or(foreign.clone())?;
    let mut parts = head.split('|').map(|part| part.split_whitespace().collect::<Vec<_>>());
    let (Some(face), Some(received), Some(sent), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return Err(foreign) };
    if face != ["face"] || !received.contains(&"packets") || !sent.contains(&"packets") {
        return Err(foreign);
    }
    let mut names = BTreeSet::new();
    for (index, line) in lines {
        match interface(line, &received, &sent) {
            Some(interface) if !names.insert(interface.name.clone()) => {
                verdict::fault(&mut netdev.faults, trouble::fault("too_many", &format!("line {}: {} stands here twice", index + 1, interface.name)));
            }
            Some(interface) => verdict::push(&mut netdev.interfaces, interface, &mut netdev.faults),
            None => verdict::fault(&mut netdev.faults, trouble::malformed(index, line)),
        }
    }
    Ok(netdev)
}

/// `  eth0: 1 2 3 …`; the first figure may stand right behind the colon.
fn interface(line: &str, received: &[&str], sent: &[&str]) -> Option<Interface> {
    let (name, rest) = line.rsplit_once(':')?;
    let name = text::plain(name);
    if name.is_empty() {
        return None;
    }
    if rest.trim() == "No statistics available." {
        return Some(Interface { name, ..Interface::default() });
    }
    let figures: Vec<&str> = rest.split_whitespace().collect();
    if figures.len() != received.len() + sent.len() || !figures.iter().all(|word| word.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let (incoming, outgoing) = figures.split_at_checked(received.len())?;
    Some(Interface { name, received: counters(received, incoming), sent: counters(sent, outgoing) })
}

fn counters(columns: &[&str], figures: &[&str]) -> Counters {
    let mut counters = Counters::default();
    for (column, figure) in columns.iter().zip(figures) {
        let place = match *column {
            "bytes" => &mut counters.bytes,
            "packets" => &mut counters.packets,
            "errs" => &mut counters.errors,
            "drop" => &mut counters.dropped,
            "fifo" => &mut counters.fifo,
            "frame" => &mut counters.frame,
            "compressed" => &mut counters.compressed,
            "multicast" => &mut counters.multicast,
            "colls" => &mut counters.collisions,
            "carrier" => &mut counters.carrier,
            _ => continue,
        };
        *place = text::whole(figure);
    }
    counters
}

/// How the file reads for a human or a script: counters are figures and no verdict.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let netdev = match parse(input) {
        Ok(netdev) => netdev,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut outcome = Verdict::default().outcome_with(format!("counters of {} interfaces", netdev.interfaces.len()), netdev.faults);
    for interface in &netdev.interfaces {
        for (direction, counters) in [("received", &interface.received), ("sent", &interface.sent)] {
            let of: &[(&'static str, &str)] = &[("interface", &interface.name), ("direction", direction)];
            outcome.reading("network_bytes", of, counters.bytes.map(text::float), "bytes");
            for (name, value) in [
                ("network_packets", counters.packets),
                ("network_errors", counters.errors),
                ("network_dropped", counters.dropped),
                ("network_fifo_errors", counters.fifo),
                ("network_frame_errors", counters.frame),
                ("network_compressed", counters.compressed),
                ("network_multicast", counters.multicast),
                ("network_collisions", counters.collisions),
                ("network_carrier_errors", counters.carrier),
            ] {
                outcome.reading(name, of, value.map(text::float), "count");
            }
        }
        outcome.record(interface);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    const HEAD: &str = "Inter-|   Receive                                                |  Transmit\n\
                \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

    #[test]
    fn every_column_is_read() {
        let text = format!(
            "{HEAD}  eth0:  1  2  3 4 5 6 7 8 11 12 13 14 15 16 17 18\neth0:1:21 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n\
                wlan0:4294967295 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18446744073709551615\n"
        );
        let interfaces = parse(&text).unwrap().interfaces;
        let Interface { name, received, sent } = &interfaces[0];
        assert_eq!((name.as_str(), received.bytes, received.packets, received.errors, received.dropped), ("eth0", Some(1), Some(2), Some(3), Some(4)));
        assert_eq!((received.fifo, received.frame, received.compressed, received.multicast, received.collisions), (Some(5), Some(6), Some(7), Some(8), None));
        assert_eq!((sent.bytes, sent.packets, sent.errors, sent.dropped, sent.fifo), (Some(11), Some(12), Some(13), Some(14), Some(15)));
        assert_eq!((sent.collisions, sent.carrier, sent.compressed, sent.frame), (Some(16), Some(17), Some(18), None));
        assert_eq!((interfaces[1].name.as_str(), interfaces[1].received.bytes), ("eth0:1", Some(21)));
        assert_eq!((interfaces[2].name.as_str(), interfaces[2].received.bytes, interfaces[2].sent.compressed), ("wlan0", Some(4_294_967_295), None));
        assert_eq!(outcome(&text, None).unwrap().readings.len(), 16 + 16 + 15);
    }

    #[test]
    fn a_machine_without_interfaces_and_an_interface_without_figures() {
        assert_eq!((outcome(HEAD, None).unwrap().status, outcome(HEAD, None).unwrap().records.len()), (Status::Ok, 0));
        let interfaces = parse(&format!("{HEAD}  tun0: No statistics available.\n")).unwrap().interfaces;
        assert_eq!((interfaces[0].name.as_str(), interfaces[0].received), ("tun0", Counters::default()));
    }

    #[test]
    fn anything_else_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in
            ["Inter-|   Receive\n", "lo: 1 2 3\n", "Inter-| sta-|   Quality        |   Discarded packets\n face | tus | link level noise |  nwid  crypt\n"]
        {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { line: 1, .. })), "{foreign}");
        }
        let lo = "lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let outcome = outcome(&format!("{HEAD}{lo}eth0: 1 2\n{lo}"), None).unwrap();
        assert_eq!((outcome.records.len(), outcome.faults[0].code, outcome.faults[1].code), (1, "malformed", "too_many"));
        assert!(outcome.faults[0].detail.starts_with("line 4:"));
        assert_eq!(super::outcome("cat: /proc/net/dev: No such file or directory", None).unwrap().faults[0].code, "not_found");
    }

    proptest! {
        #[test]
        fn any_text_is_taken(lines in prop::collection::vec("[ a-z0-9:é]{0,6}:( ?[0-9]{1,20}){14,17}|.*", 0..5)) {
            let outcome = outcome(&format!("{HEAD}{}", lines.join("\n")), None).unwrap();
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite() && reading.value >= 0.0));
        }
    }
}
