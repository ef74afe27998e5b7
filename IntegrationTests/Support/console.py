"""Plays the container engine's part for a terminal: takes the master of a pseudo-terminal from a console socket, types, prints what it shows.

usage: console.py SOCKET [COLUMNSxROWS]     standard input is typed, slowly enough for a shell to follow
"""
import array
import fcntl
import os
import select
import socket
import struct
import sys
import termios
import time

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(1)
listener.settimeout(30)
connection, _ = listener.accept()
_, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
descriptors = array.array("i")
for level, kind, data in ancillary:
    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
        descriptors.frombytes(data[: len(data) - len(data) % 4])
master = descriptors[0]
if len(sys.argv) > 2:
    columns, rows = map(int, sys.argv[2].split("x"))
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
lines = sys.stdin.buffer.read().splitlines(keepends=True)
deadline, quiet = time.monotonic() + 30, 0
while time.monotonic() < deadline:
    ready, _, _ = select.select([master], [], [], 0.2)
    if ready:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        os.write(1, data)
    elif lines:
        os.write(master, lines.pop(0))
