//! Numbers in the text format 0.0.4. Most are integers, which `itoa` writes: with `write!` a scrape takes 2.8
//! times the instructions; see tests/bench/README.md.

use std::io::Write;

/// 2^53: an `f64` holds every integer up to it.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Appends a value: integers without a decimal point, others with as few digits as identify the `f64`.
pub(crate) fn push(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < INTEGER_MAX {
        push_integer(out, value as i64);
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.abs() >= 1e21 || value.abs() < 1e-6 {
        write!(out, "{value:e}").expect("writing to memory cannot fail");
    } else {
        write!(out, "{value}").expect("writing to memory cannot fail");
    }
}

/// Appends an integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_prometheus_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (-3.0, "-3"),
            (1e15, "1000000000000000"),
            (0.1, "0.1"),
            (12.345, "12.345"),
            (1e16, "10000000000000000"),
            (1e300, "1e300"),
            (2.5e-9, "2.5e-9"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, expected) in cases {
            let mut out = Vec::new();
            push(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
