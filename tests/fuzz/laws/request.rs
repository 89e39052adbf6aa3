//! A request head means the same whether it comes at once or byte by byte, whatever follows it, and none with
//! a body is accepted.

use lifecycle_exporter::internals::fuzz::request;

/// Bytes of a head, as the manual has them.
const HEAD_BYTES_MAX: usize = 8_192;

pub(crate) fn check(bytes: &[u8]) {
    let found = (1..=bytes.len()).find_map(|end| Some((end, request(&bytes[..end])?)));
    let whole = request(bytes);
    let Some((end, first)) = found else {
        assert_eq!(whole, None);
        assert!(bytes.len() < HEAD_BYTES_MAX, "an unfinished head has no bound");
        return;
    };
    // A head that is too long and malformed is refused in any case.
    let both_refused = end >= HEAD_BYTES_MAX && matches!((&first, &whole), (Err(_), Some(Err(_))));
    assert!(whole.as_ref() == Some(&first) || both_refused, "{first:?}, at once {whole:?}");
    if let Ok(request) = first {
        let refused = !request.contains("refusal: None");
        assert!(refused || !has_body(&bytes[..end]), "{request}");
    }
}

/// Whether a complete head announces a body, or cannot be trusted not to.
fn has_body(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut lengths = 0;
    head.lines().skip(1).any(|line| {
        let Some((name, value)) = line.split_once(':') else { return false };
        match name {
            "transfer-encoding" => true,
            "content-length" => {
                lengths += 1;
                lengths > 1 || value.trim_matches([' ', '\t']).parse() != Ok(0)
            }
            _ => false,
        }
    })
}
