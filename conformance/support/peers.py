"""Real servers that handlers speak to by the name of this machine: a shop over TLS, PostgreSQL."""

import glob
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from .server import free_port


def own_name():
    """A name of this machine with the address that it resolves to, at which one can listen."""
    for name in (socket.gethostname(), socket.getfqdn(), "localhost"):
        try:
            address = socket.gethostbyname(name)
            with socket.socket() as probe:
                probe.bind((address, 0))
            return name, address
        except OSError:
            continue
    raise AssertionError("this machine has no name that it can listen at")


class Authority:
    """A certificate authority and one certificate, for the name alone."""

    def __init__(self, home, name, address):
        self.name, self.address = name, address
        self.certificate, key = home / "ca.pem", home / "ca.key"
        self.chain, self.key = home / "server.pem", home / "server.key"
        request, extra = home / "request", home / "extra"
        extra.write_text(f"subjectAltName=DNS:{name}\n")
        ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._openssl("req", "-x509", *ec, "-keyout", key, "-out", self.certificate,
                      "-subj", "/CN=Private", "-days", "2")
        self._openssl("req", *ec, "-keyout", self.key, "-out", request, "-subj", "/CN=Server")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", key,
                      "-CAcreateserial", "-extfile", extra, "-out", self.chain, "-days", "2")

    @staticmethod
    def _openssl(*arguments):
        assert shutil.which("openssl"), "openssl is missing; install it (Debian: apt-get install openssl)"
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Shop:
    """Takes orders over TLS, and knows by which name it was called."""

    def __init__(self, authority):
        self.orders, self.names, self.visits = [], [], 0
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                try:
                    told = json.loads(body)
                    shop.orders.append(told["id"])
                    status, answer = 200, {"id": told["id"], "state": "shipped"}
                except (ValueError, KeyError, TypeError):
                    status, answer = 400, {"message": "no order"}
                answer = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                visitor = super().get_request()
                shop.visits += 1
                return visitor

            def handle_error(self, *_):
                pass  # Visitors that do not trust the certificate hang up.

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.chain, authority.key)
        context.sni_callback = lambda _, name, __: shop.names.append(name)
        self._server = Server((authority.address, 0), Handler)
        # In the visitor's thread, so that one who says nothing keeps nobody waiting.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        self.host = f"{authority.name}:{self.port}"
        self.url = f"https://{self.host}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Database:
    """PostgreSQL with TLS and a password, in a directory that goes with it."""

    def __init__(self, authority):
        self._home = pathlib.Path(tempfile.mkdtemp(prefix="craton-postgres-"))
        # It refuses to run as root.
        self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        port = free_port()
        self.host = f"{authority.name}:{port}"
        self.url = (f"postgresql://craton:secret@{self.host}/postgres"
                    "?sslmode=verify-full&sslrootcert=/var/task/ca.pem")
        data = self._home / "data"
        for name, source in (("server.pem", authority.chain), ("server.key", authority.key)):
            (self._home / name).write_bytes(source.read_bytes())
            (self._home / name).chmod(0o600)
        (self._home / "password").write_text("secret")
        if self._as:
            for path in (self._home, *self._home.iterdir()):
                shutil.chown(path, "nobody", "nogroup")
        self._run("initdb", "-D", data, "-U", "craton", "-A", "scram-sha-256",
                  "--pwfile", self._home / "password", "-N")
        settings = {
            "listen_addresses": authority.address, "port": port, "fsync": "off", "ssl": "on",
            "unix_socket_directories": self._home, "ssl_cert_file": self._home / "server.pem",
            "ssl_key_file": self._home / "server.key", "log_connections": "on",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._log = open(self._home / "log.txt", "wb")
        self._process = subprocess.Popen(
            [self._program("postgres"), "-D", data, *options], stdout=self._log, stderr=self._log,
            cwd=self._home, **self._as)
        self._wait(authority.address, port)

    @staticmethod
    def _program(name):
        found = shutil.which(name) or next(iter(sorted(
            glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
        assert found, f"{name} is missing; install it (Debian: apt-get install postgresql)"
        return found

    def _run(self, name, *arguments):
        subprocess.run([self._program(name), *arguments], check=True, capture_output=True,
                       cwd=self._home, **self._as)

    def _wait(self, address, port):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((address, port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"PostgreSQL does not answer: {self.log()[-2000:]}")

    def log(self):
        return (self._home / "log.txt").read_text(errors="replace")

    def close(self):
        self._process.terminate()
        self._process.wait(30)
        self._log.close()
        shutil.rmtree(self._home, ignore_errors=True)
