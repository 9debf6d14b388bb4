"""Opens many TCP connections and says a request on each so slowly that it never ends. COUNT SECONDS PORT."""

import resource
import socket
import sys
import time

count, seconds, port = (int(argument) for argument in sys.argv[1:4])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64, count + 64))
end = time.monotonic() + seconds
request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000
connections = []
opened = refused = said = 0
print("slow", flush=True)
while time.monotonic() < end:
    while len(connections) < count and time.monotonic() < end:
        connection = socket.socket()
        # From many addresses: one alone is given a share only.
        connection.bind((f"127.0.1.{1 + opened % 200}", 0))
        connection.settimeout(0.2)
        try:
            connection.connect(("127.0.0.1", port))
            connection.setblocking(False)
            connections.append(connection)
            opened += 1
        except OSError:
            connection.close()
            refused += 1
            break
    for connection in list(connections):
        try:
            connection.send(request[said : said + 1])
        except BlockingIOError:
            pass
        except OSError:
            connections.remove(connection)
            connection.close()
    said = min(said + 1, len(request) - 1)
    time.sleep(0.05)
print(opened, flush=True)
