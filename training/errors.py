"""What can go wrong in training because of what the user gave; the message is one sentence with what to do."""


class TrainingError(Exception):
    """The recipe, the data or the run folder cannot be used as they stand."""
