"""The jars of Kafka and OpenSearch, from Maven Central in the user's cache folder, and the JDK that runs them."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from miradouro.core.errors import ConfigurationError, Unavailable

LEAST_JAVA = 21  # OpenSearch 3.5
_HERE = Path(__file__).parent
_JVM_FOLDERS = ("/usr/lib/jvm", "/Library/Java/JavaVirtualMachines")
# Jars of the k-NN plug-in that the class path lacks; its other jars are already there.
_PLUGIN_JARS = ("opensearch-knn-", "remote-index-build-client-", "oshi-core-", "jna-platform-", "commons-lang3-")


@dataclass(frozen=True)
class Jdk:
    """A Java development kit."""

    home: Path
    version: int

    @property
    def java(self) -> str:
        """The program that runs classes."""
        return str(self.home / "bin" / "java")


def find_jdk() -> Jdk:
    """The newest JDK of at least LEAST_JAVA: from JAVA_HOME, the PATH, or the systems' usual folders.

    Raises ConfigurationError with the versions found instead.
    """
    homes = [Path(home) for home in (os.environ.get("JAVA_HOME"),) if home]
    if found := shutil.which("javac"):
        homes.append(Path(found).resolve().parent.parent)
    for folder in map(Path, _JVM_FOLDERS):
        homes += sorted(folder.iterdir()) if folder.is_dir() else []
    homes += [home / "Contents" / "Home" for home in homes]
    jdks = {jdk for home in homes if (jdk := _jdk(home)) is not None}
    if not jdks or (newest := max(jdks, key=lambda jdk: jdk.version)).version < LEAST_JAVA:
        known = ", ".join(sorted(f"{jdk.version} in {jdk.home}" for jdk in jdks)) or "none"
        raise ConfigurationError(f"no JDK of version {LEAST_JAVA} or newer; found: {known}; install one, or set JAVA_HOME to it")
    return newest


def kafka_class_path(jdk: Jdk) -> str:
    """Class path of Kafka; fetches missing jars. Raises ConfigurationError, Unavailable."""
    return str(_made("kafka", jdk) / "jars" / "*")


def opensearch_class_path(jdk: Jdk) -> str:
    """Class path of OpenSearch with k-NN and `Launcher`; see `kafka_class_path`."""
    made = _made("opensearch", jdk)
    return os.pathsep.join([str(made / "classes"), str(made / "jars" / "*"), str(made / "plugin" / "*")])


def _jdk(home: Path) -> Jdk | None:
    try:
        found = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(), re.M)
    except OSError:
        return None
    return Jdk(home, int(found[1])) if found and (home / "bin" / "javac").exists() else None


def _made(engine: str, jdk: Jdk) -> Path:
    """The folder of an engine, named by its recipe. One process creates it while others wait."""
    sources = [_HERE / f"{engine}.xml", *sorted((_HERE / "java").rglob("*.java"))]
    recipe = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    parent = Path(platformdirs.user_cache_dir("miradouro", ensure_exists=True)) / "engines"
    folder = parent / f"{engine}-{recipe}-java{jdk.version}"
    parent.mkdir(parents=True, exist_ok=True)
    with _locked(parent / f"{engine}.lock"):
        if not folder.is_dir():
            draft = folder.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            _fetch(engine, draft)
            if engine == "opensearch":
                _add_plugin(draft, jdk)
            draft.rename(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(engine: str, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError("mvn was not found: Kafka and OpenSearch come from Maven Central; install Maven (maven)")
    (folder / "jars").mkdir(parents=True)
    shutil.copy(_HERE / f"{engine}.xml", folder / "pom.xml")
    _run([maven, "-B", "-q", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory=jars"], folder, f"the jars of {engine}")


def _add_plugin(folder: Path, jdk: Jdk) -> None:
    """Extracts the plug-in's jars, and compiles our launcher and the types that no repository provides."""
    [archive] = (folder / "jars").glob("opensearch-knn-*.zip")
    (folder / "plugin").mkdir()
    with zipfile.ZipFile(archive) as plugin:
        for name in plugin.namelist():
            if name.startswith(_PLUGIN_JARS):
                plugin.extract(name, folder / "plugin")
    archive.unlink()
    sources = [str(path) for path in sorted((_HERE / "java").rglob("*.java"))]
    class_path = os.pathsep.join(str(folder / part / "*") for part in ("jars", "plugin"))
    _run([str(jdk.home / "bin" / "javac"), "-cp", class_path, "-d", "classes", *sources], folder, "the launcher of OpenSearch")


def _run(command: list[str], folder: Path, what: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own command lines
        command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        printed = (done.stdout + done.stderr).strip().splitlines()
        raise Unavailable(f"{what} could not be made: {' '.join(printed[:3]) or f'exit status {done.returncode}'}; try again")
