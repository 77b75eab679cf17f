"""Playbooks: declared steps that call registered actions. A playbook never holds code or a shell command."""
