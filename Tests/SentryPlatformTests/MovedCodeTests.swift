import Host
import LinuxABI
@_spi(Testing) import SentryPlatform
import Testing

/// `syscall` instructions whose followers move into the trampoline.
@Suite(.serialized) struct MovedCodeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var code: [UInt8]
        /// Where the `syscall` is in the code.
        var site: Int
        var isPatched = true
        /// Other places behind the `syscall`, by their distance to it, where instructions begin.
        var boundaries: [Int] = []
    }
    /// Each calls with R15 as number and comes back to its start; what it makes of the result is in RBX and RDI.
    private static let start: [UInt8] = [0x4c, 0x89, 0xf8]  // mov %r15,%rax
    static let cases = [
        Case(
            testDescription: "a comparison of 32 bits",
            // syscall; cmp $-4095,%eax; ja 1f; mov $1,%ebx; jmp start; 1: mov $2,%ebx; jmp start
            code: start + [
                0x0f, 0x05, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x77, 0x07, 0xbb, 1, 0, 0, 0, 0xeb, 0xed, 0xbb, 2, 0, 0, 0, 0xeb, 0xe6,
            ], site: 3),
        Case(
            testDescription: "a copy and a call",
            // syscall; mov %rax,%rdi; call 1f; jmp start; 1: lea 1(%rdi),%rbx; ret
            code: start + [0x0f, 0x05, 0x48, 0x89, 0xc7, 0xe8, 0x02, 0, 0, 0, 0xeb, 0xf1, 0x48, 0x8d, 0x5f, 0x01, 0xc3], site: 3),
        Case(
            testDescription: "a test and a branch",
            // syscall; test %rax,%rax; js 1f; mov $1,%ebx; jmp start; 1: mov $2,%ebx; jmp start
            code: start + [0x0f, 0x05, 0x48, 0x85, 0xc0, 0x78, 0x07, 0xbb, 1, 0, 0, 0, 0xeb, 0xef, 0xbb, 2, 0, 0, 0, 0xeb, 0xe8],
            site: 3),
        Case(
            testDescription: "a long branch",
            // syscall; test %eax,%eax; js 1f (32 bits); mov $1,%ebx; jmp start; 1: mov $2,%ebx; jmp start
            code: start + [0x0f, 0x05, 0x85, 0xc0, 0x0f, 0x88, 7, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0xeb, 0xec, 0xbb, 2, 0, 0, 0, 0xeb, 0xe5],
            site: 3),
        Case(
            testDescription: "a return before padding",
            // call 1f; mov %rax,%rbx; jmp start-5; 1: mov %r15,%rax; syscall; ret; nopl 0(%rax,%rax,1)
            code: [0xe8, 5, 0, 0, 0, 0x48, 0x89, 0xc3, 0xeb, 0xf6] + start + [0x0f, 0x05, 0xc3, 0x0f, 0x1f, 0x44, 0, 0, 0x90], site: 13),
        Case(
            testDescription: "a store and a jump",
            // syscall; mov %eax,-8(%rsp); jmp 1f; 1: mov -8(%rsp),%ebx; jmp start
            code: start + [0x0f, 0x05, 0x89, 0x44, 0x24, 0xf8, 0xeb, 0, 0x8b, 0x5c, 0x24, 0xf8, 0xeb, 0xef], site: 3),
        Case(
            testDescription: "a long store",
            // syscall; mov %rax,-8(%rsp); mov -8(%rsp),%rbx; jmp start
            code: start + [0x0f, 0x05, 0x48, 0x89, 0x44, 0x24, 0xf8, 0x48, 0x8b, 0x5c, 0x24, 0xf8, 0xeb, 0xef], site: 3),
        Case(
            testDescription: "a tail call",
            // call 1f; mov %rax,%rbx; jmp start-5; 1: mov %r15,%rax; syscall; jmp 2f (32 bits); 2: ret
            code: [0xe8, 5, 0, 0, 0, 0x48, 0x89, 0xc3, 0xeb, 0xf6] + start + [0x0f, 0x05, 0xe9, 0, 0, 0, 0, 0xc3], site: 13),
        Case(
            testDescription: "a call",
            // syscall; call 1f; jmp start; 1: lea 1(%rax),%rbx; ret
            code: start + [0x0f, 0x05, 0xe8, 2, 0, 0, 0, 0xeb, 0xf4, 0x48, 0x8d, 0x58, 0x01, 0xc3], site: 3),
        Case(
            testDescription: "plain instructions",
            // syscall; mov %eax,%edx; neg %edx; cmp $-4096,%eax; mov %rdx,%rbx; jmp start
            code: start + [0x0f, 0x05, 0x89, 0xc2, 0xf7, 0xda, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x48, 0x89, 0xd3, 0xeb, 0xed], site: 3),
        Case(
            testDescription: "an instruction that is jumped to",
            // syscall; mov %rax,%rbx; 1: inc %rdi; dec %rdi; test %rbp,%rbp; jz start; dec %rbp; jmp 1b
            code: start + [
                0x0f, 0x05, 0x48, 0x89, 0xc3, 0x48, 0xff, 0xc7, 0x48, 0xff, 0xcf, 0x48, 0x85, 0xed, 0x74, 0xed, 0x48, 0xff, 0xcd, 0xeb,
                0xf0,
            ], site: 3),
        Case(
            testDescription: "an operand relative to its address",
            // syscall; mov 0(%rip),%ecx; mov %rax,%rbx; jmp start
            code: start + [0x0f, 0x05, 0x8b, 0x0d, 0, 0, 0, 0, 0x48, 0x89, 0xc3, 0xeb, 0xf0], site: 3),
        Case(
            testDescription: "a return with code behind it",
            // call 1f; mov %rax,%rbx; jmp start-5; 1: mov %r15,%rax; syscall; ret; mov %rax,%rax
            code: [0xe8, 5, 0, 0, 0, 0x48, 0x89, 0xc3, 0xeb, 0xf6] + start + [0x0f, 0x05, 0xc3, 0x48, 0x89, 0xc0, 0x48, 0x89, 0xc0],
            site: 13),
    ]

    /// Before and after the patch the same results come of the same answers, and every call is seen.
    @Test(arguments: cases) func meansTheSame(_ example: Case) throws {
        try onThread {
            let guest = try Guest(.systrap, example.code)
            var registers = guest.entry {
                $0.r15 = 39
                $0.rdi = 5
            }
            guard try guest.context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
            var expected: [(UInt64, UInt64, UInt64)] = []
            for round in 0..<300 {
                #expect(registers.orig_rax == 39)
                #expect(registers.rip == Guest.code + UInt64(example.site) + 2)
                registers.rax = round % 3 == 0 ? UInt64(bitPattern: -2) : UInt64(round % 3)
                guard try guest.context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
                let seen = (registers.rbx, registers.rdi, registers.rsp)
                if round < 3 { expected.append(seen) } else { #expect(expected[round % 3] == seen) }
            }
            let site = try guest.readCode(example.site, 3)
            #expect(site == (example.isPatched ? [0xff, 0x24, 0xe5] : Array(example.code[example.site..<example.site + 3])))
            // Somebody comes back to the place behind the call.
            registers.rip = Guest.code + UInt64(example.site) + 2
            registers.rax = 1
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(expected[1] == (registers.rbx, registers.rdi, registers.rsp))
            guest.context.release()
            guest.space.destroy()
        }
    }
}
