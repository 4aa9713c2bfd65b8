"""A pace: a burst is allowed, a stream is slowed down, and one key says nothing of another."""

from dicom_node.pace import MOST_KEYS, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_taken_and_then_one_for_each_share_of_the_span() -> None:
    clock = Clock()
    pace = Pace(3, 60.0, clock=clock)
    assert [pace.take("a") for _ in range(4)] == [True, True, True, False]
    clock.now = 19.9
    assert not pace.take("a")
    clock.now = 20.1
    assert pace.take("a")
    assert not pace.take("a")


def test_a_refused_attempt_costs_nothing_so_that_waiting_always_helps() -> None:
    clock = Clock()
    pace = Pace(1, 10.0, clock=clock)
    assert pace.take("a")
    for second in range(1, 10):
        clock.now = second
        assert not pace.take("a")
    clock.now = 10.1
    assert pace.take("a")


def test_keys_do_not_know_of_each_other() -> None:
    pace = Pace(1, 60.0, clock=Clock())
    assert pace.take("a")
    assert not pace.take("a")
    assert pace.take("b")


def test_what_is_given_back_can_be_taken_again_but_never_adds_up_to_more() -> None:
    pace = Pace(1, 60.0, clock=Clock())
    assert pace.take("a")
    pace.give_back("a")
    pace.give_back("a")
    assert [pace.take("a"), pace.take("a")] == [True, False]


def test_a_flood_of_keys_is_forgotten_from_its_oldest_end() -> None:
    pace = Pace(1, 1e9, clock=Clock())
    for number in range(MOST_KEYS + 1):
        assert pace.take(str(number))
    assert pace.take("0")
    assert not pace.take(str(MOST_KEYS))
