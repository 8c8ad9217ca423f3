"""The policy core alone: what one decision takes."""
import random
import statistics

from bench_book import BELOW
from bench_count import FEW, MANY, total
from bench_place import ROOT, TOOL

TITLE = "A decision of the policy core, without any server"
DECISIONS = 100_000   # in a round
TIMES = 50            # more decisions are counted than requests
ASKED = 1000          # addresses that are asked for in turn


def libraries():
    """What the Makefile links: its archive, and the libraries'."""
    return ["-I", ROOT / "lib", "-pthread", ROOT / "build/libamp.a", "-lfcgi",
            "-liniparser", "-lcdb"]


def addresses(n):
    return [f"user{i}@site{i % 997}.example" for i in range(n)]


def lists(place):
    """(what, lines of the policy, limit in ns), each with its addresses."""
    some = addresses(1000)
    place.script("some.txt", "\n".join(some) + "\n", 0o644)
    yield "a list of 1,000 in memory", some, \
        f"senders_file = {place / 'some.txt'}", 1000
    million = addresses(1_000_000)
    place.script("million.txt", "\n".join(million) + "\n", 0o644)
    place.command([TOOL, "compile", place / "million.txt",
                   place / "million.cdb"])
    yield "a million in a cdb", million, \
        f"senders_cdb = {place / 'million.cdb'}", 10000


def asked(place, name, senders):
    return place.script(f"{name}.asked", "\n".join(senders) + "\n", 0o644)


class Core:
    def __init__(self, place, program, ini, file, good):
        self.place, self.good = place, good
        self.argv = [program, ini, file]

    def run(self, n, before=()):
        ns, allowed = self.place.command([*before, *self.argv, n]).split()
        assert int(allowed) == (n if self.good else 0), allowed
        return float(ns)

    def work(self, n):
        out = self.place / "callgrind.core"
        self.run(n, ["valgrind", "-q", "--tool=callgrind",
                     f"--callgrind-out-file={out}"])
        return total(out)

    def instructions(self):
        return ((self.work(TIMES * MANY) - self.work(TIMES * FEW))
                / TIMES / (MANY - FEW))


def measure(place, book, args):
    book.begin("core", TITLE)
    program = place.compile("core", *libraries())
    for what, senders, lines, limit in lists(place):
        ini = place.policy("core", lines, sender="nobody@nowhere.example")
        known = random.Random(5).sample(senders, min(ASKED, len(senders)))
        book.heading(f"With {what}")
        for word, names, good in (
                ("allowed", known, True),
                ("refused", [f"x{n}" for n in known], False)):
            core = Core(place, program, ini, asked(place, word, names), good)
            ns = [core.run(DECISIONS) for _ in range(args.rounds)]
            book.one(f"a decision: {word}", statistics.median(ns), "ns",
                     (BELOW, limit), low=min(ns), high=max(ns))
            if limit == 1000:  # valgrind would load the million for minutes
                book.one(f"a decision: {word}, instructions",
                         core.instructions())
