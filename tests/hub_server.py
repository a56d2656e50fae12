"""A small Hugging Face hub on this machine: the requests that its client makes to download, create and commit."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

TOKEN = "hf_" + "s3cretS3cret" * 3
LFS_SUFFIXES = (".safetensors", ".npy", ".bin")
_HERE = {"127.0.0.1", "::1", "localhost"}
# As they are before tests/conftest.py cuts the network.
_CONNECT, _GETADDRINFO = socket.socket.connect, socket.getaddrinfo


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """Commits, oldest first, and branches and tags."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)

    def add(self, files: dict[str, bytes], message: str = "by hand") -> str:
        content = b"".join(name.encode() + b"\0" + files[name] for name in sorted(files))
        sha = hashlib.sha1(b"%d" % len(self.commits) + content).hexdigest()
        self.commits[sha] = dict(files)
        self.messages.append(message)
        self.refs["main"] = sha
        return sha

    @property
    def head(self) -> str:
        return self.refs["main"]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def resolve(self, revision: str) -> str | None:
        return self.refs.get(revision, revision if revision in self.commits else None)


@dataclass
class Fault:
    """An answer in place of the usual one, to requests whose "METHOD path" matches."""

    pattern: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    times: int = 10**6
    act: Callable[[Handler], None] | None = None


class Hub(ThreadingHTTPServer):
    """The server with its repositories.

    Attributes:
        requests: "METHOD path" of all requests so far.
        sent_tokens: Where tokens were sent to: host and path.
        created: What was asked for with each new repository.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.elsewhere = f"http://localhost:{self.server_port}"  # large files are on another host
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.sent_tokens: list[str] = []
        self.created: list[dict[str, Any]] = []
        self._connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        """Close what clients keep open for their next requests, too."""
        super().server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def add(self, name: str, files: dict[str, bytes] | Path, **settings: Any) -> Repository:
        """Put files into a new repository, past the protocol."""
        if isinstance(files, Path):
            files = {path.name: path.read_bytes() for path in files.iterdir()}
        repository = self.repositories.setdefault(name, Repository(**settings))
        for content in files.values():
            self.objects[hashlib.sha256(content).hexdigest()] = content
        repository.add({".gitattributes": b"*.safetensors filter=lfs\n", **files})
        return repository

    def fail(self, pattern: str, **settings: Any) -> None:
        self.faults.append(Fault(pattern, **settings))

    def asked(self, pattern: str) -> list[str]:
        return [request for request in self.requests if re.search(pattern, request)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._route()

    def _route(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else self._chunks()
        path = urlsplit(self.path).path
        request = f"{self.command} {path}"
        self.server.requests.append(request)
        if self.headers.get("Authorization"):
            self.server.sent_tokens.append(f"{self.headers['Host']}{path}")
        for fault in self.server.faults:
            if fault.times > 0 and re.search(fault.pattern, request):
                fault.times -= 1
                if fault.act is None:
                    self.answer(fault.status, {"error": fault.message}, fault.headers)
                else:
                    fault.act(self)
                return
        for method, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                answer(self, *map(unquote, match.groups()))
                return
        self.answer(404, {"error": f"no route for {request}"})

    def _chunks(self) -> bytes:
        parts = []
        while self.headers.get("Transfer-Encoding") == "chunked" and (size := int(self.rfile.readline(), 16)):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        if parts:
            self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        self.send(status, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        """Send a file, or what a client that has its beginning asks for."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if match is None:
            self.send(200, content, headers)
            return
        start, size = int(match[1]), len(content)
        self.send(206, content[start:], {**headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"})

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def cut(self, content: bytes) -> None:
        """Promise a whole file, send half of it, and hang up."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def signed_in(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        code = "Invalid credentials in Authorization header"
        self.answer(401, {"error": code}, {"X-Error-Message": code})
        return False

    def find(self, name: str) -> Repository | None:
        repository = self.server.repositories.get(name)
        is_user = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not is_user):
            self.answer(404 if is_user else 401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repository


for method in ("HEAD", "POST", "PUT"):
    setattr(Handler, f"do_{method}", Handler.do_GET)


def _create(handler: Handler) -> None:
    if not handler.signed_in():
        return
    wanted = json.loads(handler.body)
    handler.server.created.append(wanted)
    name = f"{wanted['organization']}/{wanted['name']}"
    url = {"url": f"{handler.server.endpoint}/{name}"}
    if name in handler.server.repositories:
        handler.answer(409, {"error": "You already created this model repo", **url})
        return
    handler.server.add(name, {}, private=wanted.get("private") or wanted.get("visibility") == "private")
    handler.answer(200, url)


def _info(handler: Handler, name: str, revision: str = "main") -> None:
    repository = handler.find(name)
    if repository is None:
        return
    sha = repository.resolve(revision)
    if sha is None:
        handler.answer(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        return
    blobs = "blobs" in parse_qs(urlsplit(handler.path).query)
    files = [_entry(path, content, blobs) for path, content in repository.commits[sha].items()]
    about = {"id": name, "sha": sha, "private": repository.private, "tags": [], "downloads": 0, "siblings": files}
    handler.answer(200, about)


def _entry(path: str, content: bytes, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    large = {"lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}
    more = large if path.endswith(LFS_SUFFIXES) else {}
    return {"rfilename": path, "size": len(content), "blobId": git_hash(content), **more}


def _tree(handler: Handler, name: str, revision: str) -> None:
    repository = handler.find(name)
    if repository is None:
        return
    entries = []
    for path, content in repository.commits[repository.resolve(revision) or ""].items():
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
        if path.endswith(LFS_SUFFIXES):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        entries.append(entry)
    handler.answer(200, entries)


def _resolve(handler: Handler, name: str, revision: str, path: str) -> None:
    repository = handler.find(name)
    if repository is None:
        return
    if repository.gated:
        handler.answer(403, {"error": "Access to it is restricted"}, {"X-Error-Code": "GatedRepo"})
        return
    sha = repository.resolve(revision)
    if sha is None:
        handler.answer(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        return
    content, commit = repository.commits[sha].get(path), {"X-Repo-Commit": sha}
    if content is None:
        handler.answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", **commit})
    elif path.endswith(LFS_SUFFIXES):
        oid = hashlib.sha256(content).hexdigest()
        linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        handler.send(302, b"", {"Location": f"{handler.server.elsewhere}/files/{oid}", **linked, **commit})
    else:
        handler.send_file(content, {"ETag": f'"{git_hash(content)}"', **commit})


def _file(handler: Handler, oid: str) -> None:
    handler.send_file(handler.server.objects[oid], {"ETag": f'"{oid}"'})


def _put(handler: Handler, oid: str) -> None:
    if hashlib.sha256(handler.body).hexdigest() != oid:
        handler.answer(400, {"error": "another content"})
        return
    handler.server.objects[oid] = handler.body
    handler.answer(200, {})


def _preupload(handler: Handler, name: str, revision: str) -> None:
    if not handler.signed_in() or handler.find(name) is None:
        return
    files = [
        {"path": each["path"], "uploadMode": _mode(each["path"]), "shouldIgnore": False}
        for each in json.loads(handler.body)["files"]
    ]
    handler.answer(200, {"files": files})


def _mode(path: str) -> str:
    return "lfs" if path.endswith(LFS_SUFFIXES) else "regular"


def _batch(handler: Handler, name: str) -> None:
    """Offer the basic transfer only, which puts a file to an address."""
    if not handler.signed_in():
        return
    objects = []
    for wanted in json.loads(handler.body)["objects"]:
        known = wanted["oid"] in handler.server.objects
        upload = {"actions": {"upload": {"href": f"{handler.server.elsewhere}/upload/{wanted['oid']}"}}}
        objects.append({**wanted, **({} if known else upload)})
    handler.answer(200, {"transfer": "basic", "objects": objects})


def _commit(handler: Handler, name: str, revision: str) -> None:
    repository = handler.find(name) if handler.signed_in() else None
    if repository is None:
        return
    files, message = dict(repository.files), ""
    for line in handler.body.splitlines():
        entry = json.loads(line)
        key, value = entry["key"], entry["value"]
        if key == "header":
            message = value["summary"]
            if value.get("parentCommit") not in (None, repository.head):
                handler.answer(412, {"error": "A commit has happened since"})
                return
        elif key == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif key == "lfsFile":
            files[value["path"]] = handler.server.objects[value["oid"]]
        elif key == "deletedFile":
            del files[value["path"]]
    sha = repository.add(files, message)
    handler.answer(
        200, {"success": True, "commitOid": sha, "commitUrl": f"{handler.server.endpoint}/{name}/commit/{sha}"}
    )


def _validate(handler: Handler) -> None:
    license_ = re.search(r"^license: (.*)$", json.loads(handler.body)["content"], re.MULTILINE)
    if license_ and license_[1] not in ("apache-2.0", "mit"):
        handler.answer(400, {"errors": [{"message": '"license" must be one of [apache-2.0, mit]'}], "warnings": []})
    else:
        handler.answer(200, {"errors": [], "warnings": []})


_REPO, _ONE = r"([^/]+/[^/]+)", r"([^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("POST", "/api/repos/create", _create),
    ("POST", "/api/validate-yaml", _validate),
    ("GET", f"/api/models/{_REPO}", _info),
    ("GET", f"/api/models/{_REPO}/revision/{_ONE}", _info),
    ("GET", f"/api/models/{_REPO}/tree/{_ONE}", _tree),
    ("POST", f"/api/models/{_REPO}/preupload/{_ONE}", _preupload),
    ("POST", f"/api/models/{_REPO}/commit/{_ONE}", _commit),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", _batch),
    ("GET HEAD", f"/{_REPO}/resolve/{_ONE}/(.+)", _resolve),
    ("GET HEAD", f"/files/{_ONE}", _file),
    ("PUT", f"/upload/{_ONE}", _put),
]


@contextmanager
def running_hub(port: int = 0) -> Iterator[Hub]:
    """Run a hub at a port of this machine, any that is free by default."""
    with Hub(port) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


def forget_connections() -> None:
    """Let the client connect anew; whether it is offline is asked then."""
    from huggingface_hub import utils

    forget = getattr(utils, "close_session", None) or utils.reset_sessions
    forget()


def switch_offline(monkeypatch: pytest.MonkeyPatch, offline: bool = True) -> None:
    """Do what HF_HUB_OFFLINE does for a client that is imported later."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    forget_connections()


def allow_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process connect to servers on this machine, and to no others."""

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _HERE:
            raise OSError("the network is off in tests")
        _CONNECT(self, address)

    def getaddrinfo(host: Any, *args: Any, **settings: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else host) not in _HERE:
            raise OSError("the network is off in tests")
        return _GETADDRINFO(host, *args, **settings)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
