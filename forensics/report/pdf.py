"""The report as PDF: the HTML page, printed by a Chromium that runs no script and reaches nobody.

A browser prints what a reader of the page sees. It gets one local file without any script, under the page's own policy;
a request would end at a closed door; its profile is a folder that is removed afterwards. The dates in the file are the
case's, so that the same case gives the same bytes with the same browser.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from forensics.errors import UsageError
from forensics.report.document import Report
from forensics.report.html import render_html
from forensics.text import show

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell")
_NOWHERE = "127.0.0.1:9"  # the discard port (RFC 863): nobody listens
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-pdf-header-footer",
    f"--proxy-server={_NOWHERE}",
    "--proxy-bypass-list=<-loopback>",
)
_SECONDS = 180
_DATE = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}([^)]*)\)")
_HINT = "install it (Debian: apt-get install chromium), or print the HTML page from a browser"


def render_pdf(report: Report, lang: str = "en", *, templates: Path | None = None) -> bytes:
    """Return the printed page.

    Raises:
        UsageError: there is no browser, or it could not print; the language or a template is not usable.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UsageError("a PDF needs Chromium, and there is none on this machine", hint=_HINT)
    page = render_html(report, lang, templates=templates, scripted=False)
    with tempfile.TemporaryDirectory(prefix="ir-pdf-") as place:
        folder = Path(place)
        (folder / "report.html").write_text(page, "utf-8")
        _print(browser, folder)
        return _settle_dates((folder / "report.pdf").read_bytes(), report.case.created_at)


def _print(browser: str, folder: Path) -> None:
    command = [browser, *_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'report.pdf'}"]
    if os.getuid() == 0:
        command.append("--no-sandbox")  # Chromium refuses its sandbox to root
    try:
        complaint = _run([*command, (folder / "report.html").as_uri()])
    except OSError as error:
        raise UsageError(f"the browser {browser} cannot be started: {error.strerror}", hint=_HINT) from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"the browser {browser} did not print within {_SECONDS} seconds", hint=_HINT) from error
    if not (folder / "report.pdf").is_file():
        raise UsageError(f"the browser {browser} did not print the page: {show(complaint)[-300:]}", hint=_HINT)


def _run(command: list[str]) -> str:
    """Run the browser to its end, with all that it starts, and return what it complained about."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as child:
        try:
            _, complaint = child.communicate(timeout=_SECONDS)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    return complaint.decode("utf-8", "replace")


def _settle_dates(content: bytes, created_at: str) -> bytes:
    """Return the file with the case's date in place of the moment of printing; lengths and offsets stay."""
    digits = (re.sub(r"\D", "", created_at)[:14]).ljust(14, "0").encode("ascii")
    return _DATE.sub(lambda match: b"/" + match[1] + b" (D:" + digits + match[2] + b")", content)
