internal import Diagnostics
internal import Host
internal import LinuxABI

/// Host processes as the Supervisor sees them.
enum HostProcess {
    /// The fields of /proc/PID/stat after the command's name; field 3 (state) is the first.
    private static func status(_ processID: Int32) -> [Substring]? {
        guard let text = HostFile.text("/proc/\(processID)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        return text[text.index(after: end)...].split(separator: " ")
    }

    /// The identity of a live process, or nil when there is none.
    static func identity(_ processID: Int32) -> ProcessIdentity? {
        guard processID > 0, let fields = status(processID), fields.count > 19, let start = UInt64(fields[19]) else { return nil }
        return ProcessIdentity(processID: processID, startTime: start)
    }

    /// True while the process runs. A zombie has ended.
    static func isAlive(_ identity: ProcessIdentity) -> Bool {
        guard identity.processID > 0, let fields = status(identity.processID), fields.count > 19, UInt64(fields[19]) == identity.startTime
        else {
            return false
        }
        return fields[0] != "Z" && fields[0] != "X"
    }

    /// A descriptor of the process, or nil when it has gone (or its number names another one now).
    static func open(_ identity: ProcessIdentity) -> OwnedDescriptor? {
        guard identity.processID > 0, let descriptor = try? HostCall.openProcess(identity.processID) else { return nil }
        // The descriptor holds the process that had the number a moment ago: check that it is the one meant.
        guard isAlive(identity) else { return nil }
        return descriptor
    }

    /// Kills a process and waits until it has ended, at most `milliseconds`. True when it has.
    @discardableResult static func killAndWait(_ identity: ProcessIdentity, milliseconds: Int32 = 5000) -> Bool {
        guard let process = open(identity) else { return true }
        try? HostCall.sendSignal(9, to: process.rawValue)
        return ((try? HostCall.waitReadable([process.rawValue], milliseconds: milliseconds)) ?? nil) != nil
    }

    /// Kills processes by number and waits until they have ended, at most `milliseconds` each.
    static func killAndWait(_ processIDs: [Int32], milliseconds: Int32) {
        for processID in processIDs {
            guard let process = try? HostCall.openProcess(processID) else { continue }
            try? HostCall.sendSignal(9, to: process.rawValue)
            _ = try? HostCall.waitReadable([process.rawValue], milliseconds: milliseconds)
        }
    }
}

extension HostProcess {
    /// This process's id.
    static var own: Int32 { Int32(truncatingIfNeeded: HostCall.raw(.getpid)) }
}
