"""Refuses misspelt settings: variables that begin with MIRADOURO_ and are the setting of no process.

The processes of one deployment may share an environment. So each accepts the settings of all, from a generated list of names:
importing every class of settings would import every room.
"""

import difflib
import re
from collections.abc import Mapping

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.setting_names import NAMES
from miradouro.runtime.settings import ENV_PREFIX

KNOWN = frozenset(f"{ENV_PREFIX}{name}" for name in NAMES)
# Variables of tests and benchmarks, and those that Kubernetes sets for a Service called miradouro-something.
_OTHERS = re.compile(r"MIRADOURO_((TEST|BENCH)_.*|.*_SERVICE_(HOST|PORT(_.*)?)|(.*_)?PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?)")
_LINK = re.compile(r"(tcp|udp|sctp)://")


def check_names(variables: Mapping[str, str]) -> None:
    """Raises ConfigurationError for a variable named like a setting that does not exist, with the nearest name."""
    for name, value in sorted(variables.items()):
        if not name.startswith(ENV_PREFIX) or name in KNOWN or _OTHERS.fullmatch(name):
            continue
        if name.endswith("_PORT") and _LINK.match(value):
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.75)
        advice = f"did you mean {near[0]}?" if near else "docs/settings.md lists them"
        raise ConfigurationError(f"{name} is set, and there is no such setting: {advice}")
