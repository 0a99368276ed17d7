use crate::host::Host;
use crate::host::ask::{Question, soon};
use crate::probe::tests::{recorded, taken};
use mimamori_parse::dbus::{Message, length};
use mimamori_shared::payload::FaultCode;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// What systemd 252 of Debian 12 answered through its dbus-daemon to an account without any right: six units, of which
/// one failed and one waits to be started again.
const CAPTURED: &str = "6c020101be0300000a0000003d000000050175000200000006017300040000003a312e3100000000080167000d61287373737373736f75736f2900000000000007017300040000\
    003a312e3000000000b603000000000000070000002d2e736c696365000a000000526f6f7420536c6963650000060000006c6f6164656400000600000061637469766500000600\
    0000616374697665000000000000000000002a0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f5f32645f3265736c69636500000000000000\
    00000000000000010000002f000000000000000e00000062726f6b656e2e7365727669636500000a0000002f62696e2f66616c73650000060000006c6f61646564000006000000\
    6661696c65640000060000006661696c6564000000000000000000002f0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f62726f6b656e5f32\
    657365727669636500000000000000000000000000010000002f0000000d000000616761696e2e736572766963650000000a0000002f62696e2f66616c73650000060000006c6f\
    6164656400000a00000061637469766174696e6700000c0000006175746f2d726573746172740000000000000000000000002e0000002f6f72672f667265656465736b746f702f\
    73797374656d64312f756e69742f616761696e5f3265736572766963650000000000000000000000000000010000002f000000000000000e000000626f6f742e6175746f6d6f75\
    6e7400000e000000626f6f742e6175746f6d6f756e740000090000006e6f742d666f756e6400000008000000696e61637469766500000000040000006465616400000000000000\
    00000000002f0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f626f6f745f32656175746f6d6f756e74000000000000000000000000000100\
    00002f000000000000000c000000646275732e736572766963650000000018000000442d4275732053797374656d204d6573736167652042757300000000060000006c6f616465\
    6400000600000061637469766500000700000072756e6e696e670000000000000000002d0000002f6f72672f667265656465736b746f702f73797374656d64312f756e69742f64\
    6275735f326573657276696365000000000000000000000000000000010000002f0000000a000000626f6f742e6d6f756e7400000a000000626f6f742e6d6f756e740000090000\
    006e6f742d666f756e6400000008000000696e6163746976650000000004000000646561640000000000000000000000002b0000002f6f72672f667265656465736b746f702f73\
    797374656d64312f756e69742f626f6f745f32656d6f756e7400000000000000000000000000010000002f00";
const COUNTED: &str = r#"{"units":{"total":6,"failed":1,"restarting":1}}"#;

#[test]
fn units_are_counted_and_never_named() {
    assert_eq!(taken(&recorded(&[("recorded/systemd", CAPTURED)]), "units"), (COUNTED.to_owned(), vec![]));
}

/// None of them is a machine on which nothing failed.
#[test]
fn whatever_keeps_systemd_from_answering_has_a_word_of_its_own() {
    let without = CAPTURED.replace(&hex(b"failed\0"), &hex(b"fai\0ed\0"));
    for (files, expected) in [
        (&[][..], "not_found"),
        (&[("run/systemd/system/x.service.d/y.conf", "")], "unsupported"),
        (&[("recorded/systemd", CAPTURED), ("recorded/denied", "run/dbus\n")], "permission_denied"),
        (&[("recorded/systemd", "")], "malformed"),
        (&[("recorded/systemd", "6c0")], "malformed"),
        (&[("recorded/systemd", &CAPTURED[2..])], "malformed"),
        (&[("recorded/systemd", &without)], "malformed"),
        (&[("recorded/systemd", &refusal("AccessDenied"))], "permission_denied"),
        (&[("recorded/systemd", &refusal("ServiceUnknown")), ("run/systemd/system/x", "")], "not_found"),
        (&[("recorded/systemd", &refusal("NoReply"))], "timed_out"),
        (&[("recorded/systemd", &refusal("UnknownMethod"))], "unsupported"),
        (&[("recorded/systemd", &refusal("NoMemory"))], "io_error"),
    ] {
        assert_eq!(taken(&recorded(files), "units"), ("{}".to_owned(), vec![format!("units {expected}")]), "{files:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A message of this kind with these fields, the value of each after its type, and this body.
fn message(kind: u8, serial: u8, fields: &[(u8, u8, &str)], body: &[u8]) -> Vec<u8> {
    let mut message = vec![b'l', kind, 0, 1, 0, 0, 0, 0, serial, 0, 0, 0, 0, 0, 0, 0];
    message[4..8].copy_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    for (code, of, value) in fields {
        message.resize(message.len().next_multiple_of(8), 0);
        message.extend([*code, 1, *of, 0]);
        let length = u32::try_from(value.len()).unwrap().to_le_bytes();
        match of {
            b'u' => message.extend(value.parse::<u32>().unwrap().to_le_bytes()),
            b'g' => message.extend([&length[..1], value.as_bytes(), b"\0"].concat()),
            _ => message.extend([&length, value.as_bytes(), b"\0"].concat()),
        }
    }
    let length = u32::try_from(message.len() - 16).unwrap();
    message[12..16].copy_from_slice(&length.to_le_bytes());
    message.resize(message.len().next_multiple_of(8), 0);
    [message, body.to_vec()].concat()
}

fn refusal(name: &str) -> String {
    hex(&message(3, 7, &[(4, b's', &format!("org.freedesktop.DBus.Error.{name}")), (5, b'u', "2")], b""))
}

/// The bus daemon of Debian's package, with a socket and a policy of its own; ends with the test, however that ends.
struct Bus {
    folder: tempfile::TempDir,
    daemon: Child,
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.daemon.kill().and_then(|()| self.daemon.wait()).unwrap();
    }
}

impl Bus {
    #[allow(clippy::disallowed_methods, reason = "the daemon that is asked is a program of its own")]
    fn start(policy: &str) -> Bus {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("run/dbus")).unwrap();
        let (socket, config) = (folder.path().join("run/dbus/system_bus_socket"), folder.path().join("bus.conf"));
        let text = format!(
            "<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">{policy}</policy></busconfig>",
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = std::process::Command::new("dbus-daemon");
        command.arg(format!("--config-file={}", config.display())).args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut daemon = command.spawn().unwrap_or_else(|error| panic!("dbus-daemon: {error} (`make setup` installs dbus-daemon)"));
        // It says where it listens as soon as it does.
        let mut address = String::new();
        BufReader::new(daemon.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("unix:path="), "{address}");
        Bus { folder, daemon }
    }

    fn taken(&self) -> (String, Vec<String>) {
        taken(&Host::below(self.folder.path()), "units")
    }

    /// A client of the bus that has systemd's name, as the daemon confirmed.
    fn systemd(&self) -> Manager {
        let mut stream = UnixStream::connect(self.folder.path().join("run/dbus/system_bus_socket")).unwrap();
        // Whoever never hears from the bus ends the test.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n").unwrap();
        let bus = [(1, b'o', "/org/freedesktop/DBus"), (2, b's', "org.freedesktop.DBus"), (6, b's', "org.freedesktop.DBus")];
        let name = [&24_u32.to_le_bytes()[..], b"org.freedesktop.systemd1\0\0\0\0", &0_u32.to_le_bytes()].concat();
        stream.write_all(&message(1, 1, &[&bus[..], &[(3, b's', "Hello")]].concat(), b"")).unwrap();
        stream.write_all(&message(1, 2, &[&bus[..], &[(3, b's', "RequestName"), (8, b'g', "su")]].concat(), &name)).unwrap();
        let mut welcome = BufReader::new(stream);
        for line in ["DATA", "OK "] {
            let mut said = String::new();
            welcome.read_line(&mut said).unwrap();
            assert!(said.starts_with(line), "{said}");
        }
        let mut manager = Manager { stream: welcome };
        while Message::read(&manager.next()).unwrap().answers() != Some(2) {}
        manager
    }
}

/// In systemd's place on the bus.
struct Manager {
    stream: BufReader<UnixStream>,
}

impl Manager {
    fn next(&mut self) -> Vec<u8> {
        let mut message = vec![0; 16];
        self.stream.read_exact(&mut message).unwrap();
        message.resize(length(&message).unwrap().unwrap(), 0);
        self.stream.read_exact(&mut message[16..]).unwrap();
        message
    }

    /// Takes one question for the units, and answers it with this body.
    fn answers(mut self, signature: &str, body: &[u8]) {
        let question = loop {
            let message = self.next();
            if message.windows(9).any(|part| part == b"ListUnits") {
                break message;
            }
        };
        let from = question.windows(4).position(|part| part == [7, 1, b's', 0]).unwrap() + 4;
        let length = usize::from(question[from]);
        let who = std::str::from_utf8(&question[from + 4..from + 4 + length]).unwrap();
        let fields = [(5, b'u', "2"), (6, b's', who), (8, b'g', signature)];
        self.stream.get_mut().write_all(&message(2, 9, &fields, body)).unwrap();
    }
}

const OPEN: &str = "<allow user=\"*\"/><allow own=\"*\"/><allow send_type=\"method_call\"/><allow send_requested_reply=\"true\"/>\
    <allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/><allow receive_type=\"error\"/><allow receive_type=\"signal\"/>";

#[test]
fn the_real_bus_daemon_is_understood() {
    let bus = Bus::start(OPEN);
    assert_eq!(bus.taken(), ("{}".to_owned(), vec!["units not_found".to_owned()]), "systemd is not on the bus");
    let captured = bytes(CAPTURED);
    // Behind the header of the capture.
    let body = &captured[captured.len() - usize::try_from(u32::from_le_bytes(captured[4..8].try_into().unwrap())).unwrap()..];
    let manager = bus.systemd();
    let counted = std::thread::scope(|threads| {
        threads.spawn(|| manager.answers("a(ssssssouso)", body));
        bus.taken()
    });
    assert_eq!(counted, (COUNTED.to_owned(), vec![]));
    // What is no list of units the daemon passes on all the same.
    let manager = bus.systemd();
    let other = std::thread::scope(|threads| {
        threads.spawn(|| manager.answers("u", &7_u32.to_le_bytes()));
        bus.taken()
    });
    assert_eq!(other, ("{}".to_owned(), vec!["units malformed".to_owned()]));
    // The name is held, and nobody answers.
    let _silent = bus.systemd();
    assert_eq!(bus.taken(), ("{}".to_owned(), vec!["units timed_out".to_owned()]));
}

#[test]
fn the_real_bus_daemon_refuses_whom_it_is_told_to_refuse() {
    let shut = Bus::start("<deny user=\"*\"/>");
    assert_eq!(Host::below(shut.folder.path()).ask(Question::Units, soon()), Err(FaultCode::PermissionDenied), "at the door");
    assert_eq!(shut.taken().1, ["units permission_denied"]);
    let mute = Bus::start(&format!("{OPEN}<deny send_interface=\"org.freedesktop.systemd1.Manager\" send_member=\"ListUnits\"/>"));
    let _manager = mute.systemd();
    assert!(Host::below(mute.folder.path()).ask(Question::Units, soon()).is_ok(), "by an answer");
    assert_eq!(mute.taken().1, ["units permission_denied"]);
    let path: &Path = shut.folder.path();
    std::fs::remove_file(path.join("run/dbus/system_bus_socket")).unwrap();
    assert_eq!(shut.taken().1, ["units not_found"]);
    std::fs::create_dir_all(path.join("run/systemd/system")).unwrap();
    assert_eq!(shut.taken().1, ["units unsupported"], "systemd runs, and its bus does not");
}
