"""What stands in a scenario for the addresses of the listening peer. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

PEER = "@PEER@"
"""Stands in a scenario's shell lines, contents and matches for the address of the listening peer."""
PEER6 = "@PEER6@"
"""The same for its IPv6 address; on an engine without IPv6 it is the other one once more."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The addresses that stand for @PEER@ and @PEER6@; empty where there is none."""

    ipv4: str = ""
    ipv6: str = ""

    def put_in(self, text: str) -> str:
        """Return *text* with the addresses in their places."""
        return text.replace(PEER6, self.ipv6 or self.ipv4).replace(PEER, self.ipv4)
