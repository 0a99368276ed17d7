//! `consent grant` and `consent withdraw`: what the facility's administrator does, never the agent's account.

use super::consent::{print_terms, scope_lines};
use super::{complain, print};
use crate::cli::{GrantArgs, Lang, exit};
use crate::clock;
use crate::config::Config;
use crate::consent_file::{ConsentFile, Grant, parse, put, text, withdrawn};
use mimamori_shared::config::{parse_duration, suggest};
use mimamori_shared::consent::{ConsentMode, Window, parse_offset};
use mimamori_shared::fields::{Field, Scope, fields, named};
use mimamori_shared::time;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

const YEAR_S: u64 = 365 * 86_400;

/// The consent as the file has it, valid now or not.
pub(super) fn consent_as_written(config: &Config) -> Result<ConsentFile, String> {
    let path = config.consent_file();
    let text = fs::read_to_string(&path).map_err(|fault| format!("{}: {fault}", path.display()))?;
    parse(&text, &[0; 32]).map_err(|faults| format!("{}: {}", path.display(), faults.join("; ")))
}

/// Refuses the agent's own account: what it writes is no consent. An example needs none.
pub(super) fn administrator(config: &Config, example: bool, lang: Lang) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    let agent = fs::metadata(config.state_dir()).map(|meta| meta.uid());
    if !example && me != 0 && agent.is_ok_and(|agent| agent == me) {
        let en = "this is the agent's own account, and what it could write proves nothing: run this as the facility's administrator (sudo)";
        return Err(lang.of(en, "エージェント自身のアカウントでは同意を作成できません。医療機関の管理者（sudo）として実行してください").to_owned());
    }
    Ok(())
}

pub(super) fn grant(config: &Config, args: &GrantArgs, lang: Lang) -> u8 {
    match written(config, args, lang) {
        Ok(consent) => {
            print(&format!("{} {}\n", lang.of("Written:", "作成しました："), config.consent_file().display()));
            print_terms(&consent, lang);
            summary(config, &consent, lang);
            exit::OK
        }
        Err(faults) => {
            faults.iter().for_each(|fault| complain(fault));
            exit::USAGE
        }
    }
}

fn written(config: &Config, args: &GrantArgs, lang: Lang) -> Result<ConsentFile, Vec<String>> {
    administrator(config, args.example, lang).map_err(|fault| vec![fault])?;
    let text = text(&of(args)?);
    let consent = parse(&text, &[0; 32])?;
    let path = config.consent_file();
    if !args.replace && path.symlink_metadata().is_ok() {
        return Err(vec![format!(
            "{}: {}",
            path.display(),
            lang.of("there is a consent already; --replace replaces it", "既に同意があります。置き換えるには--replaceを指定してください")
        )]);
    }
    put(&path, &text).map_err(|fault| vec![format!("{}: {fault}", path.display())])?;
    Ok(consent)
}

/// What the flags say; all faults.
fn of(args: &GrantArgs) -> Result<Grant, Vec<String>> {
    let mut faults = Vec::new();
    for (name, text) in [("--approver", &args.approver), ("--reason", &args.reason)] {
        if text.chars().any(char::is_control) {
            faults.push(format!("{name}: one line without control characters"));
        }
    }
    let mut moment = |name: &str, text: &str| {
        time::parse(text).unwrap_or_else(|fault| {
            faults.push(format!("{name} {text}: {fault}"));
            0
        })
    };
    let from_ms = args.from.as_deref().map_or_else(|| clock::now().wall_ms, |text| moment("--from", text));
    let to_ms = args.to.as_deref().map(|text| moment("--to", text));
    let lasting_s = args.lasting.as_deref().map(|text| duration(text).map_err(|fault| faults.push(format!("--for {text}: {fault}"))).unwrap_or(0));
    let to_ms = to_ms.unwrap_or_else(|| from_ms.saturating_add(i64::try_from(lasting_s.unwrap_or(0)).unwrap_or(i64::MAX / 1000).saturating_mul(1000)));
    if to_ms <= clock::now().wall_ms && to_ms > from_ms {
        faults.push(format!("--to {}: it is over already, and nothing would be collected", time::show(to_ms)));
    }
    let mut windows = |name: &str, lines: &[String]| -> Vec<Window> {
        lines.iter().filter_map(|line| Window::parse_line(line).map_err(|fault| faults.push(format!("{name}: {fault}"))).ok()).collect()
    };
    let (period, quiet) = (windows("--period", &args.period), windows("--quiet", &args.quiet));
    let utc_offset_s = parse_offset(&args.utc_offset).map_err(|fault| faults.push(format!("--utc-offset: {fault}"))).unwrap_or(0);
    let mode = ConsentMode::ALL.into_iter().find(|mode| mode.name() == args.mode).unwrap_or(ConsentMode::Continuous);
    let scopes = scopes(args, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let (approver, reason) = (args.approver.clone(), args.reason.clone());
    Ok(Grant { approver, reason, from_ms, to_ms, mode, utc_offset_s, period, quiet, scopes, example: args.example })
}

/// `90d`, or `1y` of 365 days.
fn duration(text: &str) -> Result<u64, String> {
    match text.strip_suffix('y') {
        Some(years) => years.parse::<u64>().ok().and_then(|years| years.checked_mul(YEAR_S)).ok_or_else(|| "a whole number of years is needed".to_owned()),
        None => parse_duration(text).map_err(|fault| fault.to_string()),
    }
}

/// The scopes as the file names them, each with what of it is held back; the parser judges their names.
fn scopes(args: &GrantArgs, faults: &mut Vec<String>) -> Vec<(String, Option<String>, Vec<String>)> {
    let paths: Vec<String> = fields().map(Field::path).collect();
    let split = |scope: &String| match scope.split_once('=') {
        Some((name, every)) => (name.to_owned(), Some(every.to_owned()), Vec::new()),
        None => (scope.clone(), None, Vec::new()),
    };
    let mut scopes: Vec<(String, Option<String>, Vec<String>)> = args.scopes.iter().map(split).collect();
    for (place, (name, ..)) in scopes.iter().enumerate() {
        if scopes.iter().skip(place + 1).any(|(other, ..)| other == name) {
            faults.push(format!("--scope {name}: it stands twice"));
        }
    }
    for name in &args.except {
        let ids = named(name);
        let of: Option<Scope> = fields().find(|field| ids.contains(&field.id)).map(|field| field.scope);
        match scopes.iter_mut().find(|(scope, ..)| of.is_some_and(|of| of.name() == scope)) {
            Some((_, _, except)) => except.push(name.clone()),
            None => {
                let hint = suggest(name, paths.iter().map(String::as_str)).map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default();
                faults.push(format!("--except {name}: it is no field of a scope that is given{hint}"));
            }
        }
    }
    scopes
}

/// How much of what there is may leave.
fn summary(config: &Config, consent: &ConsentFile, lang: Lang) {
    scope_lines(&consent.terms, lang);
    let held_back = config.except();
    let leaves = fields().filter(|field| consent.terms.allows(field) && !held_back.contains(&field.id)).count();
    print(&format!(
        "{leaves} / {} {}\n",
        fields().count(),
        lang.of("fields may leave; `manifest` lists them", "項目が送信対象です。一覧は`manifest`で確認できます")
    ));
}

pub(super) fn withdraw(config: &Config, keep: bool, lang: Lang) -> u8 {
    match taken_back(config, keep, lang) {
        Ok(()) => {
            print(&format!("{} {}\n", lang.of("Withdrawn:", "撤回しました："), config.consent_file().display()));
            print(if keep {
                lang.of(
                    "Nothing is collected any more. What was collected before leaves, then one statement.\n",
                    "以後は収集しません。収集済みの未送信分を送り、最後に撤回の通知を1件送ります。\n",
                )
            } else {
                lang.of(
                    "Nothing is collected any more. What was not sent is removed; one statement says so.\n",
                    "以後は収集しません。未送信分は消去し、撤回の通知を1件だけ送ります。\n",
                )
            });
            exit::OK
        }
        Err(fault) => {
            complain(&fault);
            exit::USAGE
        }
    }
}

fn taken_back(config: &Config, keep: bool, lang: Lang) -> Result<(), String> {
    let consent = consent_as_written(config)?;
    administrator(config, consent.terms.example, lang)?;
    if consent.withdrawn_keeping.is_some_and(|kept| !kept || keep) {
        return Err(lang
            .of(
                "the consent is withdrawn already; `consent grant --replace` gives a new one",
                "同意は既に撤回されています。新しい同意は`consent grant --replace`で作成してください",
            )
            .to_owned());
    }
    let path = config.consent_file();
    let shown = path.display();
    let text = fs::read_to_string(&path).map_err(|fault| format!("{shown}: {fault}"))?;
    let text = withdrawn(&text, keep);
    let read = parse(&text, &[0; 32]).map_err(|faults| format!("{shown}: {}", faults.join("; ")))?;
    if read.withdrawn_keeping != Some(keep) {
        return Err(format!(
            "{shown}: {}",
            lang.of("the withdrawal cannot be written into it; remove the file instead", "撤回を書き込めません。ファイルを削除してください")
        ));
    }
    put(&path, &text).map_err(|fault| format!("{shown}: {fault}"))
}
