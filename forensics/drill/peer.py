"""The peer of a drill: a container that listens, and counts every IP packet that reaches it from outside.

What counts is not what an application read but what its kernel received: TCP, UDP and anything else, IPv4 and IPv6, on
ports that somebody listens on and on ports that nobody does. The peer's loop reads its own counters and writes the new
total to its log when it changes, so the engine stamps when. Link-local chatter (ARP, multicast) and what the peer
sends itself over its loopback interface is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from forensics.engine.base import Container, ContainerSpec

if TYPE_CHECKING:
    from forensics.engine.docker import DockerEngine

LISTENING = "listening"
_RECEIVED = "received"
_HELD = "/run/held"
"""A pipe that never ends: nc hangs up when its own input does."""
_GRACE = timedelta(milliseconds=100)
"""A packet that was sent before the cut still has to be noticed by the peer's loop and pass the engine's log."""
_SCRIPT = f"""
mkfifo {_HELD}
for p in @PORTS@; do (while :; do nc -l -p $p <>{_HELD} >/dev/null 2>&1 || usleep 50000; done) & done
for p in @PORTS@; do until netstat -ltn | grep -q ":$p "; do usleep 20000; done; done
count() {{
  here=0 v4=0 v6=0 many=0
  while read -r name value packets rest; do
    [ "$name" = lo: ] && here=$packets && break
  done </proc/net/dev
  {{ read -r rest; read -r rest forwarding ttl v4 rest; }} </proc/net/snmp
  [ -r /proc/net/snmp6 ] && while read -r name value; do
    case $name in
      Ip6InReceives) v6=$value ;;
      Ip6InMcastPkts) many=$value; break ;;
    esac
  done </proc/net/snmp6
  total=$((v4 + v6 - many - here))
}}
count; first=$total; last=0
echo {LISTENING}
while :; do
  count; now=$((total - first))
  [ $now -gt $last ] && last=$now && echo "{_RECEIVED} $now"
  usleep 40000
done
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """The total of packets that the peer had received at a time by the engine's clock."""

    at: datetime
    total: int


def make_peer_spec(
    ports: list[int], name: str, image: str, network: str, labels: tuple[tuple[str, str], ...]
) -> ContainerSpec:
    """Return the container of the peer; it says when it listens on all *ports* (TCP, both families)."""
    script = _SCRIPT.replace("@PORTS@", " ".join(map(str, ports)))
    return ContainerSpec(image=image, name=name, command=("/bin/sh", "-c", script), labels=labels, network=network)


def is_listening(engine: DockerEngine, peer: Container) -> bool:
    """Return whether every listener is up and the counting has begun."""
    return LISTENING.encode() in b"".join(engine.logs(peer))


def read_readings(engine: DockerEngine, peer: Container) -> tuple[Reading, ...]:
    """Return what the peer counted, as the engine stamped it, oldest first."""
    readings = []
    for line in b"".join(engine.logs(peer)).splitlines():
        stamp, _, words = line.partition(b" ")
        word, _, total = words.partition(b" ")
        if word == _RECEIVED.encode() and total.isdigit():
            readings.append(Reading(parse_stamp(stamp.decode("ascii", "replace")), int(total)))
    return tuple(readings)


def count_escaped(readings: tuple[Reading, ...], contained_at: datetime | None) -> int:
    """Return how many packets the peer received after containment; all of them when there was none."""
    if not readings:
        return 0
    before = [reading.total for reading in readings if contained_at and reading.at <= contained_at + _GRACE]
    return readings[-1].total - max(before, default=0)


def parse_stamp(stamp: str) -> datetime:
    """Return an engine's RFC 3339 time in UTC; it has nanoseconds, and none at all on a whole second."""
    moment = datetime.fromisoformat(stamp)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_clock_offset(engine: DockerEngine) -> timedelta:
    """Return by how much the engine's clock is ahead of this host's; nothing within the time of asking."""
    asked = datetime.now(UTC)
    stamp = str(engine.read_info().get("SystemTime") or "")
    answered = datetime.now(UTC)
    if not stamp or asked <= parse_stamp(stamp) <= answered:
        return timedelta()
    return parse_stamp(stamp) - (asked + (answered - asked) / 2)
