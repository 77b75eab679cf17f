"""Stores an engine's ``save`` stream as an OCI image layout, in one pass and without dropping a byte of it.

Every member's content becomes a blob named by the SHA-256 of the bytes as stored. What is not content (headers,
padding, the end marker) goes to ``stream.skeleton``, and ``stream.jsonl`` says where each blob belongs, so that
:func:`read_stream` gives the engine's stream back, byte for byte. Links and devices stay metadata.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from forensics.archive.limits import Anomaly, AnomalyLog
from forensics.archive.tar import ChunkReader, MemberContent, TarMember, read_tar
from forensics.errors import ArchiveError, CaseError
from forensics.evidence import files
from forensics.evidence.acquire import INCOMPLETE, finish_item
from forensics.evidence.activity import describe
from forensics.evidence.clone import clone_file
from forensics.evidence.digests import sha256
from forensics.evidence.door import Door
from forensics.evidence.flush import EarlyFlush
from forensics.evidence.listing import write_listing
from forensics.evidence.oci import Blob, StreamNames, make_layout
from forensics.evidence.readahead import ReadAhead
from forensics.model import EntryType, EvidenceItem, JsonObject, Outcome
from forensics.text import from_bytes

SKELETON = "stream.skeleton"
MEMBERS = "stream.jsonl"
_BLOBS = "blobs/sha256"
_HEAD_BYTES = 4
_MAX_DOCUMENT = 64 << 20
_CHUNK_BYTES = 1 << 20
_TRUNCATED = frozenset({"truncated-member", "truncated-header", "no-end-marker"})


def acquire_image(door: Door, draft: EvidenceItem, chunks: Iterable[bytes]) -> EvidenceItem:
    """Store the stream as a new item and put it on record.

    A stream that fails or ends early leaves a *failed* item with what came; its error goes on to the caller.

    Raises:
        ArchiveError: the stream ended early, or is no image.
    """
    claimed, folder = door.claim(draft)
    store = BlobStore(folder)
    anomalies = AnomalyLog()
    ahead = ReadAhead(chunks)
    try:
        with ahead:
            attributes = _store_stream(store, _Stream(ahead), anomalies)
    except BaseException as error:
        _commit(door, claimed, store, _facts(ahead, anomalies), reason=describe(error))
        raise
    finally:
        store.close()
    return _commit(door, claimed, store, {**_facts(ahead, anomalies), **attributes})


def read_stream(folder: Path) -> Iterator[bytes]:
    """Yield the engine's stream again, byte for byte, from the folder of an image item."""
    with (folder / SKELETON).open("rb") as skeleton, (folder / MEMBERS).open("rb") as members:
        offset = 0
        for line in members:
            member = json.loads(line)
            if not member["blob"]:
                continue
            yield skeleton.read(member["data_offset"] - offset)
            yield from _read_chunks(folder / _BLOBS / member["blob"])
            offset = member["data_offset"] + member["size_bytes"]
        while chunk := skeleton.read(_CHUNK_BYTES):
            yield chunk


class BlobStore:
    """The folder of an image item while it is being written; remembers the digest of every file."""

    def __init__(self, folder: int) -> None:
        """Take the descriptor of the new, empty folder; owns it from here on."""
        self.folder = folder
        self.digests: dict[str, files.Written] = {}
        outer = files.make_directory("blobs", folder)
        self._blobs = files.make_directory("sha256", outer)
        os.close(outer)
        self._count = 0

    def store(self, chunks: Iterable[bytes | memoryview]) -> Blob:
        """Write one blob while hashing it; the same content is kept once."""
        self._count += 1
        partial = f"{self._count:04d}{files.PARTIAL}"
        descriptor = files.create_file(partial, self._blobs)
        writer, head = files.HashingWriter(descriptor, sha256), b""
        try:
            with EarlyFlush(descriptor) as flush:
                for chunk in chunks:
                    writer.write(chunk)
                    head = head or bytes(chunk[:_HEAD_BYTES])
                    flush.wrote(len(chunk))
            os.fsync(descriptor)
        except BaseException:
            self._keep_part(partial, writer.written)
            raise
        finally:
            os.close(descriptor)
        blob = Blob(writer.written.sha256, writer.written.size_bytes, head)
        self._publish(partial, blob)
        return blob

    def clone(self, source: Path, sha256: str) -> Blob | None:
        """Take over the blob *source* of another case as a file of its own, hashed again; None if it is another one."""
        self._count += 1
        partial = f"{self._count:04d}{files.PARTIAL}"
        descriptor = files.create_file(partial, self._blobs)
        try:
            clone_file(source, descriptor)
            os.fsync(descriptor)
        except (OSError, CaseError):
            os.unlink(partial, dir_fd=self._blobs)  # the original is where it was
            raise
        finally:
            os.close(descriptor)
        written, head = _look_at(partial, self._blobs)
        if written.sha256 != sha256:
            os.unlink(partial, dir_fd=self._blobs)
            return None
        blob = Blob(sha256, written.size_bytes, head)
        self._publish(partial, blob)
        return blob

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the layout itself."""
        self.digests[name] = files.write_file(name, self.folder, (content,))

    def read(self, blob: Blob) -> bytes:
        """Return the content of a small blob."""
        if blob.size_bytes > _MAX_DOCUMENT:
            raise ArchiveError("a document of the engine's image stream is too large")
        descriptor = os.open(blob.sha256, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._blobs)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def close(self) -> None:
        """Make the names durable and close the folders."""
        for descriptor in (self._blobs, self.folder):
            os.fsync(descriptor)
            os.close(descriptor)

    def _publish(self, partial: str, blob: Blob) -> None:
        if blob.path in self.digests:
            os.unlink(partial, dir_fd=self._blobs)
            return
        os.rename(partial, blob.sha256, src_dir_fd=self._blobs, dst_dir_fd=self._blobs)
        self.digests[blob.path] = files.Written(blob.sha256, "", blob.size_bytes)

    def _keep_part(self, partial: str, written: files.Written) -> None:
        name = partial.removesuffix(files.PARTIAL) + INCOMPLETE
        os.rename(partial, name, src_dir_fd=self._blobs, dst_dir_fd=self._blobs)
        self.digests[f"{_BLOBS}/{name}"] = written


def _look_at(name: str, folder: int) -> tuple[files.Written, bytes]:
    """Return digest and size of a file as it is on disk now, and its first bytes."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        return files.hash_stream(file, sha512=False), head


class _Stream:
    """The engine's stream on its way to the tar reader: kept until its place is known."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._source = ChunkReader(iter(chunks))
        self._pending: deque[memoryview] = deque()
        self._start = 0
        self.size_bytes = 0

    def read(self, size: int, /) -> bytes:
        chunk = self._source.read(size)
        if chunk:
            self._pending.append(memoryview(chunk))
        self.size_bytes += len(chunk)
        return chunk

    def take_until(self, offset: int) -> Iterator[memoryview]:
        """Yield the raw bytes up to *offset* that were read and not yet taken."""
        while self._pending and self._start < offset:
            chunk = self._pending.popleft()
            wanted = offset - self._start
            if len(chunk) > wanted:
                self._pending.appendleft(chunk[wanted:])
                chunk = chunk[:wanted]
            self._start += len(chunk)
            yield chunk


def _store_stream(store: BlobStore, stream: _Stream, anomalies: AnomalyLog) -> JsonObject:
    """Store every member and make the layout; return what is known of the images."""
    blobs: dict[str, Blob] = {}
    links: dict[str, str] = {}
    with _Logs(store) as logs:
        for member, content in read_tar(stream, report=anomalies.report):
            logs.skeleton(stream.take_until(member.data_offset))
            blob = None
            if type(content) is MemberContent and member.size_bytes and member.type is EntryType.FILE:
                blob = store.store(_drain(stream, member, content))
            elif member.type is EntryType.FILE and not member.size_bytes:
                blob = store.store(())
            logs.member(member, blob)
            name = from_bytes(member.name).removeprefix("./")
            if blob:
                blobs.setdefault(name, blob)
            elif member.link_target is not None:
                links.setdefault(name, from_bytes(member.link_target))
        logs.skeleton(stream.take_until(stream.size_bytes))
    if anomalies.codes & _TRUNCATED:
        raise ArchiveError("the engine's image stream ended early", hint="look at the engine's log, then collect again")
    layout = make_layout(StreamNames(blobs, links), store.read, lambda raw: store.store((raw,)))
    for name, content_of in layout.files.items():
        store.write(name, content_of)
    return {"image_ids": list(layout.image_ids), "tags": list(layout.tags)}


def _drain(stream: _Stream, member: TarMember, content: MemberContent) -> Iterator[memoryview]:
    """Yield the raw bytes of a member while the reader goes through them."""
    offset = member.data_offset
    for chunk in content:
        offset += len(chunk)
        yield from stream.take_until(offset)


class _Logs:
    """``stream.skeleton`` and ``stream.jsonl`` while they are being written."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._open = {name: files.create_file(name, store.folder) for name in (SKELETON, MEMBERS)}
        self._writers = {name: files.HashingWriter(descriptor) for name, descriptor in self._open.items()}

    def __enter__(self) -> _Logs:
        return self

    def __exit__(self, *_: object) -> None:
        for name, descriptor in self._open.items():
            self._store.digests[name] = self._writers[name].written
            os.fsync(descriptor)
            os.close(descriptor)

    def skeleton(self, chunks: Iterable[memoryview]) -> None:
        for chunk in chunks:
            self._writers[SKELETON].write(chunk)

    def member(self, member: TarMember, blob: Blob | None) -> None:
        document = {
            "name": from_bytes(member.name),
            "type": member.type.value,
            "mode": member.mode,
            "mtime_ns": member.mtime_ns,
            "link_target": None if member.link_target is None else from_bytes(member.link_target),
            "data_offset": member.data_offset,
            "size_bytes": blob.size_bytes if blob else member.size_bytes,
            "blob": blob.sha256 if blob else None,
        }
        self._writers[MEMBERS].write(json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n")


def _facts(ahead: ReadAhead, anomalies: AnomalyLog) -> JsonObject:
    return {
        "stream_sha256": ahead.sha256,
        "stream_size_bytes": ahead.taken_bytes,
        "anomalies": [_anomaly(anomaly) for anomaly in anomalies],
    }


def _anomaly(anomaly: Anomaly) -> JsonObject:
    return {
        "code": anomaly.code,
        "message": anomaly.message,
        "offset": anomaly.offset,
        "path": from_bytes(anomaly.path),
    }


def _commit(
    door: Door, claimed: EvidenceItem, store: BlobStore, attributes: JsonObject, reason: str = ""
) -> EvidenceItem:
    name = claimed.path.removeprefix("data/")
    written = write_listing(door, name, store.digests)
    outcome = Outcome.FAILED if reason else Outcome.COLLECTED
    described = replace(claimed, attributes={**claimed.attributes, **attributes})
    return door.commit(finish_item(described, written, outcome, reason))


def _read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
