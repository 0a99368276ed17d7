//! `token`.

use super::{Done, Failed, did, print, print_json};
use crate::cli::{Alias, Lang, Output, TokenCommand, exit};
use crate::config::Config;
use crate::keys::Keys;
use crate::store::{Actor, MachineState, Network, NewToken, Scope, Store, StoreError, TokenRow};
use crate::{clock, serve};
use mimamori_cli::print::{padded, unwritable, whole};
use mimamori_shared::config::parse_duration;
use mimamori_shared::id::{Hash, TokenId};
use mimamori_shared::limits::TOKEN_TTL_S_MAX;
use mimamori_shared::token::Token;
use mimamori_shared::word::Word;
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Machines in one list.
const CSV_ROWS_MAX: usize = 10_000;

struct Mint<'a> {
    store: &'a Store,
    actor: &'a Actor,
    keys: &'a Keys,
    url: String,
    ca_pin: Hash,
    facility: Word,
    reason: &'a str,
    source: Option<Network>,
    expires_at_ms: i64,
    lang: Lang,
}

/// A token that was made.
struct Minted {
    id: TokenId,
    slot: Option<Word>,
    text: Zeroizing<String>,
}

pub(super) async fn carry_out(config: &Config, keys: &Keys, store: &Store, actor: &Actor, command: &TokenCommand, lang: Lang) -> Done {
    match command {
        TokenCommand::Create { facility, machine, ttl, reason, source, output, csv, print } => {
            let ttl_s = parse_duration(ttl).map_err(|_| {
                let form = lang.of("a length of time is written as 30m, 12h or 1h30m", "時間は30m、12h、1h30mのように指定してください");
                Failed::said(exit::USAGE, format!("--ttl {ttl}: {form}"))
            })?;
            if ttl_s == 0 || ttl_s > TOKEN_TTL_S_MAX {
                let bounds = lang.of("must be more than nothing and at most 24h", "0より長く、最大24hです");
                return Err(Failed::said(exit::USAGE, format!("--ttl {ttl}: {bounds}")));
            }
            let expires_at_ms = clock::now_ms().saturating_add(i64::try_from(ttl_s).unwrap_or(0).saturating_mul(1000));
            // The file first: a token that cannot be handed over is not made.
            let file = output.as_deref().map(|path| Ok::<_, Failed>((path, new_file(path, lang)?))).transpose()?;
            let url = serve::public_url(config, keys);
            let mint =
                Mint { store, actor, keys, url, ca_pin: serve::pin(config)?, facility: facility.0.clone(), reason, source: *source, expires_at_ms, lang };
            let minted = match csv {
                Some(csv) => mint.fleet(csv).await?,
                None => vec![mint.one(machine.as_ref().map(|machine| machine.0.clone())).await?],
            };
            hand_over(&mint, &minted, csv.is_some(), file, *print)?;
        }
        TokenCommand::List(output) => list(&store.tokens(&Scope::All).await?, output.json, lang),
        TokenCommand::Revoke { id, output } => {
            let form = lang.of(
                "a token's id is 16 lower-case hexadecimal digits, as `token list` shows it",
                "トークンのIDは16桁の16進数（小文字）です（`token list`に表示されます）",
            );
            let id: TokenId = id.parse().map_err(|_| Failed::said(exit::USAGE, format!("{id}: {form}")))?;
            store.revoke_token(&Scope::All, actor, id, clock::now_ms()).await?;
            let text = lang.of(
                format!("Revoked: token {id}; nobody can enrol with it any more. A machine that did so before stays."),
                format!("取り消しました：トークン {id}（以後は登録できません。登録済みの機器はそのままです）。"),
            );
            did(*output, "token revoke", &json!({"token_id": id}), &text);
        }
    }
    Ok(())
}

/// Into the file that was asked for, or to standard output: a token is shown once.
fn hand_over(mint: &Mint<'_>, minted: &[Minted], is_list: bool, file: Option<(&Path, std::fs::File)>, told: Output) -> Done {
    let row = |one: &Minted| match (&one.slot, is_list) {
        (Some(slot), true) => format!("{slot},{}\n", one.text.as_str()),
        _ => format!("{}\n", one.text.as_str()),
    };
    let mut text = Zeroizing::new(if is_list { "machine,token\n".to_owned() } else { String::new() });
    minted.iter().for_each(|one| text.push_str(&Zeroizing::new(row(one))));
    let (facility, until_ms) = (&mint.facility, mint.expires_at_ms);
    let Some((path, mut file)) = file else {
        let tokens: Vec<_> = minted.iter().map(|one| json!({"token_id": one.id, "machine": one.slot, "token": one.text.as_str()})).collect();
        told.say(&json!({"schema": "mimamori.token/1", "facility": facility, "expires_at_ms": until_ms, "tokens": tokens}), &text);
        return Ok(());
    };
    file.write_all(text.as_bytes()).map_err(|fault| Failed::said(exit::FAILED, unwritable(path, &fault, mint.lang)))?;
    let (shown, count, until) = (whole(path), minted.len(), mint.lang.brief(until_ms));
    let tokens: Vec<_> = minted.iter().map(|one| json!({"token_id": one.id, "machine": one.slot})).collect();
    let line = mint.lang.of(
        format!("Written: {}, {count} token(s) for {facility}, to be redeemed until {until}.", shown.display()),
        format!("書き出しました：{}（{facility}のトークン{count}個、期限 {until}）。", shown.display()),
    );
    did(told, "token create", &json!({"facility": facility, "path": shown, "expires_at_ms": until_ms, "tokens": tokens}), &line);
    Ok(())
}

impl Mint<'_> {
    /// The secret leaves this function only in the text; the store gets its public half.
    async fn one(&self, slot: Option<Word>) -> Result<Minted, Failed> {
        let token = Token {
            id: TokenId(clock::random()?),
            seed: Zeroizing::new(clock::random()?),
            url: self.url.clone(),
            collector_id: self.keys.collector_id,
            root_key: self.keys.root.to_bytes(),
            ca_pin: self.ca_pin,
            recipient: self.keys.recipient.clone(),
        };
        let kept = NewToken {
            token_id: token.id,
            public_key: token.key().public().to_bytes(),
            facility: self.facility.clone(),
            slot: slot.clone(),
            reason: self.reason.to_owned(),
            source: self.source,
            expires_at_ms: self.expires_at_ms,
        };
        self.store.add_token(&Scope::All, self.actor, kept, clock::now_ms()).await?;
        Ok(Minted { id: token.id, slot, text: token.to_text() })
    }

    /// One token for each name of a list. All names are checked before the first token is made.
    async fn fleet(&self, csv: &Path) -> Result<Vec<Minted>, Failed> {
        let (file, lang) = (whole(csv), self.lang);
        let shown = file.display();
        let unread = |fault| Failed::said(exit::USAGE, format!("{shown} {}: {fault}", lang.of("cannot be read", "を読み取れません")));
        let text = std::fs::read_to_string(csv).map_err(unread)?;
        let mut names = Vec::new();
        let mut faults = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let name = line.split(',').next().unwrap_or_default().trim().trim_start_matches('\u{feff}');
            if name.is_empty() || (number == 0 && name == "machine") {
                continue;
            }
            match name.parse::<Alias>() {
                Ok(alias) if names.contains(&alias.0) => faults.push(format!("{shown}:{}: {name} {}", number + 1, lang.of("stands twice", "が2回あります"))),
                Ok(alias) => names.push(alias.0),
                Err(fault) => faults.push(format!("{shown}:{}: {name}: {fault}", number + 1)),
            }
        }
        if names.len() > CSV_ROWS_MAX {
            faults.push(format!("{shown}: {} {CSV_ROWS_MAX}", lang.of("machines in one list are at most", "1つの一覧の機器数の上限：")));
        }
        if !faults.is_empty() {
            return Err(Failed::said(exit::USAGE, faults.join("\n")));
        }
        let taken = self.store.machines(&Scope::Facility(self.facility.clone())).await?;
        if let Some(name) = names.iter().find(|name| taken.iter().any(|machine| machine.alias == **name && machine.state != MachineState::Retired)) {
            return Err(Failed::from(StoreError::Taken("machine's alias")).of(name.as_str()));
        }
        let mut minted = Vec::with_capacity(names.len());
        for name in names {
            minted.push(self.one(Some(name)).await?);
        }
        Ok(minted)
    }
}

fn new_file(path: &Path, lang: Lang) -> Result<std::fs::File, Failed> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|fault| Failed::said(exit::USAGE, format!("--output {}", unwritable(path, &fault, lang))))
}

fn list(tokens: &[TokenRow], as_json: bool, lang: Lang) {
    let now = clock::now_ms();
    let state = |token: &TokenRow| match () {
        () if token.used.is_some() => "used",
        () if token.revoked_at_ms.is_some() => "revoked",
        () if token.expires_at_ms <= now => "expired",
        () => "open",
    };
    if as_json {
        let rows = tokens.iter().map(|token| {
            json!({"token_id": token.token_id, "facility": token.facility, "machine": token.slot, "state": state(token), "reason": token.reason, "source": token.source.map(|source| source.to_string()),
                   "creator": token.creator, "created_at_ms": token.created_at_ms, "expires_at_ms": token.expires_at_ms,
                   "used_at_ms": token.used.map(|(at, _)| at), "used_by": token.used.map(|(_, key)| key.fingerprint())})
        });
        print_json(&json!({"schema": "mimamori.tokens/1", "tokens": rows.collect::<Vec<_>>()}));
        return;
    }
    if tokens.is_empty() {
        print(lang.of("No token yet.\n", "トークンはありません。\n"));
    }
    for token in tokens {
        let state = match state(token) {
            "used" => lang.of("used", "使用済み"),
            "revoked" => lang.of("revoked", "取り消し"),
            "expired" => lang.of("expired", "期限切れ"),
            _ => lang.of("open", "未使用"),
        };
        let slot = token.slot.as_ref().map_or("-", Word::as_str);
        let (place, until) = (format!("{}/{slot}", token.facility), lang.brief(token.expires_at_ms));
        print(&format!("{}  {} {} {} {until}  {}\n", token.token_id, padded(state, 9), padded(&place, 32), lang.of("until", "期限"), token.reason));
    }
}
