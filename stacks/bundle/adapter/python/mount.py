"""Mounts WSGI and ASGI applications as http handlers: Flask, Django, FastAPI and
their like are named in the manifest as they are."""

import io
import sys
from queue import SimpleQueue
from urllib.parse import unquote, unquote_to_bytes

from . import calls
from .contract import Response


def application(value):
    """An http handler that calls value, or None when value is not plainly an
    application. A WSGI application takes two arguments of which the second is
    called start_response; an ASGI application takes scope, receive and send."""
    names = parameters(value)
    if names == ["scope", "receive", "send"]:
        return ASGI(value)
    if len(names) == 2 and names[1] == "start_response":
        return WSGI(value)
    return None


def parameters(value):
    """Names of the arguments with which value is called; empty when not known."""
    if isinstance(value, type):
        return []
    if not hasattr(value, "__code__") and not hasattr(value, "__wrapped__"):
        value = getattr(type(value), "__call__", None)
        bound = 1
    else:
        bound = 1 if getattr(value, "__self__", None) is not None else 0
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    code = getattr(value, "__code__", None)
    return list(code.co_varnames[bound : code.co_argcount]) if code else []


def address(request):
    """The host and port that the client named."""
    host, _, port = request.headers.get("host", "localhost").rpartition(":")
    return (host, port) if host and port.isdecimal() else (request.headers.get("host", "localhost"), "80")


class WSGI:
    """Calls a WSGI application (PEP 3333)."""

    def __init__(self, app):
        self._app = app

    def __call__(self, request, ctx):
        head, written = [], []

        def start_response(status, headers, exc_info=None):
            if exc_info and head and written:
                raise exc_info[1].with_traceback(exc_info[2])
            head[:] = [int(status.split(" ", 1)[0]), list(headers)]
            return written.append

        result = self._app(self._environ(request, ctx), start_response)
        whole = request.method == "HEAD"
        try:
            parts = iter(result)
            first = next(parts, b"")  # the head is due when the first part is
            if not head:
                raise RuntimeError("the WSGI application did not call start_response")
            written.append(first)
            length = next((value for name, value in head[1] if name.lower() == "content-length"), None)
            body = b"".join(written)
            whole = whole or isinstance(result, (list, tuple)) or length == str(len(body))
            if whole and request.method != "HEAD":
                body += b"".join(parts)
        except BaseException:
            whole = True
            raise
        finally:
            if whole:
                close(result)
        if whole:
            return Response(body, *head)
        return Response(self._rest(body, parts, result), *head)

    @staticmethod
    def _rest(first, parts, result):
        try:
            yield first
            yield from parts
        finally:
            close(result)

    @staticmethod
    def _environ(request, ctx):
        name, port = address(request)
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "QUERY_STRING": request.query_string,
            "SERVER_NAME": name,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": ctx.client_ip or "",
            "REQUEST_URI": request.path + ("?" + request.query_string if request.query_string else ""),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "anyfaas.context": ctx,
        }
        for field, value in request.headers.items():
            if "_" not in field:  # HTTP_A_B must not stand for a_b too
                environ["HTTP_" + field.upper().replace("-", "_")] = value
        environ.pop("HTTP_CONTENT_LENGTH", None)
        environ["CONTENT_LENGTH"] = str(len(request.body)) if request.body else ""
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        return environ


def close(result):
    if hasattr(result, "close"):
        result.close()


class ASGI:
    """Calls an ASGI 3 application on the event loop of the async handlers."""

    def __init__(self, app):
        self._app = app
        self._state = {}
        self._lifespan = None

    def start(self):
        """Runs the application's startup, if it has one."""
        import asyncio

        async def begin():
            self._lifespan = events = asyncio.Queue()
            done = asyncio.get_running_loop().create_future()

            async def send(message):
                if not done.done():
                    done.set_result(message)
                elif message["type"].startswith("lifespan.shutdown"):
                    self._stopped.set()

            async def run():
                scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
                try:
                    await self._app(scope, events.get, send)
                except Exception:
                    pass  # it knows no lifespan, which the standard allows
                finally:
                    self._lifespan = None
                    self._stopped.set()
                    if not done.done():
                        done.set_result({"type": "none"})

            self._stopped = asyncio.Event()
            self._task = asyncio.ensure_future(run())
            await events.put({"type": "lifespan.startup"})
            return await done

        answer = calls.resolve(begin())
        if answer["type"] == "lifespan.startup.failed":
            raise SystemExit("the application did not start: " + (answer.get("message") or "it gives no reason"))

    def stop(self):
        """Runs the application's shutdown, for at most two seconds."""
        import asyncio

        async def end():
            if self._lifespan is not None:
                await self._lifespan.put({"type": "lifespan.shutdown"})
                try:
                    await asyncio.wait_for(self._stopped.wait(), 2)
                except asyncio.TimeoutError:
                    pass

        calls.resolve(end())

    def __call__(self, request, ctx):
        import asyncio

        loop = calls.loop()
        out = SimpleQueue()  # messages of the application; an exception or None at its end
        room = gone = None  # of the loop: room for parts not taken yet, and whether the answer is over
        inbox = [{"type": "http.request", "body": request.body, "more_body": False}]

        async def receive():
            if inbox:
                return inbox.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.body" and not gone.is_set():
                await room.acquire()
            if gone.is_set():
                room.release()  # nobody listens; the next one who waits goes on too
                await asyncio.sleep(0)  # lets the application hear of it
            else:
                out.put(message)

        async def run():
            nonlocal room, gone
            room, gone = asyncio.Semaphore(16), asyncio.Event()
            try:
                await self._app(self._scope(request, ctx), receive, send)
                out.put(None)
            except BaseException as error:
                out.put(error)

        def leave():
            loop.call_soon_threadsafe(lambda: (gone.set(), room.release()))

        asyncio.run_coroutine_threadsafe(run(), loop)
        try:
            head = take(out, "http.response.start")
            headers = [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in head.get("headers", ())]
            first = take(out, "http.response.body")
        except BaseException:
            leave()
            raise
        if not first.get("more_body"):
            leave()
            return Response(bytes(first.get("body", b"")), head["status"], headers)

        def parts():
            part = first
            try:
                while True:
                    yield bytes(part.get("body", b""))
                    loop.call_soon_threadsafe(lambda: room.release())
                    if not part.get("more_body"):
                        return
                    part = take(out, "http.response.body")
            finally:
                leave()

        if request.method == "HEAD":
            stream = parts()
            next(stream)
            stream.close()
            return Response(b"", head["status"], headers)
        return Response(parts(), head["status"], headers)

    def _scope(self, request, ctx):
        name, port = address(request)
        fields = [(field.encode("latin-1"), value.encode("latin-1")) for field in request.headers for value in request.headers.get_all(field)]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(request.path),
            "raw_path": request.path.encode("latin-1"),
            "query_string": request.query_string.encode("latin-1"),
            "root_path": "",
            "headers": fields,
            "client": (ctx.client_ip, 0) if ctx.client_ip else None,
            "server": (name, int(port)),
            "state": dict(self._state),
            "extensions": {},
            "anyfaas.context": ctx,
        }


def take(out, kind):
    """The next message of an application, which must be of a kind."""
    message = out.get()
    if isinstance(message, BaseException):
        raise message
    if message is None or message["type"] != kind:
        raise RuntimeError(f"the ASGI application sent {message['type'] if message else 'nothing more'} instead of {kind}")
    return message
