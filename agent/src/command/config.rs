//! `config check` and `config show`.

use super::{complain, print, print_json};
use crate::cli::{Cli, ConfigCommand, exit};
use crate::config::Config;
use mimamori_shared::config::Origin;
use serde_json::json;

pub(super) fn carry_out(command: &ConfigCommand, cli: &Cli, vars: Vec<(String, String)>) -> u8 {
    let config = match Config::load(&cli.config, vars.into_iter(), &cli.sets) {
        Ok(config) => config,
        Err(faults) => {
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            return exit::CONFIG;
        }
    };
    if let Err(fault) = config.proxy_password() {
        complain(&fault);
        return exit::CONFIG;
    }
    let ConfigCommand::Show { effective, origin, output } = command else {
        return exit::OK;
    };
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
    exit::OK
}
