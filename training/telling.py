"""What people are told beside a result."""

from rich.console import Console


def tell(sentence: str) -> None:
    """On standard error, in one line and as it is: file names in it may have brackets, which are no markup."""
    Console(stderr=True).print(sentence, markup=False, highlight=False, soft_wrap=True)
