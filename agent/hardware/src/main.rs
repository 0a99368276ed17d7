//! Reads the command line; everything else is in the library. No option names a file, a tool or a time: whoever could
//! choose those would choose what root does.

use mimamori_agent_hardware::{Plan, carry_out, print};
use std::process::ExitCode;

const HELP: &str = "mimamori-agent-hardware: runs what needs root's rights, and leaves what it said for mimamori-agent.
権限の必要なツールを実行し、その結果を mimamori-agent 用のファイルに残します。

It is started by mimamori-agent-hardware.timer and takes no other argument than one of these:
mimamori-agent-hardware.timer が起動します。引数は次のいずれか一つだけです。

  --print    prints the report instead of leaving it, and remembers nothing / 結果を残さずに表示します
  --version  prints the version / 版を表示します
  --help     prints this / この説明を表示します

Reads /etc/mimamori/consent.toml and runs only what the facility consents to; without a consent it removes what it left.
/etc/mimamori/consent.toml を読み、同意された範囲だけを実行します。有効な同意がなければ、残した結果を削除します。
Leaves: /run/mimamori-agent-hardware/report.json. Reads: /etc/mimamori/hardware.toml (may be absent / なくても可).
Exit: 0 done, or nothing to do under the consent; 1 the report could not be left or removed; 2 wrong argument;
      78 hardware.toml cannot be used (the rest was done), or the consent cannot be used (nothing was run).
終了状態: 0 完了、または同意により実行なし、1 結果を残せない／削除できない、2 引数の誤り、
      78 hardware.toml が使えない（それ以外は実行済み）、または同意ファイルが使えない（何も実行しない）
";

#[allow(clippy::print_stdout, reason = "what was asked for goes to standard output")]
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    let only = first.as_ref().filter(|_| arguments.next().is_none()).and_then(|argument| argument.to_str());
    let code = match (&first, only) {
        (None, _) => carry_out(&Plan::machine()),
        (_, Some("--print")) => print(&Plan::machine()),
        (_, Some("--version")) => {
            println!("mimamori-agent-hardware {}", env!("CARGO_PKG_VERSION"));
            0
        }
        (_, Some("--help")) => {
            print!("{HELP}");
            0
        }
        _ => {
            eprintln!("mimamori-agent-hardware takes at most one of --print, --version, --help / 引数は --print、--version、--help のいずれか一つだけです");
            2
        }
    };
    ExitCode::from(code)
}
