//! The scanner of lines accepts what `serde_json` accepts, and finds the same fields and texts.

use lifecycle_exporter::internals::fuzz::{Line, split};

use super::json;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
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
