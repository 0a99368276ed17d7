use super::*;
use crate::host::ask::Ports;
use crate::probe::tests::{recorded, shown, taken};
use proptest::prelude::*;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const LIST: (&str, &str) = ("recorded/nut/LIST UPS", "BEGIN LIST UPS\nUPS rack \"In \\\"CT\\\" room\"\nEND LIST UPS\nOK Goodbye\n");

fn variables_of(status: &str, more: &str) -> String {
    format!("BEGIN LIST VAR rack\nVAR rack ups.status \"{status}\"\n{more}END LIST VAR rack\nOK Goodbye\n")
}

/// The only UPS of a machine whose NUT says this of it, without its name, and the faults.
fn nut_says(answer: &str) -> (String, Vec<String>) {
    let (readings, faults) = taken(&recorded(&[LIST, ("recorded/nut/LIST VAR rack", answer)]), "ups");
    let word = Names::new(b"a salt for tests", [].into()).ups("rack");
    (readings.replace(&format!(r#"{{"name":"{word}","#), "{"), faults.iter().map(|fault| fault.replace(word.as_str(), "RACK")).collect())
}

/// A section of one UPS that is not overloaded: its state so far, and charge, runtime and load.
fn told(state: &str, [charge, runtime, load]: [i64; 3]) -> String {
    format!(r#"{{"ups":[{{{state}"overload":0,"charge_percent":{charge},"runtime_s":{runtime},"load_percent":{load},"alarm":0}}]}}"#)
}

#[test]
fn a_machine_without_a_ups_lacks_nothing() {
    assert_eq!(taken(&recorded(&[]), "ups"), ("{}".to_owned(), vec![]));
    assert_eq!(taken(&recorded(&[("recorded/nut/LIST UPS", "BEGIN LIST UPS\nEND LIST UPS\nOK Goodbye\n")]), "ups"), ("{}".to_owned(), vec![]));
}

#[test]
fn what_nut_says_becomes_the_section() {
    let more = "VAR rack battery.charge \"97\"\nVAR rack battery.runtime \"1840\"\nVAR rack ups.load \"23.5\"\nVAR rack ups.serial \"AS1\"\n";
    let expected = told(r#""status":"online","on_battery":0,"battery_low":0,"replace_battery":0,"#, [97, 1840, 24]);
    assert_eq!(nut_says(&variables_of("OL CHRG", more)), (expected, vec![]));
}

#[test]
fn flags_become_a_word_and_numbers() {
    for (flags, word, numbers) in [
        ("OL", "online", [0, 0, 0, 0, 0]),
        ("OL BYPASS", "online", [0, 0, 0, 0, 0]),
        ("OL LB CHRG", "online", [0, 1, 0, 0, 0]),
        ("OB DISCHRG", "battery", [1, 0, 0, 0, 0]),
        ("OB LB", "low", [1, 1, 0, 0, 0]),
        ("FSD OL", "low", [0, 1, 0, 0, 0]),
        ("OL RB OVER", "online", [0, 0, 1, 1, 0]),
        ("OL OFF", "off", [0, 0, 0, 0, 0]),
        ("OL ALARM", "online", [0, 0, 0, 0, 1]),
        ("CHRG", "unknown", [0, 0, 0, 0, 0]),
    ] {
        let [battery, low, replace, over, alarm] = numbers;
        let state = format!(r#""status":"{word}","on_battery":{battery},"battery_low":{low},"replace_battery":{replace},"overload":{over},"alarm":{alarm}"#);
        let expected = format!(r#"{{"ups":[{{{state}}}]}}"#);
        assert_eq!(nut_says(&variables_of(flags, "")), (expected, vec![]), "{flags}");
    }
}

/// Nothing is 0 because it is not known.
#[test]
fn what_cannot_be_known_is_left_out() {
    let unknown = r#"{"ups":[{"status":"unknown"}]}"#.to_owned();
    let charge = "VAR rack battery.charge \"97\"\n";
    assert_eq!(nut_says(&variables_of("NOCOMM OL", charge)), (unknown.clone(), vec!["ups RACK io_error".to_owned()]));
    assert_eq!(nut_says(&variables_of("WAIT", charge)), (unknown.clone(), vec![]));
    assert_eq!(nut_says(&variables_of("", "")), (unknown, vec![]));
    let silent = "BEGIN LIST VAR rack\nVAR rack battery.charge \"97\"\nEND LIST VAR rack\n";
    assert_eq!(nut_says(silent), (r#"{"ups":[{"status":"unknown","charge_percent":97}]}"#.to_owned(), vec!["ups.status RACK not_found".to_owned()]));
    let absurd = "VAR rack battery.charge \"101\"\nVAR rack battery.runtime \"-1\"\nVAR rack ups.load \"1000.6\"\n";
    let (readings, faults) = nut_says(&variables_of("OL", absurd));
    assert!(!readings.contains("charge") && !readings.contains("runtime") && !readings.contains("load_"), "{readings}");
    assert_eq!(faults, ["ups.charge_percent RACK malformed", "ups.load_percent RACK malformed", "ups.runtime_s RACK malformed"]);
}

#[test]
fn a_ups_that_nut_cannot_tell_of_is_a_fault_of_its_own() {
    let whole = variables_of("OL", "");
    for (answer, code) in [
        ("ERR DATA-STALE\nOK Goodbye\n", "timed_out"),
        ("ERR DRIVER-NOT-CONNECTED\nOK Goodbye\n", "io_error"),
        ("ERR ACCESS-DENIED\nOK Goodbye\n", "permission_denied"),
        ("ERR UNKNOWN-UPS\nOK Goodbye\n", "not_found"),
        ("ERR \n", "io_error"),
        (&whole[..whole.len() - 30], "malformed"),
        (&whole.replace("LIST VAR rack", "LIST VAR other"), "malformed"),
        ("BEGIN LIST VAR rack\nEND LIST VAR rack\n", "not_found"),
        ("BEGIN LIST VAR rack\na b\nc d\nEND LIST VAR rack\n", "malformed"),
        ("HTTP/1.1 400 Bad Request\r\n", "malformed"),
        ("\0\u{1b}", "malformed"),
    ] {
        assert_eq!(nut_says(answer), ("{}".to_owned(), vec![format!("ups RACK {code}")]), "{answer}");
    }
    assert_eq!(taken(&recorded(&[LIST]), "ups").1.len(), 1, "listed and then not there");
    let (readings, faults) = nut_says(&variables_of("OL", "garbage\n"));
    assert!(readings.contains("online") && faults == ["ups RACK malformed"], "a broken line costs itself: {readings} {faults:?}");
}

#[test]
fn a_list_that_cannot_be_had_is_a_fault_of_the_section() {
    for (answer, code) in [
        ("ERR ACCESS-DENIED\nOK Goodbye\n", "permission_denied"),
        ("ERR UNKNOWN-COMMAND\nOK Goodbye\n", "unsupported"),
        ("BEGIN LIST UPS\nUPS rack \"a\"\n", "malformed"),
        ("BEGIN LIST UPS\nVAR rack \"a\"\nEND LIST UPS\n", "malformed"),
        ("SSH-2.0-OpenSSH\r\n", "malformed"),
    ] {
        assert_eq!(taken(&recorded(&[("recorded/nut/LIST UPS", answer)]), "ups"), ("{}".to_owned(), vec![format!("ups {code}")]), "{answer}");
    }
}

#[test]
fn eight_are_looked_at_and_names_that_say_more_are_not_asked_for() {
    let list = |names: &[String]| {
        let lines: String = names.iter().map(|name| format!("UPS {name} \"d\"\n")).collect();
        format!("BEGIN LIST UPS\n{lines}END LIST UPS\n")
    };
    let names: Vec<String> = (0..9).map(|n| format!("u{n}")).collect();
    let answers: Vec<(String, String)> = names
        .iter()
        .map(|name| (format!("recorded/nut/LIST VAR {name}"), variables_of("OL", "").replace("rack", name)))
        .chain([("recorded/nut/LIST UPS".to_owned(), list(&names))])
        .collect();
    let answers: Vec<(&str, &str)> = answers.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (readings, faults) = taken(&recorded(&answers), "ups");
    assert_eq!((readings.matches("online").count(), faults), (8, vec!["ups too_many".to_owned()]));
    let (_, faults) = taken(&recorded(&[("recorded/nut/LIST UPS", &list(&["a/../b".to_owned(), "層".to_owned()]))]), "ups");
    assert!(faults.len() == 2 && faults.iter().all(|fault| fault.starts_with("ups ups-") && fault.ends_with(" malformed")), "{faults:?}");
    let (_, faults) = taken(&recorded(&[LIST, (LIST.0, &list(&["a".to_owned(), "a".to_owned()]))]), "ups");
    assert!(faults.iter().any(|fault| fault.ends_with(" too_many")), "{faults:?}");
}

/// What apcupsd 3.14.14 of Debian 12 answered whose UPS was another machine's, which was not there.
const COMMLOST: &str = "APC      : 001,018,0444\nDATE     : 2026-11-27 22:41:19 +0000  \nHOSTNAME : vm\nVERSION  : 3.14.14 (31 May 2016) debian\n\
    UPSNAME  : rackname\nCABLE    : Ethernet Link\nDRIVER   : NETWORK UPS Driver\nUPSMODE  : Net Slave\nSTARTTIME: 2026-11-27 22:41:15 +0000  \n\
    STATUS   : COMMLOST \nMBATTCHG : 10 Percent\nMINTIMEL : 5 Minutes\nMAXTIME  : 0 Seconds\nNUMXFERS : 0\nTONBATT  : 0 Seconds\n\
    CUMONBATT: 0 Seconds\nXOFFBATT : N/A\nSTATFLAG : 0x05000100\nEND APC  : 2026-11-27 22:41:19 +0000  \n";

#[test]
fn what_apcupsd_says_becomes_the_section() {
    let name = Names::new(b"a salt for tests", [].into()).ups(APCUPSD);
    let says = |report: &str| taken(&recorded(&[("recorded/apcupsd", report)]), "ups");
    let figures = "LOADPCT  : 21.4 Percent\nBCHARGE  : 9.0 Percent\nTIMELEFT : 2.5 Minutes";
    let report = COMMLOST.replace("COMMLOST ", &format!("ONBATT LOWBATT \n{figures}"));
    let state = format!(r#""name":"{name}","status":"low","on_battery":1,"battery_low":1,"replace_battery":0,"#);
    let expected = told(&state, [9, 150, 21]);
    assert_eq!(says(&report), (expected, vec![]));
    assert_eq!(says(COMMLOST), (format!(r#"{{"ups":[{{"name":"{name}","status":"unknown"}}]}}"#), vec![format!("ups {name} io_error")]));
    assert!(says(&COMMLOST.replace("COMMLOST", "ONLINE NOBATT")).0.contains(r#""replace_battery":1"#));
    // The second is what apcupsd says to a question that it does not know.
    for foreign in ["Access denied\n", "Invalid command\n\0", "ups.status: OL\n"] {
        assert_eq!(says(foreign), ("{}".to_owned(), vec![format!("ups {name} malformed")]), "{foreign}");
    }
    let both = taken(&recorded(&[LIST, ("recorded/nut/LIST VAR rack", &variables_of("OL", "")), ("recorded/apcupsd", &report)]), "ups");
    assert_eq!((both.0.matches("status").count(), both.1.len()), (2, 0));
}

/// Both silent: the section is told of as two faults before its thread counts as hanging (6 s).
#[test]
fn daemons_that_are_silent_cost_two_seconds_each() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    let (readings, faults) = taken(&Host::asking(Ports { nut: port, apcupsd: port, chrony: port }), "ups");
    assert_eq!(readings, "{}");
    assert!(faults.len() == 2 && faults.iter().all(|fault| fault.ends_with(" timed_out")), "{faults:?}");
    assert!((4000..5500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

/// The time is that of all questions to one daemon together, not of each.
#[test]
fn a_nut_that_answers_the_list_and_then_no_more_costs_two_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, closed) = (listener.local_addr().unwrap().port(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            if line == "LIST UPS\n" {
                stream.write_all(b"BEGIN LIST UPS\nUPS a \"\"\nUPS b \"\"\nUPS c \"\"\nEND LIST UPS\nOK Goodbye\n").unwrap();
            }
            open.push(stream);
        }
    });
    let begun = Instant::now();
    let (_, faults) = taken(&Host::asking(Ports { nut: port, apcupsd: closed, chrony: closed }), "ups");
    assert!(faults.len() == 3 && faults.iter().all(|fault| fault.ends_with(" timed_out")), "{faults:?}");
    assert!((2000..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).unwrap();
    }
}

/// A program of NUT's, in the foreground, with a folder of its own.
#[allow(clippy::disallowed_methods, reason = "the daemons that are asked are programs of their own")]
fn start(program: &str, args: &[&str], folder: &Path) -> Running {
    let program = Path::new("/lib/nut").join(program);
    let mut command = std::process::Command::new(&program);
    // As root it would become the account of the package, which may not read the folder.
    let user: &[&str] = if rustix::process::geteuid().is_root() { &["-u", "root"] } else { &[] };
    command.args(user).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for variable in ["NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"] {
        command.env(variable, folder);
    }
    Running(command.spawn().unwrap_or_else(|error| panic!("{}: {error} (`make setup` installs nut-server)", program.display())))
}

/// Takes the section until it is as wanted.
fn until(host: &Host, wanted: impl Fn(&str, &[String]) -> bool) -> (String, Vec<String>) {
    let begun = Instant::now();
    loop {
        let (readings, faults) = taken(host, "ups");
        if wanted(&readings, &faults) {
            return (readings, faults);
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{readings} {faults:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The daemon of Debian's package, with its driver for a UPS that is a file.
#[test]
fn the_real_upsd_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (nut, closed) = (free(), free());
    let host = Host::asking(Ports { nut, apcupsd: closed, chrony: closed });
    let device = |name: &str| format!("[{name}]\ndriver = dummy-ups\nport = {name}.dev\ndesc = \"A \\\"{name}\\\"\"\n");
    put("ups.conf", &(device("rack") + &device("dead")));
    put("rack.dev", "ups.status: OB LB RB\nbattery.charge: 7\nbattery.runtime: 61\nups.load: 23.4\nups.serial: AS00000\n");
    put("upsd.conf", &format!("LISTEN 127.0.0.1 {nut}\n"));
    put("upsd.users", "");
    let driver = start("dummy-ups", &["-D", "-a", "rack"], folder.path());
    let _daemon = start("upsd", &["-D"], folder.path());
    let names = Names::new(b"a salt for tests", [].into());
    let (rack, dead) = (names.ups("rack"), names.ups("dead"));
    let (readings, faults) = until(&host, |readings, _| readings.contains("\"status\":\"low\""));
    let state = format!(r#""name":"{rack}","status":"low","on_battery":1,"battery_low":1,"replace_battery":1,"#);
    let expected = told(&state, [7, 61, 23]);
    assert_eq!((readings, faults), (expected, vec![format!("ups {dead} io_error")]));
    drop(driver);
    let mut lost = vec![format!("ups {dead} io_error"), format!("ups {rack} io_error")];
    lost.sort();
    until(&host, |readings, faults| readings == "{}" && faults == lost);
}

proptest! {
    #[test]
    fn any_answer_of_nut_is_taken(answer in "(BEGIN LIST (UPS|VAR a)\n)?\
        ((UPS|VAR) a? ?(ups.status|battery.charge|.) \"?(OL|OB|-?[0-9.]{0,25}|.)*\"?\n){0,6}(END LIST (UPS|VAR a)\n)?.*") {
        prop_assert!(upses(&answer).is_ok_and(|names| names.len() <= answer.lines().count()) || upses(&answer).is_err());
        let mut faults = Vec::new();
        let ups = entry(Word::default(), variables(&answer, "a"), &mut Take::new("ups", &mut faults));
        prop_assert!(ups.is_some() || !faults.is_empty());
        prop_assert!(ups.is_none_or(|ups| ups.status.is_some() && ups.charge_percent.is_none_or(|charge| (0..=100).contains(&charge))));
        prop_assert!(shown(&faults).iter().all(|fault| fault.starts_with("ups")));
    }

    #[test]
    fn any_report_of_apcupsd_is_taken(report in "((STATUS|APC|BCHARGE|TIMELEFT|LOADPCT|.) ?: ?(ONLINE|COMMLOST|-?[0-9.]{0,25}|.*)\n){0,8}.*") {
        let mut faults = Vec::new();
        let ups = entry(Word::default(), status(&report), &mut Take::new("ups", &mut faults));
        prop_assert!(ups.is_some() || !faults.is_empty());
    }
}
