"""`ir drill new`, `schedule` and `scorecard`."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import json_option

PRINTS = ("crontab", "systemd", "kubernetes", "github", "gitlab")
ALIASES = {"k8s": "kubernetes", "cronjob": "kubernetes", "ci": "github"}


@click.command()
@click.argument("name")
@click.option("--output", "folder", type=click.Path(path_type=Path), default=Path(), help="Folder for NAME.yaml.")
@click.option("--playbook", default="default", show_default=True, help="The playbook that is rehearsed.")
def new(name: str, folder: Path, playbook: str) -> int:
    """Write NAME.yaml: a scenario to change, which lints, runs and passes as it is."""
    from forensics.cli.drill_lint import write_scenario  # noqa: PLC0415 - keeps `ir --help` light

    return write_scenario(name, folder, playbook)


@click.command(epilog="Without NAME it shows what is scheduled. 'all' schedules every shipped scenario.")
@click.argument("name", default="")
@click.option("--cron", default="", help="When, as in crontab(5): '0 3 * * 1' is Mondays at 03:00, local time.")
@click.option("--crontab", "way", flag_value="crontab", help="As a line of the user's crontab.")
@click.option("--user", "way", flag_value="systemd-user", help="As a systemd timer of the user.")
@click.option("--system", "way", flag_value="systemd", help="As a systemd timer of the system.")
@click.option("--print", "printed", metavar="|".join(PRINTS), help="Print it for a scheduler; install nothing.")
@click.option("--remove", is_flag=True, help="Take the schedule of NAME out again.")
@click.option("--list", "listed", is_flag=True, help="Show what is scheduled, as without NAME.")
@json_option
def schedule(  # noqa: PLR0913, PLR0917 - click's options
    name: str, cron: str, way: str | None, printed: str | None, remove: bool, listed: bool, as_json: bool
) -> int:
    """Let systemd (where it runs) or cron run a drill, show what is scheduled, or remove it.

    \b
      ir drill schedule all --cron '0 3 * * 1'
      ir drill schedule                            what is scheduled
      ir drill schedule all --remove
      ir drill schedule intrusion --cron '30 2 * * *' --print kubernetes
    """  # noqa: D301 - \b is click's
    from forensics.cli.drill_schedule import show_or_change  # noqa: PLC0415 - keeps `ir --help` light

    printed = ALIASES.get(printed, printed) if printed else None
    if printed and printed not in PRINTS:
        raise click.BadParameter(f"'{printed}' is none of {', '.join(PRINTS)}", param_hint="--print")
    return show_or_change("" if listed else name, cron, way or "auto", printed, remove=remove, as_json=as_json)


@click.command()
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write one self-contained page.")
@click.option("--last", type=click.IntRange(0), default=0, help="Only the last N runs of each scenario (0: all).")
@json_option
def scorecard(html: Path | None, last: int, as_json: bool) -> int:
    """Show the trend over all runs, what got worse, and the readiness level with what is missing for the next."""
    from forensics.cli.drill_scorecard import show_scorecard  # noqa: PLC0415 - keeps `ir --help` light

    return show_scorecard(html, last, as_json=as_json)
