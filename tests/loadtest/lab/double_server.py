"""A stand-in for the model server in tests of the lab: it speaks just enough of /v2, and fails on request.

Run by path with the model server's own arguments. What it does follows from the end of the path: ``/echo``
answers the request's headers, ``/requests`` how many came before, ``/stall`` is not answered before somebody
asks for ``/release``, ``/stalled`` answers the headers of those that wait so, ``/reset`` hangs up without an
answer, ``/spin`` burns as many seconds of CPU time as the query says, ``/crash`` ends the process;
``/failing?yes``, ``?once`` and ``?no`` switch to answering 500 and back. ``<model-dir>/start`` may hold
``crash``, ``never-ready`` (which its log says when it is asked), ``port-in-use`` (the first time) or
``children``.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    ready = True
    failing = once = False
    knows = True
    requests = 0
    stalled: list = []  # noqa: RUF012
    release = threading.Event()

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path.endswith("/ready"):
            if not Handler.ready:
                print("not ready, as it was told", flush=True)
            return self.answer(200 if Handler.ready else 503, {"ready": Handler.ready})
        if path == "/metrics":
            return self.answer(200, {}, text="double_up 1\n")
        what = path.rpartition("/")[2]
        if what == "requests":
            return self.answer(200, {"requests": Handler.requests})
        if what == "stalled":
            return self.answer(200, {"stalled": Handler.stalled})
        if what == "release":
            Handler.release.set()
            return self.answer(200, {})
        if what == "failing":
            Handler.failing = query in ("yes", "once")
            Handler.once = query == "once"
            return self.answer(200, {})
        if what == "knows":
            Handler.knows = query == "yes"
            return self.answer(200, {})
        if what == "feedback":
            return self.answer(200 if Handler.knows else 404, {})
        Handler.requests += 1
        match what:
            case "reset":
                self.close_connection = True
                return None
            case "stall":
                Handler.stalled.append(self.told())
                Handler.release.wait()
            case "spin":
                end = time.thread_time() + float(query)
                while time.thread_time() < end:
                    pass
            case "crash":
                print("the double crashes as it was told", flush=True)
                os._exit(3)
        if Handler.failing:
            Handler.failing = not Handler.once
            return self.answer(500, {"error": "the double fails as it was told"})
        return self.answer(200, {"headers": self.told()})

    def told(self):
        return {name.lower(): value for name, value in self.headers.items()}

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def answer(self, status, body, text=None):
        data = (text or json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if text else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    start = args.model_dir / "start"
    how = start.read_text().strip() if start.exists() else ""
    if how == "crash":
        sys.exit("the double cannot start: its model is broken")
    if how == "port-in-use":
        start.unlink()
        sys.exit("[Errno 98] Address already in use")
    if how == "cannot-listen":
        start.unlink()
        print("cannot listen() errno=98", file=sys.stderr, flush=True)
        threading.Event().wait()
    Handler.ready = how != "never-ready"
    server = Server((args.host, args.port), Handler)
    if how == "children":
        # one child in a session of its own, which a signal to the process group does not reach
        subprocess.Popen(["sleep", "300"], start_new_session=True)
        subprocess.Popen(["sleep", "300"])
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


main()
