"""Which proxy leads to an address, by the configuration and by what an environment may say."""

import socket
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from connector.config import PbxSection, ServiceSection
from connector.network import proxy as proxies
from connector.network.limits import PBX, SERVICE
from connector.network.proxy import (
    Environment,
    ProxySettingError,
    is_excepted,
    is_private,
    parse_proxy,
    schemes_of,
)
from connector.network.route import proxy_for
from connector.network.target import Target
from core.diagnosis.codes import Code


@pytest.mark.parametrize(
    ("text", "shown", "credentials"),
    [
        ("http://proxy.example:3128", "proxy.example:3128", None),
        ("proxy.example:3128", "proxy.example:3128", None),
        ("HTTP://PROXY.example:3128/", "PROXY.example:3128", None),
        (' "http://proxy.example:3128" ', "proxy.example:3128", None),  # cmd.exe: set HTTPS_PROXY="…"
        ("http://proxy.example", "proxy.example:80", None),
        ("proxy", "proxy:80", None),
        ("10.0.0.1:8080", "10.0.0.1:8080", None),
        ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128", None),
        ("http://user:geheim@proxy.example:3128", "proxy.example:3128", "user:geheim"),
        ("user:geheim@proxy.example:3128", "proxy.example:3128", "user:geheim"),
        ("http://user:p%40ss%23%25@proxy:1", "proxy:1", "user:p@ss#%"),
        ("http://user:p@ss#1@proxy:1", "proxy:1", "user:p@ss#1"),
        ("http://CORP\\user:a/b?c@proxy:1", "proxy:1", "CORP\\user:a/b?c"),
        ("http://CORP%5Cuser:50%off@proxy:1", "proxy:1", "CORP\\user:50%off"),
        ("http://user@proxy:1", "proxy:1", "user"),
        ("http://ümlaut:pässwörd@proxy:1", "proxy:1", "ümlaut:pässwörd"),
    ],
)
def test_an_address_of_a_proxy_is_read_as_people_write_it(
    text: str, shown: str, credentials: str | None
) -> None:
    proxy = parse_proxy(text, "HTTPS_PROXY")
    assert (proxy.shown, proxy.credentials) == (shown, credentials)
    assert "geheim" not in repr(proxy) and "geheim" not in proxy.url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("socks5://user:geheim@proxy:1080", "socks5://"),
        ("socks5h://proxy:1080", "socks5h://"),
        ("https://user:geheim@proxy:3128", "https://"),
        ("http://user:geheim@proxy:99999", "host and port"),
        ("http://user:geheim@proxy:port", "host and port"),
        ("http://user:geheim@", "host and port"),
        ("http://geheim geheim:3128", "host and port"),
        ("http://[::1:3128", "host and port"),
        ("://proxy", "kind"),
    ],
)
def test_what_cannot_be_a_proxy_is_named_without_its_password(text: str, reason: str) -> None:
    with pytest.raises(ProxySettingError, match=reason) as raised:
        parse_proxy(text, "HTTPS_PROXY")
    assert "geheim" not in str(raised.value) and "HTTPS_PROXY" in str(raised.value)


EXCEPTED = [
    # NO_PROXY, host, port, is it excepted?
    ("*", "service.example", 443, True),
    ("a.example,*", "service.example", 443, True),
    ("service.example", "service.example", 443, True),
    ("SERVICE.Example.", "service.example", 443, True),
    (" other.example , service.example ", "service.example", 443, True),
    ("other.example;service.example", "service.example", 443, True),
    ("other.example service.example", "service.example", 443, True),
    ("example", "service.example", 443, True),
    (".service.example", "service.example", 443, True),
    (".example", "pbx.service.example", 443, True),
    ("*.example", "service.example", 443, True),
    ("vice.example", "service.example", 443, False),
    ("service.example.org", "service.example", 443, False),
    ("service.example:443", "service.example", 443, True),
    ("service.example:8443", "service.example", 443, False),
    ("https://service.example/", "service.example", 443, True),
    ("münchen.example", "xn--mnchen-3ya.example", 443, True),
    ("xn--mnchen-3ya.example", "münchen.example", 443, True),
    ("10.1.2.3", "10.1.2.3", 443, True),
    ("10.1.2.3:443", "10.1.2.3", 443, True),
    ("10.1.2.3:80", "10.1.2.3", 443, False),
    ("1.2.3", "10.1.2.3", 443, False),
    ("2.3", "10.1.2.3", 443, False),
    ("10.0.0.0/8", "10.1.2.3", 443, True),
    ("10.0.0.0/8", "11.1.2.3", 443, False),
    ("10.1.2.3/8", "10.200.0.1", 443, True),
    ("10.0.0.0/255.0.0.0", "10.1.2.3", 443, True),
    ("10.0.0.0/8", "ten.example", 443, False),
    ("10.0.0.0/8", "::ffff:10.1.2.3", 443, True),
    ("10.0.0.0/99", "10.1.2.3", 443, False),
    ("localhost,127.0.0.0/8", "127.0.0.1", 80, True),
    ("10.*", "10.1.2.3", 443, True),
    ("10.1.*", "10.1.2.3", 443, True),
    ("10.1.*", "10.10.2.3", 443, False),
    ("1*", "10.1.2.3", 443, False),
    ("2001:db8::/32", "2001:db8::1", 443, True),
    ("2001:db8::/32", "2001:db9::1", 443, False),
    ("[2001:db8::]/32", "2001:db8::1", 443, True),
    ("2001:db8::1", "2001:DB8:0::1", 443, True),
    ("[2001:db8::1]", "2001:db8::1", 443, True),
    ("[2001:db8::1]:443", "2001:db8::1", 443, True),
    ("[2001:db8::1]:80", "2001:db8::1", 443, False),
    ("fe80::1", "fe80::1%eth0", 443, True),
    ("<local>", "pbx", 443, True),
    ("<local>", "pbx.example", 443, False),
    ("<local>", "10.1.2.3", 443, False),
    ("192.168.*;<local>;*.corp", "pbx.corp", 443, True),
    ("", "service.example", 443, False),
    (",;, ,", "service.example", 443, False),
    ("/", "service.example", 443, False),
    (".", "service.example", 443, False),
    ("[", "service.example", 443, False),
    (":443", "service.example", 443, False),
]


@pytest.mark.parametrize(("exceptions", "host", "port", "expected"), EXCEPTED)
def test_no_proxy(exceptions: str, host: str, port: int, expected: bool) -> None:
    assert is_excepted(host, port, exceptions) is expected


@pytest.mark.parametrize(
    ("variables", "is_secure", "shown", "source"),
    [
        ({"HTTPS_PROXY": "upper:1"}, True, "upper:1", "HTTPS_PROXY"),
        ({"https_proxy": "lower:1", "HTTPS_PROXY": "upper:1"}, True, "lower:1", "https_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": "upper:1"}, True, None, None),
        ({"Https_Proxy": "mixed:1"}, True, "mixed:1", "Https_Proxy"),
        ({"HTTP_PROXY": "plain:1"}, True, None, None),
        ({"HTTP_PROXY": "plain:1", "HTTPS_PROXY": "upper:1"}, False, "plain:1", "HTTP_PROXY"),
        ({"HTTPS_PROXY": "   "}, True, None, None),
        ({}, True, None, None),
    ],
)
def test_the_variable_of_the_scheme_in_either_case(
    variables: dict[str, str], is_secure: bool, shown: str | None, source: str | None
) -> None:
    proxy = Environment.read(variables).proxy(is_secure=is_secure)
    assert (proxy and proxy.shown, proxy and proxy.source) == (shown, source)


def test_windows_and_macos_settings_count_where_the_environment_names_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxies.sys, "platform", "win32")
    monkeypatch.setattr(proxies.urllib.request, "getproxies", lambda: {"https": "http://registry:8080"})
    monkeypatch.setattr(proxies.urllib.request, "proxy_bypass", lambda host: host == "pbx.corp")
    system = Environment.read({})
    found = system.proxy(is_secure=True)
    assert found is not None and found.shown == "registry:8080" and "HTTPS" not in found.source
    assert system.excepts("pbx.corp", 443) and not system.excepts("service.example", 443)
    named = Environment.read({"HTTPS_PROXY": "named:1"}).proxy(is_secure=True)
    assert named is not None and named.shown == "named:1"


def target(url: str, *, proxy: str | None = None, on_site: bool = False) -> Target:
    setting = SecretStr(proxy) if proxy is not None else None
    code, limits = (Code.PBX_UNREACHABLE, PBX) if on_site else (Code.SERVICE_UNREACHABLE, SERVICE)
    return Target(url, code, limits, setting, is_on_site=on_site)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The DNS of these tests."""
    known: dict[str, list[str]] = {}

    def resolve(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (
                family[":" in one],
                socket.SOCK_STREAM,
                6,
                "",
                (one, port or 0, 0, 0) if ":" in one else (one, port or 0),
            )
            for one in known[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


BOTH = {"HTTP_PROXY": "proxy:1", "HTTPS_PROXY": "proxy:1"}
NETWORK = {**BOTH, "NO_PROXY": "203.0.113.0/24,8.0.0.0/8"}


@pytest.mark.parametrize(
    ("url", "setting", "on_site", "variables", "expected"),
    [
        # The service: as the environment says, wherever it stands.
        ("https://service.example", None, False, BOTH, "proxy:1"),
        ("https://10.1.2.3", None, False, BOTH, "proxy:1"),
        ("https://service.example", None, False, {**BOTH, "NO_PROXY": "example"}, None),
        ("https://8.8.8.8", None, False, NETWORK, None),
        ("https://9.9.9.9", None, False, NETWORK, "proxy:1"),
        # This machine itself never.
        ("http://127.0.0.1:3978", None, False, BOTH, None),
        ("http://localhost:3978", None, False, BOTH, None),
        ("http://[::1]:3978", None, False, BOTH, None),
        # The configuration wins over all of it.
        ("https://service.example", "none", False, BOTH, None),
        ("https://service.example", "other:2", False, {**BOTH, "NO_PROXY": "*"}, "other:2"),
        ("http://127.0.0.1:3978", "other:2", False, {}, "other:2"),
        # A PBX (T21): directly on a private address, by number or by name.
        ("https://10.1.2.3", None, True, BOTH, None),
        ("http://192.168.1.2", None, True, BOTH, None),
        ("https://172.16.0.1", None, True, BOTH, None),
        ("https://100.64.0.1", None, True, BOTH, None),
        ("https://[fd00::1]", None, True, BOTH, None),
        ("https://[fe80::1]", None, True, BOTH, None),
        ("https://pbx.corp", None, True, BOTH, None),
        ("https://both.corp", None, True, BOTH, None),
        ("https://8.8.8.8", None, True, BOTH, "proxy:1"),
        ("https://hosted.example", None, True, BOTH, "proxy:1"),
        ("https://half.example", None, True, BOTH, "proxy:1"),
        ("https://unknown.example", None, True, BOTH, "proxy:1"),
        ("https://hosted.example", None, True, NETWORK, None),
        # … unless the configuration says otherwise.
        ("https://10.1.2.3", "environment", True, BOTH, "proxy:1"),
        ("https://10.1.2.3", "environment", True, {**BOTH, "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://10.1.2.3", "other:2", True, BOTH, "other:2"),
        ("https://8.8.8.8", "NONE", True, BOTH, None),
    ],
)
async def test_which_proxy(
    names: dict[str, list[str]],
    url: str,
    setting: str | None,
    on_site: bool,
    variables: dict[str, str],
    expected: str | None,
) -> None:
    names |= {
        "pbx.corp": ["10.1.2.3"],
        "both.corp": ["fd00::1", "10.1.2.3"],
        "hosted.example": ["8.8.8.8"],
        "half.example": ["10.1.2.3", "8.8.8.8"],
    }
    proxy = await proxy_for(target(url, proxy=setting, on_site=on_site), Environment.read(variables))
    assert (proxy.shown if proxy is not None else None) == expected


def test_private_addresses() -> None:
    for private in ("10.0.0.1", "192.168.0.1", "172.31.0.1", "169.254.1.1", "100.64.0.1", "fd00::1", "::1"):
        assert is_private(private), private
    for public in ("8.8.8.8", "172.32.0.1", "2606:4700::1111", "pbx.example"):
        assert not is_private(public), public


@pytest.mark.parametrize("section", ["service", "pbx"])
@pytest.mark.parametrize(
    ("text", "message"),
    [("socks5://u:geheim@p:1", "socks5://"), ("http://u:geheim@p:x", "host and port"), ("", "host and port")],
)
def test_a_proxy_in_the_configuration_is_checked_at_the_start(section: str, text: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        if section == "service":
            ServiceSection(url="https://s.example", proxy=SecretStr(text))
        else:
            PbxSection(name="p", url="https://p", login="l", password=SecretStr("x"), proxy=SecretStr(text))
    errors = raised.value.errors(include_url=False, include_input=False)
    assert message in errors[0]["msg"] and "geheim" not in errors[0]["msg"]


@pytest.mark.parametrize(
    ("headers", "schemes"),
    [
        (["Negotiate", "NTLM"], ["Negotiate", "NTLM"]),
        (["Negotiate, NTLM"], ["Negotiate", "NTLM"]),
        (['Basic realm="a, Digest b"'], ["Basic"]),
        (['Digest realm="x", nonce="y", algorithm=MD5, Basic realm="z"'], ["Digest", "Basic"]),
        (["NTLM TlRMTVNTUAAC=="], ["NTLM"]),
        (["negotiate", "Negotiate"], ["negotiate"]),
        (["", ",,", "a=b"], []),
        ([], []),
        (["x" * 10_000], ["x" * 30]),
        (["\x1b[31mred"], []),
    ],
)
def test_the_schemes_of_a_407(headers: list[str], schemes: list[str]) -> None:
    assert schemes_of(headers) == schemes
