"""Answers to commands: /roll 2d6, /choose tea coffee, /help."""

import random
import re

import chats


def answer(event, ctx):
    """Answers one command. A message may come twice: the answer then replaces itself."""
    message = event["data"]["body"]
    text = reply(message["text"], random.Random(message["id"]))
    chats.write(f"{message['channel']}/{message['id']}.2-answer.json", {"user": "bot", "text": text})
    ctx.log.info("answered", channel=message["channel"], command=message["text"].split()[0])


def reply(text, dice):
    """Returns the answer to a command; dice is the source of chance."""
    command, *words = text.split()
    if command == "/roll":
        match = re.fullmatch(r"(\d{1,2})d(\d{1,3})", words[0] if words else "1d6")
        if not match or not int(match[1]) or not int(match[2]):
            return "say for instance /roll 2d6"
        rolls = [dice.randint(1, int(match[2])) for _ in range(int(match[1]))]
        return f"{' + '.join(map(str, rolls))} = {sum(rolls)}" if len(rolls) > 1 else str(rolls[0])
    if command == "/choose":
        return dice.choice(words) if words else "say for instance /choose tea coffee"
    return "I know /roll 2d6, /choose tea coffee and /help"
