"""A web address that tells a downstream owner something; chat and mail do so in slack.py and mail.py."""

from typing import Literal

from pydantic import BaseModel, model_validator

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendRefused, ConfigError, NotSupported
from ray_tui.core.ports import Health, SideEffect
from ray_tui.secrets import SecretRef


class Settings(HttpAccess):
    """POSTs ``{"subject", "text", "token"}`` with the token as Idempotency-Key."""

    kind: Literal["webhook"]
    """Which kind of system this is."""
    url: BaseUrl | None = None
    """The address."""
    secret_url: SecretRef | None = None
    """Instead of ``url``, where the address is itself a secret (as Slack's and Teams' are)."""
    honours_idempotency_key: bool = False
    """The receiver does nothing for a key that it has seen: only then is a lost call repeated."""

    @model_validator(mode="after")
    def _one_address(self) -> "Settings":
        if (self.url is None) == (self.secret_url is None):
            raise ValueError("give either `url` or `secret_url`")
        return self


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("notifiers", "webhook"): Settings}


def open(settings: Settings, opening: Opening) -> "WebhookNotifier":  # noqa: A001 (each backend file has one)
    return WebhookNotifier(settings, opening)


class WebhookNotifier:
    """``Notifier`` by POST. Class NONE, unless the receiver honours the key: then DEDUP."""

    name = "webhook notifier"

    def __init__(self, settings: Settings, opening: Opening) -> None:
        secret = settings.secret_url
        self.side_effect = SideEffect.DEDUP if settings.honours_idempotency_key else SideEffect.NONE
        self._settings = settings
        self._opening = opening
        self._http = Http.open("notifier", settings.url or "", settings, opening, secret_path=secret is not None)

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Sends nothing, as that would tell somebody something: proves only that the address is at hand."""
        try:
            self._path()
        except BackendRefused as refused:
            return Health(False, str(refused))
        return Health(True, "configured; a webhook cannot be tried without telling its reader")

    async def notify(self, subject: str, text: str, token: str) -> str:
        """Answers the receiver's ``reference``, ``id`` or ``url``; else its status."""
        answer = await self._http.request(
            "POST",
            self._path(),
            data={"subject": subject, "text": text, "token": token},
            headers={"Idempotency-Key": token},
            accept=(200, 201, 202, 204),
            may_repeat=self.side_effect is SideEffect.DEDUP,
        )
        if "json" in answer.headers.get("content-type", "") and answer.body:
            said = answer.json()
            if isinstance(said, dict):
                found = next((said[key] for key in ("reference", "id", "url") if said.get(key)), None)
                if found is not None:
                    return untrusted.line(str(found))
        return f"answered {answer.status}"

    async def told(self, token: str, since: float) -> str | None:
        raise NotSupported("notifier", "a webhook cannot be asked what it has got")

    def _path(self) -> str:
        """The whole address where it is secret; else nothing beyond the base."""
        if self._settings.secret_url is None:
            return ""
        try:
            return self._settings.secret_url.resolve(self._opening.config_folder)
        except ConfigError as exc:
            raise BackendRefused("notifier", f"nobody was told: {exc}") from None
