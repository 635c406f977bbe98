"""How a configuration says that we are let in: addresses, credentials by reference, TLS, limits of time."""

import base64
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ray_tui.secrets import SecretRef


def base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL starts with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no user or password in a URL: use the fields `username` and `password`")
    if parts.query or parts.fragment:
        raise ValueError("a base URL has no ? or # part")
    return text.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(base_url)]
"""A base URL from the configuration: no credentials in it, no query, no slash at its end."""


class Strict(BaseModel):
    """No unknown keys, no value in an error message."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class HttpAccess(Strict):
    """How we are let in, and how long we wait."""

    bearer_token: SecretRef | None = None
    """Sent as ``Authorization: Bearer …``."""
    username: str = ""
    """For basic authentication, together with ``password``."""
    password: SecretRef | None = None
    """For basic authentication, together with ``username``."""
    tenant: str = ""
    """Sent as ``X-Scope-OrgID`` (Loki, Tempo, Mimir)."""
    headers: dict[str, SecretRef] = Field(default_factory=dict)
    """Further headers, for a gateway in front; every value is a secret reference."""
    ca_file: Path | None = None
    """PEM file of the authorities to trust instead of the machine's own."""
    client_certificate: Path | None = None
    """PEM file of our certificate, for mutual TLS."""
    client_key: Path | None = None
    """PEM file of its key, where it is not in the same file."""
    use_proxy_environment: bool = False
    """Obey HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""
    connect_seconds: float = Field(default=3.0, gt=0, le=60)
    """Longest wait for a connection."""
    read_seconds: float = Field(default=5.0, gt=0, le=300)
    """Longest silence inside an answer."""
    total_seconds: float = Field(default=15.0, gt=0, le=600)
    """Longest time for one call, its repeats and its whole body included."""

    @model_validator(mode="after")
    def _one_way_in(self) -> "HttpAccess":
        if bool(self.username) != (self.password is not None):
            raise ValueError("`username` and `password` go together: give both or neither")
        if self.username and self.bearer_token:
            raise ValueError("`bearer_token` and `username` exclude each other: keep one")
        return self

    @property
    def credentials(self) -> str:
        """The references by which we are let in, for an error message; empty where there are none."""
        named = [self.bearer_token, self.password, *self.headers.values()]
        return ", ".join(str(ref) for ref in named if ref is not None)

    def header_values(self, base: Path | None) -> dict[str, str]:
        """The headers that let us in, resolved now. Blocks; raises ConfigError."""
        found = {name: ref.resolve(base) for name, ref in self.headers.items()}
        if self.tenant:
            found["X-Scope-OrgID"] = self.tenant
        if self.bearer_token is not None:
            found["Authorization"] = f"Bearer {self.bearer_token.resolve(base)}"
        if self.password is not None:
            pair = f"{self.username}:{self.password.resolve(base)}".encode()
            found["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return found


class HttpSettings(HttpAccess):
    """One system at one base URL."""

    url: BaseUrl
    """Where it is, without a path of its API: ``https://prometheus.example:9090``."""
