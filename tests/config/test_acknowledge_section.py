"""[acknowledge]: a link holds a code, so that where it leads and who answers there must be said in full."""

from pathlib import Path

import pytest

from ray_tui import config
from ray_tui.core.errors import ConfigError

HEAD = '[run]\nrelease = "v1"\n[acknowledge]\n'


def parsed(text):
    return config.parse(HEAD + text, Path("ray-tui.toml")).acknowledge


def test_nothing_listens_unless_it_is_asked_for():
    """The command needs no listener."""
    assert parsed("").listen == ""


@pytest.mark.parametrize(
    ("listen", "address"),
    [("127.0.0.1:8912", ("127.0.0.1", 8912)), ("[::1]:0", ("::1", 0)), ("ack.local:80", ("ack.local", 80))],
)
def test_an_address_is_host_and_port(listen, address):
    """Names, IPv4 and IPv6 in brackets."""
    assert parsed(f'listen = "{listen}"').address == address


@pytest.mark.parametrize("url", ["https://ack.shop.example", "https://a.b:8443/ray", "http://localhost:8912"])
def test_a_link_is_https_or_of_this_machine(url):
    """What leaves the machine is encrypted."""
    assert parsed(f'listen = "127.0.0.1:1"\nurl = "{url}"').url == url


@pytest.mark.parametrize(
    "text",
    [
        'listen = "8912"',
        'listen = "127.0.0.1:"',
        'listen = "127.0.0.1:99999"',
        'listen = "127.0.0.1:٣"',
        'url = "https://ack.example"',
        'slack_signing_secret = "env:X"',
        'listen = "127.0.0.1:1"\nurl = "http://ack.example"',
        'listen = "127.0.0.1:1"\nurl = "https://ack.example/?q={{ .X }}"',
        'listen = "127.0.0.1:1"\nurl = "http://localhost.evil.example"',
        'listen = "127.0.0.1:1"\nslack_signing_secret = "8f742231b10e8888abcd"',
    ],
)
def test_what_could_not_work_or_would_leak_is_refused(text):
    """With the file and the line; a secret that stands there is not repeated."""
    with pytest.raises(ConfigError, match=r"ray-tui\.toml:\d+: acknowledge") as caught:
        parsed(text)
    assert "8f742231" not in str(caught.value)
