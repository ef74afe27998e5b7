import Diagnostics
import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization
import Testing

@testable import SentrySyscalls

// One at a time: every memory file takes a large part of the address range.
@Suite(.serialized) struct ProcessTests {
    @Test func exitStatus() throws {
        let guest = try TestGuest { _ in [call(.exit_group, 7)] }
        let report = try guest.run()
        #expect(report.exitCode == 7)
        #expect(report.reason == .exited)
        #expect(guest.container.liveTasks == 0)
    }

    @Test func identity() throws {
        let guest = try TestGuest { guest in
            [
                call(.getpid), guest.result("pid"), call(.gettid), guest.result("tid"), call(.getppid), guest.result("ppid"),
                call(.getpgrp), guest.result("pgrp"), call(.getsid), guest.result("sid"), call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["pid"] == 1 && guest["tid"] == 1 && guest["ppid"] == 0 && guest["pgrp"] == 1 && guest["sid"] == 1)
    }

    @Test func unknownCallIsRefusedAndCounted() throws {
        let guest = try TestGuest { guest in
            [call(SystemCallNumber(rawValue: 9999)), guest.result("result"), call(.exit_group, 0)]
        }
        _ = try guest.run()
        #expect(guest["result"] == -38)
        #expect(guest.kernel.unsupportedFeatures.contains { $0.feature == "sys_9999" && $0.count == 1 })
    }

    @Test func forkAndWait() throws {
        let guest = try TestGuest { guest in
            let memory = GuestProgram.memory
            return [
                call(.fork),
                note { registers in
                    if registers.rax == 0 { registers.rip = GuestProgram.address(6) } else { guest.remember("child", registers.rax) }
                },
                call(.wait4, .max, memory, 0, 0), guest.result("waited"),
                call(.wait4, .max, memory, 0, 0), guest.result("again"),
                // The child ends with 3 (step 6); the parent comes here too and ends with 3.
                call(.exit_group, 3),
            ]
        }
        let report = try guest.run()
        #expect(guest["child"] == 2)
        #expect(guest["waited"] == 2)
        #expect(guest["again"] == -10)
        #expect(report.exitCode == 3)
        #expect(guest.container.liveTasks == 0)
    }

    /// `time` stores into the memory of the caller: its own copy after fork, the parent's after vfork.
    @Test(arguments: [SystemCallNumber.fork, .vfork])
    func forkCopiesMemoryAndVforkShares(_ number: SystemCallNumber) throws {
        let memory = GuestProgram.memory
        let guest = try TestGuest { guest in
            [
                call(number),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(5) } },
                call(.wait4, .max, 0, 0, 0),
                // FUTEX_WAIT for 0 with a timeout that has passed: EAGAIN when the word is not 0.
                call(.futex, memory, 0, 0, memory + 64), guest.result("futex"),
                call(.time, memory),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["futex"] == (number == .fork ? -110 : -11))
    }

    @Test func killedChildTellsItsSignal() throws {
        let memory = GuestProgram.memory
        let guest = try TestGuest { guest in
            [
                call(.fork),
                note { registers in
                    if registers.rax == 0 { registers.rip = GuestProgram.address(6) }
                    registers.r12 = registers.rax
                },
                { registers in call(.kill, registers.r12, 15)(&registers) },
                call(.waitid, 1, 2, memory, 4 | 0x0100_0000, 0), guest.result("waitid"),
                { registers in
                    registers.rip = GuestProgram.address(7)
                    return nil
                },
                call(.pause),
                call(.wait4, .max, memory + 256, 0, 0), guest.result("wait4"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["waitid"] == 0)
        #expect(guest["wait4"] == 2)
    }

    @Test func ignoredChildrenAreReapedAtOnce() throws {
        let memory = GuestProgram.memory
        let guest = try TestGuest { guest in
            [
                // struct sigaction at `memory` is written below: SIG_IGN.
                call(.rt_sigaction, 17, memory, 0, 8),
                call(.fork),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(5) } },
                call(.wait4, .max, 0, 0, 0), guest.result("wait"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run { task in try task.addressSpace?.store(UInt64(1), to: memory) }
        #expect(guest["wait"] == -10)
    }

    @Test func threadsAndExitGroup() throws {
        let memory = GuestProgram.memory
        let flags: UInt64 = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x100000 | 0x200000
        let guest = try TestGuest { guest in
            [
                call(.clone, flags, memory + 0x8000, memory, memory + 8, 0),
                note { registers in
                    if registers.rax == 0 {
                        registers.rip = GuestProgram.address(5)
                    } else {
                        guest.remember("thread", registers.rax)
                    }
                },
                // Wait until the thread's id word is cleared at its exit.
                { registers in call(.futex, memory + 8, 0, 2, 0)(&registers) },
                guest.result("futex"), call(.exit_group, 5),
                // thread
                call(.exit, 0),
            ]
        }
        let report = try guest.run { task in try task.addressSpace?.store(UInt32(2), to: memory + 8) }
        #expect(guest["thread"] == 2)
        // Woken, or too late (EAGAIN) when the thread was faster.
        #expect(guest["futex"] == 0 || guest["futex"] == -11)
        #expect(report.exitCode == 5)
        #expect(guest.container.liveTasks == 0)
    }

    @Test func exitOfInitEndsEverybody() throws {
        let guest = try TestGuest { _ in
            [
                call(.fork),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(3) } },
                call(.exit_group, 9),
                call(.pause),
            ]
        }
        let report = try guest.run()
        #expect(report.exitCode == 9)
        #expect(guest.container.liveTasks == 0)
    }

    @Test func tasksLimit() throws {
        let guest = try TestGuest { guest in [call(.fork), guest.result("fork"), call(.exit_group, 0)] }
        guest.container.state.withLock { $0.tasksLimit = 1 }
        _ = try guest.run()
        #expect(guest["fork"] == -11)
    }

    @Test func killFromOutsideReachesInit() throws {
        let guest = try TestGuest { _ in [call(.pause), call(.exit_group, 0)] }
        let report = try guest.run { task in task.threadGroup.kill() }
        #expect(report.status == Signal.SIGKILL)
        #expect(report.exitCode == 137)
    }

    @Test func sessionsAndGroups() throws {
        let guest = try TestGuest { guest in
            [
                call(.setsid), guest.result("setsid of a leader"),
                call(.fork),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(6) } },
                call(.wait4, .max, 0, 0, 0), call(.exit_group, 0),
                call(.setpgid, 0, 0), guest.result("setpgid"), call(.getpgrp), guest.result("group"),
                call(.setsid), guest.result("setsid of a group leader"),
                call(.setpgid, 0, 1), guest.result("back"), call(.setsid), guest.result("setsid"), call(.getsid), guest.result("session"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["setsid of a leader"] == -1)
        #expect(guest["setpgid"] == 0 && guest["group"] == 2)
        #expect(guest["setsid of a group leader"] == -1)
        #expect(guest["back"] == 0 && guest["setsid"] == 2 && guest["session"] == 2)
    }

    @Test func onlyProgramsOfTheSameRightsKeepTheStub() throws {
        let guest = try TestGuest { _ in [call(.exit_group, 0)] }
        _ = try guest.run { task in
            func keeps(_ credentials: Credentials, isSecure: Bool = false, isUnreadable: Bool = false) -> Bool {
                let execution = ExecutionCredentials(credentials: credentials, isSecure: isSecure, isUnreadable: isUnreadable)
                return task.replaceableMemory(for: execution) === task.addressSpace && task.addressSpace != nil
            }
            let own = task.credentials
            func changed(user: UInt32, permitted: Capabilities) -> Credentials {
                Credentials(
                    user: Credentials.Identity(user), group: own.group, groups: own.groups, permitted: permitted, effective: own.effective,
                    inheritable: own.inheritable, bounding: own.bounding, ambient: own.ambient, secureBits: own.secureBits,
                    noNewPrivileges: own.noNewPrivileges, userNamespace: own.userNamespace)
            }
            #expect(keeps(own))
            #expect(keeps(changed(user: 0, permitted: [])))
            #expect(!keeps(changed(user: 5, permitted: [])))
            #expect(!keeps(changed(user: 0, permitted: Capabilities(rawValue: .max))))
            #expect(!keeps(own, isSecure: true))
            #expect(!keeps(own, isUnreadable: true))
            task.memory?.dumpable.store(0, ordering: .relaxed)
            #expect(!keeps(own))
        }
    }
}
