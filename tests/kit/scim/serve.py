"""Runs scim2-server as its own command does, and notes every request that it gets.

serve.py RECORD ARGUMENTS…: one JSON object a line goes to the file RECORD, before the request is answered.
"""

import io
import json
import sys
import threading

from scim2_server.testserver import cli


class Recorder:
    def __init__(self, application, path):
        self.application = application
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        noted = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ.get("QUERY_STRING", ""),
            "content_type": environ.get("CONTENT_TYPE", ""),
            "accept": environ.get("HTTP_ACCEPT", ""),
            "if_match": environ.get("HTTP_IF_MATCH", ""),
            "body": body.decode(),
        }

        def answered(status, headers, *rest):
            with self.lock:
                self.file.write(json.dumps({**noted, "status": int(status.split()[0])}) + "\n")
                self.file.flush()
            return start_response(status, headers, *rest)

        return self.application(environ, answered)


record = sys.argv.pop(1)
make_server = cli.make_server
cli.make_server = lambda host, port, application, **options: make_server(
    host, port, Recorder(application, record), **options
)
cli.main()
