"""Web servers that run CGI programs by themselves: lighttpd, and Apache with
mod_cgid.  Nothing is before them, and nothing is checked."""
import socket

from bench_place import AS_ROOT, until

LIGHTTPD = """\
server.modules = ( "mod_cgi" )
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{www}"
server.errorlog = "{run}/lighttpd.log"
server.upload-dirs = ( "{run}" )
server.max-keep-alive-requests = 100000000
server.max-connections = 1024
server.stream-response-body = 2
cgi.assign = ( "" => "" )
"""

APACHE = """\
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so
{user}
ServerRoot {run}
ServerName localhost
DefaultRuntimeDir {run}
PidFile {run}/apache.pid
ErrorLog {run}/apache.log
ScriptSock {run}/cgid.sock
Listen 127.0.0.1:{port}
MaxKeepAliveRequests 0
ServerLimit 1
ThreadLimit 64
ThreadsPerChild 64
MaxRequestWorkers 64
<Directory {www}>
Require all granted
</Directory>
ScriptAlias / {www}/
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def start(place, name, text, argv, www):
    port = free_port()
    conf = place.script(f"{name}.conf", text.format(
        port=port, run=place.path, www=www,
        user="User www-data\nGroup www-data" if AS_ROOT else ""), 0o644)
    process = place.spawn([*argv, conf], name)
    until(lambda: answers(port), name)
    return process, f"http://127.0.0.1:{port}"


def lighttpd(place, www):
    """The process, and the address before the path."""
    return start(place, "lighttpd", LIGHTTPD, ["lighttpd", "-D", "-f"], www)


def apache(place, www):
    return start(place, "apache", APACHE, ["apache2", "-DFOREGROUND", "-f"],
                 www)
