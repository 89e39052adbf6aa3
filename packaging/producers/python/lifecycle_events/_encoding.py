"""An event as its line of JSON.

By hand for text and plain numbers, which is what events consist of: `json` takes more than twice as long, and what the sender takes is
taken from the host.

Users choose some of the texts (names, paths), so a text may be of any length and may hold what is no character. The line is one that the
exporter takes all the same: long texts are cut, and a lone surrogate becomes U+FFFD. All clients do so by the same rules.
"""

import json
import re
from json.encoder import encode_basestring as quoted
from typing import Any, Dict

#: Of a text in UTF-8. The exporter cuts labels to 1,024 bytes and rejects longer parts of keys: a cut here hides neither.
TEXT_BYTES_MAX = 4096
#: Of a text in a line that is too long otherwise: still more than a part of a key may have, so that none becomes another one.
SHORT_TEXT_BYTES_MAX = 1100
#: Of a line, without its end. The exporter takes 65,536.
LINE_BYTES_MAX = 65_000

_CUT_MARK = "…"
_SURROGATES = re.compile("[\ud800-\udfff]")
_rest = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str).encode


def line_of(event: str, fields: Dict[str, Any]) -> bytes:
    """The line, without its end. What is `None` is left out, and what JSON has no word for is taken as its text.

    :raises ValueError: for a number that is not finite, and for a line that is too long with short texts, too.
    """
    line = _line(event, fields, TEXT_BYTES_MAX)
    if len(line) > LINE_BYTES_MAX:
        line = _line(event, fields, SHORT_TEXT_BYTES_MAX)
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"the line has {len(line)} bytes, and may have {LINE_BYTES_MAX}")
    return line


def cut(text: str, bytes_max: int) -> str:
    """The text, if it has at most as many bytes of UTF-8; else its beginning, and ``…`` as the last character."""
    # No character has more than four bytes.
    if len(text) * 4 <= bytes_max:
        return text
    # What is behind the first characters cannot change the result.
    encoded = text[: bytes_max + 1].encode("utf-8", "surrogatepass")
    if len(encoded) <= bytes_max:
        return text
    end = bytes_max - len(_CUT_MARK.encode())
    while encoded[end] & 0xC0 == 0x80:
        end -= 1
    return encoded[:end].decode("utf-8", "surrogatepass") + _CUT_MARK


def well_formed(text: str) -> str:
    """The text as UTF-8 can hold it."""
    return _SURROGATES.sub("\ufffd", text)


def _line(event: str, fields: Dict[str, Any], text_bytes_max: int) -> bytes:
    parts = [f'{{"event":{quoted(event)}']
    add = parts.append
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            if len(value) * 4 > text_bytes_max:
                value = cut(value, text_bytes_max)
            add(f",{quoted(name)}:{quoted(value)}")
        elif kind is float and value - value == 0:
            # Microseconds are more than any clock here is worth.
            add(f",{quoted(name)}:{round(value, 6)!r}")
        elif kind is int:
            add(f",{quoted(name)}:{value}")
        elif value is not None:
            add(f",{quoted(name)}:{_other(value, text_bytes_max)}")
    add("}")
    line = "".join(parts)
    try:
        return line.encode()
    except UnicodeEncodeError:
        return well_formed(line).encode()


def _other(value: Any, text_bytes_max: int) -> str:
    if isinstance(value, (int, float, dict, list, tuple)):
        return _rest(value)
    # A text that is an enumeration's member is sent as the text.
    text = str.__str__(value) if isinstance(value, str) else str(value)
    return quoted(cut(text, text_bytes_max))
