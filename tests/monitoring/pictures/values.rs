//! Values and names as text, as Grafana writes them, more or less.

/// Width of a letter of the small font, about.
pub(super) const LETTER: f64 = 6.5;

/// A value in its unit, with at most so many decimals where the panel says so.
pub(super) fn shown(value: f64, unit: &str, decimals: Option<usize>) -> String {
    if !value.is_finite() {
        return "No data".to_owned();
    }
    let plain = |value: f64| {
        // Two digits that say something.
        let digits = match value.abs() {
            0.0 | 100.0.. => 0,
            small if small < 0.1 => (1.0 - small.log10().floor()) as usize,
            other => usize::from((other - other.round()).abs() > 0.04),
        };
        format!("{value:.0$}", decimals.unwrap_or(digits))
    };
    let scaled = |mut value: f64, base: f64| {
        let mut power = 0;
        while value.abs() >= base && power < 4 {
            value /= base;
            power += 1;
        }
        format!("{}{}", plain(value), ["", " K", " M", " G", " T"][power])
    };
    match unit {
        "percentunit" => format!("{}%", plain(value * 100.0)),
        "percent" => format!("{value:.0}%"),
        "ms" if value < 1_000.0 => format!("{value:.0} ms"),
        "ms" => format!("{} s", plain(value / 1_000.0)),
        "s" if value.abs() < 1.0 && value != 0.0 => format!("{:.0} ms", value * 1_000.0),
        "s" if value >= 172_800.0 => format!("{} days", plain(value / 86_400.0)),
        "s" if value >= 7_200.0 => format!("{} hours", plain(value / 3_600.0)),
        "s" if value >= 120.0 => format!("{} mins", plain(value / 60.0)),
        "s" => format!("{} s", plain(value)),
        "bytes" => format!("{}B", scaled(value, 1_024.0)),
        "bps" => format!("{}b/s", scaled(value, 1_000.0)),
        "Bps" => format!("{}B/s", scaled(value, 1_000.0)),
        "ops" | "reqps" | "pps" => format!("{}/s", scaled(value, 1_000.0)),
        "locale" => format!("{value:.0}"),
        _ => scaled(value, 1_000.0),
    }
}

/// As much of a text as there is room for, in pixels.
pub(super) fn cut(text: &str, room: f64) -> String {
    let most = (room / LETTER) as usize;
    if text.chars().count() <= most {
        return escaped(text);
    }
    escaped(&text.chars().take(most.saturating_sub(1)).collect::<String>()) + "\u{2026}"
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
