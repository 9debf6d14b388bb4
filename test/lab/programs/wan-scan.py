"""What an outsider finds at one address: every TCP port that answers a SYN, every UDP probe that gets a reply.

Raw SYNs, because what the gateway drops is silent: 65,535 connecting sockets would wait for their time-outs. The
kernel resets each SYN-ACK by itself. Prints {"tcp": [...], "udp": [...], "udpSent": n} for `wan-scan.py FROM TO UDP_PORT...`.
"""

import array
import json
import random
import select
import socket
import struct
import sys
import time

source, target = sys.argv[1], sys.argv[2]
extra_udp = [int(port) for port in sys.argv[3:]]
SOURCE_PORT = random.randint(20000, 29999)


def checksum(data):
    words = array.array("H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF


def syn(port):
    header = struct.pack("!HHIIBBHHH", SOURCE_PORT, port, 1, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(header))
    return header[:16] + struct.pack("H", checksum(pseudo + header)) + header[18:]


def scan_tcp():
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    raw.bind((source, 0))
    raw.setblocking(False)
    answered, found = set(), set()

    def drain(wait):
        while select.select([raw], [], [], wait)[0]:
            packet = raw.recv(256)
            segment = packet[(packet[0] & 15) * 4 :]
            port, to = struct.unpack("!HH", segment[:4])
            if to != SOURCE_PORT or packet[12:16] != socket.inet_aton(target):
                continue
            answered.add(port)
            if segment[13] & 0x12 == 0x12:
                found.add(port)

    for round_ in range(2):
        ports = [port for port in range(1, 65536) if port not in answered]
        random.shuffle(ports)
        for index, port in enumerate(ports):
            try:
                raw.sendto(syn(port), (target, 0))
            except BlockingIOError:
                drain(0.01)
                raw.sendto(syn(port), (target, 0))
            if index % 64 == 0:
                drain(0)
        drain(0.3)
    return sorted(found)


DNS = bytes.fromhex("123401000001000000000000") + b"\x07example\x03com\x00\x00\x01\x00\x01"
SSDP = (
    b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n'
)
MDNS = bytes.fromhex("000000000001000000000000") + b"\x09_services\x07_dns-sd\x04_udp\x05local\x00\x00\x0c\x00\x01"
MAPPED_SOURCE = b"\0" * 10 + b"\xff\xff" + socket.inet_aton(source)
PCP_MAP = (
    bytes.fromhex("0201000000000e10")
    + MAPPED_SOURCE
    + b"\x11" * 12
    + bytes.fromhex("06000000")
    + struct.pack("!HH", 4711, 4711)
    + b"\0" * 10
    + b"\xff\xff\0\0\0\0"
)
PCP_ANNOUNCE = bytes.fromhex("0200000000000000") + MAPPED_SOURCE
WIREGUARD_INITIATION = b"\x01\0\0\0" + b"\x42" * 144

PROBES = {
    53: [DNS],
    1900: [SSDP],
    5350: [PCP_ANNOUNCE],
    5351: [PCP_MAP, PCP_ANNOUNCE, b"\0\0", bytes.fromhex("000200001267126700000e10")],
    5353: [MDNS],
    51820: [WIREGUARD_INITIATION],
}


def scan_udp():
    found, sent, sockets = set(), 0, []
    for port in sorted(set(PROBES) | set(extra_udp)):
        for probe in PROBES.get(port, []) + ([b"hello"] if port in extra_udp else []):
            probe_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            probe_socket.bind((source, 0))
            probe_socket.sendto(probe, (target, port))
            sockets.append((probe_socket, port))
            sent += 1
    deadline = time.monotonic() + 0.6
    by_socket = dict(sockets)
    while time.monotonic() < deadline:
        readable = select.select(list(by_socket), [], [], max(0, deadline - time.monotonic()))[0]
        for probe_socket in readable:
            try:
                probe_socket.recv(2048)
                found.add(by_socket[probe_socket])
            except OSError:
                pass  # ICMP unreachable says nothing serves there
            del by_socket[probe_socket]
    return sorted(found), sent


udp, udp_sent = scan_udp()
print(json.dumps({"tcp": scan_tcp(), "udp": udp, "udpSent": udp_sent}))
