import asyncio
import time

from . import gate

seen = {"now": 0, "most": 0}
waiting = []


def stream():
    yield "first "
    gate.released()
    yield b"second"


def http(request, ctx):
    path = request.path
    if path == "/boom":
        raise ValueError("the secret cause")
    if path == "/bin":
        return {"status": 200, "headers": {"content-type": "image/png"}, "body": bytes([0, 255, 1, 254])}
    if path == "/empty":
        return None
    if path == "/not-modified":
        return {"status": 304, "headers": {"etag": '"1"'}}
    if path == "/cookies":
        return "ok", 200, {"set-cookie": ["a=1; Path=/; HttpOnly", "b=2"]}
    if path == "/redirect":
        return {"status": 302, "headers": {"location": "/echo"}}
    if path == "/invalid":
        return {1, 2}
    if path == "/text":
        return "héllo"
    if path == "/json":
        return {"ok": True}, 201
    if path == "/size":
        return {"size": len(request.body)}
    if path == "/context":
        return {
            "requestId": ctx.request_id,
            "params": ctx.params,
            "clientIp": ctx.client_ip,
            "function": ctx.function_name,
            "deadline": ctx.deadline is not None,
            "remaining": ctx.remaining_ms() > 0,
        }
    if path == "/log":
        ctx.log.debug("a debug line")
        ctx.log.info("an info line", order=7)
        return "logged"
    if path == "/stream":
        return {"status": 200, "headers": {"content-type": "text/plain"}, "body": stream()}
    if path == "/release":
        gate.release()
        return "released"
    if path == "/deadline":
        ctx.log.info("waiting " + ctx.request_id)
        while ctx.remaining_ms() > 0:
            time.sleep(0.01)
        return "stopped in time"
    return {
        "method": request.method,
        "path": path,
        "x": request.query.get("x", []),
        "body": request.text,
        "header": request.headers.get("X-Test"),
        "cookie": request.headers.get("cookie"),
        "encoding": request.headers.get("content-encoding"),
        "host": request.headers["host"],
        "internal": [name for name in request.headers if name.startswith("anyfaas-")],
    }


async def event(event, ctx):
    if event.type == "dev.anyfaas.invoke.v1":
        data = event.data
        if isinstance(data, dict) and data.get("most"):
            return seen["most"]
        if isinstance(data, dict) and data.get("boom"):
            raise ValueError("no such order")
        return None if data is None else {"got": data, "id": ctx.request_id}
    body = event.data["body"]
    ctx.log.info("event", id=event["id"], body=body)
    if body == "boom":
        raise ValueError("bad message " + event.id)
    if body == "meet":
        seen["now"] += 1
        seen["most"] = max(seen["most"], seen["now"])
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        if len(waiting) == 10:
            for one in waiting:
                one.set_result(None)
            waiting.clear()
        await turn
        seen["now"] -= 1
