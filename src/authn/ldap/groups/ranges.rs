//! Long lists of values, which Active Directory sends in ranges (`memberOf;range=0-1499`): all of them, or trouble.

use ldap3::Scope;

use super::super::connection::Search;
use super::super::entry::{Entry, Part};
use super::super::session::Session;
use super::super::template::Filter;
use super::super::trouble::Trouble;

/// More values than this are not gathered.
const MAX_VALUES: usize = 50_000;

/// Every value of an entry's attribute as text. What the entry does not hold yet is asked for.
pub(super) async fn texts(entry: &Entry, attribute: &str, session: &Session<'_>) -> Result<Vec<String>, Trouble> {
    let Some(first) = entry.part(attribute)? else {
        return Ok(entry.texts(attribute)?.into_iter().map(str::to_owned).collect());
    };
    let mut values = Vec::new();
    let mut missing = append(&mut values, &first, 0, attribute)?;
    while let Some(from) = missing {
        if values.len() > MAX_VALUES {
            return Err(Trouble::new("groups", format!("`{attribute}` has more than {MAX_VALUES} values")));
        }
        let rest = format!("{attribute};range={from}-*");
        let search = Search { base: &entry.dn, scope: Scope::Base, filter: &Filter::any(), attributes: &[rest.as_str()], at_most: None };
        let found = session.search(&search).await?;
        let part = found.first().map(|entry| entry.part(attribute)).transpose()?.flatten();
        let part = part.ok_or_else(|| Trouble::new("groups", format!("the values of `{attribute}` behind {from} were not sent")))?;
        missing = append(&mut values, &part, from, attribute)?;
    }
    Ok(values)
}

/// Adds a part that has to begin where the one before ended; says where the next one begins.
fn append(values: &mut Vec<String>, part: &Part<'_>, from: u32, attribute: &str) -> Result<Option<u32>, Trouble> {
    let wrong = |what: &str| Trouble::new("groups", format!("the ranges of `{attribute}` {what}"));
    let length = part.to.map(|to| u64::from(to - part.from) + 1);
    let sent = u64::try_from(part.values.len()).unwrap_or(u64::MAX);
    if part.from != from || length.is_some_and(|length| length != sent) {
        return Err(wrong("leave something out"));
    }
    for value in &part.values {
        values.push(std::str::from_utf8(value).map_err(|_| wrong("hold what is not text"))?.to_owned());
    }
    part.to.map(|to| to.checked_add(1).ok_or_else(|| wrong("have no end"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_join_are_trouble() {
        let check = |from: u32, to: Option<u32>, values: &[&str], at: u32, expected: Option<Option<u32>>| {
            let part = Part { from, to, values: values.iter().map(|value| value.as_bytes()).collect() };
            let mut all = vec!["before".to_owned()];
            let next = append(&mut all, &part, at, "memberOf");
            assert_eq!(next.ok(), expected, "{from} {to:?} {at}");
            if expected.is_some() {
                assert_eq!(all.len(), values.len() + 1);
            }
        };
        check(0, Some(1), &["a", "b"], 0, Some(Some(2)));
        check(2, None, &["c"], 2, Some(None));
        check(2, None, &[], 2, Some(None));
        check(0, Some(2), &["a", "b"], 0, None);
        check(3, None, &["c"], 2, None);
        check(0, Some(1), &["a", "b"], 2, None);
        check(u32::MAX, Some(u32::MAX), &["z"], u32::MAX, None);
        let mut all = Vec::new();
        assert!(append(&mut all, &Part { from: 0, to: None, values: vec![b"\xff"] }, 0, "memberOf").is_err());
    }
}
