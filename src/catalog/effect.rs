//! The grammar of effects on metrics: `TARGET [from VALUE] [if FIELD=VALUE]`, separated by commas.
//!
//! This file only parses; `plan` resolves the names.

use super::sections::is_name;

/// A metric, and the labels in its braces.
#[derive(Debug, PartialEq)]
pub(super) struct Target<'a> {
    pub(super) metric: &'a str,
    pub(super) braces: Vec<(&'a str, &'a str)>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Effect<'a> {
    pub(super) target: Target<'a>,
    /// The alternatives after `from`.
    pub(super) value: Option<Vec<&'a str>>,
    /// After `if`.
    pub(super) condition: Option<(&'a str, &'a str)>,
}

/// Parses a list of effects. The error says what was expected.
pub(super) fn parse_list(text: &str) -> Result<Vec<Effect<'_>>, String> {
    split_outside_braces(text).into_iter().map(parse_one).collect()
}

fn split_outside_braces(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut depth) = (0, false, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

fn parse_one(text: &str) -> Result<Effect<'_>, String> {
    let end = text.find(|c: char| c.is_whitespace() || c == '{').unwrap_or(text.len());
    let (metric, mut rest) = text.split_at(end);
    if metric.is_empty() {
        return Err(format!("{text:?}: expected METRIC or METRIC{{label=\"value\"}}"));
    }
    let mut braces = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        (braces, rest) =
            parse_braces(inner).ok_or_else(|| format!("{text:?}: expected {{label=\"value\",…}}"))?;
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mut words = words.as_slice();
    let mut value = None;
    let mut condition = None;
    if let ["from", source, more @ ..] = words {
        value = Some(source.split('|').map(str::trim).collect::<Vec<_>>());
        words = more;
    }
    if let ["if", test] = words {
        condition = Some(parse_condition(test)?);
        words = &[];
    }
    if words.is_empty() {
        Ok(Effect { target: Target { metric, braces }, value, condition })
    } else {
        Err(format!("{:?}: expected nothing, \"from VALUE\" or \"if FIELD=VALUE\"", words.join(" ")))
    }
}

/// Parses `FIELD=VALUE`. Anything that looks like another comparison is refused, because it would never hold.
fn parse_condition(test: &str) -> Result<(&str, &str), String> {
    test.split_once('=')
        .filter(|(field, wanted)| {
            is_name(field) && !wanted.is_empty() && !wanted.contains(['=', '<', '>', '~', '!', '"', '\''])
        })
        .ok_or_else(|| format!("{test:?}: expected FIELD=VALUE after \"if\", with one = and no quotes"))
}

/// Parses `label="value",…}` and returns the rest.
fn parse_braces(mut text: &str) -> Option<(Vec<(&str, &str)>, &str)> {
    let mut braces = Vec::new();
    loop {
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
        braces.push((name.trim(), value));
        let rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((braces, rest));
        }
        text = rest.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_effects() {
        let list = parse_list("a, b{x=\"1,}\", y=\"\"} from n|2 if r=ok,c from now").unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(
            list[0],
            Effect { target: Target { metric: "a", braces: vec![] }, value: None, condition: None }
        );
        assert_eq!(list[1].target.braces, [("x", "1,}"), ("y", "")]);
        assert_eq!(list[1].value.as_deref(), Some(["n", "2"].as_slice()));
        assert_eq!(list[1].condition, Some(("r", "ok")));
        assert_eq!(list[2].value.as_deref(), Some(["now"].as_slice()));
    }

    #[test]
    fn an_invalid_effect_says_what_was_expected() {
        for text in
            ["", "a,", "a{x}", "a{x=\"1\"", "a from", "a of b", "a if x", "a from x y", "a if x=1 from y"]
                .into_iter()
                .chain([
                    "a if x==y",
                    "a if x!=y",
                    "a if x=\"y\"",
                    "a if x='y'",
                    "a if x=",
                    "a if =y",
                    "a if x>=1",
                    "a if x=~y",
                    "a if x=<y",
                    "a if 1x=y",
                ])
                .chain(["a if x=y=z", "a if x = y", "a if not x=y"])
        {
            let error = parse_list(text).expect_err(text);
            assert!(error.contains("expected"), "{text:?}: {error}");
        }
    }
}
