"""A stand-in for a W&B server on this machine, which can fail in the ways that servers and networks do."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ARTIFACT = {"id": "QQ==", "state": "COMMITTED", "artifactSequence": {"id": "Uw==", "latestArtifact": None}}
ANSWERS = {  # by what a request asks for
    "ArtifactType": {"project": {"artifact": None, "artifactType": {"name": "run_table"}}},
    "CreateArtifact": {"createArtifact": {"artifact": ARTIFACT}},
    "CreateRunFiles": {"createRunFiles": {"runID": "UnVuOjE=", "uploadHeaders": [], "files": []}},
}


class StandInServer(ThreadingHTTPServer):
    """Answers what wandb needs to start and to send a run.

    Attributes:
        fails: how it fails: "hang", "reset", a status such as 401, or "" while it works.
        works_until: a text; the first request that holds it is the last one that is answered, then `fails_then` counts.
        answers: by the name of a request to GraphQL, its data.
        requests: path and body of each request.
    """

    daemon_threads = True

    def __init__(self, fails="", works_until=None, fails_then="hang", answers=()):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fails, self.works_until, self.fails_then = fails, works_until, fails_then
        self.answers = {**ANSWERS, **dict(answers)}
        self.requests = []
        self.is_over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        """For $WANDB_BASE_URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self, path):
        """Of the requests whose path holds `path`."""
        return [body for found, body in self.requests if path in found]

    def end(self):
        """Stop, and let go of whoever waits for an answer."""
        self.is_over.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """See StandInServer."""

    def log_message(self, *args):
        """Nothing."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        self.server.requests.append((self.path, body))
        fails = self.server.fails
        if self.server.works_until and self.server.works_until in self.path + body:
            self.server.works_until, self.server.fails = None, self.server.fails_then
        if fails == "hang":
            self.server.is_over.wait()
        elif fails == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        elif fails:
            self.answer(fails, {})
        elif "UpsertBucket" in body:
            self.answer(
                200, {"data": {"upsertBucket": {"bucket": bucket(json.loads(body)["variables"]), "inserted": True}}}
            )
        elif "viewer" in body:
            self.answer(200, {"data": {"viewer": {"id": "me", "username": "me", "entity": "us", "flags": "{}"}}})
        else:
            name = next((name for name in self.server.answers if name in body), None)
            self.answer(200, {"data": self.server.answers.get(name, {})})

    do_GET = do_PUT = do_POST  # noqa: N815

    def answer(self, status, content):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def bucket(variables):
    """The run that is begun or resumed."""
    project = {"id": "UHJv", "name": variables.get("project") or "p", "entity": {"id": "RW50", "name": "us"}}
    names = {"name": variables.get("name"), "displayName": variables.get("displayName"), "description": ""}
    return {**names, "id": "UnVuOjE=", "config": "{}", "sweepName": None, "historyLineCount": 0, "project": project}
