"""A TCP stream on which the server speaks and the client only listens: ticks of one side, counted by the other.

Usage: ticker.py serve PORT | ticker.py listen HOST PORT
"""
import socket
import sys
import threading
import time


def tick(connection):
    try:
        while True:
            connection.sendall(b".")
            time.sleep(0.05)
    except OSError:
        pass


if sys.argv[1] == "serve":
    server = socket.create_server(("0.0.0.0", int(sys.argv[2])))
    print("ready", flush=True)
    while True:
        accepted, _ = server.accept()
        threading.Thread(target=tick, args=(accepted,), daemon=True).start()
else:
    stream = socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=5)
    stream.settimeout(30)
    try:
        while True:
            if not stream.recv(1):
                print("closed", flush=True)
                break
            print("tick", flush=True)
    except OSError as error:
        print("ended", error.errno, flush=True)
