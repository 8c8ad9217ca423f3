#!/usr/bin/python3
"""What an <amp-list> asks for: one GET, answered with JSON {"items":[...]}."""
import json
import os
import sys


def answer(head, data):
    print(head + "Content-Type: application/json\n\n" + json.dumps(data))
    sys.exit()


if os.environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
    answer("Status: 405 Method Not Allowed\nAllow: GET, HEAD\n",
           {"error": {"code": "bad-method", "message": "GET alone."}})

answer("", {"items": [
    {"title": "Tea", "price": "2.50"},
    {"title": "Crème brûlée", "price": "4.00"},
    {"title": '"Black \\ White" cake', "price": "3.20"},
]})
