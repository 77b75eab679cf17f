"""Bounded streaming reader of hostile tar: one pass, forward only, to the true end of the stream.

Never seeks, never creates anything, never stops silently: what no honest writer writes is reported as an
:class:`Anomaly` and reading goes on behind it. Differences between readers are decided as Go's archive/tar decides
(Docker, containerd and Podman run it), because that is what became the container's file system.
"""

from __future__ import annotations

from collections.abc import Iterator

from forensics.archive.content import (
    EMPTY,
    BlockSource,
    ChunkReader,
    DistrustedContent,
    MemberContent,
    ReadableStream,
    SparseContent,
)
from forensics.archive.headers import (
    BLOCK,
    ZERO_BLOCK,
    RawHeader,
    has_valid_checksum,
    is_plausible_header,
    parse_header,
)
from forensics.archive.limits import DEFAULT_LIMITS, MIB, Anomaly, Limits, Report, ignore
from forensics.archive.members import (
    NO_EXTENSIONS,
    TarMember,
    make_member,
    override_header,
    override_member,
)
from forensics.archive.pax import NO_OVERRIDES, parse_overrides, parse_records
from forensics.archive.plain import make_plain_member
from forensics.archive.sparse import SparseMap, check_map, parse_old_gnu, parse_pax
from forensics.text import show

__all__ = [
    "DEFAULT_LIMITS",
    "Anomaly",
    "ChunkReader",
    "Limits",
    "MemberContent",
    "ReadableStream",
    "TarMember",
    "is_tar",
    "read_tar",
]

_EXTENSIONS = frozenset(b"xXgLKVN")
_TYPE = 156
_END_BLOCKS = 2


def read_tar(
    stream: ReadableStream, limits: Limits = DEFAULT_LIMITS, report: Report = ignore
) -> Iterator[tuple[TarMember, MemberContent]]:
    """Yield every member of *stream* with its content, which must be read before the next member is asked for.

    Guarantees: memory bounded by *limits* and one chunk; the stream is read to its end, whatever it holds; never
    raises for what the archive contains (errors of *stream* itself pass through).
    """
    return _TarReader(stream, limits, report).read()


def is_tar(head: bytes) -> bool:
    """Tell whether *head*, the first 512 bytes or more, begins a tar archive (an empty one counts)."""
    block = head[:BLOCK]
    return len(block) == BLOCK and (block == ZERO_BLOCK or is_plausible_header(block))


class _TarReader:
    def __init__(self, stream: ReadableStream, limits: Limits, report: Report) -> None:
        self._source = BlockSource(stream)
        self._limits = limits
        self._report = report
        self._hidden_by = ""
        self._searching = False
        self._distrusted = False
        self._holes_left = limits.max_hole_bytes
        self._extensions = NO_EXTENSIONS

    def read(self) -> Iterator[tuple[TarMember, MemberContent]]:
        source = self._source
        left = self._limits.max_entries
        for offset, block, plain in self._header_blocks():
            if plain is None and block[_TYPE] in _EXTENSIONS:
                self._read_extension(parse_header(block), offset)
                continue
            if left <= 0:
                self._complain("too-many-entries", f"more than {self._limits.max_entries} members", offset)
                while source.take_some(MIB):
                    pass
                return
            left -= 1
            if plain is not None:
                member = plain
                content = MemberContent(source, size) if (size := plain.size_bytes) else EMPTY
            else:
                member, content = self._make_unusual(block, offset)
            yield member, content
            if content is not EMPTY:
                content.finish()
                if content.truncated:
                    self._complain("truncated-member", "a member ends before its header says", offset, member.name)

    def _header_blocks(self) -> Iterator[tuple[int, bytes, TarMember | None]]:
        """Yield the blocks that are headers, up to the true end of the stream; with the member of an ordinary one."""
        zeros = 0
        source = self._source
        while True:
            offset = source.offset
            block = source.take(BLOCK)
            if block == ZERO_BLOCK:
                zeros += 1
                continue
            if len(block) < BLOCK:
                self._note_end(block, offset, zeros)
                return
            if zeros:
                self._note_zeros(zeros, offset)
                zeros = 0
            if self._extensions is NO_EXTENSIONS and not self._searching:
                plain = make_plain_member(block, offset, self._hidden_by)
                if plain is not None:
                    yield offset, block, plain
                    continue
            if self._searching:
                if not is_plausible_header(block):
                    continue
                self._searching = False
            elif not has_valid_checksum(block) and not self._is_distrusted_header(block, offset):
                continue
            yield offset, block, None

    def _note_zeros(self, zeros: int, offset: int) -> None:
        if zeros >= _END_BLOCKS:
            self._complain("data-after-end", "data follows the end-of-archive marker", offset)
            self._hidden_by = "end-marker"
            self._searching = True
        elif not self._hidden_by:
            self._complain("lone-zero-block", "a single zero block stands between members", offset - BLOCK)
            self._hidden_by = "lone-zero-block"

    def _note_end(self, rest: bytes, offset: int, zeros: int) -> None:
        if rest.strip(b"\0") and not self._searching:
            self._complain("truncated-header", "the archive ends in the middle of a header", offset)
        elif zeros < _END_BLOCKS and not self._hidden_by:
            self._complain("no-end-marker", "the archive ends without its end marker", offset)
        if self._extensions is not NO_EXTENSIONS:
            self._complain("dangling-extension", "an extended header has no member to extend", offset)

    def _is_distrusted_header(self, block: bytes, offset: int) -> bool:
        """Report a bad checksum; true if the rest of the header is sound, else the next sound one is searched for."""
        header = parse_header(block)
        self._complain("bad-checksum", "a header's checksum is wrong; readers stop here", offset, header.name)
        self._hidden_by = self._hidden_by or "bad-checksum"
        self._distrusted = (
            block[257:262] == b"ustar"
            and not header.bad_fields
            and header.size >= 0
            and block[_TYPE] in b"\x00012345678"
        )
        self._searching = not self._distrusted
        if self._searching:
            self._extensions = NO_EXTENSIONS
        return self._distrusted

    def _read_extension(self, header: RawHeader, offset: int) -> None:
        """Read a PAX or GNU extension header, which describes the next member."""
        body = MemberContent(self._source, max(header.size, 0))
        if header.size < 0 or "size" in header.bad_fields:
            self._complain("bad-field", "an extended header has an impossible size", offset)
        if header.typeflag in b"VN":
            self._complain("unknown-type", f"a member of type {show(header.typeflag)}, skipped", offset, header.name)
        elif header.size > self._limits.max_header_bytes:
            self._complain("header-too-large", f"an extended header claims {header.size} bytes; skipped", offset)
        else:
            self._keep_extension(header.typeflag, b"".join(body), offset)
        body.finish()
        if body.truncated:
            self._complain("truncated-header", "the archive ends in the middle of an extended header", offset)

    def _keep_extension(self, kind: bytes, raw: bytes, offset: int) -> None:
        if kind == b"g":
            if {key for key, _ in parse_records(raw, self._report, offset + BLOCK)} - {b"comment"}:
                self._complain("global-header", "a global header, which engines ignore and other readers obey", offset)
            return
        known = self._extensions
        if kind in b"xX":
            repeated = bool(known.records)
            self._extensions = known._replace(records=parse_records(raw, self._report, offset + BLOCK))
        elif kind == b"L":
            repeated = known.long_name is not None
            self._extensions = known._replace(long_name=raw.partition(b"\0")[0])
        else:
            repeated = known.long_link is not None
            self._extensions = known._replace(long_link=raw.partition(b"\0")[0])
        if repeated:
            self._complain("repeated-extension", "two extended headers of one kind for one member", offset)

    def _make_unusual(self, block: bytes, offset: int) -> tuple[TarMember, MemberContent]:
        """Make a member the long way."""
        header = parse_header(block)
        if self._extensions is not NO_EXTENSIONS or header.size < 0 or header.bad_fields or self._distrusted:
            return self._make_extended(header, block, offset)
        if header.typeflag == b"S":
            return self._make_extended(header, block, offset)
        member = make_member(header, offset, self._hidden_by, self._report)
        return member, MemberContent(self._source, member.size_bytes) if member.size_bytes else EMPTY

    def _make_extended(self, header: RawHeader, block: bytes, offset: int) -> tuple[TarMember, MemberContent]:
        """Make a member of everything that may describe it: extensions, a sparse map, wrong fields."""
        extensions, self._extensions = self._extensions, NO_EXTENSIONS
        distrusted, self._distrusted = self._distrusted, False
        overrides = NO_OVERRIDES
        if extensions.records:
            overrides = parse_overrides(extensions.records, self._limits, self._report, offset)
        header = override_header(header, extensions, overrides, self._report, offset)
        member = override_member(make_member(header, offset, self._hidden_by, self._report), overrides, extensions)
        data_offset = self._source.offset
        sparse = self._read_sparse_map(member, header.typeflag, block)
        stored = member.size_bytes
        if header.typeflag != b"S":
            stored = max(0, stored - (self._source.offset - data_offset))
        member = member._replace(data_offset=self._source.offset)
        if sparse:
            return member._replace(size_bytes=sparse.real_size), self._open_sparse(member, sparse, stored)
        if not stored:
            return member, EMPTY
        return member, (DistrustedContent if distrusted else MemberContent)(self._source, stored)

    def _read_sparse_map(self, member: TarMember, typeflag: bytes, block: bytes) -> SparseMap | None:
        if typeflag not in b"\x0007S":
            return None
        before = self._source.offset
        try:
            if typeflag == b"S":
                sparse: SparseMap | None = parse_old_gnu(block, self._next_block, self._limits)
            else:
                sparse = parse_pax(member.pax, self._next_block, self._limits)
            if sparse:
                check_map(sparse, member.size_bytes)
        except ValueError as error:
            self._complain("bad-sparse-map", str(error), before, member.name)
            return None
        return sparse

    def _next_block(self) -> bytes:
        return self._source.take(BLOCK)

    def _open_sparse(self, member: TarMember, sparse: SparseMap, stored: int) -> MemberContent:
        holes = sparse.real_size - stored
        if holes <= self._holes_left:
            self._holes_left -= holes
            return SparseContent(self._source, stored, sparse.segments, sparse.real_size)
        message = f"a sparse file claims {sparse.real_size} bytes and stores {stored}; only those are read"
        self._complain("sparse-claim", message, member.header_offset, member.name)
        content = MemberContent(self._source, stored)
        content.partial = True
        return content

    def _complain(self, code: str, message: str, offset: int, path: bytes = b"") -> None:
        self._report(Anomaly(code, message, offset, path))
