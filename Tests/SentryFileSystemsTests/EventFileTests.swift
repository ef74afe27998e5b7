import LinuxABI
import SentryFileSystems
import SentryMemory
import SentryPlatform
import SentryVFS
import Testing

private func write(_ file: FileDescription, _ bytes: [UInt8]) throws(Errno) -> Int {
    var buffer = IOBuffer.kernel(bytes)
    return try VFS.write(file, from: &buffer, KernelFileContext.shared)
}
private func read(_ file: FileDescription, _ count: Int) throws(Errno) -> [UInt8] {
    var buffer = IOBuffer.kernel(capacity: count)
    _ = try VFS.read(file, into: &buffer, KernelFileContext.shared)
    return buffer.bytes
}
private func close(_ file: FileDescription) { file.releaseDescriptor(KernelFileContext.shared) }
private func makePipe(_ flags: OpenFlags = []) -> (reader: PipeFile, writer: PipeFile) {
    let pair = PipeFile.makePair(flags: flags, KernelFileContext.shared)
    pair.reader.retainDescriptor()
    pair.writer.retainDescriptor()
    return pair
}

@Suite struct PipeTests {
    @Test func transfersAndEnds() throws {
        let (reader, writer) = makePipe()
        #expect(errno { () throws(Errno) in _ = try read(reader, 1) } == .EAGAIN)
        #expect(try write(writer, [1, 2, 3]) == 3)
        #expect(try read(reader, 2) == [1, 2])
        #expect(reader.readiness(.readable) == .readable)
        #expect(try read(reader, 9) == [3])
        #expect(errno { () throws(Errno) in _ = try write(reader, [1]) } == .EBADF)
        close(writer)
        #expect(try read(reader, 1) == [])
        #expect(reader.readiness(.readable) == .POLLHUP)
    }

    @Test func noReader() throws {
        let (reader, writer) = makePipe()
        close(reader)
        #expect(errno { () throws(Errno) in _ = try write(writer, [1]) } == .EPIPE)
        #expect(writer.readiness([]).contains(.POLLERR))
    }

    @Test func capacityAndAtomicity() throws {
        let (reader, writer) = makePipe()
        #expect(try write(writer, [UInt8](repeating: 1, count: 100_000)) == 65_536)
        #expect(errno { () throws(Errno) in _ = try write(writer, [1]) } == .EAGAIN)
        #expect(writer.readiness(.writable).isEmpty)
        #expect(try read(reader, 4000).count == 4000)
        // A small write is all or nothing.
        #expect(errno { () throws(Errno) in _ = try write(writer, [UInt8](repeating: 2, count: 4096)) } == .EAGAIN)
        #expect(try write(writer, [UInt8](repeating: 2, count: 4000)) == 4000)
        #expect(try reader.pipe.setCapacity(100_000, privileged: false) == 131_072)
        #expect(errno { () throws(Errno) in _ = try reader.pipe.setCapacity(4096, privileged: false) } == .EBUSY)
        #expect(errno { () throws(Errno) in _ = try reader.pipe.setCapacity(2 << 20, privileged: false) } == .EPERM)
        let rest = try read(reader, 100_000)
        #expect(rest.count == 65_536)
        #expect(rest.suffix(4000) == [UInt8](repeating: 2, count: 4000)[...])
    }

    @Test func theRingWraps() throws {
        let (reader, writer) = makePipe()
        var next: UInt8 = 0, expected: UInt8 = 0
        for round in 0..<400 {
            let count = 1000 + round % 7
            #expect(
                try write(
                    writer,
                    (0..<count).map { _ in
                        next &+= 1
                        return next
                    }) == count)
            for byte in try read(reader, count) {
                expected &+= 1
                #expect(byte == expected)
            }
        }
    }

    @Test func packets() throws {
        let (reader, writer) = makePipe(.O_DIRECT)
        #expect(try write(writer, [1, 2, 3]) == 3)
        #expect(try write(writer, [4]) == 1)
        #expect(try read(reader, 2) == [1, 2])
        #expect(try read(reader, 9) == [4])
    }

    @Test func fifos() throws {
        PipeFile.registerFIFOs()
        let files = try FileFixture()
        let name = Array("/fifo".utf8)
        try VFS.makeNode(name.span, at: files.start, mode: FileMode.S_IFIFO | 0o644, device: 0, files.root)
        #expect(errno { () throws(Errno) in _ = try files.open("/fifo", [.O_WRONLY, .O_NONBLOCK]) } == .ENXIO)
        let reader = try files.open("/fifo")
        reader.retainDescriptor()
        #expect(reader.isOpenPending)
        let writer = try files.open("/fifo", .O_WRONLY)
        writer.retainDescriptor()
        #expect(!reader.isOpenPending)
        #expect(!writer.isOpenPending)
        #expect(try write(writer, [7]) == 1)
        close(writer)
        #expect(try read(reader, 2) == [7])
        #expect(try read(reader, 2) == [])
    }
}

@Suite struct EpollTests {
    private let epoll = EpollFile(flags: [])
    private let event = EventFile(0, isSemaphore: false, flags: [])
    private let input = PollEvents.POLLIN.rawValue

    @Test func levelTriggered() throws {
        try epoll.add(3, event, events: input, data: 77)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).isEmpty)
        #expect(epoll.readiness(.readable).isEmpty)
        event.signal(1)
        #expect(epoll.readiness(.readable) == .readable)
        for _ in 0..<3 {
            let found = epoll.collect(limit: 8, KernelFileContext.shared)
            #expect(found.count == 1)
            #expect(found.first?.data == 77)
            #expect(found.first?.events == input)
        }
        _ = try read(event, 8)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).isEmpty)
    }

    @Test func edgeTriggered() throws {
        event.signal(1)
        try epoll.add(3, event, events: input | EpollFlag.EPOLLET, data: 1)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).count == 1)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).isEmpty)
        event.signal(1)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).count == 1)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).isEmpty)
    }

    @Test func oneShot() throws {
        event.signal(1)
        try epoll.add(3, event, events: input | EpollFlag.EPOLLONESHOT, data: 1)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).count == 1)
        event.signal(1)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).isEmpty)
        try epoll.modify(3, event, events: input | EpollFlag.EPOLLONESHOT, data: 2)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).first?.data == 2)
    }

    @Test func errors() throws {
        try epoll.add(3, event, events: input, data: 0)
        #expect(errno { () throws(Errno) in try epoll.add(3, event, events: input, data: 0) } == .EEXIST)
        #expect(errno { () throws(Errno) in try epoll.modify(4, event, events: input, data: 0) } == .ENOENT)
        #expect(errno { () throws(Errno) in try epoll.delete(4, event) } == .ENOENT)
        #expect(errno { () throws(Errno) in try epoll.add(5, epoll, events: input, data: 0) } == .EINVAL)
        try epoll.delete(3, event)
        event.signal(1)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).isEmpty)
        let file = try FileFixture().open("/", .O_DIRECTORY)
        #expect(errno { () throws(Errno) in try epoll.add(6, file, events: input, data: 0) } == .EPERM)
    }

    @Test func nesting() throws {
        let outer = EpollFile(flags: [])
        try epoll.add(3, event, events: input, data: 5)
        try outer.add(4, epoll, events: input, data: 6)
        #expect(errno { () throws(Errno) in try epoll.add(5, outer, events: input, data: 0) } == .ELOOP)
        event.signal(1)
        #expect(outer.collect(limit: 8, KernelFileContext.shared).first?.data == 6)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).first?.data == 5)
        _ = try read(event, 8)
        #expect(outer.collect(limit: 8, KernelFileContext.shared).isEmpty)
    }

    @Test func closingAFileForgetsIt() throws {
        let (reader, writer) = makePipe()
        try epoll.add(3, reader, events: input, data: 0)
        #expect(epoll.items.count == 1)
        _ = try write(writer, [1])
        close(reader)
        #expect(epoll.items.isEmpty)
        #expect(epoll.collect(limit: 8, KernelFileContext.shared).isEmpty)
    }

    @Test func manyItemsCostWhatIsReady() throws {
        let events = (0..<5000).map { _ in EventFile(0, isSemaphore: false, flags: []) }
        for (index, event) in events.enumerated() {
            try epoll.add(Int32(index), event, events: input | EpollFlag.EPOLLET, data: UInt64(index))
        }
        for index in [4999, 17, 2500] { events[index].signal(1) }
        #expect(epoll.collect(limit: 100, KernelFileContext.shared).map(\.data) == [4999, 17, 2500])
    }

    @Test func exclusiveWaitersTakeTurns() throws {
        let instances = (0..<3).map { _ in EpollFile(flags: []) }
        for instance in instances { try instance.add(3, event, events: input | EpollFlag.EPOLLEXCLUSIVE | EpollFlag.EPOLLET, data: 0) }
        event.signal(1)
        #expect(instances.map { $0.collect(limit: 4, KernelFileContext.shared).count } == [1, 0, 0])
        event.signal(1)
        #expect(instances.map { $0.collect(limit: 4, KernelFileContext.shared).count } == [0, 1, 0])
    }
}

/// The same for suites with functions of these names.
private func put(_ file: FileDescription, _ bytes: [UInt8]) throws(Errno) -> Int { try write(file, bytes) }
private func take(_ file: FileDescription, _ count: Int) throws(Errno) -> [UInt8] { try read(file, count) }

@Suite struct PromptFileTests {
    private func makeSpace() throws -> (space: AddressSpace, address: UInt64) {
        let platform = NullPlatform()
        let layout = AddressLayout.standard(maximumAddress: platform.maximumGuestAddress, stackLimit: 8 << 20, random: 0)
        let space = try AddressSpace(platform: platform, memoryFile: try MemoryFile.anonymous(), layout: layout)
        let flags: MapFlags = [.MAP_PRIVATE, .MAP_ANONYMOUS]
        return (space, try space.map(MapRequest(length: 4096, protection: [.read, .write], flags: flags)))
    }
    private func read(_ file: FileDescription, _ space: AddressSpace, _ address: UInt64) throws(Errno) -> Int {
        var buffer = IOBuffer(space, address: address, count: 8, isPrompt: true)
        return try VFS.read(file, into: &buffer, KernelFileContext.shared)
    }
    private func write(_ file: FileDescription, _ space: AddressSpace, _ address: UInt64) throws(Errno) -> Int {
        var buffer = IOBuffer(space, address: address, count: 8, isPrompt: true)
        return try VFS.write(file, from: &buffer, KernelFileContext.shared)
    }

    @Test func doAllOrNothingAcrossTheEndOfTheRing() throws {
        let (space, address) = try makeSpace()
        // 100 bytes of which the last four are not at hand.
        let buffer = address + 4096 - 96
        func bytes(_ range: Range<Int>) -> [UInt8] { range.map { UInt8(truncatingIfNeeded: $0) } }
        let (reader, writer) = makePipe()
        _ = try put(writer, bytes(0..<4000))
        _ = try take(reader, 3990)
        var source = IOBuffer(space, address: buffer, count: 100, isPrompt: true)
        #expect(errno { () throws(Errno) in _ = try VFS.write(writer, from: &source, KernelFileContext.shared) } == .notAtHand)
        _ = try put(writer, bytes(4000..<4090))
        var destination = IOBuffer(space, address: buffer, count: 100, isPrompt: true)
        #expect(errno { () throws(Errno) in _ = try VFS.read(reader, into: &destination, KernelFileContext.shared) } == .notAtHand)
        #expect(try take(reader, 200) == bytes(3990..<4090))
    }

    @Test func loseNothingWhenMemoryIsNotAtHand() throws {
        let (space, address) = try makeSpace()
        let event = EventFile(3, isSemaphore: false, flags: [])
        let (reader, writer) = makePipe()
        try space.protect(address, length: 4096, protection: [])
        for file in [event, writer] { #expect(errno { () throws(Errno) in _ = try write(file, space, address) } == .notAtHand) }
        #expect(event.count == 3)
        #expect(reader.readiness(.readable).isEmpty)
        var bytes = IOBuffer.kernel([1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try VFS.write(writer, from: &bytes, KernelFileContext.shared) == 8)
        try space.protect(address, length: 4096, protection: [.read, .write])
        // Shared with a child until it is written.
        let child = try space.fork(on: NullPlatform())
        defer { withExtendedLifetime(child) {} }
        for file in [event, reader] { #expect(errno { () throws(Errno) in _ = try read(file, space, address) } == .notAtHand) }
        #expect(event.count == 3)
        try space.store(UInt64(0), to: address)
        #expect(try read(event, space, address) == 8)
        #expect(try space.load(address, as: UInt64.self) == 3)
        #expect(try read(reader, space, address) == 8)
        #expect(try space.load(address, as: UInt64.self) == 0x0807_0605_0403_0201)
        #expect(errno { () throws(Errno) in _ = try read(event, space, address) } == .EAGAIN)
        try space.store(UInt64(9), to: address)
        #expect(try write(event, space, address) == 8)
        #expect(event.count == 9)
        #expect(try write(writer, space, address) == 8)
    }
}

@Suite struct EventAndWatchTests {
    @Test func eventCounter() throws {
        let event = EventFile(3, isSemaphore: false, flags: [])
        #expect(try read(event, 8) == [3, 0, 0, 0, 0, 0, 0, 0])
        #expect(errno { () throws(Errno) in _ = try read(event, 8) } == .EAGAIN)
        #expect(errno { () throws(Errno) in _ = try read(event, 7) } == .EINVAL)
        #expect(errno { () throws(Errno) in _ = try write(event, [UInt8](repeating: 255, count: 8)) } == .EINVAL)
        #expect(try write(event, [254] + [UInt8](repeating: 255, count: 7)) == 8)
        #expect(errno { () throws(Errno) in _ = try write(event, [1, 0, 0, 0, 0, 0, 0, 0]) } == .EAGAIN)
        #expect(event.readiness(.writable).isEmpty)
        let semaphore = EventFile(2, isSemaphore: true, flags: [])
        #expect(try read(semaphore, 8).first == 1)
        #expect(semaphore.count == 1)
    }

    /// mask, cookie and name of each event that waits.
    private func events(_ file: InotifyFile) throws -> [(UInt32, UInt32, String)] {
        guard let bytes = try? read(file, 1 << 16) else { return [] }
        var result: [(UInt32, UInt32, String)] = []
        var position = 0
        while position + 16 <= bytes.count {
            let words = (0..<4).map { word in (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[position + word * 4 + $1]) << UInt32(8 * $1) } }
            let name = bytes[(position + 16)..<(position + 16 + Int(words[3]))].prefix { $0 != 0 }
            result.append((words[1], words[2], String(decoding: name, as: UTF8.self)))
            position += 16 + Int(words[3])
        }
        return result
    }

    @Test func inotify() throws {
        let files = try FileFixture()
        try files.mkdir("/d")
        let watcher = InotifyFile(flags: .O_NONBLOCK)
        watcher.retainDescriptor()
        let number = try watcher.addWatch(files.resolve("/d").dentry, mask: InotifyFlag.IN_ALL_EVENTS)
        try files.create("/d/f", "x")
        try files.rename("/d/f", "/d/g")
        try files.rename("/d/g", "/out")
        try files.mkdir("/d/sub")
        try files.rmdir("/d/sub")
        try VFS.changeMode(files.resolve("/d"), 0o700, files.root)
        let found = try events(watcher)
        #expect(found.map(\.0) == [0x100, 0x20, 0x2, 0x40, 0x80, 0x40, 0x4000_0100, 0x4000_0200, 0x4000_0004])
        #expect(found.map(\.2) == ["f", "f", "f", "f", "g", "g", "sub", "sub", ""])
        #expect(found[3].1 == found[4].1 && found[3].1 != 0)
        try watcher.removeWatch(number)
        #expect(try events(watcher).map(\.0) == [InotifyFlag.IN_IGNORED])
        try files.create("/d/more")
        #expect(try events(watcher).isEmpty)

        _ = try watcher.addWatch(files.resolve("/out").dentry, mask: InotifyFlag.IN_ALL_EVENTS)
        try files.unlink("/out")
        #expect(try events(watcher).map(\.0) == [0x400, InotifyFlag.IN_IGNORED])
        close(watcher)
    }

    @Test func theQueueOverflowsOnce() throws {
        let files = try FileFixture()
        let watcher = InotifyFile(flags: .O_NONBLOCK)
        watcher.retainDescriptor()
        _ = try watcher.addWatch(files.resolve("/").dentry, mask: 0x100)
        for index in 0..<17_000 { try files.create("/\(index)") }
        var count = 0
        var last: UInt32 = 0
        while case let found = try events(watcher), !found.isEmpty {
            count += found.count
            last = found[found.count - 1].0
        }
        #expect(count == 16_385)
        #expect(last == InotifyFlag.IN_Q_OVERFLOW)
        close(watcher)
    }

    @Test func memoryFilesAreSealed() throws {
        let memory = try MemoryFile.anonymous()
        let file = try TmpfsFileSystem.makeMemoryFile([0x78], memory: memory, seals: 0, permissions: 0o777, KernelFileContext.shared)
        #expect(try write(file, [1, 2, 3]) == 3)
        let inode = try #require(file.inode as? TmpfsRegular)
        try inode.addSeals(SealFlags.F_SEAL_SHRINK | SealFlags.F_SEAL_GROW)
        #expect(errno { () throws(Errno) in try VFS.truncate(file, size: 1, KernelFileContext.shared) } == .EPERM)
        #expect(errno { () throws(Errno) in _ = try write(file, [4]) } == .EPERM)
        try inode.addSeals(SealFlags.F_SEAL_WRITE | SealFlags.F_SEAL_SEAL)
        #expect(errno { () throws(Errno) in try inode.addSeals(SealFlags.F_SEAL_EXEC) } == .EPERM)
    }
}
