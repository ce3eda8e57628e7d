"""HTTP/1.1 over a unix socket or a loopback port, one thread for each connection.

The other side is always our own host, which keeps few connections open for long;
so this does what that needs, and does it with little work per request.
"""

import os
import signal
import socket
import threading
import zlib

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 500: "Internal Server Error", 503: "Service Unavailable"}
LONGEST_HEAD = 1 << 20


class BadRequest(Exception):
    """The request cannot be read."""


class Incoming:
    """A request as it came: fields are (lower-case name, value) pairs."""

    __slots__ = ("method", "target", "fields", "own", "body", "close")


class Connection:
    def __init__(self, sock, server):
        self._sock = sock
        self._server = server
        self._buffer = b""

    def run(self):
        server = self._server
        try:
            while True:
                if not self._buffer and not self._wait() or not server.enter(self):
                    return
                close = True
                try:
                    incoming = self._read()
                    close = server.handle(incoming, self) or incoming.close
                except BadRequest as error:
                    server.refused(str(error))
                    self.reply("GET", 400, [("content-type", "application/json")], b'{"message":"Bad Request"}', True)
                finally:
                    close = server.leave(self) or close
                if close:
                    return
        except (ConnectionError, TimeoutError, OSError):
            pass  # the host went away, or gave up on this call
        finally:
            server.forget(self)
            self._sock.close()

    def hang_up(self):
        """Ends the connection while it waits for a request."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _more(self):
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError("closed in the middle of a request")
        self._buffer += data

    def _wait(self):
        """Waits for the next request; false at the end of the connection."""
        self._buffer = self._sock.recv(65536)
        return len(self._buffer) > 0

    def _read(self):
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > LONGEST_HEAD:
                raise BadRequest("the request head is too long")
            self._more()
        head, self._buffer = self._buffer[:end].decode("latin-1"), self._buffer[end + 4 :]
        lines = head.split("\r\n")
        request = Incoming()
        try:
            request.method, request.target, version = lines[0].split(" ")
        except ValueError:
            raise BadRequest("the request line is malformed") from None
        request.close = version != "HTTP/1.1"
        fields, own = [], {}
        length, chunked, encoded = 0, False, False
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            name, value = name.lower(), value.strip()
            if not colon:
                raise BadRequest("a header field is malformed")
            if name.startswith("anyfaas-"):
                own[name] = value
                continue
            if name == "content-length":
                if not value.isdecimal():
                    raise BadRequest("the content length is not a number")
                length = int(value)
            elif name == "transfer-encoding":
                chunked = "chunked" in value.lower()
            elif name == "content-encoding":
                encoded = value.lower() in ("gzip", "x-gzip")
            elif name == "connection":
                request.close = request.close or "close" in value.lower()
            elif name == "expect" and value.lower() == "100-continue":
                self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            fields.append((name, value))
        request.own = own
        request.body = self._chunks() if chunked else self._take(length) if length else b""
        if encoded and request.body:
            try:
                unzip = zlib.decompressobj(31)
                request.body = unzip.decompress(request.body) + unzip.flush()
            except zlib.error as error:
                raise BadRequest(f"the body is not gzip: {error}") from None
            if not unzip.eof:
                raise BadRequest("the body is not gzip: it ends too early")
            fields = [pair for pair in fields if pair[0] not in ("content-encoding", "content-length")]
        request.fields = fields
        return request

    def _take(self, size):
        if len(self._buffer) >= size:
            data, self._buffer = self._buffer[:size], self._buffer[size:]
            return data
        parts, missing = [self._buffer], size - len(self._buffer)
        self._buffer = b""
        while missing > 0:
            data = self._sock.recv(min(missing, 1 << 18))
            if not data:
                raise ConnectionError("closed in the middle of a body")
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def _line(self):
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _chunks(self):
        parts = []
        while True:
            try:
                size = int(self._line().split(b";")[0], 16)
            except ValueError:
                raise BadRequest("a chunk has no size") from None
            if size == 0:
                while self._line():
                    pass  # trailers
                return b"".join(parts)
            parts.append(self._take(size))
            self._line()

    def _head(self, status, headers):
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers if name not in ("content-length", "transfer-encoding", "connection")]
        return lines

    def reply(self, method, status, headers, body, close=False):
        """Sends a whole answer in one write."""
        lines = self._head(status, headers)
        if status != 204 and status != 304:
            size = len(body)
            if method == "HEAD" and not size:
                size = dict(headers).get("content-length", 0)
            lines.append(f"content-length: {size}")
        if close:
            lines.append("connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self._sock.sendall(head + body if body and method != "HEAD" and status not in (204, 304) else head)

    def stream(self, method, status, headers, parts):
        """Sends an answer part by part as it is made."""
        lines = self._head(status, headers)
        bodiless = method == "HEAD" or status in (204, 304)
        if not bodiless:
            lines.append("transfer-encoding: chunked")
        self._sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        if bodiless:
            return
        for part in parts:
            data = part.encode() if isinstance(part, str) else bytes(part)
            if data:
                self._sock.sendall(b"%x\r\n%b\r\n" % (len(data), data))
        self._sock.sendall(b"0\r\n\r\n")


class Server:
    """Listens on "unix:/path" or "host:port". handle(incoming, connection) answers
    a request and returns true to close the connection; refused(reason) is told of
    requests that cannot be read."""

    def __init__(self, listener, handle, refused):
        self.handle = handle
        self.refused = refused
        self._lock = threading.Lock()
        self._idle = set()
        self._busy = 0
        self._stopping = False
        self._done = threading.Event()
        if listener.startswith("unix:"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(listener[len("unix:") :])
        else:
            host, colon, port = listener.rpartition(":")
            if not colon or not port.isdecimal():
                raise SystemExit(f"ANYFAAS_LISTENER must be unix:/path or host:port, not {listener!r}")
            self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host.strip("[]"), int(port)))
        self._socket.listen(512)

    def serve(self):
        """Answers until SIGTERM came and the last answer is out. Called by the main
        thread. The system may hand the signal to any thread, which would not wake
        this one from a lock; the wake-up socket does."""
        awake, wake = socket.socketpair()
        wake.setblocking(False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._accept, name="anyfaas-accept", daemon=True).start()
        while signal.SIGTERM not in awake.recv(16):
            pass  # a signal of the user's own
        self.stop()
        self._done.wait()

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, self)
            with self._lock:
                if self._stopping:
                    sock.close()
                    return
                self._idle.add(connection)
            threading.Thread(target=connection.run, daemon=True).start()

    def stop(self):
        with self._lock:
            self._stopping = True
            idle, finished = list(self._idle), self._busy == 0
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept, which close does not
        except OSError:
            pass
        self._socket.close()
        for connection in idle:
            connection.hang_up()
        if finished:
            self._done.set()

    def enter(self, connection):
        """Counts a call; false when the server is stopping."""
        with self._lock:
            if self._stopping:
                return False
            self._idle.discard(connection)
            self._busy += 1
            return True

    def leave(self, connection):
        """Ends a call; true when the connection must end too."""
        with self._lock:
            self._busy -= 1
            self._idle.add(connection)
            if self._stopping and self._busy == 0:
                self._done.set()
            return self._stopping

    def forget(self, connection):
        with self._lock:
            self._idle.discard(connection)


def exit_with_parent(stream):
    """Ends the process when its input does: whoever started it is gone."""

    def wait():
        try:
            while os.read(stream.fileno(), 65536):
                pass
        except OSError:
            pass
        os._exit(0)

    threading.Thread(target=wait, name="anyfaas-parent", daemon=True).start()
