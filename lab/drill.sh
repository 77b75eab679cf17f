#!/bin/sh
# The main job on a planted test container, or, where no engine can be had, the same analysis on a saved image.
set -eu
cd "$(dirname "$0")/.."

if engine=$(lab/engine.py ensure); then
    DOCKER_HOST=$engine exec .venv/bin/ir drill run "${IR_DRILL:-intrusion}"
fi
echo "lab: no engine, so here is the same analysis on a saved image:" >&2
exec .venv/bin/ir examine evidence-samples/"${IR_SAMPLE:-poisoned-layer.tar}"
