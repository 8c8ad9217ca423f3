"""Calls of libc that fail in a running front: what tests/helpers/failing.c
reads, written by the tests."""

import contextlib
import ctypes
import errno
import mmap
import os

RULES = 32


class Rule(ctypes.Structure):
    """struct rule of failing.c"""

    _fields_ = [("function", ctypes.c_char * 24), ("on", ctypes.c_uint32),
                ("error", ctypes.c_uint32), ("first", ctypes.c_uint32),
                ("every", ctypes.c_uint32), ("chance", ctypes.c_uint32),
                ("most", ctypes.c_uint32), ("calls", ctypes.c_uint32),
                ("hits", ctypes.c_uint32), ("dice", ctypes.c_uint64)]


class Plan:
    """The plan of one front, also while it runs."""

    def __init__(self, path, helper):
        self.path = path
        self.library = helper / "failing.so"
        size = RULES * ctypes.sizeof(Rule)
        path.write_bytes(bytes(size))
        path.chmod(0o666)
        fd = os.open(path, os.O_RDWR)
        self.map = mmap.mmap(fd, size)
        os.close(fd)
        self.rules = (Rule * RULES).from_buffer(self.map)
        self.used = 0

    def env(self):
        return {"LD_PRELOAD": str(self.library),
                "FAILING_PLAN": str(self.path)}

    def add(self, function, error=None, first=1, every=0, chance=0, most=1,
            seed=1):
        """The call `first` of it fails, and then each one of `every`, or
        all with a chance in a million; without an error it is cut short."""
        rule = self.rules[self.used]
        self.used += 1
        rule.function = function.encode()
        rule.error = getattr(errno, error) if error else 0
        rule.first, rule.every, rule.chance = first, every, chance
        rule.most, rule.dice = most, seed * 0x9E3779B97F4A7C15 % (1 << 64)
        rule.calls = rule.hits = 0
        rule.on = 1
        return rule

    def clear(self):
        """No call fails any more. How many did?"""
        hits = 0
        for rule in self.rules:
            rule.on = 0
            hits += rule.hits
            rule.hits = 0
        self.used = 0
        return hits

    @contextlib.contextmanager
    def failing(self, *what, **more):
        rule = self.add(*what, **more)
        try:
            yield rule
        finally:
            rule.on = 0
            self.used -= 1
