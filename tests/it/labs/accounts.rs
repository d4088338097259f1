//! People and where they are kept: the same tests run over every kind of provider.

use std::fmt::Write;
use std::time::Duration;

use tokio::sync::Mutex;

use super::bridge::{self, Site};
use crate::slapd::{Options, SERVICE_DN, SERVICE_PASSWORD, Slapd};

/// Somebody who has an account.
#[derive(Clone, Debug)]
pub struct Person {
    pub name: &'static str,
    pub password: &'static str,
    pub groups: &'static [&'static str],
}

/// The accounts of a lab, by where they are kept.
pub enum Accounts {
    /// `users.yaml` beside the configuration.
    File(UsersFile),
    /// An OpenLDAP server.
    Slapd(Slapd),
}

impl Accounts {
    /// Writes a users file for these people.
    pub async fn file(site: &Site, people: &[Person]) -> Self {
        let mut entries = Vec::new();
        for person in people {
            let groups = person.groups.iter().map(|&group| group.to_owned()).collect();
            entries.push(Entry { name: person.name.to_owned(), hash: hash(person.password).await, groups, disabled: false });
        }
        site.write(UsersFile::NAME, &UsersFile::text(&entries));
        Self::File(UsersFile { entries: Mutex::new(entries) })
    }

    /// Adds these people and their groups to an OpenLDAP server; `None` where there is none.
    pub async fn slapd(site: &Site, people: &[Person]) -> Option<Self> {
        let slapd = Slapd::start(Options::default()).await?;
        site.write("ldap-password", SERVICE_PASSWORD);
        slapd.modify(&directory::ldif(people));
        Some(Self::Slapd(slapd))
    }

    /// The `providers` of the configuration.
    pub fn providers(&self) -> String {
        match self {
            Self::File(_) => format!("providers:\n  - {{name: staff, realm: corp, file: {{path: {}}}}}\n", UsersFile::NAME),
            Self::Slapd(slapd) => format!(
                "providers:\n  - name: staff\n    realm: corp\n    ldap:\n      servers: [\"{}\"]\n      \
                 tls: {{ca: {{file: \"{}/ca.pem\"}}}}\n      user: {{bases: [\"{}\"]}}\n      \
                 service_account: {{dn: \"{SERVICE_DN}\", password: {{file: ldap-password}}}}\n",
                slapd.tls_url(),
                slapd.folder().display(),
                directory::PEOPLE,
            ),
        }
    }

    /// Switches an account off.
    pub async fn disable(&self, site: &Site, name: &str) {
        match self {
            Self::File(file) => file.change(site, name, |entry| entry.disabled = true).await,
            // Locked for good (draft-behera-ldap-password-policy §5.3.3).
            Self::Slapd(slapd) => {
                slapd.modify(&directory::modify(&directory::person(name), "add", "pwdAccountLockedTime", "000001010000Z"));
            }
        }
    }

    /// Takes somebody out of a group.
    pub async fn remove_from_group(&self, site: &Site, name: &str, group: &str) {
        match self {
            Self::File(file) => file.change(site, name, |entry| entry.groups.retain(|of| of != group)).await,
            Self::Slapd(slapd) => {
                slapd.modify(&directory::modify(&directory::group(group), "delete", "member", &directory::person(name)));
            }
        }
    }

    /// Gives somebody a new password.
    pub async fn change_password(&self, site: &Site, name: &str, password: &str) {
        match self {
            Self::File(file) => {
                let hash = hash(password).await;
                file.change(site, name, |entry| entry.hash = hash).await;
            }
            Self::Slapd(slapd) => {
                // A directory tells the time of a change in whole seconds: one in the second of the account's making shows nothing.
                tokio::time::sleep(Duration::from_millis(1100)).await;
                slapd.modify(&directory::modify(&directory::person(name), "replace", "userPassword", password));
            }
        }
    }
}

/// A users file; the service notices by itself when it changes.
#[derive(Debug)]
pub struct UsersFile {
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    hash: String,
    groups: Vec<String>,
    disabled: bool,
}

impl UsersFile {
    const NAME: &str = "users.yaml";

    async fn change(&self, site: &Site, name: &str, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.entries.lock().await;
        change(entries.iter_mut().find(|entry| entry.name == name).expect("the person has an account"));
        site.write(Self::NAME, &Self::text(&entries));
    }

    fn text(entries: &[Entry]) -> String {
        let mut text = "users:\n".to_owned();
        for Entry { name, hash, groups, disabled } in entries {
            let groups = groups.join(", ");
            writeln!(text, "  - {{name: {name}, password: [\"{hash}\"], groups: [{groups}], disabled: {disabled}}}").unwrap();
        }
        text
    }
}

/// The same people as LDIF.
pub mod directory {
    use std::fmt::Write;

    use super::Person;
    use crate::slapd::SERVICE_DN;

    pub const PEOPLE: &str = "ou=people,dc=example,dc=org";

    pub fn person(name: &str) -> String {
        format!("uid={name},{PEOPLE}")
    }

    pub fn group(name: &str) -> String {
        format!("cn={name},ou=groups,dc=example,dc=org")
    }

    /// A change of one attribute; the value is in base64, so that it may hold anything.
    pub fn modify(dn: &str, how: &str, attribute: &str, value: &str) -> String {
        let value = data_encoding::BASE64.encode(value.as_bytes());
        format!("dn: {dn}\nchangetype: modify\n{how}: {attribute}\n{attribute}:: {value}\n\n")
    }

    /// Adds the people, then their groups; the server has an alice already, who gets the password that is wanted.
    pub fn ldif(people: &[Person]) -> String {
        let mut ldif = String::new();
        for Person { name, password, .. } in people {
            if *name != "alice" {
                let dn = person(name);
                writeln!(ldif, "dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n").unwrap();
            }
            ldif.push_str(&modify(&person(name), "replace", "userPassword", password));
        }
        for Person { name, groups, .. } in people {
            for name_of_group in *groups {
                // A group may not be empty: the service account stays when the last person leaves.
                let (dn, member) = (group(name_of_group), person(name));
                writeln!(
                    ldif,
                    "dn: {dn}\nchangetype: add\nobjectClass: groupOfNames\ncn: {name_of_group}\nmember: {SERVICE_DN}\nmember: {member}\n"
                )
                .unwrap();
            }
        }
        ldif
    }
}

async fn hash(password: &str) -> String {
    let hashed = bridge::narrows(&["hash"], password.as_bytes()).await.ok();
    let hash = hashed.stdout.trim();
    assert!(hash.starts_with("$argon2id$"), "`narrows hash` should print an argon2id hash, not `{hash}`");
    hash.to_owned()
}
