//! What is refused in `providers`, `credentials_cache` and `throttle`, word for word.

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    providers: Option<Vec<ProviderSettings>>,
    #[serde(default)]
    credentials_cache: CacheSettings,
    #[serde(default)]
    throttle: ThrottleSettings,
}

/// Place and message of every finding, joined by `; `.
fn check(text: &str, expected: &str) {
    let file = SourceFile::new("narrows.yaml", text);
    let document: Document = file.parse().unwrap();
    let mut findings = Diagnostics::default();
    if let Some(providers) = &document.providers {
        check_providers(providers, &file, &mut findings);
    }
    document.credentials_cache.check(&file, &mut findings);
    document.throttle.check(&file, &mut findings);
    let shown: Vec<String> = findings.0.iter().map(|it| it.summary().replacen("narrows.yaml:", "", 1).trim_start().to_owned()).collect();
    assert_eq!(shown.join("; "), expected, "{text}");
    assert!(findings.0.iter().all(|finding| finding.hint.is_some()), "{findings}");
}

/// The same for a list of providers, each on a line of its own from line 2 on.
fn check_all(providers: &[&str], expected: &str) {
    check(&format!("providers:\n  - {{{}}}\n", providers.join("}\n  - {")), expected);
}

#[test]
fn defaults_pass() {
    check("{}", "");
    check_all(&["name: staff, file: {path: users.yaml}"], "");
    check_all(&["name: staff, file: {htpasswd: users}, stale_if_error: 0s, ignore_case: true, realm: Corp.example"], "");
    check("throttle: {failures: 3, window: 30m, rejection_floor: 1s, comparisons_window: 1d}", "");
    check("credentials_cache: {verified: 0s, rejected: 0s, max_verified: 1, max_rejected: 1}", "");
}

#[test]
fn a_provider_is_exactly_one_kind() {
    check("providers: []", "there is no provider, so nobody could log in");
    check_all(&["name: a"], "2:12: provider `a` says no kind");
    check_all(&["name: a, file: {path: a}, oidc: {issuer: x, client: {id: x}}"], "2:38: provider `a` has two kinds");
    check_all(&["name: a, file: {}"], "`file` names no file");
    check_all(&["name: a, file: {path: a, htpasswd: b}"], "2:41: `path` and `htpasswd` stand together");
    check_all(&["name: a, file: {path: \"\"}"], "2:28: the path of the users file is empty");
}

#[test]
fn what_does_not_exist_yet_is_refused_by_name() {
    check_all(&["name: ci, workload: {preset: github-actions, audiences: [a]}"], "2:26: provider `ci`: workload is not available yet");
}

#[test]
fn names_are_words_and_unique() {
    check_all(&["name: Staff, file: {path: a}"], "2:12: `Staff` is no name of a provider");
    check_all(&["name: \"a/b\", file: {path: a}"], "2:12: `a/b` is no name of a provider");
    check_all(&["name: a, realm: a/b, file: {path: a}"], "2:22: `a/b` is no name of a realm");
    check_all(&["name: a, names: [\"\"], file: {path: a}"], "2:23: `` matches no name");
    check_all(&["name: a, names: [], file: {path: a}"], "2:12: provider `a` is asked for no name");
    check_all(&["name: a, names: x, file: {path: a}", "name: a, names: z, file: {path: b}"], "3:12: two providers are called `a`");
}

#[test]
fn providers_of_one_realm_agree_on_case() {
    check_all(
        &["name: a, realm: corp, names: x, file: {path: a}", "name: b, realm: corp, names: z, ignore_case: true, file: {path: b}"],
        "3:51: `a` and `b` share realm `corp`, and only one of them ignores case",
    );
}

#[test]
fn nobody_keeps_names_from_those_behind() {
    check_all(
        &["name: a, file: {path: a}", "name: b, names: b, file: {path: b}"],
        "2:21: file provider `a` is asked for every name, beside another provider of passwords",
    );
    check_all(
        &["name: a, names: [x, \"*\"], file: {path: a}", "name: b, names: b, file: {path: b}"],
        "2:23: file provider `a` is asked for every name, beside another provider of passwords",
    );
    check_all(&["name: a, names: robot-*, file: {path: a}", "name: b, names: \"*-ci\", file: {path: b}"], "");
    // A bind that comes before the search cannot tell who is unknown.
    let ldap = |name: &str, user: &str| {
        let account = "service_account: {dn: cn=n, password: {env: P}}";
        format!("name: {name}, ldap: {{servers: [\"ldaps://h\"], {account}, user: {{bases: \"ou=p,dc=x\"{user}}}}}")
    };
    let template = ldap("a", ", bind: template, template: \"uid={username},ou=p,dc=x\"");
    let (search, upn) = (ldap("b", ""), ldap("c", ", bind: upn, upn_suffix: corp.example"));
    check_all(&[&search, &template], "");
    check_all(&[&template, &search], "3:12: `b` is never asked for names that `a` is asked for first");
    check_all(&[&upn, &search], "3:12: `b` is never asked for names that `c` is asked for first");
    check_all(&[&template.replace("name: a,", "name: a, names: \"t-*\","), &search.replace("name: b,", "name: b, names: \"s-*\",")], "");
    // An issuer without passwords stands in nobody's way; with them it comes last.
    let issuer = |more: &str| format!("name: a, oidc: {{issuer: \"https://sso.example\", client: {{id: x}}{more}}}");
    check_all(&[&issuer(""), &search], "");
    check_all(&[&issuer(""), "name: c, file: {path: c}"], "");
    // But who has a name of the file's is not let in, and such a file has them all.
    check_all(
        &["name: b, realm: a, file: {path: c}", &issuer("")],
        "2:31: file provider `b` has every name of realm `a`, so nobody who signs in at `a` is let in",
    );
    check_all(&["name: b, realm: a, names: robot-*, file: {path: c}", &issuer("")], "");
    let passwords = ", password_grant: {enabled: true}";
    check_all(&[&search, &issuer(passwords)], "");
    check_all(&[&issuer(passwords), &search], "3:12: `b` is never asked for names that `a` is asked for first");
}

#[test]
fn caches_have_room_and_the_floor_leaves_time() {
    check("credentials_cache: {max_verified: 0}", "1:35: `max_verified` is 0");
    check("credentials_cache: {max_rejected: 0}", "1:35: `max_rejected` is 0");
    check("throttle: {rejection_floor: 6s}", "1:29: `rejection_floor` is longer than 5s");
}

#[test]
fn the_shield_counts_something() {
    check("throttle: {failures: 5, window: 1h, comparisons_per_source: 1, comparisons_window: 1h, replicas: 2}", "");
    check("throttle: {failures: 0}", "1:22: `failures` is 0");
    let nothing_kept = "1:22: with one failed bind for each account nothing is kept for those who logged in before";
    check("throttle: {failures: 1}", nothing_kept);
    check("throttle: {failures: 2, replicas: 2}", nothing_kept);
    check("throttle: {comparisons_per_source: 0}", "1:36: `comparisons_per_source` is 0");
    check("throttle: {replicas: 0}", "1:22: `replicas` is 0");
    check("throttle: {window: 59s}", "1:20: `window` is not between 1m and 30d");
    check("throttle: {comparisons_window: 31d}", "1:32: `comparisons_window` is not between 1m and 30d");
    check("throttle: {replicas: 4}", "1:22: 4 replicas share 3 failed binds, so each takes one");
}

#[test]
fn only_a_directory_is_gone_by_without_and_not_for_longer_than_a_day() {
    check_all(&["name: a, file: {path: a}, stale_if_error: 5m"], "2:48: `stale_if_error` means nothing here: this provider asks nobody");
    for (period, message) in [
        ("0s", ""),
        ("1s", ""),
        ("24h", ""),
        ("86401s", "2:31: `stale_if_error` is longer than 1d"),
        ("999ms", "2:31: `stale_if_error` is shorter than 1s"),
    ] {
        let ldap = "ldap: {servers: [\"ldaps://x\"], user: {bases: [\"dc=x\"]}, service_account: anonymous}";
        check_all(&[&format!("name: a, stale_if_error: {period}, {ldap}")], message);
    }
}
