"""Filters of the templates: hostile text becomes inert, isolated markup. Nothing else may produce markup.

Threat model: every string of the evidence was chosen by the attacker. It reaches the page only as text content inside
``<bdi>`` (so that it cannot reorder what stands beside it), after :func:`forensics.text.show` made every control,
invisible and bidirectional character visible. It is never an attribute, a URL, a style or a script.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from markupsafe import Markup

from forensics.model import Indicator
from forensics.text import show

_CELL = 320
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)$")
_DEFANGED = frozenset({"ipv4", "ipv6", "domain", "url", "email"})
_OBSERVATION = re.compile(r"[)\uff09]: ")
_COMMAND = re.compile(r"`([^`<>]{1,80})`")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_KILO, _MILLI = 1000, 0.001


def guard(value: object) -> object:
    """Escape any plain string on its way out, even one that a template forgot to filter."""
    return show(value) if type(value) is str else value


def hostile(value: bytes | str | None, limit: int = _CELL) -> Markup:
    """Return evidence text, shown and isolated."""
    return Markup('<bdi class="ev">{}</bdi>').format(show(value, limit)) if value else Markup("")


def prose(value: str, limit: int = 1200) -> Markup:
    """Return a sentence of ours that may quote evidence: isolated, not set in the evidence face."""
    return Markup("<bdi>{}</bdi>").format(show(value, limit)) if value else Markup("")


def advice(value: str) -> Markup:
    """Return a sentence of ours in which backquotes mark a command."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(prose(value))))  # noqa: S704 - escaped by prose, marked by us


def reason(value: str) -> Markup:
    """Return a reason of the verdict: the sentence, and below it the observation that follows ``): ``."""
    split = _OBSERVATION.search(value)
    if not split:
        return prose(value, 220)
    return prose(value[: split.start() + 1], 160) + hostile(value[split.end() :], 110)


def path(value: bytes | None, limit: int = _CELL) -> Markup:
    """Return a container path, absolute, with line-break opportunities after each slash."""
    if value is None:
        return Markup("")
    parts = ("/" + show(value.lstrip(b"/"), limit)).split("/")
    return Markup('<bdi class="ev">{}</bdi>').format(Markup("/<wbr>").join(parts))


def fit(value: str, columns: int) -> str:
    """Return evidence text for a picture: one line of at most *columns* of a fixed-width face (wide letters: two)."""
    text, used = show(value, 4 * columns), 0
    for place, letter in enumerate(text):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > columns - (place + 1 < len(text)):
            return f"{text[:place]}…"
    return text


def moment(value: str) -> Markup:
    """Return a time as ``<time>``, for columns whose header says UTC; what is no RFC 3339 time is evidence text."""
    match = _TIME.match(value)
    if not match:
        return hostile(value, 40)
    text = f"{match[1]} {match[2]}"
    return Markup('<time datetime="{}">{}</time>').format(value, text)


def utc(value: str) -> Markup:
    """Return a time as :func:`moment` does, with its zone: for every place where no header says it."""
    return moment(value) + " UTC" if _TIME.match(value) else moment(value)


def size(count: int) -> str:
    """Return a byte count in decimal units (SI), as `du --si` prints them."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(amount) < _KILO:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KILO
    return f"{amount:.1f} PB"


def number(count: int) -> str:
    """Return a count with thin separators."""
    return f"{count:,}".replace(",", "\u202f")


def seconds(value: float | None) -> str:
    """Return a duration with the precision that a reader needs."""
    if value is None:
        return ""
    if value < _MILLI:
        return "< 1 ms"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def digest(value: str) -> Markup:
    """Return a hex digest that wraps in eighths and copies whole."""
    groups = [value[start : start + 8] for start in range(0, len(value), 8)]
    return Markup('<code class="digest">') + Markup("<wbr>").join(map(show, groups)) + Markup("</code>")


def short(value: str) -> Markup:
    """Return the first twelve digits of a digest; anything else as evidence text."""
    hexadecimal = value.rpartition(":")[2]
    return hostile(hexadecimal[:12] if _DIGEST.match(hexadecimal) else value, 24)


def defang(indicator: Indicator) -> str:
    """Return the indicator so that no mail reader or chat makes a link of it."""
    value = indicator.value
    if indicator.type not in _DEFANGED:
        return value
    value = re.sub(r"^http", "hxxp", value, flags=re.IGNORECASE)
    value = value.replace("://", "[:]//", 1).replace("@", "[@]")
    if indicator.type == "ipv6":
        return value.replace(":", "[:]", 1)
    return value.replace(".", "[.]")


FILTERS: dict[str, Callable[..., object]] = {
    "hostile": hostile,
    "prose": prose,
    "advice": advice,
    "reason": reason,
    "path": path,
    "fit": fit,
    "moment": moment,
    "utc": utc,
    "size": size,
    "number": number,
    "seconds": seconds,
    "digest": digest,
    "short": short,
    "defang": defang,
}
