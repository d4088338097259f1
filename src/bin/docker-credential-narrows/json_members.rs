//! One member put into a JSON object, with every other byte of the text left as it was.
//!
//! The text has been parsed before by `serde_json`; this only finds places in it.

use std::ops::Range;

/// A member of an object, by its places in the text.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name, unescaped.
    pub(crate) name: String,
    /// Where the name stands, in its quotes.
    quoted: Range<usize>,
    /// Where its value stands.
    pub(crate) value: Range<usize>,
}

/// How a member is written into an object, as its neighbours are.
#[derive(Debug)]
struct Layout<'text> {
    /// What stands before a name: nothing, a space, or a line break with an indentation.
    before: &'text str,
    /// What stands between a name and its value.
    colon: &'text str,
}

/// Docker's own layout.
const DOCKERS: Layout<'static> = Layout { before: "\n\t", colon: ": " };

/// The place of the outermost value.
pub(crate) fn outermost(text: &str) -> Option<Range<usize>> {
    let start = skip_space(text, 0);
    Some(start..value_end(text, start)?)
}

/// The members of the object at a place, in their order.
pub(crate) fn members(text: &str, object: &Range<usize>) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    let mut at = skip_space(text, object.start + 1);
    while byte(text, at)? == b'"' {
        let quoted = at..string_end(text, at)?;
        let colon = skip_space(text, quoted.end);
        let start = skip_space(text, colon + 1);
        let value = start..value_end(text, start)?;
        let name = serde_json::from_str(text.get(quoted.clone())?).ok()?;
        at = skip_space(text, value.end);
        if byte(text, at)? == b',' {
            at = skip_space(text, at + 1);
        }
        members.push(Member { name, quoted, value });
    }
    Some(members)
}

/// The text with another member at the end of the object at a place. `value` is JSON.
pub(crate) fn insert(text: &str, object: &Range<usize>, name: &str, value: &str) -> Option<String> {
    let members = members(text, object)?;
    let quoted = serde_json::to_string(name).ok()?;
    if let Some(last) = members.last() {
        let Layout { before, colon } = layout(text, last)?;
        return splice(text, last.value.end..last.value.end, &format!(",{before}{quoted}{colon}{value}"));
    }
    // An empty object: its own layout tells nothing, that of the object around it does.
    let Layout { before, colon } = around(text, object)?;
    let inner = deeper(before);
    splice(text, object.clone(), &format!("{{{inner}{quoted}{colon}{value}{before}}}"))
}

/// An object with one member, as the value of a new member at the end of the object at a place.
pub(crate) fn nested(text: &str, object: &Range<usize>, name: &str, value: &str) -> Option<String> {
    let members = members(text, object)?;
    let quoted = serde_json::to_string(name).ok()?;
    let Layout { before, colon } = members.last().map_or(Some(DOCKERS), |last| layout(text, last))?;
    let (inner, end) = if before.contains('\n') { (deeper(before), before) } else { (String::new(), "") };
    Some(format!("{{{inner}{quoted}{colon}{value}{end}}}"))
}

/// The text with a part of it exchanged.
pub(crate) fn splice(text: &str, part: Range<usize>, new: &str) -> Option<String> {
    Some([text.get(..part.start)?, new, text.get(part.end..)?].concat())
}

fn layout<'text>(text: &'text str, member: &Member) -> Option<Layout<'text>> {
    let head = text.get(..member.quoted.start)?;
    let before = head.get(head.trim_end_matches(is_space).len()..)?;
    Some(Layout { before, colon: text.get(member.quoted.end..member.value.start)? })
}

/// The layout of the member whose value the object is; of a file of docker's own where it is the outermost one.
fn around<'text>(text: &'text str, object: &Range<usize>) -> Option<Layout<'text>> {
    let outer = outermost(text)?;
    if outer.start == object.start {
        return Some(Layout { before: "\n", colon: DOCKERS.colon });
    }
    let members = members(text, &outer)?;
    layout(text, members.iter().find(|member| member.value.start == object.start)?)
}

/// One step more to the right, where lines are broken at all.
fn deeper(before: &str) -> String {
    let Some((_, indentation)) = before.rsplit_once('\n') else { return String::new() };
    // What is known is the first level, or none.
    format!("{before}{}", if indentation.is_empty() { "\t" } else { indentation })
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn skip_space(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.len() - rest.trim_start_matches(is_space).len()
}

/// Where the string that begins at a place ends.
fn string_end(text: &str, start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match byte(text, at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Where the value that begins at a place ends.
fn value_end(text: &str, start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        let Some(here) = byte(text, at) else { return (depth == 0 && at > start).then_some(at) };
        match here {
            b'"' => at = string_end(text, at)?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> String {
        insert(text, &outermost(text).unwrap(), "k", "1").unwrap()
    }

    #[test]
    fn a_member_is_written_as_its_neighbours_are() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(put(text), expected);
            serde_json::from_str::<serde_json::Value>(expected).unwrap();
        }
        check("{}", "{\n\t\"k\": 1\n}");
        check(" { }\n", " {\n\t\"k\": 1\n}\n");
        check("{\"a\":1}", "{\"a\":1,\"k\":1}");
        check("{ \"a\": [1, {\"b\": \"}\"}] }", "{ \"a\": [1, {\"b\": \"}\"}], \"k\": 1 }");
        check("{\r\n  \"a\" : \"x\\\"y\"\r\n}\r\n", "{\r\n  \"a\" : \"x\\\"y\",\r\n  \"k\" : 1\r\n}\r\n");
        check("{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}", "{\n\t\"a\": {\n\t\t\"b\": 1\n\t},\n\t\"k\": 1\n}");
        check("{\"a\":-1.5e3}", "{\"a\":-1.5e3,\"k\":1}");
        check("{\"\\u0061\\\\\":null}", "{\"\\u0061\\\\\":null,\"k\":1}");
    }

    #[test]
    fn an_empty_object_inside_takes_the_layout_around_it() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let outer = outermost(text).unwrap();
            let inner = members(text, &outer).unwrap().remove(0).value;
            assert_eq!(insert(text, &inner, "k", "1").unwrap(), expected);
        }
        check("{\n  \"a\": {}\n}", "{\n  \"a\": {\n    \"k\": 1\n  }\n}");
        check("{\"a\":{ },\"b\":2}", "{\"a\":{\"k\":1},\"b\":2}");
        check("{ \"a\": {} }", "{ \"a\": {\"k\": 1 } }");
    }

    #[test]
    fn names_are_read_with_their_escapes() {
        let text = r#"{"a\"\u00e4": {"x": 1}, "b": "c"}"#;
        let found = members(text, &outermost(text).unwrap()).unwrap();
        let found: Vec<_> = found.iter().map(|member| (member.name.as_str(), text.get(member.value.clone()).unwrap())).collect();
        assert_eq!(found, [("a\"\u{e4}", r#"{"x": 1}"#), ("b", "\"c\"")]);
    }
}
