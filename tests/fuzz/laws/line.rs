//! The scanner of lines accepts what `serde_json` accepts, and finds the same fields and texts. A line that is split
//! by the shape of one before has the fields that the scanner finds.

use lifecycle_exporter::internals::fuzz::{Line, Shaped, Value, split, split_by_shape};

use super::json;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    check_scan(line);
    // Each line twice, so that it meets its own shape, too.
    let twice: String = line.split('\n').flat_map(|line| [line, "\n", line, "\n"]).collect();
    for (Shaped { line, fields }, whole) in split_by_shape(&twice).into_iter().zip(twice.split('\n')) {
        assert_eq!(line.trim_end(), whole.trim_end());
        if let Some(fields) = fields {
            check_shape(line, fields);
        }
    }
}

fn check_shape(line: &str, mut found: Vec<(String, Value)>) {
    let Ok(Line { time, twice: false, fields: mut expected, .. }) = split(line) else {
        panic!("a shape fits what the scanner does not take: {line}");
    };
    expected.extend(time.map(|time| ("time".to_owned(), time)));
    // The same key may be there twice, if no event uses it; the order of equal keys is that of the line.
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, expected, "{line}");
}

fn check_scan(line: &str) {
    let expected = json::fields(line).map(|fields| {
        let mut expected = Line::default();
        for (key, value) in fields {
            let place = match key.as_str() {
                "event" => &mut expected.event,
                "time" => &mut expected.time,
                _ => {
                    expected.fields.push((key, value));
                    continue;
                }
            };
            expected.twice |= place.replace(value).is_some();
        }
        expected
    });
    match split(line) {
        Ok(split) => assert_eq!(Some(split), expected),
        Err(rejection) => {
            assert_eq!(None, expected, "{rejection}");
            assert!(rejection.starts_with("malformed: at byte "), "{rejection}");
        }
    }
}
