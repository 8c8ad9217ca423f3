"""Refusal and preflight, beside the plainest loop of libfcgi's."""
import os
import statistics

from bench_book import AT_LEAST, AT_MOST
from bench_count import PARTS
from bench_place import ORIGIN, REFUSED
from bench_web import Load, Web, many, ratios, rounds, sender

TITLE = "Refusal and preflight, by a plain libfcgi loop with a fixed 403"
CONNECTIONS = (1, 16, 256)
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
WORDS = {"refuse": "a refusal", "preflight": "a preflight"}


def start(place):
    """Both, with as many threads, behind one nginx."""
    front = place.front("front")
    quiet = place.front("quiet", level="warning")
    threads = len(os.listdir(f"/proc/{front.pid}/task")) - 1
    plain = place.plain("plain", threads)
    web = Web(place)
    for name in ("front", "quiet", "plain"):
        web.fastcgi(name)
        web.fastcgi(f"kept-{name}", name, max(CONNECTIONS))
    web.start()
    return web, {"front": front, "quiet": quiet, "plain": plain}


def loads(web, servers):
    """Kept connections leave a loop without a thread for every one more: at
    256 the plain one is not asked for that."""
    def load(name, n, headers, good):
        server = servers[name.removeprefix("kept-")]
        return Load(web.url(name), n, headers, good, [server])

    refuse = sender(REFUSED)
    made = {(name, n): load(name, n, refuse, 403) for n in CONNECTIONS
            for name in ("front", "plain", "kept-front", "kept-plain")
            if n < 256 or name != "kept-plain"}
    made["quiet", 16] = load("quiet", 16, refuse, 403)
    made["preflight", 16] = load("front", 16, PREFLIGHT, 204)
    return made


def here(got, a, b):
    rates = [statistics.median(r["rate"] for r in got[x]) for x in (a, b)]
    return "{:.0f} and {:.0f} a second".format(*rates)


def timed(book, got):
    for n in CONNECTIONS:
        book.heading(f"Requests a second, {many(n)}")
        for what, a, b, goal, picture in (
                ("fresh", "front", "plain", (AT_LEAST, 1.0), "fresh"),
                ("kept, by the plain loop's fresh", "kept-front", "plain",
                 (AT_LEAST, 1.4), "kept, by its fresh"),
                ("kept on both sides", "kept-front", "kept-plain", None,
                 None)):
            a, b = (a, n), (b, n)
            if b in got:
                book.ratio(what, ratios(got, a, b), goal,
                           here(got, a, b),
                           picture and f"refusal, {picture}, {many(n)}")
    book.heading(f"The same of others, {many(16)}")
    plain = ("plain", 16)
    book.ratio("a preflight, fresh",
               ratios(got, ("preflight", 16), plain), (AT_LEAST, 1.0),
               here(got, ("preflight", 16), plain),
               f"preflight, fresh, {many(16)}")
    book.ratio("a refusal that is not logged, fresh",
               ratios(got, ("quiet", 16), plain))
    book.heading(f"A refusal, fresh, {many(16)}")
    for what, name in (("CPU a request", "cpu"), ("99th percentile", "p99")):
        book.ratio(what, ratios(got, ("front", 16), plain, name))


def counted(place, book):
    book.heading("Counted, a request")
    names = ("refuse", "refuse-kept", "refuse-quiet", "preflight",
             "preflight-kept", "plain", "plain-kept")
    subjects = {n: PARTS[n](place) for n in names}
    calls = {n: sum(s.calls()[0].values()) for n, s in subjects.items()}
    work = {n: s.instructions() for n, s in subjects.items()}
    for name in names:
        book.one(f"{name}: system calls", calls[name])
        book.one(f"{name}: instructions", work[name])
    for name in ("refuse", "preflight"):
        book.ratio(f"{name}: system calls, by the plain loop's",
                   [round(calls[name]) / round(calls["plain"])],
                   (AT_MOST, 1.0), picture=f"{WORDS[name]}: system calls")
        book.ratio(f"{name}: instructions, by the plain loop's",
                   [work[name] / work["plain"]], (AT_MOST, 1.25),
                   picture=f"{WORDS[name]}: instructions")


def measure(place, book, args):
    book.begin("refuse", TITLE)
    web, servers = start(place)
    timed(book, rounds(place, loads(web, servers), args))
    counted(place, book)
