public import LinuxABI

/// One instruction: struct sock_filter.
public struct BPFInstruction: Hashable, Sendable {
    public var code: UInt16
    public var jumpTrue: UInt8
    public var jumpFalse: UInt8
    public var k: UInt32
    public init(_ code: UInt16, _ k: UInt32 = 0, jumpTrue: UInt8 = 0, jumpFalse: UInt8 = 0) {
        self.code = code
        self.jumpTrue = jumpTrue
        self.jumpFalse = jumpFalse
        self.k = k
    }
}

/// What a filter looks at: struct seccomp_data, as sixteen 32-bit words.
public struct SeccompData: Sendable {
    var words: InlineArray<16, UInt32>

    public init(
        number: UInt32, instructionPointer: UInt64, arguments: InlineArray<6, UInt64>,
        architecture: UInt32 = SeccompAction.AUDIT_ARCH_X86_64
    ) {
        words = InlineArray(repeating: 0)
        words[0] = number
        words[1] = architecture
        words[2] = UInt32(truncatingIfNeeded: instructionPointer)
        words[3] = UInt32(truncatingIfNeeded: instructionPointer >> 32)
        for index in 0..<6 {
            words[4 + 2 * index] = UInt32(truncatingIfNeeded: arguments[index])
            words[5 + 2 * index] = UInt32(truncatingIfNeeded: arguments[index] >> 32)
        }
    }
}

/// A verified classic BPF program for seccomp (seccomp(2)): it ends, and touches nothing but its data and its scratch memory.
public final class SeccompFilter: Sendable {
    public let instructions: [BPFInstruction]

    /// EINVAL for a program that Linux's verifier refuses. `limit`: the most instructions.
    public init(_ instructions: [BPFInstruction], limit: Int = ClassicBPF.BPF_MAXINSNS) throws(Errno) {
        guard !instructions.isEmpty, instructions.count <= limit else { throw .EINVAL }
        try Self.verify(instructions)
        self.instructions = instructions
    }

    // MARK: verifier

    private static func verify(_ program: [BPFInstruction]) throws(Errno) {
        typealias B = ClassicBPF
        for (place, instruction) in program.enumerated() {
            let k = instruction.k
            let left = UInt64(program.count - place - 1)
            switch instruction.code {
            case B.BPF_LD | B.BPF_W | B.BPF_ABS:
                guard k < B.seccompDataSize, k & 3 == 0 else { throw .EINVAL }
            case B.BPF_LD | B.BPF_W | B.BPF_LEN, B.BPF_LDX | B.BPF_W | B.BPF_LEN, B.BPF_RET | B.BPF_K, B.BPF_RET | B.BPF_A,
                B.BPF_LD | B.BPF_IMM,
                B.BPF_LDX | B.BPF_IMM, B.BPF_MISC | B.BPF_TAX, B.BPF_MISC | B.BPF_TXA, B.BPF_ALU | B.BPF_NEG:
                break
            case B.BPF_ALU | B.BPF_ADD | B.BPF_K, B.BPF_ALU | B.BPF_ADD | B.BPF_X, B.BPF_ALU | B.BPF_SUB | B.BPF_K,
                B.BPF_ALU | B.BPF_SUB | B.BPF_X, B.BPF_ALU | B.BPF_MUL | B.BPF_K, B.BPF_ALU | B.BPF_MUL | B.BPF_X,
                B.BPF_ALU | B.BPF_DIV | B.BPF_X, B.BPF_ALU | B.BPF_AND | B.BPF_K, B.BPF_ALU | B.BPF_AND | B.BPF_X,
                B.BPF_ALU | B.BPF_OR | B.BPF_K, B.BPF_ALU | B.BPF_OR | B.BPF_X, B.BPF_ALU | B.BPF_XOR | B.BPF_K,
                B.BPF_ALU | B.BPF_XOR | B.BPF_X, B.BPF_ALU | B.BPF_LSH | B.BPF_X, B.BPF_ALU | B.BPF_RSH | B.BPF_X:
                break
            case B.BPF_ALU | B.BPF_DIV | B.BPF_K:
                guard k != 0 else { throw .EINVAL }
            case B.BPF_ALU | B.BPF_LSH | B.BPF_K, B.BPF_ALU | B.BPF_RSH | B.BPF_K:
                guard k < 32 else { throw .EINVAL }
            case B.BPF_LD | B.BPF_MEM, B.BPF_LDX | B.BPF_MEM, B.BPF_ST, B.BPF_STX:
                guard k < UInt32(B.BPF_MEMWORDS) else { throw .EINVAL }
            case B.BPF_JMP | B.BPF_JA:
                guard UInt64(k) < left else { throw .EINVAL }
            case B.BPF_JMP | B.BPF_JEQ | B.BPF_K, B.BPF_JMP | B.BPF_JEQ | B.BPF_X, B.BPF_JMP | B.BPF_JGE | B.BPF_K,
                B.BPF_JMP | B.BPF_JGE | B.BPF_X, B.BPF_JMP | B.BPF_JGT | B.BPF_K, B.BPF_JMP | B.BPF_JGT | B.BPF_X,
                B.BPF_JMP | B.BPF_JSET | B.BPF_K, B.BPF_JMP | B.BPF_JSET | B.BPF_X:
                guard UInt64(instruction.jumpTrue) < left, UInt64(instruction.jumpFalse) < left else { throw .EINVAL }
            default: throw .EINVAL
            }
        }
        // Jumps go forwards only, so a return at the end ends every path.
        guard let last = program.last, last.code == B.BPF_RET | B.BPF_K || last.code == B.BPF_RET | B.BPF_A else { throw .EINVAL }
        try verifyScratch(program)
    }

    /// No word of scratch memory is read before it was written, on any path.
    private static func verifyScratch(_ program: [BPFInstruction]) throws(Errno) {
        typealias B = ClassicBPF
        // Which words are written on every path to an instruction.
        var written = [UInt16](repeating: .max, count: program.count)
        var current: UInt16 = 0
        for (place, instruction) in program.enumerated() {
            current &= written[place]
            func reaches(_ distance: Int) {
                let target = place + 1 + distance
                if written.indices.contains(target) { written[target] &= current }
            }
            switch instruction.code {
            case B.BPF_ST, B.BPF_STX: current |= 1 << UInt16(truncatingIfNeeded: instruction.k)
            case B.BPF_LD | B.BPF_MEM, B.BPF_LDX | B.BPF_MEM:
                guard current & 1 << UInt16(truncatingIfNeeded: instruction.k) != 0 else { throw .EINVAL }
            case B.BPF_JMP | B.BPF_JA:
                reaches(Int(instruction.k))
                current = .max
            case let code where code & 7 == B.BPF_JMP:
                reaches(Int(instruction.jumpTrue))
                reaches(Int(instruction.jumpFalse))
                current = .max
            default: break
            }
        }
    }

    // MARK: interpreter

    /// The program's verdict, and whether it depends on the architecture and the number only.
    public func run(_ data: borrowing SeccompData) -> (result: UInt32, isConstant: Bool) {
        typealias B = ClassicBPF
        var a: UInt32 = 0, x: UInt32 = 0
        var scratch = InlineArray<16, UInt32>(repeating: 0)
        var isConstant = true
        var place = 0
        while place < instructions.count {
            let instruction = instructions[place]
            let k = instruction.k
            place += 1
            let operand = instruction.code & B.BPF_X != 0 ? x : k
            switch instruction.code {
            case B.BPF_LD | B.BPF_W | B.BPF_ABS:
                if k >= 8 { isConstant = false }
                a = data.words[Int(k >> 2) & 15]
            case B.BPF_LD | B.BPF_W | B.BPF_LEN: a = B.seccompDataSize
            case B.BPF_LDX | B.BPF_W | B.BPF_LEN: x = B.seccompDataSize
            case B.BPF_LD | B.BPF_IMM: a = k
            case B.BPF_LDX | B.BPF_IMM: x = k
            case B.BPF_LD | B.BPF_MEM: a = scratch[Int(k) & 15]
            case B.BPF_LDX | B.BPF_MEM: x = scratch[Int(k) & 15]
            case B.BPF_ST: scratch[Int(k) & 15] = a
            case B.BPF_STX: scratch[Int(k) & 15] = x
            case B.BPF_MISC | B.BPF_TAX: x = a
            case B.BPF_MISC | B.BPF_TXA: a = x
            case B.BPF_RET | B.BPF_K: return (k, isConstant)
            case B.BPF_RET | B.BPF_A: return (a, isConstant)
            case B.BPF_JMP | B.BPF_JA: place += Int(k)
            case B.BPF_JMP | B.BPF_JEQ | B.BPF_K, B.BPF_JMP | B.BPF_JEQ | B.BPF_X:
                place += Int(a == operand ? instruction.jumpTrue : instruction.jumpFalse)
            case B.BPF_JMP | B.BPF_JGT | B.BPF_K, B.BPF_JMP | B.BPF_JGT | B.BPF_X:
                place += Int(a > operand ? instruction.jumpTrue : instruction.jumpFalse)
            case B.BPF_JMP | B.BPF_JGE | B.BPF_K, B.BPF_JMP | B.BPF_JGE | B.BPF_X:
                place += Int(a >= operand ? instruction.jumpTrue : instruction.jumpFalse)
            case B.BPF_JMP | B.BPF_JSET | B.BPF_K, B.BPF_JMP | B.BPF_JSET | B.BPF_X:
                place += Int(a & operand != 0 ? instruction.jumpTrue : instruction.jumpFalse)
            case B.BPF_ALU | B.BPF_NEG: a = 0 &- a
            default:
                // 32-bit arithmetic wraps by definition.
                switch instruction.code & 0xf0 {
                case B.BPF_ADD: a = a &+ operand
                case B.BPF_SUB: a = a &- operand
                case B.BPF_MUL: a = a &* operand
                case B.BPF_DIV:
                    // Linux: a division by a zero X ends the program with 0.
                    if operand == 0 { return (0, isConstant) }
                    a /= operand
                case B.BPF_OR: a |= operand
                case B.BPF_AND: a &= operand
                case B.BPF_XOR: a ^= operand
                case B.BPF_LSH: a = a &<< operand
                case B.BPF_RSH: a = a &>> operand
                default: return (SeccompAction.SECCOMP_RET_KILL_PROCESS, isConstant)
                }
            }
        }
        return (SeccompAction.SECCOMP_RET_KILL_PROCESS, isConstant)
    }
}
