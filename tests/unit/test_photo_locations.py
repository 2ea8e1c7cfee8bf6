"""Which locations photos may be read from, and which addresses are public."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.adapters.photo_store.addresses import is_public
from miradouro.adapters.photo_store.allowed import is_allowed, location_of, private_networks, sources
from miradouro.core.errors import InvalidArgument


@pytest.mark.parametrize(
    ("uri", "prefix", "allowed"),
    [
        ("https://h/a/b.jpg", "https://h/", True),
        ("https://h/a/b.jpg", "https://h", True),
        ("https://h/a/b.jpg", "https://h/a", True),
        ("https://h/a/b.jpg?x=/../", "https://h/a/", True),
        ("https://h/a", "https://h/a", True),
        ("https://h/ab", "https://h/a", False),
        ("https://H/a", "https://h/", True),
        ("HTTPS://h:443/a", "https://h/", True),
        ("https://h:8443/a", "https://h/", False),
        ("https://h/a", "https://h:8443/", False),
        ("http://h/a", "https://h/", False),
        ("https://h.evil/a", "https://h/", False),
        ("https://a.b.h/x", "https://*.h/", True),
        ("https://h/x", "https://*.h/", False),
        ("https://[2606:4700::1]/x", "https://[2606:4700::1]/", True),
        ("https://h/x", "", False),
        ("s3://bbb/a/k ?#.jpg", "s3://bbb/a/", True),
        ("s3://bbb/ab", "s3://bbb/a/", False),
        ("s3://bbbb/a", "s3://bbb", False),
        ("gs://bbb/a", "s3://bbb/", False),
    ],
)
def test_a_location_below_a_listed_prefix_is_allowed(uri, prefix, allowed):
    assert is_allowed(location_of(uri), sources(prefix)) is allowed


@given(st.text() | st.from_regex(r"(https?|s3|gs)://[a-z@:0-9.\[\]]*/[a-z%./\\]*", fullmatch=True))
def test_any_text_is_a_clean_location_or_refused(text):
    try:
        location = location_of(text)
    except InvalidArgument:
        return
    assert location.scheme in {"https", "http", "s3", "gs"}
    assert location.host
    assert "@" not in location.host
    assert not {".", ".."} & set(location.path.split("/"))
    assert str(location_of(str(location))) == str(location)


@given(st.ip_addresses(v=4))
def test_an_embedded_ipv4_address_decides_publicness(address: IPv4Address):
    plain = is_public(address)
    for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ip_address(form)) is plain
    assert is_public(IPv6Address(0x2002 << 112 | int(address) << 80 | 1)) is plain


@given(st.ip_addresses(v=6))
def test_only_ipv6_global_unicast_addresses_are_public(address: IPv6Address):
    stands_for_ipv4 = address.ipv4_mapped or int(address) >> 32 == 0x64FF9B << 64
    if not stands_for_ipv4 and int(address) >> 125 != 1:
        assert not is_public(address)


def test_public_addresses_are_distinguished_from_others():
    public = "8.8.8.8 93.184.216.34 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808"
    other = (
        "0.0.0.1 10.0.0.1 100.64.0.1 127.0.0.2 169.254.169.254 172.31.255.255 192.0.0.9 192.0.2.1 192.88.99.1 192.168.0.1 "
        "198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 64:ff9b:1::1 100::1 2001::1 "
        "2001:db8::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1"
    )
    assert [one for one in public.split() if not is_public(ip_address(one))] == []
    assert [one for one in other.split() if is_public(ip_address(one))] == []


def test_a_host_may_have_several_private_networks():
    found = private_networks("a=10.0.0.0/8, [fd00::1]=fd00::/8\na=fd00::/8")
    assert {host: list(map(str, networks)) for host, networks in found.items()} == {
        "a": ["10.0.0.0/8", "fd00::/8"],
        "fd00::1": ["fd00::/8"],
    }
