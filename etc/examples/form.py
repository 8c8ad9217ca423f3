#!/usr/bin/python3
"""What an <amp-form> sends to: a POST of application/x-www-form-urlencoded
with the field "comment".  Answered with 200, or with 422 and what is wrong."""
import json
import os
import sys
from urllib.parse import unquote_to_bytes

LIMIT = 4096


def answer(status, data):
    print(f"Status: {status}\nContent-Type: application/json\n\n"
          + json.dumps(data))
    sys.exit()


def fail(status, code, message):
    answer(status, {"error": {"code": code, "message": message}})


def decoded(part):
    return unquote_to_bytes(part.replace(b"+", b" "))


def field(body, name):
    """The bytes of the first field of a name."""
    for pair in body.split(b"&"):
        key, _, value = pair.partition(b"=")
        if decoded(key) == name:
            return decoded(value)
    return b""


def main(env):
    if env["REQUEST_METHOD"] != "POST":
        fail("405 Method Not Allowed\nAllow: POST", "bad-method",
             "POST alone.")
    kind = env.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        fail("415 Unsupported Media Type", "bad-type", "A form alone.")
    length = int(env.get("CONTENT_LENGTH") or 0)
    if length > LIMIT:
        fail("413 Content Too Large", "too-large", "That is too long.")
    body = sys.stdin.buffer.read(length)
    try:
        comment = field(body, b"comment").decode()
    except UnicodeDecodeError:
        comment = ""
    if not 1 <= len(comment) <= 200:
        fail("422 Unprocessable Content", "bad-comment",
             "Please write 1 to 200 characters.")
    # Here it would be kept.
    answer("200 OK", {"comment": comment,
                      "sender": env.get("AMP_CORS_SENDER")})


main(os.environ)
