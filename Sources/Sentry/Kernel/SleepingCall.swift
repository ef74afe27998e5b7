import Host
public import LinuxABI
import SentryPlatform

/// Where a task sleeps: /proc/PID/syscall.
public struct SleepingCall: Sendable {
    /// Nil outside a system call: a page fault, a stop.
    public var number: SystemCallNumber?
    public var arguments: SyscallArguments
    public var stackPointer: UInt64
    public var instructionPointer: UInt64

    init(_ r: Registers) {
        number = Int64(bitPattern: r.orig_rax) >= 0 ? SystemCallNumber(rawValue: r.orig_rax) : nil
        arguments = SyscallArguments([r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9])
        stackPointer = r.rsp
        instructionPointer = r.rip
    }
}

extension KernelTask {
    /// Before the task sleeps or stops. Own thread.
    func noteSleep() { noteSleep(registers) }

    /// The same for a call whose registers are not the task's yet.
    func noteSleep(_ registers: Registers) {
        let call = SleepingCall(registers)
        sleepingCall.withLock { $0 = call }
    }

    private var presentCall: SleepingCall { SleepingCall(registers) }

    /// Where the task sleeps or is stopped, and the call of the caller itself; nil for others that run. Any thread.
    public var whereItSleeps: SleepingCall? {
        if isCurrent { return presentCall }
        return switch state {
        case .sleeping, .uninterruptible, .stopped, .traced: sleepingCall.withLock { $0 }
        default: nil
        }
    }

    /// The kernel function that Linux would name in /proc/PID/wchan; nil while the task runs, and for calls that wait in many places.
    public var waitChannel: String? {
        switch state {
        case .stopped: return "do_signal_stop"
        case .traced: return "ptrace_stop"
        case .sleeping, .uninterruptible: break
        default: return nil
        }
        guard let number = sleepingCall.withLock({ $0?.number }) else { return nil }
        return Self.waitChannels[number]
    }

    private static let waitChannels: [SystemCallNumber: String] = [
        .wait4: "do_wait", .waitid: "do_wait", .futex: "futex_wait_queue", .nanosleep: "hrtimer_nanosleep",
        .clock_nanosleep: "hrtimer_nanosleep", .poll: "do_sys_poll", .ppoll: "do_sys_poll", .select: "do_select", .pselect6: "do_select",
        .epoll_wait: "ep_poll", .epoll_pwait: "ep_poll", .epoll_pwait2: "ep_poll", .pause: "__do_sys_pause", .rt_sigsuspend: "sigsuspend",
        .rt_sigtimedwait: "do_sigtimedwait", .vfork: "kernel_clone", .accept: "inet_csk_accept", .accept4: "inet_csk_accept",
        .flock: "locks_lock_inode_wait",
    ]
}
