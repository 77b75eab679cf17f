r"""Makes hostile text safe to show: terminal, HTML, CSV, body file.

Names, arguments, logs and labels in evidence are written by the attacker. Everything that a person reads passes
through :func:`show`: control characters, escape sequences, line breaks, bidirectional and invisible characters
(Unicode TR36, "Trojan Source") and bytes that are no UTF-8 appear as visible ``\x..`` and ``\u....`` escapes.
"""

from __future__ import annotations

import base64
import unicodedata

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5")
_SHOWN_BYTES = 4096
_LAST_LATIN = 0xFF
_LAST_BMP = 0xFFFF
_FIRST_BYTE_SURROGATE = 0xDC80
_LAST_BYTE_SURROGATE = 0xDCFF


def show(value: bytes | str, limit: int = _SHOWN_BYTES) -> str:
    r"""Return *value* on one line with everything that could deceive a reader or a terminal escaped.

    A backslash of the original is doubled, so the result is unambiguous. After *limit* characters
    of the original it is cut, and the cut says how many are missing.
    """
    decoded = from_bytes(value) if isinstance(value, bytes) else value
    kept = decoded[:limit]
    if not (kept.isascii() and kept.isprintable() and "\\" not in kept):
        kept = "".join(map(_show_character, kept))
    return kept if len(decoded) <= limit else f"{kept}… [{len(decoded) - limit} more]"


def _show_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    code = ord(character)
    if _FIRST_BYTE_SURROGATE <= code <= _LAST_BYTE_SURROGATE:
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES and character not in _INVISIBLE:
        return character
    if code <= _LAST_LATIN:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_BMP else f"\\U{code:08x}"


def show_path(path: bytes) -> str:
    """Return a container path as a reader expects it: absolute, escaped."""
    return "/" + show(path.lstrip(b"/"))


def from_bytes(raw: bytes) -> str:
    """Decode bytes of unknown encoding without loss (PEP 383); :func:`to_bytes` gives them back."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(decoded: str) -> bytes:
    """Undo :func:`from_bytes`; also accepts any other lone surrogate."""
    try:
        return decoded.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return decoded.encode("utf-8", "surrogatepass")


def encode_base64(raw: bytes) -> str:
    """Return the bytes as base64, for the ``*_b64`` keys of machine output."""
    return base64.b64encode(raw).decode("ascii")


def csv_cell(value: bytes | str) -> str:
    """Return *value* shown, and harmless in a spreadsheet (CWE-1236: no cell begins with ``= + - @`` or a tab)."""
    shown = show(value)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@")) else shown


def bodyfile_cell(value: bytes | str) -> str:
    """Return *value* shown without the separator of The Sleuth Kit's body file (``|``)."""
    return show(value).replace("|", "\\x7c")
