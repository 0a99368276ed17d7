//! Tables named by an alias: what is read, how files lie over one another, and the very words of each fault.

use super::tests::{file, flags, print};
use super::*;
use proptest::prelude::*;

const KEYS: &[Key] = &[
    Key::with_default("interval", Kind::Duration { min_s: 1, max_s: 60 }, "30s", "Interval", "間隔"),
    Key::optional("check", Kind::Tables { keys: CHECK, max: 2 }, "Checks", "確認"),
];
const CHECK: &[Key] = &[
    Key::required("kind", Kind::OneOf(&["tcp", "http"]), "Kind", "種類"),
    Key::optional("target", Kind::Text, "Target", "対象"),
    Key::with_default("timeout", Kind::Duration { min_s: 1, max_s: 30 }, "5s", "Deadline", "期限"),
];

fn shown(values: &Values) -> String {
    values.effective().map(|(path, value, origin)| format!("{path} = {value} # {origin}\n")).collect()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let faults = resolve(KEYS, vec![file(text)]).unwrap_err();
    assert_eq!(print(&faults), expected);
    assert!(faults.iter().all(|fault| fault.what_ja.chars().any(|c| ('ぁ'..='龠').contains(&c))), "{faults:?}");
}

#[test]
fn tables_are_read_and_later_files_change_them_key_by_key() {
    assert_eq!(resolve(KEYS, vec![]).unwrap().tables("check").len(), 0);
    let base = file("[check.pacs]\nkind = 'tcp'\ntarget = 'a:1'\n");
    let later = Layer::from_toml("conf.d/x.toml", "check.pacs.timeout = '9s'\n[check.r-1]\nkind = 'http'\n").unwrap();
    let values = resolve(KEYS, vec![base, later]).unwrap();
    let expected = r#"interval = "30s" # default
check.pacs.kind = "tcp" # agent.toml:2
check.pacs.target = "a:1" # agent.toml:3
check.pacs.timeout = "9s" # conf.d/x.toml:1
check.r-1.kind = "http" # conf.d/x.toml:3
check.r-1.timeout = "5s" # default
"#;
    assert_eq!(shown(&values), expected);
    let pacs = &values.tables("check")["pacs"];
    assert!(pacs.is_set("target") && !values.tables("check")["r-1"].is_set("target"));
    assert_eq!((pacs.text("kind"), pacs.text_opt("target"), pacs.duration_s("timeout")), ("tcp", Some("a:1"), 9));
    assert_eq!(shown(&resolve(KEYS, vec![file(&uncommented(&shown(&values)))]).unwrap()).lines().count(), 6, "what is shown can be written");
}

fn uncommented(shown: &str) -> String {
    shown.lines().map(|line| format!("{}\n", line.split(" # ").next().unwrap())).collect()
}

#[test]
fn faults_name_the_table_and_the_place() {
    check(
        "[check.pacs]\nkind = 'tpc'\ntagret = 'x'\ntimeout = '1h'\n",
        "agent.toml:2: `check.pacs.kind` is `tpc`, must be one of tcp, http, did you mean `tcp`?\n\
         agent.toml:3: unknown key `check.pacs.tagret`, did you mean `check.pacs.target`?\n\
         agent.toml:4: `check.pacs.timeout` is `1h`, must be a duration from 1s to 30s, such as \"1h30m\"",
    );
    check("[check.pacs]\n", "`check.pacs.kind` is required: Kind");
    let may = "there may be at most 2 tables in a file, each named by an alias (1 to 32 of a-z, 0-9, _ and -)";
    check("check.pacs = 'x'\n", &format!("agent.toml:1: `check.pacs` is a value, not a table: {may}"));
    check("[check.PACS]\nkind = 'tcp'\n", &format!("agent.toml:1: `check.PACS` is not named by an alias: {may}"));
    check("[check.'a b']\nkind = 'tcp'\n", &format!("agent.toml:1: `check.\"a b\"` is not named by an alias: {may}"));
    check("[check]\na.kind = 'tcp'\nb.kind = 'tcp'\nc.kind = 'tcp'\n", &format!("agent.toml:4: `check.c` is one too many: {may}"));
    check("check = [1]\n", "agent.toml:1: `check` is a list, must be at most 2 tables in a file, each named by an alias (1 to 32 of a-z, 0-9, _ and -)");
}

#[test]
fn tables_are_written_in_files_only() {
    for set in ["check=x", "check.pacs=x", "check.pacs.kind=tcp"] {
        let faults = resolve(KEYS, vec![flags(&[set]).unwrap()]).unwrap_err();
        assert!(print(&faults).contains("must be at most 2 tables in a file"), "{faults:?}");
    }
}

#[test]
fn pages_have_the_keys_of_a_table() {
    assert_eq!(table_faults(KEYS), Vec::<String>::new());
    let page = reference(KEYS, "X_");
    assert!(
        page.contains("\n| `check.ALIAS.timeout` | a duration from 1s to 30s, such as \"1h30m\" | `\"5s\"` | only in a file | Deadline | 期限 |\n"),
        "{page}"
    );
    assert!(page.contains("| `check` | at most 2 tables in a file"), "{page}");
    let sample: String = sample_toml(KEYS).lines().filter(|line| !line.starts_with("# ")).map(|line| line.trim_start_matches('#').to_owned() + "\n").collect();
    let values = resolve(KEYS, vec![file(&sample)]).unwrap();
    assert_eq!(values.tables("check")["alias"].text("kind"), "tcp", "{sample}");
}

#[test]
fn an_unsound_table_is_told() {
    const BAD: &[Key] = &[Key::with_default("timeout", Kind::Flag, "5s", "x", "x")];
    let faults = table_faults(&[Key::required("check", Kind::Tables { keys: BAD, max: 1 }, "x", "x")]);
    assert_eq!(faults, ["`check` has tables, so it can neither be required nor have a default", "`check`: `timeout` is `5s`, must be true or false"]);
}

fn lines() -> impl Strategy<Value = Vec<(String, String)>> {
    let path = "(check|check\\.[a-c]|check\\.'[ -&]'|check\\.a)(\\.(kind|target|x|'y'))?";
    prop::collection::vec((path, "'[ -&]{0,5}'|'tcp'|\\{\\}|\\[1\\]|[0-9]"), 0..6)
}

proptest! {
    #[test]
    fn property_any_table_is_answered(lines in lines()) {
        let text: String = lines.into_iter().map(|(path, value)| format!("{path} = {value}\n")).collect();
        let answer = Layer::from_toml("agent.toml", &text).map_err(|fault| vec![fault]).and_then(|layer| resolve(KEYS, vec![layer]));
        match answer {
            Ok(values) => prop_assert!(values.tables("check").len() <= 2 && values.tables("check").values().all(|table| table.text("kind") == "tcp")),
            Err(faults) => prop_assert!(!faults.is_empty() && print(&faults).lines().count() == faults.len()),
        }
    }
}
