"""What every section of the configuration has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Every section is frozen and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
