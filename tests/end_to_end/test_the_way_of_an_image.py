"""From a stock sender through the node's own process into a real PACS."""

import json

import pydicom
import pytest

from tests.configurations import destination, model
from tests.dicomfiles import dataset_bytes
from tests.radiographs import as_object, pictures
from tests.servers.dcmtk import StoreScpProcess, dcmsend, echoscu, storescu
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.synthetic import bright, dark


@pytest.mark.parametrize("kind", ["CR", "DX"])
def test_a_real_radiograph_without_body_part_reaches_the_pacs_with_the_right_one(
    tmp_path, shared, pacs, file_of, kind
) -> None:
    """The main job, with the starter model: a knee of a kind that it was trained on, and nothing in the header."""
    knee = as_object(pictures(shared, use="train", region="knee")[0], kind=kind)
    file = file_of(knee)
    with NodeProcess(tmp_path / "node", destination("pacs", pacs.dicom_port)) as node:
        sent = storescu(node.port, [file])
        assert sent.returncode == 0, sent.stdout
        node.idle()
        [record] = node.instances(knee.SOPInstanceUID)
        stored = node.spool / record["path"]
        assert dataset_bytes(stored) == dataset_bytes(file)
    assert record["verdict"]["region"] == "knee"
    assert record["verdict"]["decision"] == "fills"
    assert abs(sum(record["recognition"]["probabilities"].values()) - 1) < 1e-3
    [instance] = pacs.find(knee.SOPInstanceUID)
    tags = pacs.tags(instance)
    assert tags["BodyPartExamined"] == "KNEE"
    assert tags["AnatomicRegionSequence"][0]["CodeValue"] == "72696002"
    assert tags["OriginalAttributesSequence"][0]["ModifiedAttributesSequence"][0]["BodyPartExamined"] == ""
    assert record["recognition"]["model"] in tags["ContributingEquipmentSequence"][0]["ContributionDescription"]


def test_the_node_answers_c_echo(tmp_path, tiny_model) -> None:
    with NodeProcess(tmp_path / "node", model(tiny_model)) as node:
        assert echoscu(node.port).returncode == 0


def test_an_image_that_agrees_and_one_on_which_the_model_abstains_leave_byte_for_byte(
    tmp_path, tiny_model, file_of
) -> None:
    agreeing, unsure = bright(BodyPartExamined="SHOULDER"), dark()
    files = [file_of(agreeing), file_of(unsure)]
    with StoreScpProcess(tmp_path / "received") as peer:
        config = model(tiny_model) + destination("peer", peer.port, ae_title=peer.aet)
        with NodeProcess(tmp_path / "node", config) as node:
            assert dcmsend(node.port, files).returncode == 0
            status = node.idle()
        arrived = {pydicom.dcmread(path).SOPInstanceUID: dataset_bytes(path) for path in peer.files()}
    assert arrived == {
        agreeing.SOPInstanceUID: dataset_bytes(files[0]),
        unsure.SOPInstanceUID: dataset_bytes(files[1]),
    }
    assert (status["forwarded"], status["abstained"]) == (2, 1)


def test_a_wrong_header_waits_for_review_and_goes_as_received(tmp_path, tiny_model, pacs, file_of) -> None:
    wrong = bright(BodyPartExamined="FOOT")
    config = model(tiny_model) + destination("pacs", pacs.dicom_port)
    with NodeProcess(tmp_path / "node", config) as node:
        storescu(node.port, [file_of(wrong)])
        assert node.idle()["review"] == 1
    assert pacs.tags(pacs.find(wrong.SOPInstanceUID)[0])["BodyPartExamined"] == "FOOT"


def test_above_the_configured_confidence_a_wrong_header_is_corrected_and_the_old_value_kept(
    tmp_path, tiny_model, pacs, file_of
) -> None:
    wrong = bright(BodyPartExamined="FOOT")
    config = model(tiny_model) + "[policy]\ncorrect_above = 0.9\n" + destination("pacs", pacs.dicom_port)
    with NodeProcess(tmp_path / "node", config) as node:
        storescu(node.port, [file_of(wrong)])
        node.idle()
    tags = pacs.tags(pacs.find(wrong.SOPInstanceUID)[0])
    assert tags["BodyPartExamined"] == "SHOULDER"
    original = tags["OriginalAttributesSequence"][0]
    assert original["ReasonForTheAttributeModification"] == "CORRECT"
    assert original["ModifiedAttributesSequence"][0]["BodyPartExamined"] == "FOOT"


def test_copy_makes_a_new_instance_and_annotate_sends_the_image_with_a_report(
    tmp_path, tiny_model, pacs, file_of
) -> None:
    pacs.delete_all()
    image = bright()
    config = (
        model(tiny_model)
        + destination("archive", pacs.dicom_port, mode="copy", original=True)
        + destination("reading", pacs.dicom_port, mode="annotate")
    )
    with NodeProcess(tmp_path / "node", config) as node:
        storescu(node.port, [file_of(image)])
        node.idle()
        [record] = node.instances(image.SOPInstanceUID)
    found = {tags["SOPInstanceUID"]: tags for tags in map(pacs.tags, pacs.instances())}
    assert len(found) == 3
    sent = {delivery["destination"]: delivery["sent_uid"] for delivery in record["deliveries"]}
    assert found[image.SOPInstanceUID].get("BodyPartExamined", "") == ""
    assert found[sent["archive"]]["BodyPartExamined"] == "SHOULDER"
    assert found[sent["archive"]]["StudyInstanceUID"] == image.StudyInstanceUID
    assert found[sent["archive"]]["SeriesInstanceUID"] != image.SeriesInstanceUID
    assert found[sent["reading"]]["Modality"] == "SR"


def test_rules_send_each_image_where_it_belongs(tmp_path, tiny_model, file_of) -> None:
    shoulder, other = bright(), dark(StationName="ROOM2")
    with (
        StoreScpProcess(tmp_path / "pacs") as pacs,
        StoreScpProcess(tmp_path / "ai") as ai,
        StoreScpProcess(tmp_path / "room") as room,
    ):
        config = (
            model(tiny_model)
            + destination("pacs", pacs.port)
            + destination("ai", ai.port)
            + destination("room", room.port)
            + '[[rules]]\nname = "shoulders"\nwhen = { region = "shoulder", min_confidence = 0.9 }\nsend_to = ["ai"]\n'
            + '[[rules]]\nname = "room two"\nwhen = { StationName = "ROOM*" }\nsend_to = ["room"]\n'
        )
        with NodeProcess(tmp_path / "node", config) as node:
            files = [file_of(shoulder), file_of(other)]
            dcmsend(node.port, files)
            node.idle()
            explained = node.run("rules", "test", files[0]).stdout
            replayed = node.run("rules", "replay").stdout
        went = [[pydicom.dcmread(path).SOPInstanceUID for path in peer.files()] for peer in (pacs, ai, room)]
    assert set(went[0]) == {shoulder.SOPInstanceUID, other.SOPInstanceUID}
    assert went[1:] == [[shoulder.SOPInstanceUID], [other.SOPInstanceUID]]
    assert "goes to: pacs, ai" in explained
    assert "every image would go where it went" in replayed


def test_an_image_that_nobody_can_look_at_goes_where_the_rules_send_its_modality(tmp_path, tiny_model, file_of) -> None:
    """The PACS is ruled and the AI is not: it would lack the image, and nothing would tell."""
    ds = bright()
    for number in range(21_000):
        ds.add_new(0x50110100 + number, "LO", "")
    file = file_of(ds)
    with StoreScpProcess(tmp_path / "pacs") as pacs, StoreScpProcess(tmp_path / "ai") as ai:
        config = model(tiny_model) + destination("pacs", pacs.port) + destination("ai", ai.port)
        rule = '[[rules]]\nname = "radiographs"\nwhen = { modality = ["CR", "DX"] }\nsend_to = ["pacs"]\n'
        with NodeProcess(tmp_path / "node", config + rule) as node:
            assert storescu(node.port, [file]).returncode == 0
            node.idle()
            [record] = node.instances(ds.SOPInstanceUID)
            assert record["verdict"]["outcome"] == "unreadable"
            assert "every image would go where it went" in node.run("rules", "replay").stdout
            assert "goes to: pacs, ai" in node.run("rules", "test", file).stdout
        assert [dataset_bytes(path) for path in pacs.files()] == [dataset_bytes(file)]
        assert len(ai.files()) == 1


def test_a_destination_that_waits_for_the_study_gets_the_value_on_which_all_agree(
    tmp_path, tiny_model, pacs, file_of
) -> None:
    pacs.delete_all()
    first = dark()
    same = {"StudyInstanceUID": first.StudyInstanceUID, "SeriesInstanceUID": first.SeriesInstanceUID}
    second = bright(**same)
    config = (
        model(tiny_model)
        + '[study]\nquiet = "1s"\n[schedule]\nstudies = "200ms"\n'
        + destination("pacs", pacs.dicom_port, when="study_closed")
    )
    with NodeProcess(tmp_path / "node", config) as node:
        storescu(node.port, [file_of(first), file_of(second)])
        node.settled(2)
        node.idle()
    values = [pacs.tags(instance)["BodyPartExamined"] for instance in pacs.wait_for(2)]
    assert values == ["SHOULDER", "SHOULDER"]


def test_the_same_object_twice_is_one_job_and_other_content_under_its_uid_is_kept_and_flagged(
    tmp_path, tiny_model, file_of, pacs
) -> None:
    image = bright()
    file = file_of(image)
    with NodeProcess(tmp_path / "node", model(tiny_model)) as node:
        assert storescu(node.port, [file, file]).returncode == 0
        assert node.settled(1)["received"] == 1
        image.InstitutionName = "Elsewhere"
        assert storescu(node.port, [file_of(image)]).returncode == 0
        node.settled(2)
        records = node.instances(image.SOPInstanceUID)
    assert [record["conflict"] for record in records] == [False, True]
    assert len({record["path"] for record in records}) == 2


def test_status_show_and_metrics_tell_the_same(tmp_path, tiny_model, file_of) -> None:
    image = bright()
    with NodeProcess(tmp_path / "node", model(tiny_model)) as node:
        storescu(node.port, [file_of(image)])
        node.settled(1)
        status = json.loads(node.run("status", "--json").stdout)
        shown = json.loads(node.run("show", image.SOPInstanceUID, "--json").stdout)
        metrics = node.get("/metrics").decode()
        assert json.loads(node.get("/healthz")) == {"status": "ok"}
        assert json.loads(node.get("/readyz")) == {"status": "ready"}
    assert {"received", "classified", "forwarded", "pending", "failed", "abstained", "review"} <= status.keys()
    assert (status["received"], status["classified"]) == (1, 1)
    assert shown["verdict"]["region"] == "shoulder"
    assert 'region_node_ledger{count="classified"} 1.0' in metrics


def test_no_patient_s_name_or_number_gets_into_log_metrics_or_status(tmp_path, tiny_model, file_of) -> None:
    image = bright(PatientName="Planted^Name", PatientID="PLANTED-4711", BodyPartExamined="planted text")
    config = model(tiny_model) + '[log]\nlevel = "debug"\n'
    with NodeProcess(tmp_path / "node", config) as node:
        storescu(node.port, [file_of(image)])
        node.settled(1)
        said = node.get("/metrics").decode() + json.dumps(node.status())
    said += node.log.read_text()
    assert "settled" in said
    assert "planted" not in said.lower()


def test_periodic_jobs_show_their_last_and_next_run_from_the_start(tmp_path, tiny_model) -> None:
    config = model(tiny_model) + '[schedule]\nretries = "100ms"\nretention = "5h"\n[retention]\nkeep = "30d"\n'
    with NodeProcess(tmp_path / "node", config) as node:

        def jobs() -> dict:
            return {job["name"]: job for job in node.status()["jobs"]}

        assert jobs().keys() == {"retries", "leases", "studies", "disk", "retention"}
        assert jobs()["retention"]["next_run"] is not None
        wait_until(lambda: jobs()["retries"]["last_run"], what="a job's run")
        ran = jobs()["retries"]
    assert ran["next_run"] > ran["last_run"]
