//! The LDAP provider against a real OpenLDAP server, and against servers that misbehave.

mod accounts;
mod answers;
mod ds389;
mod faults;
mod groups;
mod hostile;
mod impostors;
mod logins;
mod ranges;
mod servers;
mod transport;
mod verify;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::identity::Identity;
use narrows::authn::ldap::{Directory, LdapSettings};
use narrows::authn::provider::Names;
use narrows::authn::verdict::{Circumstances, Standing, Unavailable, Verdict};
use narrows::clock::Clock;
use narrows::source::SourceFile;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::slapd::{SERVICE_DN, SERVICE_PASSWORD, Slapd};

/// The settings that every test starts from; a test replaces whole lines by their key.
fn directory_at(folder: &Path, server: &str, lines: &[(&str, &str)]) -> Directory {
    fs::write(folder.join("service-password"), SERVICE_PASSWORD).unwrap();
    let defaults = [
        ("servers", format!("servers: [\"{server}\"]")),
        ("allow_plaintext", String::new()),
        ("tls", "tls: {ca: {file: ca.pem}}".to_owned()),
        ("service_account", format!("service_account: {{dn: \"{SERVICE_DN}\", password: {{file: service-password}}}}")),
        ("user", "user: {bases: [\"ou=people,dc=example,dc=org\", \"ou=guests,dc=example,dc=org\"]}".to_owned()),
        ("groups", String::new()),
        ("accounts", String::new()),
        ("timeouts", "timeouts: {connect: 20s, tls: 20s, bind: 20s, search: 20s}".to_owned()),
    ];
    let text: Vec<String> = defaults
        .into_iter()
        .map(|(key, line)| lines.iter().find(|(replaced, _)| *replaced == key).map_or(line, |(_, other)| (*other).to_owned()))
        .collect();
    let file = SourceFile::new(folder.join("narrows.yaml"), text.join("\n"));
    let settings: LdapSettings = file.parse().unwrap_or_else(|finding| panic!("{finding}"));
    let names = Names { provider: Arc::from("staff"), realm: Arc::from("corp"), ignore_case: true };
    Directory::build(names, &settings, &file, &Clock::system()).unwrap_or_else(|findings| panic!("{findings}"))
}

/// Over LDAPS.
fn directory(lab: &Slapd, lines: &[(&str, &str)]) -> Directory {
    directory_at(lab.folder(), &lab.tls_url(), lines)
}

fn within(time: Duration) -> Circumstances {
    Circumstances { source: None, deadline: Instant::now() + time }
}

fn soon() -> Circumstances {
    within(Duration::from_secs(30))
}

async fn verify(directory: &Directory, username: &str, password: &str) -> Result<Verdict, Unavailable> {
    directory.verify(username, &SecretString::from(password.to_owned()), &soon(), Freshness::CacheAllowed, &Attempt::default()).await
}

/// The verdict as a word.
async fn word(directory: &Directory, username: &str, password: &str) -> String {
    match verify(directory, username, password).await {
        Ok(Verdict::Authenticated(identity, _)) => format!("authenticated {}", identity.username),
        Ok(Verdict::Rejected(rejection)) => rejection.as_str().to_owned(),
        Ok(Verdict::NotMine) => "not mine".to_owned(),
        Ok(Verdict::Throttled(_)) => "throttled".to_owned(),
        Err(unavailable) => format!("unavailable: {}", unavailable.reason),
    }
}

async fn identity(directory: &Directory, username: &str, password: &str) -> Identity {
    match verify(directory, username, password).await {
        Ok(Verdict::Authenticated(identity, renewal)) => {
            assert!(renewal.is_none());
            identity
        }
        other => panic!("{username}: {other:?}"),
    }
}

/// How somebody stands now, as a word with the groups.
async fn standing(directory: &Directory, identity: &Identity) -> String {
    match directory.recheck(identity, &soon()).await {
        Ok(Standing::Good(now)) => format!("good {}", group_names(&now)),
        Ok(Standing::Ended(why)) => why.to_owned(),
        Err(unavailable) => format!("unavailable: {}", unavailable.reason),
    }
}

fn group_names(identity: &Identity) -> String {
    identity.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(" | ")
}
