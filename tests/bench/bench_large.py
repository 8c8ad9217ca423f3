"""Large answers: as fast as what is between lets them."""
import os
import socket
import statistics
import sys
import time

import bench_cgid
from bench_book import AT_LEAST
from bench_count import FEW, MANY, Server, connect, request, variables
from bench_place import ALLOWED
from bench_web import Web

TITLE = "A large answer of a CGI program, by fcgiwrap and lighttpd's mod_cgi"
MIB = 1024
# nginx passes on what comes, and puts nothing into a file
PASSED_ON = "fastcgi_buffers 16 64k; fastcgi_max_temp_file_size 0;"


def drain(s, least):
    """Reads to the end of the connection, which is not before so many."""
    room = memoryview(bytearray(1 << 20))
    n = 0
    while k := s.recv_into(room):
        n += k
    if n < least:
        sys.exit(f"an answer of {n} bytes, not {least}")


def by_http(url):
    host, _, path = url.removeprefix("http://").partition("/")
    host, _, port = host.partition(":")
    with socket.create_connection((host, int(port)), 60) as s:
        s.sendall(f"GET /{path}?{MIB} HTTP/1.1\r\nHost: x\r\n"
                  f"Connection: close\r\nAMP-Email-Sender: {ALLOWED}\r\n\r\n"
                  .encode())
        drain(s, MIB << 20)


def by_fastcgi(path, program, mib=MIB):
    with connect(path) as s:
        s.sendall(request(variables(ALLOWED, SCRIPT_FILENAME=program,
                                    QUERY_STRING=mib), False))
        drain(s, mib << 20)


class Large(Server):
    """As many MiB as a counted server would get requests."""

    def run(self, n, before):
        server = self.start(self.name, before)
        by_fastcgi(self.place.socket(self.name), self.env, n)
        self.place.stop(server)


def start(place):
    program = place.compile("big", "-static")
    www = place / "www"
    www.mkdir()
    os.link(program, www / "big")
    web = Web(place)
    for name in ("front", "fcgiwrap"):
        web.fastcgi(name, script=www / "big", more=PASSED_ON)
    place.front("front", f"scripts = {www}")
    place.fcgiwrap("fcgiwrap")
    web.start()
    lighttpd = bench_cgid.lighttpd(place, www)[1]
    return www / "big", {
        "front": lambda: by_http(web.url("front")),
        "fcgiwrap": lambda: by_http(web.url("fcgiwrap")),
        "lighttpd": lambda: by_http(f"{lighttpd}/big"),
        "front alone": lambda: by_fastcgi(
            place.socket("front"), www / "big"),
        "fcgiwrap alone": lambda: by_fastcgi(
            place.socket("fcgiwrap"), www / "big")}


def timed(ways, args):
    """Seconds, by name and round."""
    got = {name: [] for name in ways}
    for i in range(max(1, args.rounds // 2)):
        for name in list(ways) if i % 2 == 0 else list(ways)[::-1]:
            began = time.monotonic()
            ways[name]()
            got[name].append(time.monotonic() - began)
    return got


def rows(book, got):
    def row(what, a, b, goal=None, picture=None):
        rates = [MIB / statistics.median(got[x]) for x in (a, b)]
        book.ratio(f"MiB a second, {what}",
                   [y / x for x, y in zip(got[a], got[b])], goal,
                   "{:.0f} and {:.0f} MiB a second".format(*rates), picture)

    row("by fcgiwrap", "front", "fcgiwrap", (AT_LEAST, 2.0),
        "by fcgiwrap, behind nginx")
    row("by lighttpd's own mod_cgi", "front", "lighttpd", None,
        "by lighttpd's mod_cgi")
    row("without nginx, by fcgiwrap", "front alone", "fcgiwrap alone", None,
        "by fcgiwrap, without nginx")


def counted(place, book, program):
    def front(name, before):
        return place.front(name, f"scripts = {program.parent}", before)

    def fcgiwrap(name, before):
        return place.fcgiwrap(name, 1, before)

    book.heading(f"System calls a MiB (of {MANY} less {FEW}), without nginx")
    for name, run in (("front", front), ("fcgiwrap", fcgiwrap)):
        own, others = Large(place, f"counted-{name}", run, program).calls()
        book.one(f"{name}: its own", sum(own.values()))
        book.one(f"{name}: the program's", sum(others.values()))


def measure(place, book, args):
    book.begin("large", TITLE, f"{MIB} MiB; the front and fcgiwrap behind "
               "nginx, which passes on what comes")
    program, ways = start(place)
    rows(book, timed(ways, args))
    counted(place, book, program)
