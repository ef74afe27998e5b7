import LinuxABI
import Testing

@testable import SentryKernel

@Suite struct SignalQueueTests {
    private func entry(_ signal: Int32, value: UInt64 = 0, isCounted: Bool = true) -> PendingSignal {
        var info = SignalInfo(signal: signal, code: SignalCode.SI_QUEUE)
        info.si_value = value
        return PendingSignal(info: info, timer: nil, isCounted: isCounted)
    }

    @Test func standardSignalsQueueOnce() {
        var queue = SignalQueue()
        #expect(!queue.coalesces(Signal.SIGUSR1))
        queue.append(entry(Signal.SIGUSR1))
        #expect(queue.coalesces(Signal.SIGUSR1))
        #expect(!queue.coalesces(Signal.SIGUSR2))
    }

    @Test func realTimeSignalsQueueInOrder() {
        var queue = SignalQueue()
        for value in 1...3 { queue.append(entry(40, value: UInt64(value))) }
        #expect(!queue.coalesces(40))
        for value in 1...3 { #expect(queue.dequeue(mask: [])?.info.si_value == UInt64(value)) }
        #expect(queue.dequeue(mask: []) == nil)
        #expect(queue.set.isEmpty)
    }

    @Test func synchronousThenLowestNumber() {
        var queue = SignalQueue()
        for signal in [Signal.SIGTERM, 40, Signal.SIGHUP, Signal.SIGSEGV] { queue.append(entry(signal)) }
        let order = (0..<4).map { _ in queue.dequeue(mask: [])?.info.si_signo }
        #expect(order == [Signal.SIGSEGV, Signal.SIGHUP, Signal.SIGTERM, 40])
    }

    @Test func maskedSignalsStay() {
        var queue = SignalQueue()
        queue.append(entry(Signal.SIGUSR1))
        #expect(queue.dequeue(mask: SignalSet(Signal.SIGUSR1)) == nil)
        #expect(queue.dequeue(mask: SignalSet(Signal.SIGUSR2))?.info.si_signo == Signal.SIGUSR1)
    }

    @Test func discardCountsWhatWasCounted() {
        var queue = SignalQueue()
        queue.append(entry(Signal.SIGTSTP))
        queue.append(entry(40))
        queue.append(entry(40, isCounted: false))
        #expect(queue.discard(.stopping) == 1)
        #expect(queue.discard(SignalSet(40)) == 1)
        #expect(queue.count == 0 && queue.set.isEmpty)
    }

    @Test func signalSets() {
        #expect(SignalSet.unblockable.has(Signal.SIGKILL) && SignalSet.unblockable.has(Signal.SIGSTOP))
        for signal in [Signal.SIGSTOP, Signal.SIGTSTP, Signal.SIGTTIN, Signal.SIGTTOU] { #expect(SignalSet.stopping.has(signal)) }
        #expect(SignalSet.stopping.rawValue.nonzeroBitCount == 4)
        for signal in [Signal.SIGSEGV, Signal.SIGBUS, Signal.SIGILL, Signal.SIGTRAP, Signal.SIGFPE, Signal.SIGSYS] {
            #expect(SignalSet.synchronous.has(signal))
        }
        #expect(SignalSet.synchronous.rawValue.nonzeroBitCount == 6)
        for signal in [Signal.SIGCONT, Signal.SIGCHLD, Signal.SIGWINCH, Signal.SIGURG] { #expect(SignalSet.ignoredByDefault.has(signal)) }
        for signal in [
            Signal.SIGQUIT, Signal.SIGILL, Signal.SIGTRAP, Signal.SIGABRT, Signal.SIGBUS, Signal.SIGFPE, Signal.SIGSEGV, Signal.SIGXCPU,
            Signal.SIGXFSZ, Signal.SIGSYS,
        ] { #expect(DefaultAction(signal) == .core) }
        #expect(SignalSet.coreByDefault.rawValue.nonzeroBitCount == 10)
        #expect(DefaultAction(Signal.SIGTERM) == .terminate && DefaultAction(40) == .terminate)
        #expect(!SignalSet(0).has(0) && SignalSet(65).isEmpty && SignalSet(64).rawValue == 1 << 63)
    }
}
