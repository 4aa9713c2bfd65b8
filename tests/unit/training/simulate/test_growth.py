"""Skeletons that still grow, on the atlas itself."""

from pathlib import Path

import numpy as np
import pytest

from training.simulate.atlas import load_skeleton
from training.simulate.growth import centres, growing, ossified
from training.simulate.mesh import is_closed
from training.simulate.skeleton import Skeleton

ATLAS = Path(__file__).resolve().parents[5] / "shared" / "atlas" / "myo_sim"
pytestmark = pytest.mark.skipif(not ATLAS.is_dir(), reason="the atlas is not in ../shared")


@pytest.fixture(scope="module")
def child() -> Skeleton:
    return growing(load_skeleton(ATLAS))


def test_growth_plates_part_epiphyses_from_shafts(child) -> None:
    """Both closed, the epiphysis carried by its shaft."""
    piece, shaft = child["radius_r.distal"], child["radius_r"]
    assert piece.parent == "radius_r"
    assert is_closed(piece.mesh)
    assert is_closed(shaft.mesh)
    assert piece.middle[2] < shaft.middle[2]


def test_every_centre_of_the_table_is_a_bone_of_the_growing_skeleton(child) -> None:
    """On both sides."""
    for name, centre in centres().items():
        stem, dot, piece = name.partition(".")
        for side in ("_r", "_l"):
            assert stem + side + dot + piece in child.bones, centre


@pytest.mark.parametrize(("age", "seen"), [(1.0, {"capitate", "hamate"}), (4.0, {"triquetrum", "lunate"})])
def test_carpals_appear_in_their_order(child, age, seen) -> None:
    """At one year two of eight show, at four years four; the pisiform shows last."""
    sizes = ossified(child, age, {})
    for bone in seen:
        assert sizes[f"{bone}_r"][0] > 0
    assert sizes["pisiform_r"] == (0.0, 0.0)


def test_an_epiphysis_never_fills_the_place_of_its_growth_plate(child) -> None:
    """It grows with age and stays smaller than what was cut off."""
    size = [ossified(child, age, {})["radius_r.distal"][0] for age in (0.5, 3.0, 8.0, 16.0)]
    assert size[0] == 0.0
    assert list(np.diff(size) > 0) == [True, True, True]
    assert size[-1] < 1.0
