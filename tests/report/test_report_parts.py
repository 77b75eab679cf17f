from __future__ import annotations

import time

import pytest
from report_samples import build_analysis, change

from forensics.model import Indicator, TimelineEvent
from forensics.report.attack import TACTICS, TECHNIQUES, name_technique
from forensics.report.change_tree import Folder, cite_paths, grow_tree
from forensics.report.language import make_translator
from forensics.report.markup import advice, defang, digest, fit, hostile, moment, path, seconds, short, size
from forensics.report.masking import Masker, mask
from forensics.report.runtime import is_external
from forensics.report.timeline import draw_timeline


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("url", "https://a.example/x?y=b@c", "hxxps[:]//a[.]example/x?y=b[@]c"),
        ("domain", "pool.example", "pool[.]example"),
        ("ipv4", "198.41.0.4", "198[.]41[.]0[.]4"),
        ("ipv6", "2001:db8::1", "2001[:]db8::1"),
        ("email", "a@b.example", "a[@]b[.]example"),
        ("sha256", "ab.cd", "ab.cd"),
        ("path", "/tmp/http://x", "/tmp/http://x"),
    ],
)
def test_defang(kind: str, value: str, shown: str) -> None:
    assert defang(Indicator(kind, value)) == shown


def test_paths_can_break_after_a_slash_and_nowhere_lie() -> None:
    assert path(b"etc/<b>/\xff\n") == '<bdi class="ev">/<wbr>etc/<wbr>&lt;b&gt;/<wbr>\\xff\\x0a</bdi>'
    assert path(None) == ""


def test_times_sizes_durations_digests() -> None:
    assert (
        moment("2026-03-14T02:41:11.400000Z")
        == '<time datetime="2026-03-14T02:41:11.400000Z">2026-03-14 02:41:11</time>'
    )
    assert moment("<b>") == '<bdi class="ev">&lt;b&gt;</bdi>'
    assert (size(999), size(412_001_280), seconds(0.183), seconds(7.94), seconds(None)) == (
        "999 B", "412.0 MB", "183 ms", "7.9 s", "",
    )  # fmt: skip
    assert digest("ab" * 8) == '<code class="digest">abababab<wbr>abababab</code>'
    assert short("sha256:" + "c0" * 32) == '<bdi class="ev">c0c0c0c0c0c0</bdi>'
    assert hostile("") == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql --password=Tr0ub4dor&3x -h db", f"mysql --password={mask('Tr0ub4dor')}&3x -h db"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIA•••• (20 characters)"),
        ("postgres://u:p4ss@db/x", "postgres://u:•••• (4 characters)@db/x"),
        ("DB_PASSWORD_FILE=/run/secrets/db", "DB_PASSWORD_FILE=/run/secrets/db"),
        ("use_token=false", "use_token=false"),
        ("node server.js --port 8080", "node server.js --port 8080"),
    ],
)
def test_masking_by_shape(text: str, shown: str) -> None:
    assert Masker([]).apply(text) == shown


def test_masking_known_values_prefers_the_longest() -> None:
    assert Masker(["secret", "secretary"]).apply("x secretary y") == f"x {mask('secretary')} y"


@pytest.mark.parametrize(
    ("address", "external"),
    [
        ("198.41.0.4", True),
        ("10.0.0.1", False),
        ("::1", False),
        ("::ffff:8.8.8.8", True),
        ("fe80::1", False),
        ("x", False),
    ],
)
def test_external_addresses(address: str, external: bool) -> None:
    assert is_external(address) is external


def test_every_technique_has_a_known_tactic_and_a_name() -> None:
    assert {tactic for _, tactics in TECHNIQUES.values() for tactic in tactics} <= set(TACTICS)
    assert all(name for name, _ in TECHNIQUES.values())
    assert name_technique("T1496.001") == "Resource Hijacking: Compute Hijacking"
    assert name_technique("T0000") == "T0000"


def names(folder: Folder) -> list[bytes]:
    return [inner.name for inner in folder.folders]


def test_tree_counts_everything_and_joins_lonely_folders() -> None:
    tree = grow_tree([change(b"usr/lib/x/a"), change(b"usr/lib/x/b"), change(b"etc/p")], {b"usr/lib/x/b": (3,)})
    assert tree.counts.total == 3
    assert names(tree) == [b"usr/lib/x", b"etc"]
    assert [(leaf.name, leaf.findings) for leaf in tree.folders[0].changes] == [(b"b", (3,)), (b"a", ())]


def test_a_new_folder_is_told_once_with_what_is_in_it() -> None:
    tree = grow_tree([change(b"var"), change(b"var/www"), change(b"var/www/up.php")], {})
    assert tree.changes == ()
    (folder,) = tree.folders
    assert (folder.name, folder.counts.total, folder.hidden) == (b"var/www", 2, 0)
    assert folder.own is not None
    assert folder.own.change.path == b"var/www"


def test_tree_hides_what_is_too_much_but_never_a_cited_path() -> None:
    many = [change(b"d/%05d" % n) for n in range(5000)]
    tree = grow_tree([*many, change(b"z/evil")], {b"z/evil": (1,)})
    folder = next(inner for inner in tree.folders if inner.name == b"d")
    assert (len(folder.changes), folder.hidden, folder.counts.added) == (60, 4940, 5000)
    assert tree.folders[0].name == b"z"


def test_tree_survives_paths_of_a_thousand_folders() -> None:
    tree = grow_tree([change(b"/".join([b"d"] * 1000))], {})
    assert tree.counts.total == 1


def test_paths_are_cited_with_or_without_a_leading_slash() -> None:
    assert cite_paths(build_analysis().findings)[b"tmp/.x/xmrig"] == (1,)


def test_timeline_looks_at_the_night_and_not_at_the_years_before() -> None:
    chart = draw_timeline(build_analysis().timeline)
    assert (chart.earlier, chart.undated, len(chart.events)) == (2, 1, 45)
    assert chart.day == "2026-03-14"
    assert [tick.label for tick in chart.ticks] == ["01:30", "02:00", "02:30", "03:00"]
    assert [lane.name for lane in chart.lanes] == ["engine", "file", "process", "containment", "collection"]


def test_timeline_of_one_moment_or_of_nothing() -> None:
    event = TimelineEvent("2026-03-14T01:12:07.120000Z", "file", "x")
    assert len(draw_timeline([event] * 5).lanes[0].bars) == 1
    assert draw_timeline([]).lanes == ()


def test_english_needs_no_catalogue() -> None:
    translate = make_translator("en", ())
    assert translate("and {n} more", n=3) == "and 3 more"
    assert translate("{braces} of {evidence}") == "{braces} of {evidence}"


@pytest.mark.parametrize(
    "text",
    ["A" * 300_000, "eyJaaaaaaaa-" * 20_000, "-----BEGIN " * 20_000, "://a:" * 40_000, "token" + " " * 99_999],
)  # fmt: skip
def test_masking_takes_no_longer_than_the_text(text: str) -> None:
    started = time.process_time()
    Masker(["known-secret"]).apply(text)
    assert time.process_time() - started < 2


def test_a_command_in_a_sentence_is_marked_and_nothing_else_becomes_markup() -> None:
    assert advice("compare (`ir diff`)") == "<bdi>compare (<code>ir diff</code>)</bdi>"
    assert advice("`<script>` and ` `") == "<bdi>`&lt;script&gt;` and <code> </code></bdi>".replace(
        "`&lt;script&gt;`", "<code>&lt;script&gt;</code>"
    )
    assert fit("a" * 40, 10) == "a" * 9 + "…"
    assert fit("侵害" * 9, 10) == "侵害侵害…"
    assert fit("x\u202ey", 20) == "x\\u202ey"
