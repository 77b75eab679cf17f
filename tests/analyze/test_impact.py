"""Files encrypted in place: told by what was added to their names and by content that is no type any more."""

import random
from pathlib import Path

import pytest
from analyze_cases import F, layer, make_case, rules

from forensics.analyze import build_analysis

NOISE = random.Random(7)  # noqa: S311 - content that is no known type


def examine(tmp_path: Path, changed: dict[str, F | bytes | str]) -> set[str]:
    with make_case(
        tmp_path / "case", [layer({"etc/passwd": "root:x:0:0::/:/bin/sh\n"}), layer(changed, later=600)]
    ) as case:
        return set(rules(build_analysis(case, yara=False).findings))


def noise(names: list[str]) -> dict[str, F | bytes | str]:
    return {name: b"\x00\x91" + NOISE.randbytes(4096) for name in names}


def test_many_files_with_one_added_extension_are_encrypted(tmp_path: Path) -> None:
    names = ["a.csv", "b.docx", "sub/c.pdf", "sub/d.tar.gz", "e.db"]
    assert "impact.files-encrypted" in examine(tmp_path, noise([f"srv/data/{name}.lockedfiles" for name in names]))


@pytest.mark.parametrize(
    "names",
    [
        [f"srv/data/{number}.csv.locked" for number in range(4)],
        [f"srv/data/{number}.csv.gpg" for number in range(9)],
        [f"srv/data/{number}.tar.zst" for number in range(9)],
        [f"srv/data/{number}.log.{number}" for number in range(9)],
        [f"srv/data/{number}.locked" for number in range(9)],
        [f"srv/data/{number}.csv.{'abcdefghi'[number]}x" for number in range(9)],
    ],
    ids=["few", "encrypted backups", "packed", "rotated", "no ordinary name before it", "each another"],
)
def test_what_ordinary_tools_leave_is_not(tmp_path: Path, names: list[str]) -> None:
    assert "impact.files-encrypted" not in examine(tmp_path, noise(names))


def test_text_under_a_strange_extension_is_not(tmp_path: Path) -> None:
    changed: dict[str, F | bytes | str] = {f"srv/data/{number}.csv.locked": "a;b\n1;2\n" for number in range(9)}
    assert "impact.files-encrypted" not in examine(tmp_path, changed)
