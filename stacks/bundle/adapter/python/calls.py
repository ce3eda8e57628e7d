"""Calls a user's handlers: plain or async, http or event, one or in batches."""

import json
import threading

from .contract import Event, Log, Response, describe

_loop = None
_loop_lock = threading.Lock()


def loop():
    """The one event loop, in a thread of its own, on which async handlers run
    while calls arrive on many threads."""
    global _loop
    with _loop_lock:
        if _loop is None:
            import asyncio

            _loop = asyncio.new_event_loop()
            threading.Thread(target=run, args=(_loop,), name="anyfaas-loop", daemon=True).start()
    return _loop


def run(loop):
    """Runs the loop for good: sys.exit in a task of the user's would end it, and
    with it every other call."""
    while True:
        try:
            loop.run_forever()
        except BaseException as error:
            Log("").error("unhandled error", error=describe(error))


def resolve(value):
    """Waits for an awaitable; returns anything else as it is."""
    if not hasattr(value, "__await__"):
        return value
    import asyncio

    async def wait():
        try:
            return await value, None
        except BaseException as error:  # not past this task: sys.exit would stop the loop
            return None, error

    result, error = asyncio.run_coroutine_threadsafe(wait(), loop()).result()
    if error is not None:
        raise error
    return result


def chunks(body):
    """Iterates over a streaming body, plain or async."""
    if hasattr(body, "__anext__"):
        while True:
            try:
                yield resolve(body.__anext__())
            except StopAsyncIteration:
                return
    else:
        yield from body


def is_stream(body):
    return hasattr(body, "__next__") or hasattr(body, "__anext__")


class Answer:
    """What goes to the client: body is bytes, or an iterator of bytes and str."""

    __slots__ = ("status", "headers", "body")

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


ERROR = (500, b'{"message":"Internal Server Error"}')
JSON_HEADERS = [("content-type", "application/json")]


def answer_of(result):
    """Makes an answer of what an http handler returned: a Response, a dict with
    status, a (body, status, headers) tuple, or just the body."""
    status, headers, body = 200, None, result
    if isinstance(result, Response):
        status, headers, body = result.status, result.headers, result.body
    elif isinstance(result, dict):
        if "status" in result and result.keys() <= {"status", "headers", "body"}:
            status, headers, body = result["status"], result.get("headers"), result.get("body")
    elif isinstance(result, tuple):
        if not 2 <= len(result) <= 3:
            raise TypeError(f"an http handler may return (body, status) or (body, status, headers), not {len(result)} values")
        body, status = result[0], result[1]
        headers = result[2] if len(result) == 3 else None
    elif result is None:
        status = 204
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise TypeError(f"the status of a response must be a number from 200 to 599, not {status!r}")

    pairs, has_type = [], False
    if headers:
        for name, value in headers.items() if hasattr(headers, "items") else headers:
            name = str(name).lower()
            has_type = has_type or name == "content-type"
            for one in value if isinstance(value, (list, tuple)) else (value,):
                one = str(one)
                if "\n" in one or "\r" in one or "\n" in name or "\r" in name:
                    raise ValueError(f"the response header {name!r} holds a line break")
                pairs.append((name, one))

    kind = None
    if body is None:
        body = b""
    elif isinstance(body, str):
        body, kind = body.encode(), "text/plain; charset=utf-8"
    elif isinstance(body, (bytes, bytearray, memoryview)):
        body, kind = bytes(body), "application/octet-stream"
    elif is_stream(body):
        kind = "application/octet-stream"
    else:
        try:
            body, kind = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"
        except TypeError as error:
            raise TypeError(f"an http handler must return a response, text, bytes or a JSON value, not {type(result).__name__}: {error}") from None
    if kind is not None and not has_type:
        pairs.append(("content-type", kind))
    return Answer(status, pairs, body)


def call_http(handler, request, ctx):
    try:
        return answer_of(resolve(handler(request, ctx)))
    except BaseException as error:  # sys.exit fails the call, not the worker
        ctx.log.error("unhandled error", error=describe(error))
        return Answer(ERROR[0], JSON_HEADERS, ERROR[1])


def call_events(handler, batch, events, ctx, ordered):
    """Hands events to the handler and returns the ids of those to deliver again.
    Ordered events stop at the first failure; async handlers of unordered ones
    run at the same time, up to ten."""
    if batch is not None:
        return call_batch(batch, events, ctx)
    failed = set()

    def failure(event, error):
        failed.add(event.get("id"))
        ctx.log.error("event failed", id=event.get("id"), error=describe(error))

    if ordered or len(events) == 1 or not is_async(handler):
        for number, event in enumerate(events):
            try:
                resolve(handler(event, ctx))
            except BaseException as error:
                failure(event, error)
                if ordered:
                    failed.update(rest.get("id") for rest in events[number:])
                    break
    else:
        import asyncio

        async def together():
            limit = asyncio.Semaphore(10)

            async def one(event):
                async with limit:
                    try:
                        await handler(event, ctx)
                    except BaseException as error:
                        failure(event, error)

            await asyncio.gather(*(one(event) for event in events))

        resolve(together())
    return [event.get("id") for event in events if event.get("id") in failed]


def is_async(handler):
    import inspect

    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))


def call_batch(batch, events, ctx):
    ids = [event.get("id") for event in events]
    try:
        result = resolve(batch(events, ctx))
        if result is None:
            return []
        if not isinstance(result, dict) or not isinstance(result.get("failures"), (list, tuple, set)):
            raise TypeError('a batch handler must return None or {"failures": [event ids]}')
        return [one for one in ids if one in result["failures"]]
    except BaseException as error:
        ctx.log.error("batch failed", ids=ids, error=describe(error))
        return ids


def events_of(value):
    return [Event(one) for one in value] if isinstance(value, list) else [Event(value)]
