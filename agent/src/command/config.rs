//! `config check` and `config show`.

use super::complain;
use crate::cli::{ConfigCommand, exit};
use crate::config::Config;

pub(super) fn carry_out(config: &Config, command: &ConfigCommand) -> u8 {
    if let Err(fault) = config.proxy_password() {
        complain(&fault);
        return exit::CONFIG;
    }
    command.carry_out(config.values());
    exit::OK
}
