"""The YAML file that tells which processors run, in which order and with which options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from miradouro.core.errors import ConfigurationError
from miradouro.core.pipeline import Processor
from miradouro.processors.plugin import Context, ProcessorClass, ProcessorOptions

GROUP = "miradouro.processors"
DEFAULT_PIPELINE = "default_pipeline.yaml"


@dataclass(frozen=True)
class Step:
    """A processor with its options; `origin` tells the class and the package, with its version, that it comes from."""

    name: str
    plugin: ProcessorClass
    options: ProcessorOptions
    origin: str

    def build(self, context: Context) -> Processor:
        """The processor, ready to run."""
        return self.plugin(self.options, context)


@dataclass(frozen=True)
class Pipeline:
    """Steps in order, and the file that told them."""

    source: str
    steps: tuple[Step, ...]

    def build(self, context: Context) -> tuple[Processor, ...]:
        """The processors in order."""
        return tuple(step.build(context) for step in self.steps)


def load_pipeline(path: str = "") -> Pipeline:
    """The pipeline of the file at `path`, or the one that Miradouro brings when that is empty.

    Raises ConfigurationError naming the file, the processor, the option and what is allowed.
    """
    if not path:
        resource = files("miradouro.processors").joinpath(DEFAULT_PIPELINE)
        return parse_pipeline(resource.read_text(encoding="utf-8"), source=f"miradouro.processors/{DEFAULT_PIPELINE}")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"MIRADOURO_PIPELINE={path}: cannot be read: {exc}") from exc
    return parse_pipeline(text, source=path)


def parse_pipeline(text: str, *, source: str) -> Pipeline:
    """The pipeline that `text` describes; `source` names it in errors. Raises ConfigurationError."""
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigurationError(f"{source}: this is not YAML: {exc}") from exc
    if not isinstance(told, dict) or list(told) != ["processors"] or not isinstance(told["processors"], list):
        raise ConfigurationError(f"{source}: expected one key, processors, with the list of the steps")
    plugins = _plugins()
    steps = tuple(_step(entry, plugins, source) for entry in told["processors"])
    if not steps:
        raise ConfigurationError(f"{source}: processors is empty; name at least one of: {', '.join(sorted(plugins))}")
    return Pipeline(source, steps)


def _plugins() -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise ConfigurationError(
                f"processor {entry.name} is offered twice, as {other.value} and as {entry.value}; uninstall one of the packages"
            )
    return found


def _step(entry: object, plugins: Mapping[str, EntryPoint], source: str) -> Step:
    name, options = _name_and_options(entry, source)
    plugin = plugins.get(name)
    if plugin is None:
        raise ConfigurationError(f"{source}: {name!r} is not a processor; installed: {', '.join(sorted(plugins))}")
    try:
        loaded: ProcessorClass = plugin.load()
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"{source}: processor {name} cannot be loaded from {plugin.value}: {exc}") from exc
    package = f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist else "an unknown package"
    return Step(name, loaded, _options(name, loaded, options, source), f"{plugin.value} ({package})")


def _name_and_options(entry: object, source: str) -> tuple[str, Mapping[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        [(name, options)] = entry.items()
        if isinstance(name, str) and (options is None or isinstance(options, dict)):
            return name, options or {}
    raise ConfigurationError(f"{source}: {entry!r} is no step; write a name, or a name with its options as a mapping")


def _options(name: str, plugin: ProcessorClass, options: Mapping[str, Any], source: str) -> ProcessorOptions:
    try:
        return plugin.Options.model_validate(options, strict=True)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False)[0]
        option = ".".join(str(part) for part in wrong["loc"])
        allowed = ", ".join(plugin.Options.model_fields) or "none"
        raise ConfigurationError(
            f"{source}: processor {name}, option {option}={wrong['input']!r}: {wrong['msg']}; allowed options: {allowed}"
        ) from exc


def described(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as plain data: name, options in force, origin."""
    return [{"name": step.name, "options": step.options.model_dump(mode="json"), "from": step.origin} for step in steps]
