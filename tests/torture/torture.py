"""What the torture tests share: which allocations are refused, and what no
program may do then (see refuse.c)."""

import os
import re
import struct
from pathlib import Path

LAST = 2**64 - 1
# How many allocations of a run are tried, spread evenly from the first to the
# last, or each of them where there are no more; 0: always each.
POINTS = int(os.environ.get("TORTURE_POINTS", "0"))

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1:exitcode=99",
    # libcrypto loses a little of its own where memory is refused
    "LSAN_OPTIONS": "print_suppressions=0:suppressions="
                    + str(Path(__file__).resolve().with_name("leaks")),
    "UBSAN_OPTIONS": "print_stacktrace=1",
}
BAD = [
    (rb"ERROR: \w+Sanitizer.*", "a sanitizer's report"),
    (rb"runtime error: .*", "undefined behaviour"),
    (rb"not ok \d+ - LET IN: .*", "let in"),
]


class Control:
    """The four numbers that a program shares with us."""

    def __init__(self, folder):
        self.path = Path(folder, "control")
        self.path.write_bytes(bytes(32))
        self.path.chmod(0o666)

    def env(self):
        return {**SANITIZERS, "TORTURE": str(self.path)}

    def _put(self, offset, *numbers):
        with open(self.path, "r+b") as f:
            f.seek(offset)
            f.write(struct.pack(f"={len(numbers)}Q", *numbers))

    def _get(self, place):
        return struct.unpack("=4Q", self.path.read_bytes())[place]

    def refuse(self, first, last):
        """From now on, the first one to come being 1."""
        asked = self.asked()
        self._put(8, asked + first, min(asked + last, LAST))

    def spare(self):
        """No more."""
        self._put(8, 0, 0)

    def asked(self):
        return self._get(0)

    def refused(self):
        return self._get(3)


def spread(total, points=POINTS):
    """So many numbers from 1 to total, both of them included."""
    if points == 0 or points >= total:
        return list(range(1, total + 1))
    return sorted({1 + i * (total - 1) // (points - 1)
                   for i in range(points)})


def cases(total, points=POINTS):
    """Each of them refused alone, and with all behind it."""
    return [(n, last) for n in spread(total, points) for last in (n, LAST)]


def named(case, total):
    n, last = case
    return f"{n} of {total} {'alone' if n == last else 'and all behind'}"


def fault(said):
    """What a program said that none may say; None: nothing."""
    for pattern, name in BAD:
        found = re.search(pattern, said)
        if found:
            return f"{name}: {found[0].decode(errors='replace')}"
    return None
