"""Photos from the web: which hosts are spoken to, and where redirects may lead.

Names that are not of this machine are looked up by the test's own resolver and connected to the server on loopback: no packet
leaves it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.adapters.photo_store.allowed import private_networks, sources
from miradouro.adapters.photo_store.fetch_limits import FetchLimits
from miradouro.adapters.photo_store.http_store import HttpStore
from miradouro.core.errors import BadPhoto, ConfigurationError, InvalidArgument
from miradouro.runtime.settings import load

from tests.web_photos import WebPhotos, body, redirect, web_photos
from tests.web_readers import PHOTO, PUBLIC, Internet, fetcher, local, read


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebPhotos]:
    with web_photos(tmp_path / "web") as server:
        yield server


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "localhost",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "169.254.169.254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_an_allowed_host_needs_a_public_address(web, host):
    internet = Internet({})
    with pytest.raises(InvalidArgument, match="not public"):
        read(fetcher(web, internet, web.url("/", host=host)), web.url("/a.jpg", host=host))

    assert (internet.dialled, web.connections) == ([], [])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "fe80::1%lo", "64:ff9b::a01:203"])
def test_a_name_with_any_private_address_is_refused(web, address):
    internet = Internet({"photos.example": [[PUBLIC, address]]})
    with pytest.raises(InvalidArgument, match="not public"):
        read(fetcher(web, internet), web.url("/a.jpg", host="photos.example"))

    assert (internet.dialled, web.connections) == ([], [])


def test_the_connection_uses_the_checked_address(web):
    web.put("/a.jpg", body(PHOTO))
    internet = Internet({"photos.example": [[PUBLIC], ["127.0.0.1"]]})
    store = fetcher(web, internet)

    assert read(store, web.url("/a.jpg", host="photos.example")) == PHOTO
    assert (internet.looked_up, internet.dialled) == (["photos.example"], [PUBLIC])
    with pytest.raises(InvalidArgument, match="not public"):
        read(store, web.url("/a.jpg", host="photos.example"))
    assert len(web.connections) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "localhost", "inside.example", "elsewhere.example"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_redirect_passes_the_same_checks(web, host, scheme):
    internet = Internet({"photos.example": [[PUBLIC]], "inside.example": [["127.0.0.1"]]})
    secret = web.url("/secret", host=host).replace("https", scheme)
    web.put("/secret", body(b"secret"))
    web.put("/a.jpg", redirect(secret))
    named = [] if host == "elsewhere.example" else [web.url("/", host=host), web.url("/", host=host).replace("https", "http")]
    with pytest.raises(InvalidArgument, match="allowed"):
        read(fetcher(web, internet, *named), web.url("/a.jpg", host="photos.example"))

    assert (internet.dialled, web.requests) == ([PUBLIC], ["/a.jpg"])


def test_a_redirect_to_other_schemes_is_refused(web):
    store = local(web)
    for to in (
        "file:///etc/passwd",
        "s3://photos/a.jpg",
        "//[",
        web.url("/b.jpg", host="x@localhost"),
        "/../../b.jpg\\",
    ):
        with pytest.raises(InvalidArgument, match="allowed"):
            read(store, web.put("/a.jpg", redirect(to)))


def test_redirects_are_followed_as_often_as_is_allowed(web):
    for i in range(7):
        web.put(f"/{i}", redirect(str(i + 1) if i % 2 else web.url(f"/{i + 1}"), status=[301, 302, 303, 307, 308][i % 5]))
    web.put("/7", body(PHOTO))
    store = local(web)

    assert read(store, web.url("/2")) == PHOTO
    with pytest.raises(BadPhoto, match="more than 5 times") as caught:
        read(store, web.url("/1"))
    assert caught.value.reason == "unreadable"
    assert read(local(web, limits=FetchLimits(redirects=7)), web.url("/0")) == PHOTO


def test_a_private_network_is_allowed_per_host(web):
    web.put("/a.jpg", body(PHOTO))
    internet = Internet({"photos.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]})
    store = HttpStore(
        sources(" ".join(web.url("/", host=name) for name in internet.names)),
        private=private_networks("photos.example=127.0.0.0/8"),
        ca_file=web.ca_file,
        resolve=internet.resolve,
    )

    assert read(store, web.url("/a.jpg", host="photos.example")) == PHOTO
    with pytest.raises(InvalidArgument, match="not public"):
        read(store, web.url("/a.jpg", host="other.example"))


def test_a_prefix_may_allow_all_hosts_below(web):
    web.put("/a.jpg", body(PHOTO))
    store = HttpStore(
        sources(f"https://*.example:{web.port}/"),
        private=private_networks("photos.example=127.0.0.0/8"),
        ca_file=web.ca_file,
        resolve=lambda _host, _port: ["127.0.0.1"],
    )

    assert read(store, web.url("/a.jpg", host="photos.example")) == PHOTO
    for host in ("example", "notexample", "photos.example.org"):
        with pytest.raises(InvalidArgument, match="not below"):
            read(store, web.url("/a.jpg", host=host))


def test_plain_http_is_read_where_it_is_named(tmp_path):
    with web_photos(tmp_path, tls=False) as plain:
        url = plain.put("/a.jpg", body(PHOTO))
        assert read(local(plain), url) == PHOTO
        with pytest.raises(InvalidArgument, match="not below"):
            read(local(plain, photo_sources=plain.url("/").replace("http", "https")), url)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("PHOTO_SOURCES", "photos.example", "prefix"),
        ("PHOTO_SOURCES", "https://photos.example/ ftp://photos.example/", "ftp"),
        ("PHOTO_SOURCES", "https://me@photos.example/", "user"),
        ("PHOTO_SOURCES", "https://photos.example/a?b", "query"),
        ("PHOTO_SOURCES", "s3://", "prefix"),
        ("PHOTO_SOURCES", "file:///photos", "prefix"),
        ("PHOTO_PRIVATE_HOSTS", "10.0.0.0/8", "HOST=CIDR"),
        ("PHOTO_PRIVATE_HOSTS", "photos.example=10.0.0.1/8", "host bits"),
        ("INLINE_STORE", "inline", "absolute path"),
        ("INLINE_STORE", "https://photos.example/", "absolute path"),
    ],
)
def test_a_wrong_setting_is_named_at_the_start(monkeypatch, setting, value, message):
    monkeypatch.setenv(f"MIRADOURO_{setting}", value)
    with pytest.raises(ConfigurationError, match=f"MIRADOURO_{setting}.*{message}"):
        load(PhotoStoreSettings)


def test_an_empty_authorities_file_stops_the_start(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(ConfigurationError, match="MIRADOURO_PHOTO_CA_FILE"):
            PhotoStores(PhotoStoreSettings(photo_sources="https://photos.example/", photo_ca_file=str(tmp_path / name))).open()


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_missing_package_error_names_its_extra(monkeypatch, scheme, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"install miradouro\[{scheme}\]"):
        PhotoStores(PhotoStoreSettings(photo_sources=f"{scheme}://photos/")).open()
    with pytest.raises(ConfigurationError, match=package):
        PhotoStores(PhotoStoreSettings(inline_store=f"{scheme}://photos/inline")).open()
