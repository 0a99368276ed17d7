//! `check` over every probe: what cannot be read, why, and the mend.

use super::{Doctor, Verdict};
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
        // The clock has a line of its own; checks of applications are run by `probe run application`.
        let wanted: BTreeSet<&'static str> =
            PROBES.iter().map(|probe| probe.name).filter(|name| !matches!(*name, "clock" | "application") && leaves(name)).collect();
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        let machine = Machine { host: host_of(self.config), names: Arc::new(Names::new(&[0; 32], BTreeMap::new())), resolve: None };
        let (_, faults) = runtime.block_on(Worker::default().sample(&machine, &wanted));
        for probe in PROBES {
            let of_it: Vec<_> = faults.iter().filter(|fault| fault.section() == probe.name).collect();
            let Some(first) = of_it.first() else { continue };
            let more = if of_it.len() > 1 { format!(" (+{})", of_it.len() - 1) } else { String::new() };
            let text = format!("{}: {}{more}", first.probe, lang.of(first.code.words_en(), first.code.words_ja()));
            self.add(probe.name, Verdict::Warn, text, lang.of(probe.mend, probe.mend_ja));
        }
        let fine = wanted.iter().filter(|name| faults.iter().all(|fault| fault.section() != **name)).count();
        self.ok("probes", format!("{fine} / {} {}", wanted.len(), lang.of("can be read whole", "項目を完全に読み取れます")));
    }
}
