"""What a configuration means for decisions and ways."""

from dicom_node.classify import Plan, Stop
from dicom_node.config.sections import Config


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
