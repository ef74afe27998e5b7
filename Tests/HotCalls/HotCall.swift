import LinuxABI

/// A system call of the guest.
struct HotCall: Sendable {
    /// Nil: it prepares others and is not counted.
    var name: String?
    var number: SystemCallNumber
    var arguments: [UInt64]
    /// What it must give; nil for calls whose result nobody sees.
    var result: Int?
    /// The handler's frame is to be left first, as its `ret` does.
    var leavesHandler = false

    init(_ name: String?, _ number: SystemCallNumber, _ arguments: [UInt64], _ result: Int?, leavesHandler: Bool = false) {
        self.name = name
        self.number = number
        self.arguments = arguments
        self.result = result
        self.leavesHandler = leavesHandler
    }

    // Places in the guest's memory; `texts` fills those of paths.
    static let memory: UInt64 = 0x10_0000
    static let size: UInt64 = 0x1_0000
    private static let folder = memory, file = memory + 0x40, missing = memory + 0x80, zero = memory + 0xc0, null = memory + 0x100,
        other = memory + 0x140
    private static let word = memory + 0x200, event = memory + 0x240, action = memory + 0x280
    private static let buffer = memory + 0x2000
    static let texts: [(UInt64, String)] = [
        (folder, "/folder"), (file, "/folder/file"), (missing, "/folder/missing"), (zero, "/zero"), (null, "/null"),
        (other, "/folder/other"),
    ]
    /// Where the guest begins, and the handler of its signals.
    static let code: UInt64 = 0x40_0000

    // Descriptors in the order of the calls that open them.
    private static let zeroFile: UInt64 = 0, nullFile: UInt64 = 1, regularFile: UInt64 = 2, pipeReader: UInt64 = 3, pipeWriter: UInt64 = 4
    private static let eventFile: UInt64 = 5, epollFile: UInt64 = 6
    private static let openFile: UInt64 = 7, directory: UInt64 = 7

    /// What makes the files and the handler.
    static let preparation: [HotCall] = [
        HotCall(nil, .mkdir, [folder, 0o755], 0),
        HotCall(nil, .mknod, [zero, 0o020_666, 1 << 8 | 5], 0),
        HotCall(nil, .mknod, [null, 0o020_666, 1 << 8 | 3], 0),
        HotCall(nil, .open, [zero, 2, 0], 0),
        HotCall(nil, .open, [null, 2, 0], 1),
        HotCall(nil, .open, [file, 0o102, 0o644], 2),
        HotCall(nil, .write, [regularFile, buffer, 4096], 4096),
        HotCall(nil, .pipe2, [buffer, 0], 0),
        HotCall(nil, .eventfd2, [0, 0], 5),
        HotCall(nil, .epoll_create1, [0], 6),
        HotCall(nil, .epoll_ctl, [epollFile, 1, eventFile, event], 0),
        HotCall(nil, .rt_sigaction, [10, action, 0, 8], 0),
    ]
    /// Numbers in the guest's memory at the beginning: 1 for eventfd; EPOLLIN; the handler with SA_RESTORER.
    static let words: [(UInt64, UInt64)] = [
        (buffer, 1), (event, 1), (action, code), (action + 8, 0x400_0000), (action + 16, code),
    ]

    /// One round of what is counted; each leaves things as they were, or the next one does.
    static let round: [HotCall] = [
        HotCall("getppid", .getppid, [], 0),
        HotCall("read", .read, [zeroFile, buffer + 64, 1], 1),
        HotCall("write", .write, [nullFile, buffer, 1], 1),
        HotCall("pread", .pread64, [regularFile, buffer + 64, 64, 0], 64),
        HotCall("stat", .stat, [file, buffer + 64], 0),
        HotCall("stat-missing", .stat, [missing, buffer + 64], -2),
        HotCall("futex-wake", .futex, [word, 128 | 1, 1], 0),
        HotCall("futex-wait", .futex, [word, 128, 1, 0], -11),
        HotCall("pipe-write", .write, [pipeWriter, buffer, 1], 1),
        HotCall("pipe-read", .read, [pipeReader, buffer + 64, 1], 1),
        HotCall("eventfd-write", .write, [eventFile, buffer, 8], 8),
        HotCall("epoll-wait", .epoll_wait, [epollFile, buffer + 64, 8, 0], 1),
        HotCall("eventfd-read", .read, [eventFile, buffer + 64, 8], 8),
        HotCall("rename", .rename, [file, other], 0),
        HotCall(nil, .rename, [other, file], 0),
        HotCall("open", .open, [file, 0, 0], 7),
        HotCall("close", .close, [openFile], 0),
        HotCall(nil, .open, [folder, 0o200000, 0], 7),
        // ".", ".." and a file.
        HotCall("getdents64", .getdents64, [directory, buffer + 64, 4096], 24 + 24 + 24),
        HotCall(nil, .close, [directory], 0),
        // The process is alone in its namespace.
        HotCall("kill", .kill, [1, 10], nil),
        HotCall("rt_sigreturn", .rt_sigreturn, [], nil, leavesHandler: true),
    ]

    /// Everything, with rounds that warm up before those that are counted.
    static let all: [HotCall] = {
        let quiet = round.map { call in
            var copy = call
            copy.name = nil
            return copy
        }
        return preparation + quiet + quiet + quiet + quiet + round + quiet + round + quiet + round
    }()
}
