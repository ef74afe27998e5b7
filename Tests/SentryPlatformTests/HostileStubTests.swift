import Host
import LinuxABI
@_spi(Testing) import SentryPlatform
import Testing

private let spin: [UInt8] = [0xeb, 0xfe]

private func kill(_ process: Int32?, _ signal: Int) throws {
    _ = try HostCall.check(HostCall.raw(.kill, Int(try #require(process)), signal))
}

private func signalWithoutInterception(_ code: [UInt8], _ change: (inout Registers) -> Void) throws -> Int32 {
    let guest = try Guest(.ptrace, code)
    var registers = guest.entry(change)
    defer {
        guest.context.release()
        guest.space.destroy()
    }
    return try PtracePlatform.runWithoutInterception(guest.context, &registers, in: guest.space)
}

private func openDescriptors() -> Int {
    var count = 0
    for number in 0..<1024 where HostCall.raw(.fcntl, number, 1) >= 0 { count += 1 }
    return count
}

/// Stubs that die, are tampered with, or attack their service code.
@Suite(.serialized) struct HostileStubs {
    @Test(arguments: TestPlatform.allCases) func killedWhileRunning(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, spin)
            let process = guest.space.hostProcess
            let killer = try Worker { try kill(process, 9) }
            var registers = guest.entry()
            #expect(throws: PlatformError.stubDied(.killed(signal: 9))) { try guest.context.run(&registers, in: guest.space) }
            try killer.wait()
            #expect(guest.space.deathReason == .killed(signal: 9))
            #expect(throws: Errno.ESRCH) { try guest.space.apply([.unmap(address: Guest.code, length: 4096)]) }
            #expect(throws: PlatformError.stubDied(.killed(signal: 9))) { try guest.context.run(&registers, in: guest.space) }
            guest.context.release()
        }
    }

    @Test(arguments: TestPlatform.allCases) func killedBetweenCalls(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, [0x0f, 0x05, 0xeb, 0xfc])
            var registers = guest.entry()
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            try kill(guest.space.hostProcess, 9)
            #expect(throws: Errno.ESRCH) { try guest.space.apply([.unmap(address: Guest.data, length: 4096)]) }
            #expect(guest.space.deathReason == .killed(signal: 9))
            #expect(throws: PlatformError.stubDied(.killed(signal: 9))) { try guest.context.run(&registers, in: guest.space) }
            guest.context.release()
        }
    }

    @Test(arguments: TestPlatform.allCases) func destroyedWhileAnotherThreadRuns(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, spin)
            let other = try Worker { guest.space.destroy() }
            var registers = guest.entry()
            #expect(throws: PlatformError.stubDied(.destroyed)) { try guest.context.run(&registers, in: guest.space) }
            try other.wait()
            guest.context.release()
        }
    }

    @Test(arguments: TestPlatform.allCases) func signalsFromOutsideMeanNothing(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, spin)
            let process = guest.space.hostProcess
            let context = guest.context
            var registers = guest.entry()
            // The guest's thread exists and is traced from here on; before that a signal from outside ends the stub, as it may.
            context.interrupt()
            #expect(try context.run(&registers, in: guest.space) == .interrupted)
            let other = try Worker {
                for signal in [1, 2, 3, 10, 11, 12, 14, 15, 17, 20, 21, 31] { try kill(process, signal) }
                try kill(process, 19)
                context.interrupt()
            }
            #expect(try guest.context.run(&registers, in: guest.space) == .interrupted)
            #expect(registers.rip == Guest.code)
            try other.wait()
            try guest.space.apply([.unmap(address: Guest.data, length: 4096)])
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func theSourcesDeathEndsEverything(_ on: TestPlatform) throws {
        try onThread {
            let (platform, source) = try on.start()
            let memory = SharedDescriptor(try makeMemoryFile(size: 1 << 16))
            _ = try HostCall.write(memory.rawValue, at: 0, spin.span)
            let space = try platform.makeAddressSpace(memory: memory)
            try space.apply([.map(address: Guest.code, length: 4096, protection: [.read, .execute], file: .memoryFile, offset: 0)])
            let context = try platform.makeContext()
            let killer = try Worker { try kill(source, 9) }
            var registers = Registers()
            registers.rip = Guest.code
            #expect(throws: PlatformError.stubDied(.killed(signal: 9))) { try context.run(&registers, in: space) }
            try killer.wait()
            context.release()
            #expect(throws: Errno.self) {
                // One or two may have been made before.
                for _ in 0..<4 { try platform.makeAddressSpace(memory: memory).destroy() }
            }
            _ = HostCall.raw(.wait4, Int(source), 0, 0x4000_0000, 0)
        }
    }

    @Test func theServiceCodeCannotBeSteered() throws {
        try onThread {
            let guest = try Guest(.ptrace, [0x0f, 0x05])
            // Under interception a jump to the service's instructions is a system call like any other.
            for instruction in PtracePlatform.serviceInstructions {
                var registers = guest.entry {
                    $0.rip = instruction
                    $0.rax = 11
                    $0.rdi = Guest.data
                    $0.rsi = 0x1000
                }
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                #expect(registers.orig_rax == 11)
            }
            // It cannot write the code, the ring or what is above, and reads nothing but its own ring there.
            let stores = try Guest(.ptrace, [0xc6, 0x00, 0x01])
            for address in [
                PtracePlatform.serviceInstructions[0], PtracePlatform.ringAddress, PtracePlatform.ringAddress + 0x4000, 0x7fff_ffff_e000,
            ] {
                var registers = stores.entry { $0.rax = address }
                guard case .fault(let fault) = try stores.context.run(&registers, in: stores.space) else { throw Errno.EINVAL }
                #expect(fault.signal == 11)
            }
            stores.context.release()
            stores.space.destroy()
            guest.context.release()
            guest.space.destroy()
        }
    }

    /// The second wall: what happens to guest code whose calls reach the host kernel.
    @Test func theFilterStopsWhatInterceptionWouldMiss() throws {
        try onThread {
            let SIGSYS: Int32 = 31
            // From guest code: getpid, exit_group, x32 getpid, mmap, munmap, int $0x80.
            for number in [39, 231, 0x4000_0000 + 39, 9, 11] as [UInt64] {
                let signal = try signalWithoutInterception([0x0f, 0x05]) { $0.rax = number }
                #expect(signal == SIGSYS)
            }
            let signal = try signalWithoutInterception([0xcd, 0x80]) { $0.rax = 20 }
            #expect(signal == SIGSYS)
            // From the service's instructions: anything but what each is for.
            for instruction in PtracePlatform.serviceInstructions {
                for number in [0, 1, 2, 39, 46, 57, 59, 62, 101, 231, 257, 272, 435] as [UInt64] {
                    let signal = try signalWithoutInterception([0x0f, 0x05]) {
                        $0.rip = instruction
                        $0.rax = number
                    }
                    #expect(signal == SIGSYS, "call \(number) at \(instruction)")
                }
            }
        }
    }

    @Test(arguments: TestPlatform.allCases) func vsyscallIsASystemCall(_ on: TestPlatform) throws {
        try onThread {
            // call *%rax
            let guest = try Guest(on, [0xff, 0xd0, 0x90])
            var registers = guest.entry { $0.rax = 0xffff_ffff_ff60_0400 }
            let event = try guest.context.run(&registers, in: guest.space)
            if event == .systemCall {
                #expect(registers.orig_rax == 201)
                #expect(registers.rip == Guest.code + 2)
            } else {
                // A host without the vsyscall page.
                guard case .fault = event else { throw Errno.EINVAL }
            }
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func refusedRegistersAreAFault(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, spin)
            for change in [{ $0.fs_base = 0x8000_0000_0000_0000 }, { $0.cs = 8 }, { $0.rip = 0x8000_0000_0000_0000 }]
                as [(inout Registers) -> Void]
            {
                var registers = guest.entry(change)
                guard case .fault(let fault) = try guest.context.run(&registers, in: guest.space) else { throw Errno.EINVAL }
                #expect(fault.signal == 11)
            }
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func nothingIsLeftBehind(_ on: TestPlatform) throws {
        try onThread {
            let platform = try on.shared
            let memory = SharedDescriptor(try makeMemoryFile(size: 1 << 16))
            _ = try HostCall.write(memory.rawValue, at: 0, [0x0f, 0x05].span)
            func cycle() throws {
                let space = try platform.makeAddressSpace(memory: memory)
                try space.apply([.map(address: Guest.code, length: 4096, protection: [.read, .execute], file: .memoryFile, offset: 0)])
                let context = try platform.makeContext()
                var registers = Registers()
                registers.rip = Guest.code
                guard try context.run(&registers, in: space) == .systemCall else { throw Errno.EINVAL }
                context.release()
                space.destroy()
            }
            try cycle()
            let before = openDescriptors()
            for _ in 0..<100 { try cycle() }
            // A dead stub's descriptor may be closed a little later.
            #expect(openDescriptors() < before + 10)
        }
    }
}
