"""The samples of etc/ beside what a site has already for the same suffixes:
no request gets past the front. SPEC 1.7, E99."""

import json

import pytest

import kit
import servers
from kit import SENDER, V2, echo, ours
from test_php_fpm import Php, PhpApache, PhpLighttpd, PhpUnix
from test_ways import body_of, sender
from test_ways_decision import FILE, ApacheAuth, LighttpdAuth, NginxAuth

TEAPOT = "#!/bin/sh\nprintf 'Status: 418\\n\\n'\n"


class Rival:
    """Stands before a web server's class, and gives the site directives that
    would answer by themselves, before the sample or after it."""

    first = True

    def beside(self, text):
        parts = [self.rival(), text]
        return servers.wrapped(*(parts if self.first else parts[::-1]))


def both(*them):
    """Each with its rival before the sample, and after it."""
    return [type(way.__name__ + name, (way,), {"first": first})
            for way in them
            for first, name in ((True, "After"), (False, "Before"))]


class OnNginx(Rival):
    def location(self):
        return self.beside(super().location())

    def rival(self):
        return "location ~ \\.(php|cgi|sh)(/|$) { return 418; }"


class Nginx(OnNginx, servers.NginxScripts):
    pass


class NginxWrapped(OnNginx, servers.NginxFcgiwrapShebang):
    pass


class NginxHandler(OnNginx, servers.NginxUnix):
    """The first "location ~" wins: the sample stands before the rival."""

    first = False


class NginxHandlerWrapped(OnNginx, servers.NginxFcgiwrap):
    first = False


class NginxPhp(OnNginx, PhpUnix):
    """The site has PHP, and would run the script itself."""

    def rival(self):
        return servers.wrapped(
            "location ~ \\.php(/|$) {",
            "include /etc/nginx/fastcgi_params;",
            "fastcgi_split_path_info ^(.+?\\.php)(/.*)?$;",
            "fastcgi_param PATH_INFO $fastcgi_path_info;",
            "fastcgi_param SCRIPT_FILENAME"
            " $document_root$fastcgi_script_name;",
            f"fastcgi_pass {self.address}; }}")


class NginxAuthCgi(OnNginx, NginxAuth):
    base = "/amp/h.cgi"


class NginxAuthPhp(OnNginx, NginxAuth):
    base = "/amp/h.php"


class NginxUpstream(OnNginx, servers.NginxIpv4):
    """A server { } of its own, that the rival is written into."""

    base = "/amp-scripts/h.cgi"
    policy = "scripts = {dir}/../www/amp-scripts"
    closing = False

    def location(self):
        text = servers.sample("nginx-upstream.conf", {
            "443 ssl": f"127.0.0.1:{self.port}", servers.WWW: self.www,
            "\tssl_certificate /etc/nginx/site.pem;\n": "",
            "\tssl_certificate_key /etc/nginx/site.key;\n": "",
            "192.0.2.9": "127.0.0.1", "192.0.2.11:9000": self.pass_to,
            # one is enough here
            "\tserver 192.0.2.12:9000 max_fails=1 fail_timeout=5s;\n": "",
            "\tserver 192.0.2.13:9000 max_fails=1 fail_timeout=5s;\n": ""})
        head, begin, block = text.partition("server {\n")
        block, end, rest = block.rpartition("}")
        assert begin and end and not rest.strip()
        return head + begin + self.beside(block) + end + rest

    def server(self):
        temps = "".join(f"{kind}_temp_path {self.run}/{kind};\n" for kind in (
            "client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
        conf = kit.write(self.run / "nginx.conf", servers.wrapped(
            "user root;" if servers.ROOT else "",
            f"daemon off; worker_processes 1; pid {self.run}/nginx.pid;",
            f"error_log {self.run}/error.log info;",
            "events { worker_connections 128; }",
            f"http {{ access_log off; {temps}", NginxUpstream.location(self),
            "}"))
        return kit.Child(["nginx", "-e", self.run / "error.log", "-c", conf],
                         self.run / "nginx.out")


class NginxAuthFile(NginxAuthCgi):
    base = "/amp/list.json"

    def more(self):
        return ""

    def rival(self):
        return "location ~ \\.json$ { return 418; }"


class OnApache(Rival):
    """What is served is elsewhere than in the DocumentRoot, as in Debian."""

    handler = "cgi-script"     # runs what it finds
    suffixes = "\\.(php|cgi|sh)$"

    def sample(self):
        return self.beside(super().sample())

    def more(self):
        # the last one counts
        root = self.folder.make("html")
        return servers.wrapped(super().more(), f"DocumentRoot {root}")

    def rival(self):
        return servers.wrapped(
            f'<FilesMatch "{self.suffixes}">',
            f'SetHandler "{self.handler}"', "</FilesMatch>")


class Apache(OnApache, servers.ApacheProxyScripts):
    modules = servers.ApacheProxy.modules + ("cgid",)

    def sample(self):
        """With all that the rival needs to run it."""
        return super().sample() + servers.wrapped(
            f"<Directory {self.www}/amp-scripts>", "Options +ExecCGI",
            "</Directory>", f"ScriptSock {self.run}/cgi.sock")


class ApacheHandler(OnApache, servers.ApacheProxy):
    handler = "default-handler"


class ApachePhp(OnApache, PhpApache):
    """As Debian's php8.2-fpm.conf: would run the script."""

    suffixes = ".+\\.ph(ar|p|tml)$"

    @property
    def handler(self):
        return f"proxy:{self.address}|fcgi://localhost"


class ApacheWorker(ApachePhp):
    """Apache takes a URL's <Proxy> for any SetHandler to the same URL,
    whatever socket that one names."""

    def rival(self):
        return super().rival() + servers.wrapped(
            f'<Proxy "{self.handler.removeprefix("proxy:")}" max=10>',
            "</Proxy>")


class ApachePass(ApachePhp):
    def rival(self):
        where = self.handler.removeprefix("proxy:")
        return f'ProxyPassMatch "^/(.*\\.php(/.*)?)$" "{where}{self.www}/$1"'


class ApacheHandlerPass(ApacheHandler):
    """Nobody is at the site's socket; all is its worker's."""

    def rival(self):
        where = f"unix:{self.run}/none|fcgi://localhost"
        return servers.wrapped(
            f'<Proxy "{where}" max=10>', "</Proxy>",
            f'ProxyPassMatch "^/(.*\\.php)$" "{where}{self.www}/$1"')


class ApacheAction(OnApache, servers.ApacheAction):
    pass


class ApacheShebang(OnApache, servers.ApacheShebang):
    handler = "default-handler"


class ApacheCgi(OnApache, servers.ApacheCgi):
    handler = "default-handler"


class ApacheAuthCgi(OnApache, ApacheAuth):
    base = "/amp/h.cgi"
    handler = "default-handler"


class ApacheAuthPhp(ApacheAuthCgi):
    base = "/amp/h.php"


class OnLighttpd(Rival):
    def sample(self):
        return self.beside(super().sample())

    def rival(self):
        pot = kit.write(self.run / "teapot", TEAPOT, 0o755)
        return servers.wrapped(
            'server.modules += ( "mod_cgi" )', "cgi.assign = ( " + ", ".join(
                f'".{s}" => "{pot}"' for s in ("php", "cgi", "sh")) + " )")


class Lighttpd(OnLighttpd, servers.LighttpdScripts):
    pass


class LighttpdHandler(OnLighttpd, servers.LighttpdSocket):
    pass


class LighttpdSpawn(OnLighttpd, servers.LighttpdSpawn):
    pass


class LighttpdCgi(OnLighttpd, servers.LighttpdCgi):
    pass


class LighttpdInterpreter(OnLighttpd, servers.LighttpdInterpreter):
    pass


class LighttpdShebang(OnLighttpd, servers.LighttpdShebang):
    pass


class LighttpdPhp(OnLighttpd, PhpLighttpd):
    """As Debian's 15-fastcgi-php-fpm.conf: would run the script."""

    def rival(self):
        where = self.address.removeprefix("unix:")
        return servers.wrapped(
            'server.modules += ( "mod_fastcgi" )',
            f'fastcgi.server = ( ".php" => (( "socket" => "{where}",',
            '"broken-scriptfilename" => "enable" )) )')


class LighttpdAuthCgi(OnLighttpd, LighttpdAuth):
    base = "/amp/h.cgi"


class LighttpdAuthPhp(OnLighttpd, LighttpdAuth):
    base = "/amp/h.php"


class LighttpdAuthFile(LighttpdAuthCgi):
    base = "/amp/list.json"

    def rival(self):
        return super().rival().replace('".sh"', '".json"')


class OnCaddy(Rival):
    """In the site's block."""

    def adapt(self, text):
        head, begin, block = text.partition("\tbind 127.0.0.1\n")
        block, end, rest = block.rpartition("}")
        assert begin and end and not rest.strip()
        return head + begin + self.beside(block) + end + rest

    def rival(self):
        return servers.wrapped(
            f"root * {self.www}", "@rival path *.php *.cgi *.sh",
            "respond @rival 418", "file_server")


class Caddy(OnCaddy, servers.CaddyScripts):
    pass


class CaddyHandler(OnCaddy, servers.Caddy):
    pass


class CaddyPhp(OnCaddy, Php, servers.CaddyScripts):
    """The site has PHP, and would run the script itself."""

    def rival(self):
        where = self.address.removeprefix("unix:")
        return servers.wrapped(f"root * {self.www}",
                               f"php_fastcgi unix/{where}", "file_server")


EVERY = [NginxHandler, NginxHandlerWrapped, *both(
    Nginx, NginxWrapped, NginxPhp, NginxAuthCgi, NginxAuthPhp, NginxUpstream,
    Apache, ApacheHandler, ApachePhp, ApacheWorker, ApachePass,
    ApacheHandlerPass, ApacheAction, ApacheShebang, ApacheCgi, ApacheAuthCgi,
    ApacheAuthPhp, Lighttpd, LighttpdHandler, LighttpdSpawn, LighttpdCgi,
    LighttpdInterpreter, LighttpdShebang, LighttpdPhp, LighttpdAuthCgi,
    LighttpdAuthPhp, Caddy, CaddyHandler, CaddyPhp)]
FILES = both(NginxAuthFile, LighttpdAuthFile)


def paths(site):
    """The script itself; what stands behind it, with its suffix and not."""
    suffix = site.base.rpartition(".")[2] if "." in site.base else "php"
    return ["", "/echo", f"/echo/x.{suffix}"]


@pytest.fixture(scope="class")
def running(request, helper):
    """Each in a folder of its own: what is in there has other owners."""
    folder = kit.Folder()
    made = request.param(folder, helper)
    try:
        yield made.start()
    finally:
        made.stop()
        folder.remove()


def ways(them):
    return pytest.mark.parametrize("running", them, indirect=True,
                                   ids=lambda way: way.__name__)


@ways(EVERY)
@pytest.mark.parametrize("method", ["GET", "POST"])
class TestBeside:
    def test_allowed(self, running, method):
        """The handler answers, and the front has said so once."""
        body = body_of(5000) if method == "POST" else b""
        for path in paths(running):
            before = running.ran()
            answer = running.ask(method, path, headers=sender(SENDER),
                                 body=body or None)
            assert answer.status == 200, (path, answer, running.errors())
            assert ours(answer.headers) == V2
            assert answer.body == echo(body)
            assert running.ran() == before + 1

    def test_refused(self, running, method):
        """It is the front that answers, and no handler runs."""
        body = body_of(5000) if method == "POST" else None
        before = running.ran()
        for path in paths(running):
            answer = running.ask(method, path, headers=sender("a@b.example"),
                                 body=body)
            assert answer.status == 403, (path, answer, running.errors())
            assert ours(answer.headers) == []
            code = json.loads(answer.body)["error"]["code"]
            assert code == "sender-not-allowed"
            assert running.ran() == before


@ways(FILES)
class TestFile:
    """What no location or suffix of the sample's own names."""

    def test_allowed(self, running):
        answer = running.ask(path="", headers=sender(SENDER))
        assert answer.status == 200, (answer, running.errors())
        assert answer.body == FILE.encode()
        assert ours(answer.headers) == V2

    def test_refused(self, running):
        answer = running.ask(path="", headers=sender("a@b.example"))
        assert answer.status == 403, (answer, running.errors())
        assert answer.reason() == "sender-not-allowed"
        assert ours(answer.headers) == []
