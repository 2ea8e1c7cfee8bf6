from miradouro.query.composition import page_key_of
from miradouro.runtime.tokens import Tokens

from tests.certificates import token, write_secret


def test_replicas_with_the_same_first_token_sign_alike(tmp_path):
    shared, other = tmp_path / "shared", tmp_path / "other"
    write_secret(shared, token())
    write_secret(other, f"{shared.read_text()}\n{token()}")
    assert page_key_of(Tokens(shared)) == page_key_of(Tokens(other))
    assert shared.read_text().encode() not in page_key_of(Tokens(shared))
    write_secret(other, token())
    assert page_key_of(Tokens(shared)) != page_key_of(Tokens(other))


def test_without_tokens_each_process_has_its_own_key():
    assert page_key_of(None) != page_key_of(None)
    assert len(page_key_of(None)) >= 32
