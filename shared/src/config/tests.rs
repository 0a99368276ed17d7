//! The library through its public face, with one small key table.

use super::*;
use proptest::prelude::*;

pub(super) const KEYS: &[Key] = &[
    Key::optional("site", Kind::Text, "Name of the site", "施設の名前"),
    Key::required("collector.url", Kind::Url, "Where reports go", "レポートの送り先"),
    Key::with_default("collector.retries", Kind::Count { min: 0, max: 9 }, "3", "Tries", "再試行の回数"),
    Key::with_default("collector.verify", Kind::Flag, "true", "Check names", "名前を確認する"),
    Key::with_default("report.every", Kind::Duration { min_s: 10, max_s: 3_600 }, "1m", "Time between reports", "レポートの間隔"),
    Key::with_default("spool.size", Kind::Size { min: 1 << 20, max: 1 << 30 }, "64MiB", "Limit", "上限"),
    Key::with_default("spool.dir", Kind::Path, "/var/lib/mimamori", "Folder", "フォルダ"),
    Key::optional("metrics.listen", Kind::Address, "Where to listen", "待ち受け先"),
    Key::with_default("log.level", Kind::OneOf(&["error", "warn", "info", "debug"]), "info", "Level | words", "詳しさ"),
    Key::with_default("probe.skip", Kind::TextList, "", "Probes left out", "使わないプローブ"),
    Key::with_default("aliases.filesystems", Kind::AliasMap, "", "Names sent for mounts", "送る名前"),
    Key::secret("smtp.password", "Password", "パスワード"),
];

pub(super) const URL: &str = "collector.url = 'https://c.example'\n";
pub(super) const PREFIX: &str = "MIMAMORI_AGENT_";

pub(super) fn file(text: &str) -> Layer {
    Layer::from_toml("agent.toml", text).unwrap()
}

pub(super) fn flags(arguments: &[&str]) -> Result<Layer, Fault> {
    Layer::from_flags(&arguments.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

pub(super) fn env(vars: &[(&str, &str)]) -> (Layer, Vec<Fault>) {
    Layer::from_env(PREFIX, KEYS, vars.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
}

pub(super) fn print(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// How one key comes out of one file that also has the required key.
#[track_caller]
fn check_value(line: &str, path: &str, expected: &str) {
    let values = resolve(KEYS, vec![file(&format!("{URL}{line}"))]).unwrap();
    let shown = values.effective().find(|row| row.0 == path).map(|row| row.1);
    assert_eq!(shown.as_deref(), Some(expected), "{line}");
}

#[test]
fn this_table_is_sound() {
    assert_eq!(table_faults(KEYS), Vec::<String>::new());
}

#[test]
fn values_are_read_by_kind() {
    check_value("", "report.every", "\"1m\"");
    check_value("report.every = '90s'", "report.every", "\"1m30s\"");
    check_value("collector.retries = 0x9", "collector.retries", "9");
    check_value("collector.verify = false", "collector.verify", "false");
    check_value("probe.skip = ['a', 'b\"']", "probe.skip", r#"["a", "b\""]"#);
    check_value("metrics.listen = '[::1]:80'", "metrics.listen", "\"[::1]:80\"");
    check_value("spool.dir = 'C:\\data'", "spool.dir", r#""C:\\data""#);
    check_value("smtp.password = 'hunter2'", "smtp.password", "[secret]");
    check_value("[aliases.filesystems]\n'/data' = 'data'\n'/a.b' = 'ab'", "aliases.filesystems", r#"{ "/a.b" = "ab", "/data" = "data" }"#);
}

#[test]
fn urls_are_outlined() {
    let check = |url: &str, expected: bool| {
        let layer = flags(&[&format!("collector.url={url}")]).unwrap();
        assert_eq!(resolve(KEYS, vec![layer]).is_ok(), expected, "{url}");
    };
    for good in ["https://c", "http://10.0.0.1:8080/a?b=c#d", "https://[::1]:443/", "https://[fe80::1]"] {
        check(good, true);
    }
    for bad in [
        "",
        "c.example",
        "ftp://c",
        "https://",
        "https:///a",
        "https://me:pw@c",
        "https://c:0",
        "https://c:65536",
        "https://c:",
        "https://c:+1",
        "https://c d",
        "https://見守り",
        "https://[::1",
        "https://[x]",
        "https://[::1]x",
    ] {
        check(bad, false);
    }
}

#[test]
fn aliases_are_checked() {
    let good = flags(&["aliases.filesystems=/data=data, C:=c-drive", "collector.url=https://c"]).unwrap();
    let values = resolve(KEYS, vec![good]).unwrap();
    let map: Vec<_> = values.alias_map("aliases.filesystems").iter().collect();
    assert_eq!(format!("{map:?}"), r#"[("/data", "data"), ("C:", "c-drive")]"#);
    for bad in ["/data", "/data=", "=data", "/data=DATA", "/a=a,/a=b", "/a=a,"] {
        let layer = flags(&[&format!("aliases.filesystems={bad}"), "collector.url=https://c"]).unwrap();
        assert!(resolve(KEYS, vec![layer]).is_err(), "{bad}");
    }
    assert!(is_alias(&"a".repeat(32)) && !is_alias(&"a".repeat(33)) && !is_alias(""));
}

#[test]
fn later_layers_win_and_keep_their_origin() {
    let (environment, faults) = env(&[(&format!("{PREFIX}PROBE_SKIP"), "a, b"), ("HOME", "/root")]);
    assert_eq!(faults, []);
    let dropin = Layer::from_toml("conf.d/10.toml", "report.every = '2m'\nlog.level = 'warn'").unwrap();
    let set = flags(&["log.level=error", "log.level=debug"]).unwrap();
    let base = file(&format!("{URL}report.every = '3m'\nprobe.skip = ['z']\nsmtp.password = 'hunter2'"));
    let values = resolve(KEYS, vec![base, dropin, environment, set]).unwrap();
    let shown: Vec<String> = values.effective().map(|(path, value, origin)| format!("{path} = {value} # {origin}")).collect();
    let expected = r#"collector.url = "https://c.example" # agent.toml:1
collector.retries = 3 # default
collector.verify = true # default
report.every = "2m" # conf.d/10.toml:1
spool.size = "64MiB" # default
spool.dir = "/var/lib/mimamori" # default
log.level = "debug" # --set log.level
probe.skip = ["a", "b"] # environment MIMAMORI_AGENT_PROBE_SKIP
aliases.filesystems = {} # default
smtp.password = [secret] # agent.toml:4"#;
    assert_eq!(shown.join("\n"), expected);
    assert_eq!(values.origin("log.level"), &Origin::Flag("log.level".to_owned()));
}

#[test]
fn getters_answer_by_kind() {
    let values = resolve(KEYS, vec![file(&format!("{URL}smtp.password = 'hunter2'"))]).unwrap();
    assert_eq!(values.text("collector.url"), "https://c.example");
    assert_eq!(values.text_opt("site"), None);
    assert_eq!((values.count("collector.retries"), values.flag("collector.verify")), (3, true));
    assert_eq!((values.duration_s("report.every"), values.size_bytes("spool.size")), (60, 64 << 20));
    assert_eq!(values.path("spool.dir"), std::path::Path::new("/var/lib/mimamori"));
    assert_eq!(values.address_opt("metrics.listen"), None);
    assert!(values.list("probe.skip").is_empty() && values.alias_map("aliases.filesystems").is_empty());
    assert_eq!(values.secret_opt("smtp.password").unwrap().expose(), "hunter2");
    assert!(!format!("{values:?}").contains("hunter2"));
}

/// Each misuse stops a debug build.
#[test]
#[cfg(debug_assertions)]
fn misused_getters_are_found_by_tests() {
    let values = resolve(KEYS, vec![file(URL)]).unwrap();
    let misuses: [fn(&Values); 3] =
        [|values| _ = values.text_opt("no.such.key"), |values| _ = values.count_opt("report.every"), |values| _ = values.text("site")];
    for misuse in misuses {
        assert!(std::panic::catch_unwind(|| misuse(&values)).is_err());
    }
}

#[test]
fn windows_files_are_read() {
    let values = resolve(KEYS, vec![file("\u{feff}collector.url = 'https://c'\r\nreport.every = '2m'\r\n")]).unwrap();
    assert_eq!(values.origin("report.every").to_string(), "agent.toml:2");
}

#[test]
fn the_reference_has_a_row_for_every_key() {
    let page = reference(KEYS, PREFIX);
    assert_eq!(page.lines().count(), KEYS.len() + 2);
    let row =
        "| `report.every` | a duration from 10s to 1h, such as \"1h30m\" | `\"1m\"` | `MIMAMORI_AGENT_REPORT_EVERY` | Time between reports | レポートの間隔 |";
    assert!(page.lines().any(|line| line == row), "{page}");
    assert!(page.contains("Level \\| words"));
    assert!(page.contains("| one line of text, at most 4096 bytes; secret, not with `--set` | not set |"));
}

#[test]
fn the_sample_is_accepted_when_uncommented() {
    let sample = sample_toml(KEYS);
    assert!(
        sample
            .starts_with("# Name of the site\n# 施設の名前\n# one line of text, at most 4096 bytes; not set unless written\n#site = \"text\"\n\n[collector]\n")
    );
    let faults = resolve(KEYS, vec![file(&sample)]).unwrap_err();
    assert_eq!(print(&faults), "`collector.url` is required: Where reports go");
    let uncommented: String = sample.lines().filter(|line| !line.starts_with("# ")).map(|line| line.trim_start_matches('#').to_owned() + "\n").collect();
    let values = resolve(KEYS, vec![file(&uncommented)]).unwrap();
    assert_eq!(values.effective().count(), KEYS.len());
    assert!(values.effective().all(|row| *row.2 != Origin::Default));
}

/// Lines a person or an attacker might write: known and unknown paths with values of all sorts.
fn lines() -> impl Strategy<Value = String> {
    let path =
        prop_oneof![prop::sample::select(KEYS).prop_map(|key| key.path.to_owned()), Just("aliases.filesystems.'/x'".to_owned()), "[a-z.\"\\[\\]]{0,12}",];
    let value = prop_oneof!["[0-9]{1,20}[a-zA-Z]{0,3}", "'[ -&(-~]{0,20}'", "\\[('a',?){0,3}\\]", any::<String>()];
    prop::collection::vec((path, value), 0..4).prop_map(|lines| lines.into_iter().map(|(path, value)| format!("{path} = {value}\n")).collect())
}

proptest! {
    #[test]
    fn property_any_file_is_answered(text in prop_oneof![any::<String>(), lines().prop_map(|text| URL.to_owned() + &text)]) {
        let layer = Layer::from_toml("agent.toml", &text).map_err(|fault| vec![fault]);
        match layer.and_then(|layer| resolve(KEYS, vec![layer])) {
            Ok(values) => prop_assert!(values.effective().count() >= 8),
            Err(faults) => prop_assert!(!faults.is_empty() && print(&faults).lines().count() == faults.len()),
        }
    }

    #[test]
    fn property_any_variable_and_flag_is_answered(place in 0..KEYS.len(), text in any::<String>(), flag in any::<String>()) {
        let (layer, faults) = env(&[(KEYS[place].env_name(PREFIX).as_str(), text.as_str())]);
        prop_assert!(faults.is_empty());
        let mut layers = vec![file(URL), layer];
        layers.extend(flags(&[flag.as_str()]));
        if let Err(faults) = resolve(KEYS, layers) {
            prop_assert_eq!(print(&faults).lines().count(), faults.len());
        }
    }

    /// What `config show` prints for a text can be put into a file again.
    #[test]
    fn property_a_shown_text_is_read_back(text in "[^\\p{Cc}]{0,80}") {
        let shown = |layer: Layer| {
            let values = resolve(KEYS, vec![file(URL), layer]).unwrap();
            values.effective().find(|row| row.0 == "site").map(|row| row.1).unwrap()
        };
        let once = shown(flags(&[&format!("site={text}")]).unwrap());
        prop_assert_eq!(shown(file(&format!("site = {once}"))), once);
    }
}
