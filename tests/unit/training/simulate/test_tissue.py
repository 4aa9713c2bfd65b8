"""Soft tissue: the same bones, in another body each time."""

import numpy as np
import pytest

from tests.unit.training.simulate.solids import camera, icosphere
from training.simulate.body import Body
from training.simulate.flesh import soft_tissue
from training.simulate.matter import matter
from training.simulate.mesh import half_thickness, vertex_normals
from training.simulate.pose import Pose
from training.simulate.skeleton import Bone, Skeleton
from training.simulate.subject import Subject
from training.simulate.tissue import Tissue, draw_tissue


def bone(name: str, *, radius: float) -> Bone:
    """Twenty balls of soft tissue in a row, 40 cm from end to end."""
    mesh = icosphere(0.02, rounds=1)
    row = np.linspace(-0.2, 0.2, 20)
    return Bone(
        name=name,
        mesh=mesh,
        normals=vertex_normals(mesh).astype(np.float64),
        depth=half_thickness(mesh).astype(np.float64),
        parent=None,
        joint=np.zeros(3),
        anchor=np.zeros(3),
        axes=np.eye(3),
        flesh=np.column_stack([np.zeros(20), np.zeros(20), row, np.full(20, radius)]),
        kind="long",
    )


LIMB, FINGER, HEAD = bone("femur_r", radius=0.08), bone("distal2_r", radius=0.01), bone("skull", radius=0.08)


def test_who_is_built_twice_as_stout_has_twice_the_flesh_on_the_limbs_and_the_same_head():
    """Fingers get less of it, and bones that carry none are no trouble."""
    bare = Bone(**{**vars(LIMB), "name": "patella_r", "flesh": np.zeros((0, 4))})
    radius = Tissue(build=2.0).around([LIMB, bare, FINGER, HEAD])[:, 3]
    np.testing.assert_allclose(radius, np.r_[np.full(20, 0.16), np.full(20, 0.0175), np.full(20, 0.08)])


def test_flesh_swells_and_shifts_along_the_body_but_never_leaves_the_bone():
    """Of a hundred people: some a fifth thicker here than there, none off their bones."""
    swelling = []
    for number in range(100):
        balls = draw_tissue(np.random.default_rng(number), 1.0).around([LIMB])
        shift = np.linalg.norm(balls[:, :3] - LIMB.flesh[:, :3], axis=1)
        assert (shift < balls[:, 3]).all()
        swelling.append(balls[:, 3].max() / balls[:, 3].min())
    assert np.median(swelling) > 1.2
    assert min(swelling) > 1.0


def test_a_bone_has_the_same_flesh_whoever_is_looked_at_with_it():
    """A picture that shows fewer bones shows the same body."""
    tissue = draw_tissue(np.random.default_rng(4), 1.0)
    np.testing.assert_array_equal(tissue.around([FINGER, LIMB])[20:], tissue.around([LIMB]))


def test_without_its_strength_only_the_thickness_differs():
    """What the ablation of `flesh` leaves."""
    tissue = draw_tissue(np.random.default_rng(4), 0.0)
    np.testing.assert_allclose(tissue.around([LIMB]), LIMB.flesh * [1, 1, 1, tissue.build])
    assert tissue.fat == 0.0


def test_flesh_moves_with_its_body():
    """The balls of a posed body are those of its subject, warped."""
    subject = Subject(tissue=draw_tissue(np.random.default_rng(4), 1.0))
    body = Body.posed(Skeleton(bones={"femur_r": LIMB}), subject, Pose(), ["femur_r"])
    np.testing.assert_allclose(body.flesh(["femur_r"]), subject.tissue.around([LIMB]), atol=1e-9)
    assert body.flesh([]).shape == (0, 4)


@pytest.mark.parametrize(("energy", "share"), [(40.0, 22.8 / 28.5), (60.0, 18.8 / 21.7)])
def test_fat_lets_more_through_than_muscle(energy, share):
    """By NIST's tables, whatever the mineral."""
    found = matter(energy, spongy_share=0.2, mineral=0.7)
    assert (found.soft + found.fat) / found.soft == pytest.approx(share, rel=1e-6)


def test_a_ray_through_a_rind_of_fat_meets_it_twice():
    """A limb of 16 cm, a fifth of its radius fat: 3.2 cm of fat in the middle, on either side half of that."""
    body = Body.posed(Skeleton(bones={"femur_r": LIMB}), Subject(tissue=Tissue(fat=0.2)), Pose(), ["femur_r"])
    flesh, lean = soft_tissue(body, ["femur_r"], camera(target=(0, 0, 0), direction=(0, -1, 0), roll=0.0))
    middle = flesh.shape[0] // 2, flesh.shape[1] // 2
    assert flesh[middle] == pytest.approx(0.16, rel=0.02)
    assert (flesh - lean)[middle] == pytest.approx(0.032, rel=0.03)
