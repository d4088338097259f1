//! Every key parses, and what is not live yet is refused by name.

use super::*;
use crate::source::{Diagnostics, SourceFile};

const EVERY_KEY: &str = r#"
preset: active_directory
servers: [ldaps://dc1.corp.example, {url: ldaps://dr.corp.example, priority: 10}]
discovery: {domain: corp.example}
allow_plaintext: false
tls: {ca: {file: ca.pem}, server_name: null, certificate: a.crt, key: a.key, min_version: "1.2"}
service_account: {dn: "CN=svc-narrows,OU=Service,DC=corp,DC=example", password: {file: ldap-password}}
user: {bind: upn, upn_suffix: corp.example, strip: ["CORP\\", "@corp.example"], bases: ["OU=Staff,DC=corp,DC=example"], scope: sub, filter: "(sAMAccountName={username})", username: sAMAccountName, id: objectGUID}
groups: {strategy: token_groups, bases: ["OU=Groups,DC=corp,DC=example"], filter: null, name: sAMAccountName, nested: {depth: 8, count: 2000}, age: 60s}
accounts: {must_change: allow, grace: deny}
timeouts: {connect: 2s, tls: 2s, bind: 3s, search: 3s}
pool: {search: 2, in_flight: 64, bind: 16, max_age: 10m, max_operations: 0}
"#;

const MINIMAL: &str = r#"
servers: ["ldaps://ldap.corp.example"]
service_account: {dn: "cn=narrows,dc=corp,dc=example", password: {file: ldap-password}}
user: {bases: "ou=people,dc=corp,dc=example"}
"#;

/// Place and message of every finding, one a line.
fn findings(text: &str) -> String {
    let file = SourceFile::new("narrows.yaml", text);
    let mut findings = Diagnostics::default();
    match file.parse::<LdapSettings>() {
        Ok(settings) => settings.check(&file, &mut findings),
        Err(finding) => findings.push(finding),
    }
    let lines: Vec<String> = findings.0.iter().map(|finding| finding.summary().trim_start_matches("narrows.yaml:").to_owned()).collect();
    lines.join("\n")
}

/// The minimal settings with one line more or another one.
fn check(key: &str, line: &str, expected: &str) {
    let kept = MINIMAL.lines().filter(|old| !old.starts_with(&format!("{key}:")));
    let text = kept.chain([line]).collect::<Vec<_>>().join("\n");
    let shown = findings(&text);
    assert!(
        if expected.is_empty() { shown.is_empty() } else { shown.contains(expected) },
        "{line}\n--- expected\n{expected}\n--- got\n{shown}"
    );
}

#[test]
fn every_key_parses_and_those_to_come_are_refused_by_name() {
    let shown = findings(EVERY_KEY);
    for expected in
        ["4:12: `servers` and `discovery` are two ways to say the same", "12:74: `pool.max_operations` is not between 1 and 10000000"]
    {
        assert!(shown.contains(expected), "{expected}\n--- got\n{shown}");
    }
    assert_eq!(shown.lines().count(), 2, "{shown}");
}

#[test]
fn the_defaults_fit_openldap() {
    assert_eq!(findings(MINIMAL), "");
    let settings: LdapSettings = SourceFile::new("x.yaml", MINIMAL).parse().unwrap();
    let (user, groups) = (settings.user_keys(), settings.group_keys());
    assert_eq!(user.filter.value, "(&(objectClass=inetOrgPerson)(uid={username}))");
    assert_eq!((user.username.value.as_str(), user.id.value.as_str()), ("uid", "entryUUID"));
    assert_eq!(
        (groups.strategy.value, groups.name.value.as_str(), groups.member.value.as_str()),
        (GroupStrategy::Memberof, "cn", "member")
    );
    assert_eq!((groups.depth, groups.count, groups.age.value), (8, 2000, Period::seconds(60)));
}

#[test]
fn written_keys_win_over_the_preset() {
    let text = format!("{MINIMAL}preset: 389ds\ngroups: {{nested: {{count: 5}}, name: ou}}\n").replace("{bases:", "{id: entryUUID, bases:");
    assert_eq!(findings(&text), "");
    let settings: LdapSettings = SourceFile::new("x.yaml", text.as_str()).parse().unwrap();
    let (user, groups) = (settings.user_keys(), settings.group_keys());
    assert_eq!((user.filter.value.as_str(), user.id.value.as_str()), ("(&(objectClass=person)(uid={username}))", "entryUUID"));
    assert_eq!((groups.depth, groups.count, groups.name.value.as_str()), (0, 5, "ou"));

    let text = format!("{MINIMAL}preset: 389ds\ngroups: {{strategy: member, bases: dc=x}}\n");
    let settings: LdapSettings = SourceFile::new("x.yaml", text.as_str()).parse().unwrap();
    assert_eq!(settings.group_keys().depth, 8, "no plugin follows `member`");

    check("preset", "preset: active_directory", "`strategy: token_groups` needs `groups.bases`");
    check("preset", "preset: active_directory\ngroups: {bases: dc=x, nested: {depth: 8, count: 100}}", "");
    check("preset", "preset: active_directory\ngroups: {strategy: memberof}", "");
    check("preset", "preset: rfc2307", "`strategy: member_uid` needs `groups.bases`");
    check("preset", "preset: rfc2307bis", "`strategy: member` needs `groups.bases`");
    check("preset", "preset: freeipa", "roles and rules beside groups");
    check("preset", "preset: freeipa\ngroups: {bases: dc=x}", "");
    check("preset", "preset: openldap", "");
    check("preset", "preset: samba", "samba");
}

#[test]
fn limits_of_nesting_are_limits_of_something() {
    let check = |written: &str, expected: &str| check("groups", &format!("groups: {{bases: dc=x, {written}}}"), expected);
    check("nested: {}", "");
    check("nested: {depth: 0}", "");
    check("nested: {depth: 3, count: 9}", "");
    check("nested: {depth: 101}", "`nested.depth` is over 100");
    check("nested: {count: 0}", "`nested.count` is not between");
    check("nested: {count: 50001}", "`nested.count` is not between");
    check("strategy: member_uid, nested: {depth: 2}", "`nested.depth` does nothing with `strategy: member_uid`");
    check("strategy: token_groups, nested: {depth: 0}", "`nested.depth` does nothing with `strategy: token_groups`");
    check("strategy: in_chain, nested: {depth: 8, count: 7}", "");
    check("nested: {levels: 3}", "levels");
}

#[test]
fn a_way_to_bind_has_its_key_and_no_other() {
    let check = |written: &str, expected: &str| check("user", &format!("user: {{bases: \"ou=people,dc=x\", {written}}}"), expected);
    check("bind: template", "`bind: template` needs `user.template`");
    check("bind: template, template: \"uid={username},ou=people,dc=x\"", "");
    check("bind: template, template: \"uid={username},ou=guests,dc=x\"", "outside of `user.bases`");
    check("bind: template, template: \"uid=alice,ou=people,dc=x\"", "exactly once");
    check("bind: template, template: \"{username},ou=people,dc=x\"", "is not a DN");
    check("template: \"uid={username},ou=people,dc=x\"", "does nothing without `bind: template`");
    check("bind: upn", "`bind: upn` needs `user.upn_suffix`");
    check("bind: upn, upn_suffix: corp.example", "");
    check("bind: upn, upn_suffix: \"@corp.example\"", "is no suffix");
    check("upn_suffix: corp.example", "does nothing without `bind: upn`");
    check("strip: [\"CORP\\\\\", \"@corp.example\"]", "");
    for wrong in ["CORP", "@", "\\\\", "a@b", "CO RP\\\\", "@corp\\\\"] {
        check(&format!("strip: \"{wrong}\""), "cannot be cut off a name");
    }
}

#[test]
fn a_server_is_reached_by_tls_or_by_a_plain_word() {
    check("servers", "servers: [\"ldap://ldap.corp.example\"]", "");
    check("servers", "servers: [{url: ldaps://h, priority: 0}]", "");
    check("servers", "servers: [{url: ldaps://h, priority: 3}, ldap://h]", "");
    check("servers", "servers: [ldaps://h, \"ldaps://h:636\"]", "`ldaps://h:636` is named twice");
    check("servers", "servers: [{url: ldaps://h, weight: 3}]", "weight");
    check("servers", "servers: []", "names no server");
    check("servers", "servers: [\"ldap://u:p@h\"]", "a host and a port, nothing else");
    check("servers", "servers: [\"http://h\"]", "ldap:// or ldaps://");
    check("servers", "servers: [\"ldap://h\"]\nallow_plaintext: true", "passwords travel readable");
    check("servers", "servers: [\"ldap://h\"]\nallow_plaintext: true\ntls: {ca: {file: ca.pem}}", "`tls` does nothing");
    check("allow_plaintext", "allow_plaintext: true", "does nothing for ldaps://");
    check("tls", "tls: {min_version: 1.3, server_name: ldap.corp.example}", "");
    check("tls", "tls: {min_version: \"1.1\"}", "1.1");
    check("tls", "tls: {server_name: \"a b\"}", "not a name");
    check("tls", "tls: {insecure: true}", "insecure");
    check("tls", "tls: {certificate: a.crt}", "`tls.certificate` needs `tls.key`");
    check("tls", "tls: {key: a.key}", "`tls.key` needs `tls.certificate`");
    let external = "service_account: external\nallow_plaintext: true\ntls: {certificate: a.crt, key: a.key}";
    check("servers", &format!("servers: [ldap://h]\n{external}"), "service_account");
}

#[test]
fn servers_are_named_or_discovered() {
    check("servers", "discovery: {domain: corp.example}", "");
    check("servers", "servers: [ldaps://h]\ndiscovery: {domain: corp.example}", "two ways to say the same");
    check("servers", "discovery: {domain: corp}", "`corp` is not a domain");
    check("servers", "discovery: {domain: 10.0.0.1}", "is not a domain");
    check("servers", "discovery: {domain: corp.example}\nallow_plaintext: true", "passwords travel readable");
}

#[test]
fn a_service_account_has_a_name_and_a_password() {
    check("service_account", "service_account: external", "needs a client certificate");
    check("service_account", "service_account: external\ntls: {certificate: a.crt, key: a.key}", "");
    check("service_account", "service_account: anonymous", "");
    check("service_account", "service_account: nobody", "nobody");
    check("service_account", "service_account: {dn: \"\", password: {env: P}}", "DN is empty");
    check("service_account", "service_account: {dn: narrows, password: {env: P}}", "is not a DN");
    check("service_account", "service_account: {dn: narrows@corp.example, password: {env: P}}", "");
    check("service_account", "service_account: {dn: cn=a, password: hunter2}", "stands in the configuration");
    check("service_account", "service_account: {dn: cn=a}", "password");
    check("service_account", "service_account: {dn: cn=a, password: {env: P}, dn: cn=b}", "dn");
}

#[test]
fn a_filter_and_its_bases_are_proven_before_anybody_is_asked() {
    check("user", "user: {bases: []}", "names no base");
    check("user", "user: {bases: [\"\"]}", "may not be empty");
    check("user", "user: {bases: [people]}", "is not a DN");
    check("user", "user: {bases: [dc=x], filter: \"(uid=alice)\"}", "has no {username}");
    check("user", "user: {bases: [dc=x], filter: \"(uid={user})\"}", "is not a variable");
    check("user", "user: {bases: [dc=x], filter: \"(uid={username}\"}", "not a filter");
    check("user", "user: {bases: [dc=x], username: \"u i d\"}", "is not the name of an attribute");
    check("user", "user: {bases: [dc=x], scope: one, bind: search}", "");
    check("user", "user: {bases: [dc=x], scope: base}", "base");
    check("groups", "groups: {strategy: member}", "needs `groups.bases`");
    check("groups", "groups: {strategy: member, bases: dc=x, filter: \"(objectClass=groupOfNames)\", name: ou}", "");
    check("groups", "groups: {bases: []}", "names no base");
    check("groups", "groups: {filter: \"(cn={username})\"}", "knows no variables");
    check("groups", "groups: {filter: \"(cn=\"}", "not a filter");
    check("groups", "groups: {strategy: none, age: 5m}", "");
    check("groups", "groups: {age: 25h}", "longer than a day");
    check("groups", "groups: {name: dn}", "");
    for searching in ["member_uid", "in_chain", "token_groups"] {
        check("groups", &format!("groups: {{strategy: {searching}}}"), "needs `groups.bases`");
        check("groups", &format!("groups: {{strategy: {searching}, bases: []}}"), "needs `groups.bases`");
        check("groups", &format!("groups: {{strategy: {searching}, bases: dc=x}}"), "");
    }
    check("groups", "groups: {strategy: member, bases: dc=x, member: uniqueMember}", "");
    check("groups", "groups: {strategy: member, bases: dc=x, member: \"a b\"}", "is not the name of an attribute");
    check("groups", "groups: {member: uniqueMember}", "`groups.member` does nothing with `strategy: memberof`");
    check("timeouts", "timeouts: {bind: 0s}", "between 50ms and 1m");
    check("timeouts", "timeouts: {connect: 500ms}", "");
    check("pool", "pool: {search: 16, in_flight: 512, bind: 1, max_age: 10s, max_operations: 1}", "");
    check("pool", "pool: {search: 0}", "`pool.search` is not between 1 and 16");
    check("pool", "pool: {in_flight: 513}", "`pool.in_flight` is not between 1 and 512");
    check("pool", "pool: {bind: 257}", "`pool.bind` is not between 1 and 256");
    check("pool", "pool: {max_age: 9s}", "`pool.max_age` is not between 10s and 1d");
    check("pool", "pool: {max_operations: 0}", "`pool.max_operations` is not between");
}
