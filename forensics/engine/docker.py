"""The Docker Engine API (also Podman's compatible socket): `connect()` and everything the other rooms ask for.

Never executes anything in a container and has no method for it. What a method changes stands in its name; everything
that reads is in :mod:`forensics.engine.docker_read`.
"""

from __future__ import annotations

from collections.abc import Iterable

from forensics.engine.address import find_address
from forensics.engine.base import Container, ContainerSpec, Mount, NetworkAttachment
from forensics.engine.docker_read import DockerReader
from forensics.engine.spec import attachment_document, create_document
from forensics.engine.transport import open_transport, quote
from forensics.model import JsonObject


def connect(url: str = "") -> DockerEngine:
    """Connect to the engine at *url*, or where DOCKER_HOST, the Docker context or the default socket says.

    Raises:
        EngineUnavailableError: no engine answers there; the sentence says which of the reasons it is.
    """
    return DockerEngine(open_transport(find_address(url)))


class DockerEngine(DockerReader):
    """A connected engine. Reading methods are inherited; the methods here change something."""

    def commit(self, container: Container, *, pause: bool, ref: str = "") -> str:
        """Snapshot the container (no volumes, no tmpfs) and return the new image's id; never un-freezes it.

        With *pause* the engine stops a running container for the copy. One that is frozen already is copied without:
        the engine would let it run again afterwards (moby#10932).
        """
        pause = pause and self.inspect_container(container.id).status != "paused"
        repository, _, tag = ref.partition(":")
        params = {"container": container.id, "pause": "1" if pause else "0", "repo": repository, "tag": tag}
        return str(self._transport.post("/commit", {}, params, slow=True)["Id"])

    def tag_image(self, image_id: str, ref: str) -> None:
        """Give an image one more name."""
        repository, _, tag = ref.partition(":")
        self._transport.post(f"/images/{quote(image_id)}/tag", None, {"repo": repository, "tag": tag or "latest"})

    def remove_image(self, ref: str) -> None:
        """Remove one image; never its untagged parents, which may be what a suspect was started from."""
        self._transport.delete(f"/images/{quote(ref)}", {"force": "1", "noprune": "1"})

    def import_image(self, chunks: Iterable[bytes], ref: str, changes: tuple[str, ...] = ()) -> str:
        """Make a one-layer image from a root file system's tar; *changes* are Dockerfile instructions."""
        repository, _, tag = ref.partition(":")
        params = {"fromSrc": "-", "repo": repository, "tag": tag or "latest", "changes": list(changes)}
        self._transport.send("POST", "/images/create", chunks, params)
        return str(self.inspect_image(ref)["Id"])

    def build_image(self, context: Iterable[bytes], ref: str, labels: tuple[tuple[str, str], ...] = ()) -> str:
        """Build with the classic builder from a context tar that holds a Dockerfile; no network, no pull."""
        import json  # noqa: PLC0415 - drills only

        params = {"t": ref, "networkmode": "none", "rm": "1", "forcerm": "1", "labels": json.dumps(dict(labels))}
        self._transport.send("POST", "/build", context, params)
        return str(self.inspect_image(ref)["Id"])

    def load_image(self, chunks: Iterable[bytes]) -> None:
        """Load a saved image."""
        self._transport.send("POST", "/images/load", chunks, {"quiet": "1"})

    def create_container(self, spec: ContainerSpec) -> Container:
        """Create a container without starting it."""
        params = {"name": spec.name} if spec.name else {}
        answer = self._transport.post("/containers/create", create_document(spec), params, slow=True)
        return self.inspect_container(str(answer["Id"]))

    def start(self, container: Container) -> Container:
        """Start a container and return it as it is then (its pid and addresses are known only now)."""
        self._change(container, "start")
        return self.inspect_container(container.id)

    def run(self, spec: ContainerSpec) -> Container:
        """Create and start."""
        return self.start(self.create_container(spec))

    def pause(self, container: Container) -> None:
        """Freeze all processes of the container."""
        self._change(container, "pause")

    def unpause(self, container: Container) -> None:
        """Let all processes of the container go on."""
        self._change(container, "unpause")

    def stop(self, container: Container, timeout_seconds: int = 10) -> None:
        """Stop with the container's own signal, then kill. A `--rm` container vanishes with its evidence."""
        self._change(container, "stop", {"t": timeout_seconds})

    def kill(self, container: Container, signal: str = "KILL") -> None:
        """Send a signal to the container's first process."""
        self._change(container, "kill", {"signal": signal})

    def rename(self, container: Container, name: str) -> None:
        """Give the container another name."""
        self._change(container, "rename", {"name": name})

    def remove_container(self, container: Container, *, force: bool = False, volumes: bool = False) -> None:
        """Remove the container; with *volumes* also its anonymous volumes."""
        params = {"force": "1" if force else "0", "v": "1" if volumes else "0"}
        self._transport.delete(f"/containers/{container.id}", params)

    def update_restart_policy(self, container: Container, name: str, maximum_retries: int = 0) -> None:
        """Replace the restart policy; refused (409) for `--rm` containers, missing in Podman 4.3."""
        policy = {"Name": name or "no", "MaximumRetryCount": maximum_retries}
        self._transport.post(f"/containers/{container.id}/update", {"RestartPolicy": policy})

    def connect_network(self, container: Container, attachment: NetworkAttachment) -> None:
        """Attach the container with the aliases, static addresses, links and options of *attachment*."""
        network = attachment.network_id or attachment.name
        body = {"Container": container.id, "EndpointConfig": attachment_document(attachment)}
        self._transport.post(f"/networks/{quote(network)}/connect", body)

    def disconnect_network(self, container: Container, network: str, *, force: bool = False) -> None:
        """Detach the container. Success is no proof: a renamed interface stays and carries traffic (ENGINES.md)."""
        body = {"Container": container.id, "Force": force}
        self._transport.post(f"/networks/{quote(network)}/disconnect", body)

    def create_network(  # noqa: PLR0913 - the engine's own options, each by keyword
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnets: tuple[str, ...] = (),
        internal: bool = False,
        options: tuple[tuple[str, str], ...] = (),
        labels: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """Create a network (IPv6 is on when a subnet is IPv6) and return its id."""
        body: JsonObject = {
            "Name": name,
            "Driver": driver,
            "CheckDuplicate": True,
            "Internal": internal,
            "EnableIPv6": any(":" in subnet for subnet in subnets),
            "Options": dict(options),
            "Labels": dict(labels),
        }
        if subnets:
            body["IPAM"] = {"Driver": "default", "Config": [{"Subnet": subnet} for subnet in subnets]}
        return str(self._transport.post("/networks/create", body)["Id"])

    def remove_network(self, ref: str) -> None:
        """Remove a network."""
        self._transport.delete(f"/networks/{quote(ref)}")

    def create_volume(self, name: str, labels: tuple[tuple[str, str], ...] = ()) -> Mount:
        """Create a volume and return it as a mount without destination."""
        answer = self._transport.post("/volumes/create", {"Name": name, "Labels": dict(labels)})
        return Mount("volume", str(answer.get("Mountpoint") or ""), "", name=str(answer.get("Name") or name))

    def remove_volume(self, name: str) -> None:
        """Remove a volume."""
        self._transport.delete(f"/volumes/{quote(name)}")

    def put_archive(self, container: Container, path: str, chunks: Iterable[bytes]) -> None:
        """Unpack a tar into the container's file system (drills plant with it; never used on a suspect)."""
        self._transport.send("PUT", f"/containers/{container.id}/archive", chunks, {"path": path})

    def wait(self, container: Container) -> int:
        """Wait until the container has exited and return its exit code."""
        answer = self._transport.post(f"/containers/{container.id}/wait", slow=True)
        return int(answer.get("StatusCode") or 0)

    def _change(self, container: Container, verb: str, params: JsonObject | None = None) -> None:
        self._transport.post(f"/containers/{container.id}/{verb}", None, params, slow=True)
