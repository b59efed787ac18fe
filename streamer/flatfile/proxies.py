"""Which proxy leads to the API, by the usual variables (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).

Read by ourselves: an HTTP client that is told to trust the environment takes passwords from a
`.netrc` along. Loopback is never reached through a proxy.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from streamer.config import LOOPBACK_HOSTS
from streamer.errors import SettingsError

_SCHEMES: Final = frozenset({"http", "https"})


def proxy_for(url: str) -> str | None:
    """Return the proxy's URL, which may hold a password, or None.

    Raises:
        SettingsError: The variable does not hold an http URL; the error does not quote it.
    """
    target = urlsplit(url)
    proxies = getproxies_environment()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or target.hostname in LOOPBACK_HOSTS:
        return None
    if _is_exempt((target.hostname or "").lower(), proxies.get("no", "")):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            where=f"{target.scheme.upper()}_PROXY",
            what="not the URL of an http proxy",
            next_step="Give http://host:port, or name the API's host in NO_PROXY.",
        )
    return proxy


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Tell whether a host, or a domain above it, is in a list such as `.example.com, localhost`."""
    for entry in no_proxy.lower().split(","):
        name = entry.strip().partition(":")[0].removeprefix("*").removeprefix(".")
        if entry.strip() == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False
