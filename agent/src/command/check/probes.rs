//! `check` over every probe: a line for each, with what cannot be read, why, and the mend.

use super::{Doctor, Verdict};
use crate::command::helper_words::Helper;
use crate::probe::{Machine, Names, PROBES, Worker};
use crate::setup::host_of;
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::fields;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Doctor<'_> {
    /// Takes every section once that the consent lets leave; without a consent, all of them. Nothing is sent.
    pub(super) fn probes(&mut self, terms: Option<&ConsentTerms>) {
        let lang = self.lang;
        let leaves = |section: &str| terms.is_none_or(|terms| fields().any(|field| field.section == section && terms.allows(field)));
        // Checks of applications wait for networks: they have a command of their own.
        let wanted: BTreeSet<&'static str> = PROBES.iter().map(|probe| probe.name).filter(|name| *name != "application" && leaves(name)).collect();
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        let machine = Machine { host: host_of(self.config), names: Arc::new(Names::new(&[0; 32], BTreeMap::new())), resolve: None };
        let helper = Helper::of(&machine.host);
        if helper.is_there() {
            self.ok("hardware helper", helper.text(lang));
        } else if PROBES.iter().any(|probe| probe.runs_in.asks_helper() && wanted.contains(probe.name)) {
            self.add("hardware helper", Verdict::Warn, helper.text(lang), helper.mend(lang));
        }
        for (text, mend) in helper.troubles(true, lang) {
            self.add("hardware helper", Verdict::Warn, text, mend);
        }
        let (_, faults) = runtime.block_on(Worker::default().sample(&machine, &wanted));
        for probe in PROBES {
            let name = format!("probe {}", probe.name);
            let of_it: Vec<_> = faults.iter().filter(|fault| fault.section() == probe.name).collect();
            match of_it.first() {
                Some(first) => {
                    let more = if of_it.len() > 1 { format!(" (+{})", of_it.len() - 1) } else { String::new() };
                    let text = format!("{}: {}{more}", first.probe, lang.of(first.code.words_en(), first.code.words_ja()));
                    self.add(name, Verdict::Warn, text, helper.mend_of(probe, first, lang));
                }
                None if wanted.contains(probe.name) => self.ok(name, lang.of("can be read whole", "完全に読み取れます")),
                None if leaves(probe.name) => {
                    self.ok(
                        name,
                        lang.of("not run here: `mimamori-agent probe run application`", "ここでは実行しません：`mimamori-agent probe run application`"),
                    );
                }
                None => self.ok(name, lang.of("not read: the consent does not cover it", "読み取りません：同意の対象外です")),
            }
        }
        let fine = wanted.iter().filter(|name| faults.iter().all(|fault| fault.section() != **name)).count();
        self.ok("probes", format!("{fine} / {} {}", wanted.len(), lang.of("can be read whole", "項目を完全に読み取れます")));
    }
}
