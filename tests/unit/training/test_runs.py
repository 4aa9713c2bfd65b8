"""What a run tells of itself."""

from training.runs import training_summary, write_json


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
