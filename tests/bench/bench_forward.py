"""Forwarding: the front before PHP-FPM, by PHP-FPM alone."""
import statistics

from bench_book import AT_LEAST
from bench_count import PARTS, PHP
from bench_place import HERE, ROOT
from bench_web import Load, Web, many, ratios, rounds, sender

TITLE = "Forwarding: the front before PHP-FPM, by PHP-FPM alone"
CONNECTIONS = 16
# Every connection that is kept occupies a process: those of nginx, of the
# other nginx, and of the front.
WORKERS = 3 * CONNECTIONS


def files(place):
    """PHP's three: the least, the list, and the check before the list."""
    place.script("tiny.php", PHP, 0o644)
    for name, path in (("list.php", ROOT / "etc/examples/list.php"),
                       ("snippet.php", HERE / "snippet.php")):
        place.script(name, path.read_text(), 0o644)
    return place.path


def root(place):
    """What the snippet looks for its list by."""
    return f"fastcgi_param DOCUMENT_ROOT {place.path};"


def start(place):
    """Direct, through the front, and through one more nginx: fresh and
    kept."""
    tiny = files(place) / "tiny.php"
    servers = {"php": place.fpm("php", WORKERS),
               "behind": place.fpm("behind", WORKERS),
               "front": place.forwarding("front", "behind"),
               "keeper": place.forwarding("keeper", "behind", CONNECTIONS)}
    hop = Web(place, "hop")
    hop.fastcgi("hop", "php", script=tiny)
    hop.fastcgi("kept-hop", "php", CONNECTIONS, tiny)
    hop.listen("hop")
    servers["hop"] = hop.process
    web = Web(place)
    for name, behind, keep in (
            ("php", "php", 0), ("front", "front", 0),
            ("kept-php", "php", CONNECTIONS),
            ("kept-front", "keeper", CONNECTIONS)):
        web.fastcgi(name, behind, keep, tiny)
    for name in ("list", "snippet"):
        web.fastcgi(name, "php", 0, place / f"{name}.php", root(place))
    web.fastcgi("front-list", "front", 0, place / "list.php")
    web.proxy("hop", "hop")
    web.proxy("kept-hop", "hop", CONNECTIONS)
    return web.start()


def loads(web):
    """By name and connections."""
    made = {(name, n): Load(web.url(name), n, sender())
            for name in ("php", "front", "hop", "kept-php", "kept-front",
                         "kept-hop") for n in (1, CONNECTIONS)}
    made |= {(name, CONNECTIONS): Load(web.url(name), CONNECTIONS, sender())
             for name in ("list", "snippet", "front-list")}
    return made


def timed(book, got, n):
    book.heading(f"Requests a second, {many(n)}")

    def row(what, a, b, goal=None, picture=None):
        rates = [statistics.median(r["rate"] for r in got[x, n])
                 for x in (a, b)]
        book.ratio(what, ratios(got, (a, n), (b, n)), goal,
                   "{:.0f} and {:.0f} a second".format(*rates), picture)

    row("fresh, by PHP-FPM alone", "front", "php", (AT_LEAST, 0.8),
        f"fresh by fresh, {many(n)}")
    row("kept on both sides, by fresh alone", "kept-front", "php",
        (AT_LEAST, 1.0), f"kept by fresh, {many(n)}")
    row("kept on both sides, by kept alone", "kept-front", "kept-php", None,
        f"kept by kept, {many(n)}")
    row("fresh, by one more nginx before it", "front", "hop")
    row("kept, by one more nginx before it", "kept-front", "kept-hop")
    if ("list", n) in got:
        row("PHP's own check, by none", "snippet", "list")
        row("fresh, by PHP's own check", "front-list", "snippet", None,
            f"fresh, by PHP's own check, {n}")


def counted(place, book):
    book.heading("Counted, a request (PHP's own is not)")
    for part in ("forward", "forward-kept"):
        server = PARTS[part](place)
        book.one(f"{part}: system calls", sum(server.calls()[0].values()))
        book.one(f"{part}: instructions", server.instructions())


def measure(place, book, args):
    book.begin("forward", TITLE, f"{WORKERS} processes of PHP-FPM's each")
    got = rounds(place, loads(start(place)), args)
    for n in (1, CONNECTIONS):
        timed(book, got, n)
    counted(place, book)
