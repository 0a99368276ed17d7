//! What is refused, and the very words of each fault.

use super::tests::{KEYS, URL, env, file, flags, print};
use super::*;

/// All faults of one file, one a line; empty when it is accepted.
#[track_caller]
fn check(text: &str, expected: &str) {
    let got = match Layer::from_toml("agent.toml", text) {
        Ok(layer) => resolve(KEYS, vec![layer]).err().unwrap_or_default(),
        Err(fault) => vec![fault],
    };
    assert_eq!(print(&got), expected);
}

#[test]
fn an_unsound_table_is_told() {
    const SIZE: Kind = Kind::Size { min: 1, max: 2 };
    let faults = table_faults(&[
        Key::with_default("a.b", SIZE, "1GiB", "x", "x"),
        Key::optional("a.b.c", Kind::Text, "x", ""),
        Key::optional("a.b_c", Kind::Text, "x", "x"),
        Key { required: true, ..Key::with_default("D", Kind::Text, "x", "x", "x") },
        Key { kind: Kind::Path, ..Key::secret("e", "x", "x") },
    ]);
    let expected = "`a.b` is `1GiB`, must be a size from 1B to 2B, such as \"512KiB\"
`a.b` and `a.b.c`: one is a section of the other
`a.b.c` lacks a meaning in English or in Japanese
`a.b.c` and `a.b_c` share an environment variable
`D` must be segments of a-z, 0-9 and _, joined by dots
`D` is required and has a default
`e` is secret, so it must be a text without a default";
    assert_eq!(faults.join("\n"), expected);
}

#[test]
fn unknown_keys_are_named_with_line_and_neighbour() {
    check(
        "# head\n\ncolector.url = 'https://c.example'\n",
        "agent.toml:3: unknown key `colector.url`, did you mean `collector.url`?\n`collector.url` is required: Where reports go",
    );
    check(
        &format!("{URL}[log]\nlevl = 'info'\nxyzzy = 1\n"),
        "agent.toml:3: unknown key `log.levl`, did you mean `log.level`?\nagent.toml:4: unknown key `log.xyzzy`",
    );
    check(&format!("{URL}[[extra]]\na = 1\n"), "agent.toml:2: unknown key `extra`");
    check(&format!("{URL}[nothing]\n"), "agent.toml:2: unknown key `nothing`");
    check(&format!("{URL}[metrics]\n"), "");
    check(&format!("{URL}metrics = 1\n"), "agent.toml:2: `metrics` is a section, not a value");
    check(&format!("{URL}'log.level' = 'info'\n"), "agent.toml:2: unknown key `\"log.level\"`, did you mean `log.level`?");
    check(&format!("{URL}\"a\\u001B[31m\\u202E\" = 1\n"), "agent.toml:2: unknown key `\"a\\u{1b}[31m\\u{202e}\"`");
}

#[test]
fn wrong_types_and_ranges_name_key_value_and_range() {
    check(&format!("{URL}report.every = '5d'"), "agent.toml:2: `report.every` is `5d`, must be a duration from 10s to 1h, such as \"1h30m\"");
    check(&format!("{URL}report.every = 300"), "agent.toml:2: `report.every` is `300`, must be a duration from 10s to 1h, such as \"1h30m\"");
    check(
        &format!("{URL}collector.retries = 10\nspool.size = '1KB'\ncollector.verify = 'true'"),
        "agent.toml:2: `collector.retries` is `10`, must be a whole number from 0 to 9\n\
         agent.toml:4: `collector.verify` is `true`, must be true or false\n\
         agent.toml:3: `spool.size` is `1KB`, must be a size from 1MiB to 1GiB, such as \"512KiB\"",
    );
    check(&format!("{URL}log.level = 'debgu'"), "agent.toml:2: `log.level` is `debgu`, must be one of error, warn, info, debug, did you mean `debug`?");
    check(&format!("{URL}metrics.listen = 'localhost:80'"), "agent.toml:2: `metrics.listen` is `localhost:80`, must be an ip:port address");
    check(&format!("{URL}probe.skip = 'a'"), "agent.toml:2: `probe.skip` is `a`, must be a list of texts");
    check(&format!("{URL}probe.skip = ['a', 1]"), "agent.toml:2: `probe.skip` has the entry `1`, must be a list of texts");
    check(&format!("{URL}site.x = 1"), "agent.toml:2: `site` is a section, must be one line of text, at most 4096 bytes");
    check(&format!("{URL}site = 1.5"), "agent.toml:2: `site` is a number with a fraction, must be one line of text, at most 4096 bytes");
    check("collector.url = ''", "agent.toml:1: `collector.url` is ``, must be an http:// or https:// URL without name or password");
}

#[test]
fn text_that_is_not_toml_names_line_and_column() {
    check("site = 'a'\nlog = = 1\n", "agent.toml:2: column 7: not TOML: extra `=`, expected nothing");
    check(&"#\n".repeat(40_000), "agent.toml: the file has 80000 bytes, at most 65536 are read");
    check(&format!("{URL}{URL}"), "agent.toml:2: column 11: not TOML: duplicate key");
}

#[test]
fn environment_and_flags_say_what_is_wrong() {
    let (_, faults) = env(&[("MIMAMORI_AGENT_COLECTOR_URL", "x"), ("MIMAMORI_AGENT_ZZ", "hunter2")]);
    assert_eq!(
        print(&faults),
        "environment MIMAMORI_AGENT_COLECTOR_URL: no such variable, did you mean `MIMAMORI_AGENT_COLLECTOR_URL`?\n\
         environment MIMAMORI_AGENT_ZZ: no such variable"
    );
    assert_eq!(flags(&["log.level"]).unwrap_err().to_string(), "--set log.level: must be written key=value");
    assert_eq!(flags(&["=hunter2"]).unwrap_err().to_string(), "--set =: must be written key=value");
    let set = flags(&["colector.url=x", "collector.retries=many"]).unwrap();
    assert_eq!(
        print(&resolve(KEYS, vec![file(URL), set]).unwrap_err()),
        "--set colector.url: unknown key `colector.url`, did you mean `collector.url`?\n\
         --set collector.retries: `collector.retries` is `many`, must be a whole number from 0 to 9"
    );
}

#[test]
fn faults_keep_secrets() {
    check(&format!("{URL}smtp.password = \"hunter2\\n\""), "agent.toml:2: `smtp.password` is `[secret]`, must be one line of text, at most 4096 bytes");
    check(&format!("{URL}smtp.password = 1234567"), "agent.toml:2: `smtp.password` is `[secret]`, must be one line of text, at most 4096 bytes");
    let faults = Layer::from_toml("agent.toml", "smtp.password = 'hunter2\n").unwrap_err();
    assert!(!faults.to_string().contains("hunter2"), "{faults}");
    let set = flags(&["smtp.password=hunter2"]).unwrap();
    assert_eq!(
        print(&resolve(KEYS, vec![file(URL), set]).unwrap_err()),
        "--set smtp.password: `smtp.password` is secret: a command line can be read by everybody on the machine"
    );
}

#[test]
fn a_flood_of_faults_is_cut() {
    let text: String = (0..8_000).map(|n| format!("k{n}=1\n")).collect();
    let faults = resolve(KEYS, vec![file(&text)]).unwrap_err();
    assert_eq!(faults.len(), FAULTS_MAX + 1);
    assert_eq!(faults.last().unwrap().what, "7901 more faults are not listed");
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(60_000), "a=[".to_owned() + &"[".repeat(60_000), "a.".repeat(30_000) + "a=1", "a={".to_owned() + &"a={".repeat(15_000)] {
        assert!(Layer::from_toml("agent.toml", &text).is_err());
    }
}

/// The words between the key and "must be".
#[track_caller]
fn check_entries(line: &str, expected: &str) {
    let faults = resolve(KEYS, vec![file(&format!("{URL}{line}"))]).unwrap_err();
    let (said, _) = faults[0].what.split_once(", must be").unwrap();
    assert_eq!(said, expected, "{line}");
}

#[test]
fn a_bad_entry_is_named() {
    check_entries("probe.skip = ['a', '']", "`probe.skip` has the entry ``");
    check_entries("probe.skip = ['a', ['b']]", "`probe.skip` has the entry a list");
    check_entries("aliases.filesystems = 'x'", "`aliases.filesystems` is `x`");
    let map = |inner: &str| format!("aliases.filesystems = {{ {inner} }}");
    check_entries(&map("'/a' = 'A'"), "`aliases.filesystems` has `A` for `/a`");
    check_entries(&map("'' = 'a'"), "`aliases.filesystems` has `a` for ``");
    check_entries(&map("b.c = 'd'"), "`aliases.filesystems` has a section for `b`");
    let many = format!("probe.skip = [{}]", "'a',".repeat(ENTRIES_MAX + 1));
    check_entries(&many, "`probe.skip` has 257 entries and may have 256");
}

#[test]
fn every_fault_is_said_in_japanese_too_and_names_the_same_things() {
    let text = "intervall = 5\nname = 5\nlist = [1]\n";
    let layers = vec![Layer::from_toml("a.toml", text).unwrap()];
    let keys = [
        Key::required("needed", Kind::Text, "What is needed.", "必要なもの。"),
        Key::optional("interval", Kind::Duration { min_s: 1, max_s: 60 }, "x", "間隔"),
        Key::optional("name", Kind::Text, "x", "名前"),
        Key::optional("list", Kind::TextList, "x", "一覧"),
    ];
    let faults = resolve(&keys, layers).unwrap_err();
    assert_eq!(faults.len(), 4);
    for fault in &faults {
        let (en, ja) = (fault.to_string(), fault.in_japanese());
        assert!(en.is_ascii() && ja.chars().any(|c| ('ぁ'..='龠').contains(&c)), "{ja}");
        for named in ["a.toml:1", "a.toml:2", "a.toml:3", "`interval`", "`intervall`", "`name`", "`list`", "`needed`", "`5`", "`1`"] {
            assert_eq!(en.contains(named), ja.contains(named), "{en} / {ja}");
        }
    }
    for bad in ["x = [", "x"] {
        assert!(Layer::from_toml("a.toml", bad).unwrap_err().in_japanese().contains("TOMLとして読めません"));
    }
}
