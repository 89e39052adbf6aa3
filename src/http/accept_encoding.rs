//! `Accept-Encoding` by RFC 9110, section 12.5.3: whether a response is compressed.

/// A weight of 1, in thousandths.
const WEIGHT_MAX: u16 = 1_000;

/// Whether a client prefers gzip to no coding. `fields` are its `Accept-Encoding` headers.
///
/// A client that accepts neither gets no coding: a scraper should get its metrics. An element that breaks
/// the grammar counts for nothing.
pub(super) fn prefers_gzip<'a>(fields: impl Iterator<Item = &'a str>) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for (coding, weight) in fields.flat_map(|field| field.split(',')).filter_map(parse_element) {
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        let slot = if is("gzip") || is("x-gzip") {
            &mut gzip
        } else if is("identity") {
            &mut identity
        } else if is("*") {
            &mut any
        } else {
            continue;
        };
        // Of contradictory elements the refusal counts: every client can read what is not compressed.
        *slot = Some(slot.map_or(weight, |other: u16| other.min(weight)));
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.or(any).unwrap_or(0)
}

/// A coding and its weight, in thousandths.
fn parse_element(element: &str) -> Option<(&str, u16)> {
    let Some((coding, weight)) = element.split_once(';') else {
        return Some((trim(element), WEIGHT_MAX));
    };
    let weight = trim(weight);
    let value = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?;
    Some((trim(coding), parse_weight(value)?))
}

/// Without the spaces that the grammar allows.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// `0` to `1` with at most three decimals.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !["0", "1"].contains(&whole) || decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let weight: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (weight <= WEIGHT_MAX).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_decide() {
        let cases: &[(&[&str], bool)] = &[
            (&[], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZip"], true),
            (&["x-gzip"], true),
            (&["br, gzip;q=0.5"], true),
            (&["br", "\tgzip ; Q=0.001"], true),
            (&["*"], true),
            (&["deflate, *;q=0.1"], true),
            (&["gzip, identity"], true),
            (&["gzip;q=0.5, identity;q=0.5"], true),
            (&["gzip;q=1.000, *;q=0"], true),
            (&[",, gzip ,"], true),
            (&["identity;q=0, gzip;q=0.1"], true),
            (&["identity;q=0, *"], true),
            (&["deflate"], false),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000"], false),
            (&["gzip;q=0."], false),
            (&["gzip;q=0, *"], false),
            (&["x-gzip;q=0, *"], false),
            (&["*;q=0"], false),
            (&["identity;q=0"], false),
            (&["identity;q=0, gzip;q=0"], false),
            (&["gzip;q=0.4, identity;q=0.5"], false),
            (&["gzip;q=0.4, *"], false),
            (&["gzip, gzip;q=0"], false),
            (&["gzip", "x-gzip;q=0"], false),
        ];
        for (fields, expected) in cases {
            assert_eq!(prefers_gzip(fields.iter().copied()), *expected, "{fields:?}");
        }
    }

    #[test]
    fn an_element_that_breaks_the_grammar_counts_for_nothing() {
        let weights = [
            "", "2", "1.001", "-0", "+1", ".5", "0.0000", "1e0", "0,5", "nan", "\"1\"", "1 1", "00", "1;q=1",
        ];
        for weight in weights {
            assert_eq!(parse_weight(weight), None, "{weight:?}");
            assert!(!prefers_gzip([format!("gzip;q={weight}").as_str()].into_iter()), "{weight:?}");
        }
        for element in ["gzip;", "gzip;level=1", "gzip;q", "gzip;q =1", "gzip q=1", "gzip;q= 1"] {
            assert!(!prefers_gzip([element].into_iter()), "{element:?}");
        }
        assert!(prefers_gzip(["gzip, br;q=high"].into_iter()));
    }
}
