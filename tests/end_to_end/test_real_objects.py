"""Objects of every kind and syntax go through the whole node, and none is lost or changed."""

from collections import Counter
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.errors import InvalidDicomError

from tests.configurations import destination, model
from tests.dicomfiles import dataset_bytes
from tests.radiographs import as_object, of_every_source
from tests.servers.dcmtk import StoreScpProcess, dcmsend
from tests.servers.node import NodeProcess


def bundled_objects() -> dict[Path, str]:
    """pydicom's bundled files that can be sent at all, those with a SOP class and instance, by SOP Instance UID."""
    found = {}
    for name in sorted((Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm")):
        try:
            ds = pydicom.dcmread(name, stop_before_pixels=True)
        except (InvalidDicomError, EOFError, NotImplementedError):
            continue
        uid = ds.get("SOPInstanceUID") or ds.file_meta.get("MediaStorageSOPInstanceUID")
        if uid and (ds.get("SOPClassUID") or ds.file_meta.get("MediaStorageSOPClassUID")):
            found[name] = str(uid)
    return found


@pytest.mark.slow
def test_all_of_pydicom_s_bundled_objects_end_in_the_ledger_byte_for_byte(tmp_path, tiny_model) -> None:
    objects = bundled_objects()
    assert len(objects) > 70
    with NodeProcess(tmp_path / "node", model(tiny_model)) as node:
        sent = node.run("send", "127.0.0.1", str(node.port), *objects, check=False)
        assert sent.returncode == 0, sent.stderr
        node.idle()
        kept = {
            path: {dataset_bytes(node.spool / record["path"]) for record in node.instances(uid)}
            for path, uid in objects.items()
        }
    lost = [path.name for path in objects if dataset_bytes(path) not in kept[path]]
    assert lost == []


@pytest.mark.slow
def test_the_compression_samples_pass_through_in_their_own_syntax_and_radiographs_are_classified(
    tmp_path, tiny_model, shared
) -> None:
    """NEMA's 43 files: a hip, a lower leg and a chest as CR, and what is no radiograph, in all kinds of compression."""
    files = sorted((shared / "data" / "dicom").glob("*.dcm"))
    with StoreScpProcess(tmp_path / "peer") as peer:
        config = model(tiny_model) + "[policy]\nfill = false\n" + destination("peer", peer.port, ae_title=peer.aet)
        with NodeProcess(tmp_path / "node", config) as node:
            node.run("send", "127.0.0.1", str(node.port), *files)
            status = node.idle()
            uids = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files}
            records = [record for uid in uids for record in node.instances(uid)]
        arrived = {dataset_bytes(path) for path in peer.files()}
    assert (status["received"], status["forwarded"], status["failed"]) == (len(files), len(files), 0)
    outcomes = Counter(record["verdict"]["outcome"] for record in records)
    assert outcomes["unreadable"] == 0, [r["verdict"]["reason"] for r in records]
    # The two mammograms are digitised film to their headers (secondary capture, modality RG), so the model sees them.
    radiographs = [path for path in files if path.name.startswith(("RG", "MG"))]
    assert outcomes["tagged"] + outcomes["abstained"] == len(radiographs)
    changed = [path.name for path in files if dataset_bytes(path) not in arrived]
    assert changed == []


@pytest.mark.slow
def test_real_radiographs_of_every_source_reach_the_pacs_and_say_there_what_the_ledger_says(
    tmp_path, shared, pacs, file_of
) -> None:
    """Five pictures of each region and source, as CR and DX in turn; how right the model is, its card says."""
    pacs.delete_all()
    objects = [
        as_object(picture, kind=("CR", "DX")[number % 2]) for number, picture in enumerate(of_every_source(shared, 5))
    ]
    assert len(objects) > 40
    files = {ds.SOPInstanceUID: file_of(ds) for ds in objects}
    with NodeProcess(tmp_path / "node", destination("pacs", pacs.dicom_port)) as node:
        assert dcmsend(node.port, files.values()).returncode == 0
        status = node.idle(seconds=100)
        records = {uid: node.instances(uid)[0] for uid in files}
        assert all(dataset_bytes(node.spool / records[uid]["path"]) == dataset_bytes(files[uid]) for uid in files)
    assert (status["received"], status["forwarded"], status["failed"]) == (len(files), len(files), 0)
    assert {record["verdict"]["outcome"] for record in records.values()} == {"tagged", "abstained"}
    there = {tags["SOPInstanceUID"]: tags.get("BodyPartExamined") or None for tags in map(pacs.tags, pacs.instances())}
    assert there == {uid: record["verdict"]["body_part"] for uid, record in records.items()}
