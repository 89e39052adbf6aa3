//! A picture of a dashboard, drawn from what its queries return as Grafana would draw it, light or dark: the colours of
//! thresholds, bars, heatmaps, states and tables. What it leaves alone is everything that moves.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::dashboards::{Dashboard, queries};
use crate::servers::Server;

/// Seconds that a picture shows, and between two points.
const SECONDS: f64 = 60.0;
const STEP: f64 = 2.0;
/// Pixels of one of the 24 columns, and of one unit of height.
const COLUMN: f64 = 50.0;
const ROW: f64 = 26.0;
/// Width of a letter of the small font, about.
const LETTER: f64 = 6.0;

/// Colours of a page.
pub struct Theme {
    page: &'static str,
    panel: &'static str,
    border: &'static str,
    text: &'static str,
    dim: &'static str,
    grid: &'static str,
}

pub const LIGHT: Theme = Theme {
    page: "#f4f5f5",
    panel: "#ffffff",
    border: "#dadce0",
    text: "#24292e",
    dim: "#6e7681",
    grid: "#e8e9ec",
};
pub const DARK: Theme = Theme {
    page: "#111217",
    panel: "#181b1f",
    border: "#2c3235",
    text: "#ccccdc",
    dim: "#8e8e9c",
    grid: "#2a2d33",
};

/// Colours of series, in their order.
const PALETTE: [&str; 10] = [
    "#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#f2495c", "#b877d9", "#37872d", "#8ab8ff", "#c15c17",
    "#ca95e5",
];

/// One series of a panel.
struct Series {
    legend: String,
    labels: BTreeMap<String, String>,
    points: Vec<(f64, f64)>,
}

impl Series {
    fn last(&self) -> f64 {
        self.points.last().map_or(f64::NAN, |point| point.1)
    }
}

/// Draws into the box of one panel.
struct Canvas<'a> {
    svg: String,
    theme: &'a Theme,
    panel: &'a Value,
    unit: &'a str,
    width: f64,
    height: f64,
}

/// Tells which version of a dashboard a picture shows.
pub fn source(dashboard: &Dashboard) -> String {
    format!("{} {:08x}", dashboard.uid(), crc32fast::hash(dashboard.json.to_string().as_bytes()))
}

/// The whole dashboard as SVG.
pub fn draw(dashboard: &Dashboard, prometheus: &Server, theme: &Theme) -> String {
    let all = dashboard.json["panels"].as_array().unwrap();
    let bottom = all.iter().map(|panel| place(panel, "y") + place(panel, "h")).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN, bottom * ROW + 46.0);
    let mut svg = format!(
        "<!-- {} -->\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"Inter, Helvetica, Arial, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n<text x=\"12\" y=\"28\" font-size=\"18\" fill=\"{}\">{}</text>\n",
        source(dashboard),
        theme.page,
        theme.text,
        escaped(dashboard.title())
    );
    for panel in all {
        let (x, y) = (place(panel, "x") * COLUMN, place(panel, "y") * ROW + 42.0);
        let mut canvas = Canvas {
            svg: String::new(),
            theme,
            panel,
            unit: panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default(),
            width: place(panel, "w") * COLUMN - 8.0,
            height: place(panel, "h") * ROW - 6.0,
        };
        canvas.draw(prometheus);
        let _ = writeln!(svg, "<g transform=\"translate({} {})\">{}</g>", x + 4.0, y + 2.0, canvas.svg);
    }
    svg + "</svg>\n"
}

fn place(panel: &Value, key: &str) -> f64 {
    panel["gridPos"][key].as_f64().unwrap_or_default()
}

/// What the queries of a panel return.
fn series(panel: &Value, prometheus: &Server) -> Vec<Series> {
    let mut found = Vec::new();
    for query in queries(panel) {
        for (labels, points) in prometheus.range(&query.expression, SECONDS, STEP) {
            let legend = query.name(&labels);
            let points: Vec<_> = points.into_iter().filter(|point| point.1.is_finite()).collect();
            if !points.is_empty() {
                found.push(Series { legend, labels, points });
            }
        }
    }
    // What shows the present has only what is there now.
    if panel["targets"][0]["instant"] == true {
        let end = found.iter().flat_map(|of: &Series| &of.points).map(|point| point.0).fold(0.0, f64::max);
        found.retain(|of| of.points.last().is_some_and(|point| end - point.0 < STEP));
    }
    found
}

impl Canvas<'_> {
    fn draw(&mut self, prometheus: &Server) {
        let title = escaped(self.panel["title"].as_str().unwrap());
        let kind = self.panel["type"].as_str().unwrap();
        if kind == "row" {
            self.text(8.0, 18.0, 14, self.theme.text, "start", &format!("\u{2304} {title}"));
            return;
        }
        let series = series(self.panel, prometheus);
        let fill = if kind == "stat" { self.fill_of_stat(&series) } else { None };
        let (panel, border) = (fill.clone().unwrap_or(self.theme.panel.to_owned()), self.theme.border);
        let _ = write!(
            self.svg,
            "<rect width=\"{}\" height=\"{}\" rx=\"2\" fill=\"{panel}\" stroke=\"{border}\"/>",
            self.width, self.height
        );
        let ink = if fill.is_some() { "#ffffff" } else { self.theme.text };
        self.text(8.0, 18.0, 12, ink, "start", &title);
        match kind {
            "stat" => self.stat(&series, ink),
            "bargauge" => self.bars_of_now(&series),
            "heatmap" => self.heatmap(&series),
            "state-timeline" => self.states(&series),
            "table" => self.table(&series),
            _ => self.curves(&series),
        }
    }

    fn text(&mut self, x: f64, y: f64, size: u32, colour: &str, anchor: &str, text: &str) {
        let _ = write!(
            self.svg,
            "<text x=\"{x:.0}\" y=\"{y:.0}\" font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str, opacity: f64) {
        let _ = write!(
            self.svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" opacity=\"{opacity:.2}\"/>"
        );
    }

    /// Text and colour that the panel gives a value by name.
    fn mapped(&self, value: f64) -> Option<(String, &'static str)> {
        let mappings = self.panel["fieldConfig"]["defaults"]["mappings"].as_array()?;
        let found = mappings.iter().find_map(|mapping| {
            let option = &mapping["options"][format!("{value}")];
            option.is_object().then(|| option.clone())
        })?;
        let text = found["text"].as_str().unwrap_or_default().to_owned();
        Some((text, colour(found["color"].as_str().unwrap_or("green"))))
    }

    fn colour_of(&self, value: f64) -> &'static str {
        if let Some((_, colour)) = self.mapped(value) {
            return colour;
        }
        let steps = self.panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().cloned();
        let steps = steps.unwrap_or_default();
        let reached = steps.iter().rfind(|step| step["value"].as_f64().is_none_or(|least| value >= least));
        colour(reached.and_then(|step| step["color"].as_str()).unwrap_or("green"))
    }

    fn shown(&self, value: f64) -> String {
        self.mapped(value).map_or_else(|| shown(value, self.unit), |(text, _)| text)
    }

    fn fill_of_stat(&self, series: &[Series]) -> Option<String> {
        let is_filled = self.panel["options"]["colorMode"] == "background";
        let value = series.first()?.last();
        is_filled.then(|| self.colour_of(value).to_owned())
    }

    fn stat(&mut self, series: &[Series], ink: &str) {
        let value = series.first().map_or(f64::NAN, Series::last);
        let colour = if self.panel["options"]["colorMode"] == "value" { self.colour_of(value) } else { ink };
        let text = escaped(&self.shown(value));
        let size = (self.width / (text.chars().count() as f64 * 0.62)).min(self.height * 0.45);
        self.text(self.width / 2.0, self.height * 0.5 + size * 0.55, size as u32, colour, "middle", &text);
        if self.panel["options"]["graphMode"] == "area"
            && series.first().is_some_and(|of| of.points.len() > 1)
        {
            let (low, high) = bounds(series.iter().take(1));
            let y = |value: f64| self.height - 2.0 - (value - low) / (high - low) * self.height * 0.3;
            let (width, end) = (self.width, series[0].points.last().unwrap().0);
            let line: Vec<String> = series[0]
                .points
                .iter()
                .map(|(time, value)| {
                    format!("{:.0},{:.1}", width - (end - time) / SECONDS * width, y(*value))
                })
                .collect();
            let line = line.join(" ");
            let _ = write!(
                self.svg,
                "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" opacity=\"0.7\"/>"
            );
        }
    }

    /// A bar for each series, as it is now.
    fn bars_of_now(&mut self, series: &[Series]) {
        let most = self.panel["fieldConfig"]["defaults"]["max"].as_f64();
        let most = most.unwrap_or_else(|| series.iter().map(Series::last).fold(1e-9, f64::max));
        let each = ((self.height - 32.0) / series.len().max(1) as f64).min(26.0);
        for (place, of) in series.iter().enumerate() {
            let (y, value) = (28.0 + place as f64 * each, of.last());
            let (left, room) = (self.width * 0.4, self.width * 0.6 - 70.0);
            let (colour, text) = (self.colour_of(value), escaped(&self.shown(value)));
            let legend = cut(&of.legend, left - 12.0);
            self.text(left - 6.0, y + each * 0.6, 11, self.theme.text, "end", &legend);
            self.rect((left, y + 2.0), ((value / most).clamp(0.0, 1.0) * room, each - 5.0), colour, 0.8);
            self.text(self.width - 8.0, y + each * 0.65, 12, colour, "end", &text);
        }
    }

    /// A row of coloured pieces for each series.
    fn states(&mut self, series: &[Series]) {
        let (left, right) = (self.width * 0.25, self.width - 10.0);
        let each = ((self.height - 50.0) / series.len().max(1) as f64).min(44.0);
        let end = series.iter().flat_map(|of| &of.points).map(|point| point.0).fold(0.0, f64::max);
        let piece = (right - left) / (SECONDS / STEP);
        let mut names: Vec<(String, &str)> = Vec::new();
        for (place, of) in series.iter().enumerate() {
            let y = 28.0 + place as f64 * each;
            let legend = cut(&of.legend, left - 12.0);
            self.text(left - 6.0, y + each * 0.6, 11, self.theme.text, "end", &legend);
            for (time, value) in &of.points {
                let (x, colour) = (right - (end - time + STEP) / STEP * piece, self.colour_of(*value));
                self.rect((x.max(left), y + 2.0), (piece + 0.5, each - 6.0), colour, 0.9);
                let name = (self.shown(*value), colour);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.sort();
        self.legend(names.iter().map(|(name, colour)| (name.as_str(), *colour)));
    }

    /// All labels of each series, as a line of a table.
    fn table(&mut self, series: &[Series]) {
        if series.is_empty() {
            let none = self.panel["fieldConfig"]["defaults"]["noValue"].as_str().unwrap_or("No data");
            self.text(12.0, 44.0, 12, self.theme.dim, "start", &escaped(none));
        }
        for (place, of) in series.iter().enumerate() {
            let y = 44.0 + place as f64 * 22.0;
            if y > self.height - 8.0 {
                break;
            }
            let hidden = ["__name__", "alertstate", "job"];
            let shown: Vec<&str> = of
                .labels
                .iter()
                .filter(|(name, _)| !hidden.contains(&name.as_str()))
                .map(|(_, value)| value.as_str())
                .collect();
            let line = cut(&shown.join("   "), self.width - 24.0);
            self.text(12.0, y, 12, self.theme.text, "start", &line);
            self.rect((8.0, y + 7.0), (self.width - 16.0, 1.0), self.theme.grid, 1.0);
        }
    }

    /// What each bucket got, by time.
    fn heatmap(&mut self, series: &[Series]) {
        let bound = |of: &Series| of.legend.replace("+Inf", "inf").parse::<f64>().unwrap_or(f64::INFINITY);
        let mut buckets: Vec<&Series> = series.iter().collect();
        buckets.sort_by(|one, other| bound(one).total_cmp(&bound(other)));
        let times: Vec<f64> =
            buckets.first().map_or(Vec::new(), |of| of.points.iter().map(|point| point.0).collect());
        let at = |of: &Series, time: f64| {
            of.points.iter().find(|point| (point.0 - time).abs() < 0.01).map_or(0.0, |point| point.1)
        };
        let cells: Vec<Vec<f64>> = (0..buckets.len())
            .map(|row| {
                let below = |time| row.checked_sub(1).map_or(0.0, |below| at(buckets[below], time));
                times.iter().map(|&time| (at(buckets[row], time) - below(time)).max(0.0)).collect()
            })
            .collect();
        let used: Vec<usize> =
            (0..cells.len()).filter(|&row| cells[row].iter().any(|&count| count > 0.0)).collect();
        let (Some(&low), Some(&high)) = (used.first(), used.last()) else { return };
        let most = cells.iter().flatten().copied().fold(1e-9, f64::max);
        let (left, right, top, bottom) = (64.0, self.width - 10.0, 28.0, self.height - 20.0);
        let (wide, tall) = ((right - left) / times.len() as f64, (bottom - top) / (high - low + 1) as f64);
        for (row, counts) in (0..).zip(&cells[low..=high]) {
            let y = bottom - f64::from(row + 1) * tall;
            for (column, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
                let x = left + column as f64 * wide;
                self.rect((x, y), (wide - 0.5, tall - 0.5), "#5794f2", 0.15 + 0.85 * count / most);
            }
        }
        for row in [low, usize::midpoint(low, high), high] {
            let y = bottom - (row - low + 1) as f64 * tall + 4.0;
            let text = if bound(buckets[row]).is_finite() {
                shown(bound(buckets[row]), self.unit)
            } else {
                "more".to_owned()
            };
            self.text(left - 6.0, y, 11, self.theme.dim, "end", &escaped(&text));
        }
    }

    /// Lines, areas or bars over time.
    fn curves(&mut self, series: &[Series]) {
        let custom = &self.panel["fieldConfig"]["defaults"]["custom"];
        let (is_bars, is_stacked) = (custom["drawStyle"] == "bars", custom["stacking"]["mode"] == "normal");
        let filled = custom["fillOpacity"].as_f64().unwrap_or_default() / 100.0;
        let (left, right, top, bottom) = (64.0, self.width - 10.0, 30.0, self.height - 40.0);
        let end = series.iter().flat_map(|of| &of.points).map(|point| point.0).fold(0.0, f64::max);
        // What lies below each point, where series are stacked.
        let mut below: BTreeMap<u64, f64> = BTreeMap::new();
        let mut stacked: Vec<Vec<(f64, f64, f64)>> = Vec::new();
        for of in series {
            let points = of.points.iter().map(|&(time, value)| {
                let base =
                    if is_stacked { below.entry((time * 100.0) as u64).or_default() } else { &mut 0.0 };
                let start = *base;
                *base += value;
                (time, start, start + value)
            });
            stacked.push(points.collect());
        }
        let highest = stacked.iter().flatten().map(|point| point.2).fold(0.0, f64::max);
        let lowest = stacked.iter().flatten().map(|point| point.2).fold(0.0, f64::min);
        let span = if highest > lowest { highest - lowest } else { 1.0 };
        let (x, y) = (
            |time: f64| right - (end - time) / SECONDS * (right - left),
            |value: f64| bottom - (value - lowest) / span * (bottom - top),
        );
        for share in [0.0, 0.5, 1.0] {
            let value = lowest + share * span;
            self.rect((left, y(value)), (right - left, 1.0), self.theme.grid, 1.0);
            self.text(
                left - 6.0,
                y(value) + 4.0,
                11,
                self.theme.dim,
                "end",
                &escaped(&shown(value, self.unit)),
            );
        }
        for (points, colour) in stacked.iter().zip(PALETTE.iter().cycle()) {
            if is_bars {
                // One bar for each interval that the query looks back.
                for (time, start, value) in points.iter().step_by(2) {
                    let wide = (right - left) / SECONDS * 3.4;
                    if x(*time) - wide < left {
                        continue;
                    }
                    self.rect((x(*time) - wide, y(*value)), (wide, y(*start) - y(*value)), colour, 0.85);
                }
                continue;
            }
            let line: Vec<String> =
                points.iter().map(|(time, _, value)| format!("{:.0},{:.1}", x(*time), y(*value))).collect();
            let back: Vec<String> = points
                .iter()
                .rev()
                .map(|(time, start, _)| format!("{:.0},{:.1}", x(*time), y(*start)))
                .collect();
            let _ = write!(
                self.svg,
                "<polygon points=\"{} {}\" fill=\"{colour}\" opacity=\"{filled:.2}\"/><polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                line.join(" "),
                back.join(" "),
                line.join(" ")
            );
        }
        self.legend(series.iter().map(|of| of.legend.as_str()).zip(PALETTE.into_iter().cycle()));
    }

    /// Names with their colours, on at most two lines; how many there are besides is said.
    fn legend<'b>(&mut self, names: impl Iterator<Item = (&'b str, &'static str)>) {
        let names: Vec<_> = names.filter(|(name, _)| !name.trim().is_empty()).collect();
        let (mut x, mut y) = (12.0, self.height - 22.0);
        for (place, (name, colour)) in names.iter().enumerate() {
            let name = cut(name, 180.0);
            let wide = name.chars().count() as f64 * LETTER + 24.0;
            if x + wide > self.width - 50.0 && x > 12.0 {
                (x, y) = (12.0, y + 14.0);
            }
            if y > self.height - 6.0 {
                let more = format!("+ {}", names.len() - place);
                self.text(self.width - 10.0, self.height - 8.0, 11, self.theme.dim, "end", &more);
                break;
            }
            self.rect((x, y - 5.0), (10.0, 3.0), colour, 1.0);
            self.text(x + 14.0, y, 11, self.theme.text, "start", &name);
            x += wide;
        }
    }
}

fn bounds<'a>(series: impl Iterator<Item = &'a Series>) -> (f64, f64) {
    let values: Vec<f64> = series.flat_map(|of| &of.points).map(|point| point.1).collect();
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    if high > low { (low, high) } else { (low, low + 1.0) }
}

/// Grafana's colours by their names.
fn colour(name: &str) -> &'static str {
    match name {
        "red" => "#f2495c",
        "orange" => "#ff9830",
        "yellow" => "#fade2a",
        "blue" => "#5794f2",
        "purple" => "#b877d9",
        "text" | "grey" | "gray" => "#8e8e9c",
        _ => "#56a64b",
    }
}

/// As much of a text as there is room for.
fn cut(text: &str, room: f64) -> String {
    let most = (room / LETTER) as usize;
    if text.chars().count() <= most {
        return escaped(text);
    }
    escaped(&text.chars().take(most.saturating_sub(1)).collect::<String>()) + "\u{2026}"
}

/// A value as Grafana would say it, more or less.
fn shown(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "No data".to_owned();
    }
    let scaled = |value: f64, base: f64| {
        let mut value = value;
        let mut power = 0;
        while value.abs() >= base && power < 4 {
            value /= base;
            power += 1;
        }
        let digits = usize::from(value.abs() < 100.0 && (value - value.round()).abs() > 0.04);
        format!("{value:.digits$}{}", ["", " K", " M", " G", " T"][power])
    };
    match unit {
        "percentunit" => format!("{:.1}%", value * 100.0),
        "percent" => format!("{value:.0}%"),
        "ms" if value < 1_000.0 => format!("{value:.0} ms"),
        "ms" => format!("{:.1} s", value / 1_000.0),
        "s" if value.abs() < 1.0 => format!("{:.0} ms", value * 1_000.0),
        "s" | "dtdurations" if value >= 172_800.0 => format!("{:.0} days", value / 86_400.0),
        "s" | "dtdurations" if value >= 7_200.0 => format!("{:.1} h", value / 3_600.0),
        "s" | "dtdurations" if value >= 120.0 => format!("{:.1} min", value / 60.0),
        "s" | "dtdurations" => format!("{value:.1} s"),
        "h" => format!("{value:.1} h"),
        "bytes" | "decbytes" => format!("{}B", scaled(value, 1_024.0)),
        "Bps" | "binBps" => format!("{}B/s", scaled(value, 1_000.0)),
        "ops" | "reqps" => format!("{}/s", scaled(value, 1_000.0)),
        "locale" | "none" => format!("{value:.0}"),
        _ => scaled(value, 1_000.0),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
