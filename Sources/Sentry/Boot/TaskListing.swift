import Control
import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS

/// What `ps` and debugging see of the tasks.
enum TaskListing {
    /// Every task of every container.
    static func make(_ sandbox: Sandbox) -> TaskList {
        var list = TaskList()
        let bootRealTime = HostClock.realtime &- HostClock.monotonic
        for container in sandbox.all {
            for group in container.container.threadGroups {
                let command = commandLine(of: group)
                for task in group.threads {
                    var entry = TaskEntry()
                    entry.container = container.id
                    entry.pid = group.processID
                    entry.tid = task.threadID
                    entry.parent = group.parentID
                    entry.group = group.processGroup.identifier
                    entry.session = group.session.identifier
                    entry.uid = task.credentials.user.effective
                    entry.state = task.state.letter
                    entry.name = task.name
                    entry.command = command.isEmpty ? task.name : command
                    entry.cpuTime = task.usage.userTime &+ task.usage.systemTime
                    if task.isLeader { entry.residentSize = task.addressSpace?.statistics().resident ?? 0 }
                    entry.startTime = task.startTime &+ bootRealTime
                    list.tasks.append(entry)
                    if list.tasks.count == MessageLimits.tasks { return list }
                }
            }
        }
        return list
    }

    /// The arguments, joined by blanks, at most 4,096 bytes.
    private static func commandLine(of group: ThreadGroup) -> [UInt8] {
        guard let memory = group.leader?.memory else { return [] }
        let range = memory.layout.withLock { $0.arguments }
        let count = Int(min(range.upperBound &- range.lowerBound, 4096))
        guard count > 0, var bytes = try? memory.space.copyIn(from: range.lowerBound, count: count) else { return [] }
        while bytes.last == 0 { bytes.removeLast() }
        return bytes.map { $0 == 0 ? UInt8(ascii: " ") : $0 }
    }

    /// Where every task is: its state, instruction pointer and the system call it waits in.
    static func stacks(_ sandbox: Sandbox) -> String {
        var text = ""
        for container in sandbox.all {
            text += "container \(container.id): \(container.status)\n"
            for group in container.container.threadGroups {
                for task in group.threads {
                    let letter = String(UnicodeScalar(task.state.letter))
                    let call = SystemCallNumber(rawValue: task.registers.orig_rax)
                    text += "  \(group.processID)/\(task.threadID) \(String(decoding: task.name, as: UTF8.self)) \(letter)"
                    text += " last call \(call) rip 0x\(String(task.registers.rip, radix: 16))\n"
                }
            }
        }
        return text
    }
}
