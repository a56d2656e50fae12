"""What the name of an input that does not exist may mean, and what to do then."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emoclass.data.tables.formats import format_of
from emoclass.runtime import expanded

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_STORES = {"s3": "aws s3 cp", "gs": "gcloud storage cp"}


def advice(name: str) -> str:
    """Return what is wrong with a name that is no file, and a command or a name that works."""
    address = urlsplit(name) if re.match(r"[a-z][a-z0-9+.-]+:", name) else None
    if address is not None:
        return _of_address(name, address.scheme, unquote(address.path))
    if name.startswith("~") and expanded(name).exists():
        return f"no such file: ~ in quotes is not your home directory: pass {shlex.quote(str(expanded(name)))}"
    if glob.has_magic(name) and (found := sorted(glob.glob(name))):  # noqa: PTH207 (as the shell does)
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"no such file: as a pattern it means {found[0]}{more}: name one, or a directory of splits"
    if _HUB_ID.fullmatch(name) and format_of(name, reading=True)[0] is None and not Path(name).parent.exists():
        own = name.split("/")[1]
        return (
            "no such file or directory: if it is a dataset on the hub, download it (hf download --repo-type dataset"
            f" {name} --local-dir {own}) and pass {own}"
        )
    return "no such file: check the path"


def _of_address(name: str, scheme: str, path: str) -> str:
    own = Path(path).name
    own = shlex.quote(own if format_of(own, reading=True)[0] else "data.csv")
    if scheme == "file":
        return f"is an address: pass the path {shlex.quote(path)}"
    if scheme in ("http", "https", "ftp"):
        return f"is an address: download it (curl -sL {shlex.quote(name)} -o {own}) and pass {own}"
    if scheme == "hf":
        parts = name.removeprefix("hf://").removeprefix("datasets/").split("/")
        directory = parts[min(1, len(parts) - 1)]
        return (
            "is an address on the hub: download it (hf download --repo-type dataset"
            f" {'/'.join(parts[:2])} --local-dir {directory}) and pass {directory}"
        )
    if scheme in _STORES:
        return f"is an address: copy it ({_STORES[scheme]} {shlex.quote(name)} {own}) and pass {own}"
    return "no such file: check the path"
