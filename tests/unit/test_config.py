"""Reading settings: the environment wins, what is unknown is refused, no value is quoted."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from streamer.config import SECRET_FIELDS, Settings, load_settings
from streamer.config_words import UNEXPLAINED, in_words
from streamer.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

PLANTED = "PLANTED-0123456789"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STREAMER_")]:
        monkeypatch.delenv(name)


def _problem(config: Path | None = None) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(config)
    return caught.value


@pytest.mark.parametrize(
    ("variables", "where", "what"),
    [
        (
            {"STREAMER_KAFFKA__GROUP": PLANTED},
            "STREAMER_KAFFKA__GROUP",
            "there is no section 'kaffka'",
        ),
        ({"STREAMER_KAFKA__GRUOP": PLANTED}, "STREAMER_KAFKA__GRUOP", "there is no such setting"),
        ({"STREAMER_KAFKA": PLANTED}, "STREAMER_<SECTION>", "JSON object"),
        ({"STREAMER_KAFKA": f'["{PLANTED}"]'}, "STREAMER_KAFKA", "settings by name"),
        (
            {
                "STREAMER_FLATFILE__TOKEN": PLANTED,
                "STREAMER_FLATFILE__CLIENT_ID": "x",
                "STREAMER_FLATFILE__SECRET": PLANTED,
            },
            "STREAMER_FLATFILE",
            "not both",
        ),
        ({"STREAMER_FLATFILE__SECRET": PLANTED}, "STREAMER_FLATFILE", "belong together"),
        (
            {"STREAMER_FLATFILE__API_URL": f"http://{PLANTED}.example.com"},
            "STREAMER_FLATFILE",
            "https",
        ),
        (
            {"STREAMER_FLATFILE__API_URL": f"https://u:{PLANTED}@example.com"},
            "STREAMER_FLATFILE__API_URL",
            "must not carry credentials",
        ),
        *(
            ({"STREAMER_FLATFILE__API_URL": url}, "STREAMER_FLATFILE__API_URL", what)
            for url, what in (
                (f"ftp://{PLANTED}", "https URL"),
                ("", "https URL"),
                (f"https://[{PLANTED}", "https URL"),
                (f"https://example.com/{PLANTED} v1", "https URL"),
                (f"https://example.com/v1?token={PLANTED}", "it has no ? and no #"),
                (f"https://example.com/v1#{PLANTED}", "it has no ? and no #"),
            )
        ),
        ({"STREAMER_CAPTURE__INTERVAL": PLANTED}, "STREAMER_CAPTURE__INTERVAL", "number"),
        ({"STREAMER_CAPTURE__INTERVAL": "nan"}, "STREAMER_CAPTURE__INTERVAL", "finite"),
        ({"STREAMER_CAPTURE__INTERVAL": "inf"}, "STREAMER_CAPTURE__INTERVAL", "finite"),
        ({"STREAMER_CAPTURE__START": "2026-01-31"}, "STREAMER_CAPTURE__START", "needs its zone"),
        ({"STREAMER_CAPTURE__START": PLANTED}, "STREAMER_CAPTURE__START", "earliest, now"),
        (
            {"STREAMER_CAPTURE__START": "9999-12-31T23:59:59-05:00"},
            "STREAMER_CAPTURE__START",
            "earliest, now",
        ),
        *(
            ({f"STREAMER_CAPTURE__{name}": "1e15"}, f"STREAMER_CAPTURE__{name}", "315360000 or")
            for name in ("OVERLAP", "SWEEP_WINDOW", "DEEP_SWEEP_WINDOW")
        ),
        *(
            ({f"STREAMER_KAFKA__{name}": "1e9"}, f"STREAMER_KAFKA__{name}", f"must be {most} or")
            for name, most in (
                ("SESSION_TIMEOUT", "1800"),
                ("TRANSACTION_TIMEOUT", "900"),
                ("STARTUP_TIMEOUT", "86400"),
                ("RETENTION_DAYS", "36500"),
            )
        ),
        (
            {"STREAMER_CAPTURE__ENVIRONMENTS": f'{{"{PLANTED}": 1}}'},
            "STREAMER_CAPTURE__ENVIRONMENTS",
            "must be a list",
        ),
        (
            {"STREAMER_KAFKA__SECURITY_PROTOCOL": "SASL_SSL"},
            "STREAMER_KAFKA",
            "needs sasl_username and sasl_password",
        ),
        ({"STREAMER_PRIVACY__PERSONAL_DATA": PLANTED}, "STREAMER_PRIVACY__PERSONAL_DATA", "'drop'"),
        (
            {"STREAMER_PRIVACY__PERSONAL_DATA": "pseudonymize"},
            "STREAMER_PRIVACY",
            "pseudonymize needs a key",
        ),
        ({"STREAMER_PRIVACY__KEY": "fifteen PLANTED"}, "STREAMER_PRIVACY__KEY", "16 bytes"),
        (
            {"STREAMER_PRIVACY__KEY": "sixteen PLANTED!\nPLANTED"},
            "STREAMER_PRIVACY__KEY",
            "has more than one line",
        ),
        (
            {
                "STREAMER_FLATFILE__SECRET": PLANTED,
                "STREAMER_FLATFILE__SECRET_FILE": "/run/secrets/x",
                "STREAMER_FLATFILE__CLIENT_ID": "x",
            },
            "STREAMER_FLATFILE__SECRET_FILE",
            "is set as well",
        ),
        (
            {
                "STREAMER_FLATFILE__SECRET_FILE": "/nowhere/secret",
                "STREAMER_FLATFILE__CLIENT_ID": "x",
            },
            "STREAMER_FLATFILE__SECRET_FILE",
            "cannot read /nowhere/secret",
        ),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_quoted(
    variables: dict[str, str], where: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable and what is wrong, exits 2, and holds no value."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = _problem()
    assert error.where == where
    assert what in error.what
    assert error.exit_code == 2
    assert PLANTED not in str(error)
    assert PLANTED.lower() not in str(error)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (f"[kaffka]\ngroup = '{PLANTED}'\n", "{file}, kaffka", "there is no such setting"),
        (f"[kafka]\ngruop = '{PLANTED}'\n", "{file}, kafka.gruop", "there is no such setting"),
        (f"kafka = '{PLANTED}'\n", "{file}, kafka", "settings by name"),
        (
            f"[flatfile]\ntoken = '{PLANTED}'\nclient_id = 'x'\n",
            "{file}, flatfile",
            "not both",
        ),
        ("[kafka\n", "{file}", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_its_place_in_the_file(
    text: str, where: str, what: str, tmp_path: Path
) -> None:
    """What is wrong in a file is named as section and field of that file, without its value."""
    file = tmp_path / "streamer.toml"
    file.write_text(text)
    error = _problem(file)
    assert error.where == where.format(file=file)
    assert what in error.what
    assert PLANTED not in str(error)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A mistyped --config does not silently mean: defaults."""
    error = _problem(tmp_path / "missing.toml")
    assert error.exit_code == 2
    assert "missing.toml" in error.where


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable replaces the file's value of its field, and leaves the other fields."""
    file = tmp_path / "streamer.toml"
    file.write_text('[kafka]\ntopic_prefix = "file"\npartitions = 3\n')
    monkeypatch.setenv("STREAMER_KAFKA__TOPIC_PREFIX", "variable")
    settings = load_settings(file)
    assert settings.kafka.topic_prefix == "variable"
    assert settings.kafka.partitions == 3


@pytest.mark.parametrize("text", ["a:1,b:2", " a:1 , b:2 ,", '["a:1", "b:2"]'])
def test_lists_are_comma_separated_or_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both forms of a list in the environment mean the same."""
    monkeypatch.setenv("STREAMER_KAFKA__BOOTSTRAP_SERVERS", text)
    assert load_settings().kafka.bootstrap_servers == ("a:1", "b:2")


def test_an_empty_file_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was not filled is named, instead of a secret that is refused later."""
    (file := tmp_path / "secret").write_text("\n")
    monkeypatch.setenv("STREAMER_FLATFILE__CLIENT_ID", "id")
    monkeypatch.setenv("STREAMER_FLATFILE__SECRET_FILE", str(file))
    assert _problem().what == f"the content of {file} is empty"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("PLANTED\nPLANTED\n", "has more than one line"),
        ("PLANTED\n\n", "has more than one line"),
        ("PLANTED\0", "has a character in it that cannot be seen"),
        ("PLANTED\x1b[0m", "has a character in it that cannot be seen"),
        ("\ufeffPLANTED", "has a character in it that cannot be seen"),
        (" PLANTED", "begins or ends with a space"),
    ],
)
def test_what_nobody_means_as_a_secret_is_refused(
    content: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a file and in a variable; it would otherwise be refused by whoever it is sent to."""
    (file := tmp_path / "secret").write_text(content)
    monkeypatch.setenv("STREAMER_FLATFILE__TOKEN_FILE", str(file))
    in_file = _problem()
    assert (in_file.where, in_file.what) == (
        "STREAMER_FLATFILE__TOKEN_FILE",
        f"the content of {file} {what}",
    )
    assert "PLANTED" not in str(in_file)
    if "\0" not in content:  # No variable can hold it.
        monkeypatch.delenv("STREAMER_FLATFILE__TOKEN_FILE")
        monkeypatch.setenv("STREAMER_FLATFILE__TOKEN", content)
        in_variable = _problem()
        assert (in_variable.where, in_variable.what) == ("STREAMER_FLATFILE__TOKEN", what)


@pytest.mark.parametrize("field", ["CLIENT_ID", "SECRET", "TOKEN", "SECRET_FILE", "TOKEN_FILE"])
def test_a_variable_that_is_empty_is_named(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a deployment forgot to fill in is named by its variable, with what to do."""
    monkeypatch.setenv(f"STREAMER_FLATFILE__{field}", "")
    problem = _problem()
    assert problem.where == f"STREAMER_FLATFILE__{field}"
    assert "is empty" in problem.what


def _wrong_values() -> list[tuple[str, str, object]]:
    """Each setting with values of which at least one is none that it takes."""
    values: list[object] = ["\x07", "", "nan", -1, 1.5, 10**30, [], [[]], {"a": 1}, True]
    return [
        (section, name, value)
        for section, info in Settings.model_fields.items()
        for name in info.annotation.model_fields  # type: ignore[union-attr]
        for value in values
    ]


def test_no_sentence_is_that_of_the_parser() -> None:
    """Whatever a setting holds, what is wrong with it is said in our words."""
    said = set()
    for section, name, value in _wrong_values():
        try:
            Settings.model_validate({section: {name: value}})
        except ValidationError as error:
            said |= {in_words(each) for each in error.errors(include_input=False)}
    assert len(said) > 12
    assert UNEXPLAINED not in said
    parsers = re.compile(r"Input|String should|valid|tuple|dictionary|\{|<class")
    assert [each for each in said if parsers.search(each)] == []


@pytest.mark.parametrize("text", ["[::1]:9092", "a:1,[::1]:9092", '["[::1]:9092"]', "a"])
def test_a_broker_may_be_named_by_any_address(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets of IPv6 are no JSON, and a host without a port is enough."""
    monkeypatch.setenv("STREAMER_KAFKA__BOOTSTRAP_SERVERS", text)
    assert load_settings().kafka.bootstrap_servers[-1] in {"[::1]:9092", "a"}


@pytest.mark.parametrize(
    "text", ["a:PLANTED", "a:99999", "kafka://a:1", "a:b:1", ":9092", "::1", "a:1,b:c", "u:p@a/x"]
)
def test_what_is_no_address_of_a_broker_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would otherwise end the daemon with an error of the Kafka client's own."""
    monkeypatch.setenv("STREAMER_KAFKA__BOOTSTRAP_SERVERS", text)
    problem = _problem()
    assert problem.where == "STREAMER_KAFKA__BOOTSTRAP_SERVERS"
    assert "must be host:port" in problem.what
    assert "PLANTED" not in str(problem)


@pytest.mark.parametrize("port", ["PLANTED", "99999"])
def test_a_port_of_the_api_that_cannot_be_is_refused(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would otherwise look like a connection that broke, which is tried for ever."""
    monkeypatch.setenv("STREAMER_FLATFILE__API_URL", f"https://example.com:{port}/v1")
    problem = _problem()
    assert problem.what == "has a port that is no number up to 65535"
    assert "PLANTED" not in str(problem)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_may_be_in_a_file(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's text less its last newline is the secret."""
    file = tmp_path / "secret"
    file.write_text(PLANTED + ending, newline="")
    monkeypatch.setenv("STREAMER_FLATFILE__CLIENT_ID", "x")
    monkeypatch.setenv("STREAMER_FLATFILE__SECRET_FILE", str(file))
    secret = load_settings().flatfile.secret
    assert secret is not None
    assert secret.get_secret_value() == PLANTED


def test_no_secret_is_in_any_form_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither repr nor str nor JSON of the settings holds a secret's value."""
    monkeypatch.setenv("STREAMER_FLATFILE__TOKEN", PLANTED)
    monkeypatch.setenv("STREAMER_KAFKA__SASL_PASSWORD", PLANTED)
    settings = load_settings()
    dumped = json.dumps(settings.model_dump(mode="json"))
    for text in (repr(settings), str(settings), dumped, repr(settings.flatfile)):
        assert PLANTED not in text


def test_every_setting_is_documented_and_every_secret_is_known() -> None:
    """Each field has a description of a sentence, and each SecretStr stands in SECRET_FIELDS."""
    for section, info in Settings.model_fields.items():
        fields = info.annotation.model_fields  # type: ignore[union-attr]
        for name, field in fields.items():
            assert len(field.description or "") > 15, f"{section}.{name}"
            is_secret = "SecretStr" in str(field.annotation)
            assert is_secret == (name in SECRET_FIELDS.get(section, ())), f"{section}.{name}"


@pytest.mark.parametrize("policy", ["clear", "pseudonymize", "drop"])
def test_the_key_of_pseudonyms_may_be_in_a_file(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`STREAMER_PRIVACY__KEY_FILE` names the key's file, and the key is shown nowhere."""
    file = tmp_path / "key"
    file.write_text("sixteen PLANTED!\n")
    monkeypatch.setenv("STREAMER_PRIVACY__KEY_FILE", str(file))
    monkeypatch.setenv("STREAMER_PRIVACY__PERSONAL_DATA", policy)
    privacy = load_settings().privacy
    assert privacy.personal_data == policy
    assert privacy.key is not None
    assert privacy.key.get_secret_value() == "sixteen PLANTED!"
    assert "PLANTED" not in repr(privacy)
