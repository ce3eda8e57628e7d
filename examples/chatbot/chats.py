"""The bucket of chats, through the URL that `uses` puts into the environment."""

import json
import os
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml


def write(key, value):
    call("PUT", "/" + urllib.parse.quote(key), json.dumps(value).encode())


def read(key):
    return json.loads(call("GET", "/" + urllib.parse.quote(key)))


def keys(prefix):
    """Returns the keys below a prefix, sorted, from the bucket's S3 listing."""
    found, token = [], None
    while True:
        query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        page = xml.fromstring(call("GET", "?" + urllib.parse.urlencode(query)))
        found += [e.text for e in page.iterfind("{*}Contents/{*}Key")]
        token = page.findtext("{*}NextContinuationToken")
        if not token:
            return sorted(found)


def call(method, path, body=None):
    request = urllib.request.Request(os.environ["BUCKET_CHATS_URL"] + path, body, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read()
