"""Text in the usual zoo of character sets goes through the node byte for byte, in the spool and at the destination."""

from pathlib import Path

import pydicom
import pytest

from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.part10 import split_meta
from tests.configurations import destination, model
from tests.corrected_objects import cr
from tests.dimse_objects import incoming_bytes, written
from tests.faults.objects import content_of
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.unit.model.tiny import write_tiny_model

pytestmark = pytest.mark.server

# SpecificCharacterSet as sent, and a PatientName's bytes: as the standard's annexes H to K have them, and as they come.
ZOO = {
    "ISO_IR 100": "Buc^Jérôme".encode("latin-1"),
    "ISO_IR 144": "Люкceмбypг".encode("iso8859_5"),
    "ISO_IR 126": "Διονυσιος".encode("iso8859_7"),
    "ISO_IR 127": "قباني^لنزار".encode("iso8859_6"),
    "ISO_IR 138": "שרון^דבורה".encode("iso8859_8"),
    "ISO_IR 166": "นามสกุล".encode("tis_620"),
    "ISO_IR 13": b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3",
    "ISO_IR 192": "Wang^XiaoDong=王^小东".encode(),
    "GB18030": "Wang^XiaoDong=王^小东".encode("gb18030"),
    "GBK": "Wang^XiaoDong=王^小东".encode("gbk"),
    "\\ISO 2022 IR 87": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    "ISO 2022 IR 13\\ISO 2022 IR 87": b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
    "\\ISO 2022 IR 149": b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
    "\\ISO 2022 IR 58": b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    "ISO IR 192": "Ärger^mit der Schreibweise".encode(),
    "ISO_IR 6": "Ärger^im falschen Satz".encode("latin-1"),
    "NONSENSE": b"\xff\xfe\x80^\x1b$",
    "": "Müller^ohne Angabe".encode("latin-1"),
}


def dataset_with(name: str, text: bytes, folder: Path) -> bytes:
    """A CR's bytes; the name is put in as it is, past everything that would encode it."""
    mark = b"Q" * len(text)
    ds = cr(PatientName=mark.decode(), SpecificCharacterSet=name.split("\\"), BodyPartExamined="HAND")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{list(ZOO).index(name) + 1}"
    path = folder / "plain.dcm"
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    with path.open("rb") as file:
        _, offset = split_meta(file)
    content = path.read_bytes()[offset:]
    assert mark in content
    return content.replace(mark, text)


def test_the_zoo_of_character_sets_goes_through_byte_for_byte(tmp_path: Path) -> None:
    sent: dict[str, str] = {}
    with StoreScpProcess(tmp_path / "pacs") as pacs:
        configuration = model(write_tiny_model(tmp_path / "tiny.onnx")) + destination("pacs", pacs.port)
        with NodeProcess(tmp_path / "node", "[policy]\nfill = false\n" + configuration) as node:
            scu = StoreScu(Peer(host="127.0.0.1", port=node.port, ae_title="REGION"), calling_ae="ZOO")
            for number, (name, text) in enumerate(ZOO.items(), start=1):
                item = incoming_bytes(dataset_with(name, text, tmp_path), uid=f"1.2.3.{number}")
                path = written(tmp_path, item)
                scu.send(path)
                sent[item.sop_instance_uid] = content_of(path)
            scu.close()
            assert node.idle()["forwarded"] == len(ZOO)
            stored = {uid: content_of(node.spool / node.instances(uid)[0]["path"]) for uid in sent}
        arrived = {path.name.split(".", 1)[1]: content_of(path) for path in pacs.files()}
    assert stored == sent
    assert arrived == sent
