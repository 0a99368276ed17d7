//! `probe`: what is measured here, for the engineer on site. It needs no consent, for nothing leaves.

use super::helper_words::Helper;
use super::{complain, print, print_json};
use crate::application::{self, Checked};
use crate::cli::{Lang, Output, exit};
use crate::config::Config;
use crate::probe::{Machine, Names, PROBES, Probe, Worker};
use crate::setup::{host_of, names_of};
use mimamori_parse::text::plain;
use mimamori_shared::config::suggest;
use mimamori_shared::fields::{Field, Readings, Value, fields};
use mimamori_shared::payload::Fault;
use mimamori_shared::word::Word;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What `probe run --json` is called.
const SCHEMA: &str = "mimamori.probe/1";

/// Every row of the table.
pub(super) fn list(config: &Config, output: Output, lang: Lang) -> u8 {
    if output.json {
        let rows: Vec<_> = PROBES
            .iter()
            .map(|probe| {
                let units: BTreeSet<&str> = fields().filter(|field| field.section == probe.name).map(|field| field.unit).collect();
                json!({"name": probe.name, "scope": probe.scope.name(), "runs_in": probe.runs_in.name(), "every_s": config.interval_s(probe.scope),
                       "units": units, "about": probe.about, "about_ja": probe.about_ja, "mend": probe.mend, "mend_ja": probe.mend_ja})
            })
            .collect();
        print_json(&json!({"schema": "mimamori.probes/1", "probes": rows}));
        return exit::OK;
    }
    for probe in PROBES {
        let every = config.interval_s(probe.scope);
        print(&format!("{:<14} {:<18} {:<16} {every:>5}s  {}\n", probe.name, probe.scope.name(), probe.runs_in.name(), lang.of(probe.about, probe.about_ja)));
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
    let names = Arc::new(names_of(config, &salt).unwrap_or_else(|_| Names::new(&salt, BTreeMap::new())).explained());
    let machine = Machine { host: host_of(config), names: names.clone(), resolve: None };
    let mut worker = Worker::default();
    let (readings, faults) = runtime.block_on(worker.sample(&machine, &BTreeSet::from([probe.name])));
    let took = worker.slowest.map_or(Duration::ZERO, |(_, took)| took);
    let taken = Taken { probe, readings, faults, took, helper: Helper::of(&machine.host), meanings: names.meanings() };
    if output.json {
        taken.print_json()
    } else {
        taken.print(lang)
    }
    if taken.faults.is_empty() { exit::OK } else { exit::FAILED }
}

/// One section, as it stands.
struct Taken<'a> {
    probe: &'a Probe,
    readings: Readings,
    faults: Vec<Fault>,
    took: Duration,
    helper: Helper,
    /// What of the machine the words in it stand for.
    meanings: BTreeMap<Word, String>,
}

impl Taken<'_> {
    /// What another program measured is only as good as its file.
    fn helper(&self) -> Option<&Helper> {
        self.probe.runs_in.asks_helper().then_some(&self.helper)
    }

    fn print_json(&self) {
        let Taken { probe, readings, faults, took, meanings, .. } = self;
        let (helper, took_us) = (self.helper().map(Helper::json), took.as_micros());
        print_json(
            &json!({"schema": SCHEMA, "probe": probe.name, "readings": readings, "faults": faults, "took_us": took_us, "helper": helper, "names": meanings}),
        );
    }

    fn print(&self, lang: Lang) {
        let line = |field: &'static Field, name: Option<&str>, value: String| {
            let place = name.map_or_else(|| field.path(), |name| format!("{}[{name}].{}", field.section, field.name));
            print(&format!("{place:<40} {value:>16} {:<10} {}\n", field.unit, lang.of(field.meaning, field.meaning_ja)));
        };
        self.readings.visit(|field, name, value| match value {
            Value::Number(number) => line(field, name, number.to_string()),
            Value::Text(word) => line(field, name, word.to_owned()),
        });
        if self.readings == Readings::default() && self.faults.is_empty() {
            print(lang.of("This machine has none.\n", "この機器にはありません。\n"));
        }
        print(&format!("{} {:.1} ms\n", lang.of("Taken in", "所要時間"), self.took.as_secs_f64() * 1000.0));
        for (word, meaning) in &self.meanings {
            print(&format!("{word} = {} {}\n", plain(meaning), lang.of("(on this machine only)", "（この機器の中だけの表示）")));
        }
        let mut mends = Vec::new();
        for fault in &self.faults {
            let name = fault.name.as_ref().map(|name| format!(" [{name}]")).unwrap_or_default();
            print(&format!("{}{name}: {}\n", fault.probe, lang.of(fault.code.words_en(), fault.code.words_ja())));
            mends.push(self.helper.mend_of(self.probe, fault, lang));
        }
        if let Some(helper) = self.helper() {
            print(&format!("{}: {}\n", lang.of("hardware helper", "ハードウェアヘルパー"), helper.text(lang)));
            // The section's own are among its faults.
            for (text, mend) in helper.troubles(false, lang) {
                print(&format!("{}: {text}\n", lang.of("hardware helper", "ハードウェアヘルパー")));
                mends.push(mend.to_owned());
            }
        }
        mends.retain(|mend| !mend.is_empty());
        mends.dedup();
        mends.iter().for_each(|mend| print(&format!("-> {mend}\n")));
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
    let begun = Instant::now();
    let checked = application::run(&checks).await;
    let failed = checked.iter().any(|checked| checked.reading().map_or(true, |reading| reading.up != Some(1)));
    if output.json {
        let (readings, faults): (Vec<_>, Vec<_>) = checked.iter().map(Checked::reading).partition(Result::is_ok);
        let (readings, faults): (Vec<_>, Vec<_>) = (readings.into_iter().flatten().collect(), faults.into_iter().filter_map(Result::err).collect());
        let (readings, took_us) = (json!({"application": readings}), begun.elapsed().as_micros());
        print_json(&json!({"schema": SCHEMA, "probe": "application", "readings": readings, "faults": faults, "took_us": took_us, "helper": null, "names": {}}));
    } else {
        checked.iter().for_each(|checked| print(&format!("{}\n", checked.line(lang))));
    }
    if failed { exit::FAILED } else { exit::OK }
}
