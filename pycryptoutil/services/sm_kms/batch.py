"""What surrounds the items of operations: parameters of raw bodies, batches and their outcomes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, create_model

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.sm_kms.common import Version
from pycryptoutil.services.sm_kms.operations.models import Enc


class RawQuery(JsonModel):
    """What else an operation needs beside a raw body; not with JSON."""

    aad: Annotated[str, Field(max_length=16384, description="base64url")] = ""
    new_aad: Annotated[str, Field(max_length=16384, description="base64url; of rewrap")] = ""
    mac: Annotated[str, Field(max_length=200, description="base64url; of verify-mac")] = ""
    enc: Enc | None = None
    format: Literal["jwe", "jws", "raw"] | None = None
    detached: bool | None = None
    prehashed: bool | None = None
    version: Version | None = None


class ItemError(JsonModel):
    """Why one item of a batch failed; its siblings did not."""

    status: int
    title: str
    detail: str
    pointer: str = ""


class _Loose(JsonModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _optional(model: type[JsonModel]) -> dict[str, Any]:
    """Return the fields of a model, each of which may be left out."""
    kinds: dict[str, Any] = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: (kind | None, None) for name, kind in kinds.items()}


def request_of(item: type[JsonModel]) -> type[JsonModel]:
    """Describe an item or a batch of them."""
    one: Any = item
    fields = _optional(item)
    fields["operations"] = (list[one] | None, Field(default=None, description="a batch, instead of one item"))
    return cast("type[JsonModel]", create_model(f"{item.__name__}Request", __base__=_Loose, **fields))


def answer_of(result: type[JsonModel]) -> type[JsonModel]:
    """Describe a result or those of a batch, in its order."""
    outcome: dict[str, Any] = {"result": (result | None, None), "error": (ItemError | None, None)}
    one: Any = create_model(f"{result.__name__}Outcome", __base__=_Loose, **outcome)
    fields = _optional(result) | {"results": (list[one] | None, None), "failed": (int | None, None)}
    return cast("type[JsonModel]", create_model(f"{result.__name__}Answer", __base__=_Loose, **fields))
