//! The configuration from its files, the environment and flags; `config show`.

use crate::print::{complain, print, print_json, whole};
use crate::{Lang, Output, exit};
use mimamori_shared::config::{Fault, Key, Layer, Origin, Values, resolve};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Most files of a folder of fragments.
const FRAGMENTS_MAX: usize = 64;

/// Where a program's configuration comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Every key.
    pub keys: &'static [Key],
    /// Folder of fragments beside the file.
    pub folder: &'static str,
    /// Prefix of the environment's variables.
    pub env_prefix: &'static str,
}

impl Source {
    /// Reads the file (which may be absent), the fragments beside it, the environment's variables and `--set` flags;
    /// later ones win. `agree` names contradictions between values that are good each for itself.
    ///
    /// # Errors
    /// All faults, each naming its place and the mend.
    pub fn load(
        &self,
        file: &Path,
        vars: impl Iterator<Item = (String, String)>,
        sets: &[String],
        agree: impl FnOnce(&Values) -> Vec<Fault>,
    ) -> Result<Values, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut layers = Vec::new();
        let mut add = |layer: Result<Layer, Fault>| match layer {
            Ok(layer) => layers.push(layer),
            Err(fault) => faults.push(fault),
        };
        for path in self.files(file) {
            let shown = path.display().to_string();
            match fs::read_to_string(&path) {
                Ok(text) => add(Layer::from_toml(&shown, &text)),
                Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {}
                Err(fault) => add(Err(Fault {
                    origin: None,
                    what: format!("{shown} cannot be read: {fault}"),
                    what_ja: format!("{shown} を読み取れません：{fault}"),
                    key: shown,
                })),
            }
        }
        let (layer, wrong) = Layer::from_env(self.env_prefix, self.keys, vars);
        add(Ok(layer));
        add(Layer::from_flags(sets));
        faults.extend(wrong);
        match resolve(self.keys, layers) {
            Ok(values) => {
                faults.extend(agree(&values));
                if faults.is_empty() { Ok(values) } else { Err(faults) }
            }
            Err(more) => {
                faults.extend(more);
                Err(faults)
            }
        }
    }

    /// The file, then `*.toml` in the folder beside it in the order of their names.
    #[must_use]
    pub fn files(&self, file: &Path) -> Vec<PathBuf> {
        let is_toml = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml");
        let entries = fs::read_dir(file.with_file_name(self.folder)).into_iter().flatten();
        let mut fragments: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_toml).collect();
        fragments.sort();
        fragments.truncate(FRAGMENTS_MAX);
        std::iter::once(file.to_owned()).chain(fragments).collect()
    }
}

/// Configuration commands.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Reads the configuration and reports every fault, or what was read.
    Check(Output),
    /// Shows the configuration.
    Show {
        /// Defaults too.
        #[arg(long)]
        effective: bool,
        /// Where each value came from.
        #[arg(long)]
        origin: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// Faults in the reader's language.
#[must_use]
pub fn lines(faults: &[Fault], lang: Lang) -> Vec<String> {
    faults.iter().map(|fault| if lang == Lang::Ja { fault.in_japanese() } else { fault.to_string() }).collect()
}

/// What a configuration that cannot be used comes to: its faults on standard error, for `config check --json` also as
/// JSON, and the exit code. `asked` is the command when it is one about the configuration.
#[must_use]
pub fn refuse(program: &str, asked: Option<&ConfigCommand>, faults: &[String]) -> u8 {
    if let Some(ConfigCommand::Check(Output { json: true })) = asked {
        print_json(&json!({"schema": "mimamori.config-check/1", "ok": false, "faults": faults}));
    }
    faults.iter().for_each(|fault| complain(program, fault));
    exit::CONFIG
}

impl ConfigCommand {
    /// Says what was read, or shows what was asked for. `files` are those that a configuration may come from.
    pub fn carry_out(&self, values: &Values, files: &[PathBuf], lang: Lang) {
        match self {
            ConfigCommand::Check(output) => holds(values, files, *output, lang),
            ConfigCommand::Show { effective, origin, output } => show(values, *effective, *origin, *output),
        }
    }
}

/// A configuration that could be read is checked already.
fn holds(values: &Values, files: &[PathBuf], output: Output, lang: Lang) {
    let read: Vec<String> = files.iter().filter(|file| file.is_file()).map(|file| whole(file).display().to_string()).collect();
    let set = values.effective().filter(|(_, _, from)| !matches!(from, Origin::Default)).count();
    let named = if read.is_empty() { lang.of("no file", "ファイルなし").to_owned() } else { read.join(", ") };
    let text = lang.of(
        format!("The configuration holds: {set} keys set ({named}), all others by default.\n"),
        format!("設定に誤りはありません：設定されたキー{set}個（{named}）、他は既定値です。\n"),
    );
    output.say(&json!({"schema": "mimamori.config-check/1", "ok": true, "files": read, "keys_set": set}), &text);
}

fn show(values: &Values, effective: bool, origin: bool, output: Output) {
    let mut listed = Vec::new();
    for (path, value, from) in values.effective().filter(|(_, _, from)| effective || !matches!(from, Origin::Default)) {
        if output.json {
            listed.push(json!({"key": path, "value": value, "origin": from.to_string()}));
        } else if origin {
            print(&format!("{path} = {value}    # {from}\n"));
        } else {
            print(&format!("{path} = {value}\n"));
        }
    }
    if output.json {
        print_json(&json!({"schema": "mimamori.config/1", "values": listed}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::config::Kind;

    const SOURCE: Source = Source {
        keys: &[
            Key::with_default("state_dir", Kind::Path, "/var/lib/x", "Folder.", "フォルダー。"),
            Key::with_default("interval", Kind::Duration { min_s: 5, max_s: 3600 }, "60s", "Interval.", "間隔。"),
        ],
        folder: "conf.d",
        env_prefix: "MIMAMORI_X_",
    };

    fn load(file: &Path, vars: &[(&str, &str)], sets: &[&str]) -> Result<Values, Vec<Fault>> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        SOURCE.load(file, vars, &sets, |_| Vec::new())
    }

    #[test]
    fn later_layers_win_and_all_faults_come_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.toml");
        assert_eq!(load(&file, &[], &[]).unwrap().duration_s("interval"), 60);
        fs::create_dir(dir.path().join("conf.d")).unwrap();
        fs::write(&file, "interval = \"30s\"\n").unwrap();
        fs::write(dir.path().join("conf.d/b.toml"), "interval = \"20s\"\n").unwrap();
        fs::write(dir.path().join("conf.d/a.toml"), "interval = \"10s\"\n").unwrap();
        fs::write(dir.path().join("conf.d/c.txt"), "interval = \"9s\"\n").unwrap();
        let var = [("MIMAMORI_X_INTERVAL", "15s")];
        assert_eq!(load(&file, &[], &[]).unwrap().duration_s("interval"), 20);
        assert_eq!(load(&file, &var, &[]).unwrap().duration_s("interval"), 15);
        assert_eq!(load(&file, &var, &["interval=12s"]).unwrap().duration_s("interval"), 12);
        fs::write(&file, "intervall = \"30s\"\nstate_dir = 5\n").unwrap();
        let faults = load(&file, &[], &[]).unwrap_err();
        let shown = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(faults.len() == 2 && shown.contains("did you mean `interval`") && shown.contains("state_dir"), "{shown}");
    }

    #[test]
    fn a_file_that_cannot_be_read_and_a_contradiction_are_faults() {
        let dir = tempfile::tempdir().unwrap();
        let faults = load(dir.path(), &[], &[]).unwrap_err();
        assert!(faults.len() == 1 && faults[0].to_string().contains("cannot be read"), "{faults:?}");
        let contradiction = Fault { origin: None, key: "interval".to_owned(), what: "does not fit".to_owned(), what_ja: "合いません".to_owned() };
        let found = SOURCE.load(&dir.path().join("none.toml"), std::iter::empty(), &[], |_| vec![contradiction.clone()]);
        assert_eq!(found.unwrap_err(), [contradiction]);
    }
}
