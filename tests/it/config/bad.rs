//! Every bad configuration says where and what.

use narrows::config;
use narrows::source::{Severity, SourceFile};

/// The keys that a configuration needs; a case's own lines stand before them and replace those of the same key.
const NEEDED: [&str; 3] =
    ["services: [{name: registry.corp.example}]", "rules: rules.yaml", "providers: [{name: staff, file: {path: users.yaml}}]"];
/// A provider around one line of `ldap`.
const LDAP: &str = "providers:\n- name: staff\n  ldap:\n    servers: [\"ldaps://ldap.example\"]\n    service_account: {dn: \"cn=n,dc=example\", \
                    password: {file: p}}\n    user: {bases: [\"dc=example\"]}\n";

/// All findings, one a line: place, `warning` where it is one, message.
fn findings(text: &str) -> String {
    let mut whole = text.trim_end().to_owned();
    for line in NEEDED {
        let key = line.split_inclusive(':').next().unwrap();
        if !whole.lines().any(|own| own.starts_with(key)) {
            whole.push('\n');
            whole.push_str(line);
        }
    }
    let found = match config::parse(SourceFile::new("narrows.yaml", format!("{}\n", whole.trim_start()))) {
        Ok((_, warnings)) => {
            assert!(!warnings.has_errors(), "{warnings}");
            warnings
        }
        Err(errors) => errors,
    };
    let shown = |finding: &narrows::source::Diagnostic| {
        let place = finding.place.map_or_else(|| "-".to_owned(), |place| place.to_string());
        let warning = if finding.severity == Severity::Warning { "warning: " } else { "" };
        format!("{place} {warning}{}", finding.message)
    };
    found.0.iter().map(shown).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(findings(text), expected, "{text}");
}

/// One more line in `ldap`, or another one in place of the line of its key.
#[track_caller]
fn check_ldap(line: &str, expected: &str) {
    let key = format!("    {}:", line.split(':').next().unwrap());
    let replaced: String =
        LDAP.lines().map(|own| if own.starts_with(&key) { format!("    {line}\n") } else { format!("{own}\n") }).collect();
    let text = if replaced.contains(line) { replaced } else { format!("{replaced}    {line}\n") };
    check(&text, expected);
}

#[test]
fn what_is_no_configuration_is_refused_at_its_place() {
    check("lisen: 127.0.0.1:5001", "1:1 unknown key `lisen`");
    check("colour: red", "1:1 unknown key `colour`");
    check("listen: 127.0.0.1:5001\nlisten: 127.0.0.1:5001", "2:1 the key `listen` stands here a second time");
    check("services: [{name: a, name: b}]", "1:22 the key `name` stands here a second time");
    check("log: {level: inf}", "1:14 `inf` is none of error, warn, info, debug, trace");
    check("log: {level: loud}", "1:14 `loud` is none of error, warn, info, debug, trace");
    check("signing: {create: 1}", "1:19 true or false is expected here");
    check("tls: {certificate: a}", "1:7 the key `key` is missing");
    check("listen: ", "1:7 the value is missing here");
    check("listen: [127.0.0.1:5001]", "1:9 a text is expected here");
    check("trusted_proxies: 10.0.0.1", "1:18 a list is expected here");
    check("services: a", "1:11 a list is expected here");
    check("log: text", "1:6 keys with values are expected here");
    check("services: []\nproviders: []", "- `services` is empty\n- there is no provider, so nobody could log in");
    check("x: *a", "1:1 unknown key `x`");
    check("x: &a 1", "1:1 unknown key `x`");
    check("listen: &a 127.0.0.1:5001", "1:12 anchors (`&name`) are refused");
    check("listen: *a", "1:9 aliases (`*name`) are refused");
    check("<<: {listen: a}", "1:1 merge keys (`<<`) are refused");
    check(
        "providers: [{name: a, file: {path: u}}, {name: b, names: *, file: {path: v}}]",
        "1:58 while scanning an anchor or alias, did not find expected alphabetic or numeric character",
    );
}

#[test]
fn a_value_that_cannot_work_is_refused_with_its_bounds() {
    check("request_deadline: 8", "1:19 `8` is not a length of time; write a whole number and a unit, as in 400ms, 10s, 5m, 1h or 30d");
    check("request_deadline: 20s", "1:19 `request_deadline` is 20s, over 12s");
    check("request_deadline: 10ms", "1:19 `request_deadline` is 10ms, under 1s");
    check(
        "request_deadline: 2s\nthrottle: {rejection_floor: 3s}",
        "2:29 `rejection_floor` is 3s, not under `request_deadline`, which is 2s",
    );
    check(
        "identity_tokens: {idle: 5 d}",
        "1:25 `5 d` is not a length of time; write a whole number and a unit, as in 400ms, 10s, 5m, 1h or 30d",
    );
    check("throttle: {failures: 3.5}", "1:22 a whole number is expected here");
    check("credentials_cache: {max_verified: -1}", "1:35 a whole number is expected here");
    check("credentials_cache: {max_verified: 0}", "1:35 `max_verified` is 0");
    check("identity_tokens: {recheck: 1d}", "1:28 `identity_tokens.recheck` is longer than 12h");
    check("identity_tokens: {absolute: 7d}", "1:29 warning: `identity_tokens.idle` is longer than `absolute` and never counts");
    check("reload: {every: 0s}", "1:17 `every` is too short");
    check("throttle: {rejection_floor: 6s}", "1:29 `rejection_floor` is longer than 5s");
}

#[test]
fn addresses_are_safe_or_refused() {
    check("listen: localhost:5001", "1:9 `localhost:5001` is not an address with a port");
    check("listen: 5001", "1:9 `5001` is not an address with a port");
    check("listen: 0.0.0.0:5001", "1:9 `listen` is 0.0.0.0:5001, beyond loopback, without TLS: passwords would cross the network");
    check("listen: \"[::]:5001\"", "1:9 `listen` is [::]:5001, beyond loopback, without TLS: passwords would cross the network");
    check(
        "listen: 127.0.0.1:70000\nadmin_listen: here",
        "1:9 `127.0.0.1:70000` is not an address with a port\n2:15 `here` is not an address with a port",
    );
    check("listen: 0.0.0.0:5001\ntls: {certificate: a, key: b}", "");
    check("listen: 0.0.0.0:5001\nbehind_proxy: true", "2:15 `behind_proxy: true` needs `trusted_proxies`");
    check("listen: 0.0.0.0:5001\nbehind_proxy: true\ntrusted_proxies: [10.1.2.3]", "");
    check("behind_proxy: true\ntrusted_proxies: [0.0.0.0/0]", "2:19 `0.0.0.0/0` trusts everybody to say who the client is");
    check(
        "trusted_proxies: [10.1.2.3/8, proxy.example]",
        "1:19 `10.1.2.3/8` names an address inside its network\n1:31 `proxy.example` is not a network",
    );
    check("admin_listen: 0.0.0.0:5002", "1:15 warning: `admin_listen` is 0.0.0.0:5002, beyond loopback, and asks nobody who they are");
    check("admin_listen: 127.0.0.1:5001", "1:15 `admin_listen` is 127.0.0.1:5001, which `listen` takes already");
    check("listen: 127.0.0.1:0\nadmin_listen: 127.0.0.1:0", "");
    check("public_url: auth.example", "1:13 `auth.example` is not a URL");
    check("public_url: http://auth.example", "1:13 `http://auth.example` is not https");
    check("public_url: http://127.0.0.1:5001", "");
    check("public_url: https://auth.example/?a=b", "1:13 `https://auth.example/?a=b` has a query or a fragment");
    check("public_url: https://u:hunter2@auth.example", "1:13 `public_url` holds a user name or a password");
    check("public_url: ftp://auth.example", "1:13 `ftp://auth.example` is not an https URL");
}

#[test]
fn what_is_not_available_yet_is_refused_by_name() {
    check("state: {postgres: {url: {file: u}}}", "1:19 `state.postgres` is not available yet");
    check(
        "providers: [{name: staff, stale_if_error: 5m, file: {path: u}}]",
        "1:43 `stale_if_error` means nothing here: this provider asks nobody",
    );
    check(
        "providers: [{name: sso, oidc: {issuer: \"https://sso.example\", client: {id: a}}}]",
        "1:31 provider `sso` needs `public_url`: people who sign in there come back to it",
    );
    check(
        "providers: [{name: ci, workload: {preset: github-actions, audiences: [a]}}]",
        "1:34 provider `ci`: workload is not available yet",
    );
}

#[test]
fn rules_are_files_that_are_named_once() {
    check("policy_tests: []", "");
    check("policy_tests: [rules.test.yaml]", "");
    check("policy_tests: [a.yaml, a.yaml]", "1:24 `a.yaml` is there twice");
    check("rules: [a.yaml, b.yaml, {file: c.yaml, within: c/**}]", "");
    check("rules: [a.yaml, a.yaml]", "1:17 `a.yaml` is there twice");
    check("rules: []", "1:8 `rules` is an empty list");
    check("rules: [{file: a.yaml, within: a/**}]", "1:32 the first rule file says what holds for all, so it has no `within`");
    check("rules: [a.yaml, {file: b.yaml, within: /b}]", "1:40 two slashes, or one at the start or end, leave an empty segment");
    check("rules: [a.yaml, {within: b/**}]", "1:18 the key `file` is missing");
    check("services: [{name: a, rules: [b.yaml, b.yaml]}, {name: b}]", "1:38 `b.yaml` is there twice");
    check("services: [{name: a, rules: b.yaml}]", "");
    check("services: [{name: a, rules: state.db}, {name: b}]", "1:29 `rules` and `state.path` are one file, `state.db`");
    check("policy_tests: [state.key]", "1:16 `policy_tests` and `state.key` are one file, `state.key`");
    check("reload: {widen: refuse}", "");
    check("reload: {widen: ask}", "1:17 `ask` is none of log, refuse");
}

#[test]
fn sections_must_agree() {
    check("providers: [{name: staff}]", "1:20 provider `staff` says no kind");
    check("providers:\n- name: staff\n  file: {path: u}\n  oidc: {issuer: a, client: {id: b}}", "4:9 provider `staff` has two kinds");
    check(
        "providers: [{name: a, file: {path: u}}, {name: a, names: [x], file: {path: v}}]",
        "1:29 file provider `a` is asked for every name, beside another provider of passwords\n1:48 two providers are called `a`",
    );
    check("providers: [{name: a, file: {}}]", "- `file` names no file");
    check("providers: [{name: a, file: {path: u, htpasswd: v}}]", "1:49 `path` and `htpasswd` stand together");
    check("state: {path: x, key: x}", "1:23 `state.path` and `state.key` are the same file");
    check("state: {path: audit.jsonl}\naudit: {file: audit.jsonl}", "2:15 `audit.file` and `state.path` are one file, `audit.jsonl`");
    check("state: {key: users.yaml}", "4:40 `file.path` and `state.key` are one file, `users.yaml`");
    check("audit: {file: rules.yaml}", "3:8 `rules` and `audit.file` are one file, `rules.yaml`");
    check("audit: stderr", "1:8 `stderr` is none of stdout, file");
    check("services: [{name: a}, {name: a}]", "1:30 service `a` is there twice");
    check("services: [{name: a, token_ttl: {pull: 30s}}]", "1:40 `pull: 30s` is not between 60s and 24h");
    check("services: [{name: a, algorithm: EdDSA}]", "1:33 `distribution-2` cannot verify EdDSA signatures");
    check("signing: {leaf_life: 1d, rotate_every: 2d}", "1:22 `leaf_life: 1d` is not longer than `rotate_every`");
    check(
        "services: [{name: a, registry: harbor}]",
        "1:32 `harbor` is none of distribution-2, distribution-3, distribution-3-jwks, zot, gitlab",
    );
    check("services: [{name: ''}]", "1:19 a service needs a name");
    check("services: [{name: a, issuer: ''}]", "1:30 `issuer` is empty");
}

#[test]
fn a_directory_is_whole_or_refused() {
    check_ldap("preset: active_directory", "7:13 `strategy: token_groups` needs `groups.bases`");
    check_ldap("discovery: {domain: corp.example}", "7:16 `servers` and `discovery` are two ways to say the same");
    check_ldap("groups: {nested: {depth: 800}}", "7:22 `nested.depth` is over 100");
    check_ldap("groups: {strategy: token_groups}", "7:24 `strategy: token_groups` needs `groups.bases`");
    check_ldap("pool: {search: 17}", "7:20 `pool.search` is not between 1 and 16");
    check_ldap("timeouts: {conect: 2s}", "7:16 unknown key `conect`");
    check_ldap("tls: {min_version: 1.2}", "");
    check_ldap("tls: {min_version: \"1.1\"}", "7:24 `1.1` is none of 1.2, 1.3");
    check_ldap("allow_plaintext: true", "7:22 warning: `allow_plaintext` does nothing for ldaps://");
    check_ldap("accounts: {grace: allow}", "");
    check_ldap("accounts: {grace: maybe}", "7:23 `maybe` is none of deny, allow");
    check_ldap("servers: [\"ldaps://a.example\", \"ldaps://a.example:636\"]", "4:36 `ldaps://a.example:636` is named twice");
    check_ldap("servers: [\"http://a.example\"]", "4:15 a server's URL starts with ldap:// or ldaps://");
    check_ldap(
        "service_account: {dn: \"cn=n,dc=example\", password: hunter2}",
        "5:56 warning: the service account's password stands in the configuration",
    );
    check_ldap("service_account: external", "5:22 `service_account: external` needs a client certificate");
    check_ldap("user: {bases: [\"dc=example\"], filter: \"(uid=*)\"}", "6:43 the filter has no {username}");
    check_ldap("user: {bases: [\"dc=example\"], bind: template}", "6:41 `bind: template` needs `user.template`");
}

#[test]
fn a_finding_shows_its_line_and_what_to_do() {
    let shown = |text: &str| config::parse(SourceFile::new("narrows.yaml", text)).unwrap_err().first().unwrap().to_string();
    assert_eq!(
        shown("admin_listen: 127.0.0.1:5002\nlisen: 127.0.0.1:5001\n"),
        "error: unknown key `lisen`\n  --> narrows.yaml:2:1\n  |\n2 | lisen: 127.0.0.1:5001\n  | ^\nhint: did you mean `listen`?\n"
    );
    assert_eq!(
        shown("log: {format: jsn}\n"),
        "error: `jsn` is none of json, text\n  --> narrows.yaml:1:15\n  |\n1 | log: {format: jsn}\n  |               ^\nhint: did you mean `json`?\n"
    );
    assert_eq!(
        shown("log: {}\n"),
        "error: `services` is empty\n  --> narrows.yaml\nhint: write one entry for each registry: `services: [{name: registry.corp.example}]`\n"
    );
}

#[test]
fn no_finding_shows_a_secret() {
    for text in [
        "public_url: https://u:hunter2@auth.example",
        "public_url: https//u:hunter2@auth example",
        "providers: [{name: a, ldap: {service_account: {dn: 5, password: [hunter2]}}}]",
        "providers: [{name: a, ldap: {service_account: {password: hunter2}}}]",
        "providers:\n- name: a\n  ldap:\n    service_account:\n      password: {fiel: hunter2}\n",
        "providers: [{name: a, oidc: {client: {id: a, secret: hunter2, oauth: x}}}]",
    ] {
        let errors = config::parse(SourceFile::new("narrows.yaml", text)).unwrap_err();
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
}
