"""Drills: test containers with planted, inert ground truth; a run of the real playbook on them is scored."""
