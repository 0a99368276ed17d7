//! Strings that look like patient data, all invented, wherever a machine has names and texts: none of them occurs in a
//! byte that was sent, queued, logged or shown (R73, PV-01). `plant.rs` shows that the search would find them.

#![allow(clippy::disallowed_methods, reason = "files of a machine are made and looked through")]

use mimamori_tests::plant::{Plants, Scanner};
use mimamori_tests::process::{Guard, program};
use mimamori_tests::tap::Tap;
use mimamori_tests::{AgentHome, World, get, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);
const REPORTS: usize = 3;

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A name as it can stand in a path.
fn part(text: &str) -> String {
    text.replace('/', "_")
}

/// As the kernel writes it in mountinfo.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\134").replace(' ', "\\040")
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to) } else { write(&to, fs::read(entry.path()).unwrap()) }
    }
}

/// A recorded machine with a plant in every place that has room for a text.
fn tree(root: &Path, plants: &Plants) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/testdata/host/debian12"), root);
    let (mut mounts, mut space) = (fs::read_to_string(root.join("proc/1/mountinfo")).unwrap(), fs::read_to_string(root.join("recorded/statvfs")).unwrap());
    let all = plants.all();
    for (number, plant) in all.iter().take(300).enumerate() {
        let (kind, source) = match number % 5 {
            0 => ("ext4", format!("/dev/mapper/{}", escaped(plant))),
            1 => ("xfs", format!("LABEL={}", escaped(plant))),
            2 => ("nfs4", format!("192.0.2.7:/export/{}", escaped(plant))),
            3 => ("cifs", format!("//192.0.2.8/{}", escaped(plant))),
            _ => ("vfat", "/dev/sdz1".to_owned()),
        };
        let point = format!("/mnt/{}", part(plant));
        mounts.push_str(&format!("{} 27 8:{number} /{} {} rw,relatime - {kind} {source} rw\n", 1000 + number, escaped(plant), escaped(&point)));
        space.push_str(&format!("{point} 4096 1000 900 900 50 40\n"));
    }
    write(&root.join("proc/1/mountinfo"), &mounts);
    write(&root.join("proc/self/mountinfo"), &mounts);
    write(&root.join("recorded/statvfs"), space);
    let mut links = fs::read_to_string(root.join("proc/net/dev")).unwrap();
    for name in &plants.short {
        links.push_str(&format!("{name}: 700 7 0 0 0 0 0 0 700 7 0 0 0 0 0 0\n"));
        write(&root.join("sys/class/net").join(name).join("operstate"), "up\n");
        write(&root.join("sys/class/net").join(name).join("ifalias"), format!("{}\n", all[0]));
    }
    write(&root.join("proc/net/dev"), links);
    let disks: String = plants.words.iter().map(|word| format!("   8 0 {word} 1 0 8 0 1 0 8 0 0 0 0\n")).collect();
    write(&root.join("proc/diskstats"), fs::read_to_string(root.join("proc/diskstats")).unwrap() + &disks);
    hardware(root, plants);
    // What it has no business with: processes, users, logs, names.
    for (number, plant) in all.iter().enumerate() {
        let process = root.join("proc").join((4000 + number).to_string());
        write(&process.join("cmdline"), format!("viewer\0--patient={plant}\0"));
        write(&process.join("environ"), format!("PATIENT={plant}\0"));
        write(&process.join("comm"), format!("{plant}\n"));
        write(&root.join("srv/images").join(part(plant)), plant.as_bytes());
    }
    let lines = |before: &str, behind: &str| all.iter().map(|plant| format!("{before}{plant}{behind}\n")).collect::<String>();
    write(&root.join("etc/passwd"), lines("", ":x:1000:1000::/home:/bin/sh"));
    write(&root.join("etc/hosts"), lines("192.0.2.9 ", ""));
    write(&root.join("var/log/syslog"), lines("Nov 27 00:00:00 ct-1 dicom[7]: stored ", ""));
    for (name, text) in [("etc/hostname", &plants.words[0]), ("proc/sys/kernel/hostname", &plants.words[1]), ("etc/timezone", &plants.words[2])] {
        write(&root.join(name), format!("{text}\n"));
    }
}

/// Names that somebody chose for arrays, pools, volumes, units and power supplies, and what tools say of them.
fn hardware(root: &Path, plants: &Plants) {
    let path = root.join("run/mimamori-agent-hardware/report.json");
    let mut report: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let word = |number: usize| plants.words[number % plants.words.len()].as_str();
    let runs = report["runs"].as_array_mut().unwrap();
    for (number, run) in runs.iter_mut().enumerate() {
        run["err"] = format!("cannot open {}: {}", word(number), plants.records[number]).into();
        let mut out = run["out"].as_str().unwrap().to_owned();
        for (name, place) in ["archive", "mpatha", "thin", "vg0", "EX0001", "EX0002", "EX0003"].into_iter().zip(10..) {
            out = out.replace(name, word(place));
        }
        run["out"] = out.into();
    }
    let counts = |device: &str| ["write_io", "read_io", "flush_io", "corruption", "generation"].map(|what| format!("[{device}].{what}_errs 0\n")).concat();
    let device = format!("/dev/mapper/{}", word(30));
    runs.push(serde_json::json!({"tool": "btrfs", "subject": format!("/mnt/{}", plants.names[0]), "args": ["device", "stats", format!("/mnt/{}", word(31))],
        "outcome": "done", "exit": 0, "ms": 1, "cpu_ms": 1, "out": counts(&device), "err": ""}));
    let by_id = format!("disk/by-id/ata-{}", word(32).to_lowercase());
    let asleep = serde_json::json!({"tool": "smartctl", "subject": by_id, "args": ["-d", "sat", by_id], "outcome": "done", "exit": 3, "ms": 1, "cpu_ms": 1, "out": "", "err": ""});
    runs.push(asleep);
    let fault = |number: usize| serde_json::json!({"code": "unreadable", "subject": word(number), "detail": plants.records[number]});
    report["faults"] = (0..40).map(fault).collect::<Vec<_>>().into();
    write(&path, report.to_string());
    let mdstat = fs::read_to_string(root.join("proc/mdstat")).unwrap();
    write(&root.join("proc/mdstat"), mdstat.replace("md0 :", &format!("md_{} :", plants.short[0])));
    write(&root.join("sys/class/hwmon/hwmon0/temp1_label"), format!("{}\n", word(33)));
    write(&root.join("sys/class/power_supply/BAT0/serial_number"), format!("{}\n", word(34)));
    write(&root.join("sys/devices/system/edac/mc/mc0/dimm0/dimm_label"), format!("{}\n", word(35)));
    let mut login = vec![0_u8; 384];
    login[0] = 7;
    let user = &word(36).as_bytes()[..word(36).len().min(31)];
    login[44..44 + user.len()].copy_from_slice(user);
    let wtmp = fs::read(root.join("var/log/wtmp")).unwrap();
    write(&root.join("var/log/wtmp"), [wtmp, login].concat());
    write(&root.join("recorded/systemd"), plants.units());
    write(&root.join("recorded/nut/LIST UPS"), format!("BEGIN LIST UPS\nUPS {} \"{}\"\nEND LIST UPS\n", plants.short[1], plants.names[1]));
    let variables = format!(
        "BEGIN LIST VAR {0}\nVAR {0} ups.status \"OL\"\nVAR {0} ups.serial \"{1}\"\nVAR {0} battery.charge \"90\"\nEND LIST VAR {0}\n",
        plants.short[1],
        word(37)
    );
    write(&root.join("recorded/nut").join(format!("LIST VAR {}", plants.short[1])), variables);
}

/// An authority with plants in its subject.
fn authority(path: &Path, plants: &Plants) {
    let mut params = rcgen::CertificateParams::new(vec![format!("{}.example", plants.words[3].replace('_', "-"))]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, plants.names[0].as_str());
    params.distinguished_name.push(rcgen::DnType::OrganizationName, plants.words[4].as_str());
    params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, plants.records[0].as_str());
    write(path, params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem());
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// Processes whose arguments and environment are full of plants.
fn processes(plants: &Plants) -> Vec<Guard> {
    let all = plants.all();
    let start = |chunk: &[&str]| {
        let mut command = program(Path::new("/bin/sh"));
        command.args(["-c", "read line"]).args(chunk).stdin(Stdio::piped());
        for (number, plant) in chunk.iter().enumerate() {
            command.env(format!("PATIENT_{number}"), plant);
        }
        Guard(command.spawn().unwrap())
    };
    all.chunks(100).map(start).collect()
}

/// The agent reports through a tap from its first word on.
fn enrolled_through_a_tap(world: &World, home: &AgentHome) -> Tap {
    let tap = Tap::new(world);
    let mut token = world.token(Some("ct-1"));
    token.url = format!("https://{}", tap.address);
    home.enroll(&token.to_text());
    tap
}

fn reports(world: &World) -> usize {
    world.export("ct-1").iter().filter(|line| line["frame"][0].as_str().unwrap().starts_with("{\"v\":1,\"type\":\"report\"")).count()
}

/// Everything below a folder, as it lies on the disk; and every cell of the databases in it.
fn disk(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            disk(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
            if path.extension().is_some_and(|end| end == "db" || end == "sqlite") {
                found.push((format!("cells of {}", path.display()), cells(&path)));
            }
        }
    }
}

fn cells(path: &Path) -> Vec<u8> {
    let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut names = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut bytes = Vec::new();
    for name in names {
        let mut rows = db.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for at in 0..columns {
                match row.get_ref(at).unwrap() {
                    rusqlite::types::ValueRef::Text(cell) | rusqlite::types::ValueRef::Blob(cell) => bytes.extend_from_slice(cell),
                    other => bytes.extend_from_slice(format!("{other:?}").as_bytes()),
                }
                bytes.push(b'\n');
            }
        }
    }
    bytes
}

/// Everything that was sent, queued, logged and shown.
fn everything(world: &World, home: &AgentHome, tap: &Tap) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![("the line".to_owned(), tap.said())];
    disk(&home.state_dir(), &mut found);
    disk(&world.state_dir(), &mut found);
    found.push(("agent's log".to_owned(), home.log().into_bytes()));
    found.push(("collector's log".to_owned(), world.log().into_bytes()));
    for args in [
        &["preview"][..],
        &["preview", "--json"],
        &["status"],
        &["status", "--json"],
        &["manifest"],
        &["manifest", "--json"],
        &["check"],
        &["check", "--json"],
        &["consent", "show", "--json"],
        &["key", "show", "--json"],
        &["report", "--html", "-"],
        &["ledger", "show", "--full", "--last", "1000"],
        &["ledger", "show", "--json", "--last", "1000"],
        &["ledger", "verify", "--json"],
        &["ledger", "trust"],
        &["ledger", "export"],
    ] {
        let done = home.try_cli(args);
        found.push((format!("{args:?}"), [done.stdout, done.stderr].concat()));
    }
    for (address, path) in [(world.pages, "/"), (world.metrics, "/metrics")] {
        found.push((path.to_owned(), get(address, path).unwrap().1.into_bytes()));
    }
    let lines: String = world.export("ct-1").iter().map(|line| format!("{}\n{}\n", line["frame"][0].as_str().unwrap(), line)).collect();
    found.push(("what the collector holds".to_owned(), lines.into_bytes()));
    found
}

#[track_caller]
fn nothing_of(plants: &Plants, world: &World, home: &AgentHome, tap: &Tap, what: &str) {
    let all = plants.all();
    let scanner = Scanner::new(&all);
    let (mut bytes, mut hits) = (0, Vec::new());
    let everything = everything(world, home, tap);
    for (name, content) in &everything {
        bytes += content.len();
        hits.extend(scanner.find(content).into_iter().map(|hit| format!("{name}: {hit}")));
    }
    assert!(everything.iter().any(|(name, _)| name.starts_with("cells of")) && bytes > 50_000, "{bytes} bytes: looked in the wrong place?");
    let line = String::from_utf8_lossy(&everything[0].1).into_owned();
    assert!(
        line.contains("POST /v1/enrol ") && line.contains("\"type\":\"enrol\"") && line.matches("POST /v1/reports ").count() >= REPORTS,
        "the tap heard it all"
    );
    assert!(hits.is_empty(), "{what}: {hits:#?}");
    println!("{what}: {} plants, {} places, {bytes} bytes as they lie there: no hit", all.len(), everything.len());
}

/// Where a search has to find something: in every one of these places, as plain text and compressed, at their beginning,
/// within and at their end.
#[track_caller]
fn the_search_sees_into(plants: &Plants, everything: Vec<(String, Vec<u8>)>) {
    let all = plants.all();
    let (plain, packed, end) = (all[7], all[200], all[450]);
    let scanner = Scanner::new(&all);
    for (name, content) in everything {
        let (before, behind) = content.split_at(content.len() / 2);
        let packed_here = zstd::bulk::compress(format!("{{\"name\":\"{packed}\"}}").as_bytes(), 3).unwrap();
        let there = [plain.as_bytes(), before, &packed_here, behind, end.as_bytes()].concat();
        let hits = scanner.find(&there);
        assert!([plain, packed, end].iter().all(|plant| hits.iter().any(|hit| hit.starts_with(plant))), "{name}: {hits:?}");
    }
}

/// A copy of a database with something in every column of every table that has room for it, as a payload lies there:
/// what is put in is found in each. Gives how many.
#[track_caller]
fn every_column_is_searched(plants: &Plants, database: &Path) -> usize {
    let all = plants.all();
    let scanner = Scanner::new(&all);
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.db");
    rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    let db = rusqlite::Connection::open(&copy).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    let mut columns =
        db.prepare("SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type IN ('TEXT', 'BLOB')").unwrap();
    let columns: Vec<(String, String)> = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let mut tried = 0;
    for (number, (table, column)) in columns.iter().enumerate() {
        let plant = all[number % all.len()];
        let packed = zstd::bulk::compress(plant.as_bytes(), 3).unwrap();
        db.execute_batch("BEGIN").unwrap();
        // A table without a row has nothing to be searched; a few columns hold named words only.
        let set = db.execute(&format!("UPDATE OR IGNORE \"{table}\" SET \"{column}\" = ?1"), [packed]);
        if set.is_ok_and(|rows| rows > 0) {
            db.execute_batch("COMMIT").unwrap();
            assert!(scanner.find(&cells(&copy)).iter().any(|hit| hit.starts_with(plant)), "{table}.{column}");
            db.execute(&format!("UPDATE OR IGNORE \"{table}\" SET \"{column}\" = x''"), []).unwrap();
            tried += 1;
        } else {
            db.execute_batch("ROLLBACK").unwrap();
        }
    }
    tried
}

/// What the facility's own person writes down for himself is found where it is shown, and nowhere else.
#[track_caller]
fn an_approvers_name_is_found_where_it_is_shown(plants: &Plants, world: &World, home: &AgentHome, tap: &Tap) {
    let name = &plants.names[3];
    let consent = fs::read_to_string(home.dir.join("consent.toml")).unwrap();
    home.consent(&consent.replace("approver = \"Nobody\"", &format!("approver = \"{name}\"")));
    let scanner = Scanner::new(&[name]);
    let hits: Vec<String> = everything(world, home, tap).into_iter().filter(|(_, content)| !scanner.find(content).is_empty()).map(|(name, _)| name).collect();
    assert!(hits.iter().any(|place| place.contains("--html")) && hits.iter().all(|place| place.contains("--html") || place.contains("consent")), "{hits:?}");
    home.consent(&consent);
}

/// Nothing here can pack anything in a way that the search does not open: one command unpacks gzip, and packs nothing.
#[test]
fn zstd_is_the_only_way_of_packing_in_either_program() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    let packers: Vec<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| ["flate2", "miniz_oxide", "libz-sys", "zlib-rs", "brotli", "lz4", "lz4_flex", "snap", "bzip2", "xz2", "lzma-rs", "zstd"].contains(name))
        .collect();
    assert_eq!(packers, ["flate2", "miniz_oxide", "zstd"]);
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let product = |path: &Path| fs::read_to_string(path).unwrap().split("#[cfg(test)]").next().unwrap().to_owned();
    let mut files = Vec::new();
    ["agent", "shared", "collector"].iter().for_each(|folder| crate::goals_agent::sources(&top.join(folder), &mut files));
    let users: Vec<&Path> = files.iter().map(PathBuf::as_path).filter(|path| product(path).contains("flate2")).collect();
    assert!(users.len() == 1 && users[0].ends_with("agent/src/command/parse.rs"), "{users:?}");
    assert!(product(users[0]).contains("MultiGzDecoder") && !product(users[0]).contains("Encoder"));
}

/// I8.
#[test]
fn five_hundred_names_of_patients_on_a_recorded_machine_leave_no_trace() {
    let plants = Plants::new(11);
    let mut world = World::new("plants");
    world.start();
    let root = world.dir.join("machine");
    tree(&root, &plants);
    let mut home = world.agent_home("ct-1");
    authority(&home.dir.join("extra.pem"), &plants);
    home.sets.push(format!("host_root={}", root.display()));
    home.sets.push(format!("tls.extra_ca_file={}", home.dir.join("extra.pem").display()));
    let tap = enrolled_through_a_tap(&world, &home);
    let guard = home.run();
    wait_until("reports of the recorded machine", SOON, || reports(&world) >= REPORTS);
    // Nobody is there for a while: what is queued is looked at too.
    world.kill();
    std::thread::sleep(Duration::from_secs(6));
    world.start();
    wait_until("what was queued", SOON, || reports(&world) > REPORTS);
    drop(guard);
    let held: String = world.export("ct-1").iter().map(|line| line["frame"][0].as_str().unwrap().to_owned()).collect();
    assert!(held.matches("fs-").count() > 20 && held.matches("if-").count() > 20, "the planted mounts and interfaces were measured: {}", &held[..2000]);
    for prefix in ["dev-", "pool-", "ups-", "sn-"] {
        assert!(held.contains(&format!("\"{prefix}")), "{prefix}: the planted hardware was measured");
    }
    assert!(held.contains(r#""units":{"total":80,"failed":40,"restarting":40}"#), "the planted units were counted");
    nothing_of(&plants, &world, &home, &tap, "recorded machine");
    the_search_sees_into(&plants, everything(&world, &home, &tap));
    let columns = [home.state_dir().join("outbox.db"), world.state_dir().join("collector.db")].map(|path| every_column_is_searched(&plants, &path));
    an_approvers_name_is_found_where_it_is_shown(&plants, &world, &home, &tap);
    println!("the search sees into every place, and into {columns:?} columns of the agent's and the collector's tables");
    assert!(columns[0] >= 8 && columns[1] >= 20, "{columns:?}");
}

/// The real machine, in namespaces of its own: host name, mounts, users, logs, processes, environment.
#[test]
fn five_hundred_names_of_patients_on_this_machine_leave_no_trace() {
    let plants = Plants::new(12);
    let mut world = World::new("planted");
    world.start();
    let mut home = world.agent_home("ct-1");
    authority(&home.dir.join("extra.pem"), &plants);
    home.sets.push(format!("tls.extra_ca_file={}", home.dir.join("extra.pem").display()));
    let tap = enrolled_through_a_tap(&world, &home);
    let others = processes(&plants);
    let mut agent = home.command(&["run"]);
    for (number, plant) in plants.all().iter().enumerate() {
        agent.env(format!("PATIENT_{number}"), plant);
    }
    agent.env("TZ", &plants.words[5]).env("USER", &plants.words[6]).env("HOSTNAME", &plants.words[7]);
    let log = fs::OpenOptions::new().create(true).append(true).open(home.dir.join("agent.log")).unwrap();
    let script = namespace_script(&world.dir.join("space"), &plants);
    let mut inside = program(Path::new("/usr/bin/unshare"));
    inside
        .args(["--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", &script, "sh"])
        .arg(agent.get_program())
        .args(agent.get_args());
    inside.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let root = mimamori_tests::process::is_root(&world.dir);
    let running = if root {
        Guard(inside.spawn().unwrap())
    } else {
        println!("not root: without namespaces, so without host name and mounts; the recorded machine has them");
        Guard(agent.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    };
    wait_until("reports of this machine", SOON, || reports(&world) >= REPORTS);
    drop((running, others));
    nothing_of(&plants, &world, &home, &tap, "this machine");
}

/// Names the host and mounts whatever has a name, then becomes the command.
fn namespace_script(space: &Path, plants: &Plants) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "_"));
    let mut script = format!("hostname {} || exit 90\n", plants.words[8].replace('_', "-"));
    for (number, plant) in plants.all().iter().step_by(12).take(40).enumerate() {
        let point: PathBuf = space.join(part(plant));
        fs::create_dir_all(&point).unwrap();
        fs::write(space.join(format!("{}.dcm", part(plant))), plant.as_bytes()).unwrap();
        let point = quote(&point.display().to_string());
        // Half of them are new, half show a folder of the disk under another name.
        script.push_str(&if number % 2 == 0 {
            format!("mount -t tmpfs {} {point} || exit 91\n", quote(plant))
        } else {
            format!("mount --bind {point} {point} || exit 92\n")
        });
    }
    let users: String = plants.all().iter().map(|plant| format!("{plant}:x:1000:1000:{plant}:/home:/bin/sh\n")).collect();
    let log: String = plants.all().iter().map(|plant| format!("dicom: stored {plant}\n")).collect();
    write(&space.join("passwd"), users);
    write(&space.join("log/syslog"), log);
    script.push_str(&format!(
        "mount --bind {} /etc/passwd && mount --bind {} /var/log || exit 93\n",
        quote(&space.join("passwd").display().to_string()),
        quote(&space.join("log").display().to_string())
    ));
    script + "\"$@\"\n"
}
