"""Run with: python3 -m unittest"""

import json
import unittest
from types import SimpleNamespace
from unittest.mock import Mock

import api


def call(method, params=None, query=None, body=""):
    request = SimpleNamespace(method=method, query=query or {}, json=lambda: json.loads(body))
    return api.handler(request, SimpleNamespace(params=params or {}, log=Mock()))


class Greetings(unittest.TestCase):
    def test_get_takes_the_name_from_the_path(self):
        self.assertEqual(call("GET", {"name": "Ada"}, {"language": ["fr"]}), {"greeting": "Bonjour, Ada!"})

    def test_post_takes_the_name_from_the_body(self):
        self.assertEqual(call("POST", body='{"name": "Ada"}'), {"greeting": "Hello, Ada!"})

    def test_what_is_wrong_is_told(self):
        self.assertEqual(call("POST", body="{"), ({"error": "the body is not JSON"}, 400))
        self.assertEqual(call("POST", body="{}"), ({"error": '"name" must be a text'}, 400))


if __name__ == "__main__":
    unittest.main()
