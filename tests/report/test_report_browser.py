"""The report of a hostile case in a real browser: no script but ours runs, nothing leaves, the console stays empty."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_page import Page
from report_samples import HOSTILE, build_analysis, build_case

from forensics.errors import UsageError
from forensics.report.build import build
from forensics.report.html import render_html
from forensics.report.pdf import render_pdf

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="apt-get install --no-install-recommends chromium"),
]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--v=0",
    "--proxy-bypass-list=<-loopback>",
    "--virtual-time-budget=3000",
]


class Trap:
    """A proxy that answers nobody and remembers who asked."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(300).decode("latin-1").partition("\r\n")[0])

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("browser")
    report = build(build_case(folder / "case"), build_analysis())
    written = {lang: folder / f"report.{lang}.html" for lang in ("en", "ja")}
    for lang, path in written.items():
        path.write_text(render_html(report, lang), "utf-8")
    return written


@pytest.fixture
def page(pages: dict[str, Path]) -> Path:
    return pages["en"]


def visit(page: Path, folder: Path, trap: Trap, *more: str) -> tuple[str, list[str]]:
    """Return the document after its scripts ran, and what the console said."""
    command = ["chromium", *FLAGS, f"--proxy-server={trap.address}", f"--user-data-dir={folder}", *more, "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=120, check=True)
    console = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line]
    return done.stdout.decode("utf-8"), console


def ours(trap: Trap) -> list[str]:
    return [request for request in trap.requests if "attacker.invalid" in request]


def test_the_trap_catches_an_unprotected_page(tmp_path: Path, trap: Trap) -> None:
    page = tmp_path / "unprotected.html"
    page.write_text(
        f"<meta charset=utf-8><title>x</title><h1>{HOSTILE['script']}</h1><script>console.error('seen')</script>"
    )
    document, console = visit(page, tmp_path / "profile", trap)
    assert "<title>pwned</title>" in document
    assert console
    assert ours(trap)


@pytest.mark.parametrize(("lang", "title"), [("en", "Incident report"), ("ja", "インシデント報告書")])
def test_hostile_evidence_runs_nothing_and_reaches_nobody(
    pages: dict[str, Path], tmp_path: Path, trap: Trap, lang: str, title: str
) -> None:
    document, console = visit(pages[lang], tmp_path / "profile", trap)
    assert console == []
    assert ours(trap) == []
    assert re.search(rf"<title>{title} · IR-[\w-]+</title>", document)
    page_read = Page(document)
    assert not set(page_read.tags) & {"img", "base", "iframe", "object", "embed", "link", "form"}
    assert not [name for _, name, _ in page_read.attributes if name.startswith("on") or name == "style"]
    assert page_read.tags["script"] == 1
    assert 'type="search"' in document


def test_page_prints_whole_without_its_script(page: Path, tmp_path: Path, trap: Trap) -> None:
    bare, target = tmp_path / "bare.html", tmp_path / "report.pdf"
    bare.write_text(
        re.sub(r"<script>.*</script>\n</body>", "</body>", page.read_text("utf-8"), flags=re.DOTALL), "utf-8"
    )
    command = ["chromium", *FLAGS, f"--proxy-server={trap.address}", f"--user-data-dir={tmp_path}/profile"]
    command += [f"--print-to-pdf={target}", bare.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert b"CONSOLE" not in done.stderr
    assert len(re.findall(rb"/Type\s*/Page\b", target.read_bytes())) > 8


def test_the_pdf_holds_the_page_and_is_the_same_each_time(tmp_path: Path) -> None:
    report = build(build_case(tmp_path / "case"), build_analysis())
    first = render_pdf(report)
    assert first.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", first)) > 8
    assert b"pwned" not in first
    assert first == render_pdf(report)


def test_without_a_browser_a_pdf_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = build(build_case(tmp_path / "case"), build_analysis())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs Chromium, and there is none"):
        render_pdf(report)
    (tmp_path / "chromium").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    (tmp_path / "chromium").chmod(0o755)
    with pytest.raises(UsageError, match="did not print the page"):
        render_pdf(report)
