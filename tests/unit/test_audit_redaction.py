"""Credentials: found in every disguise, cut out of the bytes, and nothing else with them."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from streamer.audit import credentials
from streamer.audit.redaction import redact, redact_event, redact_text
from streamer.audit.scanner import LONGEST_LAYER_BYTES
from streamer.flatfile.rows import read_row
from tests.support.audit_records import ADA, element, event, record, sealed

SECRET = "hunter2Zq9"  # noqa: S105  (planted)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


DISGUISES: dict[str, tuple[bytes, str]] = {
    "plain": (_json({"accessToken": SECRET}), "p.accessToken"),
    "nested": (_json({"a": [1, {"space": {"guestLink": SECRET}}]}), "p.a[1].space.guestLink"),
    "other case": (_json({"APIKEY": SECRET}), "p.APIKEY"),
    "snake case": (_json({"access_token": SECRET}), "p.access_token"),
    "kebab case": (_json({"x-api-key": SECRET}), "p.x-api-key"),
    "as suffix": (_json({"dbPassword": SECRET}), "p.dbPassword"),
    "mixed case": (_json({"aUtHoRiZaTiOn": SECRET}), "p.aUtHoRiZaTiOn"),
    "escaped key": (b'{"acc\\u0065ss\\u0054oken":"%b"}' % SECRET.encode(), "p.accessToken"),
    "duplicate key": (
        b'{"token":null,"token":"%b","token":""}' % SECRET.encode(),
        "p.token",
    ),
    "white space": (b'{"secret"\n\t : \r\n"%b" }' % SECRET.encode(), "p.secret"),
    "an object": (_json({"authorization": {"basic": [SECRET]}}), "p.authorization"),
    "json in a string": (_json({"body": _json({"token": SECRET}).decode()}), "p.body.token"),
    "json in json in a string": (
        _json({"body": _json({"x": _json({"token": SECRET}).decode()}).decode()}),
        "p.body.x.token",
    ),
    "broken json in a string": (
        _json({"v": 'got 5" and {"token": "' + SECRET}),
        "p.v",
    ),
    "escaped json in a text": (
        _json({"v": 'payload={\\"token\\": \\"' + SECRET + '\\"}'}),
        "p.v.token",
    ),
    "python in a string": (_json({"v": "{'token': '" + SECRET + "'}"}), "p.v"),
    "url query": (_json({"u": f"https://x.example.com/?a=1&token={SECRET}&b=2"}), "p.u"),
    "url fragment": (_json({"u": f"https://x.example.com/#access_token={SECRET}"}), "p.u"),
    "url in a url": (
        _json({"u": "https://x/?next=" + quote(f"https://y/?token={SECRET}", safe="")}),
        "p.u",
    ),
    "percent-encoded key": (_json({"u": f"https://x/?%74oken={SECRET}"}), "p.u"),
    "percent-encoded piece": (_json({"q": f"a=1&t%6fken={SECRET}"}), "p.q"),
    "percent-encoded json": (
        _json({"u": "https://x/?q=" + quote(_json({"token": SECRET}))}),
        "p.u.token",
    ),
    "password in a url": (_json({"u": f"postgres://me:{SECRET}@db.example.com/x"}), "p.u"),
    "by prefix": (_json({"v": f"sk_live_{SECRET}"}), "p.v"),
    "by prefix, with a quote in it": (_json({"v": f'sk_live"{SECRET}'}), "p.v"),
    "by prefix inside a text": (_json({"v": f"use (pat_{SECRET}) now"}), "p.v"),
    "by prefix behind an escape": (_json({"v": f"line\npk_{SECRET}"}), "p.v"),
    "by escaped prefix": (b'{"v":"\\u0073k_%b"}' % SECRET.encode(), "p.v"),
    "bearer": (_json({"v": f"Bearer {SECRET}"}), "p.v"),
    "bearer in lower case": (_json({"v": f"authorization was bearer  {SECRET}"}), "p.v"),
    "as a key": (_json({f"sk_{SECRET}": 1}), "p.[redacted]"),
    "a change, field first": (
        _json({"changes": [{"field": "apiKey", "previousValue": SECRET, "newValue": ""}]}),
        "p.changes[0].previousValue",
    ),
    "a change, field last": (
        _json({"changes": [{"newValue": {"x": SECRET}, "fieldKey": "login_password"}]}),
        "p.changes[0].newValue",
    ),
    "a named value": (
        _json({"headers": [{"name": "Authorization", "value": SECRET}]}),
        "p.headers[0].value",
    ),
    "not utf-8": (b'{"x":"\xff\xfe","token":"%b\xff"}' % SECRET.encode(), "p.token"),
    "never closed": (b'{"token":"%b' % SECRET.encode(), "p.token"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_saves_a_credential(disguise: str) -> None:
    """It is suspected, found, taken out, and named by its path."""
    raw, path = DISGUISES[disguise]
    assert credentials.suspect(raw)
    redacted = redact(raw, "p")
    assert SECRET.encode() not in redacted.text
    assert redacted.paths == (path,)


@pytest.mark.parametrize(
    "disguise", [d for d in DISGUISES if d not in ("not utf-8", "never closed")]
)
def test_what_is_left_is_the_same_json(disguise: str) -> None:
    """Only what was taken out differs: the text still parses, at every level."""
    raw, _ = DISGUISES[disguise]
    after = json.loads(redact(raw, "p").text)
    body = after.get("body")
    if body:
        inner = json.loads(body)
        assert inner.get("token", "[redacted]") == "[redacted]"


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("part", ["context", "attributes", "origin", "payload", "extra"])
def test_every_part_of_an_event_is_searched(disguise: str, part: str) -> None:
    """A credential survives in no member of the record, and not in a dead letter either."""
    raw, _ = DISGUISES[disguise]
    if disguise in ("not utf-8", "never closed"):
        raw = b'{"x":{"token":"%b"}}' % SECRET.encode()
    name = "unheardOf" if part == "extra" else part
    members: dict[str, Any] = {part: None}
    text = json.dumps(element(**members)).encode()[:-1] + b',"%b":%b}' % (name.encode(), raw)
    one = sealed(read_row(text))[0]
    assert SECRET.encode() not in one.value
    assert json.loads(one.value)["redacted"]
    stub = sealed(read_row(text), refused=["us_evt_00000001"])[0]
    assert SECRET.encode() not in stub.value + b"".join(
        letter.value for letter in stub.dead_letters
    )


@pytest.mark.parametrize(
    "innocent",
    [
        {"id": "us_pat_Abc123", "keys": ["eu_sk_1", "us_pk_2"]},
        {"secretId": "us_sec_1", "tokens": 3, "passwordPolicy": "strict", "isSecret": True},
        {"token": None, "password": "", "secret": False, "apiKey": {}, "cookie": []},
        {"value": "x", "newValue": "y", "field": "first_name"},
        {"text": "the task_list of pk and bearers of news; 50% of https://x.example.com/a?b=1"},
        {"text": "a risk_value, a spk_thing"},
    ],
)
def test_innocent_values_keep_their_bytes(innocent: object) -> None:
    """Ids with a region, words that only look alike, and empty values are no credentials."""
    raw = _json(innocent)
    assert redact(raw, "p") == (raw, ())


def test_the_value_of_a_secret_is_a_credential_and_of_nothing_else() -> None:
    """Under `secret:*`, `value` is taken out at any depth, and what a change says of it."""
    payload = {"a": {"value": SECRET}, "changes": [{"field": "value", "newValue": SECRET}]}
    assert SECRET in json.dumps(record(event("records:updated", payload=payload)))
    found = record(event("secret:updated", payload=payload))
    assert SECRET not in json.dumps(found)
    assert found["redacted"] == ["payload.a.value", "payload.changes[0].newValue"]


def test_bytes_beside_a_credential_are_untouched() -> None:
    """Spaces, escapes, numbers and lone surrogates around it stay as they were."""
    raw = b'{ "a":1e400,\t"token" : "%b" , "b":"\\ud800\\/\\u00e9","c":18446744073709551616}'
    redacted = redact(raw % SECRET.encode(), "p")
    assert redacted.text == raw % b"[redacted]"


def test_a_credential_is_cut_out_to_its_last_escape() -> None:
    """Where it begins or ends with an escape, the whole escape goes."""
    raw = b'{"v":"x \\u0073k_\\u00e9\\u0064","w":"a\\/b"}'
    assert redact(raw, "p").text == b'{"v":"x [redacted]","w":"a\\/b"}'


@pytest.mark.parametrize("levels", [1, 4, 8, 12])
@pytest.mark.parametrize("how", ["percent", "string"])
def test_what_is_too_deep_to_be_looked_into_goes_whole(how: str, levels: int) -> None:
    """Whatever the number of levels, nothing is published unseen."""
    text = f"%74oken={SECRET}" if how == "percent" else f'{{"t\\u006fken":"{SECRET}"}}'
    for _ in range(levels):
        text = text.replace("%", "%25") if how == "percent" else json.dumps(text)[1:-1]
    raw = b'{"v":"%b","w":"a"}' % text.encode()
    redacted = redact(raw, "p")
    assert SECRET.encode() not in redacted.text
    assert redacted.text.endswith(b'"w":"a"}')


def _wrapped(levels: int) -> bytes:
    """Return JSON in which each level hides the one below in another encoding."""
    text = f"token={SECRET} "
    for level in range(levels):
        if level % 3 == 0:
            text = "x" + json.dumps(text) + "y"
        elif level % 3 == 1:
            text = quote(text) + "%41"
        else:
            text = json.dumps(text)[1:-1] + "\\n"
    return _json({"v": text, "w": "a"})


@pytest.mark.parametrize("levels", range(16))
@pytest.mark.parametrize("looks", [2, 32])
def test_encodings_in_any_mixture_hide_nothing(
    levels: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the looks that a text is worth are used up before its last level."""
    monkeypatch.setattr("streamer.audit.scanner.MOST_LOOKS", looks)
    text = redact(_wrapped(levels), "p").text
    assert SECRET.encode() not in text
    assert text.endswith(b'"w": "a"}')


def test_a_string_too_long_to_be_decoded_goes_whole_if_it_is_suspect() -> None:
    """Beyond a few megabytes, a string with a credential in it is not worth keeping."""
    pad = "x" * LONGEST_LAYER_BYTES
    assert redact(_json({"v": pad + "?token=" + SECRET}), "p").text == b'{"v": "[redacted]"}'
    assert redact(_json({"v": pad}), "p").text == _json({"v": pad})


def test_credentials_in_names_and_odd_members_are_taken_out() -> None:
    """Names that were looked up, the domain, an unknown topic and lifecycle texts are searched."""
    key = f"sk_{SECRET}"
    one = event(f"x:{key}", domain=key, acknowledgedBy=key, createdAt=key, namespaces=[key])
    value = sealed(one)[0].value
    assert SECRET.encode() not in value
    assert SECRET.encode() not in repr(sealed(one)[0].headers).encode()


def test_the_actors_id_is_no_credential_even_if_it_looks_like_one() -> None:
    """A token in the actor's place is taken out there as well as in the context."""
    one = event(context={"actorId": f"pat_{SECRET}"})
    found = sealed(one)[0]
    assert SECRET.encode() not in found.value
    assert SECRET.encode() not in repr(found.headers).encode()


def test_a_region_prefixed_token_id_stays_as_the_actor() -> None:
    """`us_pat_…` names a token, and may be published."""
    assert record(event(context={"actorId": "us_pat_Abc"}))["actor"]["id"] == "us_pat_Abc"


def test_a_whole_event_loses_its_signed_urls_too() -> None:
    """What goes to the dead letters has neither credentials nor callback and data URLs."""
    raw = b'{"callbackUrl":"https://c/?sig=1","dataUrl": "https://d/","token":"%b","x":' % (
        SECRET.encode()
    )
    redacted = redact_event(raw)
    assert redacted.text == (
        b'{"callbackUrl":"[redacted]","dataUrl": "[redacted]","token":"[redacted]","x":'
    )
    assert redacted.paths == ("callbackUrl", "dataUrl", "token")


@pytest.mark.parametrize("text", ["Ada Park", 'a"b\\c', "\ud800", "é\x00", "Bear"])
def test_a_plain_text_without_credential_is_itself(text: str) -> None:
    """Names are not changed by being searched."""
    assert redact_text(text) == text
    assert redact_text(f"{text} sk_{SECRET}") == f"{text} [redacted]"


EVIL = {
    "backslashes": b'{"token":"' + b"\\" * 200_000,
    "unclosed": b'"token":' * 50_000,
    "deep": b'{"token":1,"a":' * 30_000,
    "deep arrays": b"[" * 200_000 + b'{"token":1}' + b"]" * 200_000,
    "percents": b'{"a":"' + b"%25" * 100_000 + b'token="}',
    "quotes": b'{"a":"token=' + b'\\"' * 150_000 + b'"}',
    "colons": b'{"a":"token=' + b"':" * 50_000 + b'"}',
    "equals": b'{"a":"' + b"=" * 300_000 + b'token="}',
    "urls": b'{"a":"token=' + b"://a:" * 60_000 + b'"}',
    "bearers": b'{"a":"' + b"bearer " * 40_000 + b'"}',
    "keys": b'{"' + b"token" * 60_000 + b'":1}',
    "escapes in escapes": b'{"a":"token=' + b"\\\\" * 100_000 + b'"}',
    "strings in strings": b'{"a":"token=' + b'\\"%25' * 60_000 + b'"}',
    "spaces": b'{"a":"token=' + b" " * 300_000 + b'"}',
}


@pytest.mark.parametrize("kind", EVIL)
def test_the_time_is_linear_in_the_length(kind: str) -> None:
    """Four times as much of the worst text takes no more than about four times as long."""

    def seconds(text: bytes) -> float:
        # The least of three: another process can only make it take longer.
        taken = []
        for _ in range(3):
            began = time.process_time()
            redact(text, "p")
            taken.append(time.process_time() - began)
        return min(taken)

    whole = EVIL[kind]
    quarter = whole[: len(whole) // 4]
    assert seconds(whole) < 10 * max(seconds(quarter), 0.02)


def test_known_names_are_not_mistaken_for_credentials() -> None:
    """The actor's name and address are published as they are."""
    actor = record(event())["actor"]
    assert (actor["name"], actor["email"]) == (ADA.name, ADA.email)
