//! States of discrete sensors, of which no threshold tells (IPMI 2.0, tables 42-2 and 42-3).

/// Words in lower case, what we call it, and whether it is bad. The first that fits a phrase wins.
const PHRASES: &[(&str, &str, bool)] = &[
    ("upper non-critical", "beyond_its_non_critical_threshold", false),
    ("lower non-critical", "beyond_its_non_critical_threshold", false),
    ("upper critical", "beyond_its_critical_threshold", true),
    ("lower critical", "beyond_its_critical_threshold", true),
    ("upper non-recoverable", "beyond_its_last_threshold", true),
    ("lower non-recoverable", "beyond_its_last_threshold", true),
    ("predictive failure", "predictive_failure", true),
    ("failure detected", "failure_detected", true),
    ("out-of-range, but present", "input_out_of_range", true),
    ("ac lost", "input_lost", true),
    ("input lost", "input_lost", true),
    ("out-of-range", "input_out_of_range", true),
    ("config error", "configuration_error", true),
    ("configuration error", "configuration_error", true),
    ("redundancy lost", "redundancy_lost", true),
    ("insufficient resources", "redundancy_lost", true),
    ("redundancy degraded", "redundancy_degraded", false),
    ("non-redundant", "not_redundant", false),
    ("drive fault", "drive_fault", true),
    ("in failed array", "array_failed", true),
    ("in critical array", "array_critical", true),
    ("ierr", "processor_error", true),
    ("thermal trip", "thermal_trip", true),
    ("uncorrectable", "uncorrectable_error", true),
    ("battery failed", "battery_failed", true),
    ("battery low", "battery_low", true),
    ("transition to critical", "critical_state", true),
    ("transition to non-recoverable", "critical_state", true),
    ("chassis intrusion", "chassis_opened", false),
    ("inactive", "inactive", false),
];

/// Whether one of our words means that something is wrong.
pub(super) fn is_bad(event: &str) -> bool {
    PHRASES.iter().any(|(_, name, bad)| *name == event && *bad)
}

/// What the words of `sdr elist` or freeipmi tell of, such as `Presence detected, Power Supply AC lost`.
pub(super) fn of_words(words: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    // `AC out-of-range, but present` holds the comma that parts phrases.
    let lower = words.to_lowercase().replace("out-of-range, but present", "out-of-range but present");
    for phrase in lower.split([',', '\'', ';']).filter(|phrase| !phrase.contains("deasserted")) {
        let event = PHRASES.iter().find(|(words, ..)| phrase.contains(words)).map(|(_, name, _)| *name);
        found.extend(event.filter(|event| !found.contains(event)));
    }
    found
}

/// What the bits of `ipmitool sensor` tell of. The table does not name the sensor's type: its name has to.
pub(super) fn of_states(name: &str, states: i64) -> Vec<&'static str> {
    let lower = name.to_ascii_lowercase();
    let numbered = |prefix: &str| lower.strip_prefix(prefix).is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    let bits: &[(u32, &'static str)] = if lower.contains("redund") || lower == "power supplies" {
        &[(1, "redundancy_lost"), (2, "redundancy_degraded"), (3, "not_redundant"), (4, "not_redundant"), (5, "redundancy_lost"), (6, "redundancy_degraded")]
    } else if ["ps", "psu", "pws", "power supply", "pwr supply"].iter().any(|prefix| numbered(prefix)) {
        &[
            (1, "failure_detected"),
            (2, "predictive_failure"),
            (3, "input_lost"),
            (4, "input_lost"),
            (5, "input_out_of_range"),
            (6, "configuration_error"),
            (7, "inactive"),
        ]
    } else if ["drive", "hdd", "disk"].iter().any(|prefix| numbered(prefix)) {
        &[(1, "drive_fault"), (2, "predictive_failure"), (5, "array_critical"), (6, "array_failed")]
    } else if lower.ends_with("status") && ["cpu", "proc", "processor", "p"].iter().any(|prefix| numbered(prefix)) && states & 0x80 != 0 {
        &[
            (0, "processor_error"),
            (1, "thermal_trip"),
            (2, "processor_error"),
            (3, "processor_error"),
            (4, "processor_error"),
            (6, "uncorrectable_error"),
            (11, "uncorrectable_error"),
        ]
    } else if lower.contains("intru") {
        &[(0, "chassis_opened")]
    } else {
        &[]
    };
    let mut found = Vec::new();
    for (bit, event) in bits {
        if states & (1 << bit) != 0 && !found.contains(event) {
            found.push(*event);
        }
    }
    found
}
