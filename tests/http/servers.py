"""Real web servers before the front, each as its sample in etc/ says: what
users copy is what is tested. Only paths are replaced."""

import http.client
import os
import socket

import kit

ROOT = os.geteuid() == 0
ETC = kit.ROOT / "etc"
PROGRAM = "/usr/bin/amp-cors-cgi"
POLICY = "/etc/amp-cors/amp-cors.ini"
SOCKET = "/run/amp-cors/front.sock"
WWW = "/var/www"

TABLE_POLICY = """\
[policy]
senders = {sender} sender@example.com
origins = https://emailclient.example https://mail.google.com
playground = yes
timeout = 10
body_timeout = 10
send_timeout = 10
{policy}
[server]
{server}
"""

SCRIPT = "#!{front} /bin/sh\nexec {handler} \"$PATH_INFO\"\n"


def sample(name, replace):
    """A sample of etc/ with other paths; each must stand in it."""
    text = (ETC / name).read_text()
    for old, new in replace.items():
        assert old in text, f"{old} is not in {name}"
        text = text.replace(old, str(new))
    return text


class Way:
    """One way in: a web server, the front, and its handler."""

    base = "/amp"           # where the handler answers
    policy = "exec = {handler}"

    def __init__(self, folder, helper):
        self.folder = folder
        self.run = folder.make("run")
        self.www = folder.make("www")
        self.front = kit.Front(folder, helper)
        self.children = []
        self.port = None
        # the checkout may be in a home that Apache's user cannot enter
        self.program = kit.write(
            folder.path / "amp-cors-cgi", kit.FRONT.read_bytes(), 0o755)
        self.front.configure(
            self.policy, "socket_mode = 0666", TABLE_POLICY)
        self.make_scripts()

    def make_scripts(self):
        """The same handler behind each first line. It runs where the script
        lies, and so is counted there."""
        scripts = self.folder.make("www/amp-scripts")
        text = SCRIPT.replace("{handler}", str(self.front.handler))
        kit.write(scripts / "h.sh",
                  text.replace("{front}", str(self.program)), 0o755)
        kit.write(scripts / "h.cgi",
                  text.replace("{front} ", ""), 0o755)
        self.scripts = scripts

    def start(self):
        self.before()
        for _ in range(5):
            self.port = kit.free_port()
            server = self.server()
            address = ("127.0.0.1", self.port)
            kit.until(lambda: server.ended() or kit.answers(address),
                      type(self).__name__)
            if not server.ended():
                self.children.append(server)
                return self
            # somebody else took the port in between
            assert "in use" in server.said() + self.errors(), server.said()
        raise AssertionError("no free port")

    def before(self):
        """Starts what the web server needs."""

    def child(self, name, argv, **more):
        child = kit.Child(argv, self.run / name, **more)
        self.children.append(child)
        return child

    def stop(self):
        status = [c.stop() for c in reversed(self.children)]
        front = self.front.stop()
        assert front in (None, 0), front
        return status

    def errors(self):
        """The web server's error log."""
        log = self.run / "error.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def ran(self):
        files = (self.front.path / "ran", self.scripts / "ran")
        return sum(f.stat().st_size for f in files if f.exists())

    def ask(self, method="GET", path="/echo", query="", headers=(),
            body=None):
        """One HTTP request with just these fields, in their order."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=20)
        target = self.base + path + ("?" + query if query else "")
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            connection.send(body or b"")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer may be there all the same
        return self.take(connection)

    @staticmethod
    def take(connection):
        response = connection.getresponse()
        answer = kit.Answer(status=response.status,
                            headers=response.getheaders(),
                            body=response.read())
        connection.close()
        return answer


def wrapped(*parts):
    return "\n".join(parts) + "\n"


class Nginx(Way):
    pass_to = None       # what fastcgi_pass gets instead of the Unix socket
    kept = False         # connections wait for the next request
    closing = False      # FCGI_KEEP_CONN is not asked for
    sample = "nginx-fastcgi.conf"

    def location(self):
        text = sample(self.sample, self.paths())
        if self.closing:
            return text.replace("fastcgi_keep_conn on;", "")
        if self.kept:
            return text.replace(f"fastcgi_pass {self.upstream()};",
                                "fastcgi_pass kept;")
        return text

    def paths(self):
        return {WWW: self.www, "unix:" + SOCKET: self.upstream()}

    def upstream(self):
        return self.pass_to or f"unix:{self.front.socket}"

    def server(self):
        temps = "".join(f"{kind}_temp_path {self.run}/{kind};\n" for kind in (
            "client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
        kit.write(self.run / "location.conf", self.location())
        conf = kit.write(self.run / "nginx.conf", wrapped(
            "user root;" if ROOT else "",
            f"daemon off; worker_processes 1; pid {self.run}/nginx.pid;",
            f"error_log {self.run}/error.log info;",
            "events { worker_connections 128; }",
            f"http {{ access_log off; {temps}",
            f"upstream kept {{ server {self.upstream()}; keepalive 4; }}"
            if self.kept else "",
            f"server {{ listen 127.0.0.1:{self.port}; root {self.www};",
            self.more(), f"include {self.run}/location.conf; }} }}"))
        return kit.Child(["nginx", "-e", self.run / "error.log", "-c", conf],
                         self.run / "nginx.out")

    def more(self):
        return ""


class NginxUnix(Nginx):
    """fastcgi_pass to a Unix socket that --listen made."""

    def before(self):
        self.front.start(front=self.program)


class NginxUnixKept(NginxUnix):
    kept = True


class NginxScripts(NginxUnix):
    base = "/amp-scripts/h.cgi"
    policy = "scripts = {dir}/../www/amp-scripts"


class NginxUnixClosing(NginxUnix):
    closing = True


class OnTcp:
    """The front on a TCP port, which pass_to names."""

    host = "127.0.0.1"

    def before(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        for _ in range(5):
            port = kit.free_port(family)
            shown = f"[{self.host}]" if ":" in self.host else self.host
            self.pass_to = f"{shown}:{port}"
            self.front.start("--listen", self.pass_to, front=self.program,
                             ready=(self.host, port), wait=False)
            child = self.front.child
            kit.until(lambda: child.ended()
                      or kit.answers((self.host, port)), "the front")
            if not child.ended():
                return
            assert "in use" in child.said(), child.said()


class NginxIpv4(OnTcp, Nginx):
    closing = True


class NginxIpv4Kept(NginxIpv4):
    closing = False
    kept = True


class NginxIpv6(NginxIpv4):
    host = "::1"


class NginxSpawnFcgi(Nginx):
    """The listening socket on descriptor 0."""

    def before(self):
        self.child("spawn-fcgi", [
            "spawn-fcgi", "-n", "-s", self.front.socket, "-M", "0666", "--",
            self.program, "-c", self.front.ini])
        kit.until(lambda: kit.answers(self.front.socket), "spawn-fcgi")


class NginxSystemd(Nginx):
    """The listening socket on descriptor 3, as systemd hands it over."""

    def before(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.pass_to = "127.0.0.1:%d" % listening.getsockname()[1]
            number = listening.fileno()
            self.child("systemd", [
                "/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh",
                self.program, "-c", self.front.ini],
                env={"LISTEN_FDS": "1", "PATH": os.defpath},
                close_fds=False, preexec_fn=lambda: os.dup2(number, 3))


class NginxFcgiwrap(Nginx):
    """The front as a CGI program."""

    sample = "nginx-fcgiwrap.conf"

    def paths(self):
        return {WWW: self.www, PROGRAM: self.program,
                POLICY: self.front.ini,
                "/run/fcgiwrap.socket": f"{self.run}/wrap.sock"}

    def before(self):
        path = f"{self.run}/wrap.sock"
        self.child("fcgiwrap", ["fcgiwrap", "-f", "-c", "1",
                                "-s", f"unix:{path}"])
        kit.until(lambda: kit.answers(path), "fcgiwrap")


class NginxFcgiwrapShebang(NginxFcgiwrap):
    base = "/amp-scripts/h.sh"
    policy = ""


class Lighttpd(Way):
    def server(self):
        kit.write(self.run / "amp.conf", self.sample())
        conf = kit.write(self.run / "lighttpd.conf", wrapped(
            'server.modules = ()', 'server.bind = "127.0.0.1"',
            f'server.port = {self.port}',
            f'server.document-root = "{self.www}"',
            f'server.errorlog = "{self.run}/error.log"',
            f'server.upload-dirs = ( "{self.run}" )',
            f'server.breakagelog = "{self.run}/cgi.log"',
            f'include "{self.run}/amp.conf"', self.more()))
        return kit.Child(["lighttpd", "-D", "-f", conf],
                         self.run / "lighttpd.out")

    def more(self):
        return ""

    def errors(self):
        cgi = self.run / "cgi.log"
        more = cgi.read_text(errors="replace") if cgi.exists() else ""
        return super().errors() + more


class LighttpdCgi(Lighttpd):
    def sample(self):
        return sample("lighttpd-cgi.conf",
                      {PROGRAM: self.program, POLICY: self.front.ini})


class LighttpdInterpreter(LighttpdCgi):
    base = "/amp-scripts/h.cgi"
    policy = ""


class LighttpdShebang(LighttpdCgi):
    base = "/amp-scripts/h.sh"
    policy = ""


class LighttpdSocket(Lighttpd):
    def before(self):
        self.front.start(front=self.program)

    def sample(self):
        return sample("lighttpd-fastcgi.conf",
                      {SOCKET: self.front.socket, WWW: self.www})


class LighttpdScripts(LighttpdSocket):
    base = "/amp-scripts/h.cgi"
    policy = "scripts = {dir}/../www/amp-scripts"


class LighttpdSpawn(Lighttpd):
    """bin-path: lighttpd starts the front."""

    def sample(self):
        return sample("lighttpd-spawn.conf", {
            PROGRAM: self.program, POLICY: self.front.ini,
            "/run/lighttpd/amp-cors.sock": self.front.socket})


class Apache(Way):
    modules = ("mpm_event", "authz_core", "alias", "env")

    def server(self):
        kit.write(self.run / "amp.conf", self.sample())
        load = "\n".join(
            f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so"
            for m in self.modules)
        conf = kit.write(self.run / "apache.conf", wrapped(
            load, f"ServerRoot {self.run}", "ServerName localhost",
            f"DefaultRuntimeDir {self.run}", f"PidFile {self.run}/apache.pid",
            f"ErrorLog {self.run}/error.log",
            f"Listen 127.0.0.1:{self.port}", f"DocumentRoot {self.www}",
            "User www-data\nGroup www-data" if ROOT else "",
            "ServerLimit 1\nStartServers 1\nThreadsPerChild 8",
            "MaxRequestWorkers 8",
            "<Directory />\nRequire all denied\n</Directory>",
            self.more(), f"Include {self.run}/amp.conf"))
        return kit.Child(["apache2", "-DFOREGROUND", "-f", conf],
                         self.run / "apache.out", cwd="/")

    def more(self):
        return ""


class ApacheCgi(Apache):
    """ScriptAlias, with mod_cgid."""

    modules = Apache.modules + ("cgid", "actions")

    def sample(self):
        return sample("apache-cgi.conf", {
            PROGRAM: self.program, POLICY: self.front.ini, WWW: self.www})

    def more(self):
        return f"ScriptSock {self.run}/cgi.sock"


class ApacheAction(ApacheCgi):
    base = "/amp-scripts/h.cgi"
    policy = "scripts = {dir}/../www/amp-scripts"


class ApacheShebang(ApacheCgi):
    base = "/amp-scripts/h.sh"
    policy = ""


class ApacheProxy(Apache):
    modules = Apache.modules + ("proxy", "proxy_fcgi")

    def before(self):
        self.front.start(front=self.program)

    def sample(self):
        return sample("apache-proxy-fcgi.conf",
                      {SOCKET: self.front.socket, WWW: self.www})


class ApacheProxyScripts(ApacheProxy):
    base = "/amp-scripts/h.cgi"
    policy = "scripts = {dir}/../www/amp-scripts"


class Recased(Way):
    """A server that writes the names of fields in letters of its own."""

    def take(self, connection):
        answer = Way.take(connection)
        answer.headers = [(n.title().replace("Amp-", "AMP-", 1), v)
                          for n, v in answer.headers]
        return answer


class Caddy(Recased):
    """No certificates, no administration; what it keeps is in its folder."""

    def server(self):
        site = f"http://:{self.port} {{\n\tbind 127.0.0.1\n"
        text = sample("Caddyfile", {
            "amp.company.example {\n": site, WWW: self.www,
            "unix/" + SOCKET: self.upstream()})
        conf = kit.write(self.run / "Caddyfile", wrapped(
            "{\n\tadmin off\n\tauto_https off\n}", self.adapt(text)))
        homes = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
        return kit.Child(
            ["caddy", "run", "--config", conf, "--adapter", "caddyfile"],
            self.run / "error.log", cwd=self.run,
            env={"PATH": os.defpath, **{n: str(self.run) for n in homes}})

    def adapt(self, text):
        return text

    def upstream(self):
        return f"unix/{self.front.socket}"

    def before(self):
        self.front.start(front=self.program)


class CaddyIpv4(OnTcp, Caddy):
    def upstream(self):
        return self.pass_to


class CaddyScripts(Caddy):
    base = "/amp-scripts/h.cgi"
    policy = "scripts = {dir}/../www/amp-scripts"


class Haproxy(OnTcp, Recased):
    """Straight to a front, without a web server."""

    def server(self):
        text = sample("haproxy.cfg", self.replace())
        conf = kit.write(self.run / "haproxy.cfg", wrapped(
            "global", "log stderr format raw local0", self.more(),
            "defaults", "log global", "option httplog", text))
        return kit.Child(["haproxy", "-db", "-f", conf],
                         self.run / "error.log")

    def more(self):
        return ""

    def replace(self):
        return {":443 ssl crt /etc/haproxy/site.pem":
                f"127.0.0.1:{self.port}", WWW: self.www,
                "192.0.2.9": "127.0.0.1", "192.0.2.11:9000": self.pass_to,
                # one is enough here
                "\tserver front2 192.0.2.12:9000 proto fcgi\n": "",
                "\tserver front3 192.0.2.13:9000 proto fcgi\n": ""}


class HaproxyScripts(Haproxy):
    base = "/amp-scripts/h.cgi"
    policy = "scripts = {dir}/../www/amp-scripts"


def hasty(way):
    """With handlers that may be silent for two seconds alone."""
    class Hasty(way):
        def before(self):
            assert "\ntimeout = 10\n" in TABLE_POLICY
            self.front.configure(
                self.policy, "socket_mode = 0666",
                TABLE_POLICY.replace("\ntimeout = 10\n", "\ntimeout = 2\n"))
            super().before()
    Hasty.__name__ = way.__name__
    return Hasty


def leave(site):
    """A client that goes while the handler is silent; until that ends."""
    site.front.forget()
    with socket.create_connection(("127.0.0.1", site.port)) as s:
        s.sendall(f"GET {site.base}/silent HTTP/1.1\r\nHost: x\r\n"
                  f"AMP-Email-Sender: {kit.SENDER}\r\n\r\n".encode())
        kit.until(site.front.pids, "a handler")
    kit.until(lambda: not kit.left(site.front), "the handler's end")
