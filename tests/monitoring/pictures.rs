//! A picture of a dashboard, drawn from what its queries return, for a person to look at.

use std::fmt::Write;

use serde_json::Value;

use crate::dashboards::{Dashboard, queries};
use crate::servers::Server;

/// Seconds that a picture shows, and between two points.
const SECONDS: f64 = 60.0;
const STEP: f64 = 1.0;
/// Lines of a panel; more would hide each other.
const LINES_MAX: usize = 6;
/// Pixels of one of the 24 columns, and of one unit of height.
const COLUMN: f64 = 50.0;
const ROW: f64 = 26.0;
const COLOURS: [&str; 6] = ["#3b6fb6", "#c4622d", "#3f8f5b", "#8d5bb0", "#b59a22", "#4aa3a8"];

/// A line of a panel.
struct Line {
    legend: String,
    points: Vec<(f64, f64)>,
}

/// The whole dashboard as SVG.
pub fn draw(dashboard: &Dashboard, prometheus: &Server) -> String {
    let all = dashboard.json["panels"].as_array().unwrap();
    let bottom = all.iter().map(|panel| place(panel, "y") + place(panel, "h")).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN, bottom * ROW + 40.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#f4f5f7\"/>\n\
         <text x=\"12\" y=\"26\" font-size=\"18\" fill=\"#222\">{}</text>\n",
        escaped(dashboard.title())
    );
    for panel in all {
        let (x, y) = (place(panel, "x") * COLUMN, place(panel, "y") * ROW + 40.0);
        let (w, h) = (place(panel, "w") * COLUMN, place(panel, "h") * ROW);
        let title = escaped(panel["title"].as_str().unwrap());
        if panel["type"] == "row" {
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" font-size=\"14\" fill=\"#222\">{title}</text>",
                x + 12.0,
                y + 18.0
            );
            continue;
        }
        let _ = writeln!(
            svg,
            "<g transform=\"translate({} {})\"><rect width=\"{}\" height=\"{}\" rx=\"4\" fill=\"#fff\" stroke=\"#d8dce2\"/>\
             <text x=\"10\" y=\"18\" fill=\"#333\">{title}</text>",
            x + 4.0,
            y + 2.0,
            w - 8.0,
            h - 4.0
        );
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        let lines = lines(panel, prometheus);
        if panel["type"] == "stat" {
            let last = lines.first().and_then(|line| line.points.last()).map_or(f64::NAN, |point| point.1);
            let _ = writeln!(
                svg,
                "<text x=\"10\" y=\"58\" font-size=\"28\" fill=\"#222\">{}</text>",
                shown(last, unit)
            );
        } else {
            draw_lines(&mut svg, &lines, unit, w - 8.0, h - 4.0);
        }
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

fn place(panel: &Value, key: &str) -> f64 {
    panel["gridPos"][key].as_f64().unwrap_or_default()
}

fn lines(panel: &Value, prometheus: &Server) -> Vec<Line> {
    let mut lines = Vec::new();
    for query in queries(panel) {
        for (labels, points) in prometheus.range(&query.expression, SECONDS, STEP) {
            let legend = query.name(&labels);
            lines.push(Line {
                legend,
                points: points.into_iter().filter(|point| point.1.is_finite()).collect(),
            });
        }
    }
    lines.retain(|line| !line.points.is_empty());
    let last = |line: &Line| line.points.last().map_or(0.0, |point| point.1);
    lines.sort_by(|a, b| last(b).total_cmp(&last(a)));
    lines.truncate(LINES_MAX);
    lines
}

fn draw_lines(svg: &mut String, lines: &[Line], unit: &str, width: f64, height: f64) {
    let (left, right, top, bottom) = (64.0, width - 10.0, 30.0, height - 24.0);
    let points = || lines.iter().flat_map(|line| &line.points);
    let highest = points().map(|point| point.1).fold(0.0, f64::max);
    let highest = if highest > 0.0 { highest } else { 1.0 };
    let end = points().map(|point| point.0).fold(0.0, f64::max);
    for share in [0.0, 0.5, 1.0] {
        let y = bottom - share * (bottom - top);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {y:.0}H{right}\" stroke=\"#e6e9ee\"/><text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"#666\">{}</text>",
            left - 6.0,
            y + 4.0,
            shown(share * highest, unit)
        );
    }
    let mut legend_at = left;
    for (line, colour) in lines.iter().zip(COLOURS) {
        let path: Vec<String> = line
            .points
            .iter()
            .map(|(time, value)| {
                let x = right - (end - time) / SECONDS * (right - left);
                format!("{x:.0},{:.1}", bottom - value / highest * (bottom - top))
            })
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            path.join(" ")
        );
        let legend: String = line.legend.chars().take(26).collect();
        if legend_at + 7.0 * legend.len() as f64 <= right {
            let _ = writeln!(
                svg,
                "<text x=\"{legend_at:.0}\" y=\"{:.0}\" font-size=\"11\" fill=\"{colour}\">{}</text>",
                height - 8.0,
                escaped(&legend)
            );
        }
        legend_at += 7.0 * legend.len() as f64 + 12.0;
    }
}

/// A value as Grafana would say it, more or less.
fn shown(value: f64, unit: &str) -> String {
    let scaled = |value: f64, base: f64| {
        let mut value = value;
        let mut power = 0;
        while value.abs() >= base && power < 4 {
            value /= base;
            power += 1;
        }
        let digits = usize::from(value.abs() < 100.0 && value.fract() != 0.0);
        format!("{value:.digits$}{}", ["", "k", "M", "G", "T"][power])
    };
    match unit {
        "percentunit" => format!("{:.1} %", value * 100.0),
        "s" if value.abs() < 1.0 => format!("{:.0} ms", value * 1_000.0),
        "s" if value >= 7_200.0 => format!("{:.1} h", value / 3_600.0),
        "s" | "h" => format!("{} {unit}", scaled(value, 1e9)),
        "bytes" => format!("{}B", scaled(value, 1_024.0)),
        "Bps" => format!("{}B/s", scaled(value, 1_000.0)),
        "ops" | "reqps" => format!("{}/s", scaled(value, 1_000.0)),
        _ => scaled(value, 1_000.0),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
