"""What a scenario file may say, as pydantic models; `playbooks/drills/README.md` explains each key."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from forensics.playbook.schema import AttackId, Duration, Identifier, StrictModel, Text

ContainerPath = Annotated[str, Field(pattern=r"^/[^\x00]{1,500}$")]
Mode = Annotated[str, Field(pattern=r"^0?[0-7]{3,4}$")]


class FileModel(StrictModel):
    """A file to put somewhere; exactly one of content, copy_of, stub, memory_stub, target, folder says what it is."""

    path: ContainerPath
    mode: Mode | None = None
    uid: Annotated[int, Field(ge=0)] = 0
    content: Text | None = None
    copy_of: Literal["busybox"] | None = None
    stub: Text | None = None
    memory_stub: Text | None = None
    target: str | None = None
    folder: bool = False

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        given = [self.content, self.copy_of, self.stub, self.memory_stub, self.target, self.folder or None]
        if sum(value is not None for value in given) != 1:
            raise ValueError("a file needs exactly one of content, copy_of, stub, memory_stub, target, folder")
        return self


class LayerModel(StrictModel):
    """One layer on top of the base image."""

    created_by: str
    files: list[FileModel] = Field(default_factory=list)
    removed: list[ContainerPath] = Field(default_factory=list)


class ContainerModel(StrictModel):
    """How the suspect is started; what is left out is the engine's default."""

    environment: dict[str, str] = Field(default_factory=dict)
    tmpfs: list[ContainerPath] = Field(default_factory=list)
    volumes: list[ContainerPath] = Field(default_factory=list)
    binds: dict[ContainerPath, ContainerPath] = Field(default_factory=dict)
    engine_socket: ContainerPath | None = None
    cap_add: list[str] = Field(default_factory=list)
    security_opt: list[str] = Field(default_factory=list)
    privileged: bool = False
    stopped: bool = False


class PlantModel(StrictModel):
    """What the intruder did: files put into the running container, then shell lines run by its own service."""

    files: list[FileModel] = Field(default_factory=list)
    run: Text = ""


class MatchModel(StrictModel):
    """Where a finding must point; any one that fits is enough."""

    path: ContainerPath | None = None
    argv: str | None = None
    address: str | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _check_some(self) -> Self:
        if not (self.path or self.argv or self.address or self.text):
            raise ValueError("a match needs at least one of path, argv, address, text")
        return self


class TruthModel(StrictModel):
    """One planted thing, and what kind of finding it must give: ATT&CK techniques, never our rule ids."""

    id: Identifier
    what: Annotated[str, Field(min_length=3, max_length=200)]
    match: MatchModel
    attack: list[AttackId] = Field(default_factory=list)
    severity: Literal["critical", "high", "medium", "low", "info"] = "medium"
    recovered: bool = False


class ThresholdModel(StrictModel):
    """Below these a run has not passed."""

    recall: Annotated[float, Field(gt=0, le=1)] = 1.0
    precision: Annotated[float, Field(gt=0, le=1)] = 0.9
    packets_escaped: Annotated[int, Field(ge=0)] = 0
    contained: bool = True
    time_to_contain: Duration = 10.0


class ScenarioModel(StrictModel):
    """A whole scenario file."""

    api_version: Literal["ir/v1"] = Field(alias="apiVersion")
    kind: Literal["Drill"]
    id: Identifier
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Text
    playbook: Identifier = "default"
    attack: list[AttackId] = Field(default_factory=list)
    image: list[LayerModel] = Field(default_factory=list, max_length=20)
    container: ContainerModel = Field(default_factory=ContainerModel)
    peer_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(default_factory=list, max_length=8)
    noise: PlantModel = Field(default_factory=PlantModel)
    plant: PlantModel = Field(default_factory=PlantModel)
    truth: list[TruthModel] = Field(default_factory=list)
    related: list[MatchModel] = Field(default_factory=list)
    benign: list[MatchModel] = Field(default_factory=list)
    expect_verdict: list[Literal["compromised", "suspicious", "no-evidence"]] = Field(default_factory=list)
    thresholds: ThresholdModel = Field(default_factory=ThresholdModel)
