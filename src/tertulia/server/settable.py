"""What can be set, as data: for the readers of the sources, the command line and the reference page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .bootstrap import Bootstrap
from .settings import ENVIRONMENT_PREFIX, Settings


class Known(Struct, frozen=True):
    """One thing that can be set, as the reference page and the readers of the sources see it."""

    name: str
    section: str
    field: str
    type: Any
    default: Any
    description: str
    unit: str | None = None
    limits: str = ""
    is_secret: bool = False
    prefix: str | None = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + self.name.replace(".", "_").upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a closed set, else nothing."""
        bare = get_args(self.type)[0]
        return get_args(bare) if get_origin(bare) is Literal else ()


def _known(struct: type[Struct], section: str) -> Iterator[Known]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        type_ = hints[field.name]
        assert get_origin(type_) is Annotated
        # A type that has a name of its own may bring rules of its own.
        meta = next(one for one in get_args(type_)[1:] if one.description is not None)
        extra = meta.extra or {}
        yield Known(
            name=f"{section}.{field.name}" if section else field.name,
            section=section,
            field=field.name,
            type=type_,
            default=field.default,
            description=meta.description,
            unit=extra.get("unit"),
            limits=_limits(meta),
            is_secret=extra.get("secret", False),
            prefix=extra.get("prefix"),
        )


def _limits(meta: Meta) -> str:
    above = f"above {meta.gt}" if meta.gt is not None else f"at least {meta.ge}" if meta.ge is not None else ""
    upto = f"at most {meta.le}" if meta.le is not None else ""
    return ", ".join(part for part in (above, upto) if part)


SECTIONS: dict[str, type[Struct]] = {field.name: type(field.default) for field in msgspec.structs.fields(Settings)}
KNOWN: dict[str, Known] = {known.name: known for name, struct in SECTIONS.items() for known in _known(struct, name)}
BOOTSTRAP: dict[str, Known] = {known.name: known for known in _known(Bootstrap, "")}
