#!/bin/sh
# The build steps of an image. The Dockerfile runs them, and the tests run them in an empty folder.
#   build.sh dependencies cpu|gpu VENV   a virtual environment with every package of the lock, each checked by its hashes
#   build.sh package VENV OUT            our wheel and the CycloneDX bill of materials in OUT; afterwards VENV contains no build tool
#   build.sh install VENV OUT            our wheel into VENV, with the bill of materials beside it
# Run in the root of the repository.
set -eu
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

dependencies() { # cpu|gpu VENV
    "${PYTHON:-python3}" -m venv "$2"
    "$2/bin/python" -m pip install --quiet --only-binary :all: --require-hashes \
        --requirement "requirements/$1.lock" --requirement requirements/stores.lock
}

package() { # VENV OUT
    "$1/bin/python" -m pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir "$2" .
    "$1/bin/python" -m pip uninstall --quiet --yes setuptools
    "${PYTHON:-python3}" -m venv "$2/sbom-tool"
    "$2/sbom-tool/bin/python" -m pip install --quiet --only-binary :all: --require-hashes --requirement requirements/sbom.lock
    "$2/sbom-tool/bin/cyclonedx-py" environment --pyproject pyproject.toml --mc-type application --output-reproducible \
        --output-format JSON --output-file "$2/sbom.cdx.json" "$1/bin/python"
    rm -r "$2/sbom-tool"
}

install() { # VENV OUT
    "$1/bin/python" -m pip install --quiet --no-index --no-deps "$2"/miradouro-*.whl
    cp "$2/sbom.cdx.json" "$1/"
}

step=$1
shift
"$step" "$@"
