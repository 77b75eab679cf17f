"""Steps (5) and (6) of a verification: seals, signatures, timestamps, and the files that the custody log names."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from forensics.evidence import ssh, timestamp
from forensics.evidence.checkbytes import check_files
from forensics.evidence.checklog import Log
from forensics.evidence.files import hash_file, read_file
from forensics.evidence.findings import Findings, Signature

_MENTION = re.compile(rb'"((?:seals|transfers)/[0-9]{4}/[a-z.]+)":"([0-9a-f]{64})"')
_COUNT = re.compile(r"[1-9][0-9]*")
_MAX_SEAL = 1 << 16
_TOLERANCE = timedelta(minutes=10)


def check_seals(  # noqa: PLR0913, PLR0917 - the step's inputs: the case, its log, the anchors
    root: Path, case_id: str, log: Log, found: Findings, allowed_signers: Path | None, tsa_ca: Path | None
) -> tuple[Signature, int, bool]:
    """Check every seal in order; return the last signer, their number, and whether the case is complete."""
    signature, number, complete, last, signed = Signature(), 0, True, "none", "0"
    for folder in sorted((root / "seals").iterdir()):
        number += 1
        seal = folder / "seal.txt"
        if folder.name != f"{number:04d}" or not seal.is_file() or not (folder / "seal.txt.sig").is_file():
            found.bad(f"seals/{folder.name} is no whole seal {number}")
            continue
        text = read_file(seal, _MAX_SEAL).decode("latin-1")
        if text.split("\n")[:7] != _expect(root, case_id, number, last, _field(text, "custody-entries"), log):
            places = "its place, custody.jsonl or tagmanifest-sha256.txt differ"
            found.bad(f"seals/{folder.name}/seal.txt does not fit this case: {places}")
        last = hash_file(seal).sha256
        signature = _check_signature(folder, text, found, allowed_signers, tsa_ca)
        complete = "state: complete" in text.split("\n")
        signed = _field(text, "custody-entries")
    if not found.problems and len(log.lines) > int(signed) + 1:  # the first entry after a seal records the seal
        found.remark(f"entries after the last seal, chained but not signed: {len(log.lines) - int(signed) - 1}")
    return signature, number, complete


def check_mentions(root: Path, log: Log, found: Findings) -> None:
    """Check the files of seals and transfers against the custody entries that recorded them."""
    mentioned = {
        (match[2].decode("ascii"), match[1].decode("ascii")) for line in log.lines for match in _MENTION.finditer(line)
    }
    check_files(root, sorted(mentioned), found)
    names = {name for _, name in mentioned}
    for folder in ("seals", "transfers"):
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and name not in names:
                found.bad(f"{name} is not in the custody log")


def _expect(root: Path, case_id: str, number: int, last: str, count: str, log: Log) -> list[str]:  # noqa: PLR0913, PLR0917 - what a seal says
    upto = int(count) if _COUNT.fullmatch(count) and len(count) < 10 else 1  # noqa: PLR2004 - int() of a hostile text
    head = log.heads[upto - 1] if upto <= len(log.heads) else ""
    return [
        "ir-seal: 1",
        f"case: {case_id}",
        f"seal: {number:04d}",
        f"previous-seal: {last}",
        f"custody-entries: {upto}",
        f"custody-head: {head}",
        f"tagmanifest-sha256: {hash_file(root / 'tagmanifest-sha256.txt').sha256}",
    ]


def _check_signature(
    folder: Path, text: str, found: Findings, allowed_signers: Path | None, tsa_ca: Path | None
) -> Signature:
    name = f"seals/{folder.name}"
    seal, signature = folder / "seal.txt", folder / "seal.txt.sig"
    key = ssh.read_signing_key(seal, signature)
    if not key:
        found.bad(f"{name}/seal.txt.sig is no signature of {name}/seal.txt")
    if key != _field(text, "signer"):
        found.bad(f"{name}/seal.txt.sig was made with another key than {name}/seal.txt says")
    principal = ""
    if allowed_signers:
        principal = ssh.find_principal(seal, signature, allowed_signers)
        if not principal:
            found.bad(f"{name}: signer {key} is not among the allowed signers")
    return Signature(key, principal, _check_timestamp(folder, text, found, tsa_ca))


def _check_timestamp(folder: Path, text: str, found: Findings, tsa_ca: Path | None) -> str:
    signature, reply = folder / "seal.txt.sig", folder / "seal.txt.sig.tsr"
    if not reply.is_file():
        pending = (folder / "seal.txt.sig.tsq").is_file()
        if _field(text, "timestamp") == "requested" and (tsa_ca or not pending):
            found.bad(f"seals/{folder.name}: the timestamp that was requested is missing")
        return "timestamp pending" if pending else "no timestamp"
    name = f"seals/{folder.name}/seal.txt.sig.tsr"
    if not timestamp.is_whole(reply):
        found.bad(f"{name} is damaged")
    if timestamp.read_imprint(reply) != hash_file(signature).sha256:
        found.bad(f"{name} is of another signature")
    _compare_times(text, timestamp.read_time(reply), folder, found)
    if not tsa_ca:
        return "timestamp of an unknown authority"
    if not timestamp.is_of_authority(signature, reply, tsa_ca):
        found.bad(f"{name} is not of this timestamp authority")
    return "timestamp verified"


def _compare_times(text: str, stamped: datetime | None, folder: Path, found: Findings) -> None:
    """Remark a seal that gives itself another time than its timestamp: back-dated, or stamped later on purpose."""
    try:
        said = datetime.fromisoformat(_field(text, "time"))
    except ValueError:
        return
    if stamped and said.tzinfo and abs(stamped - said) > _TOLERANCE:
        own, other = (f"{time:%Y-%m-%d %H:%M} UTC" for time in (said, stamped))
        found.remark(f"seals/{folder.name} gives its time as {own}, its timestamp is of {other}")


def _field(text: str, name: str) -> str:
    return next((line.removeprefix(f"{name}: ") for line in text.split("\n") if line.startswith(f"{name}: ")), "")
