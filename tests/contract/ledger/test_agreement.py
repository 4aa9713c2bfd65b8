"""The ledger in memory and the one on SQLite, given the same calls in any order, say the same."""

from datetime import datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dicom_node.commitment import CommitmentReport, CommitmentRequest, SopReference
from dicom_node.errors import BeingSentError
from dicom_node.instance import Delivery, DeliveryState, PlannedDelivery
from dicom_node.label import Label
from dicom_node.ledger import open_ledger
from dicom_node.ports import Ledger, When
from dicom_node.repair import LongestWaits
from dicom_node.standing import DELIVERIES, Standing
from dicom_node.testing import MemoryLedger
from dicom_node.verdict import Decision, Outcome
from tests.contract.ledger.racing import SECOND, verdict
from tests.stories import NOON, arrival

few = st.integers(1, 6)
copies = [f"1.9.{number}" for number in range(3)]
places = st.sampled_from(["AI", "PACS"])
parts = st.sampled_from(["HAND", "KNEE", None])
series = st.sampled_from(["1.8.1", "1.8.2", ""])
studies = st.sampled_from(["1.7.1", "1.7.2", ""])
uids = st.one_of(series, studies, few.map(lambda n: f"1.2.3.{n}"))
waits = st.sampled_from([None, 0, 3])
plans = st.lists(st.tuples(places, waits), max_size=2, unique_by=lambda plan: plan[0])


def _let_go(ledger: Ledger, number: int, now: datetime) -> bool | None:
    """None while it is being sent."""
    try:
        return ledger.records.let_go(number, remove=lambda _: None, now=now)
    except BeingSentError:
        return None


class TwoLedgers(RuleBasedStateMachine):
    """Every rule makes one call on both and compares what comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.asked = 0
        self.folder = TemporaryDirectory()
        self.ledgers: list[Ledger] = [MemoryLedger(), open_ledger(f"sqlite:///{self.folder.name}/ledger.sqlite")]

    def teardown(self) -> None:
        for number in range(1, 7):
            self.both("records", "find", f"1.2.3.{number}")
        for uid in copies:
            self.both("records", "find", uid)
        self.both("records", "settled", after_id=1, limit=4)
        for ledger in self.ledgers:
            ledger.close()
        self.folder.cleanup()

    def both(self, room: str, method: str, *args: Any, **kwargs: Any) -> Any:
        memory, sqlite = (getattr(getattr(ledger, room), method)(*args, **kwargs) for ledger in self.ledgers)
        assert memory == sqlite
        return memory

    @rule(seconds=st.integers(1, 12))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(number=few, content=st.sampled_from("ab"), study=studies, part=series, age=st.integers(0, 4))
    def add(self, number: int, content: str, study: str, part: str, age: int) -> None:
        received_at = self.now - age * SECOND
        given = arrival(number, digest=content, study_uid=study, series_uid=part, received_at=received_at)
        self.both("intake", "add", given)

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        self.both("work", "claim", worker="w", limit=limit, now=self.now, lease=timedelta(seconds=10))

    @rule(holder=st.sampled_from(["w", "v"]))
    def break_leases(self, holder: str) -> None:
        self.both("repairs", "lease_holders")
        self.both("repairs", "break_leases", holder)

    @rule(number=few)
    def lose(self, number: int) -> None:
        self.both("repairs", "kept", after_id=1, limit=3)
        self.both("repairs", "lose", number, now=self.now)

    @rule(number=few, plan=plans, outcome=st.sampled_from(Outcome), decision=st.sampled_from(Decision))
    def settle(self, number: int, plan: list[tuple[str, int | None]], outcome: Outcome, decision: Decision) -> None:
        deliveries = self.planned(plan)
        answer = verdict(at=self.now, outcome=outcome, decision=decision)
        self.both("work", "settle", number, answer, recognition=None, deliveries=deliveries)

    def planned(self, plan: list[tuple[str, int | None]]) -> list[PlannedDelivery]:
        return [
            PlannedDelivery(destination=name, due_at=None if wait is None else self.now + wait * SECOND)
            for name, wait in plan
        ]

    @rule(number=few, plan=st.lists(st.tuples(places, waits), max_size=3))
    def plan(self, number: int, plan: list[tuple[str, int | None]]) -> None:
        self.both("outbox", "plan", number, self.planned(plan), now=self.now)

    @rule(number=few, resend=st.booleans())
    def restore(self, number: int, resend: bool) -> None:
        self.both("intake", "restore", number, path=f"ab/{number}.dcm", now=self.now, resend=resend)

    @rule(
        numbers=st.lists(few, max_size=2), room=st.sampled_from(["work", "outbox"]), worker=st.sampled_from(["w", "v"])
    )
    def release(self, numbers: list[int], room: str, worker: str) -> None:
        self.both(room, "release", numbers, worker=worker)

    @rule(study_uid=studies, series_uid=series, when=st.sampled_from(When), proposed=parts)
    def series_value(self, study_uid: str, series_uid: str, when: When, proposed: str | None) -> None:
        self.both("work", "decided_value", study_uid=study_uid, series_uid=series_uid, when=when)
        self.both("work", "series_value", study_uid=study_uid, series_uid=series_uid, when=when, proposed=proposed)

    @rule(destination=places, limit=st.integers(1, 3), success=st.sampled_from(["delivered", "postpone", "fail", ""]))
    def forward(self, destination: str, limit: int, success: str) -> None:
        lease = timedelta(seconds=10)
        claimed = self.both(
            "outbox", "claim", destination=destination, worker="v", limit=limit, now=self.now, lease=lease
        )
        for delivery in claimed:
            self.both("outbox", "subject", delivery)
            self.tell(delivery, success)

    def tell(self, delivery: Delivery, success: str) -> None:
        details = {
            "delivered": {"sent_uid": copies[delivery.id % 3], "written": "HAND", "now": self.now},
            "postpone": {
                "error": f"away {delivery.id} at {self.now}",
                "planned_at": self.now,
                "due_at": self.now + 2 * SECOND,
            },
            "fail": {"error": f"refused {delivery.id} at {self.now}", "now": self.now},
        }
        if success:
            self.both("outbox", success, delivery.id, **details[success])

    @rule(number=few)
    def report_late(self, number: int) -> None:
        self.both("outbox", "postpone", number, error="late", planned_at=self.now, due_at=self.now)

    @rule(destination=places, uids=st.lists(st.sampled_from(copies), min_size=1, max_size=2), wait=st.integers(0, 3))
    def send(self, destination: str, uids: list[str], wait: int) -> None:
        lease = timedelta(seconds=10)
        claimed = self.both("outbox", "claim", destination=destination, worker="v", limit=2, now=self.now, lease=lease)
        objects = [SopReference(sop_class_uid="1.5", sop_instance_uid=uid) for uid in uids]
        later = self.now + wait * SECOND
        for one in claimed:
            self.both("outbox", "sent", one.id, objects=objects, written=None, now=self.now, ask_at=later)

    @rule(destination=places, limit=st.integers(1, 3))
    def ask(self, destination: str, limit: int) -> None:
        self.asked += 1
        again = self.now + 4 * SECOND
        uid = f"1.6.{self.asked}"
        self.both(
            "commitments",
            "begin",
            destination=destination,
            transaction_uid=uid,
            limit=limit,
            now=self.now,
            ask_again_at=again,
        )

    @rule(number=st.integers(1, 8))
    def ask_in_vain(self, number: int) -> None:
        error = f"away {number} at {self.now}"
        self.both("commitments", "postpone", f"1.6.{number}", error=error, due_at=self.now + SECOND)

    @rule(number=st.integers(1, 8), destination=places, of=st.sets(st.sampled_from(copies)), most=st.integers(1, 2))
    def answer(self, number: int, destination: str, of: set[str], most: int) -> None:
        committed = tuple(SopReference(sop_class_uid="1.5", sop_instance_uid=uid) for uid in sorted(of))
        report = CommitmentReport(transaction_uid=f"1.6.{number}", committed=committed)
        self.both("commitments", "take", report, destinations=[destination], now=self.now, most_refusals=most)

    @rule(destination=places)
    def waive(self, destination: str) -> None:
        self.both("commitments", "waive", destination, now=self.now)

    @rule(number=few, of=st.lists(uids, max_size=2), calling_ae=st.sampled_from(["CR1", "CR2"]))
    def be_asked(self, number: int, of: list[str], calling_ae: str) -> None:
        references = tuple(SopReference(sop_class_uid="1.5", sop_instance_uid=uid) for uid in of)
        request = CommitmentRequest(
            transaction_uid=f"1.4.{number}",
            references=references,
            calling_ae=calling_ae,
            called_ae="REGION",
            peer="::1",
        )
        self.both("promises", "ask", request, now=self.now, due_at=self.now + SECOND)
        self.both("promises", "here", of)

    @rule(limit=st.integers(1, 2), then=st.sampled_from(["reported", "postpone", "hand_on", ""]))
    def report(self, limit: int, then: str) -> None:
        details = {
            "reported": {"now": self.now},
            "postpone": {"error": "away", "due_at": self.now + 2 * SECOND},
            "hand_on": {"due_at": self.now},
        }
        for promise in self.both("promises", "claim", limit=limit, now=self.now, lease=timedelta(seconds=10)):
            if then:
                self.both("promises", then, promise.id, **details[then])

    @rule(calling_ae=st.sampled_from(["CR1", "CR2"]), seconds=st.integers(0, 4))
    def leave_alone(self, calling_ae: str, seconds: int) -> None:
        self.both("promises", "hold", calling_ae, until=self.now + seconds * SECOND)
        self.both("promises", "give_up", calling_ae, asked_by=self.now - 2 * seconds * SECOND, error="gone")
        self.both("promises", "forget", before=self.now - 4 * seconds * SECOND)

    @rule(
        state=st.sampled_from(DeliveryState), of=st.lists(uids, max_size=2), to=st.one_of(st.none(), st.lists(places))
    )
    def requeue(self, state: DeliveryState, of: list[str], to: list[str] | None) -> None:
        self.both("outbox", "requeue", state=state, uids=of, destinations=to, now=self.now)

    @rule(destination=places)
    def give_up(self, destination: str) -> None:
        self.both("outbox", "give_up", destination, error=f"given up at {self.now}", now=self.now)

    @rule(standing=st.sampled_from(Standing), to=st.one_of(st.none(), places), limit=st.integers(1, 3))
    def name_images(self, standing: Standing, to: str | None, limit: int) -> None:
        destination = to if standing in DELIVERIES else None
        self.both("standings", "images", standing, destination=destination, limit=limit)

    @rule(values=st.dictionaries(series, parts), study=studies, age=st.integers(-1, 4))
    def close(self, values: dict[str, str | None], study: str, age: int) -> None:
        self.both("studies", "settled", study)
        self.both("studies", "close", study, since=self.now - age * SECOND, values=values, now=self.now)

    @rule(of=st.sets(few, max_size=2), region=st.sampled_from(["hand", "ood:chest"]))
    def label(self, of: set[int], region: str) -> None:
        said = Label(region=region, by="Dr. Ada", at=self.now)
        self.both("labels", "add", {f"1.2.3.{number}": said for number in of})

    @rule(number=few)
    def retire(self, number: int) -> None:
        self.both("records", "retired", before=self.now, limit=3)
        self.both("records", "retire", number, remove=lambda _: None, now=self.now)

    @rule(lease=st.integers(0, 3), sending=st.dictionaries(places, st.integers(0, 3)), other=st.integers(0, 3))
    def put_right(self, lease: int, sending: dict[str, int], other: int) -> None:
        waits = LongestWaits(
            lease=lease * SECOND,
            sending={name: wait * SECOND for name, wait in sending.items()},
            asking=dict.fromkeys(sending, other * SECOND),
            telling=other * SECOND,
        )
        self.both("repairs", "put_right", now=self.now, waits=waits)

    @rule(number=few)
    def let_go(self, number: int) -> None:
        told = [_let_go(ledger, number, self.now) for ledger in self.ledgers]
        assert told[0] == told[1]

    @invariant()
    def they_say_the_same(self) -> None:
        self.both("records", "counts")
        self.both("records", "destinations")
        self.both("records", "oldest_received")
        self.both("promises", "unreported")
        self.both("studies", "quiet", since=self.now)


TestAgreement = TwoLedgers.TestCase
TestAgreement.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
