"""The YAML file that names the processors, their order and their options.

processors:
  - fetch
  - tag: {max_labels: 5}
  - sharpness:                             # of another package, by its entry point
      digits: 3
      if: media_type == "image/jpeg"       # see `condition`; the step is skipped when it does not hold
      ignore_failure: true                 # the photo goes on without the step when it fails for this photo
  - embed:
      on_failure: [caption]                # these steps run instead when it fails for this photo
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from miradouro.core.error_text import shown
from miradouro.core.errors import ConfigurationError
from miradouro.core.pipeline import Processor
from miradouro.processors.condition import BadCondition, Condition, parse_condition
from miradouro.processors.guarded_step import Attempt, GuardedStep, Observer, once
from miradouro.processors.plain_yaml import load_plain
from miradouro.processors.plugin import Context, ProcessorClass, ProcessorOptions

GROUP = "miradouro.processors"
DEFAULT_PIPELINE = "default_pipeline.yaml"
GUARDS = ("if", "ignore_failure", "on_failure")


@dataclass(frozen=True)
class Step:
    """A processor with its options. `origin` names its class, its package and the package's version.

    See `guarded_step` for `condition`, `ignore_failure` and `on_failure`. `line` is the line in the file, from 1.
    """

    name: str
    plugin: ProcessorClass
    options: ProcessorOptions
    origin: str
    line: int
    condition: Condition | None = None
    ignore_failure: bool = False
    on_failure: tuple["Step", ...] = ()

    def build(self, context: Context, observe: Observer = lambda _: None, attempt: Attempt = once) -> GuardedStep:
        """The runnable step; see `GuardedStep` for `observe` and `attempt`."""
        answers = tuple(step.build(context, observe, attempt) for step in self.on_failure)
        processor = self.plugin(self.options, context)
        return GuardedStep(self.name, processor, self.condition, self.ignore_failure, answers, observe, attempt)


@dataclass(frozen=True)
class Pipeline:
    """The steps in order, and the name of their file."""

    source: str
    steps: tuple[Step, ...]

    def build(self, context: Context, observe: Observer = lambda _: None, attempt: Attempt = once) -> tuple[Processor, ...]:
        """The processors in order; see `GuardedStep` for `observe` and `attempt`."""
        return tuple(step.build(context, observe, attempt) for step in self.steps)


def load_pipeline(path: str = "") -> Pipeline:
    """The pipeline of the file at `path`; the default pipeline when `path` is empty.

    Raises ConfigurationError that names the file, the processor, the option and the allowed values.
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
    tree: Any
    try:
        data, tree = load_plain(text)
    except ValueError as exc:
        raise ConfigurationError(f"{source}: {exc}") from exc
    if not isinstance(data, dict) or list(data) != ["processors"] or not isinstance(data["processors"], list):
        raise ConfigurationError(f"{source}: expected one key, processors, with the list of the steps")
    plugins = _plugins()
    steps = _steps(data["processors"], tree.value[-1][1], plugins, source)  # of a repeated key the last value counts
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


def _steps(entries: Sequence[object], node: yaml.Node, plugins: Mapping[str, EntryPoint], source: str) -> tuple[Step, ...]:
    """The steps of a list; `node` is the list's node in the text."""
    return tuple(_step(entry, at, plugins, source) for entry, at in zip(entries, node.value, strict=True))


def _step(entry: object, node: yaml.Node, plugins: Mapping[str, EntryPoint], source: str) -> Step:
    line = node.start_mark.line + 1
    place = f"{source}: line {line}"
    name, options = _name_and_options(entry, place)
    plugin = plugins.get(name)
    if plugin is None:
        raise ConfigurationError(f"{place}: {shown(name)} is not a processor; installed: {', '.join(sorted(plugins))}")
    try:
        loaded: ProcessorClass = plugin.load()
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"{place}: processor {name} cannot be loaded from {plugin.value}: {exc}") from exc
    package = f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist else "an unknown package"
    guards = {key: value for key, value in options.items() if key in GUARDS}
    own = {key: value for key, value in options.items() if key not in GUARDS}
    place = f"{place}, processor {name}"
    answers: tuple[Step, ...] = ()
    if "on_failure" in guards:
        if not isinstance(guards["on_failure"], list) or not guards["on_failure"]:
            raise ConfigurationError(f"{place}, on_failure={shown(guards['on_failure'])}: allowed: a list of steps")
        inner = [value for key, value in node.value[-1][1].value if key.value == "on_failure"][-1]
        answers = _steps(guards["on_failure"], inner, plugins, source)
    return Step(
        name,
        loaded,
        _options(loaded, own, place),
        f"{plugin.value} ({package})",
        line,
        _condition(guards, place),
        _ignore_failure(guards, place),
        answers,
    )


def _condition(guards: Mapping[str, Any], place: str) -> Condition | None:
    if "if" not in guards:
        return None
    text = guards["if"]
    if not isinstance(text, str):
        raise ConfigurationError(
            f"{place}, if={shown(text)}: allowed: a condition as text, for example 'media_type == \"image/png\"'"
        )
    try:
        return parse_condition(text)
    except BadCondition as exc:
        raise ConfigurationError(f"{place}, if={shown(text)}: {exc}") from exc


def _ignore_failure(guards: Mapping[str, Any], place: str) -> bool:
    value = guards.get("ignore_failure", False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{place}, ignore_failure={shown(value)}: allowed: true, false")
    if value and "on_failure" in guards:
        raise ConfigurationError(f"{place}: ignore_failure and on_failure exclude each other; leave one out")
    return value


def _name_and_options(entry: object, place: str) -> tuple[str, Mapping[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        [(name, options)] = entry.items()
        if isinstance(name, str) and (options is None or isinstance(options, dict)):
            return name, options or {}
    raise ConfigurationError(f"{place}: {shown(entry)} is no step; write a name, or a name with its options as a mapping")


def _options(plugin: ProcessorClass, options: Mapping[str, Any], place: str) -> ProcessorOptions:
    try:
        return plugin.Options.model_validate(options, strict=True)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False)[0]
        option = ".".join(str(part) for part in wrong["loc"])
        own = ", ".join(plugin.Options.model_fields) or "none"
        raise ConfigurationError(
            f"{place}, option {option}={shown(wrong['input'])}: {wrong['msg']}; allowed options: {own}; "
            f"and of every processor: {', '.join(GUARDS)}"
        ) from exc


def described(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as plain data: name, options, origin, and their guards."""
    return [_described(step) for step in steps]


def _described(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"name": step.name, "options": step.options.model_dump(mode="json"), "from": step.origin}
    if step.condition is not None:
        data["if"] = step.condition.text
    if step.ignore_failure:
        data["ignore_failure"] = True
    if step.on_failure:
        data["on_failure"] = described(step.on_failure)
    return data
