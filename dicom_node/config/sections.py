"""The sections of the configuration and what each key may hold."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from dicom_node.config.commitment import CommitmentPeer, CommitmentSection
from dicom_node.config.conditions import check_condition
from dicom_node.config.names import AeTitle, Host, Location, Name, Port, nearest
from dicom_node.config.quantities import Duration, Interval, Size, Timeout
from dicom_node.config.section import Section
from dicom_node.config.security import AuditSection, DestinationTls, TlsSection, WebSection
from dicom_node.listening import overlap
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.retry import Retry
from dicom_node.rules import Rule


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is no network; write it like 10.1.0.0/16") from None


def _as_tuple(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
# One value may stand for a list of one.
Some = BeforeValidator(_as_tuple)


class NodeSection(Section):
    """Where the node listens, and whom it takes images from. Empty allow lists let everybody in."""

    ae_title: AeTitle = "REGION"
    host: Host = "127.0.0.1"
    port: Port = 11112
    data_dir: Location = Path("./data")
    receivers: Annotated[int, Field(ge=1, le=64)] = 1
    max_associations: Annotated[int, Field(ge=1)] = 100
    max_associations_per_peer: Annotated[int, Field(ge=1)] | None = None
    associations_per_minute: Annotated[int, Field(ge=1)] | None = None
    called_ae: Annotated[tuple[AeTitle, ...], Some] = ()
    calling_ae: Annotated[tuple[AeTitle, ...], Some] = ()
    allow_from: Annotated[tuple[Network, ...], Some] = ()
    disk_reserve: Size = 1 << 30
    idle_timeout: Interval = timedelta(seconds=60)


class ModelSection(Section):
    """Which model looks at the images; without a path, the starter model of the package."""

    path: Location | None = None
    sha256: Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")] | None = None
    min_confidence: Probability | None = None
    max_batch: Annotated[int, Field(ge=1, le=256)] = 16
    threads: Annotated[int, Field(ge=1)] | None = None


class LedgerSection(Section):
    """Where the ledger lives; without a URL, an SQLite file under data_dir."""

    url: SecretStr | None = None


class PolicySection(Section):
    """What may be done to headers in the copies that leave."""

    fill: bool = True
    correct_above: Probability | None = None

    def policy(self) -> Policy:
        return Policy(fill=self.fill, correct_above=self.correct_above)


class DestinationMode(StrEnum):
    """How a changed header reaches a destination."""

    INLINE = "inline"  # the corrected copy keeps its UIDs: the destination has no other source of it
    COPY = "copy"  # the corrected copy gets new UIDs: the destination may have the original already
    ANNOTATE = "annotate"  # the image goes as received, the answer as a structured report


class RetrySection(Section):
    """How a destination that is away is tried again."""

    first: Interval = timedelta(seconds=5)
    factor: Annotated[float, Field(ge=1.0)] = 2.0
    longest: Interval = timedelta(minutes=15)
    jitter: Probability = 0.3
    give_up_after: Duration | None = None

    def retry(self) -> Retry:
        return Retry(
            first=self.first,
            factor=self.factor,
            longest=self.longest,
            jitter=self.jitter,
            give_up_after=self.give_up_after,
        )


class Destination(Section):
    """A PACS, an archive or an AI model that gets images by C-STORE.

    `original`: the image as received is sent as well, before the copy (`copy`, `annotate`) or instead of it (`inline`,
    where both would bear one UID). `annotate` without it sends the report alone. `storage_commitment`: an image is
    delivered only once the destination has committed itself to keep it.
    """

    name: Name
    ae_title: AeTitle
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)]
    mode: DestinationMode = DestinationMode.INLINE
    when: When = When.AT_ONCE
    hold_for_review: Duration | None = None
    original: bool | None = None
    timeout: Timeout = timedelta(seconds=30)
    retry: RetrySection = RetrySection()
    tls: DestinationTls = None
    export: bool = False
    storage_commitment: bool = False

    @model_validator(mode="after")
    def _hold_fits(self) -> Self:
        if self.hold_for_review is not None and self.when is When.STUDY_CLOSED:
            raise ValueError('hold_for_review needs when = "at_once"; a closed study is not held any further')
        return self

    @property
    def sends_original(self) -> bool:
        """`original`, where unset: a report without its image would lose the image, so annotate sends it."""
        return self.mode is DestinationMode.ANNOTATE if self.original is None else self.original


Patterns = Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(str(item) for item in _as_tuple(v)))]


class RuleSection(Section):
    """A routing rule; `when` takes the conditions that config.conditions allows."""

    name: str
    when: dict[str, Patterns] = Field(default_factory=dict)
    send_to: Annotated[tuple[str, ...], Some]
    final: bool = False

    @model_validator(mode="after")
    def _conditions_exist(self) -> Self:
        for key, values in self.when.items():
            check_condition(key, values)
        return self

    def rule(self) -> Rule:
        conditions = dict(self.when)
        least = conditions.pop("min_confidence", None)
        return Rule(
            name=self.name,
            when=conditions,
            send_to=self.send_to,
            min_confidence=float(least[0]) if least else None,
            final=self.final,
        )


class StudySection(Section):
    """A study is closed when nothing has come for this long."""

    quiet: Duration = timedelta(seconds=60)


class RetentionSection(Section):
    """`keep`: how long after arrival files may go, once every destination has them; absent, never."""

    keep: Duration | None = None


class ScheduleSection(Section):
    """How often each periodic job runs."""

    retries: Interval = timedelta(seconds=1)
    leases: Interval = timedelta(seconds=1)
    studies: Interval = timedelta(seconds=5)
    retention: Interval = timedelta(hours=1)
    disk: Interval = timedelta(seconds=10)
    certificates: Interval = timedelta(hours=12)


class LogSection(Section):
    """One line per event on standard error."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """The whole configuration."""

    node: NodeSection = NodeSection()
    tls: TlsSection = TlsSection()
    model: ModelSection = ModelSection()
    ledger: LedgerSection = LedgerSection()
    policy: PolicySection = PolicySection()
    destinations: tuple[Destination, ...] = ()
    rules: tuple[RuleSection, ...] = ()
    web: WebSection = WebSection()
    study: StudySection = StudySection()
    retention: RetentionSection = RetentionSection()
    schedule: ScheduleSection = ScheduleSection()
    log: LogSection = LogSection()
    audit: AuditSection = AuditSection()
    commitment: CommitmentSection = CommitmentSection()
    commitment_peers: tuple[CommitmentPeer, ...] = ()

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        names = [destination.name for destination in self.destinations]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two destinations are called {name!r}; names must differ")
        for rule in self.rules:
            for name in rule.send_to:
                if name not in names:
                    raise ValueError(
                        f"rule {rule.name!r} sends to {name!r}, which is no destination{nearest(name, names)}"
                    )
        return self

    @model_validator(mode="after")
    def _each_port_is_free_for_one(self) -> Self:
        port = self.node.port
        if self.web.enabled and port and port == self.web.port and overlap(self.node.host, self.web.host):
            raise ValueError(f"node.port and web.port are both {port}; set another web.port")
        return self

    @model_validator(mode="after")
    def _peers_have_one_address(self) -> Self:
        titles = Counter(peer.ae_title for peer in self.commitment_peers)
        for title in (title for title, count in titles.items() if count > 1):
            raise ValueError(f"two [[commitment_peers]] go by {title!r}; a report goes to one address")
        return self

    @model_validator(mode="after")
    def _certified_clients_may_call(self) -> Self:
        for title in self.tls.client_names:
            if self.node.calling_ae and title not in self.node.calling_ae:
                close = nearest(title, list(self.node.calling_ae))
                raise ValueError(f"tls.client_names names {title!r}, which is not in node.calling_ae{close}")
        return self

    @property
    def report_places(self) -> Mapping[str, Destination | CommitmentPeer | None]:
        """Where reports to each AE title go: to its [[commitment_peers]] entry, else to the destination that goes by
        it; None where destinations at several addresses do.
        """
        places: dict[str, Destination | CommitmentPeer | None] = {}
        for one in self.destinations:
            other = places.setdefault(one.ae_title, one)
            if other is not None and (other.host, other.port) != (one.host, one.port):
                places[one.ae_title] = None
        return places | {peer.ae_title: peer for peer in self.commitment_peers}

    @property
    def ledger_url(self) -> str:
        """The ledger's URL in clear: for the engine alone, never for a log."""
        if self.ledger.url is not None:
            return self.ledger.url.get_secret_value()
        from sqlalchemy import URL

        # A URL means something by ?, % and # that a folder's name does not.
        file = str(self.node.data_dir / "ledger.sqlite")
        return URL.create("sqlite", database=file).render_as_string(hide_password=False)

    @property
    def spool_dir(self) -> Path:
        return self.node.data_dir / "spool"
