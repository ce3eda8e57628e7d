"""Counts words: of what is sent, and of every text that is stored."""

import json
import os
import re
import urllib.parse
import urllib.request
from collections import Counter


def words(request, ctx):
    """POST /words with a text answers its count at once."""
    return count(request.text)


def stored(event, ctx):
    """Counts a stored text and hands the count on through the queue."""
    key = event["data"]["key"]
    url = os.environ["BUCKET_TEXTS_URL"] + "/" + urllib.parse.quote(key)
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode("utf-8", "replace")
    name = key.removeprefix("in/").removesuffix(".txt")
    message = json.dumps({"name": name, **count(text)}).encode()
    with urllib.request.urlopen(os.environ["QUEUE_COUNTS_URL"], message, timeout=5):
        ctx.log.info("counted", name=name)


def count(text):
    found = re.findall(r"\w+", text.lower())
    common = sorted(Counter(found).items(), key=lambda item: (-item[1], item[0]))
    return {"words": len(found), "common": [word for word, _ in common[:3]]}
