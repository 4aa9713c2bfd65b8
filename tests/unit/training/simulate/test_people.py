"""Whole scenes, on the atlas itself."""

from pathlib import Path

import numpy as np
import pytest

from training.simulate.growth import INFANT
from training.simulate.matter import matter
from training.simulate.people import INFANTS_SIZE, People
from training.simulate.recipe import SimulateRecipe
from training.simulate.regions import VIEWS

ATLAS = Path(__file__).resolve().parents[5] / "shared" / "atlas" / "myo_sim"
needs_atlas = pytest.mark.skipif(not ATLAS.is_dir(), reason="the atlas is not in ../shared")


@pytest.fixture(scope="module")
def people() -> People:
    return People.of(ATLAS)


@needs_atlas
@pytest.mark.parametrize("region", sorted(VIEWS))
def test_every_region_gives_finite_depth_and_something_to_see(people, region) -> None:
    """Three subjects each: nothing negative, nothing infinite, not the same everywhere."""
    for number in range(3):
        scene = people.scene(region, np.random.default_rng([5, number]), SimulateRecipe(), 64)
        assert scene.region == region
        assert np.isfinite(scene.depth).all()
        assert scene.depth.min() >= 0.0
        assert np.ptp(scene.depth) > 0.05


@needs_atlas
def test_the_vertebrae_in_a_picture_come_in_their_order_and_are_as_large_as_vertebrae(people) -> None:
    """From below; what holds them together is made for their bodies, not for their transverse processes."""
    scene = people.scene("cervical_spine", np.random.default_rng([5, 1]), SimulateRecipe(children=0.0), 64)
    names, heights = zip(*((each.name, each.centre[2]) for each in scene.vertebrae), strict=True)
    assert {"c4", "c5", "c6"} <= set(names)
    assert list(heights) == sorted(heights)
    assert all(0.01 <= each.width <= 0.05 for each in scene.vertebrae)


@needs_atlas
def test_the_same_seed_gives_the_same_scene(people) -> None:
    """To the last bit."""
    one, other = (people.scene("hand", np.random.default_rng([9, 1]), SimulateRecipe(), 96) for _ in range(2))
    np.testing.assert_array_equal(one.depth, other.depth)
    assert one.view == other.view


@needs_atlas
@pytest.mark.parametrize("region", ["pelvis_hip", "ood:chest"])
def test_a_scene_knows_where_the_subjects_right_lies(people, region) -> None:
    """Whether rays go from front to back or the other way: bones of the right side lie where it says."""
    frontal = []
    for number in range(12):
        scene = people.scene(region, np.random.default_rng([3, number]), SimulateRecipe(), 24)
        assert set(scene.shown) & {"pelvis_r", "pelvis_l", "femur_r", "femur_l", "rib8_r"}
        places = {anchor.bone: scene.camera.project(anchor.start)[0] for anchor in scene.anchors}
        pairs = [(places[name], places[name[:-1] + "l"]) for name in places if name.endswith("_r")]
        if abs(scene.anatomy[0, 0]) > 0.9 and pairs:
            frontal.append(scene.anatomy[2, 1] > 0)
            assert all((right > left) == (scene.anatomy[0, 0] > 0) for right, left in pairs)
    assert len(set(frontal)) == (2 if region == "ood:chest" else 1)


@needs_atlas
def test_a_bent_limb_is_seen_in_the_axes_of_the_bone_that_its_view_is_set_up_by(people) -> None:
    """An elbow from the front is seen from the front however far the arm is turned."""
    ways = [people.scene("elbow", np.random.default_rng([4, n]), SimulateRecipe(), 24) for n in range(12)]
    assert all(scene.anatomy[2, 1] < -0.85 for scene in ways if scene.view == "ap")
    assert any(scene.view == "ap" for scene in ways)


@needs_atlas
def test_one_body_without_children_is_always_the_same_person(people) -> None:
    """What the ablation of shapes switches off: no waves, no sizes, no second arm."""
    recipe = SimulateRecipe(shapes="one", children=0.0)
    subjects = [people._somebody(np.random.default_rng(n), recipe, VIEWS["hand"][0])[1] for n in range(5)]
    assert all(subject.waves is None and not subject.sizes for subject in subjects)


@needs_atlas
@pytest.mark.parametrize("share", [0.0, 1e-6, 0.3])
def test_only_infants_are_shown_in_infants_poses(people, share) -> None:
    """An adult in one is squeezed into a shape that nobody has; without children there is no such view at all."""
    recipe = SimulateRecipe(children=share)
    scenes = [people.scene("pelvis_hip", np.random.default_rng([7, n]), recipe, 24) for n in range(24)]
    ages = [scene.age for scene in scenes if scene.view.startswith("infant")]
    assert (len(ages) > 0) == (share > 0.0)
    assert all(age <= INFANT for age in ages)


@needs_atlas
def test_an_infants_body_counts_for_its_stature(people) -> None:
    """Its geometry is as large as an adult's, so every metre counts for INFANTS_SIZE of one, at 38 to 65 keV."""
    recipe = SimulateRecipe(children=1.0)
    scenes = [people.scene("pelvis_hip", np.random.default_rng([6, n]), recipe, 48) for n in range(12)]
    infants = [scene.tissue for scene in scenes if scene.age <= INFANT]
    others = [scene.tissue for scene in scenes if scene.age > INFANT]
    soft, hard = (matter(energy, spongy_share=0.2, mineral=1.0).soft for energy in (38.0, 65.0))
    assert infants
    assert all(INFANTS_SIZE * hard <= tissue <= INFANTS_SIZE * soft for tissue in infants)
    assert all(hard <= tissue <= soft for tissue in others)


@needs_atlas
def test_thick_parts_are_exposed_with_harder_beams(people) -> None:
    """A hand may see any of the beams, a loin only those from about 45 keV on."""
    softest = {
        region: max(
            people.scene(region, np.random.default_rng([8, n]), SimulateRecipe(children=0.0), 48).tissue
            for n in range(16)
        )
        for region in ("hand", "lumbar_spine")
    }
    assert softest["lumbar_spine"] < matter(44.0, spongy_share=0.2, mineral=1.0).soft < softest["hand"]


def test_bone_takes_more_than_soft_tissue_and_gas_gives_back_what_it_displaces() -> None:
    """At 60 keV: 60.4/m of compact bone and 21.7/m of soft tissue (NIST)."""
    found = matter(60.0, spongy_share=0.2, mineral=1.0)
    assert found.soft + found.compact == pytest.approx(60.4, rel=1e-6)
    assert found.soft + found.gas == pytest.approx(0.0, abs=1e-9)
    assert found.spongy == pytest.approx(0.2 * found.compact)


def test_a_softer_beam_shows_more_contrast_between_bone_and_tissue() -> None:
    """Bone over soft tissue falls from about 4.5 at 40 keV to under 2.8 at 60."""
    soft, hard = (matter(energy, spongy_share=0.2, mineral=1.0) for energy in (40.0, 60.0))
    assert soft.compact / soft.soft > 1.5 * hard.compact / hard.soft
