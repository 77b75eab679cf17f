"""Turns the members of one layer into its tree while they stream by: one pass, content hashed and shown on the way."""

from __future__ import annotations

from hashlib import sha256

from forensics.archive.content import EMPTY, MemberContent
from forensics.archive.index import (
    LINK,
    OPAQUE,
    WHITEOUT,
    Row,
    Table,
    is_directory,
    make_key,
    pack,
    pack_file,
    unpack,
)
from forensics.archive.layertree import HiddenFile, LayerTree
from forensics.archive.limits import Anomaly, Limits, Report
from forensics.archive.members import TarMember
from forensics.archive.names import Kind, NameResolver, normalize
from forensics.archive.nouns import Layer
from forensics.archive.visitor import Visitor, digest_content, hash_content, spool_content
from forensics.archive.whiteout import (
    OVERLAY_XATTRS,
    PLINK_FOLDER,
    Mark,
    classify,
    has_overlay_marks,
    is_overlay_mark,
    is_overlay_opaque,
    is_overlay_whiteout,
)
from forensics.model import EntryType, FileEntry
from forensics.text import show

_EMPTY_DIGEST = sha256().digest()
_EMPTY_SHA256 = _EMPTY_DIGEST.hex()
_NEW = tuple.__new__
_LOOKED_AT = (b"", b".")
"""First characters of names that may be marks, or lead elsewhere."""
_MAX_PLAIN = 4096
_MAX_HIDDEN = 10_000
_MAX_LINKS = 100_000


class LayerBuilder:
    """Collects members; :meth:`finish` gives the tree."""

    def __init__(self, layer: Layer, table: Table, limits: Limits, report: Report, visit: Visitor | None) -> None:
        """Build into *table*; *visit* is called with the content of every regular file."""
        self._tree = LayerTree(layer, table)
        self._layer = layer
        self._index = layer.index
        self._max_plain = min(_MAX_PLAIN, limits.max_path_bytes)
        self._table = table
        self._append_row = table.append
        self._limits = limits
        self._report = report
        self._visit = visit
        self._sequence = 0
        self._remembered = 0
        self._plinks: dict[bytes, bytes] = {}
        self._marked_folders: set[bytes] = set()
        self._marks: list[tuple[bytes, bytes]] = []
        self._names = NameResolver(self._look_up)

    def finish(self) -> LayerTree:
        """Return the tree."""
        for path, packed in self._marks:
            marked = path.rpartition(b"/")[0] in self._marked_folders
            self._append(path, WHITEOUT if marked else 0, b"" if marked else packed)
        self._table.freeze()
        self._tree.members = self._sequence
        return self._tree

    def add(self, member: TarMember, content: MemberContent) -> None:
        """Take the next member and read its content."""
        self._sequence += 1
        if (content is EMPTY or self._visit is None) and member.type is EntryType.FILE and not member.xattrs:
            name = member.name
            cut = name.rfind(b"/") + 1
            prefix = self._names.prefixes.get(name[:cut])
            if prefix is not None and name[cut : cut + 1] not in _LOOKED_AT and not member.hidden_by:
                path = prefix + name[cut:]
                if len(path) <= self._max_plain and not member.hard_link:
                    self._place_file(member, content, path)
                    return
        self._add_unusual(member, content)

    def _place_file(self, member: TarMember, content: MemberContent, path: bytes) -> None:
        """Take a regular file in a folder that is known to be one: the short way of what :meth:`_place` does."""
        self._names.note_file(path)
        _, _, mode, uid, gid, size, mtime, _, _, _, _, _, _, _, _, atime, ctime = member
        digest: bytes | None = None
        if content is not EMPTY:
            whole = content.take_whole()
            if whole is not None:
                digest = sha256(whole).digest()
            else:
                read = digest_content(content)
                digest = read if content.complete else None
        elif not size:
            digest = _EMPTY_DIGEST
        packed = pack_file(mode, uid, gid, size, mtime, digest, atime, ctime)
        self._append_row(_NEW(Row, (path.replace(b"/", b"\0"), self._sequence, 0, self._index, packed)))

    def _add_unusual(self, member: TarMember, content: MemberContent) -> None:
        path = normalize(member.name, self._limits, self._report, member.header_offset)
        if path is None:
            self._hide(member, content, member.name, "outside the root")
        elif member.hidden_by == "end-marker":
            self._hide(member, content, path, "behind the end marker")
        elif self._layer.whiteouts:
            self._add_marked(member, content, path)
        else:
            self._place(member, content, path)

    def _add_marked(self, member: TarMember, content: MemberContent, path: bytes) -> None:
        mark, target = classify(path)
        if is_overlay_whiteout(member):
            mark, target = Mark.WHITEOUT, path
        if mark is Mark.NONE:
            self._place(member, content, path)
        elif mark is Mark.META:
            self._add_meta(member, content, path)
        elif mark is Mark.BAD:
            self._complain("bad-whiteout", f"a whiteout of nothing: {show(path, 200)}", member)
            self._hide(member, content, path, "a whiteout of nothing")
        else:
            resolved = self._resolve(member, target)
            if resolved is None:
                self._hide(member, content, path, "below something that is no folder")
            elif resolved or mark is Mark.OPAQUE:
                self._append(resolved, WHITEOUT if mark is Mark.WHITEOUT else OPAQUE, b"")
            if member.size_bytes:
                self._complain("whiteout-with-content", f"a whiteout holds {member.size_bytes} bytes", member)
                self._hide(member, content, path, "the content of a whiteout")

    def _add_meta(self, member: TarMember, content: MemberContent, path: bytes) -> None:
        """AUFS keeps hard-linked inodes in ``.wh..wh.plnk``; links lead there, engines show the folder to nobody."""
        if member.type is EntryType.DIRECTORY:
            return
        entry = self._hide(member, content, path, "AUFS metadata")
        if path.startswith(PLINK_FOLDER) and len(self._plinks) < _MAX_LINKS and self._may_remember(entry):
            self._plinks[path] = pack(entry)

    def _place(self, member: TarMember, content: MemberContent, path: bytes) -> None:
        resolved = self._resolve(member, path)
        if resolved is None:
            reason = "in one of too many folders" if self._names.is_exhausted else "below something that is no folder"
            self._hide(member, content, path, reason)
        elif member.hard_link:
            self._add_link(member, resolved)
        elif not resolved and member.type is not EntryType.DIRECTORY:
            self._complain("bad-root", "a member replaces the root itself", member)
            self._hide(member, content, path, "in place of the root")
        else:
            shown = self._hide_overlay_marks(member) if member.xattrs else member
            entry = self._make_entry(shown, content, resolved)
            self._names.note_entry(resolved, entry.type)
            if resolved == path:
                self._names.note_prefix(member.name, path)
            flags = self._note_overlay_marks(member, resolved, entry) if shown is not member else 0
            if flags is not None:
                self._append(resolved, flags, pack(entry))

    def _note_overlay_marks(self, member: TarMember, path: bytes, entry: FileEntry) -> int | None:
        """Return the flags of a folder with overlayfs' own marks; None for what is or may be a whiteout."""
        if has_overlay_marks(member) and len(self._marked_folders) < _MAX_LINKS:
            self._marked_folders.add(path)
        elif is_overlay_mark(member) and len(self._marks) < _MAX_LINKS:
            self._marks.append((path, pack(entry)))
            return None
        return OPAQUE if is_overlay_opaque(member) else 0

    def _hide_overlay_marks(self, member: TarMember) -> TarMember:
        """Leave out the attributes that overlayfs keeps for itself and never shows."""
        if self._layer.whiteouts and any(name.startswith(OVERLAY_XATTRS) for name, _ in member.xattrs):
            self._complain("overlay-xattr", "an extended attribute that steers overlayfs itself", member)
            shown = tuple(pair for pair in member.xattrs if not pair[0].startswith(OVERLAY_XATTRS[0]))
            return member._replace(xattrs=shown)
        return member

    def _resolve(self, member: TarMember, path: bytes) -> bytes | None:
        resolved = self._names.resolve(path)
        if resolved is None and self._names.is_exhausted:
            self._complain("too-many-folders", "too many folders; members in new ones are read but not placed", member)
        elif resolved is None:
            self._complain("below-a-file", f"{show(path, 200)} lies below something that is no folder", member)
        elif resolved != path:
            message = f"{show(path, 200)} lies behind a link; the engine writes {show(resolved, 200)}"
            self._complain("through-symlink", message, member)
        return resolved

    def _add_link(self, member: TarMember, path: bytes) -> None:
        raw = member.link_target or b""
        target = normalize(raw, self._limits, self._report, member.header_offset)
        target = self._names.resolve(target) if target else None
        if target is None or target == path:
            self._complain("bad-hard-link", f"a hard link to {show(raw, 200)}, where it cannot lead", member)
            return
        row = self._table.get_last(make_key(target))
        packed = self._plinks.get(target) or (row.packed if row else b"")
        if row is not None and row.flags & LINK:
            self._append(path, LINK, b"")
            self._remember_link(path, row.packed)
        elif not packed:
            self._append(path, LINK, b"")
            self._remember_link(path, target)
        elif is_directory(Row(b"", 0, 0, 0, packed)):
            self._complain("bad-hard-link", f"a hard link to the folder {show(target, 200)}", member)
        else:
            self._names.note_entry(path, EntryType.FILE)
            self._append(path, 0, packed)

    def _remember_link(self, path: bytes, target: bytes) -> None:
        """A link to a file that only a lower layer can have; the merge looks it up."""
        self._remembered += len(path) + len(target)
        if len(self._tree.links) < _MAX_LINKS and self._remembered < self._limits.memory_bytes:
            self._tree.links.append((make_key(path), target))
        else:
            message = "more hard links to lower layers than are followed; the others are left out"
            self._report(Anomaly("too-many-links", message))

    def _make_entry(self, member: TarMember, content: MemberContent, path: bytes) -> FileEntry:
        sha256: str | None = None
        if member.type is EntryType.FILE:
            if self._visit is not None and content is not EMPTY:
                return self._show_content(member, content, path)
            sha256 = hash_content(content) if content is not EMPTY else _EMPTY_SHA256
            if not content.complete or (content is EMPTY and member.size_bytes):
                sha256 = None
        return self._describe(member, path, sha256)

    def _describe(self, member: TarMember, path: bytes, sha256: str | None) -> FileEntry:
        return FileEntry(
            path,
            member.type,
            member.mode,
            member.uid,
            member.gid,
            member.size_bytes if member.type is EntryType.FILE else 0,
            member.mtime_ns,
            self._layer.index,
            member.link_target,
            member.device,
            sha256,
            member.xattrs,
            member.atime_ns,
            member.ctime_ns,
        )

    def _show_content(self, member: TarMember, content: MemberContent, path: bytes) -> FileEntry:
        """Hash the content and show it; what is cut off has no digest but is shown all the same."""
        held = spool_content(content, self._limits.memory_content_bytes)
        try:
            entry = self._describe(member, path, held.sha256 if content.complete else None)
            if self._visit is not None:
                self._visit(entry, held)
        finally:
            held.close()
        return entry

    def _hide(self, member: TarMember, content: MemberContent, path: bytes, reason: str) -> FileEntry:
        entry = self._make_entry(member, content, path)
        if len(self._tree.hidden) < _MAX_HIDDEN and self._may_remember(entry):
            self._tree.hidden.append(HiddenFile(entry, reason))
        else:
            message = "more members that no engine shows than are listed; their contents were read all the same"
            self._report(Anomaly("too-many-hidden", message))
        return entry

    def _may_remember(self, entry: FileEntry) -> bool:
        """Tell whether there is memory left for an entry that is kept beside the table."""
        self._remembered += len(entry.path) + sum(len(name) + len(value) for name, value in entry.xattrs)
        return self._remembered < self._limits.memory_bytes

    def _append(self, path: bytes, flags: int, packed: bytes) -> None:
        self._table.append(Row(make_key(path), self._sequence, flags, self._layer.index, packed))

    def _look_up(self, path: bytes) -> Kind | None:
        row = self._table.get_last(make_key(path))
        if row is None or not row.packed:
            return None
        entry = unpack(row)
        return entry.type, entry.link_target

    def _complain(self, code: str, message: str, member: TarMember) -> None:
        self._report(Anomaly(code, message, member.header_offset, member.name))
