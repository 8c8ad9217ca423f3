"""Peers: the same job, with the same JSON, by others and by the front."""
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench_book import AT_MOST
from bench_forward import WORKERS, files, root
from bench_place import ALLOWED, HERE, ROOT
from bench_web import Load, Web, ratios, rounds, sender

TITLE = "Peers: the same job with the same JSON, behind the same nginx"
NOTES = ("kept connections everywhere; a request of version 2 by an allowed "
         "sender",
         "CPU is that of nginx and of all that is behind it",
         "of Express's, PHP alone, or to start a program, takes more than a "
         "third")
CONNECTIONS = 16
EXPRESS = ROOT / "build/bench/express"
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")

MAP = f"""
map $http_amp_email_sender $allowed {{
	"{ALLOWED}" $http_amp_email_sender;
	default "";
}}
"""

BY_MAP = """
location = /map {
	default_type application/json;
	if ($allowed = "") { return 403; }
	add_header AMP-Email-Allow-Sender $allowed always;
	add_header Vary "Origin, AMP-Email-Sender" always;
	return 200 '%s';
}
"""

# As etc/nginx-auth-request.conf does it, for what is asked here.
CHECK = """
location = /check {
	internal;
	include /etc/nginx/fastcgi_params;
	fastcgi_pass_request_body off;
	fastcgi_pass check;
	fastcgi_keep_conn on;
}
"""

CGI_HEAD = "Status: 200 OK\r\nContent-Type: application/json\r\n\r\n"

CHECKED = """
	auth_request /check;
	auth_request_set $amp_v2 $upstream_http_amp_email_allow_sender;
	auth_request_set $amp_vary $upstream_http_vary;
	add_header AMP-Email-Allow-Sender $amp_v2 always;
	add_header Vary $amp_vary always;
"""

FILE = """
location = /file {
	default_type application/json;
	alias %s;
	%s
}
"""

NAMES = {
    "express": "Express and the middleware",
    "map": "nginx's map, nothing behind it",
    "list": "PHP-FPM, no check at all",
    "snippet": "PHP-FPM doing the check",
    "php": "the front before PHP-FPM",
    "auth": "auth_request, then PHP-FPM",
    "file": "auth_request, then a file",
    "fastcgi": "the front before FastCGI in C",
    "c": "the front before CGI in C",
}


def install():
    """Express and the middleware, in the versions of the lock file."""
    wanted = (HERE / "express/package-lock.json").read_bytes()
    lock = EXPRESS / "package-lock.json"
    if (EXPRESS / "whole").exists() and lock.read_bytes() == wanted:
        return
    if not shutil.which("npm"):
        subprocess.run([ROOT / "tests/need", "nodejs", "npm"], check=True)
    shutil.rmtree(EXPRESS, ignore_errors=True)
    shutil.copytree(HERE / "express", EXPRESS)
    env = {"npm_config_cache": str(EXPRESS / "cache"),
           "npm_config_update_notifier": "false"}
    if TRUSTED.exists():  # node asks nobody but itself whom to trust
        env["NODE_EXTRA_CA_CERTS"] = str(TRUSTED)
    subprocess.run(["npm", "ci", "--loglevel=error", "--ignore-scripts",
                    "--no-audit", "--no-fund"], cwd=EXPRESS, check=True,
                   env={**env, **os.environ})
    shutil.rmtree(EXPRESS / "cache", ignore_errors=True)
    (EXPRESS / "whole").touch()


def backends(place, text):
    """What is behind nginx, by the names of its sockets."""
    files(place)
    program = place / "list"
    place.command(["gcc", "-O2", "-static", "-o", program,
                   ROOT / "etc/examples/list.c"])
    return {
        "express": place.serve(
            "express", ["node", EXPRESS / "server.js",
                        place.socket("express"), ALLOWED],
            env={**os.environ, "NODE_ENV": "production"}),
        "fpm": place.fpm("fpm", WORKERS),
        "behind": place.fpm("behind", WORKERS),
        "php": place.forwarding("php", "behind", CONNECTIONS),
        "c": place.front("c", f"exec = {program}"),
        "check": place.front("check", "handler = none"),
        "loop": place.plain("loop", WORKERS, answer=[CGI_HEAD + text]),
        "fastcgi": place.forwarding("fastcgi", "loop", CONNECTIONS)}


def start(place, text):
    servers = backends(place, text)
    web = Web(place)
    web.more = MAP
    web.proxy("express", keep=CONNECTIONS)
    for name, behind, more in (
            ("snippet", "fpm", root(place)), ("list", "fpm", ""),
            ("php", "php", ""), ("auth", "fpm", CHECKED),
            ("fastcgi", "fastcgi", ""), ("c", "c", "")):
        file = place / ("snippet.php" if name == "snippet" else "list.php")
        web.fastcgi(name, behind, CONNECTIONS, file, more)
    web.upstream("check", "check", CONNECTIONS)
    file = place.script("list.json", text, 0o644)
    for location in (BY_MAP % text.replace("\\", "\\\\"), CHECK,
                     FILE % (file, CHECKED)):
        web.location(location)
    web.start()
    return web, servers


# Which servers work for whom.  The first is the one that checks.
BEHIND = {"express": ["express"], "map": [], "list": ["fpm"],
          "snippet": ["fpm"], "php": ["php", "behind"],
          "auth": ["check", "fpm"], "file": ["check"],
          "fastcgi": ["fastcgi", "loop"], "c": ["c"]}


def alike(loads, text):
    """All must give the same."""
    for name, load in loads.items():
        answer = load.first()
        told = answer.headers["AMP-Email-Allow-Sender"]
        if (json.loads(answer.body) != json.loads(text)
                or told != (None if name == "list" else ALLOWED)):
            sys.exit(f"{name}: {answer.body} {answer.headers}")


def show(book, got):
    for name, what in NAMES.items():
        rate, us, own = (statistics.median(r[key] for r in got[name])
                         for key in ("rate", "cpu", "own"))
        book.say(f"  {what:34}{rate:7.0f} a second, CPU {us * 1e6:5.0f} us"
                 + f", of it {own * 1e6:4.0f} where it checks"
                 * bool(BEHIND[name]))
    others = [name for name in NAMES if name != "express"]
    # the picture has no place for all
    shown = ("map", "snippet", "php", "file", "fastcgi", "c")
    book.heading("Requests a second, by Express's")
    for name in others:
        book.ratio(NAMES[name], ratios(got, name, "express"),
                   picture=NAMES[name] * (name in shown))
    book.heading("CPU a request, by Express's")
    for name in others:
        book.ratio(NAMES[name], ratios(got, name, "express", "cpu"),
                   (AT_MOST, 0.33) if name in ("fastcgi", "file") else None,
                   picture=f"CPU: {NAMES[name]}" * (name in shown),
                   less=True)
    book.ratio("the front itself, before PHP-FPM",
               ratios(got, "php", "express", "own"), (AT_MOST, 0.33),
               picture="CPU: the front itself", less=True)
    book.heading("The front before PHP-FPM, by PHP-FPM doing the check")
    book.ratio("requests a second", ratios(got, "php", "snippet"))
    book.ratio("CPU a request", ratios(got, "php", "snippet", "cpu"))


def measure(place, book, args):
    install()
    book.begin("peers", TITLE, *NOTES)
    text = json.dumps({"items": [
        {"title": "Tea", "price": "2.50"},
        {"title": "Crème brûlée", "price": "4.00"},
        {"title": '"Black \\ White" cake', "price": "3.20"}]},
        ensure_ascii=False, separators=(",", ":"))
    web, servers = start(place, text)
    loads = {name: Load(web.url(name), CONNECTIONS, sender(), 200,
                        [web.process, *[servers[n] for n in BEHIND[name]]],
                        [servers[n] for n in BEHIND[name][:1]])
             for name in NAMES}
    alike(loads, text)
    show(book, rounds(place, loads, args))
