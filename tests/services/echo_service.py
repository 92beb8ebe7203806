"""A service for the tests: answers 200 at /livez, says what it got, and does on request what services do wrong."""

import http.server
import os
import signal
import subprocess
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/env":
            body = "\n".join(f"{name}={value}" for name, value in os.environ.items()).encode()
        else:
            body = " ".join(sys.argv[1:]).encode()
        self.send_response(503 if "--sick" in sys.argv else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        print(*args, flush=True)


def main():
    print("echo service begins", flush=True)
    if "--die" in sys.argv:
        print("echo service cannot go on", flush=True)
        sys.exit(3)
    if "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--child" in sys.argv:  # one in its own session, out of reach of the process group
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    if "--stubborn" not in sys.argv:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    print("echo service ends", flush=True)


main()
