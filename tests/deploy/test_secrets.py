"""deploy/secrets.sh, run again: what is right stays, and what would not be trusted is made anew."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.rendering import DEPLOY, SERVICES

OUR_NAMES = {"localhost", *(f"query{rest}" for rest in ("", ".miradouro", ".miradouro.svc", ".miradouro.svc.cluster.local"))}


def made(folder: Path, *names: str) -> dict[str, str]:
    """Runs the script; file → its text."""
    subprocess.run([DEPLOY / "secrets.sh", folder, *names], check=True, capture_output=True)
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def openssl(*words: str | Path) -> str:
    return subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout


def names_of(folder: Path, service: str) -> set[str]:
    text = openssl("x509", "-in", folder / service / "tls.crt", "-noout", "-ext", "subjectAltName")
    return set(re.findall(r"DNS:([^,\s]+)", text))


def assert_trusted(folder: Path) -> None:
    """Every service's certificate is its key's and the authority's, and the service trusts that authority."""
    for service in SERVICES:
        openssl("verify", "-CAfile", folder / "ca.crt", folder / service / "tls.crt")
        assert (folder / service / "ca.crt").read_text() == (folder / "ca.crt").read_text(), service
        key = openssl("pkey", "-in", folder / service / "tls.key", "-pubout")
        assert openssl("x509", "-in", folder / service / "tls.crt", "-noout", "-pubkey") == key, service


def test_a_second_run_only_adds_new_names(tmp_path: Path) -> None:
    first = made(tmp_path)
    assert made(tmp_path) == first
    named = made(tmp_path, "photos.example.org")
    assert {name for name in named if named[name] != first.get(name)} == {"query/tls.crt", "query/tls.key"}
    assert names_of(tmp_path, "query") == {*OUR_NAMES, "photos.example.org"}
    assert made(tmp_path) == named
    made(tmp_path, "*.example.net")
    assert names_of(tmp_path, "query") == {*OUR_NAMES, "photos.example.org", "*.example.net"}
    assert_trusted(tmp_path)


def test_a_new_authority_renews_certificates_with_their_names(tmp_path: Path) -> None:
    first = made(tmp_path, "photos.example.org")
    (tmp_path / "ca.crt").unlink()
    second = made(tmp_path)
    certificates = {f"{service}/{file}" for service in SERVICES for file in ("ca.crt", "tls.crt", "tls.key")}
    assert {name for name in second if second[name] != first[name]} == {"ca.crt", "ca.key", *certificates}
    assert names_of(tmp_path, "query") == {*OUR_NAMES, "photos.example.org"}
    assert_trusted(tmp_path)


@pytest.mark.parametrize(("days", "stays"), [(29, False), (31, True)])
def test_an_expiring_certificate_is_renewed(days: int, stays: bool, tmp_path: Path) -> None:
    made(tmp_path)
    ending = tmp_path / "ingest" / "tls.crt"
    authority = ["-CA", tmp_path / "ca.crt", "-CAkey", tmp_path / "ca.key"]
    kept = ["-copy_extensions", "copyall", "-x509toreq", "-signkey", tmp_path / "ingest" / "tls.key"]
    request = tmp_path / "request"
    request.write_text(openssl("x509", "-in", ending, *kept))
    ending.write_text(openssl("x509", "-req", "-in", request, "-copy_extensions", "copyall", "-days", str(days), *authority))
    before = ending.read_text()
    assert (made(tmp_path)["ingest/tls.crt"] == before) is stays
    assert_trusted(tmp_path)


def test_without_the_authoritys_key_nothing_is_replaced(tmp_path: Path) -> None:
    before = made(tmp_path)
    (tmp_path / "ca.key").unlink()
    done = subprocess.run([DEPLOY / "secrets.sh", tmp_path, "photos.example.org"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "ca.key is not there" in done.stderr
    assert all((tmp_path / name).read_text() == text for name, text in before.items() if name != "ca.key")
