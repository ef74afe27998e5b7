public import SentryKernel

extension SystemCallTable {
    /// Every system call of the families in `Calls`.
    public static func standard() -> SystemCallTable {
        SystemCallTable(families: [
            FileCalls.calls, ReadWriteCalls.calls, StatCalls.calls, NameCalls.calls, AttributeCalls.calls, MountCalls.calls,
            PipeCalls.calls, PollCalls.calls, EventFileCalls.calls, SocketCalls.calls, TerminalCalls.calls,
            ProcessCalls.calls, SignalCalls.calls, IdentityCalls.calls, TimeCalls.calls, FutexCalls.calls, SchedulingCalls.calls,
            LimitCalls.calls, MemoryCalls.calls, ProcessControlCalls.calls, TraceCalls.calls, SystemVIPCCalls.calls, SemaphoreCalls.calls,
            SystemInformationCalls.calls,
            AbsentCalls.calls,
        ])
    }
}
