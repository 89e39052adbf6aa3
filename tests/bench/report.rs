//! What was measured: a line each on the terminal, and a table in Markdown for documents.

use std::fmt::Write;
use std::sync::Mutex;

static TABLE: Mutex<String> = Mutex::new(String::new());

/// Shows the minimum, median and maximum of some runs. Returns the median.
pub fn report(what: &str, mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let (min, median, max) = (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    let show = |figure: f64| {
        let digits = if figure >= 100.0 { 0 } else { 3 };
        format!("{figure:.digits$}")
    };
    println!("{what:<66} {:>9} {:>9} {:>9}", show(min), show(median), show(max));
    let mut table = TABLE.lock().unwrap();
    let name = what.trim_start();
    let name = if name.len() < what.len() { format!("… {name}") } else { name.to_owned() };
    writeln!(table, "| {name} | {} | {} | {} |", show(min), show(median), show(max)).unwrap();
    median
}

/// Says why something was not measured.
pub fn skipped(what: &str, why: &str) {
    println!("{what:<66} not measured: {why}");
    writeln!(TABLE.lock().unwrap(), "| {what} | not measured: {why} | | |").unwrap();
}

/// The whole table, with the machine and the day.
pub fn table() -> String {
    let output = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).output();
        output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = processor.lines().find(|line| line.starts_with("model name"));
    let model = named.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "Measured on {} ({model}, {cores} cores, {}). Minimum, median and maximum of the runs.\n\n\
         | what | min | median | max |\n| :-- | --: | --: | --: |\n{}",
        output("date", &["+%F"]),
        output("uname", &["-sr"]),
        TABLE.lock().unwrap()
    )
}
