//! The picture of a soak: small plots over the same time, and below them what happened when. It has a light and a dark edition in
//! one file. Its numbers stand beside it as TSV.

use std::fmt::{self, Write};

use crate::support::sum;
use crate::torments::Torment;
use crate::watch::Sight;

const WIDTH: f64 = 900.0;
const COLUMNS: usize = 3;
const MARGIN: f64 = 20.0;
const TOP: f64 = 74.0;
const PANEL_HEIGHT: f64 = 150.0;
const PLOT_TOP: f64 = 30.0;
const PLOT_BOTTOM: f64 = 118.0;
/// Of a panel, for the numbers beside the axis.
const LEFT: f64 = 44.0;
const ROW_HEIGHT: f64 = 20.0;
const ROWS_LEFT: f64 = 110.0;
/// Of the table; without the last one, which counts what happened.
pub const COLUMN_NAMES: &str = "seconds\tevents\topen\tresident_mib\treference_resident_mib\tdescriptors\tstate_mib\tscrape_ms_max\tscrape_ms_median";
const ROWS: [&str; 7] = ["kill -9", "stop", "reload", "disk full", "disk hangs", "clock jumps", "neighbours"];
const STYLE: &str = "<style>.b{fill:#fff}.t{fill:#1f2328}.n{fill:#59636e}.g{stroke:#d8dee4}.l{stroke:#0b62c4}.r{stroke:#8b949e}.m{stroke:#bc4c00}\
@media(prefers-color-scheme:dark){.b{fill:#0d1117}.t{fill:#e6edf3}.n{fill:#9198a1}.g{stroke:#30363d}.l{stroke:#58a6ff}.r{stroke:#7d8590}.m{stroke:#f0883e}}</style>";

/// What was seen between two checks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    pub seconds: f64,
    /// At the check.
    pub events: f64,
    pub open: f64,
    /// The most of each second, and the middle of the scrapes.
    pub most: Sight,
    pub scrape_seconds_median: f64,
    /// Of the exporter that was left alone.
    pub reference_resident_mib: f64,
}

impl Row {
    pub fn of(sights: &[Sight], seconds: f64, page: &str, reference_resident_mib: f64) -> Self {
        let most = |of: fn(&Sight) -> f64| sights.iter().map(of).fold(0.0, f64::max);
        let mut scrapes: Vec<f64> = sights.iter().map(|sight| sight.scrape_seconds).collect();
        scrapes.sort_by(f64::total_cmp);
        Row {
            seconds,
            events: sum(page, "lifecycle_exporter_events_total"),
            open: sum(page, "lifecycle_exporter_entities"),
            most: Sight {
                resident_mib: most(|sight| sight.resident_mib),
                descriptors: most(|sight| sight.descriptors),
                state_mib: most(|sight| sight.state_mib),
                scrape_seconds: most(|sight| sight.scrape_seconds),
            },
            scrape_seconds_median: scrapes.get(scrapes.len() / 2).copied().unwrap_or(0.0),
            reference_resident_mib,
        }
    }
}

/// A line of the table, up to its last column.
impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(
            formatter,
            "{:.1}\t{}\t{}\t{:.1}\t{:.1}\t{}\t{:.1}\t{:.1}\t{:.1}",
            self.seconds,
            self.events,
            self.open,
            self.most.resident_mib,
            self.reference_resident_mib,
            self.most.descriptors,
            self.most.state_mib,
            self.most.scrape_seconds * 1_000.0,
            self.scrape_seconds_median * 1_000.0,
        )
    }
}

/// All that a soak has found.
pub struct Story<'a> {
    pub rows: &'a [Row],
    pub torments: &'a [(f64, Torment)],
    pub seconds: f64,
    pub seed: u64,
    /// Laws.
    pub broken: usize,
}

impl Story<'_> {
    fn count(&self, row: &str) -> usize {
        self.torments.iter().filter(|(_, torment)| torment.row() == row).count()
    }

    pub fn tsv(&self) -> String {
        let mut text = format!("{COLUMN_NAMES}\ttorments\n");
        let mut since = 0.0;
        for row in self.rows {
            let is_here = |(at, _): &&(f64, Torment)| (since..row.seconds).contains(at);
            let torments = self.torments.iter().filter(is_here).count();
            since = row.seconds;
            let _ = writeln!(text, "{row}\t{torments}");
        }
        text
    }

    pub fn svg(&self) -> String {
        let points =
            |of: fn(&Row) -> f64| self.rows.iter().map(|row| (row.seconds, of(row))).collect::<Vec<_>>();
        let panels = [
            ("events counted", vec![points(|row| row.events)]),
            ("open entities", vec![points(|row| row.open)]),
            (
                "resident MiB (grey: left alone)",
                vec![points(|row| row.most.resident_mib), points(|row| row.reference_resident_mib)],
            ),
            ("file descriptors", vec![points(|row| row.most.descriptors)]),
            ("MiB of state on disk", vec![points(|row| row.most.state_mib)]),
            (
                "slowest scrape, ms (grey: median)",
                vec![
                    points(|row| row.most.scrape_seconds * 1_000.0),
                    points(|row| row.scrape_seconds_median * 1_000.0),
                ],
            ),
        ];
        let rows_top = TOP + PANEL_HEIGHT * panels.len().div_ceil(COLUMNS) as f64 + 8.0;
        let height = rows_top + ROW_HEIGHT * ROWS.len() as f64 + 40.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n{STYLE}\n\
             <rect class=\"b\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n\
             <text class=\"t\" x=\"{MARGIN}\" y=\"30\" font-size=\"17\">{}</text>\n<text class=\"n\" x=\"{MARGIN}\" y=\"50\">{}</text>\n",
            self.title(),
            self.subtitle()
        );
        let width = (WIDTH - 2.0 * MARGIN) / COLUMNS as f64;
        for (index, (title, lines)) in panels.iter().enumerate() {
            let x = MARGIN + width * (index % COLUMNS) as f64;
            let y = TOP + PANEL_HEIGHT * (index / COLUMNS) as f64;
            let _ = writeln!(svg, "<g transform=\"translate({x:.1} {y})\">");
            self.panel(&mut svg, title, lines, width - 16.0);
            svg.push_str("</g>\n");
        }
        let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {rows_top})\">");
        self.marks(&mut svg);
        svg + "</g>\n</svg>\n"
    }

    fn title(&self) -> String {
        let events = self.rows.last().map_or(0.0, |row| row.events);
        let found = match self.broken {
            0 => "each counted once".to_owned(),
            broken => format!("{broken} laws broken"),
        };
        let (length, millions) = (length(self.seconds), events / 1e6);
        format!("{length} at 5,000 events a second: {millions:.1} million events, {found}")
    }

    fn subtitle(&self) -> String {
        let counts: Vec<String> = ROWS.iter().map(|row| format!("{row} {}", self.count(row))).collect();
        format!("{} · seed {}", counts.join(" · "), self.seed)
    }

    fn panel(&self, svg: &mut String, title: &str, lines: &[Vec<(f64, f64)>], width: f64) {
        let most = lines.iter().flatten().map(|point| point.1).fold(0.0, f64::max);
        let step = step(most);
        let top = (most / step).ceil().max(1.0) * step;
        let x = |seconds: f64| LEFT + seconds / self.seconds * (width - LEFT);
        let y = |value: f64| PLOT_BOTTOM - value / top * (PLOT_BOTTOM - PLOT_TOP);
        let _ = writeln!(svg, "<text class=\"t\" x=\"{LEFT}\" y=\"16\">{title}</text>");
        for number in 0..=(top / step).round() as u32 {
            let value = f64::from(number) * step;
            let at = y(value);
            let _ = writeln!(
                svg,
                "<path class=\"g\" d=\"M{LEFT} {at:.1}H{width:.1}\"/><text class=\"n\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                shown(value)
            );
        }
        for (text, anchor, at) in [("0", "start", 0.0), (&*length(self.seconds), "end", self.seconds)] {
            let _ = writeln!(
                svg,
                "<text class=\"n\" x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\" font-size=\"11\">{text}</text>",
                x(at),
                PLOT_BOTTOM + 16.0
            );
        }
        // The first line lies over the others.
        for (line, class) in lines.iter().zip(["l", "r"]).rev() {
            let path: Vec<String> =
                line.iter().map(|(seconds, value)| format!("{:.1} {:.1}", x(*seconds), y(*value))).collect();
            let _ = writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{}\" fill=\"none\" stroke-width=\"1.6\" stroke-linejoin=\"round\"/>",
                path.join("L")
            );
        }
    }

    fn marks(&self, svg: &mut String) {
        let width = WIDTH - 2.0 * MARGIN - 16.0;
        let x = |seconds: f64| ROWS_LEFT + seconds / self.seconds * (width - ROWS_LEFT);
        for (index, row) in ROWS.iter().enumerate() {
            let y = ROW_HEIGHT * (index as f64 + 1.0);
            let mut path = String::new();
            for (at, _) in self.torments.iter().filter(|(_, torment)| torment.row() == *row) {
                let _ = write!(path, "M{:.1} {:.1}v-12", x(*at), y - 1.0);
            }
            let _ = writeln!(
                svg,
                "<text class=\"t\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{row}</text><path class=\"g\" d=\"M{ROWS_LEFT} {y}H{width}\"/>\
                 <path class=\"m\" d=\"{path}\"/>",
                ROWS_LEFT - 10.0,
                y - 3.0
            );
        }
        let below = ROW_HEIGHT * ROWS.len() as f64 + 16.0;
        for (text, anchor, at) in [("0", "start", 0.0), (&*length(self.seconds), "end", self.seconds)] {
            let _ = writeln!(
                svg,
                "<text class=\"n\" x=\"{:.1}\" y=\"{below}\" text-anchor=\"{anchor}\" font-size=\"11\">{text}</text>",
                x(at)
            );
        }
    }
}

fn length(seconds: f64) -> String {
    match seconds {
        7_000.0.. => format!("{:.0} hours", seconds / 3_600.0),
        120.0.. => format!("{:.0} minutes", seconds / 60.0),
        _ => format!("{seconds:.0} seconds"),
    }
}

/// A round distance of two to four lines.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf(most.max(1e-3).log10().floor());
    let steps = [0.25, 0.5, 1.0, 2.0, 2.5, 5.0].map(|factor| factor * power);
    steps.into_iter().find(|step| most / step <= 4.0).unwrap_or(5.0 * power)
}

fn shown(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", value / 1e6),
        1e4.. => format!("{} k", value / 1e3),
        _ => format!("{value}"),
    }
}
