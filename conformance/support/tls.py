"""TLS in front of a server: botocore sends bearer tokens over https alone.

The key in localhost.pem is for these cases and nothing else; clients are given the same file to trust.
"""

import pathlib
import socket
import ssl
import threading

CERTIFICATE = str(pathlib.Path(__file__).with_name("localhost.pem"))


class TlsProxy:
    """Passes on the bytes of each connection, both ways, until one side ends."""

    def __init__(self, port):
        self.port = port
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        plain = socket.create_server(("127.0.0.1", 0))
        self.listener = context.wrap_socket(plain, server_side=True)
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except ssl.SSLError:
                continue
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
