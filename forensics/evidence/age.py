"""Encryption to age recipients (age-encryption.org/v1) with the library pyrage, streamed; keys come from outside."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from forensics.errors import UsageError, VerificationError

_MAX_IDENTITY = 1 << 16


def parse_recipients(recipients: tuple[str, ...]) -> list[object]:
    """Return the public keys of *recipients*.

    Raises:
        UsageError: one is no age or SSH public key.
    """
    if not recipients:
        return []
    pyrage = _load()
    keys: list[object] = []
    for text in recipients:
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        try:
            keys.append(kind.Recipient.from_str(text))
        except pyrage.RecipientError as error:
            raise UsageError(f"{text!r} is no age recipient", hint="give age1… or an SSH public key") from error
    return keys


def encrypt(reader: BinaryIO, writer: BinaryIO, keys: list[object]) -> None:
    """Encrypt a stream to *keys*."""
    _load().encrypt_io(reader, writer, keys)


def decrypt(reader: BinaryIO, writer: BinaryIO, identity: Path) -> None:
    """Decrypt a stream with the age or SSH identity in the file *identity*.

    Raises:
        UsageError: the file holds no identity.
        VerificationError: the stream is not encrypted to it, or was changed.
    """
    pyrage = _load()
    raw = identity.read_bytes()[:_MAX_IDENTITY]
    secrets = [line for line in raw.decode("utf-8", "replace").splitlines() if line.startswith("AGE-SECRET-KEY-")]
    try:
        if secrets:
            keys = [pyrage.x25519.Identity.from_str(line.strip()) for line in secrets]
        else:
            keys = [pyrage.ssh.Identity.from_buffer(raw)]
    except pyrage.IdentityError as error:
        raise UsageError(f"{identity} holds no age or SSH identity") from error
    try:
        pyrage.decrypt_io(reader, writer, keys)
    except pyrage.DecryptError as error:
        raise VerificationError(f"the file is not encrypted to {identity}, or was changed: {error}") from error


def through_pipe(produce: Callable[[BinaryIO], None], consume: Callable[[BinaryIO], None]) -> None:
    """Run *produce* in a thread and *consume* here, joined by a pipe; the producer's error comes first."""
    read_end, write_end = os.pipe()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(write_end, "wb") as writer:
                produce(writer)
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread, below
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    consumed: BaseException | None = None
    try:
        with os.fdopen(read_end, "rb") as reader:
            consume(reader)
    except BaseException as error:  # noqa: BLE001 - raised below, unless the producer failed first
        consumed = error
    thread.join()
    cause = failure[0] if failure and not isinstance(failure[0], BrokenPipeError) else consumed
    if cause:
        raise cause


def _load() -> ModuleType:
    try:
        import pyrage  # type: ignore[import-untyped]  # noqa: PLC0415 - optional, and it ships no type information
    except ImportError as error:
        raise UsageError("encryption needs the package pyrage", hint="pip install 'ir-forensics[age]'") from error
    module: ModuleType = pyrage
    return module
