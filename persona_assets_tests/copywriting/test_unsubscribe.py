"""Unsubscribing: tokens that name nobody, that only the shop can read, and their key."""

import os
import re
import stat
import subprocess
import sys
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.copywriting.unsubscribe import (
    KEY_FILE,
    Tokens,
    load_tokens,
    make_tokens,
    unsubscribe_link,
)
from persona_assets.errors import InputError
from persona_assets.settings import load_settings

TOKENS = Tokens("the shop's secret")


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_token_leads_back_to_its_customer(user_id):
    token = TOKENS.token(user_id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", token)
    assert TOKENS.read_token(token) == user_id


def test_a_token_is_the_same_every_time():
    assert Tokens("the shop's secret").token(7) == TOKENS.token(7)


def test_tokens_of_neighbours_have_nothing_in_common():
    tokens = [TOKENS.token(user_id) for user_id in range(200)]
    assert len({token[:6] for token in tokens}) == len({token[-6:] for token in tokens}) == 200


def test_a_token_with_any_one_character_changed_is_refused():
    token = TOKENS.token(1)
    for place in range(len(token)):
        for other in "Az9_":
            if token[place] != other:
                with pytest.raises(InputError, match="is no token of this shop"):
                    TOKENS.read_token(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "token",
    ["", "1", "A" * 32, "A" * 33, "é" * 32, "=" * 32, "\udcff", TOKENS.token(1) + "AAAA",
     TOKENS.token(1)[:-4], TOKENS.token(1) + "\n", f" {TOKENS.token(1)}"],
)  # fmt: skip
def test_what_is_no_token_is_refused(token):
    with pytest.raises(InputError, match="is no token of this shop"):
        TOKENS.read_token(token)


@given(st.text(max_size=60))
def test_no_text_that_was_made_up_is_read(text):
    with pytest.raises(InputError):
        TOKENS.read_token(text)


def test_the_token_of_another_shop_is_refused():
    with pytest.raises(InputError, match="check PERSONA_UNSUBSCRIBE_KEY"):
        Tokens("another secret").read_token(TOKENS.token(1))


@pytest.mark.parametrize("secret", ["x", "é ü 鍵", "a" * 10_000, "line\nbreak"])
def test_any_text_is_a_secret(secret):
    assert Tokens(secret).read_token(Tokens(secret).token(5)) == 5


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("https://shop.example/u", "https://shop.example/u?token=T"),
        ("https://shop.example", "https://shop.example?token=T"),
        ("https://shop.example/u?list=1&a=%20", "https://shop.example/u?list=1&a=%20&token=T"),
        ("https://shop.example/u?list=1#top", "https://shop.example/u?list=1&token=T#top"),
    ],
)
def test_a_link_keeps_the_query_that_is_there(base, link):
    assert unsubscribe_link(base, "T") == link


def test_a_link_carries_the_token_unchanged():
    token = TOKENS.token(-12)
    query = dict(parse_qsl(urlsplit(unsubscribe_link("https://shop.example/?a=b", token)).query))
    assert query == {"a": "b", "token": token}


# The key


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    settings = load_settings(home=tmp_path)
    token = make_tokens(settings).token(1)
    file = tmp_path / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) >= 40
    assert make_tokens(settings).token(1) == load_tokens(settings).token(1) == token
    assert not [*tmp_path.glob(".write-*")]


def test_the_key_of_another_home_is_another(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    a, b = (make_tokens(load_settings(home=tmp_path / name)) for name in ("a", "b"))
    with pytest.raises(InputError):
        a.read_token(b.token(1))


def test_a_key_from_the_settings_is_not_kept_anywhere(tmp_path):
    settings = load_settings(home=tmp_path, unsubscribe_key="from the settings")
    assert make_tokens(settings).token(1) == Tokens("from the settings").token(1)
    assert load_tokens(settings).token(1) == Tokens("from the settings").token(1)
    assert list(tmp_path.iterdir()) == []
    assert "from the settings" not in repr(settings)


def test_two_processes_that_make_the_key_at_once_agree(tmp_path):
    code = (
        "import sys; from persona_assets.copywriting.unsubscribe import make_tokens; "
        "from persona_assets.settings import load_settings; "
        "settings = load_settings(home=sys.argv[1]); print('ready', flush=True); input(); "
        "print(make_tokens(settings).token(1))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    made = [process.communicate(timeout=60)[0] for process in both]
    assert made[0] == made[1] == f"{load_tokens(load_settings(home=tmp_path)).token(1)}\n"


def test_without_a_key_nothing_is_made_up_to_read_a_token_with(tmp_path):
    with pytest.raises(InputError, match=f"no key .* at {tmp_path}/{KEY_FILE} yet"):
        load_tokens(load_settings(home=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_key_that_was_lost_is_named_and_not_replaced(tmp_path, content):
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(InputError, match=f"key for unsubscribe links at {tmp_path}/{KEY_FILE} "):
        make_tokens(load_settings(home=tmp_path))
    assert (tmp_path / KEY_FILE).read_bytes() == content


def test_a_home_that_cannot_keep_the_key_is_named(tmp_path):
    (tmp_path / "file").write_text("here first")
    settings = load_settings(home=tmp_path / "file" / "below")
    with pytest.raises(InputError, match="cannot be kept at .*: set PERSONA_HOME"):
        make_tokens(settings)
    assert os.listdir(tmp_path) == ["file"]
