"""What handlers see: requests, responses, events and the context."""

import concurrent.futures
import importlib
import json
import os
import sys
import time
import traceback
from datetime import datetime, timezone
from urllib.parse import parse_qs

LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40}
THRESHOLD = LEVELS.get(os.environ.get("ANYFAAS_LOG_LEVEL", ""), LEVELS["info"])
FUNCTION = os.environ.get("ANYFAAS_FUNCTION", "")
# Files whose frames say nothing about the user's code.
OURS = (os.path.dirname(os.path.abspath(__file__)) + os.sep, os.path.dirname(concurrent.futures.__file__) + os.sep, os.path.dirname(importlib.__file__) + os.sep)
PROVIDER = os.environ.get("ANYFAAS_PROVIDER", "local")


class Headers:
    """Header fields of a request. Names are case-insensitive; headers[name] and
    get join repeated fields as HTTP says, get_all keeps them apart."""

    __slots__ = ("_fields",)

    def __init__(self, fields=()):
        self._fields = {}
        for name, value in fields:
            self._fields.setdefault(name.lower(), []).append(value)

    def get(self, name, default=None):
        name = name.lower()
        values = self._fields.get(name)
        if values is None:
            return default
        return values[0] if len(values) == 1 else ("; " if name == "cookie" else ", ").join(values)

    def get_all(self, name):
        return list(self._fields.get(name.lower(), ()))

    def keys(self):
        return list(self._fields)

    def items(self):
        return [(name, self.get(name)) for name in self._fields]

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name):
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self):
        return iter(self._fields)

    def __len__(self):
        return len(self._fields)

    def __repr__(self):
        return f"Headers({self.items()!r})"


class Request:
    """An HTTP request. body is bytes; query maps names to lists of values."""

    __slots__ = ("method", "path", "query_string", "headers", "body", "_query")

    def __init__(self, method, target, headers, body):
        self.method = method
        self.path, _, self.query_string = target.partition("?")
        self.headers = headers
        self.body = body
        self._query = None

    @property
    def url(self):
        query = "?" + self.query_string if self.query_string else ""
        return f"http://{self.headers.get('host', 'localhost')}{self.path}{query}"

    @property
    def query(self):
        if self._query is None:
            self._query = parse_qs(self.query_string, keep_blank_values=True)
        return self._query

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    @property
    def cookies(self):
        pairs = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name: value.strip('"') for name, separator, value in pairs if separator}

    def __repr__(self):
        return f"<Request {self.method} {self.url}>"


class Response:
    """An HTTP response. body is str, bytes, None, a JSON value, or a generator of
    str or bytes, which is sent as it comes. A header's value may be a list."""

    __slots__ = ("body", "status", "headers")

    def __init__(self, body=None, status=200, headers=None):
        self.body = body
        self.status = status
        self.headers = headers or {}


class Event(dict):
    """A CloudEvent in its JSON form; event["type"] and event.type are the same,
    and an attribute that is absent is None."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)


class Log:
    """Writes JSON lines: log.info("paid", order=7)."""

    __slots__ = ("_request_id",)

    def __init__(self, request_id):
        self._request_id = request_id

    def debug(self, msg, fields=None, **more):
        self._write("debug", msg, fields, more)

    def info(self, msg, fields=None, **more):
        self._write("info", msg, fields, more)

    def warn(self, msg, fields=None, **more):
        self._write("warn", msg, fields, more)

    warning = warn

    def error(self, msg, fields=None, **more):
        self._write("error", msg, fields, more)

    def _write(self, level, msg, fields, more):
        if LEVELS[level] < THRESHOLD:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": now, "level": level, "msg": str(msg), "requestId": self._request_id, "fn": FUNCTION}
        for name, value in {**(fields or {}), **more}.items():
            line.setdefault(str(name), value)
        try:
            text = json.dumps(line, default=describe)
        except ValueError:  # what refers to itself
            text = json.dumps({name: value if isinstance(value, str) else repr(value) for name, value in line.items()})
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def describe(value):
    """An exception with its traceback, as far as it lies in the user's code, or
    the value as text."""
    if not isinstance(value, BaseException):
        return str(value)
    report = traceback.TracebackException.from_exception(value)
    part = report
    while part is not None:
        theirs = [frame for frame in part.stack if not frame.filename.startswith(OURS) and not frame.filename.startswith("<frozen importlib")]
        part.stack = traceback.StackSummary.from_list(theirs or part.stack)
        part = part.__cause__ or part.__context__
    return "".join(report.format()).rstrip()


class Context:
    """What is known about one call."""

    __slots__ = ("request_id", "params", "client_ip", "traceparent", "_deadline", "_log")

    provider = PROVIDER
    function_name = FUNCTION

    def __init__(self, request_id, deadline_ms=0, params=None, client_ip=None, traceparent=None):
        self.request_id = request_id
        self.params = params if params is not None else {}
        self.client_ip = client_ip
        self.traceparent = traceparent
        self._deadline = deadline_ms
        self._log = None

    @property
    def deadline(self):
        """The end of the call as an aware datetime, or None."""
        return datetime.fromtimestamp(self._deadline / 1000, timezone.utc) if self._deadline else None

    def remaining_ms(self):
        return max(0.0, self._deadline - time.time() * 1000) if self._deadline else float("inf")

    @property
    def log(self):
        if self._log is None:
            self._log = Log(self.request_id)
        return self._log
