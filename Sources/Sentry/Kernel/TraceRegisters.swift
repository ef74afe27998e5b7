public import LinuxABI
public import SentryPlatform

/// The registers as ptrace(2) numbers them: the words of struct user_regs_struct, each with its rule for writing.
public enum TracedRegisters {
    /// In the order of struct user_regs_struct.
    private static let fields: [any WritableKeyPath<Registers, UInt64> & Sendable] = [
        \.r15, \.r14, \.r13, \.r12, \.rbp, \.rbx, \.r11, \.r10, \.r9, \.r8, \.rax, \.rcx, \.rdx, \.rsi, \.rdi, \.orig_rax, \.rip, \.cs,
        \.eflags,
        \.rsp, \.ss, \.fs_base, \.gs_base, \.ds, \.es, \.fs, \.gs,
    ]
    public static let count = 27
    // Positions that have rules. Only 64-bit user code runs here, so that CS and SS are what they are.
    private static let cs = 17, eflags = 18, ss = 20, ds = 23
    public static let fsBase = 21, gsBase = 22
    /// Bases of segments must be below this (TASK_SIZE_MAX).
    private static let addressLimit: UInt64 = 0x7fff_ffff_f000

    public static func get(_ index: Int, _ registers: Registers) -> UInt64 {
        fields.indices.contains(index) ? registers[keyPath: fields[index]] : 0
    }

    /// EIO for a value that a program cannot have.
    public static func set(_ index: Int, _ value: UInt64, _ registers: inout Registers) throws(Errno) {
        guard fields.indices.contains(index) else { throw .EIO }
        switch index {
        case cs: guard value & 0xffff == Registers.userCodeSegment else { throw .EIO }
        case ss: guard value & 0xffff == Registers.userStackSegment else { throw .EIO }
        case eflags: registers.eflags = registers.eflags & ~Registers.userFlags | value & Registers.userFlags
        case fsBase, gsBase:
            guard value < addressLimit else { throw .EIO }
            registers[keyPath: fields[index]] = value
        case ds...:
            let selector = value & 0xffff
            guard selector == 0 || selector & 3 == 3 else { throw .EIO }
            registers[keyPath: fields[index]] = selector
        default: registers[keyPath: fields[index]] = value
        }
    }

    /// The first `size` bytes of struct user_regs_struct.
    public static func bytes(_ registers: Registers, size: Int) -> [UInt8] {
        var structure = StructureBytes(size: count * 8)
        for index in 0..<count { structure.put(get(index, registers), at: index * 8) }
        return Array(structure.bytes.prefix(size))
    }

    /// Writes the whole words of `bytes`; those before a bad one stay written, as in Linux.
    public static func set(_ bytes: [UInt8], _ registers: inout Registers) throws(Errno) {
        let structure = StructureBytes(bytes)
        for index in 0..<min(count, bytes.count / 8) { try set(index, structure.get(index * 8), &registers) }
    }
}
