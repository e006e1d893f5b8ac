import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from core.faults import ConfigError
from core.secrets import Secret, from_environment, read_secret_file
from core.web.bearer import bearer_matches


class Holder(BaseModel):
    password: Secret


def test_a_secret_is_masked_wherever_it_could_be_seen() -> None:
    holder = Holder.model_validate({"password": "hunter2"})
    seen = f"{holder!r} {holder} {holder.model_dump_json()} {holder.password!s} {[holder.password]}"
    assert "hunter2" not in seen
    assert json.loads(holder.model_dump_json()) == {"password": "********"}
    assert holder.password.reveal() == "hunter2"


def test_a_wrong_secret_is_not_quoted_in_the_fault() -> None:
    with pytest.raises(ValueError, match="must be text") as caught:
        Holder.model_validate({"password": ["hunter2"]})
    assert "put it in quotes" in str(caught.value)


def test_a_secret_comes_from_the_environment_or_from_a_file_but_not_from_both(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert from_environment("T", {}) is None
    assert from_environment("T", {"T": "x"}) == Secret("x")
    assert from_environment("T", {"T_FILE": str(file)}) == Secret("from-file")
    with pytest.raises(ConfigError, match="not both"):
        from_environment("T", {"T": "x", "T_FILE": str(file)})


def test_a_secret_file_that_is_missing_or_empty_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        read_secret_file(tmp_path / "empty")
    with pytest.raises(ConfigError, match="cannot read this secret"):
        read_secret_file(tmp_path / "missing")


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("Bearer right", True),
        ("bearer right ", True),
        ("Bearer wrong", False),
        ("Basic right", False),
        (None, False),
    ],
)
def test_only_the_right_bearer_token_passes(header: str | None, answer: bool) -> None:
    assert bearer_matches(header, Secret("right")) is answer
