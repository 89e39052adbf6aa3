//! The durations of the configuration: `500ms`, `30s`, `5m`, `6h`.

use std::time::Duration;

/// Parses a whole number with its unit. The error says what was expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?}: expected a duration such as 500ms, 30s, 5m or 6h");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("6h", 21_600_000), ("0s", 0)];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "5", "s", "-5s", "1.5s", "5 s", "5d", "1h30m", "99999999999999999999s", "9999999999999999h"]
        {
            assert!(parse(text).unwrap_err().contains("expected"), "{text}");
        }
    }
}
