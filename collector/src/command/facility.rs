//! `facility`.

use super::machine::{print_rows, value as machine_value};
use super::{Done, did, print, print_json};
use crate::cli::{FacilityCommand, Lang};
use crate::clock;
use crate::store::{Actor, FacilityRow, Scope, Store, StoreError};
use mimamori_cli::print::padded;
use serde_json::{Value, json};

pub(super) async fn carry_out(store: &Store, actor: &Actor, command: &FacilityCommand, lang: Lang) -> Done {
    match command {
        FacilityCommand::Add { alias, name, example, output } => {
            let at_ms = clock::now_ms();
            store.add_facility(&Scope::All, actor, &alias.0, name, *example, at_ms).await?;
            let added = FacilityRow { alias: alias.0.clone(), name: name.clone(), example: *example, created_at_ms: at_ms, machines: 0 };
            did(*output, "facility add", &value(&added), &format!("{} {} ({name})", lang.of("Added:", "追加しました："), alias.0));
        }
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
            let machines = store.machines(&scope).await?;
            if output.json {
                print_json(
                    &json!({"schema": "mimamori.facility/1", "facility": value(&facility), "machines": machines.iter().map(machine_value).collect::<Vec<_>>()}),
                );
            } else {
                print(&line(&facility, lang));
                print_rows(&machines, lang);
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
    let machines = lang.of(format!("{:>5} machines", facility.machines), format!("機器{:>5}台", facility.machines));
    format!("{} {machines}  {}{example}\n", padded(facility.alias.as_str(), 32), facility.name)
}
