import Host
import LinuxABI
import Synchronization

/// The memory of one program in a stub. The program that follows it in the same process (execve) takes the stub over, with its threads.
final class StubAddressSpace: PlatformAddressSpace, @unchecked Sendable {
    private enum Place {
        /// The stub is its own.
        case holder
        /// Another space still holds the stub: what is to be made once this one does.
        case successor([MappingOperation])
        /// Another space has taken the stub over.
        case former
        /// It was destroyed before it held the stub.
        case dropped
    }
    private struct Successor { weak var space: StubAddressSpace? }

    let stub: Stub
    private let place: Lock<Place>
    private let successor = Lock(Successor())
    let callSites: CallSites?

    init(_ stub: Stub) {
        self.stub = stub
        place = Lock(.holder)
        callSites = stub.slots == nil ? nil : CallSites()
        stub.owner = self
    }

    private init(successorOf space: StubAddressSpace) {
        stub = space.stub
        place = Lock(.successor([]))
        callSites = stub.slots == nil ? nil : CallSites()
    }

    deinit { destroy() }

    var process: Int32 { stub.process }
    var processDescriptor: SharedDescriptor { stub.processDescriptor }
    var slots: SlotTable? { stub.slots }
    var hostProcess: Int32? { stub.process }
    var isInhabited: Bool {
        if case .holder = place.withLock({ $0 }) { return stub.isInhabited.load(ordering: .relaxed) }
        return false
    }

    func attach(_ code: any GuestCode) { callSites?.attach(code) }

    func restoreCode() { callSites?.restore() }

    func inherit(from parent: any PlatformAddressSpace) {
        if let callSites, let sites = (parent as? StubAddressSpace)?.callSites { callSites.inherit(sites) }
    }

    /// That of the stub; after another space has taken it over, too, so that contexts leave their threads to it.
    var deathReason: StubDeath? {
        if case .dropped = place.withLock({ $0 }) { return .destroyed }
        return stub.deathReason
    }

    func fail(_ reason: StubDeath) { stub.fail(reason) }
    func resumeStopped() { stub.resumeStopped() }
    var isServing: Bool { stub.isServing }

    // MARK: changes

    func apply(_ operations: [MappingOperation]) throws(Errno) {
        if operations.isEmpty { return }
        if try !isHolder(operations) { return }
        try stub.channel.withLock { channel throws(Errno) in try stub.apply(operations, &channel) }
    }

    /// Whether the stub is this space's; keeps the changes of one that is to be its next.
    private func isHolder(_ operations: [MappingOperation]) throws(Errno) -> Bool {
        try place.withLock { place throws(Errno) in
            switch place {
            case .holder: return true
            case .successor(var early):
                early.postpone(operations)
                place = .successor(early)
                return false
            case .former, .dropped: throw .ESRCH
            }
        }
    }

    // MARK: threads

    func startTracedThread() throws(Errno) -> Int32 {
        if try !isHolder([]) { throw .EAGAIN }
        return try stub.startTracedThread()
    }

    func startTrappingThread(slot: Slot, mapping: (file: SharedDescriptor, chunk: UInt64)?) throws(Errno) -> Int32 {
        if try !isHolder([]) { throw .EAGAIN }
        return try stub.startTrappingThread(slot: slot, mapping: mapping)
    }

    func reuseThread() throws(Errno) -> SlotTable.ParkedThread? {
        if try !isHolder([]) { throw .EAGAIN }
        return try stub.reuseThread()
    }

    // MARK: the end

    func makeSuccessor() -> (any PlatformAddressSpace)? {
        guard case .holder = place.withLock({ $0 }), stub.deathReason == nil else { return nil }
        let next = StubAddressSpace(successorOf: self)
        successor.withLock { $0.space = next }
        return next
    }

    func destroy() {
        guard leave() else { return }
        let isHandedOver = stub.channel.withLock { channel in
            handOver { operations in
                try? stub.clear(&channel)
                stub.clearLater(operations, &channel) {}
            }
        }
        if isHandedOver { return }
        guard stub.claim(.destroyed) else { return releaseRest() }
        // A guest thread of systrap that wrote its own turn may still be running: it must not see the memory's next owner.
        if stub.slots != nil { stub.channel.withLock { try? stub.clear(&$0) } }
        stub.kill()
        releaseRest()
    }

    func destroy(then release: @escaping @Sendable () -> Void) {
        guard leave() else { return release() }
        let isHandedOver = stub.channel.withLock { channel in
            handOver { operations in stub.clearLater(operations, &channel, then: release) }
        }
        if isHandedOver { return }
        if stub.claim(.destroyed) { stub.kill() }
        releaseRest()
        // Threads that are traced do not run once their tracers have let go.
        if stub.slots == nil { release() } else { stub.ending.afterwards(release) }
    }

    /// Whether the stub is this space's to end or to hand over.
    private func leave() -> Bool {
        place.withLock { place in
            switch place {
            case .holder: return true
            case .successor:
                place = .dropped
                return false
            case .former, .dropped: return false
            }
        }
    }

    /// Gives the stub to the successor, if there is one that wants it: `body` gets the successor's changes. With the lock of the stub's channel.
    private func handOver(_ body: ([MappingOperation]) -> Void) -> Bool {
        guard let next = successor.withLock({ $0.space }) else { return false }
        let operations = next.place.withLock { place -> [MappingOperation]? in
            guard case .successor(let operations) = place else { return nil }
            place = .holder
            return operations
        }
        guard let operations else { return false }
        place.withLock { $0 = .former }
        stub.owner = next
        body(operations)
        return true
    }

    /// What waited for changes that are not made any more.
    private func releaseRest() {
        let rest = stub.channel.withLock { channel in
            defer { channel.releases = [] }
            return channel.releases
        }
        for release in rest {
            if stub.slots == nil { release() } else { stub.ending.afterwards(release) }
        }
    }
}

extension MappingOperation {
    /// The range whose earlier mappings are gone with this one.
    fileprivate var replacedRange: Range<UInt64>? {
        if case .protect = self { return nil }
        return range
    }
}

extension [MappingOperation] {
    /// Appends changes that nobody sees yet; what they replace need not be made.
    mutating func postpone(_ operations: [MappingOperation]) {
        for operation in operations {
            if let range = operation.replacedRange {
                removeAll { $0.range.lowerBound >= range.lowerBound && $0.range.upperBound <= range.upperBound }
            }
            append(operation)
        }
    }
}
