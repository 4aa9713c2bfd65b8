"""Archives become data sets without anybody's name in them, and no patient is on two sides."""

import csv
import stat
import zipfile

import cv2
import numpy as np
import pytest

from dicom_node.bodypart import read_header_region
from dicom_node.classify import Plan, settle
from dicom_node.label import Label
from dicom_node.ledger import open_ledger
from dicom_node.policy import Policy
from dicom_node.regions import Region
from tests.corrected_objects import cr
from tests.radiographs import as_file
from tests.stories import NOON, received, seen
from tests.unit.training.test_cli import training
from training.archive import said_region
from training.errors import TrainingError
from training.images import load
from training.key import Shares, keep_shares, open_key

SECRETS = ("GEHEIM", "Namens", "PAT-4711", "1.2.826.0.1.999")
SMALL = 'name = "small"\n[data]\nsize = 32\n'
PLAN = Plan(policy=Policy(), rules=(), stops=())


def radiograph(number, *, patient="PAT-4711-a", part="HAND", **elements):
    """A CR image of a patient with a name that must not get out; every number has pixels of its own."""
    noise = np.random.default_rng(number).integers(0, 4096, (40, 40), dtype=np.uint16)
    return cr(
        Rows=40,
        Columns=40,
        PixelData=noise.tobytes(),
        PatientName="GEHEIM^Namens",
        PatientID=patient,
        SOPInstanceUID=f"1.2.826.0.1.999.{number}",
        StudyInstanceUID="1.2.826.0.1.999.77",
        BodyPartExamined=part,
        **elements,
    )


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def tree(tmp_path):
    """A folder as a PACS exports it: patients' names in the paths, three patients, one object twice."""
    folder = tmp_path / "export" / "GEHEIM_Namens"
    folder.mkdir(parents=True)
    parts = ["HAND", "HAND", "CHEST", "", "LSPINE", "gibberish"]
    for number, part in enumerate(parts):
        as_file(radiograph(number, part=part, patient=f"PAT-4711-{'abc'[number // 2]}"), folder)
    (folder / "again").mkdir()
    as_file(radiograph(0), folder / "again")
    as_file(radiograph(6, Modality="GEHEIM^Namens"), folder)
    (folder / "GEHEIM report.txt").write_text("GEHEIM")
    return folder.parent


def test_a_tree_of_dicom_objects_becomes_a_data_set_without_names(tmp_path, tree, recipe):
    """Headers give regions; empty and unknown ones none; a body part outside the 14 is out of domain. A search through
    every byte of the cache, paths included, finds neither name nor ID nor UID.
    """
    out = tmp_path / "cache"
    assert training("prepare", "--data", tree, "--recipe", recipe, "--out", out) == 0
    data = load(out)
    regions = sorted(row.region for row in data.rows)
    assert regions == ["", "", "hand", "hand", "lumbar_spine", "ood:chest"]
    assert len({row.group for row in data.rows}) == 3
    assert "same pixels" in (out / "unreadable.csv").read_text()
    for path in out.rglob("*"):
        content = str(path.relative_to(out)).encode() + (path.read_bytes() if path.is_file() else b"")
        assert not any(secret.encode() in content for secret in SECRETS), path


def test_no_patient_is_on_two_sides(tmp_path, recipe):
    """Sixty images of twenty patients, 0.3 to evaluate on: every patient has one use, and every use is there."""
    folder = tmp_path / "export"
    folder.mkdir()
    for number in range(60):
        as_file(radiograph(number, patient=f"PAT-4711-{number % 20}"), folder)
    arguments = ["--evaluate", 0.3, "--tune", 0.3, "--key", tmp_path / "key"]
    assert training("prepare", "--data", folder, "--recipe", recipe, "--out", tmp_path / "out", *arguments) == 0
    uses = {}
    for row in load(tmp_path / "out").rows:
        uses.setdefault(row.group, set()).add(row.use)
    assert len(uses) == 20
    assert all(len(each) == 1 for each in uses.values())
    links = list(csv.DictReader((tmp_path / "key" / "links.csv").open()))
    number = {line["sop_instance_uid"]: int(line["sop_instance_uid"].rpartition(".")[2]) for line in links}
    groups = {row.file.name: row.group for row in load(tmp_path / "out").rows}
    by_patient = {}
    for line in links:
        by_patient.setdefault(number[line["sop_instance_uid"]] % 20, set()).add(groups[line["file"].split("/")[1]])
    assert all(len(each) == 1 for each in by_patient.values())


def test_the_shares_are_what_was_asked_for():
    """Of 4,000 patients, within two points."""
    uses = [Shares(tune=0.16, evaluate=0.2).use(f"{n:x}") for n in range(4000)]
    assert abs(uses.count("evaluate") / 4000 - 0.2) < 0.02
    assert abs(uses.count("tune") / 4000 - 0.16) < 0.02


def test_a_kept_key_gives_the_same_groups_again_and_lies_apart(tmp_path):
    """Data that joins later keeps the split; only the owner reads the key; without a folder it is gone."""
    out = tmp_path / "out"
    first, again = (open_key(tmp_path / "key", out=out) for _ in range(2))
    assert first.group("somebody") == again.group("somebody") != first.group("somebody else")
    assert stat.S_IMODE((tmp_path / "key" / "salt").stat().st_mode) == 0o600
    lost, other = open_key(None, out=out), open_key(None, out=out)
    assert len({lost.group("somebody"), other.group("somebody"), first.group("somebody")}) == 3
    assert first.origin("1.2.3") == again.origin("1.2.3") != first.group("1.2.3")
    assert first.origin("") == lost.origin("1.2.3") == ""
    with pytest.raises(TrainingError, match="keep it apart"):
        open_key(out / "key", out=out)


def test_a_key_belongs_to_one_split(tmp_path, tree, recipe, capsys):
    """With another seed or other shares a patient that was learned from would be evaluated on, in a second archive."""
    common = ["--data", tree, "--recipe", recipe, "--key", tmp_path / "key"]
    assert training("prepare", *common, "--seed", 1, "--out", tmp_path / "a") == 0
    assert training("prepare", *common, "--seed", 1, "--out", tmp_path / "b") == 0
    for other in (["--seed", 2], ["--seed", 1, "--tune", 0.3], ["--seed", 1, "--evaluate", 0.3]):
        assert training("prepare", *common, *other, "--out", tmp_path / "c") == 2
        assert "were split with --seed 1 --tune 0.16 --evaluate 0.2" in " ".join(capsys.readouterr().err.split())
    assert stat.S_IMODE((tmp_path / "key" / "shares.json").stat().st_mode) == 0o600
    (tmp_path / "key" / "shares.json").write_text("{}{")
    with pytest.raises(TrainingError, match="does not say how"):
        keep_shares(open_key(tmp_path / "key", out=tmp_path / "c"), Shares())


def test_a_missing_patient_id_joins_no_strangers(tmp_path, recipe):
    """Two studies without an ID are two groups; pictures, of which nothing is known, are one each."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        as_file(radiograph(number, patient="", SeriesInstanceUID="1.2").copy(), folder)
    for number in range(4, 6):
        ds = radiograph(number, patient="")
        ds.StudyInstanceUID = "1.2.826.0.1.999.78"
        as_file(ds, folder)
    for number in range(3):
        noise = np.random.default_rng(100 + number).integers(0, 255, (30, 30), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noise)
    assert training("prepare", "--data", folder, "--recipe", recipe, "--out", tmp_path / "out") == 0
    rows = load(tmp_path / "out").rows
    sizes = sorted([row.group for row in rows].count(group) for group in {row.group for row in rows})
    assert sizes == [1, 1, 1, 2, 4]


def test_a_patient_whose_issuer_only_some_modalities_set_is_one_group(tmp_path, recipe):
    """Otherwise the same person would be learned from and evaluated on."""
    folder = tmp_path / "export"
    folder.mkdir()
    for number, issuer in enumerate(("", "HOSPITAL", "Hospital^1.2^ISO")):
        as_file(radiograph(number, IssuerOfPatientID=issuer), folder)
    assert training("prepare", "--data", folder, "--recipe", recipe, "--out", tmp_path / "o") == 0
    assert len({row.group for row in load(tmp_path / "o").rows}) == 1


def test_archives_are_read_where_they_lie(tmp_path, tree, recipe):
    """A zip of an export gives what the export gives."""
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in tree.rglob("*.dcm"):
            archive.write(path)
    out = tmp_path / "out"
    assert training("prepare", "--data", tmp_path / "export.zip", "--recipe", recipe, "--out", out) == 0
    assert len(load(out).rows) == 6


def test_a_reviewed_label_goes_before_the_header_also_from_the_ledger(tmp_path, recipe):
    """A table's before the ledger's latest, that before the header; the file that retention removed is not missed."""
    data = tmp_path / "data"
    (data / "spool").mkdir(parents=True)
    ledger = open_ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    for number in range(4):
        uid = f"1.2.826.0.1.999.{number}"
        path = as_file(radiograph(number, patient=f"PAT-4711-{number}"), data / "spool")
        peers = {"calling_ae": f"CR{number % 2}", "path": path.name, "sop_instance_uid": uid}
        instance = received(ledger, number, **peers)
        settle(instance, seen(Region.KNEE), plan=PLAN, work=ledger.work, now=NOON)
        for region in ("foot", "ood:chest") if number else ():
            assert ledger.labels.add({uid: Label(region=region, by="Dr. GEHEIM", at=NOON)}) == []
    ledger.repairs.lose(4, now=NOON)
    ledger.close()
    config, labels = tmp_path / "node.toml", tmp_path / "labels.csv"
    config.write_text(f'[node]\ndata_dir = "{data}"\n')
    labels.write_text("sop_instance_uid,region\n1.2.826.0.1.999.1,wrist\n")
    out = tmp_path / "out"
    assert training("prepare", "--ledger", config, "--labels", labels, "--recipe", recipe, "--out", out) == 0
    found = [(row.region, row.source) for row in load(out).rows]
    assert found == [("hand", "CR0"), ("wrist", "CR1"), ("ood:chest", "CR0")]
    assert not any(b"GEHEIM" in file.read_bytes() for file in out.rglob("*") if file.is_file())


def test_of_equal_images_the_label_of_a_person_is_kept(tmp_path, recipe):
    """The second copy was reviewed, the first has what its header says; and a header's goes before none."""
    folder, labels = tmp_path / "export", tmp_path / "labels.csv"
    for place, parts in (("a", ["HAND", ""]), ("b", ["HAND", "LSPINE"])):
        (folder / place).mkdir(parents=True)
        for number, part in enumerate(parts):
            ds = radiograph(number, part=part)
            ds.SOPInstanceUID += f".{'ab'.index(place) + 1}"
            as_file(ds, folder / place)
    labels.write_text("sop_instance_uid,region\n1.2.826.0.1.999.0.2,wrist\n")
    given = ["--data", folder, "--labels", labels, "--recipe", recipe, "--out", tmp_path / "o"]
    assert training("prepare", *given) == 0
    assert sorted(row.region for row in load(tmp_path / "o").rows) == ["lumbar_spine", "wrist"]


def test_a_table_of_labels_that_names_no_region_is_refused(tmp_path, tree, recipe, capsys):
    """A slip of the pen would be a class of its own, or end the run late."""
    labels = tmp_path / "labels.csv"
    labels.write_text("sop_instance_uid,region\n1.2.826.0.1.999.1,wirst\n")
    arguments = ["--data", tree, "--labels", labels, "--recipe", recipe]
    assert training("prepare", *arguments, "--out", tmp_path / "out") == 2
    assert "names 'wirst', which is neither" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ledger", "sqlite:////nowhere/ledger.sqlite"], "name the folder with --spool"),
        (["--ledger", "sqlite:////nowhere/ledger.sqlite", "--spool", "."], "There is no ledger yet"),
        (["--data", "nowhere"], "There is no file or folder nowhere"),
        ([], "There is nothing to prepare"),
        (["--data", ".", "--labels", "nowhere.csv"], "nowhere.csv cannot be read"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, capsys, arguments, sentence):
    assert training("prepare", *arguments, "--out", tmp_path / "out") == 2
    assert sentence in capsys.readouterr().err


def test_a_manifest_that_splits_a_patient_is_refused(tmp_path, capsys):
    """Nobody would see the leak in the numbers."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.eye(30, dtype=np.uint8) * 255)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,region,group,use\na.png,hand,g,train\nb.png,hand,g,evaluate\n")
    assert training("prepare", "--data", manifest, "--out", tmp_path / "out", "--workers", 1) == 2
    assert "1 groups have rows of more than one use" in capsys.readouterr().err


def test_the_page_counts_and_shows_every_region(tmp_path, tree, recipe):
    """Without fetching anything."""
    assert training("prepare", "--data", tree, "--recipe", recipe, "--out", tmp_path / "out") == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert "not labelled" in page
    assert "http" not in page


def test_a_header_that_is_understood_in_part_is_no_label():
    """ABDO PELVIS was learned as a pelvis."""
    said = [said_region(read_header_region(text)) for text in ("PELVIS AP", "ABDO PELVIS", "HAND WRIST", "CHEST", "")]
    assert said == ["pelvis_hip", "", "", "ood:chest", ""]
