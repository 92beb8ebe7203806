"""What a project says about its UI in `[ui]`, held against its models: a wrong name is found before anybody looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

from pulpo.errors import Nearest, PulpoError
from pulpo.runtime import listing
from pulpo.runtime.filters import Fields
from pulpo.settings import CardSettings, UiSettings
from pulpo.spec import AppSpec, Json, ModelSpec

_NEEDS: dict[str, tuple[str, ...]] = {
    "sum": ("field",),
    "average": ("field",),
    "chart": ("bucket",),
    "breakdown": ("group",),
}
ICONS = tuple(
    """activity address-book alert archive arrow-back ban barcode bell board bolt book box briefcase calendar cart cash
    chart check checklist clipboard clock cloud coin credit-card database delivery file flag flow folder gift heart home
    inbox key layout lifebuoy list lock mail map message notes package percentage play receipt refresh refund route
    scale send settings shield stack star store table tag tool transfer truck user users warehouse""".split()  # noqa: SIM905
)
"""The icons that the UI can draw."""
_A_MOMENT = "2026-01-01T00:00:00Z"
_PARTS = ("filter", "field", "group", "bucket", "columns", "note")


def presentation(app: AppSpec, ui: UiSettings) -> dict[str, Json]:
    """The `ui` of the metadata: title, currency, groups, cards and pages.

    Raises:
        PulpoError: PULPO105, a card names a model or field that is not there, or lacks what its kind needs.
    """
    return {
        "title": ui.title or app.name,
        "currency": ui.currency,
        "groups": list(ui.groups),
        "cards": [_card(app, card) for card in ui.cards],
        "pages": [page.model_dump() for page in ui.pages],
    }


def problems(app: AppSpec, ui: UiSettings, root: Path) -> Iterator[PulpoError]:
    """All that is wrong with `[ui]`: cards, the filters they ask with, icons, and modules that are not there."""
    for card in ui.cards:
        try:
            _card(app, card)
        except PulpoError as error:
            yield error
    for page in ui.pages:
        if page.icon not in ICONS:
            hint = Nearest(ICONS).to(page.icon) or "docs/ui.md has their names"
            yield PulpoError("PULPO105", f'the page "{page.name}" in [ui]: there is no icon "{page.icon}"', hint=hint)
        if not (root / "ui" / page.module).is_file():
            yield PulpoError("PULPO105", f'the page "{page.name}" in [ui]: there is no file ui/{page.module}')


def _card(app: AppSpec, card: CardSettings) -> dict[str, Json]:
    models = {model.name: model for model in app.models}
    model = models.get(card.model)
    if model is None:
        raise _wrong(card, f'there is no model "{card.model}"', card.model, models)
    _check(card, model)
    found = card.model_dump(mode="json")
    return {name: value for name, value in found.items() if value or name not in _PARTS}


def _check(card: CardSettings, model: ModelSpec) -> None:
    known = {field.name for field in model.fields} | set(Fields.of(model.fields).leaves)
    for part in _NEEDS.get(card.kind, ()):
        if not getattr(card, part):
            raise _wrong(card, f"it needs `{part}`")
    named = [card.field, card.group, card.bucket.partition(":")[0], *card.columns]
    for path in filter(None, named):
        if path not in known:
            raise _wrong(card, f'{model.name} has no field "{path}"', path, known)
    asked = [
        (name, _A_MOMENT if value.startswith("@") else value)  # the page puts the moment in
        for name, value in parse_qsl(card.filter, keep_blank_values=True)
    ]
    try:
        listing.parse(asked, Fields.of(model.fields), page_limit=100)
    except PulpoError as error:
        places = "; ".join(f"{each.pointer} {each.message}" for each in error.errors)
        raise PulpoError(
            "PULPO105", f'the card "{card.title}" in [ui]: its filter: {places or error.detail}', hint=error.hint
        ) from None


def _wrong(card: CardSettings, what: str, name: str = "", known: Iterable[str] = ()) -> PulpoError:
    return PulpoError("PULPO105", f'the card "{card.title}" in [ui]: {what}', hint=Nearest(tuple(known)).to(name))
