"""One module per command of `python -m training`; `training.cli` registers them."""
