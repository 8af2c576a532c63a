"""What goes wrong between Airflow and NES, each with its cure in one line."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nes_provider.client import Endpoint


class NesError(Exception):
    """Something is wrong between Airflow and NES."""


class NesUnreachable(NesError):
    """NES does not answer, or says that it cannot just now."""

    def __init__(self, message: str, *, retry_after: float = 0.0, hopeless: bool = False) -> None:
        """Make an error; ``hopeless`` says that trying again cannot help."""
        super().__init__(message)
        self.retry_after = retry_after
        self.hopeless = hopeless


class NesRefused(NesError):
    """NES, or what stands at its address, refused a request: sending it again cannot help."""

    def __init__(self, message: str, *, status: int, code: str = "") -> None:
        """Make an error with the HTTP status and the problem's code."""
        super().__init__(message)
        self.status = status
        self.code = code


def unreachable(endpoint: Endpoint, error: Exception | str, *, retry_after: float = 0.0) -> NesUnreachable:
    """Say that NES does not answer, and what to look at."""
    where = f"NES does not answer at {endpoint.base_url}"
    chain = list(_causes(error)) if isinstance(error, Exception) else []
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NesUnreachable(
                f"{where}: its certificate is not trusted ({cause.verify_message}). "
                f'Name the file of your authority as "verify" in the extra of {endpoint.origin}.',
                hopeless=True,
            )
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return NesUnreachable(f"{where}: there is no such host. Correct the host of {endpoint.origin}.", hopeless=True)
    detail = str(error) or type(error).__name__
    return NesUnreachable(f"{where}: {detail}. Check that it runs, and the host of {endpoint.origin}.", retry_after=retry_after)


def _causes(error: BaseException | None):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def refusal(endpoint: Endpoint, method: str, path: str, status: int, body: Any) -> NesRefused:
    """Say why a request was refused, and what to do about it."""
    if not isinstance(body, dict) or "code" not in body:
        return NesRefused(
            f"What answers at {endpoint.base_url} is not NES: {status} for {method} {path}. Correct the host of {endpoint.origin}.",
            status=status,
        )
    code = str(body["code"])
    detail = str(body.get("detail") or body.get("title") or code)
    if status == 401:
        which = "does not know the token" if endpoint.token else "wants a token, and there is none"
        message = f"NES at {endpoint.base_url} {which}. Put a valid one into the password of {endpoint.origin}."
    elif status == 403:
        message = f"{detail}. Put a token that may do this into the password of {endpoint.origin}."
    else:
        message = _with_problems(detail, body.get("problems"))
    return NesRefused(message, status=status, code=code)


def _with_problems(detail: str, problems: Any) -> str:
    if not isinstance(problems, list):
        return detail
    texts = [f"{p.get('field')}: {p.get('message')}" for p in problems if isinstance(p, dict)]
    missing = [text for text in texts if text not in detail]
    return detail if not missing else "; ".join(texts)
