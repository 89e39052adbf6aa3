//! The panels of a dashboard: the colours of thresholds, bars, heatmaps, states and tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;

use serde_json::Value;

use super::HOUR;
use super::values::{LETTER, cut, escaped, shown};

/// Pixels of one of the 24 columns, and of one unit of height.
pub(super) const COLUMN: f64 = 50.0;
pub(super) const ROW: f64 = 26.0;
/// Room between the edge of a panel and its curves.
const RIGHT: f64 = 10.0;
const TOP: f64 = 30.0;
const LEGEND_LINES_MAX: usize = 5;

/// Colours of a page.
pub(super) struct Theme {
    pub(super) page: &'static str,
    pub(super) panel: &'static str,
    pub(super) border: &'static str,
    pub(super) text: &'static str,
    pub(super) dim: &'static str,
    pub(super) grid: &'static str,
}

pub(super) const LIGHT: Theme = Theme {
    page: "#f4f5f5",
    panel: "#ffffff",
    border: "#dadce0",
    text: "#24292e",
    dim: "#6e7681",
    grid: "#e8e9ec",
};
pub(super) const DARK: Theme = Theme {
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
pub(super) struct Series {
    pub(super) legend: String,
    pub(super) labels: BTreeMap<String, String>,
    /// Unix seconds, and values.
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    fn last(&self) -> f64 {
        self.points.last().map_or(f64::NAN, |point| point.1)
    }
}

/// Where a box is, and how large.
type Area = ((f64, f64), (f64, f64));

/// An annotation: when it begins and ends, which is the same for what has no length.
pub(super) struct Mark {
    pub(super) times: Vec<(f64, f64)>,
    pub(super) colour: String,
}

/// Draws into the box of one panel.
pub(super) struct Canvas<'a> {
    svg: String,
    theme: &'a Theme,
    panel: &'a Value,
    marks: &'a [Mark],
    /// Unix seconds.
    time: Range<f64>,
    /// Seconds between two points.
    step: f64,
    unit: &'a str,
    /// Room for what stands at the left of a picture.
    left: f64,
    width: f64,
    height: f64,
}

pub(super) fn place(panel: &Value, key: &str) -> f64 {
    panel["gridPos"][key].as_f64().unwrap_or_default()
}

impl<'a> Canvas<'a> {
    pub(super) fn new(
        theme: &'a Theme,
        panel: &'a Value,
        marks: &'a [Mark],
        time: Range<f64>,
        step: f64,
    ) -> Self {
        let width = place(panel, "w") * COLUMN - 8.0;
        Canvas {
            svg: String::new(),
            theme,
            panel,
            marks,
            time,
            step,
            unit: panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default(),
            left: if panel["type"] == "state-timeline" { width * 0.35 } else { 64.0 },
            width,
            height: place(panel, "h") * ROW - 6.0,
        }
    }

    /// What the panel looks like with these series.
    pub(super) fn draw(mut self, series: &[Series]) -> String {
        let title = escaped(self.panel["title"].as_str().unwrap());
        let kind = self.panel["type"].as_str().unwrap();
        if kind == "row" {
            self.text(8.0, 18.0, 14, self.theme.text, "start", &title);
            return self.svg;
        }
        let fill = if kind == "stat" { self.fill_of_stat(series) } else { None };
        let (panel, border) = (fill.unwrap_or(self.theme.panel), self.theme.border);
        let _ = write!(
            self.svg,
            "<rect width=\"{}\" height=\"{}\" rx=\"2\" fill=\"{panel}\" stroke=\"{border}\"/>",
            self.width, self.height
        );
        let ink = if fill.is_some() { "#ffffff" } else { self.theme.text };
        self.text(8.0, 18.0, 12, ink, "start", &title);
        match kind {
            "stat" => self.stat(series, ink),
            "bargauge" => self.bars_of_now(series),
            "heatmap" => self.heatmap(series),
            "state-timeline" => self.states(series),
            "table" => self.table(series),
            _ => self.curves(series),
        }
        self.svg
    }

    fn text(&mut self, x: f64, y: f64, size: u32, colour: &str, anchor: &str, text: &str) {
        let _ = write!(
            self.svg,
            "<text x=\"{x:.0}\" y=\"{y:.0}\" font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn rect(&mut self, place: (f64, f64), size: (f64, f64), colour: &str, opacity: f64) {
        self.rects(&[(place, size)], colour, opacity);
    }

    /// Boxes that look the same.
    fn rects(&mut self, boxes: &[Area], colour: &str, opacity: f64) {
        let mut path = String::new();
        for ((x, y), (width, height)) in boxes.iter().filter(|(_, (_, height))| *height > 0.0) {
            let _ = write!(path, "M{x:.1} {y:.1}h{width:.1}v{height:.1}H{x:.1}z");
        }
        if path.is_empty() {
            return;
        }
        let _ = write!(self.svg, "<path d=\"{path}\" fill=\"{colour}\" opacity=\"{opacity:.2}\"/>");
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
        let decimals = self.panel["fieldConfig"]["defaults"]["decimals"].as_f64().map(|count| count as usize);
        self.mapped(value).map_or_else(|| shown(value, self.unit, decimals), |(text, _)| text)
    }

    fn fill_of_stat(&self, series: &[Series]) -> Option<&'static str> {
        let is_filled = self.panel["options"]["colorMode"] == "background";
        is_filled.then(|| series.first().map(|of| self.colour_of(of.last())))?
    }

    fn stat(&mut self, series: &[Series], ink: &str) {
        let text = escaped(&self.shown(series.first().map_or(f64::NAN, Series::last)));
        let size = (self.width / (text.chars().count() as f64 * 0.62)).min(self.height * 0.42);
        self.text(self.width / 2.0, self.height * 0.5 + size * 0.5, size as u32, ink, "middle", &text);
        if self.panel["options"]["textMode"] == "value_and_name" {
            let name = series.first().map_or("", |of| of.legend.as_str());
            self.text(self.width / 2.0, self.height - 10.0, 11, ink, "middle", &cut(name, self.width));
        }
        let Some(of) = series.first().filter(|_| self.panel["options"]["graphMode"] == "area") else {
            return;
        };
        let high = of.points.iter().map(|point| point.1).fold(1e-9, f64::max);
        let length = self.time.end - self.time.start;
        let (width, height, start) = (self.width, self.height, self.time.start);
        let at = |(time, value): &(f64, f64)| {
            format!(
                "{:.1},{:.1}",
                (time - start) / length * width,
                height - 1.0 - value / high * height * 0.3
            )
        };
        let line: Vec<String> = of.points.iter().map(at).collect();
        let _ = write!(
            self.svg,
            "<polygon points=\"0,{height} {0} {width},{height}\" fill=\"{1}\" opacity=\"0.2\"/><polyline points=\"{0}\" fill=\"none\" stroke=\"{1}\" stroke-width=\"1.2\"/>",
            line.join(" "),
            PALETTE[0]
        );
    }

    /// Where a time is, between two edges.
    fn x(&self, time: f64) -> f64 {
        let share = (time - self.time.start) / (self.time.end - self.time.start);
        self.left + share * (self.width - RIGHT - self.left)
    }

    /// Hours below a picture, and marks in it.
    fn time_axis(&mut self, top: f64, bottom: f64) {
        let room = (self.width - RIGHT - self.left) / 55.0;
        let length = self.time.end - self.time.start;
        let each = [1.0, 2.0, 3.0, 6.0].map(|hours| hours * HOUR);
        let each = each.into_iter().find(|each| length / each <= room).unwrap_or(length);
        let mut at = (self.time.start / each).ceil() * each;
        while at <= self.time.end {
            let of_day = at.rem_euclid(24.0 * HOUR);
            let text = format!("{:02.0}:{:02.0}", (of_day / HOUR).floor(), of_day % HOUR / 60.0);
            self.text(self.x(at), bottom + 13.0, 10, self.theme.dim, "middle", &text);
            at += each;
        }
        for mark in self.marks {
            for &(begin, end) in &mark.times {
                let (from, to, colour) = (self.x(begin), self.x(end), colour(&mark.colour));
                self.rect((from, top), ((to - from).max(1.0), bottom - top), colour, 0.12);
                let _ = write!(
                    self.svg,
                    "<line x1=\"{from:.1}\" x2=\"{from:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"{colour}\" stroke-dasharray=\"4 3\"/>"
                );
            }
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
        let mut names: BTreeSet<(String, &'static str)> = BTreeSet::new();
        for (_, value) in series.iter().flat_map(|of| &of.points) {
            names.insert((self.shown(*value), self.colour_of(*value)));
        }
        let bottom = self.legend(names.iter().map(|(name, colour)| (name.as_str(), *colour)));
        let each = ((bottom - TOP) / series.len().max(1) as f64).min(44.0);
        for (row, of) in series.iter().enumerate() {
            let y = TOP + row as f64 * each;
            self.text(
                self.left - 6.0,
                y + each * 0.6,
                11,
                self.theme.text,
                "end",
                &cut(&of.legend, self.left - 8.0),
            );
            let gap = self.step * 1.5;
            let is_same =
                |one: &(f64, f64), next: &(f64, f64)| (one.1 - next.1).abs() < 1e-9 && next.0 - one.0 < gap;
            for same in of.points.chunk_by(is_same) {
                let ((begin, value), (last, _)) = (same[0], same[same.len() - 1]);
                let (x, end) = (self.x(begin), self.x((last + self.step).min(self.time.end)));
                self.rect((x, y + 2.0), (end - x, each - 6.0), self.colour_of(value), 0.9);
            }
        }
        self.time_axis(TOP, bottom);
    }

    /// A line for each series, and a column for each label.
    fn table(&mut self, series: &[Series]) {
        if series.is_empty() {
            let none = self.panel["fieldConfig"]["defaults"]["noValue"].as_str().unwrap_or("No data");
            self.text(12.0, 44.0, 12, self.theme.dim, "start", &escaped(none));
        }
        let hidden = ["__name__", "alertstate"];
        let names: BTreeSet<&str> =
            series.iter().flat_map(|of| of.labels.keys().map(String::as_str)).collect();
        let mut names: Vec<&str> = names.into_iter().filter(|name| !hidden.contains(name)).collect();
        let order = &self.panel["transformations"][0]["options"]["indexByName"];
        names.sort_by_key(|name| order[*name].as_u64().unwrap_or(u64::MAX));
        let longest = |name: &str| {
            let values = series.iter().filter_map(|of| of.labels.get(name));
            values.map(String::len).chain([name.len()]).max().unwrap_or_default() as f64 + 2.0
        };
        let all: f64 = names.iter().copied().map(longest).sum();
        let mut x = 12.0;
        for name in names {
            let wide = (self.width - 24.0) * longest(name) / all;
            self.text(x, 42.0, 11, "#5794f2", "start", &cut(name, wide - 4.0));
            for (row, of) in series.iter().enumerate() {
                let y = 64.0 + row as f64 * 22.0;
                if y < self.height - 6.0 {
                    let value = of.labels.get(name).map_or("", String::as_str);
                    self.text(x, y, 12, self.theme.text, "start", &cut(value, wide - 4.0));
                    self.rect((x, y + 7.0), (wide, 1.0), self.theme.grid, 1.0);
                }
            }
            x += wide;
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
        let (top, bottom) = (TOP, self.height - 22.0);
        let (wide, tall) = (self.x(self.step) - self.x(0.0), (bottom - top) / (high - low + 1) as f64);
        // The boxes of each shade, of eight.
        let mut shades: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for (row, counts) in (0..).zip(&cells[low..=high]) {
            let y = bottom - f64::from(row + 1) * tall;
            for (count, time) in counts.iter().zip(&times).filter(|(count, _)| **count > 0.0) {
                let place = ((self.x(*time) - wide).max(self.left), y);
                let shade = (8.0 * count / most).ceil() as u32;
                shades.entry(shade).or_default().push((place, (wide - 0.5, tall - 0.5)));
            }
        }
        for (shade, boxes) in shades {
            self.rects(&boxes, "#5794f2", 0.1 + 0.9 * f64::from(shade) / 8.0);
        }
        for row in [low, usize::midpoint(low, high), high] {
            let y = bottom - (row - low + 1) as f64 * tall + 4.0;
            let text = if bound(buckets[row]).is_finite() {
                shown(
                    bound(buckets[row]),
                    self.panel["options"]["yAxis"]["unit"].as_str().unwrap_or(self.unit),
                    None,
                )
            } else {
                "more".to_owned()
            };
            self.text(self.left - 6.0, y, 11, self.theme.dim, "end", &escaped(&text));
        }
        self.time_axis(top, bottom);
    }

    /// Lines, areas or bars over time.
    fn curves(&mut self, series: &[Series]) {
        let custom = &self.panel["fieldConfig"]["defaults"]["custom"];
        let (is_bars, is_stacked) = (custom["drawStyle"] == "bars", custom["stacking"]["mode"] == "normal");
        let filled = custom["fillOpacity"].as_f64().unwrap_or_default() / 100.0;
        let shades = &self.panel["fieldConfig"]["defaults"]["color"];
        let shades = (shades["mode"] == "shades").then(|| colour(shades["fixedColor"].as_str().unwrap()));
        let colours = || PALETTE.into_iter().map(|of| shades.unwrap_or(of)).cycle();
        let bottom = self.legend(series.iter().map(|of| of.legend.as_str()).zip(colours()));
        let right = self.width - RIGHT;
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
        let y = |value: f64| bottom - (value - lowest) / span * (bottom - TOP);
        for share in [0.0, 0.5, 1.0] {
            let value = lowest + share * span;
            self.rect((self.left, y(value)), (right - self.left, 1.0), self.theme.grid, 1.0);
            let text = escaped(&shown(value, self.unit, None));
            self.text(self.left - 6.0, y(value) + 4.0, 11, self.theme.dim, "end", &text);
        }
        self.limits(|limit| (lowest..=highest).contains(&limit).then(|| y(limit)));
        for (points, colour) in stacked.iter().zip(colours()) {
            if is_bars {
                // One bar for each interval that the query looks back.
                let boxes: Vec<_> = points
                    .iter()
                    .map(|(time, start, value)| {
                        let (from, to) = (self.x(time - self.step).max(self.left), self.x(*time));
                        ((from, y(*value)), (to - from - 0.5, y(*start) - y(*value)))
                    })
                    .collect();
                self.rects(&boxes, colour, 0.85);
                continue;
            }
            let gap = self.step * 1.5;
            for part in points.chunk_by(|(before, ..), (after, ..)| after - before < gap) {
                let at = |time: f64, value: f64| format!("{:.1},{:.1}", self.x(time), y(value));
                let line: Vec<String> = part.iter().map(|(time, _, value)| at(*time, *value)).collect();
                let back: Vec<String> = part.iter().rev().map(|(time, start, _)| at(*time, *start)).collect();
                let (line, back) = (line.join(" "), back.join(" "));
                let _ = write!(
                    self.svg,
                    "<polygon points=\"{line} {back}\" fill=\"{colour}\" opacity=\"{filled:.2}\"/><polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
                );
            }
        }
        self.time_axis(TOP, bottom);
    }

    /// The thresholds as dashed lines, where the panel shows them.
    fn limits(&mut self, y: impl Fn(f64) -> Option<f64>) {
        let defaults = &self.panel["fieldConfig"]["defaults"];
        if defaults["custom"]["thresholdsStyle"]["mode"] != "dashed" {
            return;
        }
        for step in defaults["thresholds"]["steps"].as_array().into_iter().flatten() {
            let Some(y) = step["value"].as_f64().and_then(&y) else { continue };
            let (left, right, colour) =
                (self.left, self.width - RIGHT, colour(step["color"].as_str().unwrap_or("red")));
            let _ = write!(
                self.svg,
                "<line x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" stroke-dasharray=\"6 4\"/>"
            );
        }
    }

    /// Names with their colours at the bottom of the panel. Returns where a picture above them and its hours has to end.
    fn legend<'b>(&mut self, names: impl Iterator<Item = (&'b str, &'static str)>) -> f64 {
        let mut lines: Vec<Vec<(f64, String, &str)>> = Vec::new();
        let mut x = f64::INFINITY;
        for (name, colour) in names.filter(|(name, _)| !name.trim().is_empty()) {
            let name = cut(name, self.width - 40.0);
            let wide = name.chars().count() as f64 * LETTER + 26.0;
            if x + wide > self.width - 8.0 {
                x = 12.0;
                lines.push(Vec::new());
            }
            lines.last_mut().unwrap().push((x, name, colour));
            x += wide;
        }
        // A longer one scrolls.
        let hidden = lines.split_off(lines.len().min(LEGEND_LINES_MAX)).into_iter().flatten().count();
        if hidden > 0 {
            self.text(
                self.width - RIGHT,
                self.height - 8.0,
                11,
                self.theme.dim,
                "end",
                &format!("+ {hidden}"),
            );
        }
        let top = self.height - 8.0 - 14.0 * lines.len() as f64;
        for (line, names) in lines.iter().enumerate() {
            let y = top + 14.0 * (line + 1) as f64;
            for (x, name, colour) in names {
                self.rect((*x, y - 5.0), (10.0, 3.0), colour, 1.0);
                self.text(*x + 14.0, y, 11, self.theme.text, "start", name);
            }
        }
        top - 16.0
    }
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
