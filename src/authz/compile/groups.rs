//! Aliases of groups.

use std::sync::Arc;

use super::Compiler;
use crate::authz::dn::DnPattern;
use crate::authz::document::{Document, Original, Text};

impl Compiler<'_> {
    pub(super) fn add_aliases(&mut self, document: &Document) {
        for (alias, originals) in &document.groups {
            self.need_home(alias.place, "the groups behind an alias");
            if alias.value.is_empty() || alias.value.contains(['*', '{', '}', '=']) {
                self.error(
                    alias.place,
                    format!("`{}` cannot be an alias", alias.value),
                    "an alias is a plain name without `*`, braces and `=`",
                );
                continue;
            }
            if !self.aliases.add(&alias.value) {
                self.error(alias.place, format!("the alias `{}` is there already", alias.value), "put all of its groups into one list");
            }
            let name: Arc<str> = alias.value.as_str().into();
            self.check_cut(originals.iter().filter_map(|original| match original {
                Original::Name(text) => Some(text),
                Original::Id(_) => None,
            }));
            for original in originals {
                self.add_original(&name, original);
            }
        }
    }

    /// A DN without quotes falls apart at its commas: a list of its parts means groups that nobody wanted.
    pub(super) fn check_cut<'t>(&mut self, texts: impl Iterator<Item = &'t Text>) {
        let part = |text: &&Text| text.value.contains('=') && DnPattern::parse(&text.value).is_ok_and(|pattern| pattern.length() == 1);
        let parts: Vec<&Text> = texts.filter(part).collect();
        if let [first, _, ..] = parts.as_slice() {
            let hint = "quote the whole DN: a comma ends an item of a list, as in [\"CN=payments,OU=teams,DC=corp,DC=example\"]";
            self.error(first.place, format!("`{}` and what follows look like one DN that was cut at its commas", first.value), hint);
        }
    }

    fn add_original(&mut self, alias: &Arc<str>, original: &Original) {
        let text = match original {
            Original::Id(id) => return self.aliases.add_id(alias, &id.value),
            Original::Name(text) => text,
        };
        if text.value.contains('=') {
            match DnPattern::parse(&text.value).map(|pattern| pattern.key()) {
                Ok(Some(dn)) => self.aliases.add_dn(alias, dn),
                Ok(None) => self.error(text.place, "an alias stands for whole groups", "write the DN without captures"),
                Err(error) => self.pattern(text, &error),
            }
        } else if text.value.contains(['*', '{', '}']) {
            self.error(text.place, "an alias stands for whole groups", "write the group's name without `*` and braces, or its id");
        } else {
            self.aliases.add_name(alias, &text.value);
        }
        self.originals.entry(self.folded(alias)).or_default().push(text.value.clone());
    }
}
