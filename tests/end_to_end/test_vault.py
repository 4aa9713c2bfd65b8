"""A whole node with everything locked: who comes in, what is told of it, and what nobody may read anywhere."""

import json
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httpx
import pytest

from dicom_node.tls import TlsServer
from dicom_node.web.accounts import hash_password, new_token
from tests.audit_schema import checked, event_of, objects_of
from tests.certificates import Authority
from tests.configurations import destination, model
from tests.servers.dcmtk import StoreScpProcess, dcmsend, storescu
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.servers.syslog import LOCAL, SyslogServer
from tests.synthetic import bright, dark

NAME, NUMBER, ISSUER = "PLANTED^NAME", "PLANTED-ID-4711", "PLANTED-ISSUER"


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_section(ca: Authority) -> str:
    own = ca.issue(LOCAL, "localhost")
    return f'[tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\nca = "{ca.file}"\n'


def options(ca: Authority, name: str) -> list[str]:
    own = ca.issue(name)
    return ["+tls", str(own.key), str(own.certificate), "+cf", str(ca.file)]


def trail(folder: Path) -> list:
    """Every message of the audit file, checked against the schema."""
    return [checked(line) for line in (folder / "audit.xml").read_bytes().splitlines()]


@pytest.mark.server
def test_over_tls_from_modality_to_pacs_by_several_receivers_and_all_of_it_in_the_trail(
    tmp_path, tiny_model, file_of, ca: Authority
) -> None:
    images = [bright(PatientID=NUMBER) for _ in range(4)]
    folder = tmp_path / "node"
    with StoreScpProcess(tmp_path / "pacs", options=("+B", "+xa", *options(ca, LOCAL))) as pacs:
        config = (
            "[node]\nreceivers = 2\n"
            + tls_section(ca)
            + model(tiny_model)
            + f'[audit]\nfile = "{folder / "audit.xml"}"\n'
            + destination("pacs", pacs.port, tls=True)
            + destination("ai", pacs.port, tls=True, export=True)
        )
        with NodeProcess(folder, config) as node:
            assert "our certificate is valid until" in node.run("config", "check").stdout
            for image in images:
                done = storescu(node.port, [file_of(image)], options=options(ca, "cr1.example.org"), calling="CR1")
                assert done.returncode == 0, done.stderr
            assert storescu(node.port, [file_of(images[0])], calling="PLAIN").returncode != 0
            again = node.run("send", LOCAL, str(node.port), file_of(images[0]), "--aet", "HAND", "--tls")
            assert "1 sent, 0 failed" in again.stdout
            node.settled(len(images))
            node.idle()
            assert len(pacs.files()) == len(images)
            assert node.stop() == 0
    told = trail(folder)
    events = [event_of(message) for message in told]
    assert {"110100", "110102", "110104", "110106", "110108", "110113"} <= set(events)
    kinds = [kind.attrib["csd-code"] for message in told for kind in message.iter("EventTypeCode")]
    assert {"110120", "110121", "110124", "110125", "110126"} <= set(kinds)
    for event, source in (("110104", "AETITLES=CR1"), ("110104", "AETITLES=REGION"), ("110106", "AETITLES=REGION")):
        studies = {
            objects_of(message)["110180"]
            for message in told
            if event_of(message) == event and _sender(message) == source
        }
        assert studies == {image.StudyInstanceUID for image in images}, (event, source)
    patients = {objects_of(message)["2"] for message in told if event_of(message) in ("110102", "110104", "110106")}
    assert patients == {NUMBER}
    assert stat.S_IMODE((folder / "audit.xml").stat().st_mode) == 0o600


def dicom_node(*arguments: str, said: str = "") -> str:
    """What a command prints that needs no configuration."""
    command = [sys.executable, "-m", "dicom_node", *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, check=True).stdout


def _sender(message) -> str:
    for participant in message.findall("ActiveParticipant"):
        if "110153" in [role.attrib["csd-code"] for role in participant.findall("RoleIDCode")]:
            return participant.attrib["AlternativeUserID"]
    return ""


@pytest.mark.server
def test_a_syslog_server_is_told_over_tls_what_is_in_the_file_by_every_process(
    tmp_path, tiny_model, file_of, ca: Authority
) -> None:
    own, folder = ca.issue("node.example.org"), tmp_path / "node"
    syslog = SyslogServer(TlsServer(credentials=ca.issue(LOCAL), ca=ca.file).context())
    syslog.open()
    config = (
        model(tiny_model)
        + f'[audit]\nfile = "{folder / "audit.xml"}"\n'
        + f'[audit.syslog]\nhost = "{LOCAL}"\nport = {syslog.port}\nca = "{ca.file}"\n'
        + f'certificate = "{own.certificate}"\nkey = "{own.key}"\n'
    )
    image = bright(PatientID=NUMBER)
    with NodeProcess(folder, config) as node:
        assert storescu(node.port, [file_of(image)], calling="CR1").returncode == 0
        wait_until(lambda: len(syslog.processes) == 2, what="messages of the node and its receiver", seconds=60)
        assert node.stop() == 0
    in_the_file = (folder / "audit.xml").read_bytes().splitlines()
    wait_until(lambda: len(syslog.messages) >= len(in_the_file), what="all messages", seconds=60)
    syslog.close()
    assert sorted(syslog.messages) == sorted(in_the_file)
    told = [checked(message) for message in syslog.messages]
    assert sorted(map(event_of, told)) == ["110100", "110100", "110104", "110108", "110108"]
    (transferred,) = (message for message in told if event_of(message) == "110104")
    assert objects_of(transferred) == {"110180": image.StudyInstanceUID, "2": NUMBER}


@pytest.mark.server
def test_no_name_and_no_number_of_a_patient_is_in_logs_metrics_status_urls_or_file_names(
    tmp_path, tiny_model, file_of
) -> None:
    """Sound, abstained, odd and broken objects, twice, with a destination that refuses: at level debug."""
    planted = {"PatientName": NAME, "PatientID": NUMBER, "IssuerOfPatientID": ISSUER}
    images = [bright(**planted), dark(**planted), bright("DX", **planted)]
    odd = bright(**planted, SeriesDescription=NAME, StationName=NUMBER, BodyPartExamined="PLANTED PART")
    broken = file_of(dark(**planted))
    content = broken.read_bytes()
    broken.write_bytes(content[: content.index(NAME.encode()) + 40])
    refusing = StoreScpProcess(tmp_path / "pacs", options=("--refuse",))
    token, token_hash = new_token()
    with refusing:
        config = (
            model(tiny_model)
            + destination("pacs", refusing.port)
            + destination("reports", refusing.port, mode="annotate")
            + '[log]\nlevel = "debug"\nformat = "json"\n'
            + f'[web]\nport = 0\n[[web.auth.tokens]]\nname = "monitoring"\ntoken_hash = "{token_hash}"\n'
            + f'[[web.auth.users]]\nname = "vera"\npassword_hash = "{hash_password("PLANTED password")}"\n'
        )
        with NodeProcess(tmp_path / "node", config) as node:
            headers = {"Authorization": f"Bearer {token}"}
            url = f"http://{LOCAL}:{node.web_port}"
            for _ in range(2):
                dcmsend(node.port, [file_of(image) for image in [*images, odd]])
            dcmsend(node.port, [broken])
            node.run("import", broken, check=False)
            wait_until(
                lambda: httpx.get(f"{url}/api/v1/status", headers=headers).json()["failed"] >= 2 * len(images),
                what="refused deliveries",
            )
            httpx.get(f"{url}/api/v1/status", auth=("vera", "PLANTED password")).raise_for_status()
            httpx.get(f"{url}/api/v1/status", auth=("vera", "PLANTED wrong password"))
            shown = [httpx.get(f"{url}{path}", headers=headers) for path in ("/metrics", "/api/v1/status", "/readyz")]
            pages = [f"instances/{image.SOPInstanceUID}" for image in images]
            pages += [f"studies/{image.StudyInstanceUID}" for image in images]
            shown += [httpx.get(f"{url}/api/v1/{page}", headers=headers) for page in pages]
            printed = [
                node.run(*command).stdout for command in (("status",), ("status", "--json"), ("config", "check"))
            ]
            printed.append(node.run("show", images[0].SOPInstanceUID, "--json").stdout)
            assert node.stop() == 0
    assert all(answer.status_code == 200 for answer in shown)
    log = node.log.read_text()
    assert log.count('"event": "stored"') >= len(images)
    spooled = b"".join(path.read_bytes() for path in node.spool.rglob("*.dcm"))
    assert all(spooled.count(value.encode()) >= len(images) for value in (NAME, NUMBER, ISSUER)), "nothing was planted"
    names = " ".join(str(path) for path in (tmp_path / "node" / "data").rglob("*"))
    everything = [log, names, *printed, *(f"{answer.headers}{answer.text}" for answer in shown)]
    for text in everything:
        for secret in (NAME, "PLANTED", NUMBER, ISSUER, token, "argon2id"):
            # BodyPartExamined is the exception that the API shows: it is what the node is about, and no patient.
            assert secret not in text.replace("PLANTED PART", ""), text[:2000]


def test_certificates_that_cannot_be_used_are_said_by_config_check_and_by_the_start(
    tmp_path, tiny_model, ca: Authority
) -> None:
    own, other, old = ca.issue(LOCAL), ca.issue("other.example.org"), ca.issue(LOCAL, expired=True)
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    plain = node.file.read_text()
    node.file.write_text(f'{plain}[tls]\ncertificate = "{own.certificate}"\nkey = "{other.key}"\nca = "{ca.file}"\n')
    for command in (["config", "check"], ["serve"]):
        done = node.run(*command, check=False)
        assert done.returncode == 2
        assert "is not the key of the certificate" in done.stderr
        assert "Traceback" not in done.stderr
    node.file.write_text(f'{plain}[tls]\ncertificate = "{old.certificate}"\nkey = "{old.key}"\nca = "{ca.file}"\n')
    assert "expired on" in node.run("config", "check", check=False).stderr
    with node:  # what is expired is for the other side to refuse: the node starts, and says so
        assert b'certificate_valid_seconds{section="tls"} 0.0' in node.get("/metrics")
    assert "certificate_not_usable" in node.log.read_text()


@pytest.mark.parametrize("kind", ["destinations", "commitment_peers"])
def test_tls_that_cannot_be_used_is_told_with_the_section_that_names_it(
    tmp_path, tiny_model, ca: Authority, kind: str
) -> None:
    own = ca.issue(LOCAL, expired=True)
    where = {"destinations": "destination pacs", "commitment_peers": "commitment_peers CR1"}[kind]
    name = 'name = "pacs"\n' if kind == "destinations" else ""
    peer = f'[[{kind}]]\n{name}ae_title = "CR1"\nhost = "{LOCAL}"\nport = 104\n[{kind}.tls]\n'
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    plain = node.file.read_text()
    node.file.write_text(f'{plain}{peer}ca = "/no/such/ca.pem"\n')
    for command in (["config", "check"], ["serve"]):
        done = node.run(*command, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {where}: ")
        assert "/no/such/ca.pem" in done.stderr
    node.file.write_text(f'{plain}{peer}certificate = "{own.certificate}"\nkey = "{own.key}"\nca = "{ca.file}"\n')
    assert "expired on" in node.run("config", "check", check=False).stderr
    with node:
        assert f'certificate_valid_seconds{{section="{where}"}} 0.0'.encode() in node.get("/metrics")


def _errors(node: NodeProcess) -> dict[str, str]:
    """What status says of each destination that has failed so far."""
    return {row["name"]: row["last_error"] for row in node.status()["destinations"] if row["last_error"]}


def test_status_says_why_a_destination_cannot_be_reached_over_tls(tmp_path, tiny_model, file_of, ca: Authority) -> None:
    stranger = Authority(tmp_path, "stranger")
    theirs = stranger.issue(LOCAL)
    pki = ["+tls", str(theirs.key), str(theirs.certificate), "+cf", str(ca.file)]
    quick = {"first": "100ms", "longest": "300ms"}
    with (
        StoreScpProcess(tmp_path / "pacs", options=("+B", "+xa", *pki)) as pacs,
        StoreScpProcess(tmp_path / "p") as plain,
    ):
        config = model(tiny_model) + f'[tls]\nca = "{ca.file}"\n'
        config += destination("wrong_ca", pacs.port, tls=True, retry=quick)
        config += destination("no_tls_here", pacs.port, retry=quick)
        config += destination("tls_to_plain", plain.port, tls=True, retry=quick)
        with NodeProcess(tmp_path / "node", config) as node:
            storescu(node.port, [file_of(bright())])
            wait_until(lambda: len(_errors(node)) == 3, what="an error of each")
            errors = _errors(node)
    assert "comes from a CA that is not in `ca`" in errors["wrong_ca"]
    assert "TLS" in errors["no_tls_here"]
    assert "plain DICOM" in errors["tls_to_plain"]


def test_the_web_port_over_https_with_passwords_that_the_commands_hashed(tmp_path, tiny_model, ca: Authority) -> None:
    own = ca.issue(LOCAL)
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    hashed = dicom_node("config", "hash-password", said="correct horse battery\n").strip()
    made = dict(line.split() for line in dicom_node("config", "new-token").splitlines())
    node.file.write_text(
        node.file.read_text()
        + f'certificate = "{own.certificate}"\nkey = "{own.key}"\n'
        + f'[[web.auth.users]]\nname = "vera"\npassword_hash = "{hashed}"\n'
        + f'[[web.auth.tokens]]\nname = "prometheus"\ntoken_hash = "{made["token_hash"]}"\n'
    )
    trusting = ssl.create_default_context(cafile=ca.file)
    with node:
        url = f"https://{LOCAL}:{node.web_port}/api/v1/status"
        answer = httpx.get(url, auth=("vera", "correct horse battery"), verify=trusting)
        assert answer.json()["received"] == 0
        with_token = Request(url, headers={"Authorization": f"Bearer {made['token']}"})
        with urlopen(with_token, context=trusting, timeout=30) as shown:
            assert json.loads(shown.read())["received"] == 0
        with pytest.raises(HTTPError, match="401"):
            urlopen(url, context=trusting, timeout=30)
