//! Pictures of the dashboards: twelve hours of the day (`day`) in a Prometheus, each query asked as Grafana asks it, and the
//! answers drawn as Grafana draws them (`panels`), light and dark. What it leaves alone is everything that moves.

mod panels;
mod values;

use std::fmt::Write;
use std::fs;

use crate::dashboards::{Dashboard, Window, filled, queries};
use crate::day::{self, HOUR};
use crate::history::MIDNIGHT;
use crate::past_alerts;
use crate::servers::{Curve, Server};
use crate::support::{has_program, switches};
use crate::{files, project};
use panels::{COLUMN, Canvas, Mark, ROW, Series, Theme};

/// Seconds between two points, where a panel asks for no more, and between two points of a mark.
const STEP: f64 = 300.0;
const STEP_OF_MARKS: f64 = 60.0;

/// What is looked at: a Prometheus, and a time in Unix seconds.
struct View<'a> {
    prometheus: &'a Server,
    start: f64,
    end: f64,
}

#[test]
fn pictures_are_no_older_than_their_dashboards() {
    if switches::updates_pictures() {
        return;
    }
    for dashboard in Dashboard::all() {
        for suffix in ["", "-dark"] {
            let path = project(&format!("packaging/pictures/{}{suffix}.svg", dashboard.uid()));
            let picture = fs::read_to_string(&path).unwrap();
            let is_same = picture.starts_with(&format!("<!-- {} -->", source(&dashboard)));
            assert!(is_same, "{}: UPDATE_PICTURES=1 draws it anew", path.display());
        }
    }
}

/// Draws an hour, or with `UPDATE_PICTURES` the time from 8 to 20, and keeps that.
#[test]
fn each_dashboard_can_be_drawn() {
    if !has_program("prometheus") || !has_program("promtool") {
        return;
    }
    let hours = if switches::updates_pictures() { 8.0..20.0 } else { 11.0..12.0 };
    let mut past = Vec::new();
    // Some alerts look back for an hour.
    day::write(MIDNIGHT, hours.start - 1.5..hours.end, &mut past).unwrap();
    let (start, end) = (MIDNIGHT + hours.start * HOUR, MIDNIGHT + hours.end * HOUR);
    past_alerts::add(&mut past, &files("packaging/prometheus/rules", ".yml"), start..end);
    let prometheus = Server::prometheus_with_past(&past);
    let view = View { prometheus: &prometheus, start, end };
    for dashboard in Dashboard::all() {
        for (suffix, theme) in [("", panels::LIGHT), ("-dark", panels::DARK)] {
            let picture = draw(&dashboard, &view, &theme);
            for panel in &dashboard.panels {
                let title = values::escaped(panel["title"].as_str().unwrap());
                assert!(picture.contains(&format!(">{title}</text>")), "{}: {title}", dashboard.title());
            }
            assert!(!picture.contains("NaN"), "{}", dashboard.title());
            if switches::updates_pictures() {
                let path = project(&format!("packaging/pictures/{}{suffix}.svg", dashboard.uid()));
                fs::write(path, picture).unwrap();
            }
        }
    }
}

/// Tells which version of a dashboard a picture shows.
fn source(dashboard: &Dashboard) -> String {
    format!("{} {:08x}", dashboard.uid(), crc32fast::hash(dashboard.json.to_string().as_bytes()))
}

/// The whole dashboard as SVG.
fn draw(dashboard: &Dashboard, view: &View<'_>, theme: &Theme) -> String {
    let all = dashboard.json["panels"].as_array().unwrap();
    let bottom =
        all.iter().map(|panel| panels::place(panel, "y") + panels::place(panel, "h")).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN, bottom * ROW + 46.0);
    let mut svg = format!(
        "<!-- {} -->\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"Inter, Helvetica, Arial, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n<text x=\"12\" y=\"28\" font-size=\"18\" fill=\"{}\">{}</text>\n",
        source(dashboard),
        theme.page,
        theme.text,
        values::escaped(dashboard.title())
    );
    let marks = view.marks(dashboard);
    for panel in all {
        let (x, y) = (panels::place(panel, "x") * COLUMN, panels::place(panel, "y") * ROW + 42.0);
        let step = step(panel);
        let series = if panel["type"] == "row" { Vec::new() } else { view.series(panel, step) };
        let canvas = Canvas::new(theme, panel, &marks, view.start..view.end, step);
        let _ =
            writeln!(svg, "<g transform=\"translate({} {})\">{}</g>", x + 4.0, y + 2.0, canvas.draw(&series));
    }
    svg + "</svg>\n"
}

/// Seconds between two points of a panel: not less than it asks for, such as `15m`.
fn step(panel: &serde_json::Value) -> f64 {
    let minutes = panel["interval"].as_str().and_then(|interval| interval.strip_suffix('m'));
    minutes.map_or(STEP, |minutes| minutes.parse::<f64>().unwrap() * 60.0)
}

impl View<'_> {
    /// What the queries of a panel return: where it shows the present, one point.
    fn series(&self, panel: &serde_json::Value, step: f64) -> Vec<Series> {
        let window = Window {
            rate_interval: format!("{}s", step + 15.0),
            interval: format!("{step}s"),
            range: format!("{}s", self.end - self.start),
        };
        let mut found = Vec::new();
        for query in queries(panel, &window) {
            let curves = if panel["targets"][0]["instant"] == true {
                let now = self.prometheus.query_at(&query.expression, self.end);
                now.into_iter().map(|(labels, value)| (labels, vec![(self.end, value)])).collect()
            } else {
                self.prometheus.range(&query.expression, self.start, self.end, step)
            };
            let first = found.len();
            for (labels, points) in curves {
                let legend = query.name(&labels);
                let points: Vec<_> = points.into_iter().filter(|point| point.1.is_finite()).collect();
                if !points.is_empty() {
                    found.push(Series { legend, labels, points });
                }
            }
            if panel["type"] != "bargauge" {
                found[first..].sort_by(|one, other| one.legend.cmp(&other.legend));
            }
        }
        found
    }

    /// When the annotations begin and end.
    fn marks(&self, dashboard: &Dashboard) -> Vec<Mark> {
        let annotations = dashboard.json["annotations"]["list"].as_array().unwrap();
        let window = Window::default();
        annotations
            .iter()
            .flat_map(|annotation| {
                let expression = filled(annotation["expr"].as_str().unwrap(), &window);
                let curves = self.prometheus.range(&expression, self.start, self.end, STEP_OF_MARKS);
                let colour = annotation["iconColor"].as_str().unwrap().to_owned();
                curves.into_iter().map(move |curve| Mark { times: times(&curve), colour: colour.clone() })
            })
            .collect()
    }
}

/// The first and the last time of each stretch without a gap.
fn times((_, points): &Curve) -> Vec<(f64, f64)> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    for (time, _) in points {
        match found.last_mut().filter(|(_, last)| time - *last <= STEP_OF_MARKS) {
            Some((_, last)) => *last = *time,
            None => found.push((*time, *time)),
        }
    }
    found
}
