"""What a configuration means for decisions and ways."""

from datetime import timedelta

from dicom_node.classify import Plan, Stop
from dicom_node.config.sections import Config, Destination
from dicom_node.repair import LongestWaits
from dicom_node.retry import Retry


def plan_of(config: Config) -> Plan:
    """Policy, rules and stops of a configuration."""
    return Plan(
        policy=config.policy.policy(),
        rules=[section.rule() for section in config.rules],
        stops=[
            Stop(name=destination.name, when=destination.when, hold_for_review=destination.hold_for_review)
            for destination in config.destinations
        ],
    )


def longest_waits(config: Config, *, lease: timedelta) -> LongestWaits:
    """How far ahead a node with this configuration, and leases that long, puts anything off at most."""
    asked = config.commitment
    return LongestWaits(
        lease=lease,
        sending={each.name: _longest_before_sending(each) for each in config.destinations},
        asking={each.name: max(asked.gather, asked.answer_within, each.retry.longest) for each in config.destinations},
        telling=asked.linger + Retry().longest,
    )


def _longest_before_sending(destination: Destination) -> timedelta:
    return max(destination.retry.longest, destination.hold_for_review or timedelta(0))
