//! `consent grant` and `consent withdraw`: what the facility's administrator does, never the agent's account.

use super::consent::{print_terms, scope_lines};
use super::{complain, print};
use crate::cli::{GrantArgs, Lang, exit};
use crate::clock;
use crate::config::Config;
use crate::consent_file::{ConsentFile, Fault, Grant, GrantedScope, NoConsent, cut_off, mark, mark_path, parse, put, settle, text, withdrawn};
use mimamori_cli::print::quoted;
use mimamori_shared::config::{parse_duration, suggest};
use mimamori_shared::consent::{ConsentMode, Window, parse_offset};
use mimamori_shared::fields::{Field, Scope, fields, named};
use mimamori_shared::time;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

const YEAR_S: u64 = 365 * 86_400;

/// The consent as the file has it, valid now or not; withdrawn also where only the mark beside it says so.
pub(super) fn consent_as_written(config: &Config, lang: Lang) -> Result<ConsentFile, String> {
    let (mut consent, text) = as_written(config, lang)?;
    let cut_off = cut_off(&config.consent_file(), &text).map_err(|why| why.in_lang(lang))?;
    consent.withdrawn_keeping = consent.withdrawn_keeping.or(cut_off);
    Ok(consent)
}

/// The same with its text.
fn as_written(config: &Config, lang: Lang) -> Result<(ConsentFile, String), String> {
    let path = config.consent_file();
    let shown = path.display();
    let text = fs::read_to_string(&path).map_err(|fault| match fault.kind() {
        ErrorKind::NotFound => lang.of(
            format!("there is no consent at {shown}: nothing is collected, and there is nothing to change"),
            format!("{shown} に同意書がありません。何も収集していないため、変更するものはありません"),
        ),
        _ => format!("{shown} {}: {fault}", lang.of("cannot be read", "を読み取れません")),
    })?;
    let read = parse(&shown.to_string(), &text, &[0; 32]).map_err(|faults| NoConsent::Faults(shown.to_string(), Fault::all(&faults)).in_lang(lang))?;
    Ok((read, text))
}

/// Why the consent could not be put into its place, and the mend.
pub(super) fn unwritten(path: &Path, fault: &std::io::Error, lang: Lang) -> String {
    let mend = match fault.kind() {
        ErrorKind::PermissionDenied => lang.of("; run this as the facility's administrator (sudo)", "。医療機関の管理者（sudo）として実行してください"),
        ErrorKind::NotFound => lang.of("; make its folder first", "。先にフォルダーを作成してください"),
        _ => "",
    };
    format!("{} {}: {fault}{mend}", path.display(), lang.of("cannot be written", "に書き込めません"))
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
    // A consent that is withdrawn already has said what becomes of the unsent.
    let goes_over = args.replace && as_written(config, lang).is_ok_and(|(before, _)| before.withdrawn_keeping.is_none());
    match written(config, args, lang) {
        Ok(consent) => {
            print(&format!("{} {}\n", lang.of("Written:", "作成しました："), config.consent_file().display()));
            print_terms(&consent, lang);
            summary(config, &consent, lang);
            if goes_over {
                print(lang.of(
                    "What was collected under an older consent and is unsent still leaves, also where this one is narrower; `consent withdraw` before the new grant removes it.\n",
                    "以前の同意の下で収集した未送信分は、新しい同意の方が狭くても送信されます。送信させないためには、新しい同意を作成する前に`consent withdraw`を実行してください。\n",
                ));
            }
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
    let text = text(&of(args, lang)?);
    let path = config.consent_file();
    let told = |fault: Fault| lang.of(fault.en, fault.ja);
    let consent = parse(&path.display().to_string(), &text, &[0; 32]).map_err(|faults| faults.into_iter().map(told).collect::<Vec<_>>())?;
    if !args.replace && path.symlink_metadata().is_ok() {
        return Err(vec![format!(
            "{}: {}",
            path.display(),
            lang.of("there is a consent already; --replace replaces it", "既に同意があります。置き換えるには--replaceを指定してください")
        )]);
    }
    put(&path, &text).map_err(|fault| vec![unwritten(&path, &fault, lang)])?;
    // Behind it: a withdrawal whose rewriting was cut off would else be undone before the new consent stands.
    settle(&path).map_err(|fault| vec![unwritten(&mark_path(&path), &fault, lang)])?;
    Ok(consent)
}

/// What the flags say; all faults.
fn of(args: &GrantArgs, lang: Lang) -> Result<Grant, Vec<String>> {
    let mut faults = Vec::new();
    for (name, text) in [("--approver", &args.approver), ("--reason", &args.reason)] {
        if text.chars().any(char::is_control) {
            faults.push(format!("{name}: {}", lang.of("one line without control characters", "制御文字を含まない1行で指定してください")));
        }
    }
    let mut moment = |name: &str, text: &str| {
        time::parse(text).unwrap_or_else(|fault| {
            faults.push(format!("{name} {text}: {}", lang.of(fault.to_string().as_str(), "2026-11-22T09:00:00+09:00のような時刻ではありません")));
            0
        })
    };
    let from_ms = args.from.as_deref().map_or_else(|| clock::now().wall_ms, |text| moment("--from", text));
    let to_ms = args.to.as_deref().map(|text| moment("--to", text));
    let lasting_s = args.lasting.as_deref().map(|text| duration(text).map_err(|fault| faults.push(format!("--for {text}: {fault}"))).unwrap_or(0));
    let to_ms = to_ms.unwrap_or_else(|| from_ms.saturating_add(i64::try_from(lasting_s.unwrap_or(0)).unwrap_or(i64::MAX / 1000).saturating_mul(1000)));
    if to_ms <= clock::now().wall_ms && to_ms > from_ms {
        let over = lang.of("it is over already, and nothing would be collected", "既に過ぎているため、何も収集されません");
        faults.push(format!("--to {}: {over}", lang.when(to_ms)));
    }
    let mut windows = |name: &str, lines: &[String]| -> Vec<Window> {
        lines.iter().filter_map(|line| Window::parse_line(line).map_err(|fault| faults.push(format!("{name}: {fault}"))).ok()).collect()
    };
    let (period, quiet) = (windows("--period", &args.period), windows("--quiet", &args.quiet));
    let utc_offset_s = parse_offset(&args.utc_offset).map_err(|fault| faults.push(format!("--utc-offset: {fault}"))).unwrap_or(0);
    let mode = ConsentMode::ALL.into_iter().find(|mode| mode.name() == args.mode).unwrap_or(ConsentMode::Continuous);
    let scopes = scopes(args, lang, &mut faults);
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

/// The scopes as the file names them, each with what of it is held back or named; the parser judges their names.
fn scopes(args: &GrantArgs, lang: Lang, faults: &mut Vec<String>) -> Vec<GrantedScope> {
    let split = |scope: &String| match scope.split_once('=') {
        Some((name, every)) => GrantedScope { name: name.to_owned(), every: Some(every.to_owned()), ..GrantedScope::default() },
        None => GrantedScope { name: scope.clone(), ..GrantedScope::default() },
    };
    let mut scopes: Vec<GrantedScope> = args.scopes.iter().map(split).collect();
    for (place, scope) in scopes.iter().enumerate() {
        if scopes.iter().skip(place + 1).any(|other| other.name == scope.name) {
            faults.push(format!("--scope {}: {}", scope.name, lang.of("it stands twice", "2回指定されています")));
        }
    }
    for name in &args.except {
        match scope_of("--except", name, &mut scopes, lang) {
            Ok(scope) => scope.except.push(name.clone()),
            Err(fault) => faults.push(fault),
        }
    }
    for name in &args.include {
        match scope_of("--include", name, &mut scopes, lang) {
            Ok(scope) => scope.include.push(name.clone()),
            Err(fault) => faults.push(fault),
        }
    }
    scopes
}

/// The given scope to which a field or section belongs.
fn scope_of<'a>(flag: &str, name: &str, scopes: &'a mut [GrantedScope], lang: Lang) -> Result<&'a mut GrantedScope, String> {
    let ids = named(name);
    let of: Option<Scope> = fields().find(|field| ids.contains(&field.id)).map(|field| field.scope);
    let given = scopes.iter_mut().find(|scope| of.is_some_and(|of| of.name() == scope.name));
    match (given, of) {
        (Some(scope), _) => Ok(scope),
        (None, Some(of)) => Err(lang.of(
            format!("{flag} {name}: its scope `{of}` is not given, so nothing of it leaves anyway: leave this out, or add --scope {of}", of = of.name()),
            format!("{flag} {name}：範囲`{of}`が指定されていないため、もともと送信されません。これを外すか、--scope {of}を加えてください", of = of.name()),
        )),
        (None, None) => {
            let paths: Vec<String> = fields().map(Field::path).collect();
            let hint = suggest(name, paths.iter().map(String::as_str));
            let en = hint.map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default();
            let ja = hint.map(|hint| format!("。`{hint}`の誤りではありませんか")).unwrap_or_default();
            Err(lang.of(format!("{flag} {name}: there is no such field or section{en}"), format!("{flag} {name}：そのような項目や区分はありません{ja}")))
        }
    }
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
        Ok(keep) => {
            print(&format!("{} {}\n", lang.of("Withdrawn:", "撤回しました："), config.consent_file().display()));
            print(if keep {
                lang.of(
                    "Nothing is collected any more. What was collected before leaves, then one statement. An agent that is stopped does so at its start.\n",
                    "以後は収集しません。収集済みの未送信分を送り、最後に撤回の通知を1件送ります。停止中のエージェントは起動時に実行します。\n",
                )
            } else {
                lang.of(
                    "Nothing is collected any more. What was not sent is removed; one statement says so. An agent that is stopped does so at its start.\n",
                    "以後は収集しません。未送信分は消去し、撤回の通知を1件だけ送ります。停止中のエージェントは起動時に実行します。\n",
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

/// A consent that is not there is withdrawn: the way that needs no file that can be read.
fn removal(path: &Path, lang: Lang) -> String {
    let command = format!("`sudo rm {}`", quoted(path));
    lang.of(
        format!("; to withdraw at once, remove the file: {command}. Without it nothing is collected, what is unsent is removed, and one statement says so"),
        format!("。すぐに撤回するには{command}でファイルを削除してください（以後は収集せず、未送信分を消去し、撤回の通知を1件だけ送ります）"),
    )
}

/// Gives whether what is unsent may still leave.
fn taken_back(config: &Config, keep: bool, lang: Lang) -> Result<bool, String> {
    let path = config.consent_file();
    let (consent, text) = as_written(config, lang).map_err(|fault| match path.try_exists() {
        Ok(false) => fault,
        Ok(true) | Err(_) => format!("{fault}{}", removal(&path, lang)),
    })?;
    administrator(config, consent.terms.example, lang)?;
    if consent.withdrawn_keeping.is_some_and(|kept| !kept || keep) {
        return Err(lang
            .of(
                "the consent is withdrawn already; `consent grant --replace` gives a new one",
                "同意は既に撤回されています。新しい同意は`consent grant --replace`で作成してください",
            )
            .to_owned());
    }
    let shown = path.display();
    // One that was cut off behind the mark is completed as it was meant, unless now more is asked for: it is no second one.
    let before = cut_off(&path, &text).map_err(|why| format!("{}{}", why.in_lang(lang), removal(&path, lang)))?;
    let marked = before.filter(|kept| !kept || keep);
    let keep = marked.unwrap_or(keep);
    let (given, text) = (&text, withdrawn(&text, keep));
    let read = parse(&shown.to_string(), &text, &[0; 32]).map_err(|faults| NoConsent::Faults(shown.to_string(), Fault::all(&faults)).in_lang(lang))?;
    if read.withdrawn_keeping != Some(keep) {
        return Err(format!(
            "{shown}: {}",
            lang.of("the withdrawal cannot be written into it; remove the file instead", "撤回を書き込めません。ファイルを削除してください")
        ));
    }
    // First: whatever becomes of the consent afterwards, the agent acts on it.
    if marked.is_none() {
        mark(&path, given, keep, clock::now().wall_ms).map_err(|fault| unwritten(&mark_path(&path), &fault, lang))?;
    }
    put(&path, &text).map_err(|fault| unwritten(&path, &fault, lang))?;
    settle(&path).map_err(|fault| unwritten(&mark_path(&path), &fault, lang))?;
    Ok(keep)
}
