//! Chance, for pauses and choices. Nothing secret depends on it.

/// At least 0 and less than 1.
pub(super) fn part() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness every pause is the longest and every choice the first.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
