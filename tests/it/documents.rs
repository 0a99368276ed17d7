//! The generated references are what the code says; the README's links lead somewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "BLESS is read from the environment")]

use clap::{Arg, Command, CommandFactory as _};
use mimamori_agent::cli::exit as agent_exit;
use mimamori_collector::cli::exit as collector_exit;
use mimamori_collector::export::reference as tables;
use mimamori_collector::store::FindingKind;
use mimamori_shared::config::reference;
use std::fs;
use std::path::{Path, PathBuf};

const MEND: &str = "run `BLESS=1 cargo test -p mimamori-tests documents`";
/// Wide enough that no sentence of the tables is broken, and the same on every terminal.
const WIDTH: usize = 160;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn config_page() -> String {
    let part = |title: &str, file: &str, fragments: &str, prefix: &str, table: String| {
        format!(
            "\n## {title}\n\nFile: `{file}` (TOML, may be absent), then `{fragments}` beside it in the order of their names, then the environment (`{prefix}…`), then `--set KEY=VALUE`: the last one that sets a key counts.\n\n{table}"
        )
    };
    let agent = (mimamori_agent::config::DEFAULT_FILE, mimamori_agent::config::ENV_PREFIX, mimamori_agent::config::KEYS);
    let collector = (mimamori_collector::config::DEFAULT_FILE, mimamori_collector::config::ENV_PREFIX, mimamori_collector::config::KEYS);
    let mut page = String::from(
        "# Configuration / 設定\n\nMade from the key tables (`agent/src/config.rs`, `collector/src/config.rs`); do not edit. `config check` names every mistake with its place, \
         `config show --effective --origin` every value with where it came from. A mistake is exit status 78.\n",
    );
    page.push_str(&part("mimamori-agent", agent.0, "conf.d/*.toml", agent.1, reference(agent.2, agent.1)));
    page.push_str(&part("mimamori-collector", collector.0, "collector.d/*.toml", collector.1, reference(collector.2, collector.1)));
    page
}

/// `--help` of a command and of all below it; the options that every command has stand in the first one only.
fn help(command: &mut Command, name: &str, out: &mut String) {
    let common = |arg: &Arg| arg.is_global_set() || matches!(arg.get_id().as_str(), "help" | "version");
    let own = command.clone().mut_args(|arg| if name.contains(' ') && common(&arg) { arg.hide(true) } else { arg });
    let text = own.bin_name(name).term_width(WIDTH).max_term_width(WIDTH).render_long_help().to_string();
    let text: Vec<&str> = text.lines().map(str::trim_end).collect();
    out.push_str(&format!("\n### `{name}`\n\n```\n{}\n```\n", text.join("\n").trim_end()));
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        let name = format!("{name} {}", below.get_name());
        help(below, &name, out);
    }
}

fn cli_page() -> String {
    let codes = [
        (agent_exit::OK, collector_exit::OK, "Done."),
        (agent_exit::FAILED, collector_exit::FAILED, "Done, and the answer is no: a check failed, a ledger does not verify, sending failed."),
        (agent_exit::USAGE, collector_exit::USAGE, "The command line, or what it names, cannot be used."),
        (agent_exit::CONFIG, collector_exit::CONFIG, "Configuration, identity or keys cannot be used: systemd must not try again."),
    ];
    let mut page = String::from(
        "# Commands\n\nMade from the command tables (`agent/src/cli.rs`, `collector/src/cli.rs`); do not edit. \
         The options of a program stand in its first entry and go with every command below it.\n\n## Exit status\n\n| Status | Meaning |\n|---|---|\n",
    );
    for (agent, collector, meaning) in codes {
        assert_eq!(agent, collector, "both programs mean the same by a status");
        page.push_str(&format!("| {agent} | {meaning} |\n"));
    }
    for (title, mut command) in [("mimamori-agent", mimamori_agent::cli::Cli::command()), ("mimamori-collector", mimamori_collector::cli::Cli::command())] {
        command.build();
        page.push_str(&format!("\n## {title}\n"));
        help(&mut command, title, &mut page);
    }
    page
}

fn pages() -> [(&'static str, String); 4] {
    [("FIELDS.md", tables::fields_reference()), ("METRICS.md", tables::reference()), ("CONFIG.md", config_page()), ("CLI.md", cli_page())]
}

/// Writes the pages when blessed; otherwise what is stale in `folder`, by the first line that differs.
fn stale(folder: &Path, pages: &[(&str, String)], bless: bool) -> Vec<String> {
    let mut stale = Vec::new();
    for (name, made) in pages {
        let path = folder.join(name);
        if bless {
            fs::write(&path, made).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if kept != *made {
            let line = kept.lines().zip(made.lines()).position(|(a, b)| a != b).unwrap_or_else(|| kept.lines().count().min(made.lines().count()));
            stale.push(format!("docs/{name} differs from line {} on", line + 1));
        }
    }
    stale
}

#[test]
fn generated_references_are_what_the_code_says() {
    let pages = pages();
    assert!(pages.iter().all(|(name, page)| page.lines().count() > 20 && page.ends_with('\n') && !page.ends_with("\n\n") || panic!("{name} is no page")));
    let found = stale(&top().join("docs"), &pages, std::env::var_os("BLESS").is_some_and(|bless| bless == "1"));
    assert!(found.is_empty(), "{found:#?}\n{MEND}");
}

#[test]
fn every_command_key_and_exit_status_stands_in_the_pages() {
    let (cli, config) = (cli_page(), config_page());
    for command in [
        "mimamori-agent enroll",
        "mimamori-agent run",
        "mimamori-agent ledger verify",
        "mimamori-agent config show",
        "mimamori-collector token create",
        "mimamori-collector machine approve",
        "mimamori-collector fsck",
    ] {
        assert!(cli.contains(&format!("\n### `{command}`\n")), "{command}");
    }
    for status in [0, 1, 2, 78] {
        assert!(cli.contains(&format!("\n| {status} | ")), "{status}");
    }
    assert!(!cli.contains("SUBCOMMAND") && !cli.contains('\u{1b}'));
    for key in mimamori_agent::config::KEYS.iter().chain(mimamori_collector::config::KEYS) {
        assert!(config.contains(&format!("| `{}` |", key.path)), "{}", key.path);
    }
}

/// What it means and what to do, in English and in Japanese.
#[test]
fn every_finding_has_a_row_for_the_operator_in_both_languages() {
    let page = fs::read_to_string(top().join("docs/OPERATING.md")).unwrap();
    let (_, findings) = page.split_once("\n## Findings\n").unwrap();
    let table = findings.split("\n## ").next().unwrap();
    for kind in FindingKind::ALL {
        let name = format!("`{}`", kind.name());
        let row = table.lines().find(|line| line.split('|').nth(1).is_some_and(|cell| cell.contains(&name)));
        let cells: Vec<&str> = row.unwrap_or_else(|| panic!("no row for {name}")).split('|').map(str::trim).collect();
        assert!(cells.len() == 6 && cells[2..5].iter().all(|cell| cell.len() > 8) && !cells[4].is_ascii() && cells[3].is_ascii(), "{name}: {cells:?}");
    }
}

#[test]
fn a_stale_page_is_noticed_and_blessing_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let pages = [("A.md", "one\ntwo\n".to_owned()), ("B.md", "x\n".to_owned())];
    assert_eq!(stale(dir.path(), &pages, false).len(), 2);
    assert!(stale(dir.path(), &pages, true).is_empty() && stale(dir.path(), &pages, false).is_empty());
    fs::write(dir.path().join("A.md"), "one\n2\n").unwrap();
    assert_eq!(stale(dir.path(), &pages, false), ["docs/A.md differs from line 2 on"]);
    fs::write(dir.path().join("A.md"), "one\ntwo\nthree\n").unwrap();
    assert_eq!(stale(dir.path(), &pages, false), ["docs/A.md differs from line 3 on"]);
}

/// Targets of links in Markdown that should lead into this repository.
fn links(text: &str) -> Vec<String> {
    let found = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    found.filter(|link| !link.contains("://")).map(str::to_owned).collect()
}

/// Those of a page that lead nowhere: a file that is not there, a heading that is not there.
fn dead(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().unwrap();
    links(text)
        .into_iter()
        .filter(|link| {
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { text.to_owned() } else { fs::read_to_string(folder.join(file)).unwrap_or_default() };
            let there = file.is_empty() || folder.join(file).try_exists().unwrap();
            let named = |anchor: &str| target.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
            !there || anchor.is_some_and(|anchor| !named(anchor))
        })
        .collect()
}

/// How a heading is named in links.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_').map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn readme_names_both_commands_and_every_link_leads_somewhere() {
    let readme = fs::read_to_string(top().join("README.md")).unwrap();
    for command in ["make run", "make test"] {
        assert!(readme.lines().any(|line| line.split('#').next().unwrap().trim() == command), "README.md does not say `{command}`");
    }
    let makefile = fs::read_to_string(top().join("Makefile")).unwrap();
    for target in ["run:", "test:"] {
        assert!(makefile.lines().any(|line| line.starts_with(target)), "Makefile has no {target}");
    }
    assert!(!links(&readme).is_empty());
    let mut pages = vec![top().join("README.md"), top().join("ARCHITECTURE.md")];
    pages.extend(fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md")));
    assert!(pages.len() >= 7, "{pages:?}");
    let mut checked = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        checked += links(&text).len();
        assert_eq!(dead(&page, &text), Vec::<String>::new(), "{}", page.display());
    }
    println!("{checked} links lead somewhere");
}

#[test]
fn a_dead_link_is_noticed() {
    let page = top().join("README.md");
    for (text, count) in [
        ("[a](docs/WIRE.md) [b](https://example.com/none)", 0),
        ("# Tail end\n[a](#tail-end)", 0),
        ("# 日本語の概要\n[a](#日本語の概要)", 0),
        ("[a](docs/NONE.md)", 1),
        ("# Head\n[a](#heat)", 1),
        ("[a](docs/WIRE.md#no-such-heading)", 1),
    ] {
        assert_eq!(dead(&page, text).len(), count, "{text}");
    }
}
