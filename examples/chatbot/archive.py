"""Every message is kept and can be read again."""

import chats


def keep(event, ctx):
    """Keeps one message."""
    message = event["data"]["body"]
    chats.write(f"{message['channel']}/{message['id']}.1-message.json", {"user": message["user"], "text": message["text"]})


def read(request, ctx):
    """GET /channels/{channel}: its messages and the bot's answers, by message id."""
    return {"messages": [chats.read(key) for key in chats.keys(ctx.params["channel"] + "/")]}
