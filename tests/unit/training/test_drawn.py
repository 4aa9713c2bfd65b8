"""Which rows are drawn from a pool, and what that does to regions of which an archive has few."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_node.model.card import LABELS
from tests.unit.training.small import SIZE, small_set
from tests.unit.training.test_cli import training
from tests.unit.training.test_splits import a_run
from training.commands.calibrate import known_rows
from training.drawn import drawn
from training.errors import TrainingError
from training.hang import KNOWN
from training.images import ImageSet, write_set
from training.manifest import Row
from training.metrics import Ints
from training.pool import Pool
from training.rejection import BANK_PER_REGION, STATISTICS, fit_rejection


def pool_of(counts: dict[str, int]) -> Pool:
    """So many rows of each region, with pictures of one pixel."""
    names = [region for region, count in counts.items() for _ in range(count)]
    rows = tuple(Row(file=Path("x"), region=name, group=str(n), use="train") for n, name in enumerate(names))
    return Pool.of(ImageSet(images=np.zeros((len(rows), 1, 1), np.uint8), rows=rows))


ARCHIVE = {**dict.fromkeys(LABELS[1:], 2000), LABELS[0]: 60, "ood:page": 1000}


def counts(data: ImageSet) -> Ints:
    return np.bincount(data.targets, minlength=len(LABELS))


@pytest.mark.parametrize("seed", range(3))
def test_every_region_gives_enough_to_know_it_by_however_rare_it_is(seed):
    """All 60 rows of one among 27,060, and at least a bank of every other; no more rows than by chance alone."""
    known = known_rows(pool_of(ARCHIVE), 1, seed=seed)
    assert len(known.rows) == KNOWN
    assert counts(known)[0] == 60
    assert (counts(known)[1:] >= BANK_PER_REGION).all()


def test_what_is_not_asked_for_of_each_is_drawn_by_chance():
    """The same for the same seed, and none twice."""
    pool = pool_of({"hand": 300, "knee": 30, "skull": 2})
    first, again, other = (drawn(pool, 1, at_most=60, of_each=5, seed=seed) for seed in (1, 1, 2))
    assert first.rows == again.rows != other.rows
    assert len({row.group for row in first.rows}) == 60
    hand, knee, skull = (sum(row.region == name for row in first.rows) for name in ("hand", "knee", "skull"))
    assert (knee >= 5, skull, hand > 3 * knee) == (True, 2, True)
    assert len(drawn(pool, 1, at_most=3, of_each=5).rows) == 12


@pytest.mark.parametrize("statistic", STATISTICS[2:])
def test_a_rare_region_is_no_stranger(statistic):
    """By the limit that 95 % of the common regions' new images pass, of 60 in 26,060 as many do."""
    random = np.random.default_rng(0)
    centres = 3 * np.eye(14, 32)
    known = known_rows(pool_of(ARCHIVE), 1, seed=0)
    new = np.repeat(np.arange(14), 100)
    learned, asked = (centres[each] + random.normal(0, 0.4, (len(each), 32)) for each in (known.targets, new))
    score = fit_rejection(statistic, learned, known.targets).score(asked, np.zeros((len(asked), 14)))
    limit = np.quantile(score[new > 0], 0.95)
    assert (score[new == 0] > limit).mean() < 0.15


def test_data_without_a_learned_region_is_refused():
    with pytest.raises(TrainingError, match="none of the rows that the run learned from"):
        known_rows(pool_of({"ood:page": 3}), 1, seed=0)


def test_it_is_said_of_which_regions_there_are_too_few_neighbours(tmp_path, capsys):
    """Fewer learned images than the five that are asked for: others always stand nearer than the fifth."""
    data = small_set(per_region=8, regions=2)
    rows = [replace(row, group=f"g{number}") for number, row in enumerate(data.rows)]
    kept = [n for n, row in enumerate(rows) if row.region != LABELS[1] or n < 8]
    write_set([(rows[n], data.images[n]) for n in kept], tmp_path / "data", size=SIZE)
    recipe, run = tmp_path / "r.toml", a_run(tmp_path / "run", 0.2)
    recipe.write_text(f'[data]\nsize = {SIZE}\nheld_out = 0.2\n[calibrate]\nreject = "knn"\n')
    common = ["--data", tmp_path / "data", "--from", run, "--recipe", recipe, "--out", tmp_path / "o"]
    assert training("calibrate", *common) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "knn will reject most of these regions: shoulder (" in told
