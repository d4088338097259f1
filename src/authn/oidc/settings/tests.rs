//! Every key parses, and what cannot work is refused where it stands.

use super::*;
use crate::source::{Diagnostics, SourceFile};

const EVERY_KEY: &str = r#"
preset: keycloak
issuer: https://sso.corp.example/realms/main
client: {id: registry, secret: {file: oidc-secret}, auth: basic}
scopes: [openid, profile, groups]
tls: {ca: {file: ca.pem}}
proxy: http://proxy.corp.example:3128
tokens: {algorithms: [RS256, ES256], audiences: [other], leeway: 60s}
identity: {username: [preferred_username, sub], strip_suffix: "@corp.example", require: {email_verified: true, hd: corp.example}}
groups: {sources: [{from: id_token, claim: groups}, {from: userinfo, pointer: /a~1b/c}], transform: [{strip_leading: /}, {dn_to_cn: true}], max: 2000, overage: fetch}
mfa: {amr: [otp, hwk, mfa], acr: [gold]}
password_grant: {enabled: false}
device_grant: {enabled: true, in_band: true, from: [10.0.0.0/8]}
"#;

const MINIMAL: &str = "\nissuer: https://sso.corp.example\nclient: {id: registry}\n";

/// Severity, place and message of every finding, one a line.
fn findings(text: &str) -> String {
    let file = SourceFile::new("narrows.yaml", text);
    let mut findings = Diagnostics::default();
    match file.parse::<OidcSettings>() {
        Ok(settings) => settings.check(&file, &mut findings),
        Err(finding) => findings.push(finding),
    }
    let line = |finding: &crate::source::Diagnostic| {
        let word = if finding.severity == crate::source::Severity::Warning { "warning " } else { "" };
        format!("{word}{}", finding.summary().trim_start_matches("narrows.yaml:"))
    };
    findings.0.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The minimal settings with one line more or another one.
#[track_caller]
fn check(line: &str, expected: &str) {
    let key = line.split(':').next().unwrap();
    let kept: Vec<&str> = MINIMAL.lines().filter(|old| !old.is_empty() && !old.starts_with(&format!("{key}:"))).collect();
    assert_eq!(findings(&format!("{line}\n{}\n", kept.join("\n"))), expected, "{line}");
}

#[test]
fn every_key_is_read() {
    assert_eq!(findings(EVERY_KEY), "");
    assert_eq!(findings(MINIMAL), "");
}

#[test]
fn an_issuer_is_written_as_tokens_write_it() {
    for good in ["https://sso.corp.example/", "https://sso.corp.example/realms/main", "http://127.0.0.1:8080/x", "http://localhost:1"] {
        check(&format!("issuer: {good}"), "");
    }
    check("issuer: sso", "1:9: `sso` is no URL: relative URL without a base");
    check("issuer: http://sso.corp.example", "1:9: `issuer` cannot be asked: it is not https");
    check("issuer: https://169.254.169.254", "1:9: `issuer` cannot be asked: it leads to a link-local address");
    check("issuer: https://u:p@sso.corp.example", "1:9: `issuer` cannot be asked: it holds credentials");
    for other in
        ["https://SSO.corp.example", "https://sso.corp.example:443", "https://sso.corp.example/?a=b", "https://sso.corp.example/a/../b"]
    {
        check(&format!("issuer: {other}"), &format!("1:9: `{other}` is not an issuer as tokens write it"));
    }
    for tenant in ["common", "organizations", "consumers"] {
        let text = format!("issuer: https://login.microsoftonline.com/{tenant}/v2.0\npreset: entra\nclient: {{id: a}}");
        assert_eq!(findings(&text), "1:9: this issuer lets in people of every tenant");
    }
    let text = "issuer: \"https://login.microsoftonline.com/{tenantid}/v2.0\"\npreset: entra\nclient: {id: a}";
    assert!(!findings(text).is_empty());
    let text = "issuer: https://login.microsoftonline.com/0-1/v2.0\npreset: entra\nclient: {id: a}";
    assert_eq!(findings(text), "");
}

#[test]
fn a_client_has_a_secret_or_has_none() {
    let client = |rest: &str| format!("client: {{id: a{rest}}}");
    check(&client(", auth: none"), "");
    check(&client(", auth: post, secret: {file: x}"), "");
    check(&client(", secret: {file: x}, auth: none"), "1:25: `auth: none` sends no secret, and there is one");
    check(&client(", auth: basic"), "1:23: this `auth` sends a secret, and there is none");
    check(&client(", secret: abc"), "warning 1:25: the client secret stands in the configuration");
    check("client: {id: \"\"}", "1:14: the client id is empty, or holds control characters");
    check("scopes: [profile]", "1:10: `scopes` lacks `openid`");
    check("scopes: [openid, \"a b\"]", "1:18: `a b` is no scope");
    check("proxy: socks5://proxy", "1:8: `socks5://proxy` is no HTTP proxy");
    check("proxy: http://u:secret@proxy", "1:8: `proxy` holds a user name or a password");
    let settings = |text: &str| SourceFile::new("x", text).parse::<OidcSettings>().unwrap().client.authentication();
    assert_eq!(settings(MINIMAL), ClientAuthentication::None);
    assert_eq!(settings(EVERY_KEY), ClientAuthentication::Basic);
}

#[test]
fn only_signatures_with_a_public_key_are_taken() {
    check("tokens: {algorithms: [RS256, EdDSA, PS512]}", "");
    check("tokens: {algorithms: [HS256]}", "1:23: `HS256` is a signature with a shared secret: whoever can check it can make it");
    check("tokens: {algorithms: [none]}", "1:23: `none` is no signature: anybody could write such a token");
    check("tokens: {algorithms: rs256}", "1:22: `rs256` is no signature that is known");
    check("tokens: {leeway: 6m}", "1:18: `tokens.leeway` is longer than 5m");
}

#[test]
fn names_and_groups_come_from_claims_that_are_named() {
    check("identity: {username: email}", "warning 1:22: `email` can change, and be given to somebody else");
    check("identity: {username: email, require: {email_verified: true}}", "");
    check("groups: {sources: [{claim: a, pointer: /b}]}", "1:20: `claim` and `pointer` are two ways to say the same");
    check("groups: {sources: [{from: userinfo}]}", "1:20: a source of groups names no claim");
    check("groups: {sources: [{pointer: a/b}]}", "1:30: `a/b` is no JSON pointer");
    check("groups: {sources: [{pointer: /a~2}]}", "1:30: `/a~2` is no JSON pointer");
    check("groups: {transform: [{}]}", "1:22: a transform has exactly one key");
    check("groups: {transform: [{dn_to_cn: true, strip_leading: /}]}", "1:22: a transform has exactly one key");
    check("groups: {max: 0}", "1:15: `groups.max` is not between 1 and 10000");
    let entra =
        "issuer: https://login.microsoftonline.com/0-1/v2.0\npreset: entra\nclient: {id: a}\nidentity: {username: preferred_username}";
    assert_eq!(findings(entra), "warning 4:22: `preferred_username` can change, and be given to somebody else");
    let google = "issuer: https://accounts.google.com\npreset: google\nclient: {id: a}";
    assert_eq!(findings(google), "warning 1:9: everybody with a Google account gets in as far as rules let anybody");
    let google = format!("{google}\nidentity: {{require: {{hd: corp.example, email_verified: true}}}}");
    assert_eq!(findings(&google), "");
}

#[test]
fn ways_to_sign_in_that_can_be_abused_are_named() {
    check(
        "password_grant: {enabled: true}",
        "warning 1:27: passwords are sent to the issuer by way of narrows, which RFC 9700 advises against (section 2.4)",
    );
    check("device_grant: {in_band: true}", "1:25: `in_band` without `from` is for nobody");
    check(
        "device_grant: {in_band: true, from: [0.0.0.0/0]}",
        "warning 1:38: `0.0.0.0/0` lets everybody begin logins that somebody else may be talked into finishing",
    );
    check("device_grant: {enabled: false, in_band: true, from: [10.0.0.0/8]}", "1:41: `in_band` needs the device login, which is off");
}
