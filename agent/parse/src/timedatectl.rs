//! The clock as systemd keeps it: `timedatectl [status]` (its labels changed over the versions), `timedatectl show`,
//! `timedatectl show-timesync` and `timedatectl timesync-status`.

use crate::verdict::Verdict;
use crate::{Outcome, RECORDS_MAX, Unreadable, clock, complaint, text};
use mimamori_shared::time;
use serde::Serialize;

/// The tool's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Timekeeping {
    /// Whether the kernel counts the clock as synchronised, whoever keeps it.
    pub synchronised: Option<bool>,
    /// Whether systemd was asked to keep the clock. Where another program keeps it, this is no.
    pub service: Option<bool>,
    /// Whether the hardware's clock runs in local time, which goes wrong at changes of the zone.
    pub rtc_local: Option<bool>,
    /// When the tool looked, in milliseconds since 1970 UTC.
    pub looked_ms: Option<i64>,
    /// Whether a server has ever answered.
    pub answered: Option<bool>,
    /// Leap indicator of the server; 3 is not synchronised.
    pub leap: Option<i64>,
    /// Stratum of the server.
    pub stratum: Option<i64>,
    /// The last measured difference, in nanoseconds.
    pub offset_ns: Option<i64>,
    /// Way to the reference clock and error gathered on it, in nanoseconds.
    pub root_distance_ns: Option<i64>,
    /// How much the answers differ, in nanoseconds.
    pub jitter_ns: Option<i64>,
    /// Between two questions to the server, in nanoseconds.
    pub poll_interval_ns: Option<i64>,
    /// Answers so far.
    pub packets: Option<i64>,
}

const SUCH_AS: &str = "System clock synchronized: yes";

/// Reads the output of any of the subcommands.
///
/// # Errors
/// When it is empty or none of them.
pub fn parse(input: &str) -> Result<(Timekeeping, Vec<usize>), Unreadable> {
    let mut clock = Timekeeping::default();
    let (mut known, mut malformed, mut first, mut timesync) = (0, Vec::new(), None, false);
    for (number, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        first.get_or_insert(number + 1);
        let shown = line.trim_start();
        // A key of `show` holds neither spaces nor colons; the first separator tells which form it is.
        let (key, value) = match (shown.find('='), shown.find(": ").or_else(|| shown.find(':'))) {
            (Some(equals), colon) if colon.is_none_or(|colon| equals < colon) => shown.split_at(equals),
            (_, Some(colon)) => shown.split_at(colon),
            _ => continue,
        };
        let value = value.get(1..).unwrap_or_default().trim();
        timesync |= key == "PollIntervalMinUSec" || key == "ServerName";
        match put(&mut clock, key, value) {
            Put::Known => known += 1,
            Put::Broken if malformed.len() < RECORDS_MAX => malformed.push(number + 1),
            Put::Broken | Put::Other => {}
        }
    }
    let first = first.ok_or(Unreadable::Empty)?;
    if timesync && clock.answered.is_none() {
        clock.answered = Some(false);
    }
    if known == 0 && !timesync {
        return Err(Unreadable::Foreign { line: first, such_as: SUCH_AS });
    }
    Ok((clock, malformed))
}

enum Put {
    Known,
    Broken,
    Other,
}

fn put(clock: &mut Timekeeping, key: &str, value: &str) -> Put {
    let known = match key {
        "NTP synchronized" | "System clock synchronized" | "NTPSynchronized" => yes(value).map(|yes| clock.synchronised = Some(yes)),
        "NTP enabled" | "Network Time on" | "Network time on" | "NTP service" | "systemd-timesyncd.service active" | "NTP" => {
            // `n/a`: nothing on this machine could be asked.
            yes(value).map(|yes| clock.service = Some(yes)).or_else(|| (value == "n/a").then_some(()))
        }
        "RTC in local TZ" | "LocalRTC" => yes(value).map(|yes| clock.rtc_local = Some(yes)),
        "Universal time" | "TimeUSec" => {
            clock.looked_ms = moment(value);
            Some(())
        }
        "NTPMessage" => message(clock, value),
        "Leap" => {
            clock.leap = match value {
                "normal" | "insert second" | "delete second" => Some(0),
                "not synchronized" => Some(3),
                _ => None,
            };
            clock.leap.map(drop)
        }
        "Stratum" => {
            clock.answered = Some(true);
            text::whole(value).map(|stratum| clock.stratum = Some(stratum))
        }
        "Offset" => span(value).map(|ns| clock.offset_ns = Some(ns)),
        "Root distance" => span(value.split_once(" (").map_or(value, |(distance, _)| distance)).map(|ns| clock.root_distance_ns = Some(ns)),
        "Jitter" => span(value).map(|ns| clock.jitter_ns = Some(ns)),
        "Poll interval" => span(value.split_once(" (").map_or(value, |(interval, _)| interval)).map(|ns| clock.poll_interval_ns = Some(ns)),
        "PollIntervalUSec" => span(value).map(|ns| clock.poll_interval_ns = Some(ns)),
        "Packet count" => text::whole(value).map(|count| {
            clock.packets = Some(count);
            clock.answered = Some(count > 0);
        }),
        _ => return Put::Other,
    };
    known.map_or(Put::Broken, |()| Put::Known)
}

fn yes(value: &str) -> Option<bool> {
    match value {
        "yes" | "active" => Some(true),
        "no" | "inactive" => Some(false),
        _ => None,
    }
}

/// `Thu 2026-11-26 10:20:30 UTC`; in another zone its name is no offset, and the stamp no moment.
fn moment(stamp: &str) -> Option<i64> {
    let mut words = stamp.split_whitespace().skip(1);
    let (date, clock, zone) = (words.next()?, words.next()?, words.next()?);
    if zone == "UTC" { time::parse(&format!("{date}T{clock}Z")).ok() } else { None }
}

/// What the server last said: `{ Leap=0, Version=4, …, PacketCount=3, Jitter=24.457ms }`.
fn message(clock: &mut Timekeeping, message: &str) -> Option<()> {
    let inner = message.strip_prefix('{')?;
    let value = |key: &str| {
        let (_, rest) = inner.split_once(&format!(" {key}="))?;
        rest.split([',', '}']).next().map(|value| value.trim().trim_end_matches(" PacketCount").trim())
    };
    clock.answered = Some(true);
    clock.leap = value("Leap").and_then(text::whole);
    clock.stratum = value("Stratum").and_then(text::whole);
    clock.packets = value("PacketCount").and_then(text::whole);
    clock.jitter_ns = value("Jitter").and_then(span);
    let way = value("RootDelay").and_then(span).map(|delay| delay / 2);
    clock.root_distance_ns = way.zip(value("RootDispersion").and_then(span)).and_then(|(way, error)| way.checked_add(error));
    Some(())
}

/// systemd's spans, such as `34min 8s`, `4.348ms`, `+305us` or `0`, in nanoseconds.
fn span(value: &str) -> Option<i64> {
    let (sign, rest) = value.strip_prefix('-').map_or((1, value.strip_prefix('+').unwrap_or(value)), |rest| (-1, rest));
    let mut sum: i64 = 0;
    for word in rest.split(' ') {
        let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
        let (number, unit) = word.split_at(end);
        let one = match unit {
            "ns" => 1.0,
            "us" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "min" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            "w" => 604_800e9,
            "" if number == "0" => 0.0,
            _ => return None,
        };
        sum = sum.checked_add(text::parts(number, one)?)?;
    }
    Some(sign * sum)
}

const TOOL: &[&str] = &["timedatectl", "failed to query server", "failed to create bus", "failed to parse"];
const COMPLAINTS: &[(&str, &str)] = &[
    ("was not provided by any .service files", "not_running"),
    ("failed to connect to bus", "not_running"),
    ("failed to create bus connection", "not_running"),
    ("system has not been booted with systemd", "unsupported"),
    ("unknown operation", "unsupported"),
];

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let (clock, malformed) = match parse(input) {
        Ok(read) => read,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, TOOL, COMPLAINTS).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    match (clock.synchronised, clock.answered, clock.leap) {
        (Some(false), ..) | (_, _, Some(3)) => verdict.bad("the clock is not synchronised"),
        (None, Some(false), _) => verdict.bad("no time server has answered"),
        (None, None, _) => verdict.unknown("it is not said whether the clock is synchronised"),
        _ => {}
    }
    if clock.stratum.is_some_and(|stratum| stratum == 0 || stratum >= 16) {
        verdict.bad("the time server is not synchronised itself");
    }
    if clock.rtc_local == Some(true) {
        verdict.note("the hardware's clock runs in local time");
    }
    clock::judge_offset(clock.offset_ns, &mut verdict);
    let mut outcome = verdict.outcome("the clock is synchronised");
    outcome.observed_at = clock.looked_ms;
    for (name, ns) in [
        ("clock_offset", clock.offset_ns),
        ("clock_root_distance", clock.root_distance_ns),
        ("clock_jitter", clock.jitter_ns),
        ("clock_poll_interval", clock.poll_interval_ns),
    ] {
        outcome.reading(name, &[], clock::seconds(ns), "seconds");
    }
    outcome.reading("clock_stratum", &[], clock.stratum.map(text::float), "count");
    outcome.reading("clock_packets", &[], clock.packets.map(text::float), "count");
    outcome.record(&clock);
    malformed.iter().for_each(|line| outcome.fault("malformed", &format!("line {line}: no value of its label")));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    fn judged(input: &str) -> Outcome {
        outcome(input, None).unwrap()
    }

    #[test]
    fn the_status_of_every_version_is_read() {
        for (synchronised, service) in [
            ("NTP synchronized", "NTP enabled"),
            ("NTP synchronized", "Network time on"),
            ("System clock synchronized", "systemd-timesyncd.service active"),
            ("System clock synchronized", "NTP service"),
        ] {
            let text = |yes: &str| {
                format!(
                    "      Local time: 木 2026-11-26 19:20:30 JST\n  Universal time: 木 2026-11-26 10:20:30 UTC\n        RTC time: n/a\n\
                     Time zone: Asia/Tokyo (JST, +0900)\n{synchronised}: {yes}\n {service}: {yes}\n RTC in local TZ: no\n      DST active: n/a\n"
                )
            };
            let (clock, malformed) = parse(&text("yes")).unwrap();
            assert_eq!((clock.synchronised, clock.service, clock.rtc_local, malformed.len()), (Some(true), Some(true), Some(false), 0));
            assert_eq!(judged(&text("yes")).observed_at, Some(1_795_688_430_000));
            assert_eq!((judged(&text("yes")).status, judged(&text("no")).status), (Status::Ok, Status::Bad), "{synchronised}");
        }
        assert_eq!(parse("NTP service: n/a\nSystem clock synchronized: yes\n").unwrap().0.service, None);
    }

    #[test]
    fn properties_are_read() {
        let show = "Timezone=Asia/Tokyo\nLocalRTC=yes\nCanNTP=yes\nNTP=yes\nNTPSynchronized=yes\nTimeUSec=Thu 2026-11-26 19:20:30 JST\n\
            RTCTimeUSec=Thu 2026-11-26 19:20:30 JST\n";
        let outcome = judged(show);
        assert_eq!((outcome.status, outcome.observed_at), (Status::Ok, None));
        assert_eq!(outcome.reason, "the clock is synchronised; the hardware's clock runs in local time");
    }

    const TIMESYNC: &str = "SystemNTPServers=ntp.example.org\nServerName=ntp.example.org\nServerAddress=203.0.113.9\n\
        RootDistanceMaxUSec=5s\nPollIntervalMinUSec=32s\n\
        PollIntervalUSec=34min 8s\nNTPMessage={ Leap=0, Version=4, Mode=4, Stratum=2, Precision=-26, RootDelay=4ms, RootDispersion=305us, Reference=CB007101, \
        OriginateTimestamp=Thu 2026-11-26 10:20:30 UTC, Ignored=no PacketCount=3, Jitter=24.457ms }\nFrequency=-2188148\n";

    #[test]
    fn the_servers_answer_is_read() {
        let (clock, malformed) = parse(TIMESYNC).unwrap();
        assert_eq!((clock.leap, clock.stratum, clock.packets, malformed.len()), (Some(0), Some(2), Some(3), 0));
        assert_eq!((clock.root_distance_ns, clock.jitter_ns, clock.poll_interval_ns), (Some(2_305_000), Some(24_457_000), Some(2_048_000_000_000)));
        assert_eq!(judged(TIMESYNC).status, Status::Ok);
        assert!(!serde_json::to_string(&judged(TIMESYNC)).unwrap().contains("example.org"));
        assert_eq!(judged(&TIMESYNC.replace("Leap=0", "Leap=3")).status, Status::Bad);
        assert_eq!(
            judged(
                "SystemNTPServers=a\nRootDistanceMaxUSec=5s\nPollIntervalMinUSec=32s\n\
            Frequency=0\n"
            )
            .reason,
            "no time server has answered"
        );
        let status = "       Server: 203.0.113.9 (ntp.example.org)\n\
            Poll interval: 34min 8s (min: 32s; max 34min 8s)\n         Leap: normal\n      Version: 4\n      Stratum: 2\n\
            Root distance: 10.5ms (max: 5s)\n       Offset: -1.2s\n        Delay: 20ms\n       Jitter: 3us\n Packet count: 9\n    Frequency: +1.5ppm\n";
        let outcome = judged(status);
        assert_eq!((outcome.status, outcome.reason.as_str(), outcome.faults.len()), (Status::Bad, "the clock differs by -1.200 s", 0));
    }

    #[test]
    fn what_the_tool_says_about_itself_is_unknown() {
        for (said, code) in [
            ("Failed to query server: The name org.freedesktop.timesync1 was not provided by any .service files\n", "not_running"),
            ("Failed to connect to bus: No such file or directory\n", "not_running"),
            (
                "System has not been booted with systemd as init system (PID 1). Can't operate.\n\
                Failed to connect to bus: Host is down\n",
                "unsupported",
            ),
            ("Unknown operation show-timesync\n", "unsupported"),
            ("Failed to query server: Connection timed out\n", "timed_out"),
        ] {
            let outcome = judged(said);
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{said}");
        }
    }

    #[test]
    fn another_format_is_refused_and_a_broken_line_costs_itself() {
        assert_eq!(parse("\n"), Err(Unreadable::Empty));
        for foreign in ["MemTotal: 5 kB\n", "x\n", "a=b\n", "{\"NTP\":1}"] {
            assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
        }
        let outcome = judged("NTP synchronized: perhaps\nRTC in local TZ: no\n");
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, "malformed"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(input in "((NTP synchronized|TimeUSec|Offset|NTPMessage|.)(: |=)(yes|-?[0-9.]{0,30}(min|us|ms|\
            d) ?.*|\\{ Leap=[0-9], Stratum=.*)\n){0,6}.*") {
            if let Ok(outcome) = outcome(&input, None) {
                prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
