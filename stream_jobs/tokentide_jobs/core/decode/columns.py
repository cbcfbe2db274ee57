"""Columns of every event type, derived from the pydantic models and from nothing else.

A column knows its kind and the bounds of its field, so that the parse schema, the storage schema
and the vectorised checks cannot disagree with the model that judges. Storage form: an absent text
is "", an absent number or boolean is null, an absent list is empty, maps are JSON text.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import polars as pl
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

from tokentide_schemas import EVENT_MODELS
from tokentide_schemas.fields import KEY_PATTERN, REFUSE_KEY

Kind = Literal["text", "int", "float", "bool", "texts", "text_map", "number_map"]

STORAGE_DTYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "texts": pl.List(pl.String()),
    "text_map": pl.String(),
    "number_map": pl.String(),
}

PLACE_TYPES: dict[str, pl.DataType] = {
    "_partition": pl.Int32(),
    "_offset": pl.Int64(),
    "_idx": pl.Int32(),
}
"""Types of the columns that place an event in its batch; appended to every frame."""

EMPTY_MAP = "{}"


@dataclass(frozen=True, slots=True)
class Column:
    """One field of one event type with the bounds its model states."""

    name: str
    kind: Kind
    is_required: bool = False
    is_nullable: bool = False
    default: object = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None
    forbidden: str | None = None
    """Texts that hold a match of this pattern are refused."""
    choices: tuple[str, ...] | None = None
    item: Column | None = None
    """Bounds of the elements of a list, or of the values of a map."""
    key: Column | None = None
    """Bounds of the keys of a map."""

    @property
    def dtype(self) -> pl.DataType:
        """Return the dtype of the column in a decoded frame."""
        return STORAGE_DTYPES[self.kind]

    @property
    def empty(self) -> object:
        """Return what stands for "absent" in storage form."""
        if self.kind == "text":
            return ""
        if self.kind in ("text_map", "number_map"):
            return EMPTY_MAP
        return [] if self.kind == "texts" else None

    @property
    def stands_for_absent(self) -> object:
        """Return what is stored for an absent field: its default, else what is empty."""
        return self.empty if self.default is None else self.default


_SCALARS: dict[object, Kind] = {str: "text", int: "int", float: "float", bool: "bool"}


def _describe(name: str, annotation: Any, metadata: list[Any]) -> Column:
    """Turn one annotation with its constraints into a column; raises TypeError on a new shape."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        return _describe(name, inner, [*extra, *metadata])
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not types.NoneType]
        if len(options) != 1:
            raise TypeError(f"{name}: a column holds one type or null, not {annotation}")
        return replace(_describe(name, options[0], metadata), is_nullable=True)
    if origin is Literal:
        return Column(name, "text", choices=get_args(annotation))
    if origin is list:
        column = Column(name, "texts", item=_describe(name, get_args(annotation)[0], []))
    elif origin is dict:
        key, value = (_describe(name, part, []) for part in get_args(annotation))
        kind: Kind = "text_map" if value.kind == "text" else "number_map"
        column = Column(name, kind, key=key, item=value)
    elif annotation in _SCALARS:
        column = Column(name, _SCALARS[annotation])
    else:
        raise TypeError(f"{name}: no column kind for {annotation}")
    return replace(column, **dict(_bounds(name, metadata)))


def _bounds(name: str, metadata: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the bounds in pydantic's metadata; an unknown one is an error, not a skipped check."""
    for entry in metadata:
        match entry:
            case FieldInfo():
                yield from _bounds(name, entry.metadata)
            case Ge():
                yield "ge", entry.ge
            case Gt():
                yield "gt", entry.gt
            case Le():
                yield "le", entry.le
            case Lt():
                yield "lt", entry.lt
            case MinLen():
                yield "min_length", entry.min_length
            case MaxLen():
                yield "max_length", entry.max_length
            case StringConstraints():
                yield "min_length", entry.min_length or 0
                yield "max_length", entry.max_length
                yield "pattern", entry.pattern
            case AfterValidator() if entry is REFUSE_KEY:
                yield "forbidden", KEY_PATTERN
            case BeforeValidator():
                # It reads what the column parser refuses, so the judge decides about it.
                continue
            case _ if getattr(entry, "allow_inf_nan", None) is False:
                # JSON cannot write them, so a column never holds them.
                continue
            case _:
                raise TypeError(f"{name}: constraint {entry!r} has no vectorised check")


def _columns_of(event_type: str) -> tuple[Column, ...]:
    return tuple(
        replace(
            _describe(name, field.annotation, field.metadata),
            is_required=field.is_required(),
            default=None if field.is_required() else field.default,
        )
        for name, field in EVENT_MODELS[event_type].model_fields.items()
    )


COLUMNS: Mapping[str, tuple[Column, ...]] = {name: _columns_of(name) for name in EVENT_MODELS}
"""Columns of every event type, in the order of its model."""


@cache
def storage_schema(event_type: str) -> dict[str, pl.DataType]:
    """Return names and dtypes of a decoded frame: the model's fields, then the coordinates."""
    return {column.name: column.dtype for column in COLUMNS[event_type]} | PLACE_TYPES


@cache
def parse_schema() -> dict[str, pl.DataType]:
    """Return the schema under which lines of every type are parsed together.

    Raises:
        TypeError: When two event types give one name to fields of different kinds.
    """
    union: dict[str, Column] = {}
    for columns in COLUMNS.values():
        for column in columns:
            other = union.setdefault(column.name, column)
            if other.kind != column.kind:
                raise TypeError(f"{column.name} is {other.kind} in one event, {column.kind} here")
    return {name: column.dtype for name, column in union.items()}
