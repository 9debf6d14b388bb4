"""Asks for names of a zone, a new one each time, from addresses that nobody has: forged-queries.py ZONE PREFIX SERVER SECONDS."""

import itertools
import os
import socket
import struct
import sys
import time

PER_SECOND = 8000
BURST = 40
# It stands for another machine, so whoever is measured comes before it on the cores they share.
NICE = 5

zone, prefix, server, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
below = b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0"


def packet(number):
    label = b"x%d" % number
    # RFC 1035 sections 4.1.1 and 4.1.2: one question, of type A and class IN.
    query = struct.pack("!HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + bytes([len(label)]) + label + below + b"\0\1\0\1"
    # RFC 768: a checksum of 0 is none.
    udp = struct.pack("!HHHH", 1024 + number % 60000, 53, 8 + len(query), 0) + query
    addresses = socket.inet_aton(f"{prefix}.{10 + number % 240}") + socket.inet_aton(server)
    # RFC 791 section 3.1; the kernel fills in length and checksum.
    return struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses + udp


os.nice(NICE)
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
    start = time.monotonic()
    for number in itertools.count():
        raw.sendto(packet(number), (server, 0))
        if number % BURST:
            continue
        elapsed = time.monotonic() - start
        if elapsed >= seconds:
            break
        time.sleep(max(0, number / PER_SECOND - elapsed))
print(number)
