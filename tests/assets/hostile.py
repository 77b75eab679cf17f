"""Hostile layers and archives, each named by its defect and built here, so that anyone can see what is wrong with it.

``LAYERS`` are tars that stand for a layer (or a flat root); ``ARCHIVES`` are parts of a saved image. Each comes with
the codes that the readers must report. To add one: write a function, and list it with its codes.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable

import zstandard
from assets.images import OciLayout, docker_parts, make_config, sha256

BLOCK = 512
END = bytes(2 * BLOCK)
PAYLOAD = b"payload of the attacker\n"


def header(name: bytes, length: int = 0, kind: bytes = b"0", link: bytes = b"", **fields: bytes) -> bytes:
    """Return one ustar header with a right checksum; *fields* replace raw fields."""
    values = {
        "name": name,
        "mode": b"0000644\0",
        "uid": b"0000000\0",
        "gid": b"0000000\0",
        "size": b"%011o\0" % length,
        "mtime": b"14000000000\0",
        "link": link,
        "magic": b"ustar\x0000",
        "major": b"0000000\0",
        "minor": b"0000000\0",
        "prefix": b"",
        **fields,
    }
    widths = {"name": 100, "mode": 8, "uid": 8, "gid": 8, "size": 12, "mtime": 12}
    block = b"".join(values[key].ljust(width, b"\0")[:width] for key, width in widths.items())
    block += b" " * 8 + kind + values["link"].ljust(100, b"\0") + values["magic"] + bytes(64)
    block += values["major"] + values["minor"] + values["prefix"].ljust(155, b"\0")
    block = block.ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def pad(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def member(name: bytes, content: bytes = b"", **options: bytes) -> bytes:
    return header(name, len(content), **options) + pad(content)


def folder(name: bytes) -> bytes:
    return header(name, kind=b"5")


def spoil(block: bytes) -> bytes:
    """Return a header whose checksum is wrong."""
    return block[:148] + b"000001\0 " + block[156:]


def record(key: bytes, value: bytes) -> bytes:
    """Return one PAX record, with its own length in it."""
    length = len(key) + len(value) + 3
    while len(str(length)) + len(key) + len(value) + 3 != length:
        length = len(str(length)) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return header(b"PaxHeader", len(records), kind) + pad(records)


def _number(value: int) -> bytes:
    return b"\x80" + value.to_bytes(11, "big")


def old_sparse(real_size: int, segments: list[tuple[int, int]], stored: bytes, extended: bool = False) -> bytes:
    block = bytearray(header(b"sparse", len(stored), b"S", magic=b"ustar  \0"))
    position = 386
    for offset, length in segments:
        block[position : position + 24] = _number(offset) + _number(length)
        position += 24
    block[482] = int(extended)
    block[483:495] = b"\x80" + real_size.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + pad(stored)


GOOD = member(b"good", b"good\n")
LAST = member(b"last", b"last\n")


def sparse_1_0(real_size: int, table: bytes, stored: bytes) -> bytes:
    records = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")
    records += record(b"GNU.sparse.name", b"sparse") + record(b"GNU.sparse.realsize", b"%d" % real_size)
    return pax(records) + member(b"GNUSparseFile.0/sparse", pad(table) + stored)


LAYERS: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "name-with-dotdot": (lambda: member(b"../../etc/cron.d/evil", PAYLOAD) + END, {"path-traversal"}),
    "name-with-inner-dotdot": (lambda: member(b"usr/../etc/evil", PAYLOAD) + END, {"path-traversal"}),
    "name-absolute": (lambda: member(b"/etc/cron.d/evil", PAYLOAD) + END, {"absolute-name"}),
    "symlink-then-through-it": (
        lambda: header(b"out", kind=b"2", link=b"/etc") + member(b"out/evil", PAYLOAD) + END,
        {"through-symlink"},
    ),
    "symlink-dotdot-then-through-it": (
        lambda: header(b"out", kind=b"2", link=b"../../../../tmp") + member(b"out/evil", PAYLOAD) + END,
        {"through-symlink"},
    ),
    "symlink-loop": (
        lambda: header(b"a", kind=b"2", link=b"b") + header(b"b", kind=b"2", link=b"a") + member(b"a/x", PAYLOAD) + END,
        {"below-a-file"},
    ),
    "hardlink-outside": (
        lambda: header(b"x", kind=b"1", link=b"../../../etc/shadow") + END,
        {"path-traversal", "bad-hard-link"},
    ),
    "hardlink-absolute": (
        lambda: header(b"x", kind=b"1", link=b"/etc/shadow") + END,
        {"absolute-name", "dangling-hard-link"},
    ),
    "hardlink-to-itself": (lambda: header(b"x", kind=b"1", link=b"x") + END, {"bad-hard-link"}),
    "hardlink-to-folder": (lambda: folder(b"d/") + header(b"x", kind=b"1", link=b"d") + END, {"bad-hard-link"}),
    "below-a-file": (lambda: GOOD + member(b"good/x", PAYLOAD) + END, {"below-a-file"}),
    "whiteout-of-nothing": (lambda: member(b".wh.") + END, {"bad-whiteout"}),
    "whiteout-of-parent": (lambda: member(b"d/.wh...") + END, {"bad-whiteout"}),
    "whiteout-outside": (lambda: member(b"../.wh.x") + END, {"path-traversal"}),
    "whiteout-with-content": (lambda: member(b".wh.x", PAYLOAD) + END, {"whiteout-with-content"}),
    "overlay-redirect": (
        lambda: pax(record(b"SCHILY.xattr.trusted.overlay.redirect", b"/etc")) + folder(b"d") + END,
        {"overlay-xattr"},
    ),
    "root-as-symlink": (lambda: header(b"./", kind=b"2", link=b"/etc") + END, {"bad-root"}),
    "long-name-of-3-gib": (
        lambda: header(b"././@LongLink", 3 << 30, b"L") + GOOD + END,
        {"header-too-large", "truncated-header", "no-end-marker"},
    ),
    "pax-of-7-gib": (
        lambda: header(b"p", (8 << 30) - 1, b"x") + GOOD + END,
        {"header-too-large", "truncated-header", "no-end-marker"},
    ),
    "pax-of-2-mib": (
        lambda: pax(record(b"path", b"a" * (2 << 20))) + GOOD + END,
        {"header-too-large"},
    ),
    "pax-length-zero": (lambda: pax(b"0 path=x\n") + GOOD + END, {"bad-pax-record"}),
    "pax-length-beyond": (lambda: pax(b"9999 path=x\n") + GOOD + END, {"bad-pax-record"}),
    "pax-nan-time": (lambda: pax(record(b"mtime", b"nan")) + GOOD + END, {"bad-field"}),
    "pax-infinite-time": (lambda: pax(record(b"mtime", b"1e999")) + GOOD + END, {"bad-field"}),
    "pax-huge-time": (lambda: pax(record(b"mtime", b"9" * 5000)) + GOOD + END, {"bad-field"}),
    "pax-negative-size": (lambda: pax(record(b"size", b"-1")) + GOOD + END, {"bad-field"}),
    "pax-size-disagrees": (lambda: pax(record(b"size", b"512")) + member(b"x", b"abc") + LAST + END, {"size-mismatch"}),
    "pax-name-with-nul": (lambda: pax(record(b"path", b"a\0b")) + GOOD + END, {"bad-field"}),
    "pax-global": (lambda: pax(record(b"path", b"evil"), b"g") + GOOD + END, {"global-header"}),
    "pax-xattr-bomb": (
        lambda: pax(b"".join(record(b"SCHILY.xattr.user.%d" % n, b"v" * 4000) for n in range(100))) + GOOD + END,
        {"xattrs-too-large"},
    ),
    "pax-twice": (lambda: pax(record(b"path", b"a")) * 2 + GOOD + END, {"repeated-extension"}),
    "pax-without-member": (lambda: GOOD + pax(record(b"path", b"a")) + END, {"dangling-extension"}),
    "size-negative": (lambda: negative_size() + LAST + END, {"bad-field"}),
    "size-no-number": (lambda: refit(b"x", size=b"12z4567890\0\0") + LAST + END, {"bad-field"}),
    "size-of-8-eib": (
        lambda: refit(b"x", size=b"\x80\0\0\0\x7f" + b"\xff" * 7) + LAST + END,
        {"truncated-member", "no-end-marker"},
    ),
    "uid-beyond-64-bits": (lambda: refit(b"x", uid=b"\x80" + b"\xff" * 7) + LAST + END, set()),
    "folder-with-data": (
        lambda: header(b"d/", 512, b"5") + member(b"inside-the-data", PAYLOAD) + END,
        {"size-without-data"},
    ),
    "hardlink-with-data": (
        lambda: GOOD + header(b"l", 512, b"1", b"good") + member(b"inside-the-data", PAYLOAD) + END,
        {"size-without-data"},
    ),
    "type-dump-directory-with-content": (lambda: member(b"x", PAYLOAD, kind=b"D") + END, {"unknown-type"}),
    "type-unknown": (lambda: member(b"x", PAYLOAD, kind=b"Q") + END, {"unknown-type"}),
    "sparse-of-8-tib": (
        lambda: old_sparse(8 << 40, [(0, 4), ((8 << 40) - 1, 0)], b"data") + LAST + END,
        {"sparse-claim"},
    ),
    "sparse-overlap": (lambda: old_sparse(100, [(0, 4), (2, 4)], b"datadata") + LAST + END, {"bad-sparse-map"}),
    "sparse-not-stored": (lambda: old_sparse(1 << 30, [(0, 1 << 29)], b"data") + LAST + END, {"bad-sparse-map"}),
    "sparse-map-without-end": (
        lambda: old_sparse(100, [(0, 4)], b"", extended=True) + (b"\xff" * BLOCK) * 3,
        {"bad-sparse-map", "no-end-marker"},
    ),
    "sparse-1.0-of-1-eib": (lambda: sparse_1_0(1 << 60, b"1\n0\n4\n", b"data") + LAST + END, {"sparse-claim"}),
    "sparse-1.0-endless-map": (lambda: sparse_1_0(9, b"99999999999\n", b"data") + LAST + END, {"bad-sparse-map"}),
    "sparse-1.0-map-of-garbage": (lambda: sparse_1_0(9, b"x" * 4000, b"data") + LAST + END, {"bad-sparse-map"}),
    "checksum-bad-in-the-middle": (
        lambda: GOOD + spoil(header(b"bad", len(PAYLOAD))) + pad(PAYLOAD) + LAST + END,
        {"bad-checksum"},
    ),
    "checksum-bad-and-size-a-lie": (
        lambda: GOOD + spoil(header(b"bad", 1 << 20)) + pad(PAYLOAD) + LAST + END,
        {"bad-checksum", "truncated-member"},
    ),
    "header-of-garbage": (lambda: GOOD + b"\xa5" * BLOCK * 3 + LAST + END, {"bad-checksum"}),
    "member-behind-the-end": (lambda: GOOD + END + LAST + END, {"data-after-end"}),
    "garbage-behind-the-end": (lambda: GOOD + END + b"secret channel" * 100, {"data-after-end"}),
    "lone-zero-block": (lambda: GOOD + bytes(BLOCK) + LAST + END, {"lone-zero-block"}),
    "no-end-marker": (lambda: GOOD + LAST, {"no-end-marker"}),
    "truncated-in-data": (lambda: member(b"x", b"y" * 5000)[:2000], {"truncated-member", "no-end-marker"}),
    "truncated-in-header": (lambda: GOOD + LAST[:300], {"truncated-header"}),
    "one-name-twice": (lambda: member(b"x", PAYLOAD) + member(b"x", b"innocent") + END, {"duplicate-member"}),
    "one-name-file-and-folder": (lambda: member(b"x", PAYLOAD) + folder(b"x/") + END, {"duplicate-member"}),
    "depth-of-5000": (
        lambda: pax(record(b"path", b"a/" * 5000 + b"x")) + member(b"x", PAYLOAD) + END,
        {"path-too-long"},
    ),
    "name-of-1-mib": (
        lambda: pax(record(b"path", b"a" * ((1 << 20) - 20))) + member(b"x", PAYLOAD) + END,
        {"path-too-long"},
    ),
    "name-of-4096-bytes": (
        lambda: pax(record(b"path", (b"n" * 255 + b"/") * 15 + b"n" * 256)) + member(b"x", PAYLOAD) + END,
        set(),
    ),
    "name-with-newline": (lambda: member(b"a\nFAKE LINE\r\n", PAYLOAD) + END, set()),
    "name-with-escapes": (lambda: member(b"\x1b[2J\x1b]0;owned\x07", PAYLOAD) + END, set()),
    "name-right-to-left": (lambda: member("invoice\u202efdp.exe".encode(), PAYLOAD) + END, set()),
    "name-of-html": (lambda: member(b"<script>alert(1)</script>", PAYLOAD) + END, set()),
    "name-not-utf8": (lambda: member(b"\xff\xfe\x80", PAYLOAD) + END, set()),
    "name-empty": (lambda: member(b"", PAYLOAD) + END, {"bad-root"}),
    "name-of-dots": (lambda: member(b"./././.", PAYLOAD) + END, {"bad-root"}),
}


def negative_size() -> bytes:
    return refit(b"x", size=b"\xff" * 12)


def refit(name: bytes, **fields: bytes) -> bytes:
    """Return a header with raw fields, its checksum right."""
    return header(name, **fields)


def gzip_bomb() -> bytes:
    """Return 64 MiB of zeros in one file, in 64 KB."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as file:
        file.write(header(b"zeros", 64 << 20))
        for _ in range(64):
            file.write(bytes(1 << 20))
        file.write(END)
    return raw.getvalue()


def zstd_bomb() -> bytes:
    """Return 256 MiB of zeros in a few KB."""
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    parts = [compressor.compress(header(b"zeros", 256 << 20))]
    parts += [compressor.compress(bytes(1 << 20)) for _ in range(256)]
    return b"".join([*parts, compressor.flush()])


def zstd_huge_window() -> bytes:
    """Return a frame that asks for a window of 2 GiB."""
    parameters = zstandard.ZstdCompressionParameters(window_log=31, compression_level=1, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(GOOD + END) + compressor.flush()


def checked(raw: bytes) -> bytes:
    """Return one zstd frame with a checksum."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(raw)


def skippable(claimed: int, content: bytes) -> bytes:
    """Return a skippable frame (RFC 8878) that claims a length."""
    return b"\x50\x2a\x4d\x18" + claimed.to_bytes(4, "little") + content


STREAMS: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "gzip-corrupt": (lambda: gzip.compress(GOOD + END)[:10] + b"\xff" * 90, {"corrupt-compression"}),
    "gzip-truncated": (lambda: gzip.compress(GOOD + END)[:-12], {"truncated-compression"}),
    "gzip-then-garbage": (lambda: gzip.compress(GOOD + END) + b"garbage behind", {"data-after-compression"}),
    "gzip-wrong-crc": (
        lambda: gzip.compress(GOOD + END)[:-8] + b"\0\0\0\0" + gzip.compress(GOOD + END)[-4:],
        {"corrupt-compression"},
    ),
    "zstd-corrupt": (lambda: zstandard.compress(GOOD * 50 + END)[:-9] + b"\xff" * 9, {"corrupt-compression"}),
    "gzip-in-gzip": (lambda: gzip.compress(gzip.compress(GOOD + END)), {"nested-compression"}),
    "zstd-in-gzip": (lambda: gzip.compress(checked(GOOD + END)), {"nested-compression"}),
    "zstd-truncated": (lambda: checked(GOOD + END)[:-9], {"truncated-compression"}),
    "zstd-second-frame-truncated": (lambda: checked(GOOD) + checked(END)[:-5], {"truncated-compression"}),
    "zstd-checksum-cut-off": (lambda: checked(GOOD + END)[:-1], {"truncated-compression"}),
    "zstd-wrong-checksum": (lambda: checked(GOOD + END)[:-4] + b"evil", {"corrupt-compression"}),
    "zstd-then-garbage": (lambda: checked(GOOD + END) + b"garbage behind", {"corrupt-compression"}),
    "zstd-skippable-of-4-gib": (
        lambda: checked(GOOD) + skippable(0xFFFFFFFF, b"x") + checked(END),
        {"truncated-compression"},
    ),
    "zstd-huge-window": (zstd_huge_window, {"zstd-window"}),
}
"""Compressed layers that are broken."""


def oci(change: Callable[[OciLayout], None]) -> dict[str, bytes]:
    layout = OciLayout()
    layout.add_image([GOOD + END])
    change(layout)
    return layout.finish()


def manifest_with(**fields: object) -> dict[str, bytes]:
    parts = docker_parts([GOOD + END])
    [item] = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps([{**item, **fields}]).encode()
    return parts


def cyclic_index() -> dict[str, bytes]:
    """An index that names itself: the digest cannot be right, and is followed once."""
    digest = "a" * 64
    index = json.dumps(
        {"manifests": [{"digest": f"sha256:{digest}", "mediaType": "application/vnd.oci.image.index.v1+json"}]}
    )

    def change(layout: OciLayout) -> None:
        layout.parts[f"blobs/sha256/{digest}"] = index.encode()
        layout.manifests.append({"digest": f"sha256:{digest}", "size": len(index)})

    return oci(change)


def deep_indexes() -> dict[str, bytes]:
    def change(layout: OciLayout) -> None:
        inner = layout.add_image([LAST + END], listed=False)
        for _ in range(30):
            inner = layout.add_index([inner], listed=False)
        layout.manifests.append(inner)

    return oci(change)


def add(key: str, value: object) -> Callable[[OciLayout], None]:
    return lambda layout: layout.manifests.append({key: value, "size": 3})


def resize(size: object) -> Callable[[OciLayout], None]:
    return lambda layout: layout.manifests[0].update(size=size)


def foreign_history() -> dict[str, bytes]:
    return docker_parts([GOOD + END], config=make_config([GOOD + END], [{"created_by": f"line {n}"} for n in range(9)]))


def packed_by(count: int, build: Callable[[int], bytes]) -> bytes:
    """Return many members in one small zstd stream."""
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    parts = [compressor.compress(build(number)) for number in range(count)]
    return b"".join([*parts, compressor.compress(END), compressor.flush()])


def long_name(number: int, depth: bytes = b"") -> bytes:
    return pax(record(b"path", b"%07d" % number + depth + b"n" * (16_000 - len(depth)))) + member(b"x", b"%d" % number)


MASSES: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "4000-names-of-16-kb": (lambda: packed_by(4000, long_name), set()),
    "4000-folders-of-16-kb": (lambda: packed_by(4000, lambda n: long_name(n, b"n" * 9000 + b"/")), set()),
    "4000-attributes-of-60-kb": (
        lambda: packed_by(
            4000, lambda n: pax(record(b"SCHILY.xattr.user.x", b"%07d" % n + b"v" * 60_000)) + member(b"x%d" % n)
        ),
        set(),
    ),
    "4000-times-one-name-of-16-kb": (
        lambda: packed_by(4000, lambda n: pax(record(b"path", b"n" * 16_000)) + member(b"x", b"%d" % n)),
        {"duplicate-member", "too-many-recovered"},
    ),
    "4000-hidden-of-50-kb": (
        lambda: packed_by(
            4000,
            lambda n: (
                (END if n == 1 else b"")
                + pax(record(b"SCHILY.xattr.user.x", b"%07d" % n + b"v" * 50_000))
                + member(b"x%d" % n)
            ),
        ),
        {"data-after-end", "too-many-hidden"},
    ),
    "400-folders-1000-deep": (
        lambda: packed_by(400, lambda n: pax(record(b"path", b"%d" % n + b"/a" * 1000 + b"/x")) + member(b"x")),
        {"too-many-folders", "too-many-implied"},
    ),
    "120000-links-to-nothing": (
        lambda: packed_by(120_000, lambda n: header(b"l%d" % n, kind=b"1", link=b"nowhere")),
        {"dangling-hard-link", "too-many-links"},
    ),
}
"""Compressed layers in which a little becomes so much that it must not be held in memory."""


def hybrid_that_disagrees() -> dict[str, bytes]:
    """The two tables of contents show different images to different readers."""
    parts = docker_parts([member(b"innocent") + END])
    layout = OciLayout()
    layout.add_image([member(b"evil", PAYLOAD) + END])
    return {**layout.finish(), **parts}


ARCHIVES: dict[str, tuple[Callable[[], dict[str, bytes]], set[str]]] = {
    "manifest-layer-with-dotdot": (
        lambda: manifest_with(Layers=["../../../../../../etc/passwd"]),
        {"path-traversal", "missing-blob"},
    ),
    "manifest-layer-absolute": (lambda: manifest_with(Layers=["/etc/passwd"]), {"path-traversal", "missing-blob"}),
    "manifest-config-with-dotdot": (
        lambda: manifest_with(Config="../../../../../../etc/passwd"),
        {"path-traversal", "missing-blob", "layer-count-mismatch"},
    ),
    "manifest-layer-with-nul": (lambda: manifest_with(Layers=["a\0b"]), {"missing-blob"}),
    "manifest-layer-with-surrogate": (lambda: manifest_with(Layers=["\ud800"]), {"missing-blob"}),
    "manifest-layers-no-list": (lambda: manifest_with(Layers={"a": 1}), {"layer-count-mismatch", "history-mismatch"}),
    "manifest-fields-of-wrong-type": (
        lambda: manifest_with(RepoTags=7, Config=[]),
        {"missing-blob", "layer-count-mismatch"},
    ),
    "manifest-of-20000-layers": (
        lambda: manifest_with(Layers=["x"] * 20_000),
        {"too-many", "history-mismatch", "layer-count-mismatch", "missing-blob"},
    ),
    "config-nested-100000-deep": (
        lambda: docker_parts([GOOD + END], config=b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        {"bad-json", "layer-count-mismatch"},
    ),
    "config-of-a-number": (
        lambda: docker_parts([GOOD + END], config=b"1" * 10_000),
        {"bad-json", "layer-count-mismatch"},
    ),
    "config-key-twice": (
        lambda: docker_parts([GOOD + END], config=b'{"os":"a","os":"b"}'),
        {"duplicate-json-key", "layer-count-mismatch"},
    ),
    "history-longer-than-layers": (foreign_history, {"history-mismatch"}),
    "index-digest-with-slashes": (
        lambda: oci(add("digest", "sha256:../../../../etc/passwd")),
        {"bad-digest"},
    ),
    "index-digest-absolute": (lambda: oci(add("digest", "/etc/passwd")), {"bad-digest"}),
    "index-digest-no-text": (lambda: oci(add("digest", ["sha256"])), {"bad-digest"}),
    "index-digest-missing-blob": (lambda: oci(add("digest", "sha256:" + "0" * 64)), {"missing-blob"}),
    "index-cyclic": (cyclic_index, {"cyclic-index", "digest-mismatch"}),
    "index-30-deep": (deep_indexes, {"cyclic-index"}),
    "index-of-5000-manifests": (
        lambda: oci(lambda layout: layout.manifests.extend([{"digest": "sha256:" + "0" * 64}] * 5000)),
        {"too-many", "missing-blob", "cyclic-index"},
    ),
    "index-digest-in-capitals": (lambda: oci(add("digest", "SHA256:" + "A" * 64)), {"bad-digest"}),
    "index-digest-of-unknown-algorithm": (lambda: oci(add("digest", "md5:" + "0" * 32)), {"bad-digest"}),
    "index-size-negative": (lambda: oci(resize(-5)), {"size-mismatch"}),
    "index-size-nan": (lambda: oci(resize(float("nan"))), {"size-mismatch"}),
    "index-size-of-4000-digits": (lambda: oci(resize(10**4000)), {"size-mismatch"}),
    "index-size-true": (lambda: oci(resize(True)), {"size-mismatch"}),
    "config-of-two-million-lists": (
        lambda: docker_parts([GOOD + END], config=b'{"a":[' + b"[]," * 1_000_000 + b"[]]}"),
        {"document-too-large", "layer-count-mismatch"},
    ),
    "hybrid-that-disagrees": (hybrid_that_disagrees, {"hybrid-mismatch"}),
    "config-named-by-another-digest": (
        lambda: {
            **docker_parts([GOOD + END]),
            f"{sha256(make_config([GOOD + END]))}.json": make_config([GOOD + END], architecture="evil"),
        },
        {"digest-mismatch"},
    ),
}
