"""Memory: the proportional set size of all processes of a server."""
import re
from contextlib import ExitStack
from pathlib import Path

from bench_book import BELOW
from bench_count import connect, request, scripts, variables
from bench_place import ALLOWED, REFUSED, children, end, until
from bench_web import Load, Web, sender, tree

TITLE = "Memory: PSS of all processes, by fcgiwrap's with 8 workers"
NOTES = ("handlers are not counted; the load is refusals, and the tiny "
         "program, of 64 connections",)
CONCURRENT = 256


def pss(process, whole=True):
    """KiB."""
    kib = 0
    for pid in tree(process.pid) if whole else [process.pid]:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kib += int(re.search(r"^Pss: *(\d+) kB", text, re.M)[1])
    return kib


def loaded(place, process, name, script):
    """PSS idle, and when a load has gone."""
    idle = pss(process)
    web = Web(place, f"web-{name}")
    web.fastcgi(name, script=script)
    web.start()
    if name != "fcgiwrap":
        Load(web.url(name), 64, sender(REFUSED), 403).run(place, 1)
    Load(web.url(name), 64, sender()).run(place, 1)
    end(web.process)
    until(lambda: len(tree(process.pid)) in (1, 9), f"{name} is idle")
    return idle, pss(process)


def concurrent(place, threads, queue):
    """So many requests at once, of which as many run as there are threads."""
    slow = place.compile("slow", "-static")
    process = place.front(
        f"at-once-{threads}", f"exec = {slow}\nkill_grace = 0",
        threads=f"{threads}\nqueue = {queue}\nstop_grace = 0")
    path = place.socket(f"at-once-{threads}")
    data = request(variables(ALLOWED), False)
    with ExitStack() as stack:
        for _ in range(CONCURRENT):
            s = stack.enter_context(connect(path))
            s.sendall(data)
        until(lambda: len(children(process.pid)) == threads
              and not unread(path), "all of them")
        kib = pss(process, False)
        end(process)
    return kib


def unread(path):
    """Does a connection still wait to be accepted?"""
    for line in Path("/proc/net/unix").read_text().splitlines():
        words = line.split()
        if len(words) == 8 and words[7] == str(path) and words[5] == "02":
            return True
    return False


def measure(place, book, args):
    book.begin("memory", TITLE, *NOTES)
    www = scripts(place)
    fcgiwrap = place.fcgiwrap("fcgiwrap")
    before, after = loaded(place, fcgiwrap, "fcgiwrap", www / "tiny")
    end(fcgiwrap)

    def row(what, kib, limit):
        book.ratio(what, [kib / limit], (BELOW, 1.0),
                   f"{kib} and {limit} KiB", what)

    for threads in (8, 64):
        name = f"front-{threads}"
        front = place.front(name, f"scripts = {www}", threads=threads)
        idle, used = loaded(place, front, name, www / "tiny")
        end(front)
        row(f"{threads} threads, idle", idle, before)
        row(f"{threads} threads, after a load", used, after)
    for threads in (8, 64, CONCURRENT):
        row(f"{CONCURRENT} requests at once, {threads} run",
            concurrent(place, threads, CONCURRENT - threads), after)
