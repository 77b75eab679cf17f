"""Every action a playbook may call: one explicit table. Nothing registers itself.

A responder's own actions come from elsewhere (:mod:`forensics.playbook.own_actions`); they never replace one of these.
"""

from __future__ import annotations

from forensics.playbook.action import Action, Parameter
from forensics.playbook.collect_actions import COLLECT_ACTIONS
from forensics.report.formats import FORMATS

__all__ = ["ACTIONS", "Action", "Parameter"]

_STEPS = "forensics.playbook.steps"
_CLOSING = "forensics.playbook.case_steps"
_EVIDENCE = frozenset({"evidence"})
_ANALYSIS = frozenset({"analysis"})
_RUNNING = ("sockets", "processes", "executables", "tmpfs")
"""What is gone when the last process of a container ends."""
_KEY = Parameter(
    "key", "string", "file of an SSH key; else the configured one, else this installation's own", default=""
)


def _remediation(name: str, help_text: str, *parameters: Parameter, loses: tuple[str, ...] = ()) -> Action:
    target = f"{_STEPS}:remediate"
    return Action(
        f"remediate.{name}", target, "destroy", help_text, parameters, alone=True, loses=loses, settled_by="remediate"
    )


_CONTAIN = (
    Action(
        "contain.isolate",
        f"{_STEPS}:isolate",
        "contain",
        "Freeze the container, cut every network, and prove from outside that no packet passes.",
        (
            Parameter("freeze", "boolean", "pause all processes before the cut", default=True),
            Parameter("reason", "string", "why, for the custody log", default=""),
            Parameter("cut_sharing", "boolean", "also cut containers that share its network", default=False),
        ),
        ("containment",),
        alone=True,
    ),
    Action("contain.release", f"{_STEPS}:release", "contain", "Undo containment exactly, and prove it.", alone=True),
)
_DERIVE = (
    Action(
        "analyze.findings",
        f"{_STEPS}:analyze",
        "read",
        "Derive findings, changes and a verdict from the case.",
        (
            Parameter("rules", "list", "YARA files or folders of yours, beside those that ship", default=()),
            Parameter(
                "base", "string", "saved image to compare with, where the engine's layers do not say it", default=""
            ),
            Parameter("yara", "boolean", "scan file contents with YARA", default=True),
        ),
        reads=_EVIDENCE,
        writes=_ANALYSIS,
    ),
    Action(
        "analyze.scan",
        f"{_STEPS}:scan",
        "read",
        "Scan the case with YARA rules and answer how many match; changes no finding.",
        (
            Parameter("rules", "list", "YARA files or folders of yours", default=()),
            Parameter("shipped", "boolean", "also use the rules that ship with ir", default=True),
        ),
        reads=_EVIDENCE,
    ),
    Action(
        "report.render",
        f"{_STEPS}:render_report",
        "read",
        "Write the evidence report into the case.",
        (
            Parameter(
                "format",
                "string",
                "which report",
                default="html",
                choices=tuple(FORMATS),
            ),
            Parameter("lang", "string", "language of the report", default="en"),
            Parameter("output", "string", "write it to this file instead of the case's report folder", default=""),
        ),
        reads=_EVIDENCE | _ANALYSIS,
        alone=True,
    ),
)
_CASE = (
    Action(
        "case.note",
        f"{_CLOSING}:note",
        "read",
        "Put a sentence of yours into the custody log.",
        (Parameter("text", "string", "what is to be remembered", required=True),),
        settled_by="note",
    ),
    Action(
        "case.seal",
        f"{_CLOSING}:seal",
        "read",
        "Seal the case: manifests, and a signature with the configured key or this installation's own.",
        (_KEY, Parameter("tsa", "string", "address of a time-stamp authority; else the configured one", default="")),
        alone=True,
        settled_by="seal",
    ),
    Action(
        "case.timestamp",
        f"{_CLOSING}:timestamp",
        "read",
        "Fetch the timestamps of the seals that are still pending.",
        (Parameter("tsa", "string", "address of a time-stamp authority; else the configured one", default=""),),
        alone=True,
    ),
    Action(
        "case.verify",
        f"{_CLOSING}:verify",
        "read",
        "Check that the case is exactly what was recorded.",
        (Parameter("allowed_signers", "string", "file of who may sign, from outside the case", default=""),),
        alone=True,
    ),
    Action(
        "case.export",
        f"{_CLOSING}:export",
        "read",
        "Pack the sealed case into one file, encrypted where recipients are named.",
        (
            Parameter("output", "string", "FILE.tar.zst, or FILE.tar.zst.age with recipients", required=True),
            Parameter("recipients", "list", "age or SSH public keys to encrypt to", default=()),
        ),
        alone=True,
        settled_by="copy",
    ),
    Action(
        "case.transfer",
        f"{_CLOSING}:transfer",
        "read",
        "Sign a receipt that hands the sealed case over to somebody.",
        (
            Parameter("to", "string", "who receives it", required=True),
            Parameter("purpose", "string", "what for", default=""),
            _KEY,
        ),
        alone=True,
        settled_by="transfer_out",
    ),
)
_REMEDIATE = (
    _remediation(
        "stop",
        "Stop the container; one that is frozen is killed, so that nothing of it runs again.",
        Parameter("timeout_s", "integer", "how long it may take to stop by itself", default=10, minimum=1),
        loses=_RUNNING,
    ),
    _remediation("kill", "Kill every process of the container at once.", loses=_RUNNING),
    _remediation("remove", "Remove the container, not its volumes.", loses=(*_RUNNING, "snapshot")),
    _remediation(
        "block-image",
        "Take every name off its image but one in quarantine, so that nothing starts it by its old ones.",
    ),
    _remediation(
        "quarantine-volume",
        "Set the content of one of its volumes aside, unchanged, so that nothing can be started with it.",
        Parameter("volume", "string", "the volume's name", required=True),
    ),
    _remediation(
        "revoke",
        "Run a command of yours outside the container that withdraws its credentials.",
        Parameter(
            "command", "string", "absolute path of the program, and its arguments; no shell reads it", required=True
        ),
        Parameter("timeout_s", "integer", "how long it may take", default=60, minimum=1),
    ),
)
_OWN = (
    Action(
        "command.run",
        "forensics.playbook.command:run_command",
        "read",
        "Run a program of yours outside the container: no shell, a time-out, its output kept and on record.",
        (
            Parameter("argv", "list", "absolute path of the program, and its arguments", required=True),
            Parameter(
                "timeout_s",
                "number",
                "how long it may take; everything it started is ended then",
                default=60,
                minimum=0.1,
            ),
            Parameter("environment", "list", "NAME=VALUE beside those that are always given", default=()),
        ),
        ("command-output",),
        loses=("snapshot",),
        settled_by="command",
        declares=True,
    ),
)

ACTIONS: dict[str, Action] = {
    action.name: action for action in (*_CONTAIN, *COLLECT_ACTIONS, *_DERIVE, *_CASE, *_REMEDIATE, *_OWN)
}
"""Name to action, in the order of the work."""
