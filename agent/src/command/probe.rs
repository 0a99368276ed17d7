//! `probe`: what is measured here, for the engineer on site. It needs no consent, for nothing leaves.

use super::helper_words::Helper;
use super::{print, print_json};
use crate::application;
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::probe::{Machine, Names, PROBES, Probe, Program, Worker};
use crate::say::complain;
use crate::setup::{host_of, names_of};
use mimamori_shared::config::suggest;
use mimamori_shared::fields::{Field, Readings, Value, fields};
use mimamori_shared::payload::Fault;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Every row of the table.
pub(super) fn list(config: &Config, output: Output, lang: Lang) -> u8 {
    if output.json {
        let rows: Vec<_> = PROBES
            .iter()
            .map(|probe| {
                let units: BTreeSet<&str> = fields().filter(|field| field.section == probe.name).map(|field| field.unit).collect();
                json!({"name": probe.name, "scope": probe.scope.name(), "runs_in": program(probe.runs_in), "every_s": config.interval_s(probe.scope),
                       "units": units, "about": probe.about, "about_ja": probe.about_ja, "mend": probe.mend, "mend_ja": probe.mend_ja})
            })
            .collect();
        print_json(&json!({"schema": "mimamori.probes/1", "probes": rows}));
        return exit::OK;
    }
    for probe in PROBES {
        let every = config.interval_s(probe.scope);
        print(&format!("{:<14} {:<18} {:<16} {every:>5}s  {}\n", probe.name, probe.scope.name(), program(probe.runs_in), lang.of(probe.about, probe.about_ja)));
    }
    exit::OK
}

/// One section, now. Exit 1 when something in it could not be read.
pub(super) fn run(config: &Config, name: &str, alias: Option<&str>, output: Output, lang: Lang) -> u8 {
    let Some(probe) = PROBES.iter().find(|probe| probe.name == name) else {
        let near = suggest(name, PROBES.iter().map(|probe| probe.name)).map(|near| format!(" ({}`{near}`?)", lang.of("did you mean ", "もしかして：")));
        let all: Vec<&str> = PROBES.iter().map(|probe| probe.name).collect();
        let (none, there) = (lang.of("no such probe:", "その測定項目はありません："), lang.of("there are", "測定項目"));
        complain(&format!("{none} `{name}`{}\n{there}: {}", near.unwrap_or_default(), all.join(" ")));
        return exit::USAGE;
    };
    if alias.is_some() && name != "application" {
        complain(lang.of("only `application` takes an alias", "別名を指定できるのは`application`だけです"));
        return exit::USAGE;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return exit::FAILED };
    if name == "application" {
        return runtime.block_on(checks(config, alias, output, lang));
    }
    // Names are hashed with the machine's own salt where it may be read; the words differ without it, and nothing else does.
    let salt = std::fs::read_to_string(config.state_dir().join("salt")).ok().and_then(|text| mimamori_shared::id::from_hex(text.trim())).unwrap_or([0; 32]);
    let names = names_of(config, &salt).unwrap_or_else(|_| Names::new(&salt, BTreeMap::new()));
    let machine = Machine { host: host_of(config), names: Arc::new(names), resolve: None };
    let (readings, faults) = runtime.block_on(Worker::default().sample(&machine, &BTreeSet::from([probe.name])));
    // What another program measured is only as good as its file.
    let helper = (probe.runs_in == Program::HardwareHelper).then(|| Helper::of(&machine.host));
    show(probe, &readings, &faults, helper.as_ref(), output, lang);
    if faults.is_empty() { exit::OK } else { exit::FAILED }
}

fn show(probe: &Probe, readings: &Readings, faults: &[Fault], helper: Option<&Helper>, output: Output, lang: Lang) {
    if output.json {
        let helper = helper.map(Helper::json);
        print_json(&json!({"schema": "mimamori.probe/1", "probe": probe.name, "readings": readings, "faults": faults, "helper": helper}));
        return;
    }
    let line = |field: &'static Field, name: Option<&str>, value: String| {
        let place = name.map_or_else(|| field.path(), |name| format!("{}[{name}].{}", field.section, field.name));
        print(&format!("{place:<40} {value:>16} {:<10} {}\n", field.unit, lang.of(field.meaning, field.meaning_ja)));
    };
    readings.visit(|field, name, value| match value {
        Value::Number(number) => line(field, name, number.to_string()),
        Value::Text(word) => line(field, name, word.to_owned()),
    });
    if *readings == Readings::default() && faults.is_empty() {
        print(lang.of("This machine has none.\n", "この機器にはありません。\n"));
    }
    for fault in faults {
        let name = fault.name.as_ref().map(|name| format!(" [{name}]")).unwrap_or_default();
        print(&format!("{}{name}: {}\n", fault.probe, lang.of(fault.code.words_en(), fault.code.words_ja())));
    }
    if let Some(helper) = helper {
        print(&format!("{}: {}\n", lang.of("hardware helper", "ハードウェアヘルパー"), helper.text(lang)));
    }
    match helper.filter(|helper| !helper.is_there()) {
        Some(helper) => print(&format!("-> {}\n", helper.mend(lang))),
        None if !faults.is_empty() => print(&format!("-> {}\n", lang.of(probe.mend, probe.mend_ja))),
        None => {}
    }
}

async fn checks(config: &Config, alias: Option<&str>, output: Output, lang: Lang) -> u8 {
    let mut checks = application::configured(config);
    if let Some(alias) = alias {
        checks.retain(|check| check.alias.as_str() == alias);
        if checks.is_empty() {
            complain(&format!("{} `application.{alias}`", lang.of("the configuration has no", "設定にありません：")));
            return exit::USAGE;
        }
    }
    if checks.is_empty() && !output.json {
        print(lang.of(
            "No checks are configured: see [application.ALIAS] in docs/CONFIG.md.\n",
            "確認は設定されていません（docs/CONFIG.mdの[application.別名]を参照）。\n",
        ));
    }
    let checked = application::run(&checks).await;
    let failed = checked.iter().any(|checked| checked.reading().map_or(true, |reading| reading.up != Some(1)));
    if output.json {
        let readings: Vec<_> = checked.iter().filter_map(|checked| checked.reading().ok()).collect();
        print_json(&json!({"schema": "mimamori.probe/1", "probe": "application", "readings": {"application": readings}}));
    } else {
        checked.iter().for_each(|checked| print(&format!("{}\n", checked.line(lang))));
    }
    if failed { exit::FAILED } else { exit::OK }
}

fn program(program: Program) -> &'static str {
    match program {
        Program::Agent => "agent",
        Program::HardwareHelper => "hardware helper",
        Program::FacilityChecks => "facility checks",
    }
}
