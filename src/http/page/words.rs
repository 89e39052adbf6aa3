//! Numbers formatted for people.

/// `3 h 12 min`, from seconds: the two largest units.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `1.5 MiB`.
pub(super) fn bytes(count: f64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} bytes") } else { format!("{value:.1} {}", units[unit]) }
}

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.3` or `1,234`: without decimals from 10 on.
pub(super) fn rate(per_second: f64) -> String {
    if per_second >= 10.0 || per_second == 0.0 {
        count(per_second.round() as u64)
    } else {
        format!("{per_second:.1}")
    }
}

/// How long ago a time was; `never` for 0.
pub(super) fn ago(time: f64, now: f64) -> String {
    if time > 0.0 { format!("{} ago", duration(now - time)) } else { "never".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_its_two_largest_units() {
        let texts = [0.4, 59.0, 61.0, 7_325.0, 90_000.0, -5.0].map(duration);
        assert_eq!(texts, ["0 s", "59 s", "1 min 1 s", "2 h 2 min", "1 d 1 h", "0 s"]);
        assert_eq!(ago(0.0, 100.0), "never");
        assert_eq!(ago(40.0, 100.0), "1 min 0 s ago");
    }

    #[test]
    fn counts_sizes_and_rates_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([512.0, 1_536.0, 3e9].map(bytes), ["512 bytes", "1.5 KiB", "2.8 GiB"]);
        assert_eq!([0.0, 0.32, 9.96, 12.4, 4_200.0].map(rate), ["0", "0.3", "10.0", "12", "4,200"]);
    }
}
