"""The sender, before stock receivers and before awkward ones."""

import threading
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.events import Event

from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.errors import PermanentError, TransientError
from dicom_node.instance import Incoming
from dicom_node.part10 import split_meta
from tests.dimse_objects import bundled_objects, incoming, written
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.programs import free_port
from tests.stock_receiver import Received, receiver, sender


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, incoming())


def answering(status: int) -> Callable[[Event], int]:
    return lambda event: status


def data_set_of(path: Path) -> bytes:
    with path.open("rb") as opened:
        _, offset = split_meta(opened)
    return path.read_bytes()[offset:]


def bundled(name: str) -> Incoming:
    return next(item for found, item in bundled_objects() if found == name)


def test_what_arrives_is_byte_for_byte_what_lies_in_the_file(tmp_path: Path) -> None:
    received: Received = []
    sent = []
    with receiver(received=received) as peer, sender(peer) as scu:
        for _, item in bundled_objects():
            try:
                scu.send(written(tmp_path, item))
            except PermanentError:  # a SOP class that this receiver, other than ours, does not know
                continue
            sent.append((item.transfer_syntax_uid, item.dataset))
    assert len(sent) > 140
    assert received == sent


@pytest.mark.server
def test_dcmtks_receiver_gets_the_bytes_of_the_file(tmp_path: Path, file: Path) -> None:
    with StoreScpProcess(tmp_path / "received") as scp:
        with sender(Peer(host="127.0.0.1", port=scp.port, ae_title="STORESCP")) as scu:
            scu.echo()
            scu.send(file)
        (arrived,) = scp.files()
        assert data_set_of(arrived) == data_set_of(file)


def test_one_association_carries_many_objects_and_a_new_class_opens_a_wider_one(tmp_path: Path) -> None:
    associations: list[object] = []
    with receiver(associations=associations) as peer, sender(peer) as scu:
        for number in range(5):
            scu.send(written(tmp_path, incoming(f"1.2.3.{number}")))
        assert len(associations) == 1
        scu.send(written(tmp_path, bundled("CT_small.dcm")))
        scu.send(written(tmp_path, incoming("1.2.3.9")))
        assert len(associations) == 2


def test_an_association_that_the_peer_closed_is_opened_again_without_an_error(file: Path) -> None:
    associations: list[object] = []
    with receiver(associations=associations) as peer, sender(peer) as scu:
        scu.send(file)
        associations[0].abort()
        scu.send(file)
    assert len(associations) == 2


def test_an_idle_association_is_given_back_and_a_used_one_is_kept(file: Path) -> None:
    associations: list[object] = []
    with receiver(associations=associations) as peer:
        with sender(peer, idle_after=timedelta(hours=1)) as scu:
            scu.send(file)
            scu.close_if_idle()
            scu.send(file)
            assert len(associations) == 1
        with sender(peer, idle_after=timedelta(0)) as scu:
            scu.send(file)
            assert scu.idle_for() < timedelta(minutes=1)
            scu.close_if_idle()
            associations[-1].join(10)
            assert associations[-1].is_released


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB007])
def test_success_and_warnings_count_as_delivered(file: Path, status: int) -> None:
    with receiver(answering(status)) as peer, sender(peer) as scu:
        scu.send(file)


def test_a_peer_that_has_the_uid_already_is_told_apart_from_one_that_stored_the_object(file: Path) -> None:
    statuses = iter([0x0111, 0x0000])
    with receiver(lambda event: next(statuses)) as peer, sender(peer) as scu:
        scu.send(file)
        assert scu.was_there
        scu.send(file)
        assert not scu.was_there


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110])
def test_a_full_peer_is_a_transient_error(file: Path, status: int) -> None:
    with receiver(answering(status)) as peer, sender(peer) as scu, pytest.raises(TransientError, match=f"{status:04X}"):
        scu.send(file)


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122, 0x0124])
def test_a_peer_that_refuses_the_object_is_a_permanent_error(file: Path, status: int) -> None:
    with receiver(answering(status)) as peer, sender(peer) as scu, pytest.raises(PermanentError, match=f"{status:04X}"):
        scu.send(file)


def test_a_peer_that_is_not_there_is_a_transient_error(file: Path) -> None:
    scu = StoreScu(Peer(host="127.0.0.1", port=free_port(), ae_title="PACS"), calling_ae="REGION")
    with pytest.raises(TransientError, match=r"PACS at 127\.0\.0\.1"):
        scu.send(file)
    with pytest.raises(TransientError):
        scu.echo()


def test_a_host_without_an_address_is_a_transient_error(file: Path) -> None:
    scu = StoreScu(Peer(host="nowhere.invalid", port=104, ae_title="PACS"), calling_ae="REGION")
    with pytest.raises(TransientError, match="cannot be found"):
        scu.send(file)


def test_a_peer_that_does_not_know_us_is_a_permanent_error(file: Path) -> None:
    known = {"require_calling_aet": ["SOMEBODY"]}
    with receiver(**known) as peer, sender(peer) as scu, pytest.raises(PermanentError, match="AE title"):
        scu.send(file)


def test_a_peer_that_goes_by_another_name_is_a_permanent_error(file: Path) -> None:
    with receiver(require_called_aet=True) as peer:
        other = Peer(host=peer.host, port=peer.port, ae_title="OTHER")
        with sender(other) as scu, pytest.raises(PermanentError, match="AE title"):
            scu.send(file)


def test_a_peer_with_too_many_associations_is_a_transient_error(file: Path) -> None:
    with receiver(maximum_associations=1) as peer, sender(peer) as first, sender(peer) as second:
        first.send(file)
        with pytest.raises(TransientError, match="limit"):
            second.send(file)


def test_a_peer_that_takes_no_such_class_is_a_permanent_error(tmp_path: Path) -> None:
    path = written(tmp_path, incoming(SOPClassUID="1.2.3.4.5.6"))
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.1\0", b"1.2.840.10008.5.9.9.9.9.9\0"))
    with receiver() as peer, sender(peer) as scu, pytest.raises(PermanentError):
        scu.send(path)


def test_a_peer_that_aborts_in_the_middle_is_a_transient_error(file: Path) -> None:
    def abort(event: Event) -> int:
        event.assoc.abort()
        return 0

    with receiver(abort) as peer, sender(peer) as scu, pytest.raises(TransientError):
        scu.send(file)


def test_a_peer_that_never_answers_is_a_transient_error_in_time(file: Path) -> None:
    done = threading.Event()

    def wait(event: Event) -> int:
        done.wait(60)
        return 0

    # Long enough for the association itself to open on a busy machine: what is to run out is the time for the answer.
    with receiver(wait) as peer, sender(peer, timeout=timedelta(seconds=5)) as scu:
        with pytest.raises(TransientError, match="did not confirm"):
            scu.send(file)
        done.set()


def test_a_file_that_is_no_dicom_file_is_a_permanent_error(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("not an image, and long enough for a preamble" * 5)
    with receiver() as peer, sender(peer) as scu:
        with pytest.raises(PermanentError):
            scu.send(path)
        with pytest.raises(PermanentError):
            scu.send(tmp_path / "missing")


@pytest.mark.parametrize("taken", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("name", ["JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"])
def test_a_peer_that_takes_only_uncompressed_gets_the_same_pixels_uncompressed(
    tmp_path: Path, taken: str, name: str
) -> None:
    received: Received = []
    item = bundled(name)
    path = written(tmp_path, item)
    with receiver(syntaxes=[taken], received=received) as peer, sender(peer) as scu:
        scu.send(path)
    ((syntax, dataset),) = received
    assert syntax == taken
    ds = _read_data_set(dataset, syntax)
    original = dcmread(path)
    assert ds.SOPInstanceUID == original.SOPInstanceUID
    assert (ds.pixel_array == original.pixel_array).all()


def _read_data_set(dataset: bytes, syntax: str) -> Dataset:
    ds = dcmread(BytesIO(dataset), force=True)
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    return ds


def test_pixels_that_cannot_be_decoded_are_a_permanent_error_that_says_so(tmp_path: Path) -> None:
    item = bundled("JPEG2000.dcm")
    path = written(tmp_path, item)
    content = path.read_bytes()
    start = content.index(b"\xff\x4f\xff\x51")  # SOC and SIZ of the code stream
    path.write_bytes(content[: start + 4] + bytes(len(content) - start - 4))
    only_uncompressed = [ExplicitVRLittleEndian]
    refused = pytest.raises(PermanentError, match="cut short or damaged")
    with receiver(syntaxes=only_uncompressed) as peer, sender(peer) as scu, refused:
        scu.send(path)
