"""The `miradouro` command with other constants: `tuned.py MODULE:CONSTANT.FIELD=VALUE … -- WORDS`.

For limits that no operator sets and that a fault has to meet soon. Each constant is a frozen dataclass in the module that
passes it on, as `INTAKE` in `miradouro.ingest.composition`.
"""

import ast
import dataclasses
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from miradouro.cli.entry import main

Constants = Mapping[str, object]


def command(constants: Constants) -> list[str]:
    """The words before those of the command."""
    return [sys.executable, str(Path(__file__)), *(f"{name}={value!r}" for name, value in constants.items()), "--"]


def tuned(name: str, value: object) -> tuple[object, str, object]:
    """The module of MODULE:CONSTANT.FIELD, the constant's name, and a copy of it with that value."""
    module_name, _, path = name.partition(":")
    constant, _, field = path.partition(".")
    module = importlib.import_module(module_name)
    return module, constant, dataclasses.replace(getattr(module, constant), **{field: value})


if __name__ == "__main__":
    end = sys.argv.index("--")
    for assignment in sys.argv[1:end]:
        name, _, text = assignment.partition("=")
        setattr(*tuned(name, ast.literal_eval(text)))
    sys.argv[1:] = sys.argv[end + 1 :]
    main()
