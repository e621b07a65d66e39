#!/usr/bin/env python3
"""Shows what Alertmanager notifies: the newest first, as a page or as JSON.

POST /RECEIVER takes a notification, GET / is the page, GET /notifications the JSON,
GET /healthz the health. The last 200 notifications are kept, in memory.
"""

import argparse
import collections
import html
import http.server
import json
import threading
import time

KEPT = 200
LARGEST = 1 << 20
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;"
    "color-scheme:light dark}"
    "article{border-left:4px solid #c4432b;padding:.2em 1em;margin:1em 0}"
    "article.resolved{border-color:#2e8b57}small{opacity:.7}"
)

notifications = collections.deque(maxlen=KEPT)
lock = threading.Lock()


def plain(alert):
    """An alert of which every part is what it should be; anything else is an error."""
    texts = lambda part: {str(name): str(text) for name, text in alert.get(part, {}).items()}
    status = str(alert.get("status", ""))
    return {"status": status, "labels": texts("labels"), "annotations": texts("annotations")}


def page():
    """The page, newest first."""
    with lock:
        newest = list(reversed(notifications))
    parts = []
    for note in newest:
        for alert in note["alerts"]:
            labels, annotations = alert["labels"], alert["annotations"]
            status = "resolved" if alert["status"] == "resolved" else "firing"
            title = annotations.get("summary") or labels.get("alertname", "")
            where = f"{note['at']} · {note['receiver']} · {status} · {labels.get('severity', '')}"
            parts.append(
                f'<article class="{status}"><small>{html.escape(where)}</small>'
                f"<h3>{html.escape(title)}</h3>"
                f"<p>{html.escape(annotations.get('description', ''))}</p></article>"
            )
    body = "".join(parts) or "<p>Nothing yet.</p>"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>Notifications</title><style>{STYLE}</style><h1>Notifications</h1>{body}</html>"
    )


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    timeout = 10

    def answer(self, status, kind, text):
        """Sends a whole answer."""
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        """The page, the JSON, or the health."""
        if self.path == "/":
            self.answer(200, "text/html; charset=utf-8", page())
        elif self.path == "/notifications":
            with lock:
                text = json.dumps(list(notifications))
            self.answer(200, "application/json", text)
        elif self.path == "/healthz":
            self.answer(200, "text/plain", "ok\n")
        else:
            self.answer(404, "text/plain", "there are /, /notifications and /healthz\n")

    def do_POST(self):
        """A notification, under the name of its receiver."""
        # What a web page elsewhere lets a browser send has another type, or asks first.
        if self.headers.get_content_type() != "application/json":
            self.answer(415, "text/plain", "notifications are application/json\n")
            return
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 < length <= LARGEST:
                raise ValueError(f"a body of {length} bytes")
            message = json.loads(self.rfile.read(length))
            alerts = [plain(alert) for alert in message["alerts"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self.answer(400, "text/plain", f"no notification of Alertmanager: {error}\n")
            return
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        note = {"receiver": self.path.strip("/"), "at": at, "alerts": alerts}
        with lock:
            notifications.append(note)
        for alert in alerts:
            summary = alert["annotations"].get("summary", "")
            print(f"{at} {note['receiver']!r} {alert['status']!r}: {summary!r}", flush=True)
        self.answer(200, "text/plain", "taken\n")

    def log_message(self, *_):
        """Requests are not worth a line each."""


def main():
    """Listens until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:9095", metavar="ADDRESS:PORT")
    host, _, port = parser.parse_args().listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.serve_forever()


if __name__ == "__main__":
    main()
