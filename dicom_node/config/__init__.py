"""One validated, frozen configuration, read once: `load_config` gives it, or a ConfigError that says what to do."""

from dicom_node.config.loading import find_config_file, load_config
from dicom_node.config.sections import Config, Destination, DestinationMode

__all__ = ["Config", "Destination", "DestinationMode", "find_config_file", "load_config"]
