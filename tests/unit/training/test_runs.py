"""What a run tells of itself."""

import pytest

from training.errors import TrainingError
from training.runs import training_summary, write_json
from training.splits import unnamed_labels
from training.unadapted import check_not_finetuned


def test_a_card_tells_what_the_weights_learned_from_and_not_what_a_calibration_was_given(tmp_path):
    learned = [{"source": "hospital A", "n": 5}, {"source": "hospital B", "n": 7}]
    calibration = {
        "command": "calibrate",
        "recipe": {},
        "sources": learned[:1],
        "earlier": {"command": "pretrain", "sources": learned},
    }
    write_json(tmp_path / "run.json", calibration)
    write_json(tmp_path / "metrics.json", {})

    assert training_summary(tmp_path)["sources"] == learned


def test_the_card_of_an_exported_run_that_was_fine_tuned_tells_of_its_labels(tmp_path):
    """Else its head would be re-fitted, and measured, on the labels that its weights know."""
    labels = [{"source": "labels", "n": 7}]
    write_json(tmp_path / "run.json", {"command": "probe --finetune", "recipe": {}, "labels": labels})
    write_json(tmp_path / "metrics.json", {})
    told = training_summary(tmp_path)
    assert unnamed_labels(told) == 7
    with pytest.raises(TrainingError, match="was fine-tuned on labels"):
        check_not_finetuned(told, tmp_path)
