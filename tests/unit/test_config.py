"""The configuration: defaults, file, environment, and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from dicom_node.config import DestinationMode, find_config_file, load_config
from dicom_node.config.quantities import parse_duration, parse_size
from dicom_node.config.summary import summary_of
from dicom_node.errors import ConfigError
from dicom_node.ledger.engine import Database


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text), {})
    return str(caught.value)


def test_without_file_and_environment_the_contract_s_defaults_hold() -> None:
    config = load_config(None, {})
    assert (config.node.ae_title, config.node.host, config.node.port) == ("REGION", "127.0.0.1", 11112)
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert config.node.data_dir == Path("./data")
    assert config.ledger_url == "sqlite:///data/ledger.sqlite"
    assert config.policy.fill
    assert config.policy.correct_above is None


def test_a_file_is_read(tmp_path: Path) -> None:
    config = load_config(
        written(
            tmp_path,
            """
            [node]
            ae_title = "GATE"
            disk_reserve = "2GiB"
            [policy]
            correct_above = 0.95
            [study]
            quiet = "5m"
            [[destinations]]
            name = "pacs"
            ae_title = "PACS"
            host = "10.0.0.1"
            port = 104
            mode = "copy"
            retry = { first = "1s", longest = "1h" }
            [[rules]]
            name = "hands to bone age"
            when = { region = ["hand", "wrist"], min_confidence = 0.9, BodyPartExamined = "HAND*" }
            send_to = ["pacs"]
            """,
        ),
        {},
    )
    assert config.node.ae_title == "GATE"
    assert config.node.disk_reserve == 2 << 30
    assert config.study.quiet == timedelta(minutes=5)
    assert config.destinations[0].mode is DestinationMode.COPY
    assert config.destinations[0].retry.retry().longest == timedelta(hours=1)
    rule = config.rules[0].rule()
    assert rule.min_confidence == 0.9
    assert rule.when == {"region": ("hand", "wrist"), "BodyPartExamined": ("HAND*",)}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ('{ "SEVENTEEN LETTERS" = "a" }', "'SEVENTEEN LETTERS' is no AE title"),
        ('{ "" = "a" }', "'' is no AE title"),
        ('{ "CR1 " = "a", CR1 = "b" }', "tls.client_names: the AE title 'CR1' stands there twice"),
        ('{ cr1 = "a" }', "tls.client_names names 'cr1', which is not in node.calling_ae"),
    ],
)
def test_a_name_for_a_certificate_that_would_never_be_asked_for_is_refused(
    tmp_path: Path, names: str, sentence: str
) -> None:
    tls = '[tls]\ncertificate = "c.pem"\nkey = "k.pem"\nca = "ca.pem"\n'
    assert sentence in refused(tmp_path, f'[node]\ncalling_ae = "CR1"\n{tls}client_names = {names}\n')


def test_a_password_in_the_ledger_s_url_never_shows_in_the_repr() -> None:
    config = load_config(None, {"DICOM_NODE_LEDGER__URL": "postgresql://node:secret@db/ledger"})
    assert "secret" not in repr(config)
    assert "secret" not in str(config)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[node]\nprot = 1\n", "node.prot: there is no such key; did you mean 'port'?"),
        ("[polcy]\nfill = true\n", "polcy: there is no such key; did you mean 'policy'?"),
        ('[node]\nae_title = "SEVENTEEN LETTERS"\n', "node.ae_title"),
        ("[policy]\ncorrect_above = 1.5\n", "policy.correct_above"),
        ('[study]\nquiet = "5 parsecs"\n', "study.quiet: '5 parsecs' is no duration; write it like 30s"),
        ('[[rules]]\nname = "r"\nsend_to = ["pcs"]\n', "sends to 'pcs', which is no destination"),
        (
            '[[rules]]\nname = "r"\nwhen = { region = "hnd" }\nsend_to = []\n',
            "'hnd' is no region; did you mean 'hand'?",
        ),
        ('[[rules]]\nname = "r"\nwhen = { Modalty = "CR" }\nsend_to = []\n', "did you mean 'Modality'?"),
        (
            '[[rules]]\nname = "r"\nwhen = { min_confidence = 3 }\nsend_to = []\n',
            "min_confidence is one number from 0 to 1",
        ),
        (
            (
                '[[destinations]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\n'
                'when = "study_closed"\nhold_for_review = "1h"'
            ),
            "hold_for_review needs when",
        ),
        ("node = 5", "node: this must be a table, [node]"),
        (
            '[[destinations]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\nwebhook = "x"',
            "destinations.0.webhook: not supported in this version",
        ),
        ('[web]\nhost = "0.0.0.0"', "web: host 0.0.0.0 is open to the network: name who may come in under [web.auth]"),
        ('[web]\nhost = "::"', "is open to the network"),
        ('[[web.auth.users]]\nname = "a"\npassword_hash = "plain"', "this is no Argon2id hash"),
        ('[[web.auth.tokens]]\nname = "a"\ntoken_hash = "plain"', "this is no hash of a token"),
        ('[tls]\ncertificate = "c.pem"', "certificate and key belong together"),
        ('[tls]\ncertificate = "c.pem"\nkey = "k.pem"', "require_client_certificate needs ca"),
        ('[tls]\nclient_names = { CR1 = "cr1.example" }', "client_names needs certificate, key and ca"),
        ('[node]\nallow_from = ["10.1"]', "'10.1' is no network; write it like 10.1.0.0/16"),
        ('[node]\nae_title = "A\\\\B"', "is no AE title: 1 to 16 ASCII characters"),
        ("[schedule]\nretries = 0", "schedule.retries: this must be more than nothing"),
        ("node = [", "is not valid TOML"),
        ('[node]\nhost = "a..b"', "node.host: 'a..b' is no host: write its name or its address"),
        ('[web]\nhost = "two words"', "'two words' is no host"),
        ('[[destinations]]\nname = "a"\nae_title = "A"\nhost = ""\nport = 1\n', "destinations.0.host: '' is no host"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_valid_name(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in refused(tmp_path, text)


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """As Notepad saves it."""
    assert load_config(written(tmp_path, "\ufeff[node]\nport = 104\n"), {}).node.port == 104


@pytest.mark.parametrize("table", ["destinations", "rules", "web.auth.users"])
def test_one_bracket_where_there_may_be_several_tables_is_told(tmp_path: Path, table: str) -> None:
    assert f"{table}: there may be several of these tables; write [[{table}]]" in refused(
        tmp_path, f'[{table}]\nname = "pacs"\n'
    )


def test_two_destinations_may_not_share_a_name(tmp_path: Path) -> None:
    table = '[[destinations]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\n'
    assert "two destinations are called 'a'" in refused(tmp_path, table * 2)


def place(kind: str, title: str, host: str, name: str = "") -> str:
    """A destination, which has a name, or a peer that asks for commitment."""
    table = f'[[{kind}]]\nae_title = "{title}"\nhost = "{host}"\nport = 104\n'
    return table + (f'name = "{name}"\n' if name else "")


def test_two_commitment_peers_may_not_go_by_one_title(tmp_path: Path) -> None:
    peers = place("commitment_peers", "CR1", "a") + place("commitment_peers", "CR1", "b")
    assert "two [[commitment_peers]] go by 'CR1'" in refused(tmp_path, peers)


def test_a_report_goes_to_the_one_place_that_goes_by_a_title_and_to_none_of_several(tmp_path: Path) -> None:
    """Several PACS may well bear the title that they came with; a report to the wrong one would tell it of a stranger's
    images.
    """
    several = place("destinations", "ORTHANC", "a", "one") + place("destinations", "ORTHANC", "b", "two")
    alone = place("destinations", "PACS", "c", "three") + place("destinations", "PACS", "c", "images")
    config = load_config(written(tmp_path, several + alone), {})
    assert config.report_places["ORTHANC"] is None
    assert "one and two go by that title" in dict(summary_of(config))["reports to ORTHANC"]
    pacs = config.report_places["PACS"]
    assert pacs is not None
    assert pacs.host == "c"
    named = load_config(written(tmp_path, several + place("commitment_peers", "ORTHANC", "b")), {})
    assert named.report_places == {"ORTHANC": named.commitment_peers[0]}
    assert "reports to ORTHANC" not in dict(summary_of(named))


@pytest.mark.parametrize("name", ["what?", "%41", "a#b", "x@y:z", "röntgen 2"])
def test_the_ledger_lies_in_the_data_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    """In a URL, ? ends the path and % begins a code: the ledger lay elsewhere, and two nodes shared it."""
    config = load_config(None, {"DICOM_NODE_NODE__DATA_DIR": str(tmp_path / name)})
    database = Database(config.ledger_url)
    assert database.file == tmp_path / name / "ledger.sqlite"
    database.make_room()
    assert database.file.exists()


@pytest.mark.parametrize("value", ["", "~/region", "~region/data"])
@pytest.mark.parametrize("key", ["NODE__DATA_DIR", "MODEL__PATH", "TLS__CA", "AUDIT__FILE"])
def test_a_path_that_means_another_than_it_says_is_refused(key: str, value: str) -> None:
    """~ is a folder of that name, and nothing is the working directory."""
    with pytest.raises(ConfigError, match=r"an empty path|only a shell knows what ~ stands for"):
        load_config(None, {f"DICOM_NODE_{key}": value})


SAME = "node.port and web.port are both 9000"


@pytest.mark.parametrize(
    ("node", "web"),
    [("127.0.0.1", "localhost"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "::1"), ("dicom", "dicom")],
)
def test_two_servers_may_not_share_a_port(tmp_path: Path, node: str, web: str) -> None:
    """The web port opens first, so that the DICOM port could not be had, for ever."""
    text = f'[node]\nport = 9000\nhost = "{node}"\n[web]\nport = 9000\nhost = "{web}"\n'
    auth = f'[[web.auth.tokens]]\nname = "any"\ntoken_hash = "sha256:{"0" * 64}"\n'
    assert SAME in refused(tmp_path, text + auth)


@pytest.mark.parametrize(
    "text",
    [
        '[node]\nport = 9000\nhost = "10.1.0.1"\n[web]\nport = 9000\n',
        '[node]\nport = 9000\nhost = "0.0.0.0"\n[web]\nport = 9000\nhost = "::1"\n',
        "[node]\nport = 9000\n[web]\nport = 9000\nenabled = false\n",
        "[node]\nport = 0\n[web]\nport = 0\n",
    ],
)
def test_what_listens_elsewhere_may_have_the_same_number(tmp_path: Path, text: str) -> None:
    load_config(written(tmp_path, text), {})


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration file"):
        find_config_file(tmp_path / "absent.toml")


def test_a_file_that_cannot_be_reached_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    """As in a folder that is another user's; root, who may everything, meets it with names that are too long."""
    with pytest.raises(ConfigError, match=r"x cannot be reached \(File name too long\)"):
        find_config_file(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("1.5m", 90), ("15min", 900), ("2h", 7200), ("7d", 604800), (0, 0), ("0", 0)],
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(("value", "number"), [(30, "30"), ("30", "30"), (" 30 ", "30"), (2.5, "2.5")])
def test_a_duration_without_a_unit_is_refused_and_not_taken_for_seconds(value: object, number: str) -> None:
    """`[retention] keep = 30` means days to whoever writes it, and dropped images half a minute after they came."""
    with pytest.raises(ValueError) as caught:
        parse_duration(value)
    assert str(caught.value) == f"{number} of what? write {number}s, {number}min, {number}h or {number}d"


def test_the_key_of_a_duration_without_a_unit_is_named(tmp_path: Path) -> None:
    assert "retention.keep: 30 of what? write 30s, 30min, 30h or 30d" in refused(tmp_path, "[retention]\nkeep = 30")


@pytest.mark.parametrize(("text", "size"), [("500MB", 500_000_000), ("2GiB", 2147483648), ("1.5 KiB", 1536), (7, 7)])
def test_sizes_are_read_as_people_write_them(text: object, size: int) -> None:
    assert parse_size(text) == size


PLACE = '[[destinations]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[node]\nidle_timeout = 0", "node.idle_timeout: this must be more than nothing"),
        ("[node]\nidle_timeout = -5", "node.idle_timeout: -5 is not within 0s and 36500d"),
        ("[node]\nidle_timeout = inf", "node.idle_timeout: inf is not within"),
        ("[node]\nidle_timeout = nan", "node.idle_timeout: nan is not within"),
        ('[node]\nidle_timeout = "999999999999d"', "node.idle_timeout: '999999999999d' is not within"),
        ("[node]\ndisk_reserve = -1", "node.disk_reserve: -1 is no size"),
        (f'[node]\ndisk_reserve = "{"9" * 400}"', "is no size: it is less than nothing, or endless"),
        (f'{PLACE}timeout = "0s"', "destinations.0.timeout: this must be more than nothing"),
        (f'{PLACE}timeout = "30d"', "destinations.0.timeout: this must be a day at most"),
        (f"{PLACE}hold_for_review = -1", "destinations.0.hold_for_review: -1 is not within"),
        (f"{PLACE}retry.first = 0", "destinations.0.retry.first: this must be more than nothing"),
        (f"{PLACE}retry.give_up_after = -1", "destinations.0.retry.give_up_after: -1 is not within"),
        ("[retention]\nkeep = -1", "retention.keep: -1 is not within"),
        ('[retention]\nkeep = "99999999d"', "retention.keep: '99999999d' is not within"),
        ("[study]\nquiet = -1", "study.quiet: -1 is not within"),
        ("[commitment]\nlinger = -1", "commitment.linger: -1 is not within"),
        ("[audit]\nfile_size = 0", "audit.file_size: this must be 1MB or more"),
        ('[audit]\nfile_size = "999KB"', "audit.file_size: this must be 1MB or more"),
    ],
)
def test_a_quantity_with_which_the_node_cannot_work_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in refused(tmp_path, text)


def test_nothing_is_a_quantity_where_the_node_can_work_with_it(tmp_path: Path) -> None:
    text = """
        node.disk_reserve = 0
        study.quiet = "0s"
        retention.keep = 0
        commitment = { linger = 0, gather = 0, give_up_after = 0 }
        audit.file_size = "1MB"
        """
    config = load_config(written(tmp_path, text), {})
    assert config.node.disk_reserve == 0
    assert config.retention.keep == timedelta(0)


HASH = "$argon2id$v=19$m=65536,t=3,p=4$vWNtzoVyrGiqOlqqrAGTuQ$wsxtuOX1RgArJ4WYxUvf15CqfcYLgxmOUY6BIJbg5t8"


@pytest.mark.parametrize(
    "damaged",
    [
        HASH + "\\r",
        HASH + " ",
        HASH[:-1],
        HASH[: HASH.rindex("$")],
        HASH[: HASH.rindex("$") + 1],
        HASH.replace("$m=65536,t=3,p=4", "=65536,t=3,p=4"),
        HASH.replace(",t=3", ""),
        "$argon2id$",
    ],
)
def test_a_hash_with_which_nobody_could_sign_in_is_refused(tmp_path: Path, damaged: str) -> None:
    """As a terminal, a shell or a careless copy leaves it."""
    users = '[[web.auth.users]]\nname = "vera"\npassword_hash = "{}"\n'
    sentence = refused(tmp_path, users.format(damaged))
    assert "web.auth.users.0.password_hash: this Argon2id hash is damaged" in sentence
    assert HASH[40:60] not in sentence
    load_config(written(tmp_path, users.format(HASH)), {})
