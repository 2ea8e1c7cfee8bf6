"""Settings of every process, read from the environment; each field has a sentence with its unit and its purpose.

Variables are called MIRADOURO_ and the field's name in capitals. Rooms with settings of their own subclass `Settings`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from miradouro.core.error_text import shown
from miradouro.core.errors import ConfigurationError
from miradouro.runtime.server_limits import ServerLimits

ENV_PREFIX = "MIRADOURO_"
OFF = {"", "off"}  # an address that is none


class Settings(BaseModel):
    """Root of all settings: typed, frozen, from keyword arguments or else from the environment, where empty is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        found = {name: os.environ.get(variable(name)) for name in cls.model_fields}
        return {name: value for name, value in found.items() if value} | given


class ServerSettings(Settings):
    """The limits of every server that an operator sizes; `ServerLimits` holds the others."""

    max_calls_per_token: int = Field(
        ServerLimits.max_calls_per_token,
        ge=1,
        le=10_000,
        description="Calls at a time with one token; raise it where many people or services share one.",
    )
    max_calls_per_peer: int = Field(
        ServerLimits.max_calls_per_peer,
        ge=1,
        le=10_000,
        description="Calls at a time from one IP address; raise it behind a proxy, which is one for all.",
    )

    @property
    def limits(self) -> ServerLimits:
        """All limits; calls in all are at least as many as those of one caller."""
        return ServerLimits(
            max_calls_per_token=self.max_calls_per_token,
            max_calls_per_peer=self.max_calls_per_peer,
            max_concurrent_calls=max(ServerLimits.max_concurrent_calls, self.max_calls_per_token, self.max_calls_per_peer),
        )


class HttpSettings(Settings):
    """Where the HTTP server listens, and under which names."""

    http_listen: str = Field(
        "127.0.0.1:7351",
        description="host:port of the page and the HTTP door of `miradouro up` and `miradouro serve query`; off for none.",
    )
    http_hosts: str = Field(
        "",
        description="Names, separated by commas, by which others reach that door, as photos.example.org or with a port; "
        "needed beyond this machine.",
    )

    @property
    def host_names(self) -> list[str]:
        """`http_hosts` one by one."""
        return [name for part in self.http_hosts.split(",") if (name := part.strip())]


class CacheSettings(Settings):
    """Where services keep derived files."""

    cache_dir: Path | None = Field(
        None,
        description="Folder of files that may be deleted at any time: thumbnails of the query service, TensorRT engines of the "
        "embedding service; empty: no thumbnails are kept, and engines lie in the folder of models.",
    )


class IndexSettings(Settings):
    """The index engine, and the limits of every engine."""

    index: str = Field(
        "", description="Index engine, by the name of its entry point; empty: sqlite on one machine, opensearch in the services."
    )
    exact_vectors: int = Field(
        20_000,
        ge=0,
        le=10_000_000,
        description="Up to so many vectors a question compares one by one, exactly; beyond, graphs choose candidates.",
    )


class LogSettings(Settings):
    """How a process logs, always to standard error."""

    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Shape of log lines: json, console, or auto (console on a terminal, json otherwise)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged.")


class MetricsSettings(Settings):
    """Where a process offers its metrics and its health."""

    metrics_listen: str = Field(
        "",
        description="host:port of the Prometheus endpoint /metrics, plain and at any address, for example 0.0.0.0:9464; "
        "empty for none.",
    )
    health_listen: str = Field(
        "",
        description="host:port of the gRPC health service alone, plain and at any address, for example 0.0.0.0:9465; "
        "empty for none.",
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


def load(settings: type[SettingsT]) -> SettingsT:
    """The settings from the environment. Raises ConfigurationError naming the variable, its value and the allowed ones."""
    try:
        return settings()
    except ValidationError as exc:
        wrong = exc.errors(include_url=False)[0]
        name = variable(str(wrong["loc"][0])) if wrong["loc"] else settings.__name__
        raise ConfigurationError(f"{name}={shown(wrong['input'])}: {wrong['msg']}") from exc


def variable(field: str) -> str:
    """The environment variable of a field."""
    return ENV_PREFIX + field.upper()


@dataclass(frozen=True)
class SettingRow:
    """One row of the table in docs/settings.md."""

    variable: str
    default: str
    description: str


def table(*settings: type[Settings]) -> list[SettingRow]:
    """The settings of these classes as rows, in the order of their definition."""
    rows = [
        SettingRow(variable(name), _as_written(field.default), field.description or "")
        for cls in settings
        for name, field in cls.model_fields.items()
    ]
    return list(dict.fromkeys(rows))  # several classes inherit some


def _as_written(default: object) -> str:
    """A default as one would write it into the environment."""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "" if default is None else str(default)
