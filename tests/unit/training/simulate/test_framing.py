"""What shape a picture has: cassettes are square or not, collimators follow the part; no shape tells a region."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from training.simulate.body import Body
from training.simulate.people import People
from training.simulate.regions import VIEWS
from training.simulate.shot import MOST_NARROW, aim, choose
from training.simulate.subject import draw_subject

ATLAS = Path(__file__).resolve().parents[4].parent / "shared" / "atlas" / "myo_sim"
pytestmark = pytest.mark.skipif(not ATLAS.is_dir(), reason="needs the atlas of MyoHub/myo_sim in ../shared/atlas")
DRAWS = 24


@pytest.fixture(scope="module")
def people() -> People:
    return People.of(ATLAS)


def shapes(people: People, region: str, to_the_part: float) -> npt.NDArray[np.float64]:
    """Widths over heights of some pictures of a region."""
    found = []
    for seed in range(DRAWS):
        random = np.random.default_rng([11, seed])
        skeleton = people.adults[seed % 2]
        subject = draw_subject(skeleton, random, child=False, many=True)
        shot = choose(VIEWS[region], random).draw(skeleton, subject, random)
        body = Body.posed(skeleton, subject, shot.pose, [*skeleton.named(*shot.bones), *shot.show])
        camera = aim(shot, body, random, size=96, to_the_part=to_the_part)
        found.append(camera.width / camera.height)
    return np.array(found)


@pytest.mark.parametrize("region", [name for name in VIEWS if not name.startswith("ood:")])
def test_no_region_is_always_nearly_square(people: People, region: str) -> None:
    """Some pictures of each are clearly longer one way, within limits, so that no shape tells a region."""
    found = shapes(people, region, 0.75)
    long = np.maximum(found, 1.0 / found)
    assert np.mean(long > 1.2) >= 0.1
    assert long.max() <= 1.1 * max(MOST_NARROW, 3.6)


def test_a_clavicles_picture_is_low_and_an_ankles_is_narrow(people: People) -> None:
    """A field collimated to the part has the part's shape."""
    assert np.median(shapes(people, "clavicle", 1.0)) > 1.15
    assert np.median(shapes(people, "foot", 1.0)) < 0.97


@pytest.mark.parametrize("region", ["thoracic_spine", "lumbar_spine"])
def test_a_strip_of_a_spine_is_upright_and_holds_its_first_and_last_vertebra(people: People, region: str) -> None:
    """Cut from a larger film along the spine: mostly higher than wide, what is asked for mostly inside."""
    found = []
    strip = next(view for view in VIEWS[region] if view.name == "strip")
    for seed in range(8):
        random = np.random.default_rng([12, seed])
        skeleton = people.adults[0]
        subject = draw_subject(skeleton, random, child=False, many=True)
        shot = strip.draw(skeleton, subject, random)
        body = Body.posed(skeleton, subject, shot.pose, [*skeleton.named(*shot.bones), *shot.show])
        camera = aim(shot, body, random, size=96)
        u, v, _ = camera.project(np.concatenate([body.between(name, *part) for name, part in shot.show.items()]))
        found.append(camera.width / camera.height)
        assert np.mean((u > 0) & (u < camera.width) & (v > 0) & (v < camera.height)) > 0.5
    assert np.median(found) < 1.0
    assert max(found) < 1.2


def test_without_it_limbs_are_square(people: People) -> None:
    """The ablation's switch."""
    assert np.allclose(shapes(people, "ankle", 0.0), 1.0)
