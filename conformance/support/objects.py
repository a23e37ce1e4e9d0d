"""A server that keeps objects as S3 does, and takes only what one key signed."""

import http.server
import threading
import urllib.parse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY, SECRET, REGION = "AKIAOPERATOR", "operator-secret", "eu-central-1"


class ObjectServer:
    """`requests` are what came, with their headers; `objects` what was put."""

    def __init__(self):
        self.requests, self.objects = [], {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("x-amz-request-id", "of-the-object-server")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                if not outer.is_signed(self):
                    return self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
                path = urllib.parse.unquote(self.path.split("?")[0])
                if self.command == "PUT":
                    outer.objects[path] = body
                    return self.answer(200, ETag='"tag"')
                if path not in outer.objects:
                    return self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>",
                                       Content_Type="application/xml")
                return self.answer(200, outer.objects[path], ETag='"tag"')

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def is_signed(request):
        """Whether botocore, with the key and the headers that are named, signs the same."""
        fields = dict(part.strip().split("=", 1) for part in
                      request.headers.get("Authorization", " ").split(" ", 1)[1].split(",") if "=" in part)
        if not fields.get("Credential", "").startswith(f"{KEY}/"):
            return False
        named = fields["SignedHeaders"].split(";")
        again = AWSRequest(request.command, f"http://{request.headers['Host']}{request.path}",
                           headers={name: request.headers[name] for name in named})
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = S3SigV4Auth(Credentials(KEY, SECRET), "s3", REGION)
        canonical = signer.canonical_request(again)
        again.context["signing"] = {}
        to_sign = signer.string_to_sign(again, canonical)
        return signer.signature(to_sign, again) == fields["Signature"]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
