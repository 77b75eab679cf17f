"""`ir ps`: containers ranked by what their attacker could do, or one container's signals in full. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.docker import DockerEngine
    from forensics.engine.ranking import RankedContainer

_NAMED_SIGNALS = 4
_COLORS = {"critical": "red", "high": "red", "medium": "yellow", "low": "cyan", "info": "white"}


@click.command(epilog="Example: ir ps --all; ir ps web")
@click.argument("container", required=False)
@click.option("-a", "--all", "all_containers", is_flag=True, help="Also containers that do not run.")
@json_option
def command(container: str | None, all_containers: bool, as_json: bool) -> None:
    """Rank containers by risk signals; with CONTAINER, explain each signal of that one."""
    from forensics.cli.session import open_engine  # noqa: PLC0415 - not needed by `ir ps --help`

    with open_engine() as engine:
        ranked = _rank(engine, container, all_containers)
    if as_json:
        emit_json({"schema": "ir.ps/1", "engine": engine.url, "containers": [entry.to_document() for entry in ranked]})
    elif container:
        _say_details(ranked[0])
    else:
        _say_table(ranked)


def _rank(engine: DockerEngine, ref: str | None, all_containers: bool) -> list[RankedContainer]:
    from forensics.engine.ranking import rank_containers  # noqa: PLC0415 - not needed by `ir ps --help`

    containers = (engine.find_container(ref),) if ref else engine.list_containers(all=all_containers)
    return rank_containers(engine, containers)


def _say_table(ranked: list[RankedContainer]) -> None:
    if not ranked:
        say("no container runs; 'ir ps --all' also lists stopped ones")
        return
    width = min(max(len(show(entry.container.name)) for entry in ranked), 40)
    say(f"{'SCORE':>5}  {'WORST':8}  {'CONTAINER':12}  {'NAME':{width}}  {'STATE':8}  SIGNALS")
    for entry in ranked:
        worst = entry.signals[0].severity.value if entry.signals else "none"
        titles = list(dict.fromkeys(signal.title for signal in entry.signals))
        more = f" and {len(titles) - _NAMED_SIGNALS} more" if len(titles) > _NAMED_SIGNALS else ""
        say(
            f"{entry.score:>5}  {click.style(f'{worst:8}', fg=_COLORS.get(worst))}  {entry.container.short_id}  "
            f"{show(entry.container.name, 40):{width}}  {show(entry.container.status, 8):8}  "
            f"{show(', '.join(titles[:_NAMED_SIGNALS]))}{more}"
        )
    say("\n'ir ps CONTAINER' says why each signal matters; 'ir isolate CONTAINER' contains it")


def _say_details(entry: RankedContainer) -> None:
    container = entry.container
    say(f"{show(container.name)} ({container.short_id}), {show(container.image)}, {show(container.status)}")
    say(f"score {entry.score}, {len(entry.signals)} signals")
    for signal in entry.signals:
        severity = signal.severity.value
        cis = f"  [CIS {signal.cis}]" if signal.cis else ""
        say(f"\n{signal.score:>5}  {click.style(severity, fg=_COLORS[severity])}  {signal.title}{cis}")
        say(f"       seen: {show(signal.matched, 300)}\n       why:  {signal.why}")
    for problem in entry.problems:
        say(f"\n       not looked at: {show(problem)}")
