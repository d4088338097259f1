//! Where the lines and characters of a text are.

use std::sync::{Mutex, PoisonError};

use super::located::Place;

/// A mark stands about every so many bytes.
const STRIDE: usize = 256;

/// A point of the text where a character begins, and how much stands before it.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    bytes: usize,
    breaks: usize,
    characters: usize,
}

/// Finds places in a text without reading it from its start each time, whether it is of many lines or of one.
///
/// It has marks as far as places were asked for: most files have no findings, and a huge one that is refused is mostly
/// refused near its start.
#[derive(Debug, Default)]
pub(super) struct Lines {
    marks: Mutex<Vec<Mark>>,
}

impl Lines {
    /// The bytes at which the place's line and the place itself begin; `None` where the text has no such line. A column
    /// behind the end of the line means that end.
    pub(super) fn find(&self, text: &str, place: Place) -> Option<(usize, usize)> {
        let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(place.column).ok()?.saturating_sub(1);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let start = line_start(&mut marks, text, line)?;
        let characters = before(&mut marks, text, start).characters + column;
        let at = character(&mut marks, text, characters);
        let in_break = at > start && text.as_bytes().get(at - 1) == Some(&b'\r');
        if !in_break && before(&mut marks, text, at).breaks == line {
            return Some((start, at));
        }
        let rest = text.get(start..).unwrap_or_default();
        Some((start, start + rest.find(['\n', '\r']).unwrap_or(rest.len())))
    }

    /// The place behind the last character.
    pub(super) fn end(&self, text: &str) -> Place {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
        let counted = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Place { line: counted(before(&mut marks, text, text.len()).breaks), column: counted(last.chars().count()) }
    }
}

/// The byte behind the `line`-th line break.
fn line_start(marks: &mut Vec<Mark>, text: &str, line: usize) -> Option<usize> {
    if line == 0 {
        return Some(0);
    }
    let mut mark = last(marks, text, |mark| mark.breaks < line);
    while mark.breaks < line {
        let rest = text.as_bytes().get(mark.bytes..).unwrap_or_default();
        mark.breaks += usize::from(ends_line(*rest.first()?, rest.get(1).copied()));
        mark.bytes += 1;
    }
    Some(mark.bytes)
}

/// The byte before which so many characters stand, or the end of the text.
fn character(marks: &mut Vec<Mark>, text: &str, characters: usize) -> usize {
    let mark = last(marks, text, |mark| mark.characters <= characters);
    let rest = text.get(mark.bytes..).unwrap_or_default();
    rest.char_indices().nth(characters - mark.characters).map_or(text.len(), |(index, _)| mark.bytes + index)
}

/// What stands before a byte at which a character begins.
fn before(marks: &mut Vec<Mark>, text: &str, bytes: usize) -> Mark {
    let mark = last(marks, text, |mark| mark.bytes <= bytes);
    forward(mark, text, bytes)
}

/// The last mark for which `holds`, which it does for the start of the text and up to some point.
fn last(marks: &mut Vec<Mark>, text: &str, holds: impl Fn(&Mark) -> bool) -> Mark {
    let mut end = marks.last().copied().unwrap_or_default();
    if marks.is_empty() {
        marks.push(end);
    }
    while holds(&end) && end.bytes < text.len() {
        end = forward(end, text, text.floor_char_boundary(end.bytes + STRIDE));
        marks.push(end);
    }
    let behind = marks.partition_point(holds);
    behind.checked_sub(1).and_then(|index| marks.get(index)).copied().unwrap_or_default()
}

/// The mark at a byte behind another mark.
fn forward(mark: Mark, text: &str, bytes: usize) -> Mark {
    let between = text.get(mark.bytes..bytes).unwrap_or_default();
    let feeds = between.matches('\n').count();
    // A carriage return before a line feed ends no line of its own.
    let next = |index: usize| text.as_bytes().get(mark.bytes + index + 1).copied();
    let returns = between.match_indices('\r').filter(|&(index, _)| ends_line(b'\r', next(index))).count();
    Mark { bytes, breaks: mark.breaks + feeds + returns, characters: mark.characters + between.chars().count() }
}

/// YAML ends a line with a line feed, a carriage return, or both (YAML 1.2.2 §5.4).
fn ends_line(byte: u8, next: Option<u8>) -> bool {
    byte == b'\n' || (byte == b'\r' && next != Some(b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts from the start, one character at a time.
    fn counted(text: &str, wanted: Place) -> Option<(usize, usize)> {
        let mut lines = vec![0];
        for (index, character) in text.char_indices() {
            if ends_line(u8::try_from(character).unwrap_or(b'x'), text.as_bytes().get(index + 1).copied()) {
                lines.push(index + 1);
            }
        }
        let start = *lines.get(wanted.line as usize - 1)?;
        let mut at = start;
        for character in text.get(start..).unwrap().chars().take(wanted.column as usize - 1) {
            if matches!(character, '\n' | '\r') {
                break;
            }
            at += character.len_utf8();
        }
        Some((start, at))
    }

    #[test]
    fn places_are_found_as_by_counting() {
        let line = |index: usize| format!("{}\r\nä{index}🚢\r{}\n", "x".repeat(index % 7), "é".repeat(index % 11));
        let mixed = (0..900).map(line).collect::<Vec<_>>().concat();
        let texts = ["", "\n", "a", "a\r\nb", "\r\r\n\n", &mixed, &"ä".repeat(5000), &"\n".repeat(5000), &"\r\n".repeat(3000)];
        for text in texts {
            let lines = Lines::default();
            for (line, column) in (1..3000).step_by(7).flat_map(|line| [1, 2, 3, 9, 2500].map(|column| (line, column))).rev() {
                let place = Place { line, column };
                assert_eq!(lines.find(text, place), counted(text, place), "{place} of {:?}", text.get(..20));
            }
            let end = Lines::default().end(text);
            assert_eq!(lines.find(text, end).map(|(_, at)| at), Some(text.len()), "{end} of {:?}", text.get(..20));
        }
        assert_eq!(Lines::default().find("a", Place::default()), None);
    }
}
