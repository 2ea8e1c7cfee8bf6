"""Secrets of URIs: none is in what people see, however the URI is written."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.adapters.photo_store import file_uri
from miradouro.core.errors import Corrupt
from miradouro.core.redaction import public_text, public_uri

SECRET = "S3CR3T"
SCHEMES = st.sampled_from(["https", "HTTP", "ftp", "s3", "gs", "file", "az", "abfs", "postgresql", "sftp", "weird+x.y-1"])
HOSTS = st.sampled_from(["photos.example", "host", "host:9000", "[2001:db8::1]:443", "10.0.0.1", "bucket", ""])
PATHS = st.sampled_from(["", "/", "/a/b.jpg", "/a%20b.jpg", "/me/home.jpg", "//double/slash", "/ção.jpg"])
JUNK = st.text(st.sampled_from("aZ09:/@?#%&=+.-_~!$'()*,; \t\n\"<>\\é"), max_size=6)
INK = st.text(st.sampled_from("aZ09:@%&=+.-_~!$*é"), max_size=6)  # the same without what ends a word of a text, or an authority


@st.composite
def secret_uris(draw: st.DrawFn, junk: st.SearchStrategy[str] = JUNK) -> str:
    """A URI with the marked secret in its user information, its query or its fragment."""
    scheme, host, path = draw(SCHEMES), draw(HOSTS), draw(PATHS)
    secret = draw(junk) + SECRET + draw(junk)
    blank = draw(st.sampled_from(["", " ", "\n\t "])) if junk is JUNK else ""
    match draw(st.sampled_from(["password", "token", "query", "fragment", "encoded"])):
        case "password":
            return f"{blank}{scheme}://ana:{secret}@{host}{path}"
        case "token":
            token = re.sub(r"[/?#\\]", "", secret)  # before one of these a token is a host to every reader
            return f"{blank}{scheme}://{token}@{host}{path}"
        case "encoded":
            return f"{blank}{scheme}://ana:{secret}%40{host}{path}"
        case "query":
            return f"{blank}{scheme}://{host}{path}?X-Amz-Signature={secret}"
        case _:
            return f"{blank}{scheme}://{host}{path}#{secret}"


@given(secret_uris())
def test_no_secret_of_a_uri_is_public(uri):
    public = public_uri(uri)
    assert SECRET not in public
    assert public_uri(public) == public


@given(
    st.lists(st.tuples(secret_uris(INK), st.sampled_from([" ", "\n", "', '", '" "', ") ", ": failed, ", ". "]))),
    st.sampled_from(["", "'", "<a>", "("]),
)
def test_secrets_of_uris_in_texts_are_redacted(uris, before):
    text = before + "".join(uri + after for uri, after in uris)
    assert SECRET not in public_text(text)
    assert SECRET not in Corrupt(text).message
    assert public_text(public_text(text)) == public_text(text)


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        ("https://photos.example/a.jpg?X-Amz-Signature=S", "https://photos.example/a.jpg"),
        (" az://container/a.jpg?sig=S", "az://container/a.jpg"),
        ("ftp://ana:S@host/a.jpg", "ftp://host/a.jpg"),
        ("file:///photos/a.jpg?sig=S", "file:///photos/a.jpg"),
        ("https://ana:S/S@host/a.jpg", "https://…/host/a.jpg"),
        ("https://ana:1/S@host/a.jpg", "https://…/host/a.jpg"),
        ("https://ana:S@S@host/a.jpg", "https://host/a.jpg"),
        ("https://ana:S%40host/a.jpg", "https://host/a.jpg"),
        ("HTTPS://S@host/a.jpg", "HTTPS://host/a.jpg"),
        ("https://an\na:S@host/a.jpg", "https://host/a.jpg"),
        ("https://ana:S?S@host/a.jpg", "https://…"),
        ("https://ana:1/S?S@host/a.jpg", "https://…"),
        ("s3://KEY:S/S@bucket/a.jpg", "s3://…/bucket/a.jpg"),
        # What is no secret stays.
        ("https://photos.example/@ana/a@2x.jpg", "https://photos.example/@ana/a@2x.jpg"),
        ("s3://photos/me@home.jpg", "s3://photos/me@home.jpg"),
        ("http://minio:9000/photos/a.jpg", "http://minio:9000/photos/a.jpg"),
        ("/photos/me@home.jpg", "/photos/me@home.jpg"),
        ("not a uri", "not a uri"),
    ],
)
def test_a_public_uri_has_no_secrets(uri, public):
    assert public_uri(uri) == public


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_uris_of_files_stay_whole(name):
    uri = file_uri("/photos/" + name)
    assert public_uri(uri) == uri
    assert public_text(f"{uri} is not there") == f"{uri} is not there"


@given(st.text(st.sampled_from("ab:/\\@?#%40 \n.")))
def test_any_text_is_redacted_once(text):
    assert public_uri(public_uri(text)) == public_uri(text)
    assert public_text(public_text(text)) == public_text(text)


@pytest.mark.parametrize(
    "part", ["a://", "a.b/x://", "://h.ex/", "https://h.example/a','", "x", "@", "a://b@", "?", "file:///a/"]
)
def test_the_time_grows_with_the_text_alone(part):
    text = part * (200_000 // len(part))
    began = time.process_time()
    public_text(text)
    public_uri(text)
    assert time.process_time() - began < 5, "a quadratic search takes minutes"
