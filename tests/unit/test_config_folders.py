"""What a configuration names can be written, or the key and the path are named before the node trips over it."""

import os
from pathlib import Path

import pytest

from dicom_node.config import load_config
from dicom_node.config.folders import check_audit_file, check_data_dir, check_ledger_file, refuse_for_another
from dicom_node.config.summary import summary_of
from dicom_node.errors import ConfigError
from dicom_node.ledger import open_ledger
from tests.accounts import NOBODY, as_nobody, folder_of_nobody


def config_of(**environ: object):
    return load_config(None, {f"DICOM_NODE_{name}": str(value) for name, value in environ.items()})


def test_a_folder_that_can_be_made_is_good_and_is_not_made_yet(tmp_path: Path) -> None:
    config = config_of(NODE__DATA_DIR=tmp_path / "new" / "data", AUDIT__FILE=tmp_path / "other" / "audit.xml")
    check_data_dir(config)
    check_audit_file(config)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_folder_is_looked_for_in_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_data_dir(config_of())
    (tmp_path / "data").touch()
    with pytest.raises(ConfigError, match=r"^node\.data_dir: data cannot be written \(Not a directory\)"):
        check_data_dir(config_of())


def test_a_spool_that_cannot_be_written_is_found_too(tmp_path: Path) -> None:
    """As after somebody else has made it."""
    (tmp_path / "spool").touch()
    with pytest.raises(ConfigError, match=r"node\.data_dir: .*spool cannot be written"):
        check_data_dir(config_of(NODE__DATA_DIR=tmp_path))


def test_a_ledger_is_a_database_or_can_be_one(tmp_path: Path) -> None:
    check_ledger_file(tmp_path / "new" / "ledger.sqlite")
    empty = tmp_path / "empty"
    empty.touch()
    check_ledger_file(empty)
    full = tmp_path / "ledger.sqlite"
    open_ledger(f"sqlite:///{full}").close()
    check_ledger_file(full)
    assert sorted(tmp_path.iterdir()) == [empty, full]


def test_a_ledger_that_is_a_folder_or_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^ledger\.url: /\S+ is no file: "):
        check_ledger_file(tmp_path)
    text = tmp_path / "notes.txt"
    text.write_text("no database")
    with pytest.raises(ConfigError, match=r"^ledger\.url: /\S+ is no SQLite database"):
        check_ledger_file(text)


@pytest.mark.parametrize("file", ["/proc/x/audit.xml", "/proc", "/etc/hostname/audit.xml"])
def test_an_audit_file_that_cannot_be_written_is_named(file: str) -> None:
    with pytest.raises(ConfigError, match=r"^audit\.file: /\S+ cannot be written \("):
        check_audit_file(config_of(AUDIT__FILE=file))


def test_what_is_in_an_audit_file_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "audit.xml"
    file.write_text("old\n")
    check_audit_file(config_of(AUDIT__FILE=file))
    assert file.read_text() == "old\n"


def test_a_configuration_of_defaults_lets_everybody_in_and_removes_nothing() -> None:
    assert dict(summary_of(config_of())) == {
        "may call": "any AE title, from any address",
        "policy": "fills empty headers; wrong ones wait for review",
        "retention": "keeps every file for ever",
    }


@pytest.mark.parametrize(("keep", "words"), [("0s", "0s"), ("90min", "90min"), ("24h", "1d"), ("1500ms", "1500ms")])
def test_how_long_files_are_kept_is_said_in_the_largest_unit_that_fits(keep: str, words: str) -> None:
    assert f"removes files {words} after" in dict(summary_of(config_of(RETENTION__KEEP=keep)))["retention"]


def test_root_is_told_to_write_into_the_spool_of_another_account_as_that_account() -> None:
    with folder_of_nobody() as folder:
        config = config_of(NODE__DATA_DIR=folder)
        refuse_for_another(config)  # no spool is there yet
        config.spool_dir.mkdir()
        refuse_for_another(config)
        os.chown(config.spool_dir, NOBODY, -1)
        with as_nobody():
            refuse_for_another(config)
        with pytest.raises(ConfigError, match=r"spool belongs to nobody.*\(sudo -u 'nobody' dicom-node"):
            refuse_for_another(config)
        os.chown(config.spool_dir, 1_000_000, -1)
        with pytest.raises(ConfigError, match=r"sudo -u '#1000000' "):
            refuse_for_another(config)
        assert list(config.spool_dir.iterdir()) == []
