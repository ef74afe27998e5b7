import Host
import LinuxABI
import SentryPlatform
import Testing

/// The conformance suite, run on every platform.
@Suite(.serialized) struct PlatformConformance {
    /// Slots whose memory went back to the host are as good as new.
    @Test(arguments: TestPlatform.allCases) func memoryGivenBackServesAgain(_ on: TestPlatform) throws {
        try onThread {
            for _ in 0..<3 {
                for _ in 0..<4 { #expect(try Guest(on, [0x0f, 0x05]).once { $0.rax = 39 }.0 == .systemCall) }
                try on.shared.releaseMemory()
            }
        }
    }

    @Test(arguments: TestPlatform.allCases) func systemCallShowsNumberAndArguments(_ on: TestPlatform) throws {
        try onThread {
            // mov $39,%eax; syscall
            let guest = try Guest(on, [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05])
            let (event, registers) = try guest.once {
                $0.rdi = 11
                $0.r9 = 66
            }
            #expect(event == .systemCall)
            #expect(registers.orig_rax == 39)
            #expect(registers.rax == UInt64(bitPattern: -38))
            #expect(registers.rip == Guest.code + 7)
            #expect(registers.rdi == 11)
            #expect(registers.r9 == 66)
        }
    }

    @Test(arguments: TestPlatform.allCases) func registersRoundTrip(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, [0x0f, 0x05, 0x0f, 0x05])
            var registers = guest.entry()
            registers.rax = 1
            registers.rbx = 2
            registers.rdx = 3
            registers.rbp = 4
            registers.rsi = 5
            registers.r8 = 6
            registers.r10 = 7
            registers.r12 = 8
            registers.r13 = 9
            registers.r14 = 10
            registers.r15 = 0x8000_0000_0000_0000
            registers.fs_base = 0x7000_0000_0000
            registers.gs_base = 0x1234_5000
            registers.eflags = 0x202 | 0xd5
            let before = registers
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            var after = registers
            after.rax = before.rax
            after.orig_rax = before.orig_rax
            after.rip = before.rip
            after.rcx = before.rcx
            after.r11 = before.r11
            #expect(after == before)
            // A result that looks like a restart code is a result.
            for number in [-512, -513, -514, -516] as [Int64] {
                registers.rax = UInt64(bitPattern: number)
                registers.rip = Guest.code + 2
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                #expect(registers.orig_rax == UInt64(bitPattern: number))
                #expect(registers.rip == Guest.code + 4)
            }
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func faultsAreReported(_ on: TestPlatform) throws {
        try onThread {
            // mov (%rax),%rcx
            var (event, registers) = try Guest(on, [0x48, 0x8b, 0x08]).once { $0.rax = 0x1234_5678 }
            #expect(event == .fault(FaultInfo(signal: 11, code: 1, address: 0x1234_5678, access: nil)))
            #expect(registers.rip == Guest.code)
            // movb $1,(%rax) on a read-only page
            (event, _) = try Guest(on, [0xc6, 0x00, 0x01]).once { $0.rax = Guest.constant + 5 }
            #expect(event == .fault(FaultInfo(signal: 11, code: 2, address: Guest.constant + 5, access: nil)))
            // jmp *%rax to a page without execute permission, and to nowhere
            (event, _) = try Guest(on, [0xff, 0xe0]).once { $0.rax = Guest.data }
            #expect(event == .fault(FaultInfo(signal: 11, code: 2, address: Guest.data, access: .execute)))
            (event, _) = try Guest(on, [0xff, 0xe0]).once { $0.rax = 0x100_0000 }
            #expect(event == .fault(FaultInfo(signal: 11, code: 1, address: 0x100_0000, access: .execute)))
            // ud2, int3, div by zero, hlt
            (event, _) = try Guest(on, [0x0f, 0x0b]).once()
            #expect(event == .fault(FaultInfo(signal: 4, code: 2, address: Guest.code, access: nil)))
            (event, registers) = try Guest(on, [0xcc]).once()
            guard case .fault(let trap) = event else { throw Errno.EINVAL }
            #expect(trap.signal == 5 && registers.rip == Guest.code + 1)
            (event, _) = try Guest(on, [0x31, 0xc9, 0xf7, 0xf1]).once()
            #expect(event == .fault(FaultInfo(signal: 8, code: 1, address: Guest.code + 2, access: nil)))
            (event, _) = try Guest(on, [0xf4]).once()
            #expect(event == .fault(FaultInfo(signal: 11, code: 0x80, address: 0, access: nil)))
            // Beyond the end of the mapped file: SIGBUS, BUS_ADRERR.
            let guest = try Guest(on, [0x48, 0x8b, 0x08])
            try guest.space.apply([
                .map(address: 0x70_0000, length: 0x1000, protection: [.read], file: .memoryFile, offset: UInt64(Guest.memorySize))
            ])
            (event, _) = try guest.once { $0.rax = 0x70_0010 }
            #expect(event == .fault(FaultInfo(signal: 7, code: 2, address: 0x70_0010, access: nil)))
        }
    }

    @Test(arguments: TestPlatform.allCases) func guestsHaveAVDSO(_ on: TestPlatform) throws {
        try onThread {
            // mov (%rax),%rax; syscall
            let guest = try Guest(on, [0x48, 0x8b, 0x00, 0x0f, 0x05])
            let address = try #require(try on.shared.vdsoAddress)
            let (event, registers) = try guest.once { $0.rax = address }
            #expect(event == .systemCall)
            #expect(registers.orig_rax == 0x0001_0102_464c_457f)
        }
    }

    @Test(arguments: TestPlatform.allCases) func thirtyTwoBitCallsAreFaults(_ on: TestPlatform) throws {
        try onThread {
            // mov $20,%eax; int $0x80
            let (event, registers) = try Guest(on, [0xb8, 20, 0, 0, 0, 0xcd, 0x80]).once()
            #expect(event == .fault(FaultInfo(signal: 11, code: 0x80, address: 0, access: nil)))
            #expect(registers.rip == Guest.code + 5)
            #expect(registers.rax == 20)
        }
    }

    @Test(arguments: TestPlatform.allCases) func interruptIsStickyAndEndsASpin(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, [0xeb, 0xfe])
            var registers = guest.entry()
            guest.context.interrupt()
            #expect(try guest.context.run(&registers, in: guest.space) == .interrupted)
            #expect(registers.rip == Guest.code)
            guest.context.interrupt()
            guest.context.clearInterrupt()
            for _ in 0..<50 {
                let context = guest.context
                let other = try Worker { context.interrupt() }
                #expect(try guest.context.run(&registers, in: guest.space) == .interrupted)
                #expect(registers.rip == Guest.code)
                try other.wait()
            }
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func interruptsDuringManyCallsAreNeverLost(_ on: TestPlatform) throws {
        try onThread {
            // 1: mov $39,%eax; syscall; jmp 1b
            let guest = try Guest(on, [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7])
            var registers = guest.entry()
            let context = guest.context
            var interrupts = 0
            for _ in 0..<200 {
                let other = try Worker { context.interrupt() }
                var event = Event.systemCall
                repeat { event = try context.run(&registers, in: guest.space) } while event == .systemCall
                #expect(event == .interrupted)
                interrupts += 1
                try other.wait()
            }
            #expect(interrupts == 200)
            context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func tenThousandSwitches(_ on: TestPlatform) throws {
        let nanoseconds = try onThread {
            let guest = try Guest(on, [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7])
            var registers = guest.entry()
            for _ in 0..<1000 { _ = try guest.context.run(&registers, in: guest.space) }
            let start = now()
            for _ in 0..<10000 {
                guard try guest.context.run(&registers, in: guest.space) == .systemCall, registers.orig_rax == 39 else {
                    throw Errno.EINVAL
                }
                registers.rax = 1
            }
            let end = now()
            guest.context.release()
            guest.space.destroy()
            return (end - start) / 10000
        }
        print("\(on): one system call takes \(nanoseconds) ns")
    }

    @Test(arguments: TestPlatform.allCases) func mappingsChangeWhileThreadsRun(_ on: TestPlatform) throws {
        try onThread {
            // mov (%rax),%rcx; syscall; jmp back
            let guest = try Guest(on, [0x48, 0x8b, 0x08, 0x0f, 0x05, 0xeb, 0xf9])
            let file = SharedDescriptor(try makeMemoryFile(size: 4096))
            _ = try HostCall.write(file.rawValue, at: 0, [7, 0, 0, 0, 0, 0, 0, 0].span)
            var registers = guest.entry { $0.rax = 0x70_0000 }
            guard case .fault = try guest.context.run(&registers, in: guest.space) else { throw Errno.EINVAL }
            try guest.space.apply([.map(address: 0x70_0000, length: 4096, protection: .read, file: .descriptor(file), offset: 0)])
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            try guest.space.apply([.unmap(address: 0x70_0000, length: 4096)])
            registers.rax = 0x70_0000
            guard case .fault(let fault) = try guest.context.run(&registers, in: guest.space) else { throw Errno.EINVAL }
            #expect(fault.code == 1)
            // A batch larger than the ring, and one that fails in the middle with a file open.
            try guest.space.apply(
                (0..<1000).map {
                    .map(address: 0x100_0000 + $0 * 0x2000, length: 4096, protection: .read, file: .descriptor(file), offset: 0)
                })
            try guest.space.apply((0..<1000).map { .unmap(address: 0x100_0000 + $0 * 0x2000, length: 4096) })
            #expect(throws: Errno.EINVAL) {
                try guest.space.apply([
                    .map(address: 0x70_0000, length: 4096, protection: .read, file: .descriptor(file), offset: 0),
                    .map(address: 0x70_1000, length: 4096, protection: .read, file: .descriptor(file), offset: 1),
                ])
            }
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func changesBeforeTheFirstThreadAreMadeForIt(_ on: TestPlatform) throws {
        try onThread {
            // mov (%rax),%rcx; syscall
            let guest = try Guest(on, [0x48, 0x8b, 0x08, 0x0f, 0x05])
            let file = SharedDescriptor(try makeMemoryFile(size: 4096))
            // More than a ring of them, some replaced again.
            for index in 0..<400 as Range<UInt64> {
                try guest.space.apply([
                    .map(address: 0x100_0000 + index * 0x2000, length: 4096, protection: .read, file: .descriptor(file), offset: 0)
                ])
            }
            try guest.space.apply([.unmap(address: 0x100_0000, length: 300 * 0x2000)])
            let (event, _) = try guest.once { $0.rax = 0x100_0000 + 399 * 0x2000 }
            #expect(event == .systemCall)
            let other = try Guest(on, [0x48, 0x8b, 0x08, 0x0f, 0x05])
            try other.space.apply([.map(address: 0x70_0000, length: 4096, protection: .read, file: .descriptor(file), offset: 1)])
            // It cannot be, and the first run says so.
            var registers = other.entry { $0.rax = 0x70_0000 }
            #expect(throws: PlatformError.host(.EINVAL)) { try other.context.run(&registers, in: other.space) }
            other.context.release()
            other.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func memoryIsReleasedWhenNobodyCanTouchIt(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, [0x0f, 0x05])
            var registers = guest.entry()
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            let parker = Parker()
            guest.space.destroy { parker.unpark() }
            _ = parker.park()
            // Again: it has happened.
            guest.space.destroy { parker.unpark() }
            _ = parker.park()
            #expect(guest.space.deathReason == .destroyed)
            guest.context.release()
        }
    }

    @Test(arguments: TestPlatform.allCases) func aSuccessorTakesTheStubOver(_ on: TestPlatform) throws {
        try onThread {
            // mov (%rax),%rcx; syscall; jmp back
            let guest = try Guest(on, [0x48, 0x8b, 0x08, 0x0f, 0x05, 0xeb, 0xf9])
            let code = MappingOperation.map(
                address: Guest.code, length: 0x1000, protection: [.read, .execute], file: .memoryFile, offset: 0)
            func touch(_ address: UInt64, _ space: any PlatformAddressSpace) throws -> Bool {
                var registers = guest.entry { $0.rax = address }
                return try guest.context.run(&registers, in: space) == .systemCall
            }
            var space = guest.space
            // One after the other, as when a process runs several programs. What waits for the old memory to go has come when the new program runs.
            for round in 0..<4 as Range<UInt64> {
                #expect(try touch(round == 0 ? Guest.data : 0x70_0000 + round * 0x1000, space))
                let next = try #require(space.makeSuccessor())
                let page = 0x70_0000 + (round + 1) * 0x1000
                try next.apply([code, .map(address: page, length: 0x1000, protection: .read, file: .memoryFile, offset: 0)])
                // Until then the old program goes on, and the new one cannot.
                #expect(try !touch(page, space))
                let parker = Parker()
                if round % 2 == 0 { space.destroy() } else { space.destroy { parker.unpark() } }
                #expect(throws: Errno.ESRCH) { try space.apply([.unmap(address: Guest.data, length: 0x1000)]) }
                try guest.context.resetFloatingPoint()
                #expect(try touch(page, next))
                #expect(try !touch(Guest.data, next))
                if round % 2 == 1 { _ = parker.park() }
                #expect(next.hostProcess == guest.space.hostProcess)
                space = next
            }
            guest.context.release()
            space.destroy()
            #expect(space.deathReason == .destroyed)
        }
    }

    @Test(arguments: TestPlatform.allCases) func aSuccessorThatIsNotNeededChangesNothing(_ on: TestPlatform) throws {
        try onThread {
            let guest = try Guest(on, [0x0f, 0x05])
            var registers = guest.entry()
            let first = try #require(guest.space.makeSuccessor())
            try first.apply([.unmap(address: Guest.code, length: 0x1000)])
            first.destroy()
            #expect(first.deathReason == .destroyed)
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            // Nor does one that is forgotten.
            _ = guest.space.makeSuccessor()
            guest.space.destroy()
            #expect(guest.space.deathReason == .destroyed)
            #expect(guest.space.makeSuccessor() == nil)
            guest.context.release()
        }
    }

    /// As processes of one container come and go, in which some stubs are made ahead.
    @Test(arguments: TestPlatform.allCases) func processesOfOneContainer(_ on: TestPlatform) throws {
        try onThread {
            let platform = try on.shared
            let memory = SharedDescriptor(try makeMemoryFile(size: 1 << 16))
            _ = try HostCall.write(memory.rawValue, at: 0, [0x0f, 0x05].span)
            func process(_ number: UInt64) throws -> (any PlatformAddressSpace, any ExecutionContext) {
                let space = try platform.makeAddressSpace(memory: memory)
                try space.apply([.map(address: Guest.code, length: 4096, protection: [.read, .execute], file: .memoryFile, offset: 0)])
                let context = try platform.makeContext()
                var registers = Registers()
                registers.rip = Guest.code
                registers.rax = number
                guard try context.run(&registers, in: space) == .systemCall, registers.orig_rax == number else { throw Errno.EINVAL }
                return (space, context)
            }
            var living: [(any PlatformAddressSpace, any ExecutionContext)] = []
            for number in 0..<40 as Range<UInt64> {
                living.append(try process(number))
                if living.count > Int(number % 5) {
                    let (space, context) = living.removeFirst()
                    space.destroy {}
                    context.release()
                }
            }
            for (space, context) in living {
                space.destroy()
                context.release()
            }
        }
    }

    @Test(arguments: TestPlatform.allCases) func twoThreadsShareAnAddressSpace(_ on: TestPlatform) throws {
        try onThread {
            // lock incq (%rdi); syscall; jmp back
            let guest = try Guest(on, [0xf0, 0x48, 0xff, 0x07, 0x0f, 0x05, 0xeb, 0xf8])
            let platform = try on.shared
            let workers = try (0..<3).map { _ in
                try Worker {
                    let context = try platform.makeContext()
                    var registers = guest.entry { $0.rdi = Guest.data }
                    for _ in 0..<1000 { guard try context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL } }
                    context.release()
                }
            }
            for worker in workers { try worker.wait() }
            let counter = try guest.readData(0, 2)
            #expect(Int(counter[0]) + Int(counter[1]) << 8 == 3000)
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func threadsComeAndGo(_ on: TestPlatform) throws {
        try onThread {
            // movq %rax,%xmm5; syscall; movq %xmm5,%rax; syscall
            let code: [UInt8] = [0x66, 0x48, 0x0f, 0x6e, 0xe8, 0x0f, 0x05, 0x66, 0x48, 0x0f, 0x7e, 0xe8, 0x0f, 0x05]
            let guest = try Guest(on, code)
            let platform = try on.shared
            for round in 0..<40 as Range<UInt64> {
                // Each thread starts with fresh registers, whatever the one before left in the stub's.
                let seen = try Worker {
                    let context = try platform.makeContext()
                    defer { context.release() }
                    var registers = guest.entry { $0.rip = Guest.code + 7 }
                    guard try context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
                    let seen = registers.orig_rax
                    registers = guest.entry { $0.rax = round + 1 }
                    guard try context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
                    return seen
                }.wait()
                #expect(seen == 0)
            }
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func contextMovesToAnotherAddressSpace(_ on: TestPlatform) throws {
        try onThread {
            let first = try Guest(on, [0x0f, 0x05]), second = try Guest(on, [0xeb, 0x02, 0x90, 0x90, 0x0f, 0x05])
            var registers = first.entry()
            #expect(try first.context.run(&registers, in: first.space) == .systemCall)
            first.space.destroy()
            registers = first.entry()
            #expect(try first.context.run(&registers, in: second.space) == .systemCall)
            #expect(registers.rip == Guest.code + 6)
            first.context.release()
            second.context.release()
            second.space.destroy()
        }
    }

    @Test(arguments: TestPlatform.allCases) func floatingPointStateIsSeparateAndMovable(_ on: TestPlatform) throws {
        try onThread {
            // movq %rax,%xmm5; syscall; movq %xmm5,%rax; syscall
            let code: [UInt8] = [0x66, 0x48, 0x0f, 0x6e, 0xe8, 0x0f, 0x05, 0x66, 0x48, 0x0f, 0x7e, 0xe8, 0x0f, 0x05]
            let guest = try Guest(on, code)
            let platform = try on.shared
            var registers = guest.entry { $0.rax = 0xdead_beef }
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            let image = try guest.context.readFloatingPoint()
            #expect(image[240] == 0xef && image[243] == 0xde)
            let child = try platform.makeContext()
            try child.copyFloatingPoint(from: guest.context)
            let result = try Worker {
                var copy = guest.entry { $0.rip = Guest.code + 7 }
                let event = try child.run(&copy, in: guest.space)
                child.release()
                return event == .systemCall ? copy.orig_rax : 0
            }.wait()
            #expect(result == 0xdead_beef)
            try guest.context.resetFloatingPoint()
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.orig_rax == 0)
            try guest.context.writeFloatingPoint(image.span)
            registers.rip = Guest.code + 7
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.orig_rax == 0xdead_beef)
            var bad = image
            for index in 520..<576 { bad[index] = 0xff }
            #expect(throws: PlatformError.self) { try guest.context.writeFloatingPoint(bad.span) }
            guest.context.release()
            guest.space.destroy()
        }
    }
}
