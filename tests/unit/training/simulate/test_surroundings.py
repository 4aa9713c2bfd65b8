"""What lies around and upon a picture: present when asked for, absent when switched off, never over the whole."""

import dataclasses

import numpy as np
import pytest

from tests.unit.training.simulate.scenes import draw_balls
from training.simulate.field import Field, draw_field, shutter
from training.simulate.film import film_edge, two_views
from training.simulate.lettering import lettering, paste
from training.simulate.overlays import gauges, supports
from training.simulate.picture import picture_of
from training.simulate.recipe import BARE_DETECTOR, BARE_SURROUNDINGS, BARE_TONE, SimulateRecipe, SurroundingsRecipe
from training.simulate.surroundings import lay_supports, surround

GREY = np.full((120, 100), 0.4, np.float32)
SWITCHES = [each.name for each in dataclasses.fields(SurroundingsRecipe)]


def changed(name: str, seed: int) -> bool:
    """Whether the picture of one scene changes with one of the surroundings switched on for all."""
    random = np.random.default_rng(seed)
    bare = SimulateRecipe(size=96, detector=BARE_DETECTOR, tone=BARE_TONE, surroundings=BARE_SURROUNDINGS)
    shares = {name: 1.0} | ({"collimated": 1.0} if name in {"shuttered", "cropped"} else {})
    dressed = dataclasses.replace(bare, surroundings=dataclasses.replace(BARE_SURROUNDINGS, **shares))
    one, _ = picture_of("hand", draw_balls, np.random.default_rng(seed), bare)
    other, _ = picture_of("hand", draw_balls, random, dressed)
    return one.shape != other.shape or float(np.abs(one - other).max()) > 0.05


@pytest.mark.parametrize("name", SWITCHES)
def test_each_switch_does_something(name: str) -> None:
    assert sum(changed(name, seed) for seed in range(8)) >= 4


def test_a_bare_recipe_leaves_the_picture_alone() -> None:
    kept = surround(GREY, np.random.default_rng(0), BARE_SURROUNDINGS, field=None, pixel=1e-3)
    np.testing.assert_array_equal(kept, GREY)
    np.testing.assert_array_equal(lay_supports(GREY, np.random.default_rng(0), BARE_SURROUNDINGS), GREY)


@pytest.mark.parametrize("seed", range(40))
def test_the_field_leaves_most_of_the_picture_and_its_middle(seed: int) -> None:
    """A field that hid the bone would make a wrong label."""
    recipe = dataclasses.replace(BARE_SURROUNDINGS, collimated=1.0)
    field = draw_field((120, 100), np.random.default_rng(seed), recipe)
    assert field is not None
    assert field.open[45:75, 38:62].min() > 0.9
    assert field.open.mean() > 0.42
    top, bottom, left, right = field.box
    assert field.open[top:bottom, left:right].mean() > 0.6


def test_a_shutter_hides_the_outside_and_nothing_else() -> None:
    opened = np.zeros((120, 100), np.float32)
    opened[20:100, 10:90] = 1.0
    shut = shutter(GREY, Field(open=opened, box=(20, 100, 10, 90)), np.random.default_rng(1))
    np.testing.assert_allclose(shut[20:100, 10:90], 0.4, atol=1e-6)
    assert abs(float(shut[:20].mean()) - 0.4) > 0.2


def test_letters_have_the_height_and_the_place_that_were_asked_for() -> None:
    picture = np.zeros((200, 200), np.float32)
    paste(picture, lettering("H", np.random.default_rng(0)), (120.0, 60.0), 44.0, 0.0, 1.0)
    rows, columns = np.nonzero(picture > 0.5)
    assert rows.max() - rows.min() == pytest.approx(22, abs=4)  # a capital is about half of its glyph
    assert rows.mean() == pytest.approx(60, abs=6)
    assert columns.mean() == pytest.approx(120, abs=3)


def test_a_gauge_of_25_mm_measures_25_mm() -> None:
    """A disc's area tells its diameter; 25 or 30 mm at 1.5 mm a pixel."""
    widths = set()
    for seed in range(40):
        picture = np.zeros((200, 200), np.float32)
        gauges(picture, np.random.default_rng(seed), 0.0015)
        widths.add(int(np.ptp(np.nonzero(picture.max(axis=0) > 0.3)[0])) + 1)
    assert {16, 17} & widths  # 25 mm
    assert {19, 20} & widths  # 30 mm


def test_supports_only_add_to_what_attenuates() -> None:
    for seed in range(20):
        depth = supports((120, 100), np.random.default_rng(seed))
        assert depth.min() >= 0
        assert 0 < depth.max() < 4


def test_two_views_share_a_sheet_of_the_same_longest_side() -> None:
    for seed in range(20):
        sheet, _ = two_views(GREY, GREY * 2, np.random.default_rng(seed))
        assert max(sheet.shape) == 120
        halves = sheet[: sheet.shape[0] // 3].mean(), sheet[:, : sheet.shape[1] // 3].mean()
        assert min(halves) < 0.7
        assert np.ptp(sheet) > 0.3


def test_a_sheet_tells_how_large_its_first_view_is_on_it() -> None:
    """A grey square of 24 pixels has so many times as many pixels on the sheet, squared."""
    one, other = np.zeros((90, 60), np.float32), np.zeros((120, 100), np.float32)
    one[30:54, 20:44] = 0.5
    for seed in range(12):
        sheet, enlarged = two_views(one, other, np.random.default_rng(seed))
        area = int((np.abs(sheet - 0.5) < 0.2).sum())
        assert np.sqrt(area) / 24 == pytest.approx(enlarged, rel=0.1)


def test_a_film_keeps_its_middle_and_loses_its_corners() -> None:
    for seed in range(10):
        film = film_edge(GREY, np.random.default_rng(seed))
        assert film.shape == GREY.shape
        assert film[40:80, 30:70] == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize("seed", range(30))
def test_every_picture_is_grey_in_range_and_about_the_size_that_was_asked_for(seed: int) -> None:
    picture, scene = picture_of("knee", draw_balls, np.random.default_rng(seed), SimulateRecipe(size=96))
    assert scene.region == "knee"
    assert picture.dtype == np.float32
    assert 60 <= max(picture.shape) <= 120
    assert 0.0 <= picture.min() <= picture.max() <= 1.0
    assert picture.std() > 0.02
