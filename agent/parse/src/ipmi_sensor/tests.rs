use super::*;
use proptest::prelude::*;

const SENSOR: &str = "\
CPU1 Temp        | 51.000     | degrees C  | ok    | 0.000     | 0.000     | 0.000     | 95.000    | 98.000    | 98.000    
Inlet            | na         | degrees C  | na    | na        | na        | na        | na        | na        | na        
FAN A            | 4200.000   | RPM        | ok    | na        | 500.000   | 700.000   | na        | na        | na        
12V              | 12.063     | Volts      | ok    | 10.144    | 10.272    | 10.784    | 12.960    | 13.280    | 13.408    
Pwr Use          | 112.000    | Watts      | ok    | na        | na        | na        | 896.000   | 980.000   | na        
Cur 1            | 0.400      | Amps       | ok    | na        | na        | na        | na        | na        | na        
CPU Use          | 7.000      | percent    | ok    | na        | na        | na        | na        | 101.000   | na        
PS1 Status       | 0x1        | discrete   | 0x0180| na        | na        | na        | na        | na        | na        
";

fn judged(input: &str) -> Outcome {
    outcome(input, None).unwrap()
}

#[test]
fn a_healthy_server_is_read_whole() {
    let found = parse(SENSOR).unwrap();
    assert_eq!((found.sensors.len(), found.malformed.len()), (8, 0));
    let cpu = &found.sensors[0];
    assert_eq!((cpu.name.as_str(), cpu.kind, cpu.value_milli, cpu.level), ("CPU1 Temp", "temperature", Some(51_000), Level::Ok));
    assert_eq!(cpu.thresholds_milli, [Some(0), Some(0), Some(0), Some(95_000), Some(98_000), Some(98_000)]);
    assert_eq!((found.sensors[1].level, found.sensors[1].value_milli), (Level::NotAvailable, None));
    assert_eq!((found.sensors[7].states, found.sensors[7].events.len()), (Some(1), 0));
    let outcome = judged(SENSOR);
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Ok, "7 sensors read"));
    let value = |kind: &str| outcome.readings.iter().find(|reading| reading.name == kind).map(|reading| (reading.value, reading.unit));
    assert_eq!(value("fan_speed"), Some((4200.0, "rpm")));
    assert_eq!(value("voltage"), Some((12.063, "volts")));
    assert_eq!(value("power"), Some((112.0, "watts")));
    assert_eq!(value("current"), Some((0.4, "amperes")));
    assert_eq!(value("level"), Some((7.0, "percent")));
}

#[test]
fn thresholds_decide() {
    for (status, expected) in [
        ("ok", Status::Ok),
        ("nc", Status::Ok),
        ("cr", Status::Bad),
        ("nr", Status::Bad),
        ("lcr", Status::Bad),
        ("unr", Status::Bad),
        ("ns", Status::Unknown),
        ("na", Status::Unknown),
    ] {
        for row in [
            format!("FAN1 | 250.000 | RPM | {status} | na | 300.0 | na | na | na | na"),
            format!("FAN1 | 250 RPM | {status}"),
            format!("FAN1 | 41h | {status} | 29.1 | 250 RPM"),
        ] {
            assert_eq!(judged(&row).status, expected, "{row}");
        }
    }
    assert!(judged("FAN1 | 250 RPM | nc").reason.contains("FAN1: beyond its non-critical threshold"));
    assert!(judged("FAN1 | 250 RPM | cr").reason.contains("FAN1: critical"));
}

#[test]
fn a_power_supply_tells_by_bits() {
    for (states, expected, said) in [
        ("0x0100", Status::Ok, "read"),
        ("0x0180", Status::Ok, "read"),
        ("0x0300", Status::Bad, "failure detected"),
        ("0x0500", Status::Bad, "predictive failure"),
        ("0x0980", Status::Bad, "input lost"),
        ("0x0000", Status::Ok, "read"),
        ("0x8100", Status::Ok, "inactive"),
    ] {
        for name in ["PS2 Status", "PSU2", "Power Supply 2"] {
            let outcome = judged(&format!("{name} | 0x0 | discrete | {states}| na | na | na | na | na | na"));
            assert!(outcome.status == expected && outcome.reason.contains(said), "{name} {states}: {}", outcome.reason);
        }
    }
}

#[test]
fn other_states_are_told_by_name() {
    for (name, states, expected) in [
        ("PS Redundancy", "0x0180", Status::Ok),
        ("PS Redundancy", "0x0280", Status::Bad),
        ("Drive 3", "0x0180", Status::Ok),
        ("Drive 3", "0x0380", Status::Bad),
        ("CPU1 Status", "0x8080", Status::Ok),
        ("CPU1 Status", "0x8280", Status::Bad),
        ("Chassis Intru", "0x0100", Status::Ok),
        ("ROM ECC", "0x0280", Status::Ok),
    ] {
        let outcome = judged(&format!("{name} | 0x0 | discrete | {states}| na | na | na | na | na | na"));
        assert_eq!(outcome.status, expected, "{name} {states}: {}", outcome.reason);
    }
}

#[test]
fn the_list_is_read_with_words() {
    let list = "Temp             | 0Eh | ok  |  3.1 | 52 degrees C\nFan1             | 30h | ok  |  7.1 | 2160 RPM\n\
                Status           | 85h | ok  | 10.1 | Presence detected\nM2 Temp          | 0Fh | ns  |  3.2 | No Reading\n\
                    PCI Slot | 20h | ns | 11.1 | Disabled\n";
    let outcome = judged(list);
    assert_eq!((outcome.status, outcome.records.len(), outcome.readings.len()), (Status::Ok, 5, 2));
    for (words, expected) in [
        ("Presence detected, Failure detected", Status::Bad),
        ("Presence detected, Power Supply AC lost", Status::Bad),
        ("Presence detected, AC out-of-range, but present", Status::Bad),
        ("Redundancy Lost", Status::Bad),
        ("Fully Redundant", Status::Ok),
        ("Predictive Failure Deasserted", Status::Ok),
        ("Predictive Failure Asserted", Status::Bad),
        ("Drive Present, Drive Fault", Status::Bad),
        ("General Chassis intrusion", Status::Ok),
        ("State Asserted", Status::Ok),
    ] {
        let outcome = judged(&format!("PS 1 | C8h | ok | 10.1 | {words}"));
        assert_eq!(outcome.status, expected, "{words}: {}", outcome.reason);
    }
    let short = judged("Temp | 52 degrees C | ok\nInlet Temp | no reading | ns\nPS1 | 0x01 | ok\nCur | 0.20 Amps | ok");
    assert_eq!((short.status, short.records.len(), short.readings.len()), (Status::Ok, 4, 2));
}

#[test]
fn commas_part_the_columns_too() {
    let outcome = judged("CPU Temp,52,degrees C,ok\nFAN 1,0,RPM,cr,29.1,Fan Device\nPS1 Status,0x01,ok\n");
    assert_eq!((outcome.status, outcome.records.len(), outcome.readings.len(), outcome.faults.len()), (Status::Bad, 3, 2, 0));
}

#[test]
fn freeipmi_is_read_by_its_header() {
    let table = "ID  | Name        | Type         | Reading | Units | Event\n4   | CPU Temp    | Temperature  | 52.00   | C     | 'OK'\n\
                 71  | FAN 2       | Fan          | N/A     | RPM   | N/A\n\
                     136 | PS1 Status  | Power Supply | N/A     | N/A   | 'Presence detected'\n";
    let outcome = judged(table);
    assert_eq!((outcome.status, outcome.records.len(), outcome.readings.len(), outcome.reason.as_str()), (Status::Ok, 3, 1, "2 sensors read"));
    let bad = "ID,Name,Type,State,Reading,Units,Event\n4,CPU Temp,Temperature,Critical,99.00,C,'At or Above (>=) Upper Critical Threshold'\n";
    assert_eq!(judged(bad).status, Status::Bad);
    let lost = "ID,Name,Type,Reading,Units,Event\n9,PS1,Power Supply,N/A,N/A,'Presence detected' 'Power Supply input lost (AC/DC)'\n";
    assert_eq!(judged(lost).status, Status::Bad);
    let low = "ID,Name,Type,Reading,Units,Event\n9,FAN1,Fan,300.00,RPM,'At or Below (<=) Lower Non-Critical Threshold'\n";
    assert_eq!(judged(low).status, Status::Ok);
}

#[test]
fn what_the_tool_says_about_itself_is_unknown() {
    let at = "Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0:";
    for (text, code) in [
        (format!("{at} No such file or directory\n"), "no_device"),
        (format!("{at} Permission denied\n"), "permission_denied"),
        ("Error: Unable to establish IPMI v2 / RMCP+ session\n".to_owned(), "io_error"),
        ("bash: ipmitool: command not found\n".to_owned(), "not_found"),
        ("ipmi-sensors: driver timeout\n".to_owned(), "timed_out"),
    ] {
        let outcome = judged(&text);
        assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{text}");
    }
}

#[test]
fn another_format_is_refused_and_a_broken_line_costs_itself() {
    assert_eq!(parse("\n \n"), Err(Unreadable::Empty));
    for foreign in [
        "\nMemTotal: 1 kB\n",
        "{\"a\":1}",
        "a | b | c\n\
        d | e | f\n",
        "| | |",
        "1 | 04/12/2020 | 10:01:02 | Power Unit | Power off | Asserted",
    ] {
        assert!(matches!(parse(foreign), Err(Unreadable::Foreign { .. })), "{foreign}");
    }
    assert!(matches!(parse("\nx\n"), Err(Unreadable::Foreign { line: 2, .. })));
    let outcome = judged(&format!("{SENSOR}garbage\n"));
    assert_eq!((outcome.status, outcome.faults[0].detail.as_str()), (Status::Ok, "line 9: no sensor"));
}

#[test]
fn sensors_without_end_are_bounded() {
    let outcome = judged(&"T | 20 degrees C | ok\n".repeat(RECORDS_MAX + 3));
    assert_eq!((outcome.records.len(), outcome.faults[0].code), (RECORDS_MAX, "too_many"));
}

proptest! {
    #[test]
    fn any_text_is_taken(input in "(ID,Name,Reading,Units,Event\n\
        )?((.|PS1|Fan) ?(\\||,) ?(-?[0-9.]{0,30}|na|0x[0-9a-f]*) ?(\\||,) ?(RPM|discrete|ok|C) ?(\\||,)? ?(ok|cr|0x[0-9a-f]{0,6})?(\\| ?[0-9.]*){0,7}\n){0,6}.*") {
        if let Ok(outcome) = outcome(&input, None) {
            prop_assert!(outcome.readings.iter().all(|reading| reading.value.is_finite()));
        }
    }
}
