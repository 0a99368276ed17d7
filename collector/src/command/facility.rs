//! `facility`.

use super::machine::{rows, show_row};
use super::{Done, print, print_json};
use crate::cli::{FacilityCommand, Lang};
use crate::clock;
use crate::store::{Actor, FacilityRow, Scope, Store, StoreError};
use serde_json::{Value, json};

pub(super) async fn carry_out(store: &Store, actor: &Actor, command: &FacilityCommand, lang: Lang) -> Done {
    match command {
        FacilityCommand::Add { alias, name, example } => store.add_facility(&Scope::All, actor, &alias.0, name, *example, clock::now_ms()).await?,
        FacilityCommand::List(output) => {
            let facilities = store.facilities(&Scope::All).await?;
            if output.json {
                print_json(&json!({"schema": "mimamori.facilities/1", "facilities": facilities.iter().map(value).collect::<Vec<_>>()}));
            } else if facilities.is_empty() {
                print(lang.of(
                    "No facility yet: `mimamori-collector facility add ALIAS --name NAME`\n",
                    "医療機関がありません：`mimamori-collector facility add ALIAS --name NAME`\n",
                ));
            }
            facilities.iter().filter(|_| !output.json).for_each(|facility| print(&line(facility, lang)));
        }
        FacilityCommand::Show { alias, output } => {
            let scope = Scope::Facility(alias.0.clone());
            let facility = store.facilities(&scope).await?.into_iter().next().ok_or(StoreError::NotFound("facility"))?;
            let machines = rows(store, &scope).await?;
            if output.json {
                print_json(&json!({"schema": "mimamori.facility/1", "facility": value(&facility), "machines": machines}));
            } else {
                print(&line(&facility, lang));
                machines.iter().for_each(show_row);
            }
        }
    }
    Ok(())
}

fn value(facility: &FacilityRow) -> Value {
    json!({"alias": facility.alias, "name": facility.name, "example": facility.example, "created_at_ms": facility.created_at_ms, "machines": facility.machines})
}

fn line(facility: &FacilityRow, lang: Lang) -> String {
    let example = if facility.example { lang.of("  EXAMPLE", "  例") } else { "" };
    format!("{:<32} {:>5}  {}{example}\n", facility.alias.as_str(), facility.machines, facility.name)
}
