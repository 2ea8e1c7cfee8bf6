import base64
import os

import pytest
from miradouro.core.errors import ConfigurationError
from miradouro.runtime.security import client_security, server_security
from miradouro.runtime.tokens import Tokens, token_in

from tests.certificates import self_signed, settings, swap, token, write_secret

ONE, TWO, THREE = "a" * 32, "B0._~+/-" * 5 + "==", "c" * 40


def basic(password: str, user: str = "ana") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def path(tmp_path):
    return write_secret(tmp_path / "token", f"{ONE}\n\n  {TWO}  \n")


def test_every_line_is_accepted_but_the_first_shown(path):
    tokens = Tokens(path)
    assert tokens.first == ONE
    assert tokens.find(token_in(f"Bearer {ONE}"))
    assert tokens.find(token_in(f"bearer  {TWO}"))
    assert tokens.find(token_in(basic(ONE)))
    assert tokens.find(token_in(basic(TWO, user="")))


@pytest.mark.parametrize(
    "header",
    ["", ONE, "Bearer", "Bearer ", f"Bearer {ONE[:-1]}", f"Bearer {ONE}a", f"Bearer {ONE.upper()}", f"Token {ONE}", "Basic",
     "Basic ?",
     "Basic " + base64.b64encode(ONE.encode()).decode(), "Basic " + base64.b64encode(b"\xff:\xff").decode(), basic("x" * 32),
     f"Bearer {ONE}\n{TWO}", "Bearer \udcff"],
)  # fmt: skip
def test_anything_else_is_not(path, header):
    assert not Tokens(path).find(token_in(header))


def test_a_swapped_file_applies_to_the_next_call(tmp_path):
    """As Kubernetes does it: a link to a folder that is replaced."""
    for name, content in (("old", ONE), ("new", f"{THREE}\n{ONE}\n")):
        (tmp_path / name).mkdir()
        write_secret(tmp_path / name / "token", content)
    (tmp_path / "data").symlink_to("old")
    (tmp_path / "mounted").symlink_to("data/token")
    tokens = Tokens(tmp_path / "mounted")
    assert not tokens.find(THREE)
    (tmp_path / "next").symlink_to("new")
    os.replace(tmp_path / "next", tmp_path / "data")
    assert tokens.first == THREE
    assert tokens.find(ONE)


def test_an_unusable_file_keeps_the_old_tokens(path, capsys):
    tokens = Tokens(path)
    for bad in ("", "too short", ONE[:-1]):
        swap(path, bad)
        assert tokens.find(ONE)
        assert tokens.first == ONE
    path.unlink()
    assert tokens.find(TWO)
    output = capsys.readouterr()
    assert "stays in force" in output.err
    assert ONE[:-1] not in output.out + output.err
    swap(path, THREE)
    assert tokens.first == THREE
    assert not tokens.find(ONE)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (ONE[:-1].encode(), "line 1 is no token: 31 characters"),
        (f"{ONE}\nzwei W\u00f6rter, die lang genug w\u00e4ren f\u00fcr eins".encode(), "line 2 is no token"),
        (b"\xff" * 40, "it is no text"),
    ],
)
def test_a_bad_file_error_names_only_its_setting(path, content, refusal):
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"^MIRADOURO_TOKEN_FILE=.*{refusal}") as caught:
        Tokens(path)
    assert ONE[:-1] not in caught.value.message
    assert "rter" not in caught.value.message


def test_a_missing_file_is_refused_with_its_setting(tmp_path):
    with pytest.raises(ConfigurationError, match=r"^MIRADOURO_TOKEN_FILE=.*No such file"):
        Tokens(tmp_path / "token")


def test_wrong_certificate_files_are_refused_by_setting(tmp_path):
    one, two = self_signed(tmp_path, "one"), self_signed(tmp_path, "two")
    junk = tmp_path / "junk"
    junk.write_text("no certificate")
    absent = tmp_path / "absent"
    good = settings(server=one)
    wrong = {
        "MIRADOURO_TLS_CERT_FILE=.*absent.*No such file": {"tls_cert_file": absent},
        "MIRADOURO_TLS_KEY_FILE=.*absent.*No such file": {"tls_key_file": absent},
        "MIRADOURO_TLS_CERT_FILE=.*MIRADOURO_TLS_KEY_FILE=.*own key": {"tls_key_file": two.key},
        "MIRADOURO_TLS_CERT_FILE=.*junk.*no certificate": {"tls_cert_file": junk},
        "MIRADOURO_TLS_CLIENT_CA_FILE=.*junk.*no certificates": {"tls_client_ca_file": junk},
        "MIRADOURO_TLS_CERT_FILE is set and MIRADOURO_TLS_KEY_FILE is not": {"tls_key_file": ""},
        "MIRADOURO_TLS_CLIENT_CA_FILE asks": {"tls_cert_file": "", "tls_key_file": "", "tls_client_ca_file": one.certificate},
    }
    for refusal, changes in wrong.items():
        changed = good.model_copy(update={name: str(value) for name, value in changes.items()})
        with pytest.raises(ConfigurationError, match=f"^{refusal}"):
            server_security(changed)
    for refusal, changes in {
        "MIRADOURO_TLS_CA_FILE=.*absent.*No such file": {"tls_ca_file": absent},
        "MIRADOURO_TLS_CA_FILE=.*junk.*no certificates": {"tls_ca_file": junk},
    }.items():
        changed = good.model_copy(update={name: str(value) for name, value in changes.items()})
        with pytest.raises(ConfigurationError, match=f"^{refusal}"):
            client_security(changed)


def test_a_token_never_leaves_this_machine_in_clear(tmp_path):
    write_secret(tmp_path / "token", token())
    security = client_security(settings(tokens=tmp_path / "token"))
    security.check("127.0.0.1:50051")
    with pytest.raises(ConfigurationError, match=r"^MIRADOURO_TLS_CA_FILE is not set.*embedding:50051"):
        security.check("embedding:50051")
