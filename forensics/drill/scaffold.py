"""Writes a new scenario for somebody to change: whole, checked, and passing as it stands. Overwrites nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

from forensics.drill.scenario import check_scenario
from forensics.errors import PlaybookError, UsageError
from forensics.playbook.compiled import find_playbook
from forensics.playbook.loader import raise_problems
from forensics.text import show

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_TEXT = """\
# A drill scenario: playbooks/drills/README.md explains every key. Everything planted is inert: stand-ins that wait, the
# listening peer (@PEER@), documentation addresses, names below .invalid.
apiVersion: ir/v1
kind: Drill
id: {name}
name: Web shell beside ordinary pages
description: >-
  What the intruder did, in two or three lines, for whoever reads the scorecard.
playbook: {playbook}
attack: [T1505.003]
image: # layers on top of the base
  - created_by: "COPY site /var/www/html # buildkit"
    files:
      - {{path: /var/www/html/contact.php, content: "<?php echo htmlspecialchars($_GET['name'] ?? ''); ?>\\n"}}
noise: # what an ordinary day leaves behind; an alert that points here is a false positive
  files:
    - {{path: /var/log/orders.log, content: "order 1 worked off\\n"}}
    - {{path: /var/www/html/prices.html, content: "<!doctype html><title>Prices</title><p>All prices in euro\\n"}}
plant: # what the intruder did: files first, then shell lines that the container's own service runs
  files:
    - {{path: /var/www/html/uploads/thumb.php, content: "<?php system($_GET['c']); ?>\\n"}}
truth: # each planted thing, and which ATT&CK techniques a good analyst would name; never the id of a rule
  - id: web-shell
    what: web shell in the upload folder
    match: {{path: /var/www/html/uploads/thumb.php}}
    attack: [T1505.003]
benign: # what no alert may point at, beside the files of the noise
  - {{path: /var/www/html/contact.php}}
expect_verdict: [compromised]
"""


def write_new(name: str, folder: Path, playbook: str) -> Path:
    """Write ``NAME.yaml`` into *folder* and return its path.

    Raises:
        UsageError: the name is no identifier, or something is there already.
        PlaybookError: there is no such playbook.
    """
    if not _NAME.match(name):
        raise UsageError(
            f"{show(name, 60)!r} cannot be the name of a scenario", hint="use small letters, digits and hyphens"
        )
    find_playbook(playbook)
    path = folder / f"{name}.yaml"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except FileExistsError as error:
        raise UsageError(f"something is at {show(str(path))} already", hint="choose another name") from error
    except OSError as error:
        raise UsageError(f"{show(str(path))} cannot be written: {error.strerror}", hint="see --output") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_TEXT.format(name=name, playbook=playbook))
    problems, scenario = check_scenario(path)
    raise_problems(show(str(path)), problems)
    if scenario is None:
        raise PlaybookError(f"{show(str(path))} is no scenario", hint="this is a bug of ours")
    return path
