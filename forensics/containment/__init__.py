"""Containment: plan, apply, prove, undo. Reversible, journaled before it happens, proved from outside."""
