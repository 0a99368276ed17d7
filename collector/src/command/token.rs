//! `token`.

use super::{Done, Failed, print, print_json};
use crate::cli::{Alias, Lang, TokenCommand, exit};
use crate::config::Config;
use crate::keys::Keys;
use crate::store::{Actor, Network, NewToken, Scope, Store, StoreError, TokenRow};
use crate::{clock, serve};
use mimamori_shared::config::parse_duration;
use mimamori_shared::id::{Hash, TokenId};
use mimamori_shared::limits::TOKEN_TTL_S_MAX;
use mimamori_shared::time;
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
}

pub(super) async fn carry_out(config: &Config, keys: &Keys, store: &Store, actor: &Actor, command: &TokenCommand, lang: Lang) -> Done {
    match command {
        TokenCommand::Create { facility, machine, ttl, reason, source, output, csv } => {
            let ttl_s = parse_duration(ttl).map_err(|fault| Failed(exit::USAGE, format!("--ttl {ttl}: {fault}")))?;
            if ttl_s == 0 || ttl_s > TOKEN_TTL_S_MAX {
                return Err(Failed(exit::USAGE, format!("--ttl {ttl}: must be more than nothing and at most 24h")));
            }
            let expires_at_ms = clock::now_ms().saturating_add(i64::try_from(ttl_s).unwrap_or(0).saturating_mul(1000));
            // The file first: a token that cannot be handed over is not made.
            let mut file = output.as_deref().map(new_file).transpose()?;
            let url = serve::public_url(config, keys);
            let mint = Mint { store, actor, keys, url, ca_pin: serve::pin(config)?, facility: facility.0.clone(), reason, source: *source, expires_at_ms };
            let text = match csv {
                Some(csv) => mint.fleet(csv).await?,
                None => Zeroizing::new(format!("{}\n", mint.one(machine.as_ref().map(|machine| machine.0.clone())).await?.as_str())),
            };
            match &mut file {
                Some(file) => file.write_all(text.as_bytes())?,
                None => print(&text),
            }
        }
        TokenCommand::List(output) => list(&store.tokens(&Scope::All).await?, output.json, lang),
        TokenCommand::Revoke { id } => {
            let id: TokenId = id.parse().map_err(|fault| Failed(exit::USAGE, format!("{id}: {fault}")))?;
            store.revoke_token(&Scope::All, actor, id, clock::now_ms()).await?;
        }
    }
    Ok(())
}

impl Mint<'_> {
    /// The secret leaves this function only in the text; the store gets its public half.
    async fn one(&self, slot: Option<Word>) -> Result<Zeroizing<String>, Failed> {
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
            slot,
            reason: self.reason.to_owned(),
            source: self.source,
            expires_at_ms: self.expires_at_ms,
        };
        self.store.add_token(&Scope::All, self.actor, kept, clock::now_ms()).await?;
        Ok(token.to_text())
    }

    /// One token for each name of a list. All names are checked before the first token is made.
    async fn fleet(&self, csv: &Path) -> Result<Zeroizing<String>, Failed> {
        let shown = csv.display();
        let text = std::fs::read_to_string(csv).map_err(|fault| Failed(exit::USAGE, format!("{shown}: {fault}")))?;
        let mut names = Vec::new();
        let mut faults = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let name = line.split(',').next().unwrap_or_default().trim().trim_start_matches('\u{feff}');
            if name.is_empty() || (number == 0 && name == "machine") {
                continue;
            }
            match name.parse::<Alias>() {
                Ok(alias) if names.contains(&alias.0) => faults.push(format!("{shown}:{}: {name} stands twice", number + 1)),
                Ok(alias) => names.push(alias.0),
                Err(fault) => faults.push(format!("{shown}:{}: {name}: {fault}", number + 1)),
            }
        }
        if names.len() > CSV_ROWS_MAX {
            faults.push(format!("{shown}: more than {CSV_ROWS_MAX} machines"));
        }
        if !faults.is_empty() {
            return Err(Failed(exit::USAGE, faults.join("\n")));
        }
        let taken = self.store.machines(&Scope::Facility(self.facility.clone())).await?;
        if let Some(name) = names.iter().find(|name| taken.iter().any(|machine| machine.alias == **name && machine.ended_at_ms.is_none())) {
            return Err(StoreError::Taken("machine alias").into()).map_err(|Failed(code, fault): Failed| Failed(code, format!("{name}: {fault}")));
        }
        let mut out = Zeroizing::new("machine,token\n".to_owned());
        for name in names {
            let token = self.one(Some(name.clone())).await?;
            out.push_str(&format!("{name},{}\n", token.as_str()));
        }
        Ok(out)
    }
}

fn new_file(path: &Path) -> Result<std::fs::File, Failed> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|fault| Failed(exit::USAGE, format!("{}: {fault}", path.display())))
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
        let slot = token.slot.as_ref().map_or("-", Word::as_str);
        print(&format!(
            "{}  {:<8} {}/{slot}  {} {}\n",
            token.token_id,
            state(token),
            token.facility,
            lang.of("until", "期限"),
            time::show(token.expires_at_ms)
        ));
    }
}
