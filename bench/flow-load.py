"""New flows through a gateway, as many as it takes. One JSON line each.

    flow-load.py serve FIRST COUNT              accepts and closes on COUNT ports, for ever; prints "ready"
    flow-load.py tcp TARGET FIRST COUNT FLOWS   connects and resets FLOWS times, over COUNT ports
    flow-load.py udp SOURCE TARGET FIRST COUNT FLOWS   one datagram each from FLOWS source ports, over COUNT ports
"""

import json
import selectors
import socket
import struct
import sys
import time

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def serve(first, count):
    ready = selectors.DefaultSelector()
    for port in range(first, first + count):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", port))
        listener.listen(4096)
        listener.setblocking(False)
        ready.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            try:
                while True:
                    key.fileobj.accept()[0].close()
            except BlockingIOError:
                pass


def tcp(target, first, count, flows):
    # The client resets: no side is left with a socket in TIME_WAIT, so ports never run out.
    failed = 0
    started = time.monotonic()
    for flow in range(flows):
        connection = socket.socket()
        connection.settimeout(5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        try:
            connection.connect((target, first + flow * 7919 % count))
        except OSError:
            failed += 1
        connection.close()
    return {"seconds": time.monotonic() - started, "flows": flows - failed, "failed": failed}


def udp(source, target, first, count, flows):
    # Raw, with the UDP header made here: a socket for each source port would cost more than the gateway does.
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    packets = []
    for flow in range(flows):
        header = struct.pack("!BBHHHBBH", 0x45, 0, 32, flow & 0xFFFF, 0, 64, 17, 0) + addresses
        # Checksum 0: none was computed (RFC 768).
        packets.append(header + struct.pack("!HHHH", 1024 + flow % 60000, first + flow * 7919 % count, 12, 0) + b"flow")
    destination = (target, 0)
    started = time.monotonic()
    for packet in packets:
        raw.sendto(packet, destination)
    return {"seconds": time.monotonic() - started, "flows": flows, "failed": 0}


mode, arguments = sys.argv[1], [int(each) if each.isdigit() else each for each in sys.argv[2:]]
if mode == "serve":
    serve(*arguments)
print(json.dumps({"tcp": tcp, "udp": udp}[mode](*arguments)))
