"""The door: signed messages come in, and go on to whoever listens."""

import hashlib
import hmac
import json
import os
import urllib.request


def receive(request, ctx):
    """POST /webhook, signed in X-Signature-256 as "sha256=<hex of HMAC(secret, body)>".

    The signature is checked on the bytes as they came: parsing first and
    writing the JSON again would change them.
    """
    if not signed(request.body, request.headers.get("x-signature-256", ""), os.environ["WEBHOOK_SECRET"]):
        ctx.log.warn("signature refused", ip=ctx.client_ip)
        return {"error": "the signature does not match"}, 401
    try:
        message = parse(request.body)
    except ValueError as error:
        return {"error": str(error)}, 400
    if message["kind"] == "ping":
        return {"answer": "pong"}
    publish(message)
    return {"accepted": message["id"]}, 202


def signed(body, signature, secret):
    """Compares in constant time, so that a guess learns nothing from the delay."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def parse(body):
    """Returns the message with its kind: "ping", "command" or "text"."""
    try:
        given = json.loads(body)
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(given, dict):
        raise ValueError("the body must be a JSON object")
    if given.get("type") == "ping":
        return {"kind": "ping"}
    message = {}
    for key in ("id", "channel", "user", "text"):
        if not isinstance(given.get(key), str) or not given[key]:
            raise ValueError(f'"{key}" must be a text')
        message[key] = given[key]
    for key in ("id", "channel"):
        if not all(c.isalnum() or c in "-_" for c in message[key]):
            raise ValueError(f'"{key}" may hold letters, digits, - and _ only')
    message["kind"] = "command" if message["text"].startswith("/") else "text"
    return message


def publish(message):
    """Publishes to the topic; subscribers choose by the attribute "kind"."""
    request = urllib.request.Request(
        os.environ["TOPIC_MESSAGES_URL"],
        json.dumps(message).encode(),
        {"content-type": "application/json", "Anyfaas-Attribute-kind": message["kind"]},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=5):
        pass
