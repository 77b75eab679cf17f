"""Writes a schedule for others: Kubernetes CronJob, GitHub Actions, GitLab CI. Installs nothing."""

from __future__ import annotations

import yaml

from forensics import __version__
from forensics.drill.cron import Cron
from forensics.drill.job import ALL, Job
from forensics.model import JsonObject

_PACKAGE = f"ir-forensics=={__version__}"
_SOCKET = "/var/run/docker.sock"
_STATE = "/var/lib/ir"
_HOUR_S = 3600


def print_kubernetes(job: Job, engine: str) -> str:
    """Return a CronJob (batch/v1). Its image is one of yours with ir in it; its engine is *engine*."""
    socket = not engine or engine.startswith("unix://")
    path = (engine or f"unix://{_SOCKET}").removeprefix("unix://")
    container: JsonObject = {
        "name": "drill",
        "image": f"ir-forensics:{__version__}",
        "args": _arguments(job),
        "env": [
            {"name": "DOCKER_HOST", "value": f"unix://{path}" if socket else engine},
            {"name": "IR_CASES", "value": f"{_STATE}/cases"},
            {"name": "IR_STATE_DIR", "value": _STATE},
        ],
        "volumeMounts": [{"name": "state", "mountPath": _STATE}],
    }
    volumes: list[JsonObject] = [{"name": "state", "persistentVolumeClaim": {"claimName": "ir-drills"}}]
    if socket:
        container["volumeMounts"].append({"name": "engine", "mountPath": path})
        volumes.append({"name": "engine", "hostPath": {"path": path, "type": "Socket"}})
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": volumes,
    }
    document = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": f"ir-drill-{job.id}".replace("_", "-")[:52].rstrip("-"),
            "labels": {"app.kubernetes.io/name": "ir-drill"},
        },
        "spec": {
            "schedule": _expand(job.cron),
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {"backoffLimit": 0, "activeDeadlineSeconds": _HOUR_S, "template": {"spec": pod}},
            },
        },
    }
    remark = (
        "# Needs: an image of yours that has ir, busybox-static, openssl and ssh-keygen and starts `ir`; a volume\n"
        "# claim 'ir-drills' for history and cases; an engine for test containers only: whoever reaches it is root.\n"
    )
    return remark + _dump(document)


def print_github(job: Job) -> str:
    """Return a GitHub Actions workflow; its schedule is read as UTC."""
    run = f"ir drill run {' '.join(_arguments(job)[2:])} > drill.json"
    document = {
        "name": f"drill {job.id}",
        "on": {"schedule": [{"cron": _expand(job.cron)}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "jobs": {
            "drill": {
                "runs-on": "ubuntu-latest",
                "timeout-minutes": 30,
                "steps": [
                    {"name": "Install", "run": f"sudo apt-get install -y busybox-static\npip install {_PACKAGE}\n"},
                    {"name": "Drill", "run": f"{run}\n"},
                    {
                        "name": "Scorecard",
                        "if": "always()",
                        "run": "ir drill scorecard --html scorecard.html\n",
                    },
                    {
                        "name": "Keep the result",
                        "if": "always()",
                        "uses": "actions/upload-artifact@v4",
                        "with": {"name": "drill", "path": "drill.json\nscorecard.html\n"},
                    },
                ],
            }
        },
    }
    return "# .github/workflows/drill.yml: GitHub reads the schedule as UTC.\n" + _dump(document)


def print_gitlab(job: Job) -> str:
    """Return a GitLab CI job; GitLab keeps schedules outside of the file, so the expression stands in a comment."""
    document = {
        f"drill-{job.id}": {
            "rules": [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}],
            "image": "python:3.12-slim-bookworm",
            "services": ["docker:dind"],
            "variables": {"DOCKER_HOST": "tcp://docker:2375", "DOCKER_TLS_CERTDIR": ""},
            "timeout": "30 minutes",
            "script": [
                "apt-get update -qq && apt-get install -y -qq busybox-static openssh-client openssl libmagic1",
                f"pip install {_PACKAGE}",
                f"ir drill run {' '.join(_arguments(job)[2:])} > drill.json",
            ],
            "after_script": ["ir drill scorecard --html scorecard.html"],
            "artifacts": {"when": "always", "paths": ["drill.json", "scorecard.html"]},
        }
    }
    remark = (
        "# .gitlab-ci.yml: add a pipeline schedule with this interval under Build > Pipeline schedules:\n"
        f"#   {_expand(job.cron)}\n"
    )
    return remark + _dump(document)


def _arguments(job: Job) -> list[str]:
    """Return what comes behind `ir`; a scenario of yours has to be in the image or the checkout, under its own name."""
    given = "--all" if job.id == ALL else job.command[-2].rsplit("/", 1)[-1]
    return ["drill", "run", f"./{given}" if given.endswith((".yaml", ".yml")) else given, "--json"]


def _expand(cron: Cron) -> str:
    return cron.text


def _dump(document: JsonObject) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True)
