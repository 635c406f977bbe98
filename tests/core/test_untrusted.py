"""Text from outside is made visible and bounded."""

from hypothesis import given
from hypothesis import strategies as st

from ray_tui.core import untrusted


def test_escapes_become_visible():
    """An OSC 52 that would write the clipboard is shown instead of sent."""
    assert untrusted.clean("a\x1b]52;c;aGk=\x07b") == "a\\u{1b}]52;c;aGk=\\u{7}b"


def test_bidi_and_zero_width_become_visible():
    """Text that would reorder or hide itself is shown."""
    assert untrusted.line("pay\u202epal\u200b") == "pay\\u{202e}pal\\u{200b}"


def test_a_cut_is_said():
    """200k characters are cut, and the cut is said."""
    cleaned = untrusted.clean("x" * 200_000, longest=10)
    assert cleaned == "x" * 10 + "… (199990 characters more)"


@given(st.text())
def test_nothing_steering_survives(text):
    """No control character but newline and tab, whatever comes in; cleaning twice changes nothing."""
    cleaned = untrusted.clean(text, longest=10_000)
    assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in cleaned)
    assert untrusted.clean(cleaned, longest=100_000) == cleaned


def test_deep_json_is_bounded():
    """Nesting deeper than the limit is replaced by a note, not followed."""
    deep: object = "end"
    for _ in range(200):
        deep = [deep]
    assert "(nested too deeply)" in str(untrusted.deep_clean(deep))
