//! A table for a terminal: columns that are as wide as their widest cell.

use std::fmt::Write;

/// Appends the table. Each row has as many cells as the head.
pub(super) fn columns(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let mut lines: Vec<&[String]> = vec![&head];
    lines.extend(rows.iter().map(Vec::as_slice));
    let mut widths = vec![0; head.len()];
    for line in &lines {
        for (cell, width) in line.iter().zip(&mut widths) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in lines {
        let start = out.len();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(out, "{cell:width$}  ");
        }
        out.truncate(start + out[start..].trim_end().len());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_has_characters() {
        let mut out = String::new();
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        columns(&mut out, &["A", "Long"], &[row(["äöü", "-"]), row(["b", "x"])]);
        assert_eq!(out, "A    Long\näöü  -\nb    x\n");
    }
}
