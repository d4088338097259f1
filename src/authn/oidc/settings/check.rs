//! What the keys must satisfy before anybody is asked. Pure.

use url::Url;

use super::super::address;
use super::{ClientAuthentication, OidcPreset, OidcSettings};
use crate::authn::jwt::Algorithm;
use crate::source::{Diagnostics, Located, Period, Place, SourceFile};

/// Claims that somebody can change, or be given after somebody else.
const MUTABLE: [&str; 3] = ["email", "upn", "unique_name"];
/// Farther than this no clock is off by accident.
const MAX_LEEWAY: Period = Period::minutes(5);
/// A token of 64 KiB holds no more.
const MAX_GROUPS: u32 = 10_000;

/// The findings of one file, gathered.
struct Findings<'a> {
    file: &'a SourceFile,
    found: &'a mut Diagnostics,
}

impl Findings<'_> {
    fn error(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        self.found.push(self.file.error(place, message).hint(hint));
    }
    fn warning(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        self.found.push(self.file.warning(place, message).hint(hint));
    }
}

impl OidcSettings {
    /// Every key on its own and against the others.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        let findings = &mut Findings { file, found: findings };
        self.check_issuer(findings);
        self.check_proxy(findings);
        self.check_client(findings);
        self.check_tokens(findings);
        self.check_identity(findings);
        self.check_groups(findings);
        self.check_grants(findings);
    }

    fn check_issuer(&self, findings: &mut Findings<'_>) {
        let (written, place) = (&self.issuer.value, self.issuer.place);
        let url = match Url::parse(written) {
            Ok(url) => url,
            Err(error) => {
                return findings.error(place, format!("`{written}` is no URL: {error}"), "as in https://sso.corp.example/realms/main");
            }
        };
        if let Err(why) = address::check(&url, &url) {
            let message = format!("`issuer` cannot be asked: {why}");
            return findings.error(place, message, "as in https://sso.corp.example/realms/main; http:// is for this machine alone");
        }
        // A text that is compared with tokens, so no other spelling of the same URL will do.
        let whole = url.as_str();
        if whole != written && whole.trim_end_matches('/') != written || url.query().is_some() || url.fragment().is_some() {
            let hint = "write it as `issuer` stands in the issuer's own `.well-known/openid-configuration`, without `?` and `#`";
            return findings.error(place, format!("`{written}` is not an issuer as tokens write it"), hint);
        }
        if self.kind() == OidcPreset::Entra {
            let tenant = url.path_segments().and_then(|mut steps| steps.next()).unwrap_or_default();
            if ["common", "organizations", "consumers", "%7Btenantid%7D", ""].contains(&tenant) {
                let hint = "write your tenant's: https://login.microsoftonline.com/TENANT-ID/v2.0";
                findings.error(place, "this issuer lets in people of every tenant", hint);
            }
        }
    }

    fn check_proxy(&self, findings: &mut Findings<'_>) {
        let Some(proxy) = &self.proxy else { return };
        let hint = "as in http://proxy.corp.example:3128";
        match Url::parse(&proxy.value) {
            // The text itself may hold a password.
            Err(_) => findings.error(proxy.place, "`proxy` is no URL", hint),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                findings.error(proxy.place, "`proxy` holds a user name or a password", "let the proxy know narrows by its address");
            }
            Ok(url) if !["http", "https"].contains(&url.scheme()) || url.host().is_none() => {
                findings.error(proxy.place, format!("`{}` is no HTTP proxy", proxy.value), hint);
            }
            Ok(_) => {}
        }
    }

    fn check_client(&self, findings: &mut Findings<'_>) {
        let client = &self.client;
        if client.id.value.is_empty() || client.id.value.chars().any(char::is_control) {
            findings.error(client.id.place, "the client id is empty, or holds control characters", "write what the issuer calls narrows");
        }
        match (&client.secret, &client.auth) {
            (Some(secret), Some(auth)) if auth.value == ClientAuthentication::None => {
                findings.error(secret.place, "`auth: none` sends no secret, and there is one", "remove `auth`, or the secret");
            }
            (None, Some(auth)) if auth.value != ClientAuthentication::None => {
                findings.error(auth.place, "this `auth` sends a secret, and there is none", "write secret: {file: PATH}, or auth: none");
            }
            (Some(secret), _) if secret.value.is_plain() => {
                findings.warning(secret.place, "the client secret stands in the configuration", "write secret: {file: PATH}");
            }
            (Some(_) | None, _) => {}
        }
        if let Some(scopes) = &self.scopes {
            if !scopes.0.iter().any(|scope| scope.value == "openid") {
                let place = scopes.0.first().map_or(self.client.id.place, |scope| scope.place);
                findings.error(place, "`scopes` lacks `openid`", "add it: without it the issuer sends no id_token");
            }
            // RFC 6749 §3.3.
            let wrong = |scope: &&Located<String>| {
                scope.value.is_empty() || !scope.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
            };
            if let Some(scope) = scopes.0.iter().find(wrong) {
                findings.error(
                    scope.place,
                    format!("`{}` is no scope", scope.value.escape_debug()),
                    "a word each, as in [openid, profile]",
                );
            }
        }
    }

    fn check_tokens(&self, findings: &mut Findings<'_>) {
        let tokens = &self.tokens;
        let known = Algorithm::ALL.map(Algorithm::as_str).join(" ");
        for name in tokens.algorithms.iter().flat_map(|names| &names.0) {
            if name.value.parse::<Algorithm>().is_ok() {
                continue;
            }
            let message = match name.value.as_str() {
                "none" => "`none` is no signature: anybody could write such a token".to_owned(),
                shared if shared.starts_with("HS") => {
                    format!("`{shared}` is a signature with a shared secret: whoever can check it can make it")
                }
                other => format!("`{}` is no signature that is known", other.escape_debug()),
            };
            findings.error(name.place, message, &format!("some of {known}"));
        }
        if let Some(names) = &tokens.algorithms
            && names.0.is_empty()
        {
            findings.error(self.issuer.place, "`tokens.algorithms` is empty, so no token could be accepted", &format!("some of {known}"));
        }
        if let Some(audience) = tokens.audiences.iter().find(|audience| audience.value.is_empty()) {
            findings.error(audience.place, "an audience is empty", "remove it");
        }
        if tokens.leeway.value > MAX_LEEWAY {
            let message = format!("`tokens.leeway` is longer than {MAX_LEEWAY}");
            findings.error(tokens.leeway.place, message, "set the clocks by NTP; the default is 60s");
        }
    }

    fn check_identity(&self, findings: &mut Findings<'_>) {
        let username = self.identity.username.as_ref();
        if let Some(names) = username
            && names.0.iter().all(|name| name.value.is_empty())
        {
            findings.error(self.issuer.place, "`identity.username` names no claim", "as in [preferred_username, sub]");
        }
        let verified = self.required_claims().get("email_verified") == Some(&super::ClaimValue::Truth(true));
        if let Some(first) = username.and_then(|names| names.0.first())
            && (MUTABLE.contains(&first.value.as_str()) || self.kind() == OidcPreset::Entra && first.value == "preferred_username")
            && !verified
        {
            let hint = if first.value == "email" {
                "write require: {email_verified: true}, or name another claim first"
            } else {
                "rules that name users may then mean somebody else; let rules name groups, or name `oid` or `sub` first"
            };
            findings.warning(first.place, format!("`{}` can change, and be given to somebody else", first.value), hint);
        }
        if self.kind() == OidcPreset::Google && !self.required_claims().contains_key("hd") {
            let hint = "write identity: {require: {hd: corp.example, email_verified: true}}";
            findings.warning(self.issuer.place, "everybody with a Google account gets in as far as rules let anybody", hint);
        }
        if let Some(suffix) = self.identity.strip_suffix.as_ref().filter(|suffix| suffix.value.is_empty()) {
            findings.error(suffix.place, "`strip_suffix` is empty", "as in \"@corp.example\", or remove it");
        }
    }

    fn check_groups(&self, findings: &mut Findings<'_>) {
        for source in self.groups.sources.iter().flatten() {
            match (&source.value.claim, &source.value.pointer) {
                (Some(_), Some(_)) => findings.error(source.place, "`claim` and `pointer` are two ways to say the same", "keep one"),
                (None, None) => findings.error(source.place, "a source of groups names no claim", "as in {from: id_token, claim: groups}"),
                (Some(claim), None) if claim.value.is_empty() => findings.error(claim.place, "`claim` is empty", "as in claim: groups"),
                (None, Some(pointer)) if !is_pointer(&pointer.value) => {
                    let hint = "as in /realm_access/roles; within a name `/` is written ~1, and `~` is written ~0";
                    findings.error(pointer.place, format!("`{}` is no JSON pointer", pointer.value.escape_debug()), hint);
                }
                (Some(_), None) | (None, Some(_)) => {}
            }
        }
        for transform in self.groups.transform.iter().flatten() {
            let both = transform.value.strip_leading.is_some() == transform.value.dn_to_cn.is_some();
            if both {
                findings.error(transform.place, "a transform has exactly one key", "as in [{dn_to_cn: true}, {strip_leading: /}]");
            }
            if let Some(text) = transform.value.strip_leading.as_ref().filter(|text| text.value.is_empty()) {
                findings.error(text.place, "`strip_leading` is empty", "as in strip_leading: /");
            }
            if let Some(off) = transform.value.dn_to_cn.as_ref().filter(|on| !on.value) {
                findings.error(off.place, "`dn_to_cn: false` does nothing", "remove it");
            }
        }
        let max = &self.groups.max;
        if !(1..=MAX_GROUPS).contains(&max.value) {
            findings.error(max.place, format!("`groups.max` is not between 1 and {MAX_GROUPS}"), "the default is 2000");
        }
    }

    fn check_grants(&self, findings: &mut Findings<'_>) {
        let password = &self.password_grant.enabled;
        if password.value {
            let message = "passwords are sent to the issuer by way of narrows, which RFC 9700 advises against (section 2.4)";
            findings.warning(password.place, message, "prefer the sign-in page and the device login; docs/reference.md says what it costs");
        }
        let device = &self.device_grant;
        if device.in_band.value && device.from.is_empty() {
            let hint = "name the addresses that may wait: from: [10.0.0.0/8]";
            findings.error(device.in_band.place, "`in_band` without `from` is for nobody", hint);
        }
        if device.in_band.value && !device.enabled {
            findings.error(device.in_band.place, "`in_band` needs the device login, which is off", "remove it, or `enabled: false`");
        }
        if let Some(everybody) = device.from.iter().find(|net| net.value.prefix_len() == 0).filter(|_| device.in_band.value) {
            let message = format!("`{}` lets everybody begin logins that somebody else may be talked into finishing", everybody.value);
            findings.warning(everybody.place, message, "name the addresses of your people");
        }
    }
}

/// RFC 6901 §3; the empty one is the whole document, which is no list of groups.
fn is_pointer(text: &str) -> bool {
    let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escaped
}
