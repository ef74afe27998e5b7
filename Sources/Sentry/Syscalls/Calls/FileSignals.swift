import Host
import LinuxABI
import SentryKernel
import SentryVFS

/// Signals that files send of their own accord: SIGIO of O_ASYNC, and directory notification (fcntl(2) F_SETFL, F_NOTIFY). One object for each open
/// file that has either, until its last descriptor is gone.
final class FileSignals: FileWatcher, FileReleaseObserver, @unchecked Sendable {
    private static let all = Lock<[ObjectIdentifier: FileSignals]>([:])

    /// Tells of readiness: an edge is a signal.
    private final class Edge: Waiter, @unchecked Sendable {
        weak var signals: FileSignals?
        init(_ signals: FileSignals) {
            self.signals = signals
            super.init(mask: [.POLLIN, .POLLOUT, .POLLPRI, .POLLRDHUP])
        }
        override func wake(_ events: PollEvents) -> Parker? {
            signals?.send(events)
            return nil
        }
    }

    private struct State {
        var edge: Edge?
        /// DN_ bits, and whether the inode's watchers know of us.
        var notification: UInt32 = 0
        var isWatching = false
    }
    private let state = Lock(State())
    private unowned let file: FileDescription
    private let kernel: Kernel
    private let namespace: PIDNamespace
    /// The descriptor that the request came with: si_fd.
    private let descriptor: Int32

    private init(_ file: FileDescription, _ descriptor: Int32, _ task: KernelTask) {
        self.file = file
        self.descriptor = descriptor
        kernel = task.kernel
        namespace = task.namespace
        super.init()
    }

    private static func of(_ file: FileDescription, _ descriptor: Int32, _ task: KernelTask) -> FileSignals {
        let (signals, isNew) = all.withLock { all in
            if let signals = all[ObjectIdentifier(file)] { return (signals, false) }
            let signals = FileSignals(file, descriptor, task)
            all[ObjectIdentifier(file)] = signals
            return (signals, true)
        }
        if isNew { file.addReleaseObserver(signals) }
        return signals
    }

    /// O_ASYNC was set or cleared.
    static func setAsynchronous(_ file: FileDescription, _ isOn: Bool, _ descriptor: Int32, _ task: KernelTask) {
        // Files that are always ready have no edges.
        guard file.isPollable else { return }
        if !isOn, all.withLock({ $0[ObjectIdentifier(file)] }) == nil { return }
        let signals = of(file, descriptor, task)
        let (added, removed) = signals.state.withLock { state -> (Edge?, Edge?) in
            if isOn == (state.edge != nil) { return (nil, nil) }
            let old = state.edge
            state.edge = isOn ? Edge(signals) : nil
            return (state.edge, old)
        }
        if let added { file.add(added) }
        if let removed { file.remove(removed) }
    }

    /// F_NOTIFY on a directory: `events` are DN_ bits; 0 ends it. ENOTDIR for another file.
    static func notify(_ file: FileDescription, events: UInt32, _ descriptor: Int32, _ task: KernelTask) throws(Errno) {
        if events & ~DirectoryNotification.DN_MULTISHOT == 0, all.withLock({ $0[ObjectIdentifier(file)] }) == nil { return }
        guard let inode = file.inode, inode.type == .directory else { throw .ENOTDIR }
        let signals = of(file, descriptor, task)
        file.owner.withLock { owner in
            if owner.identifier == 0 { owner.identifier = task.processID }
        }
        let mustWatch = signals.state.withLock { state in
            // Requests add up until they are cancelled.
            state.notification = events & ~DirectoryNotification.DN_MULTISHOT == 0 ? 0 : state.notification | events
            defer { state.isWatching = true }
            return !state.isWatching
        }
        if mustWatch { inode.watchers.add(signals) }
    }

    override func notify(_ events: FileEvents, cookie: UInt32, name: [UInt8], isUnlinked: Bool) {
        if name.isEmpty { return }
        var bits: UInt32 = 0
        if events.contains(.access) { bits |= DirectoryNotification.DN_ACCESS }
        if events.contains(.modify) { bits |= DirectoryNotification.DN_MODIFY }
        if events.contains(.create) || events.contains(.movedTo) { bits |= DirectoryNotification.DN_CREATE }
        if events.contains(.delete) || events.contains(.movedFrom) { bits |= DirectoryNotification.DN_DELETE }
        if events.contains(.movedFrom) || events.contains(.movedTo) { bits |= DirectoryNotification.DN_RENAME }
        if events.contains(.attributes) { bits |= DirectoryNotification.DN_ATTRIB }
        let isWanted = state.withLock { state in
            guard state.notification & bits != 0 else { return false }
            if state.notification & DirectoryNotification.DN_MULTISHOT == 0 { state.notification = 0 }
            return true
        }
        if isWanted { send([.POLLIN, .POLLRDNORM, .POLLMSG]) }
    }

    /// Sends the file's signal to its owner: SIGIO, or what F_SETSIG chose, with what happened.
    private func send(_ events: PollEvents) {
        let owner = file.owner.withLock { $0 }
        guard owner.identifier != 0 else { return }
        var info = SignalInfo.kernel(owner.signal == 0 ? Signal.SIGIO : owner.signal)
        if owner.signal != 0 {
            // POLL_IN 1, POLL_OUT 2, POLL_MSG 3, POLL_ERR 4, POLL_PRI 5, POLL_HUP 6
            info.si_code =
                events.contains(.POLLMSG)
                ? 3 : events.contains(.POLLIN) ? 1 : events.contains(.POLLOUT) ? 2 : events.contains(.POLLHUP) ? 6 : 4
            info.si_addr = UInt64(events.rawValue)
            info.word1 = UInt64(UInt32(bitPattern: descriptor))
        }
        let (task, groups) = kernel.tree.withLock { proof -> (KernelTask?, [ThreadGroup]) in
            if owner.identifier < 0 { return (nil, namespace.processGroup(-owner.identifier, proof)?.members(proof) ?? []) }
            if owner.isThread { return (namespace.task(owner.identifier, proof), []) }
            return (nil, namespace.threadGroup(owner.identifier, proof).map { [$0] } ?? [])
        }
        task?.send(info)
        for group in groups { group.send(info) }
    }

    func fileReleased(_ file: FileDescription) {
        _ = Self.all.withLock { $0.removeValue(forKey: ObjectIdentifier(file)) }
        let old = state.withLock { state in
            defer { state = State() }
            return state
        }
        if let edge = old.edge { file.remove(edge) }
        if old.isWatching { file.inode?.watchers.remove(self) }
    }
}
