"""What an approver signs: one JSON text that names playbook, inputs, step, container and run by value. Signs nothing.

Every line is ASCII and ours; whoever reads it sees exactly what would be done. It is good for one step of one run of
one case, until it expires: anything else gives other bytes, and a signature over other bytes approves nothing.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from forensics.evidence.custody import format_utc
from forensics.model import JsonObject
from forensics.playbook.context import RunContext, fill_inputs

if TYPE_CHECKING:
    from forensics.playbook.plan import Playbook
    from forensics.playbook.run import PlannedStep

SCHEMA = "ir.approval/1"
NAMESPACE = "ir-approval"
"""The namespace of the signature: one made for anything else approves nothing."""


def describe_step(playbook: Playbook, inputs: JsonObject, planned: PlannedStep) -> JsonObject:
    """Return what is approved, wherever and whenever it runs."""
    step = planned.step
    return {
        "schema": SCHEMA,
        "playbook": playbook.id,
        "playbook_sha256": playbook.digest,
        "inputs": fill_inputs(playbook, inputs),
        "step": step.id,
        "action": step.call.uses,
        "arguments": planned.full_arguments(),
        "effects": step.effects,
        "approvers": list(step.approval.approvers) if step.approval else [],
    }


def write_statement(playbook: Playbook, context: RunContext, planned: PlannedStep, expires_at: float) -> bytes:
    """Return the text for one step of one run, good until *expires_at* (seconds since the epoch)."""
    bound = {
        "container": context.container,
        "case": context.case.id,
        "run": context.run_id,
        "expires": format_utc(int(expires_at * 1e9)),
        "nonce": os.urandom(16).hex(),
    }
    return encode_statement(describe_step(playbook, context.inputs, planned) | bound)


def encode_statement(document: JsonObject) -> bytes:
    """Return the one form in which a statement is signed."""
    return json.dumps(document, ensure_ascii=True, sort_keys=True, indent=1).encode("ascii") + b"\n"
