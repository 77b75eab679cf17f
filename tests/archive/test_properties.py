"""Properties: no mutation of an archive makes the readers raise anything but our own errors."""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from assets.hostile import ARCHIVES, LAYERS, STREAMS, header
from assets.images import docker_parts, pack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.archive.compression import decompress
from forensics.archive.headers import has_valid_checksum, parse_header, parse_number
from forensics.archive.image import open_image
from forensics.archive.limits import MIB, Limits, ignore
from forensics.archive.members import make_member
from forensics.archive.names import normalize
from forensics.archive.plain import make_plain_member
from forensics.archive.tar import read_tar
from forensics.archive.tree import merge, read_layers
from forensics.archive.whiteout import classify
from forensics.errors import IrError

SMALL = Limits(max_hole_bytes=MIB, max_layer_bytes=8 * MIB, ratio_floor_bytes=MIB, max_zstd_window_bytes=8 * MIB)
SEEDS = [build() for build, _ in LAYERS.values()]
SEEDS = [raw for raw in SEEDS if len(raw) < 20_000]
IMAGES = [pack(docker_parts([raw])) for raw in SEEDS[:20]] + [
    pack(build()) for name, (build, _) in ARCHIVES.items() if "000" not in name
]
MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
)
QUICK = settings(deadline=None, max_examples=200, derandomize=True, suppress_health_check=list(HealthCheck))


def mutate(raw: bytes, mutations: list[tuple[float, bytes]]) -> bytes:
    changed = bytearray(raw)
    for place, value in mutations:
        start = int(place * len(changed))
        changed[start : start + len(value)] = value
    return bytes(changed)


@QUICK
@given(st.sampled_from(SEEDS), MUTATIONS)
def test_mutated_tars_are_read_to_their_end(raw: bytes, mutations: list[tuple[float, bytes]]) -> None:
    stream = io.BytesIO(mutate(raw, mutations))
    for _, content in read_tar(stream, SMALL):
        for chunk in content:
            assert 0 < len(chunk) <= MIB
    assert stream.read() == b""


@QUICK
@given(st.sampled_from(IMAGES), MUTATIONS)
def test_mutated_images_raise_only_our_errors(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, mutations: list[tuple[float, bytes]]
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "mutated.tar"
    path.write_bytes(mutate(raw, mutations))
    with suppress(IrError), open_image(path, limits=SMALL) as source:
        for image in source.images:
            merge(read_layers(source, image), SMALL)


@QUICK
@given(st.binary(max_size=3000), st.sampled_from([build() for build, _ in STREAMS.values()]), st.integers(1, 100))
def test_any_compressed_stream_ends(noise: bytes, seed: bytes, step: int) -> None:
    for raw in (
        noise,
        seed[: len(seed) // 2] + noise,
        b"\x1f\x8b\x08" + noise,
        b"\x28\xb5\x2f\xfd" + noise,
        b"BZh9" + noise,
    ):
        stream = decompress(io.BytesIO(raw), SMALL, ignore)
        while chunk := stream.read(step):
            assert len(chunk) <= max(step, 6)


@QUICK
@given(st.binary(max_size=300))
def test_names_never_lead_out(name: bytes) -> None:
    path = normalize(name, SMALL, ignore, 0)
    if path is not None:
        assert not path.startswith(b"/")
        assert not {b"..", b"."} & set(path.split(b"/"))
        _, target = classify(path)
        assert b".." not in target.split(b"/")


@QUICK
@given(st.binary(min_size=512, max_size=512))
def test_the_fast_checksum_is_the_slow_one(block: bytes) -> None:
    summed = sum(block[:148] + b" " * 8 + block[156:])
    sparse = bytes(300) + block[300:]
    for candidate in (block, sparse):
        total = sum(candidate[:148] + b" " * 8 + candidate[156:])
        fitted = candidate[:148] + b"%06o\0 " % total + candidate[156:]
        assert has_valid_checksum(fitted)
        wrong = candidate[:148] + b"%06o\0 " % (total ^ 1) + candidate[156:]
        assert not has_valid_checksum(wrong) or summed != total ^ 1
        aliased = candidate[:148] + b"%07o\0" % (total + 65521) + candidate[156:]
        assert not has_valid_checksum(aliased)


def fit_checksum(block: bytes) -> bytes:
    """Return the block with a right checksum."""
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:]


@QUICK
@given(
    st.sampled_from([header(b"usr/bin/x", 77, kind) for kind in (b"0", b"2", b"5", b"1", b"\0")]),
    st.lists(st.tuples(st.integers(0, 511), st.sampled_from(b"\0 01789/.u\x80\xff")), max_size=5),
    st.booleans(),
)
def test_the_short_way_is_the_long_way(raw: bytes, changes: list[tuple[int, int]], fit: bool) -> None:
    block = bytearray(raw)
    for place, value in changes:
        block[place] = value
    changed = fit_checksum(bytes(block)) if fit else bytes(block)
    short = make_plain_member(changed, 512, "")
    if short is not None:
        assert has_valid_checksum(changed)
        complaints: list[object] = []
        assert short == make_member(parse_header(changed), 512, "", complaints.append)
        assert (complaints, parse_header(changed).bad_fields) == ([], ())
    elif not changes and raw[156:157] == b"0":
        raise AssertionError("an ordinary header went the long way")


@QUICK
@given(st.integers(-(1 << 62), 1 << 62))
def test_numbers_as_tarfile_writes_them(value: int) -> None:
    assert parse_number(tarfile.itn(value, 12, tarfile.GNU_FORMAT)) == value


@QUICK
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(blacklist_characters="\0/", blacklist_categories=["Cs"]), min_size=1, max_size=200),
            st.binary(max_size=2000),
            st.integers(0, 0o7777),
            st.integers(0, 1 << 40),
        ),
        max_size=8,
        unique_by=lambda item: item[0],
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_what_tarfile_writes_is_read_back(files: list[tuple[str, bytes, int, int]], form: int) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for name, content, mode, time in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), mode, time
            archive.addfile(info, io.BytesIO(content))
    problems: list[object] = []
    found = [
        (os.fsdecode(member.name), b"".join(content), member.mode, member.mtime_ns // 10**9)
        for member, content in read_tar(io.BytesIO(raw.getvalue()), report=problems.append)
    ]
    assert found == files
    assert problems == []
