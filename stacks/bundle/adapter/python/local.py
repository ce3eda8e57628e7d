"""The worker of the local provider: one long-lived process that serves one
function on ANYFAAS_LISTENER until its input ends or it is asked to stop."""

import importlib
import importlib.util
import json
import os
import sys
import types
import uuid

from . import ROOT, calls, contract, mount
from .contract import Context, Headers, Request, describe
from .server import Server, exit_with_parent

STANDARD = frozenset(sys.modules)


def set_import_path(files):
    """The package's root, its _vendor, then the handlers' own folders and those
    that hold the handlers' packages, such as src."""
    path = [ROOT, os.path.join(ROOT, "_vendor")]
    rest = [entry for entry in sys.path if entry not in path and entry != ""]
    for file in files:
        folder = os.path.dirname(os.path.join(ROOT, file))
        rest.append(folder)
        while folder != ROOT and os.path.isfile(os.path.join(folder, "__init__.py")):
            folder = os.path.dirname(folder)
        rest.append(folder)
    sys.path[:] = path + rest


def offer_contract():
    """Lets "from anyfaas import Response" work without anything installed."""
    if importlib.util.find_spec("anyfaas") is None:
        module = types.ModuleType("anyfaas", "Types of the handler contract.")
        for name in ("Request", "Response", "Event", "Context", "Headers"):
            setattr(module, name, getattr(contract, name))
        sys.modules["anyfaas"] = module


def load(text, module, name):
    try:
        loaded = importlib.import_module(module)
        if module in STANDARD:  # the adapter has that module of the standard library
            loaded = from_file(module)
    except Exception as error:
        print(describe(error), file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except SystemExit as error:
        print(f"{describe(error)}\nhandler {text}: loading module {module} called sys.exit({error.code!r})", file=sys.stderr, flush=True)
        raise
    try:
        return getattr(loaded, name)
    except AttributeError:
        raise SystemExit(f"handler {text}: module {module} has no {name!r}") from None


def from_file(module):
    """The project's module of a name that is taken; the taken one stays for all
    others who import it."""
    path = os.path.join(ROOT, module)
    path = os.path.join(path, "__init__.py") if os.path.isdir(path) else path + ".py"
    spec = importlib.util.spec_from_file_location(module, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def pick(value, text, *names):
    """The function itself, or the named method of an object or module."""
    for name in names:
        found = getattr(value, name, None)
        if callable(found):
            return found
    return value if callable(value) else fail(text, names)


def fail(text, names):
    raise SystemExit(f"handler {text} must be a function or have one of: {', '.join(names)}")


def main(handlers):
    """handlers maps "http" and "event" to (text, module, name)."""
    sys.stdout.reconfigure(line_buffering=True)
    exit_with_parent(sys.stdin)
    set_import_path([module.replace(".", os.sep) for _, module, _ in handlers.values()])
    offer_contract()

    http = event = batch = None
    at_end = None
    values = {kind: load(*handler) for kind, handler in handlers.items()}
    if "http" in values:
        http = pick(values["http"], handlers["http"][0], "fetch")
        app = mount.application(http)
        http = app or http
        if isinstance(app, mount.ASGI):
            app.start()
            at_end = app.stop
    if "event" in values:
        value, text = values["event"], handlers["event"][0]
        batch = getattr(value, "batch", None)
        batch = batch if callable(batch) else None
        event = batch or pick(value, text, "event")
    if http is not None and http is event:
        raise SystemExit(f"{handlers['http'][0]} has http and event triggers: give an object with fetch and event, or name a handler for each in the manifest")

    worker = Worker(http, event, batch)
    server = Server(os.environ.get("ANYFAAS_LISTENER", ""), worker.handle, lambda reason: contract.Log("").warn("bad request", error=reason))
    server.serve()
    if at_end is not None:
        at_end()
    sys.stdout.flush()
    os._exit(0)  # not waiting for what threads of the user may do


class Worker:
    def __init__(self, http, event, batch):
        self._http = http
        self._event = event
        self._batch = batch

    def handle(self, incoming, connection):
        own = incoming.own
        ctx = Context(
            own.get("anyfaas-request-id") or str(uuid.uuid4()),
            float(own.get("anyfaas-deadline-ms") or 0),
            json.loads(own["anyfaas-params"].encode("latin-1")) if "anyfaas-params" in own else None,
            own.get("anyfaas-client-ip"),
            next((value for name, value in incoming.fields if name == "traceparent"), None),
        )
        kind = own.get("anyfaas-kind")
        if kind is None:
            return self._serve_http(incoming, connection, ctx)
        if self._event is None:
            return self._json(connection, 500, {"message": "this function has no event handler", "failures": []})
        try:
            events = calls.events_of(json.loads(incoming.body))
        except (ValueError, TypeError) as error:
            ctx.log.error("the event cannot be read", error=describe(error))
            return self._json(connection, 400, {"message": str(error)})
        if kind == "invoke":
            return self._invoke(events, connection, ctx)
        failures = calls.call_events(self._event, self._batch, events, ctx, own.get("anyfaas-ordered") == "true")
        return self._json(connection, 500 if failures else 200, {"failures": failures})

    def _serve_http(self, incoming, connection, ctx):
        if self._http is None:
            return self._json(connection, 404, {"message": "this function has no http handler"})
        request = Request(incoming.method, incoming.target, Headers(incoming.fields), incoming.body)
        answer = calls.call_http(self._http, request, ctx)
        if isinstance(answer.body, bytes):
            connection.reply(incoming.method, answer.status, answer.headers, answer.body)
            return False
        try:
            connection.stream(incoming.method, answer.status, answer.headers, calls.chunks(answer.body))
        except OSError:
            raise
        except BaseException as error:
            ctx.log.error("unhandled error", error=describe(error))
            return True  # half an answer is out: the client must see that it is not whole
        return False

    def _invoke(self, events, connection, ctx):
        try:
            result = calls.resolve(self._batch(events, ctx) if self._batch else self._event(events[0], ctx))
            body = json.dumps(result, ensure_ascii=False)
        except BaseException as error:
            ctx.log.error("unhandled error", error=describe(error))
            return self._json(connection, 500, {"message": str(error) or type(error).__name__})
        connection.reply("POST", 200, calls.JSON_HEADERS, body.encode())
        return False

    @staticmethod
    def _json(connection, status, value):
        connection.reply("POST", status, calls.JSON_HEADERS, json.dumps(value).encode())
        return False
