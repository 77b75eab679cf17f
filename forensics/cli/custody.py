"""`ir custody`: the custody log, hand-overs, the certificate, and a case as one file."""

from __future__ import annotations

from forensics.cli.frame import LazyGroup

COMMANDS = {
    "show": ("forensics.cli.custody_show", "Who did what to the evidence, when and why."),
    "note": ("forensics.cli.custody_note", "Add a note to the log."),
    "transfer": ("forensics.cli.custody_transfer", "Hand a sealed case to somebody."),
    "receive": ("forensics.cli.custody_receive", "Verify and sign for a case that arrived."),
    "certificate": ("forensics.cli.custody_certificate", "Draft the certification for a court."),
    "export": ("forensics.cli.custody_export", "Pack a sealed case into one file."),
    "import": ("forensics.cli.custody_import", "Unpack a case; refuses what does not verify."),
}

command = LazyGroup(
    name="custody",
    commands=COMMANDS,
    help="""Custody of a case: the log, hand-overs, the certificate, a case as one file.

\b
Example:
  ir custody transfer cases/web --to "Ben Lee, Example Police"
""",
)
