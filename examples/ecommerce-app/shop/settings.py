"""The shop's own settings: section `[app]` of pulpo.toml, or `PULPO_APP_…` in the environment."""

from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from pulpo import Context, PulpoError
from pulpo.settings import Settings


class ShopSettings(BaseModel):
    """What a shop may choose. Times are minutes or seconds, as their names say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reservation_minutes: int = 24 * 60
    quote_minutes: int = 24 * 60
    gateway_timeout_seconds: float = 5.0
    stripe_key: SecretStr = SecretStr("")
    smtp_url: SecretStr = SecretStr("")
    mail_from: str = "orders@shop.example"
    gateway_url: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The shop's settings among the project's.

        Raises:
            PulpoError: PULPO105, a key is unknown or a value wrong.
        """
        try:
            found = cls.model_validate(settings.app)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise PulpoError("PULPO105", f"[app] {place}: {first['msg']}") from None
        service = settings.services.get("gateway")
        if not found.gateway_url and service is not None and service.port is not None:
            return found.model_copy(update={"gateway_url": service.url})
        return found


_known: dict[int, tuple[Settings, ShopSettings]] = {}


def shop_settings(ctx: Context) -> ShopSettings:
    """The shop's settings of the running project, read once."""
    known = _known.get(id(ctx.settings))
    if known is None or known[0] is not ctx.settings:
        _known.clear()
        known = _known[id(ctx.settings)] = (ctx.settings, ShopSettings.of(ctx.settings))
    return known[1]
