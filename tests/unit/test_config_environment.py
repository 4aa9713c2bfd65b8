"""The configuration from the environment: what it overrides, and how its errors are told."""

from pathlib import Path

import pytest

from dicom_node.config import load_config
from dicom_node.errors import ConfigError

PLACE = '[[destinations]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_environment_overrides_every_key_lists_of_tables_too(tmp_path: Path) -> None:
    path = written(tmp_path, '[node]\nport = 104\n[[destinations]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\n')
    config = load_config(
        path,
        {
            "DICOM_NODE_NODE__PORT": "11113",
            "DICOM_NODE_LEDGER__URL": "postgresql://node:secret@db/ledger",
            "DICOM_NODE_DESTINATIONS__0__HOST": "pacs.example",
            "DICOM_NODE_NODE__CALLING_AE": '["CR1", "CR2"]',
            "PATH": "/usr/bin",
        },
    )
    assert config.node.port == 11113
    assert config.destinations[0].host == "pacs.example"
    assert config.node.calling_ae == ("CR1", "CR2")
    assert config.ledger_url == "postgresql://node:secret@db/ledger"


def test_the_environment_alone_can_name_a_dozen_destinations() -> None:
    """The eleventh place sorts before the third as text."""
    keys = {"NAME": "pacs{}", "AE_TITLE": "PACS", "HOST": "h", "PORT": "104"}
    environ = {f"DICOM_NODE_DESTINATIONS__{n}__{key}": text.format(n) for n in range(12) for key, text in keys.items()}
    assert [d.name for d in load_config(None, environ).destinations] == [f"pacs{n}" for n in range(12)]


TLS_SERVER = {
    "DICOM_NODE_TLS__CERTIFICATE": "c.pem",
    "DICOM_NODE_TLS__KEY": "k.pem",
    "DICOM_NODE_TLS__CA": "ca.pem",
}


def test_the_environment_keeps_the_case_of_keys_that_are_not_ours() -> None:
    """An AE title in another case is another one: nobody would have to show a certificate to call under it."""
    names = {
        "DICOM_NODE_TLS__CLIENT_NAMES__CR1": "cr1.example.org",
        "DICOM_NODE_TLS__CLIENT_NAMES__REGION": '["a.example.org", "b.example.org"]',
        "DICOM_NODE_TLS__CLIENT_NAMES__7": "seven.example.org",
    }
    assert load_config(None, TLS_SERVER | names).tls.client_names == {
        "CR1": ("cr1.example.org",),
        "REGION": ("a.example.org", "b.example.org"),
        "7": ("seven.example.org",),
    }
    rule = {"NAME": "r", "SEND_TO": "[]", "WHEN__StationName": "ROOM 1", "WHEN__REGION": "hand"}
    config = load_config(None, {f"DICOM_NODE_RULES__0__{key}": text for key, text in rule.items()})
    assert config.rules[0].when == {"StationName": ("ROOM 1",), "region": ("hand",)}


def test_outer_spaces_of_an_ae_title_do_not_count() -> None:
    config = load_config(None, TLS_SERVER | {"DICOM_NODE_TLS__CLIENT_NAMES": '{" CR 1 ": "cr1.example.org"}'})
    assert config.tls.client_names == {"CR 1": ("cr1.example.org",)}


def test_an_environment_variable_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(ConfigError, match="ledgr: there is no such key; did you mean 'ledger'"):
        load_config(None, {"DICOM_NODE_LEDGR__URL": "x"})
    with pytest.raises(ConfigError, match="DICOM_NODE_DESTINATIONS__3__HOST leads nowhere"):
        load_config(None, {"DICOM_NODE_DESTINATIONS__3__HOST": "x"})


@pytest.mark.parametrize("text", ['["CR1"', "[CR1]", ' {"CR1": }', "{"])
def test_text_that_begins_as_json_and_is_none_is_refused_and_the_variable_named(text: str) -> None:
    """As an AE title, `["CR1"` would let nobody in."""
    with pytest.raises(ConfigError, match="DICOM_NODE_NODE__CALLING_AE begins as a list or a table and is no JSON"):
        load_config(None, {"DICOM_NODE_NODE__CALLING_AE": text})


def test_the_password_of_a_key_may_begin_as_it_likes() -> None:
    config = load_config(None, TLS_SERVER | {"DICOM_NODE_TLS__KEY_PASSWORD": '["secret"]'})
    assert config.tls.key_password.get_secret_value() == '["secret"]'


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"NODE__POORT": "1"}, "node.poort: there is no such key; did you mean 'port'?"),
        ({"FOO": "1"}, "foo: there is no such key"),
        ({"NODE__CALLING_AE": '["CR1", "SEVENTEEN LETTERS"]'}, "'SEVENTEEN LETTERS' is no AE title"),
        ({"DESTINATIONS__1__HOST": "h"}, "destinations.1.port: Field required"),
    ],
)
def test_the_environment_s_errors_name_the_variable_and_not_the_file(
    tmp_path: Path, environ: dict[str, str], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, PLACE), {f"DICOM_NODE_{name}": text for name, text in environ.items()})
    assert "node.toml" not in str(caught.value)
    found = next(each for each in str(caught.value).splitlines() if line in each)
    assert found.endswith(f"(from the environment: DICOM_NODE_{next(iter(environ))})")


def test_what_is_wrong_in_the_file_is_not_blamed_on_a_variable_beside_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, "[node]\nprot = 1\n"), {"DICOM_NODE_NODE__PORT": "-1"})
    first, *lines = str(caught.value).splitlines()
    assert first == f"the configuration in {tmp_path / 'node.toml'} cannot be used:"
    blamed = {line.split(":")[0].strip(): "(from the environment: DICOM_NODE_NODE__PORT)" in line for line in lines}
    assert blamed == {"node.port": True, "node.prot": False}


def test_one_value_stands_for_a_list_of_one() -> None:
    config = load_config(None, {"DICOM_NODE_NODE__CALLING_AE": "CR1", "DICOM_NODE_NODE__ALLOW_FROM": "10.1.0.0/16"})
    assert config.node.calling_ae == ("CR1",)
    assert str(config.node.allow_from[0]) == "10.1.0.0/16"
