"""Plays the container engine's part for a terminal: takes the master of a pseudo-terminal from a console socket, types, prints what it shows.

usage: console.py SOCKET [COLUMNSxROWS]     standard input: a JSON list of [EXPECTED, TYPED]; each text is typed once the terminal has shown the
                                            expected one, after what was shown before
"""
import array
import fcntl
import json
import os
import select
import socket
import struct
import sys
import termios
import time

# Bound under another name and renamed: whoever sees the name can connect.
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + ".new")
listener.listen(1)
os.rename(sys.argv[1] + ".new", sys.argv[1])
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
steps = json.load(sys.stdin)
deadline = time.monotonic() + 30
shown = b""
while time.monotonic() < deadline:
    while steps and steps[0][0].encode() in shown:
        expected, typed = steps.pop(0)
        shown = shown[shown.index(expected.encode()) + len(expected.encode()):]
        os.write(master, typed.encode())
    ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
    if not ready:
        break
    try:
        data = os.read(master, 4096)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
    shown += data
