# Both ends of what a route carries, as cheap as the kernel lets them be, so that what is measured is what lies between.
# serve PORT: answers whatever is said with octets without end. fetch ADDRESS PORT HELLO SECONDS FLOWS: octets a second.
import os
import socket
import sys
import threading
import time

PIECE = 1 << 20
BUFFER = bytearray(PIECE)


def serve(port):
    pieces = os.memfd_create("pieces")
    os.truncate(pieces, PIECE)
    listener = socket.create_server(("0.0.0.0", port), backlog=512)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=send, args=(connection, pieces), daemon=True).start()


def send(connection, pieces):
    try:
        connection.recv(65536)
        while True:
            os.sendfile(connection.fileno(), pieces, 0, PIECE)
    except OSError:
        connection.close()


def fetch(address, port, hello, seconds, flows):
    connections = [socket.create_connection((address, port)) for _ in range(flows)]
    for connection in connections:
        connection.sendall(hello)
    counts = [0] * flows
    end = time.monotonic() + seconds

    def receive(index):
        while time.monotonic() < end:
            # Counted and thrown away, not copied.
            octets = connections[index].recv_into(BUFFER, PIECE, socket.MSG_TRUNC)
            if octets == 0:
                return
            counts[index] += octets

    began = time.monotonic()
    threads = [threading.Thread(target=receive, args=(index,)) for index in range(flows)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(counts) / (time.monotonic() - began), flush=True)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    _, _, address, port, hello, seconds, flows = sys.argv
    fetch(address, int(port), bytes.fromhex(hello), float(seconds), int(flows))
