"""Wrapping: the front before a CGI program, beside what runs it unguarded."""
import statistics

import bench_cgid
from bench_book import AT_LEAST, AT_MOST, BELOW
from bench_count import PARTS, scripts
from bench_place import Place
from bench_web import Load, Web, many, ratios, rounds, sender

TITLE = "Wrapping: the front before a CGI program, by fcgiwrap and others"
WORKERS = 8
FILES = {"tiny": "a static C program", "tiny.sh": "a dash script"}
WAYS = ("vfork", "posix_spawn")  # of the loops that only start and reap
GOALS = {"tiny": 1.6, "tiny.sh": 1.45}


def start(place: Place):
    """Behind nginx, each with as many workers."""
    www = scripts(place)
    servers = {"front": place.front("front", f"scripts = {www}",
                                    threads=WORKERS),
               "fcgiwrap": place.fcgiwrap("fcgiwrap", WORKERS)}
    starter = place.compile("starter", "-lfcgi", "-pthread")
    for way in WAYS:
        servers[way] = place.serve(way, [starter, place.socket(way), WORKERS,
                                         way])
    web = Web(place)
    for name in servers:
        for file in FILES:
            web.fastcgi(f"{name}-{file}", name, script=www / file)
    web.start()
    urls = {(name, file): web.url(f"{name}-{file}") for name in servers
            for file in FILES}
    for name, run in (("lighttpd", bench_cgid.lighttpd),
                      ("apache", bench_cgid.apache)):
        servers[name], url = run(place, www)
        urls |= {(name, file): f"{url}/{file}" for file in FILES}
    return urls, servers


def loads(urls, servers):
    return {(name, file, n): Load(url, n, sender(), 200, [servers[name]])
            for (name, file), url in urls.items() for n in (1, 16)
            if file == "tiny" or name in ("front", "fcgiwrap", "lighttpd")}


def here(got, a, b):
    rates = [statistics.median(r["rate"] for r in got[x]) for x in (a, b)]
    return "{:.0f} and {:.0f} a second".format(*rates)


def timed(book, got, file, n):
    book.heading(f"Before {FILES[file]}, {many(n)}")
    front = ("front", file, n)

    def row(what, name, goal=None, picture=True):
        other = (name, file, n)
        if other in got:
            book.ratio(f"requests a second, by {what}",
                       ratios(got, front, other), goal,
                       here(got, front, other),
                       f"{FILES[file]}, by {what}, {n}" * picture)

    row("fcgiwrap", "fcgiwrap", (AT_LEAST, GOALS[file]))
    row("lighttpd's mod_cgi", "lighttpd", (AT_LEAST, 1.0))
    row("Apache's mod_cgid", "apache", None, n > 1)
    for way in WAYS:
        row(f"{way} alone", way, None, False)
    other = ("fcgiwrap", file, n)
    book.ratio("99th percentile, by fcgiwrap's",
               ratios(got, front, other, "p99"), (BELOW, 1.0))
    other = ("vfork", file, n)  # what fcgiwrap has run is in no account
    if other in got:
        book.ratio("CPU a request, by vfork alone",
                   ratios(got, front, other, "cpu"))


def counted(place, book):
    book.heading("System calls a request; those of the program are its own "
                 "from execve on")
    for part, goal in (("wrap", (AT_MOST, 36)), ("fcgiwrap", None),
                       ("wrap-dash", None), ("fcgiwrap-dash", None)):
        own, others = (sum(c.values()) for c in PARTS[part](place).calls())
        book.one(f"{part}: the server's own", own)
        book.one(f"{part}: with the program's", own + others, "", goal)


def measure(place, book, args):
    book.begin("wrap", TITLE, f"{WORKERS} workers each; lighttpd and Apache "
               "stand for themselves, the others behind nginx")
    got = rounds(place, loads(*start(place)), args)
    for file in FILES:
        for n in (1, 16):
            timed(book, got, file, n)
    counted(place, book)
