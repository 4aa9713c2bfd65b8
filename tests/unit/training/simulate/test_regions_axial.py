"""Skull, spine, ribs, and what lies out of the domain: what their pictures must show, on the atlas itself."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from training.simulate import organs
from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.compose import bone_depth
from training.simulate.flesh import union_length
from training.simulate.lungs import lungs
from training.simulate.matter import matter
from training.simulate.people import People
from training.simulate.pose import Pose
from training.simulate.project import add_mesh
from training.simulate.recipe import SimulateRecipe
from training.simulate.regions import cervical_spine, lumbar_spine, out_of_domain, rib, skull, thoracic_spine
from training.simulate.regions.spine import CERVICAL, THORACIC, UPWARD, bend, curves, raised, scoliosis, seen_from
from training.simulate.shot import View, aim
from training.simulate.strangers import PICTURES
from training.simulate.subject import Subject, draw_subject

ATLAS = Path(__file__).parents[5] / "shared" / "atlas" / "myo_sim"
pytestmark = pytest.mark.skipif(not ATLAS.exists(), reason="reads the shared folder's atlas")

STUFF = matter(50.0, spongy_share=0.2, mineral=1.0)
VIEWS = [
    pytest.param(view, id=f"{module.__name__.rpartition('.')[2]}-{view.name}")
    for module in (skull, cervical_spine, thoracic_spine, lumbar_spine, rib)
    for view in module.VIEWS
] + [pytest.param(view, id=f"{kind}-{view.name}") for kind, views in out_of_domain.VIEWS.items() for view in views]


@pytest.fixture(scope="module")
def people() -> People:
    return People.of(ATLAS)


def plain(people: People, *patterns: str, pose: Pose | None = None) -> Body:
    skeleton = people.adults[0]
    return Body.posed(skeleton, Subject(), pose or Pose(), skeleton.named(*patterns))


def from_the_front(height: float, field: float = 0.4) -> Camera:
    return Camera.looking((0.0, -0.09, height), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0), field=field, size=80)


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_view_shows_lies_mostly_in_the_picture(people: People, view: View) -> None:
    """Most of it: spines and cages are collimated narrowly, and shafts go on beyond the picture."""
    inside = []
    for seed in range(8):
        random = np.random.default_rng([zlib.crc32(view.name.encode()), seed])
        skeleton = (people.adults, people.children)[seed % 2][0]
        subject = draw_subject(skeleton, random, child=bool(seed % 2), many=True)
        shot = view.draw(skeleton, subject, random)
        names = skeleton.named(*shot.bones)
        assert set(shot.show) <= set(names)
        body = Body.posed(skeleton, subject, shot.pose, names)
        camera = aim(shot, body, random, size=64)
        for name, part in shot.show.items():
            u, v, _ = camera.project(body.between(name, *part))
            inside.append(np.mean((u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)))
    assert np.mean(inside) > 0.8


@pytest.mark.parametrize("region", ["skull", "cervical_spine", "thoracic_spine", "lumbar_spine", "rib", "ood"])
def test_a_scene_is_finite_not_negative_and_repeats_itself(people: People, region: str) -> None:
    for seed in range(8):
        one, other = (people.scene(region, np.random.default_rng(seed), SimulateRecipe(), 48) for _ in range(2))
        assert np.isfinite(one.depth).all()
        assert one.depth.min() >= 0
        assert max(one.depth.shape) == 48
        assert np.array_equal(one.depth, other.depth)


@pytest.mark.parametrize("kind", [*PICTURES, *out_of_domain.VIEWS])
def test_every_kind_out_of_domain_can_be_asked_for_and_says_its_name(people: People, kind: str) -> None:
    assert people.scene(kind, np.random.default_rng(1), SimulateRecipe(), 40).region == kind


def test_ood_draws_every_kind_in_time(people: People) -> None:
    random = np.random.default_rng(0)
    assert {out_of_domain.choose_kind(random) for _ in range(600)} == {*PICTURES, *out_of_domain.VIEWS}


def test_bone_lies_in_the_skulls_wall_and_not_inside(people: People) -> None:
    """Through the middle of the vault the rays meet two walls of a few millimetres; at the edge much more."""
    body = plain(people, "skull")
    length = bone_depth(body, ["skull"], from_the_front(1.62, 0.2), STUFF)[40] / STUFF.compact
    assert 0.004 < length[40] < 0.02
    assert length.max() > 2.5 * length[40]


def test_the_head_is_filled_with_soft_tissue(people: People) -> None:
    """A ray through the vault from front to back runs about 17 cm in it, without a gap for the brain."""
    body = plain(people, "skull")
    assert 0.15 < union_length(from_the_front(1.61, 0.2), body.flesh(["skull"]))[40, 40] < 0.2


def test_lungs_are_closed_lie_inside_the_cage_and_leave_the_heart_between_them(people: People) -> None:
    body = plain(people, r"t\d+", r"rib\d+_[rl]")
    camera = from_the_front(1.28, 0.4)
    depth = np.zeros((80, 80), np.float32)
    lungs()(depth, body, camera, STUFF, np.random.default_rng(0))
    points = np.concatenate([body.between(f"rib{n}_{side}", 0.0, 1.0) for n in range(1, 11) for side in "rl"])
    u, v, _ = camera.project(points)
    outside = np.ones_like(depth, bool)
    outside[int(v.min()) : int(v.max()) + 2, int(u.min()) : int(u.max()) + 2] = False
    assert np.abs(depth[outside]).max() < 1e-3
    assert depth.min() < 0.4 * 0.2 * STUFF.gas
    middle, beside = depth[40, 38:43], depth[40, [22, 58]]
    assert np.abs(middle).max() < 0.2 * np.abs(beside).min()


def test_gas_goes_where_its_bone_goes_and_teeth_are_in_the_jaw(people: People) -> None:
    body = plain(people, "skull", "mandible", r"c\d")
    camera = from_the_front(1.55, 0.25)
    for add, sign in ((organs.gas("sinus"), -1.0), (organs.teeth, 1.0)):
        depth = np.zeros((80, 80), np.float32)
        add(depth, body, camera, STUFF, np.random.default_rng(2))
        bone = bone_depth(body, ["skull", "mandible"], camera, STUFF) > 0
        assert (sign * depth).max() > 0.3
        assert bone[np.abs(depth) > 0.05].mean() > 0.9


def test_a_cobb_angle_is_that_of_the_steepest_vertebrae(people: People) -> None:
    """Drawn over the whole spine, damped at both ends: most of what was asked for, and never more."""
    for seed in range(20):
        turns = scoliosis(np.random.default_rng(seed), 40.0)
        body = plain(people, *UPWARD, pose=Pose(turns=turns))
        lean = [np.rad2deg(np.arctan2(*body.direction(name, (0.0, 0.0, 1.0))[[0, 2]])) for name in UPWARD]
        assert 20.0 < np.ptp(lean) < 48.0


def test_bending_back_looks_up(people: People) -> None:
    body = plain(people, "skull", *CERVICAL, *THORACIC, pose=Pose(turns=bend(CERVICAL, back=30.0)))
    ahead = body.direction("skull", (0.0, 1.0, 0.0))
    assert np.rad2deg(np.arcsin(ahead[2])) == pytest.approx(30.0, abs=1e-6)


def test_curves_name_every_vertebra_once(people: People) -> None:
    assert set(curves(np.random.default_rng(0), strong=True)) == set(UPWARD)


@pytest.mark.parametrize("angle", [-38.0, 0.0, 17.0, 80.0])
def test_a_raised_beam_climbs_by_its_angle_and_keeps_its_side(angle: float) -> None:
    level = np.array(seen_from(30.0))
    beam = np.array(raised(seen_from(30.0), angle))
    assert np.linalg.norm(beam) == pytest.approx(1.0)
    assert np.rad2deg(np.arcsin(beam[2])) == pytest.approx(angle)
    assert beam[:2] @ level[:2] == pytest.approx(np.cos(np.deg2rad(angle)))


def test_a_sternum_comes_without_the_ribs_cartilage(people: People) -> None:
    skeleton = people.adults[0]
    assert np.ptp(skeleton["sternum"].mesh.vertices[:, 0]) < 0.06
    whole = np.zeros((80, 80), np.float32)
    for name in ("sternum", "cartilage_r", "cartilage_l"):
        mesh = skeleton[name].mesh
        add_mesh(whole, from_the_front(1.25), mesh.vertices, mesh.faces)
    assert whole.min() > -1e-3
