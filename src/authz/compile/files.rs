//! What holds for all files together: realm and time zone from the first, roles and aliases once, reserved names added up,
//! and what a file with `within` may not say.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{Compiler, LONE_REALM};
use crate::authz::alias::Aliases;
use crate::authz::binding::component;
use crate::authz::document::{Document, Text};
use crate::authz::pattern::Pattern;
use crate::authz::when::Zone;
use crate::source::Place;

impl Compiler<'_> {
    /// Goes on with this file: findings are about it, and its repositories stay inside its fence.
    pub(super) fn enter(&mut self, number: usize) {
        let Some(source) = self.sources.get(number) else { return };
        (self.number, self.file) = (number, &source.file);
        self.fence = source.within.as_deref().and_then(|within| Pattern::parse(within).ok()).filter(Pattern::is_fence);
    }

    /// Everything but the rules.
    pub(super) fn settle(&mut self, documents: &[Document]) {
        let first = documents.first();
        self.settle_realm(first.and_then(|document| document.realm.as_ref()));
        self.settle_zone(first.and_then(|document| document.timezone.as_ref()));
        for (number, document) in documents.iter().enumerate() {
            self.enter(number);
            self.check_file(number, document);
            self.reserve(document.reserved.as_deref());
            self.add_roles(&document.roles);
            self.add_aliases(document);
        }
    }

    fn check_file(&mut self, number: usize, document: &Document) {
        let within = self.sources.get(number).and_then(|source| source.within.as_deref());
        if let Some(within) = within {
            if self.fence.is_none() {
                let message = format!("`within: {within}` in the configuration is no namespace");
                self.error(Place::default(), message, "write literal segments and a `**`, as in `within: payments/**`");
            }
            for key in &document.general {
                let hint = "a file with `within` has only `version` and `rules`; put the rest into the first file";
                self.error(key.place, format!("`{}` does not belong into a file with `within`", key.value), hint);
            }
        } else if number > 0 {
            let zone = self.zone.as_ref().map(|zone| zone.name.clone());
            let realm = self.home.as_ref().map(ToString::to_string);
            self.same_as_first("realm", document.realm.as_ref(), realm.as_deref());
            self.same_as_first("timezone", document.timezone.as_ref(), zone.as_deref());
        }
    }

    /// The first file's realm and time zone hold for all; a later one may say the same.
    fn same_as_first(&mut self, key: &str, written: Option<&Text>, first: Option<&str>) {
        if let Some(written) = written.filter(|written| Some(written.value.as_str()) != first) {
            let hint = format!("remove it, or write it into the first file: its `{key}` holds for all files");
            self.error(written.place, format!("another `{key}` than in the first file"), &hint);
        }
    }

    /// Plain names mean the realm that the file says, or the only one there is. A file alone has one of its own.
    fn settle_realm(&mut self, written: Option<&Text>) {
        self.home = match (written, self.realms()) {
            (Some(realm), _) => self.known_realm(realm),
            (None, [only]) => Some(Arc::clone(&only.name)),
            (None, []) => Some(LONE_REALM.into()),
            (None, _) => None,
        };
        self.aliases = Aliases::new(self.home_ignores_case());
    }

    fn settle_zone(&mut self, written: Option<&Text>) {
        let Some(written) = written else { return };
        if let Ok(rules) = TimeZone::get(&written.value) {
            self.zone = Some(Arc::new(Zone { name: written.value.clone(), rules }));
        } else {
            let hint = "write a name of the IANA database, as in Europe/Berlin, America/New_York or UTC";
            self.error(written.place, format!("`{}` is no time zone", written.value), hint);
        }
    }

    fn reserve(&mut self, written: Option<&[Text]>) {
        let Some(written) = written else { return };
        for text in written {
            if component(&text.value, false).is_none() {
                let hint = "list first segments of repository names alone, as in [users, shared, base]";
                self.error(text.place, format!("`{}` can be no first segment that a capture takes", text.value), hint);
            }
        }
        self.reserved.get_or_insert_default().extend(written.iter().map(|text| text.value.clone()));
    }
}
