"""The plain form of `ir isolate`, without click: importing that takes a quarter of the whole command.

Only forms that cannot mean anything else are read here; for everything else, help and every mistake included,
:func:`run_express` returns None and click decides. Both ways end in :func:`run_isolation`.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import NamedTuple

_FLAGS = {
    "--json": ("as_json", True),
    "--freeze": ("freeze", True),
    "--no-freeze": ("freeze", False),
    "--cut-sharing": ("cut_sharing", True),
    "--dry-run": ("dry_run", True),
}


class Isolation(NamedTuple):
    """What the command line says; None where it says nothing."""

    container: str | None
    network: str | None = None
    label: str | None = None
    case_dir: Path | None = None
    dry_run: bool = False
    reason: str = ""
    freeze: bool | None = None
    cut_sharing: bool | None = None
    as_json: bool = False


def run_express(arguments: list[str]) -> int | None:
    """Isolate and return the exit code, or return None where click has to read the arguments (``isolate`` first)."""
    wanted = parse_plain(arguments[1:])
    if wanted is None:
        return None
    try:
        return run_isolation(wanted)
    except BaseException as error:  # noqa: BLE001 - handed to the one handler, which knows what to say and what to raise
        from forensics.cli.frame import guard  # noqa: PLC0415 - brings click

        def fail(failure: BaseException = error) -> None:
            raise failure

        return guard(fail, arguments)


def parse_plain(arguments: list[str]) -> Isolation | None:
    """Return what plain arguments mean: one name, flags, ``--reason TEXT``, ``--case DIR``; None for all others."""
    found: dict[str, object] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument in _FLAGS:
            name, value = _FLAGS[argument]
            found[name] = value
        elif argument in {"--reason", "--case"}:
            following = next(rest, "-")
            if following.startswith("-") or not following:
                return None
            found["reason" if argument == "--reason" else "case_dir"] = (
                following if argument == "--reason" else Path(following)
            )
        elif argument.startswith("-") or not argument or "container" in found:
            return None
        else:
            found["container"] = argument
    return Isolation(**found) if "container" in found else None  # type: ignore[arg-type]  # names and types as above


def run_isolation(wanted: Isolation) -> int:
    """Contain, or show the plan; 1 when something is not proved."""
    gc.disable()  # looking for garbage where there is none takes a tenth of the time, and once more at the end
    from forensics.cli import containment_view as view  # noqa: PLC0415 - keeps `ir --help` light

    options = view.read_options(freeze=wanted.freeze, reason=wanted.reason, cut_sharing=wanted.cut_sharing)
    if not wanted.container:
        options = options._replace(host_first=True)
    if wanted.dry_run:
        return view.show_plan(
            view.choose(wanted.container, wanted.network, wanted.label), options, as_json=wanted.as_json
        )
    code = view.contain(wanted.container, wanted.network, wanted.label, wanted.case_dir, options, wanted.as_json)
    gc.freeze()
    gc.enable()
    return code
