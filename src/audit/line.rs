//! One event as one line of JSON, never longer than 8 KiB and never cut inside.

use super::escape;
use super::event::{AuditEvent, RefusedAction};

/// The whole line with its line break. Many collectors cut or drop longer ones.
pub(super) const LIMIT: usize = 8192;
/// The longest text of a field.
const TEXT: usize = 300;
/// The longest scope of a list.
const SCOPE: usize = 600;
/// Names of lists, brackets and commas, with room to spare.
const PUNCTUATION: usize = 128;
/// The longest mark that stands for what was left out.
const MARK: usize = 64;

/// The line of an event.
pub(super) fn line(event: &AuditEvent) -> String {
    let (head, tail) = (head(event), tail(event));
    let mut lists = [
        scopes(&event.requested),
        scopes(&event.granted),
        event.refused.iter().map(refused).collect(),
        texts(&event.rules),
        texts(&event.notes),
    ];
    fit(&mut lists, LIMIT - (head.len() + tail.len() + PUNCTUATION).min(LIMIT));
    let [requested, granted, refused, rules, notes] = lists.map(|list| list.join(","));
    let notes = if notes.is_empty() { notes } else { format!(",\"notes\":[{notes}]") };
    format!("{{{head},\"requested\":[{requested}],\"granted\":[{granted}],\"refused\":[{refused}],\"rules\":[{rules}],{tail}{notes}}}\n")
}

fn head(event: &AuditEvent) -> String {
    let proof = event
        .proof
        .map_or_else(|| "null".to_owned(), |proof| format!("{{\"how\":\"{}\",\"at\":{}}}", proof.word(), quoted(&proof.at.rfc3339())));
    format!(
        "\"time\":{},\"request_id\":{},\"outcome\":\"{}\",\"client\":{},\"service\":{},\"realm\":{},\"provider\":{},\"subject\":{},\
         \"username\":{},\"proof\":{proof},\"cached\":{}",
        quoted(&event.time.rfc3339()),
        quoted(&event.request_id),
        event.outcome.as_str(),
        quoted(&event.client),
        optional(event.service.as_deref()),
        optional(event.realm.as_deref()),
        optional(event.provider.as_deref()),
        optional(event.subject.as_deref()),
        optional(event.username.as_deref()),
        event.cached,
    )
}

fn tail(event: &AuditEvent) -> String {
    let reason = event.reason.as_deref().map(|reason| format!(",\"reason\":{}", quoted(reason))).unwrap_or_default();
    let stale = event.stale.map(|asked| format!(",\"stale\":{}", quoted(&asked.rfc3339()))).unwrap_or_default();
    format!(
        "\"generation\":{},\"jti\":{},\"latency_us\":{},\"client_trusted\":{}{stale}{reason}",
        event.generation,
        optional(event.jti.as_deref()),
        event.latency_us,
        event.client_trusted,
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape::json(text, TEXT))
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quoted)
}

fn scopes(scopes: &[String]) -> Vec<String> {
    scopes.iter().map(|scope| format!("\"{}\"", escape::json(scope, SCOPE))).collect()
}

fn texts(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| quoted(text)).collect()
}

fn refused(refused: &RefusedAction) -> String {
    format!(
        "{{\"scope\":\"{}\",\"action\":{},\"by\":{}}}",
        escape::json(&refused.scope, SCOPE),
        quoted(&refused.action),
        quoted(&refused.by)
    )
}

/// Shortens lists until all of them together fit. The short ones stay whole, the long ones share what is left; a mark
/// of the item's own shape says how many are missing.
fn fit(lists: &mut [Vec<String>; 5], budget: usize) {
    let mut order: Vec<(usize, usize)> = lists.iter().map(|list| length(list)).enumerate().map(|(index, size)| (size, index)).collect();
    order.sort_unstable();
    let mut left = budget;
    for (position, (_, index)) in order.iter().enumerate() {
        let share = left / (lists.len() - position);
        if let Some(list) = lists.get_mut(*index) {
            shorten(list, share);
            left = left.saturating_sub(length(list));
        }
    }
}

fn shorten(list: &mut Vec<String>, share: usize) {
    if length(list) <= share {
        return;
    }
    let mut used = MARK;
    let kept = list
        .iter()
        .take_while(|item| {
            used += item.len() + 1;
            used <= share
        })
        .count();
    let missing = list.len() - kept;
    let of_objects = list.first().is_some_and(|item| item.starts_with('{'));
    list.truncate(kept);
    list.push(if of_objects {
        format!("{{\"scope\":\"+{missing} more\",\"action\":\"\",\"by\":\"\"}}")
    } else {
        format!("\"+{missing} more\"")
    });
}

fn length(list: &[String]) -> usize {
    list.iter().map(|item| item.len() + 1).sum()
}
