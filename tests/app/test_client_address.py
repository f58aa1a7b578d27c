"""Whose request it is, behind proxies of every habit."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client_address import client_address
from core.budget import address_group

PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("lines", "proxies", "expected"),
    [
        # Nobody is trusted: the header is anybody's word.
        (["203.0.113.8"], 0, PEER),
        ([], 1, PEER),
        (["203.0.113.8"], 1, "203.0.113.8"),
        # A proxy that appends to the client's own line (Envoy, nginx) and one that adds a line (HAProxy).
        (["198.51.100.1, 203.0.113.8"], 1, "203.0.113.8"),
        (["198.51.100.1", "203.0.113.8"], 1, "203.0.113.8"),
        (["198.51.100.1", "198.51.100.2,203.0.113.8"], 1, "203.0.113.8"),
        # Two proxies: the inner one has appended the outer one's address.
        (["203.0.113.8, 10.0.0.2"], 2, "203.0.113.8"),
        (["198.51.100.1", "203.0.113.8", "10.0.0.2"], 2, "203.0.113.8"),
        # Fewer entries than proxies: somebody has come past one of them.
        (["203.0.113.8"], 2, PEER),
        # Ports (Azure Application Gateway), brackets, zones, mapped addresses, other spellings of one address.
        (["203.0.113.8:51034"], 1, "203.0.113.8"),
        (["[2001:db8::1]:443"], 1, "2001:db8::1"),
        (["[2001:db8::1]"], 1, "2001:db8::1"),
        (["2001:DB8:0:0::0:1"], 1, "2001:db8::1"),
        (["fe80::1%eth0"], 1, "fe80::1"),
        (["::ffff:203.0.113.8"], 1, "203.0.113.8"),
        (["[::ffff:203.0.113.8]:443"], 1, "203.0.113.8"),
        # What is no address is not trusted.
        (["unknown"], 1, PEER),
        (["_hidden"], 1, PEER),
        ([""], 1, PEER),
        (["203.0.113.8, "], 1, PEER),
        (["203.0.113.999"], 1, PEER),
        (["0xcb.0x00.0x71.0x08"], 1, PEER),
        (["203.0.113.8:http"], 1, PEER),
        (["203.0.113.8:123456"], 1, PEER),
        (["[203.0.113.8]:1"], 1, "203.0.113.8"),
        (["2001:db8::1:99999"], 1, PEER),
        (["٢٠٣.0.113.8"], 1, PEER),
        (['for="203.0.113.8"'], 1, PEER),
        (["1" * 100_000], 1, PEER),
    ],
)
def test_the_client_is_found(lines: list[str], proxies: int, expected: str) -> None:
    assert client_address(PEER, lines, proxies) == expected


@pytest.mark.parametrize("peer", [None, "", "garbage", "/run/socket"])
def test_a_peer_without_an_address(peer: str | None) -> None:
    assert client_address(peer, [], 0) == ""


def test_the_peer_is_folded_too() -> None:
    assert client_address("::ffff:203.0.113.8", [], 0) == "203.0.113.8"


@given(
    st.lists(st.text(max_size=80), max_size=5),
    st.integers(1, 3),
    st.lists(st.ip_addresses(), min_size=3, max_size=3),
)
def test_nothing_that_a_client_writes_changes_what_trusted_proxies_write(
    written: list[str], proxies: int, appended: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
) -> None:
    ours = [str(address) for address in appended[:proxies]]
    expected = client_address(None, ours, proxies)
    assert expected
    assert client_address(PEER, [*written, *ours], proxies) == expected
    joined = ", ".join([*written, *ours])
    assert client_address(PEER, [joined], proxies) == expected


@given(st.lists(st.text(max_size=80), max_size=4), st.integers(0, 5))
def test_the_outcome_is_always_an_address(written: list[str], proxies: int) -> None:
    ipaddress.ip_address(client_address(PEER, written, proxies))


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_host_that_changes_its_lower_64_bits_stays_one(address: ipaddress.IPv6Address, low: int) -> None:
    if address.ipv4_mapped is None:
        other = ipaddress.IPv6Address((int(address) >> 64 << 64) | low)
        if other.ipv4_mapped is None:
            assert address_group(str(address)) == address_group(str(other))
