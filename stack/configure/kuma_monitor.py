"""A monitor and a notification of Uptime Kuma, as its backup and its database hold them.

The backup writes some names in camelCase, and lists as lists.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("is not the JSON that Uptime Kuma writes") from None


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Monitor(BaseModel):
    """What is watched; every name as in the database."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    id: int = 0
    name: str = "site"
    type: str = ""
    active: bool = True
    upside_down: bool = False
    parent: int | None = None
    url: str = ""
    hostname: str = ""
    port: int = 0
    interval: Seconds = 60.0
    timeout: Seconds = 0.0
    maxretries: Seconds = 0.0
    retry_interval: Seconds = 0.0
    keyword: str = ""
    invert_keyword: bool = False
    accepted_statuscodes: Annotated[list[str], BeforeValidator(_from_json)] = []
    method: str = "GET"
    body: str = ""
    headers: Annotated[dict[str, str], BeforeValidator(_from_json)] = Field(default_factory=dict)
    auth_method: str = "basic"
    basic_auth_user: str = ""
    ignore_tls: bool = False
    maxredirects: int = 10

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, raw: Any) -> Any:
        """Take either spelling of a key; one without a value is not there."""
        if not isinstance(raw, Mapping):
            return raw
        kept = {_snake(str(key)): value for key, value in raw.items() if value not in (None, "", "null")}
        if (statuses := kept.pop("accepted_statuscodes_json", None)) is not None:
            kept["accepted_statuscodes"] = statuses
        return kept


class Notification(BaseModel):
    """Who is told, in its own words."""

    model_config = ConfigDict(frozen=True)

    type: str = ""
    recipients: str = Field("", alias="smtpTo")
