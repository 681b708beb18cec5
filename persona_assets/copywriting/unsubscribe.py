"""Unsubscribing: a token per customer that names nobody and that only the shop can read."""

import base64
import binascii
import os
import secrets
import tempfile
from functools import lru_cache
from hashlib import scrypt
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from filelock import FileLock

from persona_assets.errors import InputError
from persona_assets.settings import Settings

KEY_FILE = "unsubscribe.key"

# Part of every token: another one makes every link that was ever sent invalid.
_PURPOSE = [b"persona unsubscribe"]


class Tokens:
    """Makes and reads tokens with one secret, which is any text.

    A token is the customer's id under AES-SIV (RFC 5297): encrypted, signed, and the same every
    time. The key comes from the secret by scrypt, so that a short one is slow to guess.
    """

    def __init__(self, secret: str) -> None:
        self._cipher = AESSIV(_key(secret))

    def token(self, user_id: int) -> str:
        """The customer's token: 32 letters, digits, - and _."""
        sealed = self._cipher.encrypt(user_id.to_bytes(8, "big", signed=True), _PURPOSE)
        return base64.urlsafe_b64encode(sealed).decode()

    def read_token(self, token: str) -> int:
        """The customer's id. Raises InputError for what is no token made with this secret."""
        try:
            sealed = base64.b64decode(token, altchars=b"-_", validate=True)
            return int.from_bytes(self._cipher.decrypt(sealed, _PURPOSE), "big", signed=True)
        except (ValueError, binascii.Error, InvalidTag):
            raise InputError(
                f"{token[:80]!r} is no token of this shop: give what stands after token= in the "
                "unsubscribe link, and check PERSONA_UNSUBSCRIBE_KEY and PERSONA_HOME."
            ) from None


@lru_cache(maxsize=1)
def _key(secret: str) -> bytes:
    return scrypt(secret.encode(), salt=_PURPOSE[0], n=2**14, r=8, p=1, dklen=64)


def load_tokens(settings: Settings) -> Tokens:
    """The shop's tokens. Raises InputError when none was ever made."""
    if settings.unsubscribe_key is not None:
        return Tokens(settings.unsubscribe_key.get_secret_value())
    file = settings.home / KEY_FILE
    if not file.exists():
        raise InputError(
            f"There is no key for unsubscribe links at {file} yet: run `persona run` first, or "
            "set PERSONA_UNSUBSCRIBE_KEY."
        )
    return Tokens(_read(file))


def make_tokens(settings: Settings) -> Tokens:
    """The shop's tokens, with a key made once and kept in the home where none is set.

    Raises InputError when the key can be neither read nor kept.
    """
    file = settings.home / KEY_FILE
    if settings.unsubscribe_key is None and not file.exists():
        try:
            with FileLock(file.with_suffix(".lock")):
                if not file.exists():
                    _write(file, secrets.token_urlsafe(32))
        except OSError as error:
            raise InputError(
                f"The key for unsubscribe links cannot be kept at {file} ({error.strerror}): set "
                "PERSONA_HOME to a folder that you may write to, or PERSONA_UNSUBSCRIBE_KEY."
            ) from None
    return load_tokens(settings)


def unsubscribe_link(base_url: str, token: str) -> str:
    """The shop's unsubscribe address with the token added; a query that is there stays."""
    parts = urlsplit(base_url)
    query = f"{parts.query}&token={token}" if parts.query else f"token={token}"
    return urlunsplit(parts._replace(query=query))


def _read(file: Path) -> str:
    try:
        secret = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The key for unsubscribe links at {file} cannot be read ({error}): put back the file "
            "that the links were made with, or set PERSONA_UNSUBSCRIBE_KEY."
        ) from None
    if not secret:
        raise InputError(
            f"The key for unsubscribe links at {file} is empty: put back the file that the links "
            "were made with, or remove it to have a new one made; links that were sent then stop "
            "working."
        )
    return secret


def _write(file: Path, secret: str) -> None:
    """Whole or not at all, for the owner's eyes only."""
    handle, temporary = tempfile.mkstemp(prefix=".write-", dir=file.parent)  # mode 0600
    with open(handle, "w", encoding="ascii") as text:
        text.write(f"{secret}\n")
        text.flush()
        os.fsync(text.fileno())
    os.replace(temporary, file)
