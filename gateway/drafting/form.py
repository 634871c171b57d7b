"""The `records:` section of a drafted file: what most answers of a document have in common, said once. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.config.records import Records, form
from gateway.drafting.places import HOLDERS, LISTS, Places
from gateway.drafting.route import pointer
from gateway.vocab.record_form import PRESETS, Ids, RecordForm, Tokens

_T = TypeVar("_T")
_BESIDE = ("total", "page", "links")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one operation: the preset that it speaks like, where its records stand, and their ids."""

    preset: str
    places: Places
    id_name: str
    id_kind: str


def section(seen: Iterable[Seen], bodies: Iterable[Tokens], *, has_slash: bool) -> dict[str, Any]:
    """Return the section: a preset, and what most answers have otherwise."""
    all_seen = [*seen]
    lists = [one for one in all_seen if one.places.is_list]
    preset = _most((one.preset for one in lists or all_seen), "rest", share=0)
    base = PRESETS[preset]
    made: dict[str, Any] = {"preset": preset}
    list_at = _most((one.places.at for one in lists if _is_general(one.places.at)), base.list_at)
    singles = (one.places.at for one in all_seen if not one.places.is_list)
    record_at = _most((at for at in singles if _is_general(at)), base.record_at)
    made |= places_apart(base, list_at=list_at, record_at=record_at, body_at=_most(bodies, base.body_at))
    total = _most((one.places.total_at for one in lists), None)
    if total is not None and list_at and total != base.total_at:
        made["total"] = pointer(total)
    name = _most((one.id_name for one in all_seen if one.id_name), "id")
    if name != base.id_at[-1]:
        made["id"] = f"/{name}"
    kinds = {one.id_kind for one in all_seen if one.id_kind}
    ids = Ids(kinds.pop()) if len(kinds) == 1 else Ids.EITHER if kinds else base.ids
    if ids is not base.ids:
        made["ids"] = str(ids)
    if has_slash != base.has_slash:
        made["trailing_slash"] = has_slash
    return made


def _is_general(at: Tokens) -> bool:
    """Tell whether a place can be that of any record: `/order` cannot."""
    return not at or at[-1] in LISTS or at[-1] in HOLDERS


def _most(values: Iterable[_T], otherwise: _T, share: float = 0.5) -> _T:
    """Return the value that is the most frequent, if it is more than this share of all."""
    counted = Counter(values)
    value, count = counted.most_common(1)[0] if counted else (otherwise, 0)
    return value if count > share * counted.total() else otherwise


def places_apart(
    base: RecordForm, *, list_at: Tokens | None = None, record_at: Tokens | None = None, body_at: Tokens | None = None
) -> dict[str, Any]:
    """Return the keys that say of these places what the form `base` does not; None is any place."""
    made: dict[str, Any] = {}
    for name, place, usual in (
        ("list", list_at, base.list_at),
        ("record", record_at, base.record_at),
        ("body", body_at, base.body_at),
    ):
        # Who finds one record by a filter gets it as the only one of a list, whatever a document calls the answer.
        is_usual = place == usual or (name == "record" and not place and base.is_only_of_list)
        if place is not None and not is_usual:
            made[name] = pointer(place)
    if base.has_included and "" in (made.get("list"), made.get("record")):
        made["included"] = False
    if made.get("list") == "":
        # Nothing stands beside a list that is the answer itself.
        made |= {name: "none" for name in _BESIDE if getattr(base, f"{name}_at") is not None}
    return made


def form_of(*sections: Mapping[str, Any]) -> RecordForm:
    """Return the form that such sections describe together."""
    return form(*(Records.model_validate(section) for section in sections))
