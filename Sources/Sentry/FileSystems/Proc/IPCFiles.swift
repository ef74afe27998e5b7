import LinuxABI
import SentryKernel
import SentryVFS

/// /proc/sysvipc (proc_sysvipc(5), sysvipc(7)): the container's System V objects.
enum IPCFiles {
    static func segments(_ proc: ProcFileSystem) -> [UInt8] {
        var text = ProcText()
        text.add(
            "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n"
        )
        for segment in proc.container.ipc.allSegments {
            let status = segment.status
            begin(status.permissions, &text)
            add(segment.size, 21, &text)
            add(UInt64(clamping: status.creator), 5, &text)
            add(UInt64(clamping: status.lastProcess), 5, &text)
            text.add(" ")
            add(segment.attachments, 5, &text)
            owners(status.permissions, &text)
            for time in [status.attachTime, status.detachTime, status.changeTime] { add(time, 10, &text) }
            // What of it is in memory is not known by the segment; nothing is swapped.
            add(0, 21, &text)
            add(0, 21, &text)
            text.newline()
        }
        return text.bytes
    }

    static func semaphores(_ proc: ProcFileSystem) -> [UInt8] {
        var text = ProcText()
        text.add("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n")
        for set in proc.container.ipc.allSemaphoreSets {
            let status = set.status
            begin(status.permissions, &text)
            add(UInt64(set.count), 10, &text)
            owners(status.permissions, &text)
            add(status.operationTime, 10, &text)
            add(status.changeTime, 10, &text)
            text.newline()
        }
        return text.bytes
    }

    static func queues(_ proc: ProcFileSystem) -> [UInt8] {
        var text = ProcText()
        text.add(
            "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n")
        for queue in proc.container.ipc.allQueues {
            let status = queue.status
            begin(status.permissions, &text)
            text.add(" ")
            add(status.bytes, 10, &text)
            add(status.count, 10, &text)
            add(UInt64(clamping: status.lastSender), 5, &text)
            add(UInt64(clamping: status.lastReceiver), 5, &text)
            owners(status.permissions, &text)
            for time in [status.sendTime, status.receiveTime, status.changeTime] { add(time, 10, &text) }
            text.newline()
        }
        return text.bytes
    }

    /// Key, identifier and mode.
    private static func begin(_ permissions: IPCPermissions, _ text: inout ProcText) {
        let columns = [(String(permissions.key), 10), (String(permissions.identifier), 11), (String(permissions.mode, radix: 8), 6)]
        for (column, width) in columns { text.add(String(repeating: " ", count: max(0, width - column.utf8.count)) + column) }
    }

    private static func owners(_ permissions: IPCPermissions, _ text: inout ProcText) {
        for id in [permissions.user, permissions.group, permissions.creatorUser, permissions.creatorGroup] { add(UInt64(id), 5, &text) }
    }

    /// A space and a number in `width` columns.
    private static func add(_ value: UInt64, _ width: Int, _ text: inout ProcText) {
        let digits = String(value)
        text.add(String(repeating: " ", count: 1 + max(0, width - digits.utf8.count)) + digits)
    }
}
