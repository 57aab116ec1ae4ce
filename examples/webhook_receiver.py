import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

validator = RequestValidator(os.environ["AUTH_TOKEN"])
address = ("127.0.0.1", int(os.environ.get("RECEIVER_PORT", "8090")))
seen = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True))
        url = f"http://{self.headers['Host']}{self.path}"
        if not validator.validate(url, form, self.headers["X-Twilio-Signature"]):
            return self.answer(403)
        if form["EventType"] == "onMessageAdd":  # asked before: what we answer is what is stored
            return self.answer(200, '{"body": "***"}' if "darn" in form["Body"].lower() else "")
        token = self.headers["I-Twilio-Idempotency-Token"]
        if token not in seen:  # a repeat carries the same token
            seen.add(token)
            print(form["EventType"], form.get("Author", ""), form.get("Body", ""), flush=True)
        self.answer(204)

    def answer(self, status, body=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        """Only what was said is printed."""


HTTPServer(address, Receiver).serve_forever()
