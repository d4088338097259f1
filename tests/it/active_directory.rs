//! The LDAP provider against a domain controller.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::identity::Identity;
use narrows::authn::ldap::{Directory, LdapSettings};
use narrows::authn::provider::Names;
use narrows::authn::verdict::{Circumstances, Standing, Verdict};
use narrows::clock::Clock;
use narrows::source::SourceFile;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::labs::wait;
use crate::samba::{BASE, Certificate, PASSWORD, SERVICE_DN, Samba};

/// The settings of a domain; a test adds lines to `user` and `groups`, or replaces the server.
fn directory(lab: &Samba, server: &str, user: &str, groups: &str) -> Directory {
    let folder = lab.folder();
    let text = format!(
        "preset: active_directory\nservers: [\"{server}\"]\ntls: {{ca: {{file: ca.pem}}}}\n\
         service_account: {{dn: \"{SERVICE_DN}\", password: {{file: service-password}}}}\n\
         user: {{bases: [\"OU=Staff,{BASE}\"]{user}}}\n\
         groups: {{bases: [\"OU=Groups,{BASE}\"]{groups}}}\n\
         timeouts: {{connect: 20s, tls: 20s, bind: 20s, search: 20s}}\n"
    );
    build(folder, &text)
}

fn build(folder: &Path, text: &str) -> Directory {
    let file = SourceFile::new(folder.join("narrows.yaml"), text.to_owned());
    let settings: LdapSettings = file.parse().unwrap_or_else(|finding| panic!("{finding}"));
    let names = Names { provider: Arc::from("staff"), realm: Arc::from("corp"), ignore_case: true };
    Directory::build(names, &settings, &file, &Clock::system()).unwrap_or_else(|findings| panic!("{findings}"))
}

fn soon() -> Circumstances {
    Circumstances { source: None, deadline: Instant::now() + Duration::from_secs(30) }
}

/// The verdict as a word.
async fn word(directory: &Directory, username: &str, password: &str) -> String {
    match directory.verify(username, &SecretString::from(password.to_owned()), &soon(), Freshness::CacheAllowed, &Attempt::default()).await
    {
        Ok(Verdict::Authenticated(identity, _)) => format!("authenticated {}", identity.username),
        Ok(Verdict::Rejected(rejection)) => rejection.as_str().to_owned(),
        Ok(Verdict::NotMine) => "not mine".to_owned(),
        Ok(Verdict::Throttled(_)) => "throttled".to_owned(),
        Err(unavailable) => format!("unavailable: {}", unavailable.reason),
    }
}

async fn identity(directory: &Directory, username: &str) -> Identity {
    match directory.verify(username, &SecretString::from(PASSWORD), &soon(), Freshness::CacheAllowed, &Attempt::default()).await {
        Ok(Verdict::Authenticated(identity, _)) => identity,
        other => panic!("{username}: {other:?}"),
    }
}

async fn standing(directory: &Directory, identity: &Identity) -> String {
    match directory.recheck(identity, &soon()).await {
        Ok(Standing::Good(_)) => "good".to_owned(),
        Ok(Standing::Ended(why)) => why.to_owned(),
        Err(unavailable) => format!("unavailable: {}", unavailable.reason),
    }
}

fn group_names(identity: &Identity) -> String {
    identity.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(" | ")
}

#[tokio::test]
async fn people_log_in_by_every_name_that_the_filter_knows() {
    let Some(lab) = Samba::shared().await else { return };
    let by_account = directory(lab, &lab.tls_url(), ", strip: [\"CORP\\\\\", \"@corp.example\"]", "");
    for name in ["alice", "ALICE", "CORP\\alice", "corp\\Alice", "alice@corp.example"] {
        assert_eq!(word(&by_account, name, PASSWORD).await, "authenticated alice", "{name}");
    }
    for name in ["outsider", "svc-narrows", "nobody", "OTHER\\alice", "alice@ad.example.org", "Administrator", "*", "alice)(cn=*"] {
        assert_eq!(word(&by_account, name, PASSWORD).await, "not mine", "{name}");
    }
    let any_name = ", filter: \"(&(objectCategory=person)(|(sAMAccountName={username})(userPrincipalName={username})(mail={username})))\"";
    let by_any = directory(lab, &lab.tls_url(), any_name, "");
    for name in ["alice", "alice@ad.example.org", "alice@example.org"] {
        assert_eq!(word(&by_any, name, PASSWORD).await, "authenticated alice", "{name}");
    }
    let by_principal = directory(lab, &lab.url(), ", bind: upn, upn_suffix: ad.example.org", "");
    for (name, expected) in [
        ("alice", "authenticated alice"),
        ("alice@AD.example.org", "authenticated alice"),
        ("alice@example.org", "not mine"),
        ("nobody", "wrong_password"),
    ] {
        assert_eq!(word(&by_principal, name, PASSWORD).await, expected, "{name}");
    }
    assert_eq!(word(&by_principal, "bob", "wrong").await, "wrong_password");
}

#[tokio::test]
async fn a_domain_is_asked_over_ldaps_and_start_tls_with_one_bind_for_a_password() {
    let Some(lab) = Samba::shared().await else { return };
    for (server, binds) in [(lab.tls_url(), 2), (lab.url(), 4)] {
        let staff = directory(lab, &server, "", "");
        assert_eq!(word(&staff, "carol", PASSWORD).await, "authenticated carol", "{server}");
        assert_eq!(word(&staff, "carol", "wrong").await, "wrong_password", "{server}");
        assert_eq!(word(&staff, "carol", "").await, "wrong_password", "{server}");
        assert_eq!(lab.binds("carol"), binds, "the empty password was not sent to {server}");
    }
}

/// A search below the root comes with referrals to other parts of the domain, and nobody follows them.
#[tokio::test]
async fn the_whole_domain_may_be_the_base_and_nothing_needs_a_preset() {
    let Some(lab) = Samba::shared().await else { return };
    fs::write(lab.folder().join("root-password"), PASSWORD).unwrap();
    for strategy in ["memberof", "member", "in_chain"] {
        let text = format!(
            "servers: [\"{}\"]\ntls: {{ca: {{file: ca.pem}}}}\n\
             service_account: {{dn: \"{SERVICE_DN}\", password: {{file: root-password}}}}\n\
             user: {{bases: [\"{BASE}\"], filter: \"(sAMAccountName={{username}})\", username: sAMAccountName, id: objectGUID}}\n\
             groups: {{strategy: {strategy}, bases: [\"{BASE}\"], filter: \"(objectClass=group)\", name: sAMAccountName}}\n",
            lab.tls_url()
        );
        let everybody = build(lab.folder(), &text);
        let member = identity(&everybody, "crowd-07").await;
        assert_eq!(group_names(&member), "Domain Users | Users | crowd", "{strategy}");
        assert_eq!(member.id.len(), 36, "{strategy}: {}", member.id);
        assert_eq!(word(&everybody, "outsider", PASSWORD).await, "authenticated outsider", "{strategy}");
        assert_eq!(word(&everybody, "nobody", PASSWORD).await, "not mine", "{strategy}");
        assert_eq!(standing(&everybody, &member).await, "good", "{strategy}");
    }
}

#[tokio::test]
async fn the_certificate_that_samba_makes_has_no_name_and_is_refused_with_that_reason() {
    let Some(lab) = Samba::start_with(Certificate::OfSamba).await else { return };
    fs::copy(lab.folder().join("private/tls/ca.pem"), lab.folder().join("ca.pem")).unwrap();
    for server in [lab.tls_url(), lab.url()] {
        let said = word(&directory(&lab, &server, "", ""), "alice", PASSWORD).await;
        assert!(said.starts_with("unavailable: tls") && said.contains("bears no name (subjectAltName)"), "{server}: {said}");
    }
    assert_eq!(lab.binds("svc-narrows"), 0);
}

#[tokio::test]
async fn an_account_state_is_told_to_the_right_password_only() {
    let Some(lab) = Samba::shared().await else { return };
    let staff = directory(lab, &lab.tls_url(), "", "");
    for (name, expected) in [("disabled", "disabled"), ("mustchange", "must_change"), ("expired", "expired")] {
        assert_eq!(word(&staff, name, PASSWORD).await, expected, "{name}");
        assert_eq!(word(&staff, name, "wrong").await, "wrong_password", "{name}");
    }
}

#[tokio::test]
async fn a_locked_account_says_nothing_and_its_owner_keeps_the_logins() {
    let Some(lab) = Samba::shared().await else { return };
    let staff = directory(lab, &lab.tls_url(), "", "");
    let owner = identity(&staff, "locked").await;
    for _ in 0..5 {
        assert_eq!(word(&staff, "locked", "wrong").await, "wrong_password");
    }
    assert_ne!(lab.read("locked", "lockoutTime"), "", "the domain has locked the account");
    assert_eq!(word(&staff, "locked", PASSWORD).await, "locked_out");
    assert_eq!(standing(&staff, &owner).await, "good");
}

#[tokio::test]
async fn token_groups_are_all_of_them_and_the_primary_one() {
    let Some(lab) = Samba::shared().await else { return };
    let staff = directory(lab, &lab.tls_url(), "", "");
    let alice = identity(&staff, "alice").await;
    assert_eq!(
        group_names(&alice),
        "Löwen und Bären | cycle-a | cycle-b | registry-payments | team-l0 | team-l1 | team-l2 | team-l3 | team-l4 | team-l5"
    );
    assert!(alice.groups.iter().all(|group| group.dn.is_some() && group.id.as_deref().is_some_and(|id| id.len() == 36)));
    assert_eq!(group_names(&identity(&staff, "primary").await), "primaries");
    assert_eq!(group_names(&identity(&staff, "bob").await), "");
    assert_eq!(identity(&staff, "many").await.groups.len(), 70);
}

#[tokio::test]
async fn every_strategy_finds_what_it_promises() {
    let Some(lab) = Samba::shared().await else { return };
    let nested =
        "Löwen und Bären | cycle-a | cycle-b | letters | registry-payments | team-l0 | team-l1 | team-l2 | team-l3 | team-l4 | team-l5";
    for (groups, alice, primary) in [
        (", strategy: in_chain", nested, "primaries"),
        (", strategy: memberof", nested, "primaries"),
        (", strategy: member", nested, "primaries"),
        (", strategy: memberof, nested: {depth: 0}", "Löwen und Bären | cycle-a | letters | team-l0", "primaries"),
        (", strategy: member, nested: {depth: 0}", "Löwen und Bären | cycle-a | letters | team-l0", "primaries"),
        (", strategy: none", "", ""),
    ] {
        let staff = directory(lab, &lab.tls_url(), "", groups);
        assert_eq!(group_names(&identity(&staff, "alice").await), alice, "{groups}");
        assert_eq!(group_names(&identity(&staff, "primary").await), primary, "{groups}");
    }
}

#[tokio::test]
async fn a_walk_that_cannot_end_is_an_outage() {
    let Some(lab) = Samba::shared().await else { return };
    for (groups, limit) in [
        (", strategy: member, nested: {depth: 2}", "depth"),
        (", strategy: memberof, nested: {depth: 2}", "depth"),
        (", strategy: member, nested: {count: 3}", "count"),
        (", strategy: token_groups, nested: {count: 3}", "count"),
        (", strategy: in_chain, nested: {count: 3}", "count"),
    ] {
        let staff = directory(lab, &lab.tls_url(), "", groups);
        let answer = word(&staff, "alice", PASSWORD).await;
        assert!(answer.starts_with("unavailable") && answer.contains(limit), "{groups}: {answer}");
    }
}

#[tokio::test]
async fn a_changed_password_or_account_ends_a_login() {
    let Some(lab) = Samba::shared().await else { return };
    let staff = directory(lab, &lab.tls_url(), "", "");
    let (changer, leaver) = (identity(&staff, "changer").await, identity(&staff, "leaver").await);
    assert_eq!(standing(&staff, &changer).await, "good");
    assert_eq!(standing(&staff, &leaver).await, "good");
    lab.set_password("changer", "Another.123");
    assert_eq!(standing(&staff, &changer).await, "password_changed");
    assert_eq!(word(&staff, "changer", "Another.123").await, "authenticated changer");
    lab.modify(&format!("dn: CN=leaver,OU=Staff,{BASE}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n"));
    assert_eq!(standing(&staff, &leaver).await, "disabled");
    lab.modify(&format!("dn: CN=leaver,OU=Staff,{BASE}\nchangetype: delete\n"));
    assert_eq!(standing(&staff, &leaver).await, "gone");
}

#[tokio::test]
async fn a_domain_that_is_frozen_or_lost_is_an_outage_and_comes_back() {
    let Some(mut lab) = Samba::start().await else { return };
    let staff = directory(&lab, &lab.tls_url(), "", "");
    assert_eq!(word(&staff, "alice", PASSWORD).await, "authenticated alice");
    let short = || Circumstances { source: None, deadline: Instant::now() + Duration::from_secs(2) };
    let password = SecretString::from(PASSWORD);
    lab.freeze();
    assert!(staff.verify("alice", &password, &short(), Freshness::CacheAllowed, &Attempt::default()).await.is_err());
    lab.thaw();
    assert_eq!(word(&staff, "alice", PASSWORD).await, "authenticated alice");
    lab.namespace().lose_packets();
    assert!(staff.verify("alice", &password, &short(), Freshness::CacheAllowed, &Attempt::default()).await.is_err());
    lab.namespace().find_packets();
    assert_eq!(word(&staff, "alice", PASSWORD).await, "authenticated alice");
    lab.namespace().lose_connections();
    wait::until(Duration::from_secs(10), async || {
        match staff.verify("alice", &password, &short(), Freshness::CacheAllowed, &Attempt::default()).await {
            Ok(Verdict::Authenticated(..)) => Ok(()),
            Err(outage) => Err(outage.reason.clone()),
            other => panic!("{other:?}"),
        }
    })
    .await;
    lab.namespace().find_packets();
    lab.kill();
    assert!(staff.verify("alice", &password, &short(), Freshness::CacheAllowed, &Attempt::default()).await.is_err());
    lab.restart().await;
    assert_eq!(word(&staff, "alice", PASSWORD).await, "authenticated alice");
}
