"""Run with: python3 -m unittest"""

import hashlib
import hmac
import json
import random
import unittest
from types import SimpleNamespace
from unittest.mock import Mock, patch

import answers
import webhook

MESSAGE = {"id": "m1", "channel": "games", "user": "ada", "text": "/roll 2d6"}


def post(body, secret="s3cret"):
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    request = SimpleNamespace(body=body, headers={"x-signature-256": signature})
    with patch.dict("os.environ", WEBHOOK_SECRET="s3cret"), patch("webhook.publish") as publish:
        return webhook.receive(request, SimpleNamespace(log=Mock(), client_ip="127.0.0.1")), publish


class Webhook(unittest.TestCase):
    def test_a_signed_message_is_published_with_its_kind(self):
        reply, publish = post(json.dumps(MESSAGE).encode())
        self.assertEqual(reply, ({"accepted": "m1"}, 202))
        publish.assert_called_once_with({**MESSAGE, "kind": "command"})

    def test_a_wrong_signature_is_refused_before_anything_is_read(self):
        reply, publish = post(b"not even JSON", secret="guess")
        self.assertEqual(reply, ({"error": "the signature does not match"}, 401))
        publish.assert_not_called()

    def test_a_ping_is_answered(self):
        self.assertEqual(post(b'{"type": "ping"}')[0], {"answer": "pong"})

    def test_what_is_wrong_is_told(self):
        self.assertEqual(post(b"{")[0], ({"error": "the body is not JSON"}, 400))
        self.assertEqual(post(b'{"id": "m1"}')[0], ({"error": '"channel" must be a text'}, 400))
        sly = json.dumps({**MESSAGE, "channel": "../up"}).encode()
        self.assertEqual(post(sly)[0], ({"error": '"channel" may hold letters, digits, - and _ only'}, 400))


class Answers(unittest.TestCase):
    def test_dice(self):
        self.assertEqual(answers.reply("/roll 2d6", random.Random("m1")), "2 + 3 = 5")
        self.assertEqual(answers.reply("/roll 0d6", random.Random(1)), "say for instance /roll 2d6")

    def test_choices(self):
        self.assertEqual(answers.reply("/choose tea", random.Random(1)), "tea")
        self.assertEqual(answers.reply("/choose", random.Random(1)), "say for instance /choose tea coffee")

    def test_anything_else_is_helped(self):
        self.assertEqual(answers.reply("/what", random.Random(1)), "I know /roll 2d6, /choose tea coffee and /help")


if __name__ == "__main__":
    unittest.main()
