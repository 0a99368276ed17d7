use super::*;
use crate::view::tests::{AT_MS, fleet as view_of, found, machine};
use std::io::Write as _;
use std::process::Stdio;

fn shown(machines: Vec<MachineView>, format: Format) -> String {
    page(&SelfMetrics::new("0.1.0", AT_MS).unwrap(), &view_of(machines), format)
}

#[track_caller]
fn has(out: &str, line: &str) {
    assert!(out.lines().any(|one| one == line), "{line}\n{out}");
}

#[test]
fn readings_carry_their_labels_and_base_units() {
    let out = shown(vec![machine("ct")], Format::Text);
    for line in [
        "# TYPE mimamori_machine_cpu_seconds_total counter",
        r#"mimamori_machine_cpu_seconds_total{facility="north",machine="ct",mode="user"} 0.035"#,
        r#"mimamori_machine_load_average{facility="north",machine="ct",minutes="1"} 1.25"#,
        r#"mimamori_machine_filesystem_available_bytes{facility="north",machine="ct",filesystem="pacs"} 40"#,
        r#"mimamori_machine_disk_reads_total{facility="north",machine="ct",device="sda"} 7"#,
        r#"mimamori_machine_network_link_up{facility="north",machine="ct",device="eth0"} 1"#,
        r#"mimamori_machine_state{facility="north",machine="ct",state="up"} 1"#,
        r#"mimamori_machine_state{facility="north",machine="ct",state="down"} 0"#,
        r#"mimamori_machine_last_report_timestamp_seconds{facility="north",machine="ct"} 1795324594"#,
        r#"mimamori_machine_clock_skew_seconds{facility="north",machine="ct"} 1"#,
        r#"mimamori_machine_consent_state{facility="north",machine="ct",state="granted"} 1"#,
        r#"mimamori_machine_consent_ends_soon{facility="north",machine="ct",days="30"} 1"#,
        r#"mimamori_machine_push_failed_seconds_total{facility="north",machine="ct",layer="dns"} 5"#,
        r#"mimamori_machine_faults{facility="north",machine="ct",probe="disk.reads",code="permission_denied"} 2"#,
        r#"mimamori_machine_series_dropped{facility="north",machine="ct"} 0"#,
        r#"mimamori_machine_finding{facility="north",machine="ct",check="drive_health",name="sda",state="bad"} 1"#,
        r#"mimamori_machine_finding{facility="north",machine="ct",check="of_a_newer_agent",name="x",state="gone"} 1"#,
        r#"mimamori_machine_findings_standing{facility="north",machine="ct",state="bad"} 1"#,
        r#"mimamori_machine_findings_standing{facility="north",machine="ct",state="unknown"} 0"#,
        r#"mimamori_machines{state="up"} 1"#,
        "mimamori_facilities 1",
    ] {
        has(&out, line);
    }
}

#[test]
fn openmetrics_names_counters_without_total_and_ends() {
    let out = shown(vec![machine("ct")], Format::OpenMetrics);
    has(&out, "# TYPE mimamori_machine_cpu_seconds counter");
    has(&out, r#"mimamori_machine_cpu_seconds_total{facility="north",machine="ct",mode="user"} 0.035"#);
    assert!(out.ends_with("\n# EOF\n") && out.matches("# EOF").count() == 1);
    assert!(!out.lines().any(|line| line.starts_with("# TYPE") && line.ends_with("_total counter")), "{out}");
}

#[test]
fn stale_readings_are_left_out_and_the_state_stays() {
    let silent = MachineView { state: State::NotKnown, ..machine("ct") };
    let backlog = MachineView { last_taken_ms: Some(0), ..machine("mr") };
    let out = shown(vec![silent, backlog], Format::Text);
    assert!(!out.contains("mimamori_machine_load_average") && !out.contains("mimamori_machine_faults{"), "{out}");
    has(&out, r#"mimamori_machine_finding{facility="north",machine="ct",check="drive_health",name="sda",state="bad"} 1"#);
    has(&out, r#"mimamori_machine_state{facility="north",machine="ct",state="not_known"} 1"#);
    has(&out, r#"mimamori_machine_state{facility="north",machine="mr",state="up"} 1"#);
}

#[test]
fn no_machine_makes_more_series_than_its_bound_and_none_twice() {
    let mut hostile = machine("ct");
    let report = hostile.report.as_mut().unwrap();
    let disk = report.readings.disk[0].clone();
    report.readings.disk = (0..400).map(|n| mimamori_shared::fields::Disk { name: format!("d{}", n / 2).parse().unwrap(), ..disk.clone() }).collect();
    let probe = |n: usize| format!("p{n}").parse().unwrap();
    let fault = report.faults[0].clone();
    hostile.standing = (0..1024).map(|n| found("drive_health", &format!("d-{n}"), Standing::Bad)).collect();
    report.faults = (0..100).map(|n| mimamori_shared::payload::Fault { probe: probe(n), ..fault.clone() }).collect();
    let view = view_of(vec![hostile]);
    let order = fields().filter(|field| !field.metric.is_empty()).map(|field| (field.id, 0)).collect();
    let report = view.facilities[0].machines[0].current_report(AT_MS);
    let row = Row::of("north", &view.facilities[0].machines[0], report.as_ref(), &order);
    assert!(row.readings.len() + row.faults.len() + row.standing().count() <= SERIES_PER_AGENT_MAX);
    assert_eq!((row.faults.len(), row.standing().count(), row.dropped), (FAULTS_MAX, FINDINGS_MAX, 400 + 68 + 960));
    let out = shown(view.facilities[0].machines.clone(), Format::Text);
    let series: Vec<&str> = out.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(series.len(), series.iter().collect::<HashSet<_>>().len());
    has(&out, r#"mimamori_machine_series_dropped{facility="north",machine="ct"} 1428"#);
    has(&out, r#"mimamori_machine_findings_standing{facility="north",machine="ct",state="bad"} 1024"#);
}

/// A replacement takes the name of the machine before it: the page shows the one in service only, and counts both.
#[test]
fn a_retired_machine_and_its_successor_of_the_same_name_make_no_series_twice() {
    let old = MachineView { life: Life::Retired, state: State::NotKnown, epoch: 7, ..machine("ct") };
    for machines in [vec![machine("ct"), old.clone(), old.clone()], vec![old, machine("ct")]] {
        let out = shown(machines.clone(), Format::Text);
        let series: Vec<&str> = out.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(series.len(), series.iter().collect::<HashSet<_>>().len(), "{out}");
        has(&out, r#"mimamori_machine_chain_epoch{facility="north",machine="ct"} 1"#);
        has(&out, r#"mimamori_machines{state="up"} 1"#);
        has(&out, &format!(r#"mimamori_machines{{state="retired"}} {}"#, machines.len() - 1));
        has(&out, r#"mimamori_machines{state="not_known"} 0"#);
    }
}

#[test]
fn every_family_stands_together_and_is_explained_once() {
    let out = shown(vec![machine("ct"), machine("mr")], Format::Text);
    let mut explained = HashSet::new();
    let mut current = "";
    for line in out.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap();
            assert!(explained.insert(current), "{current} twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(current), "{line} under {current}");
        }
    }
}

/// Whatever a facility or an agent calls itself, no line is added.
#[test]
fn hostile_labels_add_no_line() {
    let named = |text: &str| MachineView { agent_version: text.to_owned(), fingerprint: text.to_owned(), ..machine(text) };
    let plain = shown(vec![named("a")], Format::Text).lines().count();
    let out = shown(vec![named("x\"} 1\nup{y=\"\\")], Format::Text);
    assert_eq!(out.lines().count(), plain);
    has(&out, r#"mimamori_machine_chain_forked{facility="north",machine="x\"} 1\nup{y=\"\\"} 0"#);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "promtool is the judge of the format")]
fn promtool_finds_nothing() {
    let mut full = machine("ct");
    let mut text = serde_json::Map::new();
    for section in mimamori_shared::fields::SECTIONS {
        let mut values = serde_json::Map::new();
        for field in fields().filter(|field| field.section == *section) {
            let value = match field.kind {
                Kind::Text => serde_json::json!("word"),
                Kind::Table => serde_json::json!([[1, 2, 3, 4, 5, 6]]),
                Kind::Counter | Kind::Gauge | Kind::Flag => serde_json::json!(field.id),
            };
            values.insert(field.name.to_owned(), value);
        }
        let list = fields().any(|field| field.section == *section && !field.name_class.is_empty());
        values.extend(list.then(|| ("name".to_owned(), serde_json::json!("A.b:c+d-e_1"))));
        let value = serde_json::Value::Object(values);
        text.insert((*section).to_owned(), if list { serde_json::json!([value]) } else { value });
    }
    full.report.as_mut().unwrap().readings = serde_json::from_value(text.into()).unwrap();
    let ids = mimamori_shared::checks::CHECKS.iter().map(|check| check.id).chain(["Of.a:newer+agent"]);
    let states = [Standing::Unknown, Standing::Gone, Standing::Bad].into_iter().cycle();
    let one = |(id, state)| if id == "oom_kill" { found(id, "", Standing::Bad) } else { found(id, "A.b:c+d-e_1", state) };
    full.standing = ids.zip(states).map(one).collect();
    let checks = full.standing.len();
    let out = shown(vec![full, machine("mr")], Format::Text);
    let of_ct = |line: &&str| line.starts_with("mimamori_machine_finding{facility=\"north\",machine=\"ct\",");
    assert_eq!(out.lines().filter(of_ct).count(), checks);
    for line in [
        r#"mimamori_machine_finding{facility="north",machine="ct",check="oom_kill",name="",state="bad"} 1"#,
        r#"mimamori_machine_drive_power_on_seconds_total{facility="north",machine="ct",device="A.b:c+d-e_1"} 892800"#,
        r#"mimamori_machine_network_speed_bytes_per_second{facility="north",machine="ct",device="A.b:c+d-e_1"} 16250000"#,
        r#"mimamori_machine_sensor_temperature_celsius{facility="north",machine="ct",sensor="A.b:c+d-e_1"} 0.32"#,
        r#"mimamori_machine_series_dropped{facility="north",machine="ct"} 0"#,
    ] {
        has(&out, line);
    }
    assert!(families().iter().all(|(metric, _)| out.contains(&format!("# TYPE {PREFIX}{metric} "))));
    let tool = std::process::Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut tool = tool.expect("promtool is there: `make setup` installs it");
    tool.stdin.take().unwrap().write_all(out.as_bytes()).unwrap();
    let said = tool.wait_with_output().unwrap();
    let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_facility_makes_no_more_series_than_its_bound_and_leaves_the_others_theirs() {
    use mimamori_shared::fields::Disk;
    let disk = |n: usize| Disk { name: format!("d-{n}").parse().unwrap(), reads: Some(1), writes: Some(1), ..Disk::default() };
    let mut many = machine("m");
    many.report.as_mut().unwrap().readings.disk = (0..200).map(disk).collect();
    let mut view = view_of(vec![many; 60]);
    let small = crate::view::FacilityView { alias: "small".to_owned(), machines: vec![machine("ct")], ..view.facilities[0].clone() };
    view.facilities.push(small);
    let (mut text, own) = (String::new(), SelfMetrics::new("0.1.0", 0).unwrap());
    text.push_str(&page(&own, &view, Format::Text));
    let readings = |facility: &str| {
        let of = format!("facility=\"{facility}\"");
        let names: Vec<String> = families().iter().map(|(metric, _)| format!("{PREFIX}{metric}{{")).collect();
        text.lines().filter(|line| line.contains(&of) && names.iter().any(|name| line.starts_with(name.as_str()))).count()
    };
    assert_eq!(readings("north"), mimamori_shared::limits::SERIES_PER_FACILITY_MAX);
    assert!(readings("small") > 5);
}
