//! `config check` and `config show`.

use super::{Done, print, print_json};
use crate::cli::ConfigCommand;
use crate::config::Config;
use mimamori_shared::config::Origin;
use serde_json::json;

pub(super) fn carry_out(config: &Config, command: &ConfigCommand) -> Done {
    let ConfigCommand::Show { effective, origin, output } = command else { return Ok(()) };
    let mut values = Vec::new();
    for (path, value, from) in config.values().effective().filter(|(_, _, from)| *effective || !matches!(from, Origin::Default)) {
        if output.json {
            values.push(json!({"key": path, "value": value, "origin": from.to_string()}));
        } else if *origin {
            print(&format!("{path} = {value}    # {from}\n"));
        } else {
            print(&format!("{path} = {value}\n"));
        }
    }
    if output.json {
        print_json(&json!({"schema": "mimamori.config/1", "values": values}));
    }
    Ok(())
}
