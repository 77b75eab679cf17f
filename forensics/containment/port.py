"""The little that containment needs of an engine; the wire client and the docker-py client both satisfy it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from forensics.engine.base import Container, NetworkAttachment
    from forensics.model import JsonObject


class ContainmentEngine(Protocol):
    """Every method raises :class:`forensics.errors.EngineError` or a usage error, and nothing else."""

    @property
    def url(self) -> str:
        """The address that answers."""

    def find_container(self, ref: str) -> Container:
        """Return the one container with this name, id or id prefix."""

    def list_containers(self, *, all: bool = False) -> tuple[Container, ...]:  # noqa: A002 - the engine's word
        """Return the running containers, or all of them."""

    def inspect_network(self, ref: str) -> JsonObject:
        """Return the inspect document of a network."""

    def pause(self, container: Container) -> None:
        """Freeze all processes."""

    def unpause(self, container: Container) -> None:
        """Let all processes go on."""

    def start(self, container: Container) -> object:
        """Start it."""

    def kill(self, container: Container, signal: str = "KILL") -> None:
        """Send a signal to its first process."""

    def connect_network(self, container: Container, attachment: NetworkAttachment) -> None:
        """Attach the container to a network."""

    def disconnect_network(self, container: Container, network: str) -> None:
        """Detach the container from a network."""

    def update_restart_policy(self, container: Container, name: str, maximum_retries: int = 0) -> None:
        """Replace the restart policy."""
