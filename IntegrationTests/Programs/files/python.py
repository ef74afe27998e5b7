"""What everyday Python programs lean on: subprocesses, threads, multiprocessing, sqlite3, mmap, sockets, selectors, signals, files."""
import asyncio
import concurrent.futures
import fcntl
import hashlib
import json
import mmap
import multiprocessing
import os
import queue
import selectors
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib


def square(number):
    return number * number


def accumulate(total, lock, amount):
    for _ in range(200):
        with lock:
            total.value += amount


def subprocesses():
    done = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"in\n", capture_output=True)
    print("run", done.returncode, done.stdout, done.stderr)
    first = subprocess.Popen(["seq", "1", "1000"], stdout=subprocess.PIPE)
    second = subprocess.Popen(["awk", "{s+=$1} END {print s}"], stdin=first.stdout, stdout=subprocess.PIPE)
    first.stdout.close()
    print("pipeline", second.communicate()[0].decode().strip(), first.wait())
    try:
        subprocess.run(["sleep", "30"], timeout=0.2)
    except subprocess.TimeoutExpired as error:
        print("timeout", error.cmd)
    try:
        subprocess.run(["/no/such/program"])
    except FileNotFoundError as error:
        print("missing", error.errno)
    print("signal", subprocess.run(["sh", "-c", "kill -SEGV $$"]).returncode)
    print("directory", subprocess.check_output("pwd; echo $X", shell=True, cwd="/usr", env={"X": "set"}).split())


def threads():
    tasks, results = queue.Queue(), []

    def worker():
        while (item := tasks.get()) is not None:
            results.append(zlib.crc32(str(item).encode()))

    workers = [threading.Thread(target=worker) for _ in range(16)]
    for thread in workers:
        thread.start()
    for number in range(2000):
        tasks.put(number)
    for _ in workers:
        tasks.put(None)
    for thread in workers:
        thread.join()
    print("threads", len(results), sum(results))
    event, condition = threading.Event(), threading.Condition()
    threading.Timer(0.05, event.set).start()
    print("event", event.wait(5), event.is_set())
    with condition:
        print("condition", condition.wait(0.02))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        print("pool", sum(pool.map(square, range(500))))


def processes():
    with multiprocessing.Pool(4) as pool:
        print("pool", pool.map(square, range(20)))
    total, lock = multiprocessing.Value("i", 0), multiprocessing.Lock()
    children = [multiprocessing.Process(target=accumulate, args=(total, lock, n)) for n in range(1, 4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print("shared value", total.value, [child.exitcode for child in children])
    here, there = multiprocessing.Pipe()
    child = multiprocessing.Process(target=lambda end: end.send(end.recv() * 2), args=(there,))
    child.start()
    here.send([1, 2])
    print("pipe", here.recv())
    child.join()
    from multiprocessing import shared_memory
    block = shared_memory.SharedMemory(create=True, size=100)
    block.buf[:5] = b"hello"
    other = shared_memory.SharedMemory(name=block.name)
    print("shared memory", bytes(other.buf[:5]))
    other.close()
    block.close()
    block.unlink()
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    print("fork", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def database():
    connection = sqlite3.connect("test.db")
    connection.execute("pragma journal_mode=wal")
    connection.execute("create table birds (id integer primary key, name text, weight real)")
    with connection:
        connection.executemany("insert into birds (name, weight) values (?, ?)", ((f"bird{i}", i * 0.5) for i in range(5000)))
    connection.execute("create index by_name on birds (name)")
    print("count", connection.execute("select count(*), sum(weight), max(name) from birds").fetchone())
    try:
        with connection:
            connection.execute("delete from birds")
            raise RuntimeError
    except RuntimeError:
        pass
    print("rolled back", connection.execute("select count(*) from birds").fetchone())
    other = sqlite3.connect("test.db", timeout=0.1)
    connection.execute("begin immediate")
    try:
        other.execute("begin immediate")
    except sqlite3.OperationalError as error:
        print("locked", error)
    connection.rollback()
    print("integrity", other.execute("pragma integrity_check").fetchone())
    connection.close()
    other.close()


def files():
    with open("mapped", "w+b") as file:
        file.write(b"0123456789" * 1000)
        file.flush()
        with mmap.mmap(file.fileno(), 0) as view:
            view[5000:5005] = b"HELLO"
            print("found", view.find(b"HELLO"), view[-1:])
            view.flush()
        file.seek(5000)
        print("read", file.read(5))
        fcntl.flock(file, fcntl.LOCK_EX)
    for name in ("b", "a", "c"):
        os.makedirs(f"tree/{name}/deep", exist_ok=True)
        with open(f"tree/{name}/deep/file", "w") as file:
            json.dump({"name": name, "list": list(range(100))}, file)
    os.symlink("a", "tree/link")
    print("walk", [(path, sorted(names)) for path, _, names in sorted(os.walk("tree"))])
    shutil.copytree("tree", "copy", symlinks=True)
    shutil.make_archive("archive", "gztar", "tree")
    shutil.unpack_archive("archive.tar.gz", "unpacked")
    print("unpacked", sorted(os.listdir("unpacked")), os.readlink("unpacked/link"))
    with os.scandir("tree") as entries:
        print("scan", sorted((e.name, e.is_dir(), e.is_symlink()) for e in entries))
    print("hash", hashlib.sha256(open("tree/a/deep/file", "rb").read()).hexdigest()[:16])
    os.rename("tree", "renamed")
    print("usage", shutil.disk_usage("/").total > 0, os.path.exists("tree"))
    shutil.rmtree("renamed")
    with tempfile.TemporaryFile() as file:
        file.write(b"temporary")
        file.seek(0)
        print("temporary", file.read())


async def conversation():
    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, "server.sock")

    async def client(number):
        reader, writer = await asyncio.open_unix_connection("server.sock")
        writer.write(f"client {number}\n".encode())
        answer = await reader.readline()
        writer.close()
        return answer

    answers = await asyncio.gather(*(client(n) for n in range(20)))
    server.close()
    process = await asyncio.create_subprocess_exec("echo", "async child", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return sorted(answers)[:2], len(answers), output


def events():
    print("asyncio", asyncio.run(conversation()))
    selector, (left, right) = selectors.DefaultSelector(), socket.socketpair()
    selector.register(left, selectors.EVENT_READ)
    print("nothing", selector.select(0.02))
    right.send(b"x")
    print("ready", len(selector.select(5)), left.recv(5))
    seen = []
    signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.2)
    print("signal", seen)
    start = time.monotonic()
    time.sleep(0.05)
    print("slept", time.monotonic() - start >= 0.05)


def main():
    os.chdir(tempfile.mkdtemp(dir="/tmp"))
    multiprocessing.set_start_method("fork")
    for part in (subprocesses, threads, processes, database, files, events):
        print("==", part.__name__, flush=True)
        part()
    print("user", os.getuid(), os.cpu_count() > 0, sys.platform, len(os.urandom(8)))
    sys.exit(21)


main()
