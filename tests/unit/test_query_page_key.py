import pytest
from miradouro.core.errors import ConfigurationError
from miradouro.query.composition import page_key_of
from miradouro.runtime.tokens import Tokens

from tests.certificates import token, write_secret


def test_replicas_with_the_same_first_token_sign_alike(tmp_path):
    shared, other = tmp_path / "shared", tmp_path / "other"
    write_secret(shared, token())
    write_secret(other, f"{shared.read_text()}\n{token()}")
    assert page_key_of("", Tokens(shared)) == page_key_of("", Tokens(other))
    assert shared.read_text().encode() not in page_key_of("", Tokens(shared))
    write_secret(other, token())
    assert page_key_of("", Tokens(shared)) != page_key_of("", Tokens(other))


def test_a_file_of_its_own_goes_before_the_token_and_without_either_each_process_has_its_own(tmp_path):
    write_secret(tmp_path / "token", token())
    (tmp_path / "key").write_bytes(b"k" * 32)
    assert page_key_of(str(tmp_path / "key"), Tokens(tmp_path / "token")) == b"k" * 32
    assert page_key_of("", None) != page_key_of("", None)
    assert len(page_key_of("", None)) >= 32


def test_a_key_that_is_missing_or_short_is_refused_with_its_setting(tmp_path):
    (tmp_path / "key").write_bytes(b"k" * 31)
    for name in ("key", "none"):
        with pytest.raises(ConfigurationError, match=r"^MIRADOURO_PAGE_KEY_FILE="):
            page_key_of(str(tmp_path / name), None)
