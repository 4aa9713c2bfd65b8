"""What people are told beside a result."""

import pytest

from training.telling import tell


def test_brackets_in_a_files_name_are_told_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """They were taken for markup: [old] went without a trace, and [/x] ended the command with a traceback."""
    sentence = "/data/[old]/[/x]/manifest.csv is not read, " + "and so on for longer than a terminal is wide. " * 3
    tell(sentence)
    assert capsys.readouterr().err == sentence + "\n"
