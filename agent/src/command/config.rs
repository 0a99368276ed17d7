//! `config check` and `config show`.

use super::PROGRAM;
use crate::cli::{ConfigCommand, Lang, exit};
use crate::config::{Config, files};
use mimamori_cli::config::refuse;
use std::path::Path;

pub(super) fn carry_out(config: &Config, file: &Path, command: &ConfigCommand, lang: Lang) -> u8 {
    if let Err(fault) = config.proxy_password() {
        return refuse(PROGRAM, Some(command), &[fault]);
    }
    command.carry_out(config.values(), &files(file), lang);
    exit::OK
}
