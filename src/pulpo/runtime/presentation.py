"""What a project says about its UI in `[ui]`, held against its models: a wrong name is found before anybody looks."""

from __future__ import annotations

from collections.abc import Iterable

from pulpo.errors import Nearest, PulpoError
from pulpo.runtime.filters import Fields
from pulpo.settings import CardSettings, UiSettings
from pulpo.spec import AppSpec, Json, ModelSpec

_NEEDS: dict[str, tuple[str, ...]] = {
    "sum": ("field",),
    "average": ("field",),
    "chart": ("bucket",),
    "breakdown": ("group",),
}
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


def _wrong(card: CardSettings, what: str, name: str = "", known: Iterable[str] = ()) -> PulpoError:
    return PulpoError("PULPO105", f'the card "{card.title}" in [ui]: {what}', hint=Nearest(tuple(known)).to(name))
