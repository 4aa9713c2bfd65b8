"""`python -m training`; where the packages that it needs are missing it says in one sentence how to get them."""

import sys

INSTALL = '.venv/bin/pip install -c requirements/lock.txt -e ".[training]"'


def main() -> None:
    """Always raises SystemExit, as the command line does; status 2 where a package is missing."""
    try:
        from training.cli import main as run

        run()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "training", "dicom_node"}:  # ours: no package is missing, but something is broken
            raise
        sys.stderr.write(f"python -m training needs {missing}, which is not installed; this installs all: {INSTALL}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
