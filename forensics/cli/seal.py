"""`ir seal`: close a case, sign what it is, have the signature timestamped."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), help="SSH key that signs (file, agent's public half, sk- key).")
@click.option("--tsa", help="Address of an RFC 3161 timestamp authority.")
@click.option("--tsa-pending", is_flag=True, help="Prepare the timestamp request now, fetch it later with --complete.")
@click.option("--complete", is_flag=True, help="Fetch the timestamps that are pending; makes no new seal.")
@json_option
def command(  # noqa: PLR0913, PLR0917 - click passes every option
    case: Path, key: Path | None, tsa: str | None, tsa_pending: bool, complete: bool, as_json: bool
) -> int:
    r"""Seal a case: manifests, signature, timestamp. Its data folder is closed from then on.

    Without --key and without a configured key, this installation's own key signs; it is made on first use.

    \b
    Example:
      ir seal cases/20260101T101500Z-web --key ~/.ssh/id_ed25519 --tsa https://freetsa.org/tsr
    """
    from forensics.cli.session import find_signer, open_case  # noqa: PLC0415 - not needed by --help
    from forensics.cli.settings import read_settings  # noqa: PLC0415 - not needed by --help
    from forensics.errors import UsageError  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.installation import allow  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.seal import complete_timestamps, seal_case  # noqa: PLC0415 - not needed by --help

    address = tsa or ("" if tsa_pending else read_settings().tsa)
    with open_case(case) as opened:
        if complete:
            if not address:
                raise UsageError("no timestamp authority is named", hint="give --tsa URL")
            done = complete_timestamps(opened, address)
            if as_json:
                emit_json({"schema": "ir.seal/1", "case": str(case), "timestamped": list(done)})
            else:
                say(f"timestamps fetched: {', '.join(f'seal {number}' for number in done) or 'none was pending'}")
            return 0
        signer = find_signer(key)
        seal = seal_case(opened, signer, tsa=address, pending=tsa_pending)
    line = allow(opened.actor.name, signer)
    if as_json:
        document = {"number": seal.number, "digest": f"sha256:{seal.digest}", "signer": seal.signer, "key": seal.origin}
        document["allowed_signers"] = line
        result = {"complete": seal.complete, "timestamp": seal.timestamp, "problem": seal.problem or None}
        emit_json({"schema": "ir.seal/1", "case": str(case), **document, **result})
    else:
        say(f"seal {seal.number} of {case}: signed by {seal.signer} ({seal.origin}), timestamp {seal.timestamp}")
        if line:
            say(f"its line for a verifier's allowed_signers, to be given out by another way than the case:\n  {line}")
        if not seal.complete:
            say("the case holds acts without an end; the seal says so")
        if seal.problem:
            say(seal.problem, err=True)
    return 1 if seal.problem else 0
