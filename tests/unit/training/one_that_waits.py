"""One of several processes as torchrun starts them: waits for the others, and prints for how long it would, in seconds.

    python -m tests.unit.training.one_that_waits

The environment says which process this is.
"""

import torch

from training.distributed import join_ranks, leave_ranks


def main() -> None:
    ranks, _ = join_ranks()
    ranks.wait()
    assert ranks.waiting is not None
    print(ranks.waiting._get_backend(torch.device("cpu")).options._timeout.total_seconds())
    leave_ranks(ranks)


if __name__ == "__main__":
    main()
