import Host
public import LinuxABI
import SentryVFS

/// A message queue (msgget(2)).
public final class MessageQueue: IPCObject {
    /// What msgctl(IPC_STAT) tells. Times in seconds of CLOCK_REALTIME.
    public struct Status: Sendable {
        public internal(set) var permissions: IPCPermissions
        public internal(set) var sendTime: UInt64 = 0
        public internal(set) var receiveTime: UInt64 = 0
        public internal(set) var changeTime: UInt64
        public internal(set) var bytes: UInt64 = 0
        public internal(set) var count: UInt64 = 0
        public internal(set) var maximumBytes = UInt64(Messages.MSGMNB)
        public internal(set) var lastSender: Int32 = 0
        public internal(set) var lastReceiver: Int32 = 0
    }
    /// One message.
    public struct Message: Sendable {
        public var type: Int64
        public var text: [UInt8]
        public init(type: Int64, text: [UInt8]) {
            self.type = type
            self.text = text
        }
        fileprivate var cost: Int { 64 + text.count }
    }
    private struct State: Sendable {
        var status: Status
        /// Oldest first.
        var messages: [Message] = []
        var isRemoved = false
    }
    private let state: Lock<State>
    private let senders = WaitQueue()
    private let receivers = WaitQueue()
    private let namespace: IPCNamespace

    fileprivate init(_ task: KernelTask, _ namespace: IPCNamespace, identifier: Int32, key: Int32, mode: UInt32) throws(Errno) {
        try namespace.charge(256)
        self.namespace = namespace
        let status = Status(
            permissions: IPCPermissions(task, identifier: identifier, key: key, mode: mode), changeTime: HostClock.realtime / 1_000_000_000)
        state = Lock(State(status: status))
    }

    deinit { namespace.uncharge(256 + state.withLock { $0.messages.reduce(0) { $0 + $1.cost } }) }

    var permissions: IPCPermissions { state.withLock { $0.status.permissions } }
    public var status: Status { state.withLock { $0.status } }

    // MARK: sending

    /// Whether it fitted.
    private func put(_ message: Message, process: Int32) throws(Errno) -> Bool {
        let isIn = try state.withLock { state throws(Errno) -> Bool in
            if state.isRemoved { throw .EIDRM }
            let (bytes, overflow) = state.status.bytes.addingReportingOverflow(UInt64(message.text.count))
            guard !overflow, bytes <= state.status.maximumBytes, state.status.count < state.status.maximumBytes else { return false }
            try namespace.charge(message.cost)
            state.messages.append(message)
            state.status.bytes = bytes
            state.status.count += 1
            state.status.lastSender = process
            state.status.sendTime = HostClock.realtime / 1_000_000_000
            return true
        }
        if isIn { receivers.notify(.POLLIN) }
        return isIn
    }

    /// msgsnd(2): EAGAIN when it would wait and may not, EIDRM when the queue goes.
    fileprivate func send(_ message: Message, _ task: KernelTask, waits: Bool) throws(Errno) {
        let process = task.processID
        if try put(message, process: process) { return }
        if !waits { throw .EAGAIN }
        do throws(Errno) {
            _ = try task.waitFor(senders, .POLLIN) { () throws(Errno) -> Bool? in try put(message, process: process) ? true : nil }
        } catch {
            throw error == .ERESTARTSYS ? .ERESTARTNOHAND : error
        }
    }

    // MARK: receiving

    /// Where the wanted message stands: `type` 0 the first, above 0 the first of that type (or not of it), below 0 the first of the lowest type up to it.
    private static func index(_ messages: [Message], type: Int64, flags: UInt32) -> Int? {
        if flags & Messages.MSG_COPY != 0 { return type >= 0 && type < Int64(messages.count) ? Int(type) : nil }
        if type == 0 { return messages.isEmpty ? nil : 0 }
        if type > 0 { return messages.firstIndex { ($0.type == type) != (flags & Messages.MSG_EXCEPT != 0) } }
        let most = type == .min ? Int64.max : -type
        var found: Int?
        for (index, message) in messages.enumerated() where message.type <= most {
            if let best = found, messages[best].type <= message.type { continue }
            found = index
        }
        return found
    }

    private func take(type: Int64, size: UInt64, flags: UInt32, process: Int32) throws(Errno) -> Message? {
        let message = try state.withLock { state throws(Errno) -> Message? in
            if state.isRemoved { throw .EIDRM }
            guard let index = Self.index(state.messages, type: type, flags: flags) else { return nil }
            let message = state.messages[index]
            if UInt64(message.text.count) > size, flags & Messages.MSG_NOERROR == 0 { throw .E2BIG }
            if flags & Messages.MSG_COPY != 0 { return message }
            state.messages.remove(at: index)
            state.status.bytes -= UInt64(message.text.count)
            state.status.count -= 1
            state.status.lastReceiver = process
            state.status.receiveTime = HostClock.realtime / 1_000_000_000
            namespace.uncharge(message.cost)
            return message
        }
        if message != nil, flags & Messages.MSG_COPY == 0 { senders.notify(.POLLIN) }
        return message
    }

    /// msgrcv(2): ENOMSG when it would wait and may not, EIDRM when the queue goes.
    fileprivate func receive(type: Int64, size: UInt64, flags: UInt32, _ task: KernelTask) throws(Errno) -> Message {
        let process = task.processID
        if let message = try take(type: type, size: size, flags: flags, process: process) { return message }
        if flags & IPC.IPC_NOWAIT != 0 { throw .ENOMSG }
        do throws(Errno) {
            let message = try task.waitFor(receivers, .POLLIN) { () throws(Errno) in
                try take(type: type, size: size, flags: flags, process: process)
            }
            guard let message else { throw .ENOMSG }
            return message
        } catch {
            throw error == .ERESTARTSYS ? .ERESTARTNOHAND : error
        }
    }

    // MARK: control

    fileprivate func remove() {
        state.withLock { $0.isRemoved = true }
        senders.notify(.POLLIN)
        receivers.notify(.POLLIN)
    }

    fileprivate func change(_ change: IPCChange) {
        state.withLock { state in
            state.status.permissions.set(change)
            state.status.maximumBytes = change.queueBytes
            state.status.changeTime = HostClock.realtime / 1_000_000_000
        }
        senders.notify(.POLLIN)
    }
}

extension KernelTask {
    private var ipc: IPCNamespace { container.ipc }

    /// msgget(2)
    public func messageQueue(key: Int32, flags: UInt32) throws(Errno) -> Int32 {
        let queue = try ipc.queues.withLock { table throws(Errno) in
            try table.get(self, key: key, flags: flags) { _ throws(Errno) in
            } make: { identifier throws(Errno) in
                try MessageQueue(self, ipc, identifier: identifier, key: key, mode: flags)
            }
        }
        return queue.permissions.identifier
    }

    /// The queue with that identifier, or at that place of the table (MSG_STAT).
    public func messageQueue(_ number: Int32, isPlace: Bool, access: UInt32) throws(Errno) -> MessageQueue {
        try ipc.queues.withLock { table throws(Errno) in
            guard number >= 0 else { throw .EINVAL }
            let queue: MessageQueue
            if isPlace {
                guard let found = table.at(Int(number % IPC.places)) else { throw .EINVAL }
                queue = found
            } else {
                queue = try table.find(number)
            }
            try queue.permissions.check(self, access)
            return queue
        }
    }

    /// msgsnd(2) after decoding.
    public func sendMessage(_ identifier: Int32, _ message: MessageQueue.Message, waits: Bool) throws(Errno) {
        try messageQueue(identifier, isPlace: false, access: IPC.write).send(message, self, waits: waits)
    }

    /// msgrcv(2) after decoding: the message, perhaps longer than `size` with MSG_NOERROR.
    public func receiveMessage(_ identifier: Int32, type: Int64, size: UInt64, flags: UInt32) throws(Errno) -> MessageQueue.Message {
        try messageQueue(identifier, isPlace: false, access: IPC.read).receive(type: type, size: size, flags: flags, self)
    }

    /// msgctl(IPC_RMID)
    public func removeMessages(_ identifier: Int32) throws(Errno) {
        let queue = try ipc.queues.withLock { table throws(Errno) in
            let queue = try table.find(identifier)
            try queue.permissions.checkOwner(self)
            table.remove(queue)
            return queue
        }
        queue.remove()
    }

    /// msgctl(IPC_SET): a queue larger than usual needs CAP_SYS_RESOURCE.
    public func changeMessages(_ identifier: Int32, _ change: IPCChange) throws(Errno) {
        let queue = try messageQueue(identifier, isPlace: false, access: 0)
        try queue.permissions.checkOwner(self)
        if change.queueBytes > UInt64(Messages.MSGMNB), !credentials.has(.CAP_SYS_RESOURCE) { throw .EPERM }
        queue.change(change)
    }
}

extension IPCNamespace {
    public var allQueues: [MessageQueue] { queues.withLock { $0.all } }
    /// What msgctl(MSG_INFO) tells.
    public var messageSummary: (count: Int, highest: Int, messages: UInt64, bytes: UInt64) {
        queues.withLock { table in
            let all = table.all.map(\.status)
            return (table.count, table.highest, all.reduce(0) { $0 &+ $1.count }, all.reduce(0) { $0 &+ $1.bytes })
        }
    }
}
