import Foundation
import Host
import LinuxABI
import Synchronization
import Testing

/// Waiting for what happens outside of the test. Each wait sleeps until the kernel tells of the event, or until its deadline; none looks again and again.
enum Wait {
    /// Whether all `processes` have ended within `seconds`. One that is not there has.
    static func end(of processes: [Int32], within seconds: Double) -> Bool {
        let deadline = Deadline(seconds)
        for process in processes {
            guard let descriptor = try? HostCall.openProcess(process) else { continue }
            let ended = (try? HostCall.waitReadable([descriptor.rawValue], milliseconds: deadline.milliseconds)) ?? nil
            if ended == nil { return false }
        }
        return true
    }

    static func end(of process: Int32, within seconds: Double) -> Bool { end(of: [process], within: seconds) }

    /// Whether `condition` holds within `seconds`, looking whenever something changes in one of `folders` or in a file of theirs. A folder that is not
    /// there is waited for.
    static func changes(in folders: [String], within seconds: Double, _ condition: () throws -> Bool) throws -> Bool {
        let deadline = Deadline(seconds)
        // Non-blocking, close-on-exec.
        let watch = OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.inotify_init1, 0o2004000))))
        while true {
            for folder in folders { add(folder, to: watch.rawValue) }
            if try condition() { return true }
            if try HostCall.waitReadable([watch.rawValue], milliseconds: deadline.milliseconds) == nil { return try condition() }
            var buffer = [UInt8](repeating: 0, count: 65536)
            var span = buffer.mutableSpan
            _ = try? HostCall.read(watch.rawValue, into: &span)
        }
    }

    /// Watches `path`, or what is nearest above it.
    private static func add(_ path: String, to watch: Int32) {
        // IN_MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF
        let events = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400
        var path = path
        while !path.isEmpty {
            let result = try? HostCall.withPath(Array(path.utf8)) { (p: Int) throws(Errno) in
                HostCall.raw(.inotify_add_watch, Int(watch), p, events)
            }
            if let result, result >= 0 { return }
            path = path.contains("/") ? String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) : ""
        }
    }
}

/// A point in time up to which something may take.
struct Deadline: Sendable {
    private let time: UInt64
    init(_ seconds: Double) { time = HostClock.monotonic + UInt64(seconds * 1e9) }
    /// What is left of it, at least 0.
    var milliseconds: Int32 { Int32(clamping: (time - min(time, HostClock.monotonic)) / 1_000_000) }
    var seconds: Double { Double(milliseconds) / 1000 }
}

/// Processes whose parent is gone become this process's children, so that their ends can be waited for and nobody's zombies stay.
enum Orphans {
    private static let started = Mutex<Set<Int32>>([])

    /// From now on orphans come here (prctl(PR_SET_CHILD_SUBREAPER)).
    static func adopt() { _ = HostCall.raw(.prctl, 36, 1) }

    /// `process` is waited for by whoever started it.
    static func leave(_ process: Int32) { started.withLock { _ = $0.insert(process) } }

    /// Reaps those that have ended.
    static func reap() {
        let own = getpid()
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let process = Int32(name), let stat = MachineState.readText("/proc/\(name)/stat"), let end = stat.lastIndex(of: ")")
            else { continue }
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            guard fields.count > 1, fields[0] == "Z", Int32(fields[1]) == own, !started.withLock({ $0.contains(process) }) else { continue }
            _ = try? HostCall.waitForChild(process)
        }
    }
}
