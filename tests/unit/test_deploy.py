"""What deploy/ and the compose file say to the node is what the node understands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from dicom_node.cli import app
from dicom_node.config import load_config
from dicom_node.web.accounts import Accounts, hash_password

pytestmark = pytest.mark.filterwarnings("error")


def test_the_compose_file_configures_a_node_that_forwards_to_its_pacs(root: Path) -> None:
    services = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    given = {"WEB_PASSWORD_HASH": hash_password("a long password"), "POSTGRES_PASSWORD": "secret"}
    environment = {
        key: re.sub(r"\$\{(\w+):[^}]*\}", lambda match: given[match[1]], value)
        for key, value in services["node"]["environment"].items()
    }
    config = load_config(None, environment)
    assert config.web.auth.configured
    (pacs,) = config.destinations
    assert pacs.host in services
    assert pacs.ae_title == services[pacs.host]["environment"]["ORTHANC__DICOM_AET"]
    assert config.ledger_url.startswith("postgresql+psycopg://")


def test_nothing_that_a_hospital_leaves_out_of_the_composition_is_waited_for(root: Path) -> None:
    services = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    assert set(services["node"]["depends_on"]) == {"postgres"}


def test_the_runbook_s_line_for_the_password_gives_a_hash_that_the_node_takes(root: Path, tmp_path: Path) -> None:
    """Its line as it stands there, but for the container around the command."""
    commands = re.findall(r"^    (.+)$", (root / "deploy" / "README.md").read_text(), re.MULTILINE)
    (line,) = [command for command in commands if "hash-password" in command]
    assert commands.index(line) > commands.index("docker build --file deploy/Dockerfile --tag region-node .")
    here = line.replace("docker run --rm -i region-node", f"{sys.executable} -m dicom_node")
    subprocess.run(
        ["bash", "-euc", here],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "PW": "a $long pass word"},
        cwd=tmp_path,
        check=True,
    )
    name, _, quoted = (tmp_path / ".env").read_text().partition("=")
    assert name == "WEB_PASSWORD_HASH"
    [password_hash] = shlex.split(quoted)
    key = "DICOM_NODE_WEB__AUTH__USERS__0__"
    auth = load_config(None, {f"{key}NAME": "admin", f"{key}PASSWORD_HASH": password_hash}).web.auth
    assert Accounts(auth).by_password("admin", "a $long pass word") is not None


def test_the_image_listens_to_the_network_and_keeps_its_data_in_its_volume(root: Path) -> None:
    dockerfile = (root / "deploy" / "Dockerfile").read_text()
    config = load_config(None, dict(re.findall(r"(DICOM_NODE_\w+)=(\S+)", dockerfile)))
    # Nobody can sign in to an image without a configuration: its web port stays inside.
    assert (config.node.host, config.web.host) == ("0.0.0.0", "127.0.0.1")
    assert re.search(r"^VOLUME (.+)$", dockerfile, re.MULTILINE)[1] == str(config.node.data_dir)
    assert re.search(r"^EXPOSE (.+)$", dockerfile, re.MULTILINE)[1] == f"{config.node.port} {config.web.port}"


def test_the_image_is_asked_for_its_health_by_the_command_that_knows_its_configuration(root: Path) -> None:
    """Docker keeps the exit status 2 to itself, with which a configuration that cannot be used ends."""
    dockerfile = (root / "deploy" / "Dockerfile").read_text()
    (asked,) = re.findall(r"^HEALTHCHECK (?:.*\\\n)* +CMD (.+)$", dockerfile, re.MULTILINE)
    assert asked == "dicom-node health || exit 1"
    assert "health" in typer.main.get_command(app).commands
    assert "healthcheck" not in yaml.safe_load((root / "docker-compose.yml").read_text())["services"]["node"]


def test_the_service_and_every_command_beside_it_have_one_configuration(root: Path) -> None:
    """What stood in the unit's environment alone sent `dicom-node status` to another ledger."""
    unit = (root / "deploy" / "region-node.service").read_text()
    assert re.findall(r"^Environment=.*(DICOM_NODE_\w+)", unit, re.MULTILINE) == []
    config = load_config(root / "deploy" / "node.toml", {})
    assert config.node.data_dir == Path("/var/lib") / re.search(r"^StateDirectory=(.+)$", unit, re.MULTILINE)[1]
    for line in (root / "deploy" / "README.md").read_text().splitlines():
        if "/opt/region-node/.venv/bin/dicom-node" in line:
            assert line.strip().startswith("sudo -u region-node ")
            assert line.endswith(" --config /etc/region-node/node.toml")


def test_what_the_example_of_a_configuration_leaves_to_the_reader_can_be_used(root: Path, tmp_path: Path) -> None:
    example = (root / "deploy" / "node.toml").read_text()
    whole = tmp_path / "node.toml"
    whole.write_text(re.sub(r"^# (?=\[|\w+ = )", "", example, flags=re.MULTILINE))
    config = load_config(whole, {})
    assert config.ledger_url.startswith("postgresql://")
    assert [destination.name for destination in config.destinations] == ["pacs"]


def test_a_stop_is_told_to_the_node_and_not_to_its_children(root: Path) -> None:
    """A decoder's child that is stopped in the middle looks as if the image had stopped it."""
    unit = (root / "deploy" / "region-node.service").read_text()
    assert "KillMode=mixed" in unit.splitlines()


def test_the_service_is_tried_again_for_ever_but_not_with_a_configuration_that_cannot_be_used(root: Path) -> None:
    """A ledger that comes up later than the node ends it with another status (tests/unit/test_receivers.py)."""
    unit = dict(re.findall(r"^(\w+)=(.*)$", (root / "deploy" / "region-node.service").read_text(), re.MULTILINE))
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == ("on-failure", "0")
    assert unit["RestartPreventExitStatus"] == "2"
    assert unit["KillMode"] == "mixed"


def test_the_image_gets_every_folder_that_it_copies(root: Path) -> None:
    """.dockerignore leaves everything out that it does not name."""
    admitted = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    dockerfile = (root / "deploy" / "Dockerfile").read_text()
    copied = {
        word for words in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE) for word in words.split()
    }
    assert copied == admitted


def test_the_lock_names_versions_and_no_place_to_take_them_from(root: Path) -> None:
    lines = (root / "requirements" / "lock.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"[a-z0-9._-]+==[\w.+!]+( ; .+)?$", pin) for pin in pins)
    assert not any(re.match(r"pylibjpeg-libjpeg\b", pin) for pin in pins)


def test_the_container_has_no_root_no_capability_and_writes_to_its_volume_alone(root: Path) -> None:
    node = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]["node"]
    assert node["read_only"] is True
    assert node["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in node["security_opt"]
    user = re.search(r"^USER (\S+)$", (root / "deploy" / "Dockerfile").read_text(), re.MULTILINE)[1]
    assert int(user) >= 10_000
