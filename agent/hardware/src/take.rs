//! One run of the helper: from the plan to the report and what is remembered.

use crate::config::{self, Config, Refused};
use crate::count::{Reader, add_one};
use crate::runner::{Ended, Order, Runner};
use crate::state::{Left, State, Tally};
use crate::table::{Each, Row, SCAN, journal, units};
use crate::targets::{self, Found};
use crate::trust::{self, Untrusted};
use crate::{Plan, clock, consent, look};
use mimamori_parse::hardware::{Counts, End, FAULTS_MAX, Fault, REPORT_BYTES_MAX, Report, Run, SCHEMA};
use mimamori_parse::text::plain;
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::id::BootId;
use mimamori_shared::word::Word;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Counts one entry of the journal by its text and unit.
type CountEntry<'a> = dyn FnMut(&mut BTreeMap<String, u64>, &str, Option<&str>) + 'a;

/// The mend where named services or processes cannot be seen.
const NAMED: &str = " (named services and processes need the drop-in of docs/HARDWARE.md)";

/// Of the report, for everything but runs, in bytes.
const REST_BYTES: usize = 512 * 1024;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) report: Report,
    pub(crate) state: State,
    /// Why the facility's file does not count.
    pub(crate) config_fault: Option<String>,
}

impl Taken {
    /// Takes out what these terms do not let leave: they were narrowed while tools ran.
    pub(crate) fn narrow(&mut self, terms: &ConsentTerms, rows: &[Row]) {
        for run in &mut self.report.runs {
            let mut fed = rows.iter().filter(|row| row.tool == run.tool && row.args.first().copied() == run.args.first().map(String::as_str)).peekable();
            if run.outcome == End::Done && fed.peek().is_some() && !fed.any(|row| consent::allows(terms, row.feeds)) {
                (run.outcome, run.exit) = (End::NotConsented, None);
                run.out.clear();
                run.err.clear();
            }
        }
        let report = &mut self.report;
        let withdrawn = [
            ("kernel_log", "kernel_log", report.counts.kernel_log.is_some()),
            ("journal", "journal", report.counts.journal.is_some()),
            ("service", "services", report.services.is_some()),
            ("process", "processes", report.processes.is_some()),
        ];
        for (section, subject, is_there) in withdrawn {
            if !is_there || consent::allows(terms, &[section]) {
                continue;
            }
            match section {
                "kernel_log" => self.report.counts.kernel_log = None,
                "journal" => self.report.counts.journal = None,
                "service" => self.report.services = None,
                _ => self.report.processes = None,
            }
            self.fault("not_consented", Some(subject), "the consent was narrowed while this was looked at");
        }
    }

    pub(crate) fn fault(&mut self, code: &str, subject: Option<&str>, detail: &str) {
        if self.report.faults.len() < FAULTS_MAX {
            let code = code.parse().unwrap_or_default();
            self.report.faults.push(Fault { code, subject: subject.map(plain), detail: plain(detail) });
        }
    }
}

/// Runs everything that the consent allows.
///
/// # Errors
/// When the kernel does not say which boot this is, or does not let this program look after what it starts.
pub(crate) fn take(plan: &Plan) -> Result<Taken, String> {
    let started_at_ms = clock::now_ms();
    let boot_id = boot_id(plan)?;
    let runner = Runner::new(plan.budget).map_err(|fault| format!("the kernel does not give orphans to this program: {fault}"))?;
    let (state, lost) = State::load(&plan.state, boot_id);
    let report = Report {
        schema: SCHEMA.to_owned(),
        started_at_ms,
        taken_at_ms: 0,
        boot_id,
        runs: Vec::new(),
        counts: Counts::default(),
        services: None,
        processes: None,
        faults: Vec::new(),
    };
    let mut taking = Taking { plan, runner, room: REPORT_BYTES_MAX - REST_BYTES, off: Vec::new(), taken: Taken { report, state, config_fault: None } };
    if let Some(why) = lost {
        taking.taken.fault("state_lost", None, &why);
    }
    let mut tools: Vec<&str> = plan.rows.iter().map(|row| row.tool).chain([journal().tool, units().tool]).collect();
    tools.dedup();
    let config = config::load(&plan.config, plan.owner, &tools).map_err(|Refused { why, off }| {
        taking.taken.fault("config_refused", None, &why);
        taking.taken.config_fault = Some(why);
        // What the facility switched off stays off; where that cannot be told, it may be any of them.
        taking.off = off.unwrap_or_else(|| tools.iter().map(|tool| (*tool).to_owned()).collect());
    });
    if let Ok(config) = &config {
        taking.off.clone_from(&config.off);
    }
    taking.kernel_log();
    if let Ok(config) = &config {
        taking.named(config);
    }
    taking.tools();
    taking.taken.report.taken_at_ms = clock::now_ms();
    Ok(taking.taken)
}

/// Which boot this is.
///
/// # Errors
/// When the kernel does not say it.
pub(crate) fn boot_id(plan: &Plan) -> Result<BootId, String> {
    let place = plan.root.join("proc/sys/kernel/random/boot_id");
    let text = fs::read_to_string(&place).map_err(|fault| format!("{}: {fault}", place.display()))?;
    BootId::from_uuid(&text).ok_or_else(|| format!("{} is no UUID", place.display()))
}

struct Taking<'a> {
    plan: &'a Plan,
    runner: Runner,
    /// Bytes the report still has for runs.
    room: usize,
    off: Vec<String>,
    taken: Taken,
}

impl Taking<'_> {
    /// Whether the consent lets something of these sections leave. Asked anew before each tool: it may be taken back, and a
    /// quiet window may begin, while others run.
    fn may(&self, sections: &[&str]) -> bool {
        consent::terms(self.plan).is_ok_and(|terms| consent::allows(&terms, sections))
    }

    fn is_off(&self, row: &Row) -> bool {
        self.off.iter().any(|off| off == row.tool)
    }

    /// The table, row by row.
    fn tools(&mut self) {
        let mut disks = Found::default();
        for row in &self.plan.rows {
            let is_there = |file: &&str| self.plan.root.join(file).try_exists().unwrap_or(false);
            if !row.only_if.is_empty() && !row.only_if.iter().any(is_there) {
                continue;
            }
            // Neither is looked for what it would be asked about.
            if row.each != Each::Machine && !self.may(row.feeds) {
                self.withheld(row, None);
                continue;
            }
            let found = match row.each {
                Each::Machine => {
                    let out = self.hand_over(row, None, &[]);
                    if row.args == SCAN
                        && let Some(out) = out
                    {
                        disks = targets::disks(&out);
                    }
                    continue;
                }
                Each::Disk => std::mem::take(&mut disks),
                Each::Btrfs => targets::btrfs(&fs::read_to_string(self.plan.root.join("proc/self/mountinfo")).unwrap_or_default()),
            };
            for (code, detail) in found.left_out {
                self.taken.fault(code, Some(row.tool), &detail);
            }
            for target in found.targets {
                self.hand_over(row, Some(&target.subject), &target.args);
            }
        }
    }

    /// Runs a tool and puts what it said into the report; gives it when it ended by itself.
    fn hand_over(&mut self, row: &Row, subject: Option<&str>, more: &[String]) -> Option<String> {
        if self.is_off(row) || !self.may(row.feeds) {
            self.withheld(row, subject);
            return None;
        }
        let args: Vec<String> = row.args.iter().map(|arg| (*arg).to_owned()).chain(more.iter().cloned()).collect();
        let mut bytes = Vec::new();
        let ended = self.run(row, &args, &mut |piece| bytes.extend_from_slice(piece));
        let out = if ended.end == End::Done { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() };
        self.note(row.tool, subject, args, &ended, out.clone());
        (ended.end == End::Done).then_some(out)
    }

    /// Puts into the report that the consent does not cover a tool, or the facility switched it off: what it would tell of is
    /// not known, and not gone.
    fn withheld(&mut self, row: &Row, subject: Option<&str>) {
        let args = row.args.iter().map(|arg| (*arg).to_owned()).collect();
        self.note(row.tool, subject, args, &Ended::not(End::NotConsented, String::new()), String::new());
    }

    /// Puts a run into the report; without what it said where there is no room for it.
    fn note(&mut self, tool: &str, subject: Option<&str>, args: Vec<String>, ended: &Ended, out: String) {
        let err = String::from_utf8_lossy(&ended.err).into_owned();
        let mut run = Run {
            tool: tool.to_owned(),
            subject: subject.map(str::to_owned),
            args,
            outcome: ended.end,
            exit: ended.exit,
            ms: ended.ms,
            cpu_ms: ended.cpu_ms,
            out,
            err,
        };
        // Its size with JSON's escapes, which may be six times that of the text.
        let mut size = serde_json::to_vec(&run).map_or(usize::MAX, |encoded| encoded.len());
        if size > self.room {
            (run.outcome, run.exit, run.out, run.err) = (End::TooLarge, None, String::new(), "the report has no room for it".to_owned());
            size = serde_json::to_vec(&run).map_or(usize::MAX, |encoded| encoded.len());
        }
        self.room = self.room.saturating_sub(size);
        self.taken.report.runs.push(run);
    }

    fn run(&mut self, row: &Row, args: &[String], sink: &mut dyn FnMut(&[u8])) -> Ended {
        if let Some(left) = self.taken.state.left.iter().find(|left| left.tool == row.tool && left.args == args) {
            let why = format!("an earlier run still hangs in the kernel as process {}", left.pid);
            self.taken.fault("stuck", Some(row.tool), &why);
            return Ended::not(End::TimedOut, why);
        }
        let path = match tool(&self.plan.folders, row.names, self.plan.owner) {
            Ok(path) => path,
            Err(Untrusted::Missing) => return Ended::not(End::Missing, String::new()),
            Err(Untrusted::Refused(why)) => return Ended::not(End::Failed, why),
        };
        let ended = self.runner.run(&Order { path: &path, args, limit: row.limit, bytes: row.bytes, needs: row.needs }, sink);
        if let Some((pid, started)) = ended.left {
            self.taken.fault("stuck", Some(row.tool), &format!("process {pid} cannot be ended: it hangs in the kernel"));
            self.taken.state.left.push(Left { tool: row.tool.to_owned(), args: args.to_vec(), pid, started });
        }
        ended
    }

    /// The kernel's lines of this boot, by class.
    fn kernel_log(&mut self) {
        let class_of = self.plan.class_of;
        let mut tally = std::mem::take(&mut self.taken.state.kernel);
        let asked = ["_TRANSPORT=kernel", "SYSLOG_FACILITY=0"].map(str::to_owned);
        let read = self.journal("kernel_log", &asked, &mut tally, &mut |counts, text, _| {
            if let Some(class) = class_of(text) {
                add_one(counts, class);
            }
        });
        self.taken.report.counts.kernel_log = read.then(|| {
            let words = tally.counts.iter().filter_map(|(class, count)| Some((class.parse().ok()?, *count)));
            words.collect()
        });
        self.taken.state.kernel = tally;
    }

    /// What the facility named.
    fn named(&mut self, config: &Config) {
        self.patterns(config);
        self.taken.report.services = self.services(config);
        if !self.may(&["process"]) {
            return self.taken.fault("not_consented", Some("processes"), "the consent does not cover them");
        }
        match look::processes(&config.processes, &self.plan.root) {
            Ok(found) => self.taken.report.processes = Some(found),
            Err(fault) => self.taken.fault("unreadable", Some("processes"), &format!("{fault}{NAMED}")),
        }
    }

    fn patterns(&mut self, config: &Config) {
        // A pattern is counted under all that makes it up: when it is changed it begins anew.
        let key = |alias: &Word, pattern: &config::Pattern| format!("{alias} {} {}", pattern.unit.as_deref().unwrap_or("-"), pattern.contains);
        let keys: BTreeMap<&Word, String> = config.patterns.iter().map(|(alias, pattern)| (alias, key(alias, pattern))).collect();
        let mut tally = std::mem::take(&mut self.taken.state.journal);
        tally.counts.retain(|name, _| keys.values().any(|key| key == name));
        if keys.is_empty() {
            self.taken.report.counts.journal = Some(BTreeMap::new());
            return;
        }
        let units: Option<Vec<String>> = config.patterns.values().map(|pattern| Some(format!("_SYSTEMD_UNIT={}", pattern.unit.as_ref()?))).collect();
        let read = self.journal("journal", &units.unwrap_or_default(), &mut tally, &mut |counts, text, unit| {
            for (alias, pattern) in &config.patterns {
                if text.contains(&pattern.contains)
                    && pattern.unit.as_deref().is_none_or(|wanted| unit == Some(wanted))
                    && let Some(key) = keys.get(alias)
                {
                    add_one(counts, key);
                }
            }
        });
        let count = |key: &String| tally.counts.get(key).copied().unwrap_or(0);
        self.taken.report.counts.journal = read.then(|| keys.iter().map(|(alias, key)| ((*alias).clone(), count(key))).collect());
        self.taken.state.journal = tally;
    }

    /// Reads on in the journal; `false` when it cannot be read. What was counted before the end of a run counts.
    fn journal(&mut self, subject: &str, asked: &[String], tally: &mut Tally, each: &mut CountEntry<'_>) -> bool {
        let row = journal();
        if self.is_off(&row) || !self.may(&[subject]) {
            self.withheld(&row, Some(subject));
            return false;
        }
        let shown: Vec<String> = row.args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut args = shown.clone();
        args.extend(tally.cursor.iter().map(|cursor| format!("--after-cursor={cursor}")));
        args.extend(asked.iter().cloned());
        let mut reader = Reader::default();
        let counts = &mut tally.counts;
        let ended = self.run(&row, &args, &mut |piece| reader.take(piece, &mut |text, unit| each(counts, text, unit)));
        self.note(row.tool, Some(subject), shown, &ended, String::new());
        if reader.foreign > 0 {
            self.taken.fault("unreadable", Some(subject), &format!("{} lines of journalctl are no entries", reader.foreign));
        }
        let moved = reader.cursor.is_some();
        tally.cursor = reader.cursor.or(tally.cursor.take());
        let cut = matches!(ended.end, End::TimedOut | End::TooLarge);
        if cut && moved {
            self.taken.fault("behind", Some(subject), "more was written than one run may read; the next ones go on");
        }
        let read = (ended.end == End::Done && ended.exit == Some(0)) || (cut && moved);
        if !read {
            self.taken.fault("unreadable", Some(subject), &format!("journalctl: {}", why(&ended)));
        }
        // Without a journal journalctl is content and says nothing. Every boot begins with lines of the kernel: a
        // journal without them is none, or does not take them, and that is not the same as a kernel without trouble.
        let journal = self.taken.state.kernel.cursor.is_some() || tally.cursor.is_some();
        if read && !journal {
            self.taken.fault("unreadable", Some(subject), "the journal holds nothing of this boot");
        }
        read && journal
    }

    fn services(&mut self, config: &Config) -> Option<BTreeMap<Word, mimamori_parse::hardware::Service>> {
        if config.services.is_empty() {
            return Some(BTreeMap::new());
        }
        let row = units();
        if self.is_off(&row) || !self.may(row.feeds) {
            self.withheld(&row, Some("services"));
            return None;
        }
        let shown: Vec<String> = row.args.iter().map(|arg| (*arg).to_owned()).collect();
        let args: Vec<String> = shown.iter().cloned().chain(config.services.values().cloned()).collect();
        let mut bytes = Vec::new();
        let ended = self.run(&row, &args, &mut |piece| bytes.extend_from_slice(piece));
        self.note(row.tool, Some("services"), shown, &ended, String::new());
        let aliases: Vec<&Word> = config.services.keys().collect();
        let found = match ended.end {
            End::Done if ended.exit == Some(0) => look::services(&aliases, &String::from_utf8_lossy(&bytes), &self.plan.root),
            _ => Err(format!("systemctl: {}{NAMED}", why(&ended).lines().next().unwrap_or_default())),
        };
        found.map_err(|why| self.taken.fault("unreadable", Some("services"), &why)).ok()
    }
}

/// What a tool complained of, or how it ended where it said nothing.
fn why(ended: &Ended) -> String {
    let said = String::from_utf8_lossy(&ended.err).into_owned();
    match ended.end {
        _ if !said.trim().is_empty() => said,
        End::Missing => "not installed".to_owned(),
        End::TimedOut => "it took too long".to_owned(),
        End::TooLarge => "it printed too much".to_owned(),
        _ => ended.exit.map_or_else(|| "it was ended".to_owned(), |exit| format!("it ended with status {exit} and no word")),
    }
}

/// The tool's file, in the first folder that has it. One that somebody else could have written is not passed over in
/// silence: it would mean that the next one is run instead of what the administrator sees.
fn tool(folders: &[PathBuf], names: &[&str], owner: u32) -> Result<PathBuf, Untrusted> {
    for path in folders.iter().flat_map(|folder: &PathBuf| names.iter().map(move |name| Path::new(folder).join(name))) {
        match trust::open(&path, owner) {
            Ok(_) => return Ok(path),
            Err(Untrusted::Missing) => {}
            Err(refused) => return Err(refused),
        }
    }
    Err(Untrusted::Missing)
}
