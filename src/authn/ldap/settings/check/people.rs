//! What `user` and `groups` must satisfy.

use super::super::super::dn::Dn;
use super::super::super::dn_template::DnTemplate;
use super::super::super::template::FilterTemplate;
use super::super::{BindMode, GroupKeys, GroupStrategy, LdapSettings, Preset, UserKeys};
use super::Findings;
use crate::source::{Located, Period, Place};

/// The greatest `groups.nested.count`.
const MAX_GROUPS: u32 = 50_000;
/// The greatest `groups.nested.depth`.
const MAX_DEPTH: u32 = 100;

impl LdapSettings {
    pub(super) fn check_user(&self, findings: &mut Findings<'_>) {
        let user = self.user_keys();
        if user.bases.0.is_empty() {
            findings.error(user.bind.place, "`user.bases` names no base", "as in bases: [\"ou=people,dc=corp,dc=example\"]");
        }
        findings.bases(&user.bases);
        if let Err(error) = FilterTemplate::parse(&user.filter.value) {
            findings.error(user.filter.place, error.to_string(), "as in \"(&(objectClass=inetOrgPerson)(uid={username}))\"");
        }
        findings.attribute(&user.username);
        findings.attribute(&user.id);
        for cut in &user.strip {
            check_strip(cut, findings);
        }
        check_bind(&user, findings);
    }

    pub(super) fn check_groups(&self, findings: &mut Findings<'_>) {
        let groups = self.group_keys();
        self.check_group_bases(&groups, findings);
        if let Some(filter) = &groups.filter {
            if filter.value.contains(['{', '}']) {
                findings.error(filter.place, "`groups.filter` knows no variables", "as in \"(objectClass=groupOfNames)\"");
            } else if ldap3::parse_filter(&filter.value).is_err() {
                findings.error(filter.place, "this is not a filter", "as in \"(objectClass=groupOfNames)\"");
            }
        }
        findings.attribute(&groups.name);
        findings.attribute(&groups.member);
        if let Some(member) = &self.groups.member
            && groups.strategy.value != GroupStrategy::Member
            && !member.value.eq_ignore_ascii_case("member")
        {
            let message = format!("`groups.member` does nothing with `strategy: {}`", groups.strategy.value.as_str());
            findings.error(member.place, message, "remove it");
        }
        if let Some(nested) = &self.groups.nested {
            self.check_nested(nested.place, &groups, findings);
        }
        if groups.age.value > Period::minutes(24 * 60) {
            findings.error(groups.age.place, "`groups.age` is longer than a day", "a removed right is used for so long");
        }
    }

    fn check_group_bases(&self, groups: &GroupKeys, findings: &mut Findings<'_>) {
        let strategy = groups.strategy.value;
        let place = [groups.strategy.place, self.preset.as_ref().map_or(self.service_account.place, |preset| preset.place)];
        let place = place.into_iter().find(|place| *place != Place::default()).unwrap_or_default();
        let hint = "as in bases: [\"ou=groups,dc=corp,dc=example\"]";
        let searches = match strategy {
            GroupStrategy::Memberof | GroupStrategy::None => false,
            GroupStrategy::Member | GroupStrategy::MemberUid | GroupStrategy::InChain | GroupStrategy::TokenGroups => true,
        };
        if groups.bases.as_ref().is_none_or(|bases| bases.0.is_empty()) {
            if searches {
                findings.error(place, format!("`strategy: {}` needs `groups.bases`", strategy.as_str()), hint);
            } else if self.kind() == Preset::Freeipa && strategy == GroupStrategy::Memberof {
                let message = "FreeIPA's memberOf holds roles and rules beside groups, so `groups.bases` has to say what counts";
                findings.error(place, message, "as in bases: [\"cn=groups,cn=accounts,dc=corp,dc=example\"]");
            }
        }
        if let Some(bases) = &groups.bases {
            if bases.0.is_empty() && !searches {
                findings.error(place, "`groups.bases` names no base", hint);
            }
            findings.bases(bases);
        }
    }

    fn check_nested(&self, place: Place, groups: &GroupKeys, findings: &mut Findings<'_>) {
        let follows = match groups.strategy.value {
            GroupStrategy::Memberof | GroupStrategy::Member => true,
            GroupStrategy::MemberUid | GroupStrategy::InChain | GroupStrategy::TokenGroups | GroupStrategy::None => false,
        };
        // What the kind of directory says by itself may be written out.
        let unwritten = Self { groups: super::super::GroupSettings::default(), ..self.clone() }.group_keys().depth;
        if !follows && groups.depth != unwritten {
            let message = format!("`nested.depth` does nothing with `strategy: {}`", groups.strategy.value.as_str());
            findings.error(place, message, "remove it: there is nothing to follow, or the directory follows groups of groups itself");
        }
        if groups.depth > MAX_DEPTH {
            findings.error(place, format!("`nested.depth` is over {MAX_DEPTH}"), "the default is 8");
        }
        if groups.count == 0 || groups.count > MAX_GROUPS {
            findings.error(place, format!("`nested.count` is not between 1 and {MAX_GROUPS}"), "the default is 2000");
        }
    }
}

/// `CORP\` or `@corp.example`.
fn check_strip(cut: &Located<String>, findings: &mut Findings<'_>) {
    let text = cut.value.as_str();
    let name = text.strip_prefix('@').or_else(|| text.strip_suffix('\\')).unwrap_or_default();
    if name.is_empty() || name.contains(['\\', '@']) || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = format!("`{}` cannot be cut off a name", text.escape_debug());
        findings.error(cut.place, message, "write a prefix that ends with a backslash (\"CORP\\\\\") or a suffix that starts with @");
    }
}

fn check_bind(user: &UserKeys, findings: &mut Findings<'_>) {
    let bind = user.bind.value;
    match (bind, &user.template) {
        (BindMode::Template, None) => {
            findings.error(
                user.bind.place,
                "`bind: template` needs `user.template`",
                "as in \"uid={username},ou=people,dc=corp,dc=example\"",
            );
        }
        (BindMode::Template, Some(template)) => check_template(template, user, findings),
        (BindMode::Search | BindMode::Upn, None) => {}
        (BindMode::Search | BindMode::Upn, Some(template)) => {
            findings.error(template.place, "`user.template` does nothing without `bind: template`", "remove one of them");
        }
    }
    match (bind, &user.upn_suffix) {
        (BindMode::Upn, None) => findings.error(user.bind.place, "`bind: upn` needs `user.upn_suffix`", "as in upn_suffix: corp.example"),
        (BindMode::Upn, Some(suffix)) => {
            let labels = suffix.value.split('.');
            let is_domain = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if !labels.into_iter().all(is_domain) {
                findings.error(
                    suffix.place,
                    format!("`{}` is no suffix", suffix.value.escape_debug()),
                    "without the @, as in corp.example",
                );
            }
        }
        (BindMode::Search | BindMode::Template, None) => {}
        (BindMode::Search | BindMode::Template, Some(suffix)) => {
            findings.error(suffix.place, "`user.upn_suffix` does nothing without `bind: upn`", "remove one of them");
        }
    }
}

fn check_template(template: &Located<String>, user: &UserKeys, findings: &mut Findings<'_>) {
    match DnTemplate::parse(&template.value) {
        Err(error) => {
            findings.error(template.place, error.to_string(), "as in \"uid={username},ou=people,dc=corp,dc=example\"");
        }
        Ok(parsed) => {
            let below = |base: &Located<String>| base.value.parse::<Dn>().is_ok_and(|base| parsed.is_within(&base));
            if !user.bases.0.iter().any(below) {
                findings.error(template.place, "`user.template` makes names outside of `user.bases`", "let one of the bases be its end");
            }
        }
    }
}
