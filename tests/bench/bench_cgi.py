"""Plain CGI: whole processes, by the handler's alone."""
import os
import statistics

from bench_book import AT_MOST
from bench_count import Program, variables
from bench_place import ALLOWED, FRONT, HERE, REFUSED

TITLE = "Plain CGI: a whole process, by that of its handler alone"
RUNS = 100  # in a round
GOALS = {"filter": 2.2, "replace": 2.0}
NAMES = {"filter": "the front, filtering",
         "replace": "the front, exec_mode = replace",
         "refuse": "the front, refusing",
         "dash": "the check as a dash script"}


def programs(place):
    def front(sender, mode, status):
        ini = place.policy(mode, f"exec = {place.tiny()}\n"
                           f"exec_mode = {mode}")
        return Program(place, mode, [FRONT], {
            **variables(sender), "AMP_CORS_CONFIG": str(ini)}, status)

    return {"alone": Program(place, "alone", [place.tiny()],
                             variables(ALLOWED), 200),
            "filter": front(ALLOWED, "filter", 200),
            "replace": front(ALLOWED, "replace", 200),
            "refuse": front(REFUSED, "filter", 403),
            "dash": Program(place, "dash", [HERE / "check.sh", place.tiny()],
                            variables(ALLOWED), 200)}


def timed(place, found, args):
    """Microseconds of one process, a round."""
    timer = place.compile("timer")
    us = {name: [] for name in found}
    names = list(found)
    for i in range(args.rounds + 1):
        for name in names[i % len(names):] + names[:i % len(names)]:
            p = found[name]
            ns = place.command([timer, RUNS, *p.argv],
                               env={**os.environ, **p.env}).split()[0]
            us[name].append(float(ns) / 1e3)
    return {name: values[1:] for name, values in us.items()}


def measure(place, book, args):
    book.begin("cgi", TITLE)
    found = programs(place)
    us = timed(place, found, args)
    alone = statistics.median(us["alone"])
    for name, what in NAMES.items():
        limit = GOALS.get(name)
        book.ratio(f"time, {what}",
                   [a / b for a, b in zip(us[name], us["alone"])],
                   limit and (AT_MOST, limit),
                   f"{statistics.median(us[name]):.0f} and {alone:.0f} us",
                   f"time: {what}", True)
    book.heading("Counted, a process and what it starts")
    for name, what in {"alone": "the handler alone", **NAMES}.items():
        book.one(f"{what}: system calls",
                 sum(sum(c.values()) for c in found[name].calls()))
        book.one(f"{what}: instructions", found[name].instructions())
