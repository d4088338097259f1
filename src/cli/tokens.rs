//! `narrows tokens list|revoke`: identity tokens, seen and ended from the command line while the service runs.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::store::settings::StateSettings;
use crate::store::{StateKey, Store, TokenRow};
use crate::token::identity_token::settings::IdentityTokenSettings;
use crate::token::identity_token::{IdentityTokens, Listed, Selection};

const EXAMPLES: &str = "\
Examples:
  narrows tokens list --user alice
  narrows tokens revoke mzxw6ytboi4dcmrt
  narrows tokens revoke --user alice --realm corp
  narrows tokens revoke --user alice --before 2026-11-24
  narrows tokens revoke --all --before 2026-11-24T08:00:00Z

A revoked token is refused within a second, also by a service that is running. Registry tokens that were made with it
live on until they expire.";

/// List or end identity tokens (what docker keeps instead of a password).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokensArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TokensCommand,
}

/// What to do with identity tokens.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Show whose tokens there are, for which service, and until when.
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
    /// End tokens.
    #[command(after_help = EXAMPLES)]
    Revoke(RevokeArgs),
}

/// Which tokens to show.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those of this user.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only those of this realm.
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Also those that ended in the last week.
    #[arg(long)]
    pub ended: bool,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which tokens to end.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The ids of tokens, as `list` shows them.
    #[arg(value_name = "ID", required_unless_present_any = ["user", "all"], conflicts_with_all = ["user", "all", "realm", "before"])]
    pub id: Vec<String>,
    /// Every token of this user.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub user: Option<String>,
    /// Every token of everybody.
    #[arg(long)]
    pub all: bool,
    /// With `--user` or `--all`: only those of this realm.
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// With `--user` or `--all`: only those made before this time (2026-11-24T08:00:00Z or 2026-11-24).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub before: Option<Timestamp>,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command on the state of the configuration in `folder`. 1 where an id is not there.
pub async fn run(
    args: &TokensArgs,
    state: &StateSettings,
    lives: &IdentityTokenSettings,
    folder: &Path,
    clock: &Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let key = StateKey::open(&state.key_file(folder))?;
    let store = Store::open_existing(&state.database(folder), &key).await?;
    let tokens = IdentityTokens::new(store.clone(), &key, lives.clone(), clock.clone());
    let result = match &args.command {
        TokensCommand::List(args) => list(args, &tokens, out).await,
        TokensCommand::Revoke(args) => revoke(args, &tokens, out).await,
    };
    store.close().await;
    result
}

async fn list(args: &ListArgs, tokens: &IdentityTokens, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let selection = Selection::Matching { user: args.user.clone(), realm: args.realm.clone(), before: None };
    let wanted = |token: &Listed| {
        let meant = token.row.as_ref().is_none_or(|row| selection.means(row));
        meant && (args.ended || matches!(token.state, "live" | "altered"))
    };
    let listed: Vec<Listed> = tokens.list().await?.into_iter().filter(wanted).collect();
    if args.json {
        let tokens: Vec<_> = listed.iter().map(as_json).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&tokens)?)?;
    } else {
        let header = ["ID", "USER", "PROVIDER", "SERVICE", "BORN", "MADE", "FROM", "LAST USED", "FROM", "ENDS", "STATE"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(header).chain(listed.iter().map(as_cells)).collect();
        write_table(&rows, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(args: &RevokeArgs, tokens: &IdentityTokens, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut selections: Vec<_> = args.id.iter().cloned().map(Selection::Id).collect();
    if args.user.is_some() || args.all {
        selections.push(Selection::Matching { user: args.user.clone(), realm: args.realm.clone(), before: args.before });
    }
    let (mut revoked, mut missing) = (0, Vec::new());
    for selection in &selections {
        let count = tokens.revoke_selected(selection).await?;
        revoked += count;
        if let (0, Selection::Id(id)) = (count, selection) {
            missing.push(id.clone());
        }
    }
    if args.json {
        writeln!(out, "{}", json!({"revoked": revoked, "missing": missing}))?;
    } else {
        writeln!(out, "revoked {revoked} identity token{}", if revoked == 1 { "" } else { "s" })?;
        for id in &missing {
            writeln!(out, "no live token has the id {}", audit::escaped(id))?;
        }
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn as_json(token: &Listed) -> serde_json::Value {
    let Some(row) = &token.row else { return json!({"id": token.id, "state": token.state}) };
    json!({
        "id": token.id,
        "state": token.state,
        "realm": row.realm,
        "provider": row.provider,
        "username": row.username,
        "subject": row.subject,
        "service": row.service,
        "born": token.birth.map(|birth| birth.how.as_str()),
        "made_from": token.birth.and_then(|birth| birth.source),
        "used_from": token.used_from,
        "proven": Timestamp(row.proven).rfc3339(),
        "created": Timestamp(row.created).rfc3339(),
        "looked": Timestamp(row.looked).rfc3339(),
        "used": Timestamp(row.used).rfc3339(),
        "ends": token.ends.map(Timestamp::rfc3339),
        "ended": row.ended.map(|ended| Timestamp(ended).rfc3339()),
    })
}

fn as_cells(token: &Listed) -> [String; 11] {
    let time = |seconds: i64| Timestamp(seconds).rfc3339();
    let unknown = || "?".to_owned();
    let address = |address: Option<IpAddr>| address.map_or_else(unknown, |address| address.to_string());
    let cell = |show: &dyn Fn(&TokenRow) -> String| token.row.as_ref().map_or_else(unknown, |row| audit::escaped(&show(row)));
    [
        audit::escaped(&token.id),
        cell(&|row| format!("{}/{}", row.realm, row.username)),
        cell(&|row| row.provider.clone()),
        cell(&|row| row.service.clone()),
        token.birth.map_or_else(unknown, |birth| birth.how.as_str().to_owned()),
        cell(&|row| time(row.created)),
        address(token.birth.and_then(|birth| birth.source)),
        cell(&|row| time(row.used)),
        address(token.used_from),
        token.ends.map_or_else(unknown, Timestamp::rfc3339),
        token.state.to_owned(),
    ]
}

fn write_table<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> std::io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// A moment, or the first one of a day in UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let whole = if text.contains(['T', ' ']) { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let moment: jiff::Timestamp = whole.parse().map_err(|_| "write a time as 2026-11-24T08:00:00Z, or a day as 2026-11-24".to_owned())?;
    Ok(Timestamp(moment.as_second()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use secrecy::SecretString;

    use super::*;
    use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, PasswordMarker, SecondFactor};
    use crate::token::identity_token::{Birth, Born, Recheck};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TokensArgs,
    }

    struct Scene {
        folder: tempfile::TempDir,
        clock: Clock,
        tokens: IdentityTokens,
        settings: StateSettings,
    }

    impl Scene {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (settings, clock) = (StateSettings::default(), Clock::fixed(Timestamp(1_700_000_000)));
            let key = StateKey::open_or_create(&settings.key_file(folder.path())).unwrap();
            let store = Store::open(&settings.database(folder.path()), &key).await.unwrap();
            let tokens = IdentityTokens::new(store, &key, IdentityTokenSettings::default(), clock.clone());
            Self { folder, clock, tokens, settings }
        }

        async fn mint(&self, username: &str, realm: &str) -> SecretString {
            let identity = Identity {
                realm: Arc::from(realm),
                provider: Arc::from("staff"),
                id: format!("id-{username}"),
                username: username.to_owned(),
                groups: vec![Group::named("team")],
                kind: Kind::Person,
                method: Method::Password,
                proven: self.clock.now(),
                marker: Some(PasswordMarker("1".to_owned())),
                claims: IdentityClaims::new(),
                second_factor: SecondFactor::Unknown,
            };
            let birth = Birth { how: Born::Password, source: Some("192.0.2.7".parse().unwrap()) };
            self.tokens.mint(&identity, "registry.example", "f", None, Recheck::ByProvider, birth).await.unwrap()
        }

        async fn run(&self, line: &[&str]) -> (String, ExitCode) {
            let args = Line::try_parse_from([&["tokens"], line].concat()).unwrap().args;
            let mut out = Vec::new();
            let lives = IdentityTokenSettings::default();
            let code = run(&args, &self.settings, &lives, self.folder.path(), &self.clock, &mut out).await.unwrap();
            (String::from_utf8(out).unwrap(), code)
        }
    }

    #[tokio::test]
    async fn tokens_are_listed_for_people_and_for_programs() {
        let scene = Scene::new().await;
        scene.mint("alice", "corp").await;
        scene.mint("b\u{202e}ob\n", "lab").await;
        let (text, _) = scene.run(&["list"]).await;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("ID                USER"), "{text}");
        let alice = lines.iter().find(|line| line.contains("corp/alice")).unwrap();
        assert!(
            alice.ends_with(
                "staff     registry.example  password  2023-11-14T22:13:20Z  192.0.2.7  2023-11-14T22:13:20Z  192.0.2.7  2024-02-12T22:13:20Z  live"
            ),
            "{text}"
        );
        assert!(text.contains("lab/b\\u202eob\\u000a"), "{text}");

        let (text, _) = scene.run(&["list", "--user", "ALICE", "--json"]).await;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json[0]["username"], "alice");
        assert_eq!(json[0]["state"], "live");
        assert_eq!(
            (&json[0]["born"], &json[0]["made_from"], &json[0]["used_from"]),
            (&json!("password"), &json!("192.0.2.7"), &json!("192.0.2.7"))
        );
        assert_eq!(json.as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn tokens_are_revoked_by_id_user_and_time() {
        let scene = Scene::new().await;
        let alice = scene.mint("alice", "corp").await;
        let bob = scene.mint("bob", "corp").await;
        scene.clock.advance(100);
        let carol = scene.mint("carol", "corp").await;
        assert_eq!(scene.run(&["revoke", "--user", "Alice", "--realm", "other"]).await.0, "revoked 0 identity tokens\n");
        assert_eq!(scene.run(&["revoke", "--all", "--realm", "other"]).await.0, "revoked 0 identity tokens\n");
        assert_eq!(scene.run(&["revoke", "--user", "alice", "--before", "2023-11-14"]).await.0, "revoked 0 identity tokens\n");
        assert_eq!(scene.run(&["revoke", "--user", "Alice"]).await.0, "revoked 1 identity token\n");
        assert!(scene.tokens.present(&alice, "registry.example").await.is_err());
        assert!(scene.tokens.present(&bob, "registry.example").await.is_ok());
        assert_eq!(scene.run(&["revoke", "--all", "--before", "2023-11-14T22:13:21Z"]).await.0, "revoked 1 identity token\n");
        assert!(scene.tokens.present(&bob, "registry.example").await.is_err());
        let left = scene.tokens.present(&carol, "registry.example").await.unwrap();
        assert_eq!(scene.run(&["revoke", &left.id, "--json"]).await.0, "{\"missing\":[],\"revoked\":1}\n");
        let (text, code) = scene.run(&["revoke", &left.id]).await;
        assert_eq!(text, format!("revoked 0 identity tokens\nno live token has the id {}\n", left.id));
        assert_eq!(code, ExitCode::from(1));
        assert_eq!(scene.run(&["list"]).await.0.lines().count(), 1, "the header alone");
        let (text, _) = scene.run(&["list", "--ended"]).await;
        assert_eq!(text.matches("revoked").count(), 3, "{text}");
    }

    #[test]
    fn what_to_revoke_must_be_said_once() {
        let wrong: [&[&str]; 9] = [
            &["revoke"],
            &["revoke", "x", "--all"],
            &["revoke", "x", "--user", "a"],
            &["revoke", "x", "--realm", "corp"],
            &["revoke", "x", "--before", "2026-01-01"],
            &["revoke", "--user", "a", "--all"],
            &["revoke", "--before", "2026-01-01"],
            &["revoke", "--realm", "corp"],
            &["revoke", "--all", "--before", "yesterday"],
        ];
        for line in wrong {
            assert!(Line::try_parse_from([&["tokens"], line].concat()).is_err(), "{line:?}");
        }
        assert_eq!(moment("2023-11-14").unwrap(), Timestamp(1_699_920_000));
        assert_eq!(moment("2023-11-14T22:13:20+01:00").unwrap(), Timestamp(1_699_996_400));
    }

    #[test]
    fn the_examples_of_help_and_documentation_are_understood() {
        let page = include_str!("../../docs/identity-tokens.md");
        let lines: Vec<&str> =
            EXAMPLES.lines().chain(page.lines()).map(str::trim).filter(|line| line.starts_with("narrows tokens ")).collect();
        assert!(lines.len() >= 10, "{lines:?}");
        for line in lines {
            let words = line.split('#').next().unwrap().split_whitespace().skip(1);
            assert!(Line::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[tokio::test]
    async fn a_mistyped_state_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let args = Line::try_parse_from(["tokens", "list"]).unwrap().args;
        let lives = IdentityTokenSettings::default();
        let failed = run(&args, &StateSettings::default(), &lives, folder.path(), &Clock::system(), &mut Vec::new()).await;
        assert!(failed.unwrap_err().to_string().contains("check `state` in the configuration"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
