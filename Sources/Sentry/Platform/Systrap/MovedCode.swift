/// Instructions from behind a `syscall`, rewritten to run at another place. Only such as compilers put there are known; what depends on its own address is
/// translated (branches, calls) or refused (operands relative to RIP). Encodings: Intel SDM volume 2, appendix A.
struct MovedCode {
    /// What does the same elsewhere, and then goes on where the original would.
    private(set) var bytes: [UInt8] = []
    /// Bytes of the original that are covered.
    private(set) var count = 0
    /// Where instructions other than the first begin in the original, as far as they are run.
    private(set) var boundaries: [Int] = []
    /// Whether the first instruction sets all flags that a branch can ask for, and so needs none of those before.
    private(set) var startsWithComparison = false

    private enum Instruction {
        case plain, padding, trap, end
        case jump(UInt64)
        case branch(condition: UInt8, UInt64)
        case call(UInt64)
    }

    /// Moves whole instructions from `original`, whose first byte lies at `address`, until at least `minimum` bytes are covered. nil when that cannot be done.
    init?(_ original: ArraySlice<UInt8>, at address: UInt64, covering minimum: Int) {
        let code = Array(original)
        var isEnded = false
        while count < minimum {
            guard let (instruction, length) = Self.decode(code, count, address), count + length <= code.count else { return nil }
            if count > 0, !isEnded { boundaries.append(count) }
            let next = address &+ UInt64(count + length)
            // Behind the end of a piece of code only what nobody runs.
            if isEnded {
                switch instruction {
                case .padding, .trap: count += length
                default: return nil
                }
                continue
            }
            switch instruction {
            case .plain, .padding: bytes += code[count..<count + length]
            case .trap: return nil
            case .end:
                bytes += code[count..<count + length]
                isEnded = true
            case .jump(let target):
                jump(to: target)
                isEnded = true
            case .branch(let condition, let target):
                bytes += [0x70 | condition, 14]
                jump(to: next)
                jump(to: target)
                isEnded = true
                // What follows is reached by the branch's fall-through alone, and is left where it is.
                count += length
                if count < minimum { return nil }
                continue
            case .call(let target):
                // push $low; movl $high, 4(%rsp)
                bytes += [0x68] + Self.little(next).prefix(4) + [0xc7, 0x44, 0x24, 0x04] + Self.little(next).suffix(4)
                jump(to: target)
                // Comes back to the original's next instruction.
                isEnded = true
                count += length
                if count < minimum { return nil }
                continue
            }
            if count == 0 { startsWithComparison = Self.isComparison(code) }
            count += length
        }
        if !isEnded { jump(to: address &+ UInt64(count)) }
    }

    /// jmp *(%rip)
    private mutating func jump(to target: UInt64) { bytes += [0xff, 0x25, 0, 0, 0, 0] + Self.little(target) }

    static func little(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) } }

    /// cmp and test of registers and constants.
    private static func isComparison(_ code: [UInt8]) -> Bool {
        let start = code[0] & 0xf0 == 0x40 ? 1 : 0
        switch code[start] {
        case 0x39, 0x3b, 0x3d, 0x85, 0xa9: return true
        case 0x81, 0x83: return code[start + 1] >> 3 & 7 == 7
        default: return false
        }
    }

    /// The instruction at `start` and its length, or nil for one that is not known.
    private static func decode(_ code: [UInt8], _ start: Int, _ address: UInt64) -> (Instruction, Int)? {
        var at = start
        func byte(_ index: Int) -> UInt8? { index < code.count ? code[index] : nil }
        var has16Bits = false
        while let prefix = byte(at), prefix == 0x66 || prefix == 0x2e || prefix == 0x64 {
            has16Bits = has16Bits || prefix == 0x66
            at += 1
            if at - start > 8 { return nil }
        }
        var isWide = false
        if let rex = byte(at), rex & 0xf0 == 0x40 {
            isWide = rex & 8 != 0
            at += 1
        }
        guard let opcode = byte(at) else { return nil }
        at += 1
        let hasPrefix = at - start > 1

        /// ModRM, SIB and displacement at `at`; nil when it is relative to RIP.
        func operand() -> Int? {
            guard let modRM = byte(at) else { return nil }
            let mode = modRM >> 6, register = modRM & 7
            if mode == 3 { return 1 }
            var length = 1
            var base = register
            if register == 4 {
                guard let sib = byte(at + 1) else { return nil }
                base = sib & 7
                length += 1
            }
            switch mode {
            case 0:
                if base == 5 {
                    if register == 5 { return nil }
                    length += 4
                }
            case 1: length += 1
            default: length += 4
            }
            return length
        }
        func plain(_ immediate: Int) -> (Instruction, Int)? {
            guard let operand = operand() else { return nil }
            return (.plain, at + operand + immediate - start)
        }
        func relative(_ width: Int) -> (target: UInt64, end: Int)? {
            guard at + width <= code.count else { return nil }
            var value: UInt64 = 0
            for index in 0..<width { value |= UInt64(code[at + index]) << UInt64(8 * index) }
            let signed = width == 1 ? Int64(Int8(truncatingIfNeeded: value)) : Int64(Int32(truncatingIfNeeded: value))
            return (address &+ UInt64(at + width) &+ UInt64(bitPattern: signed), at + width)
        }

        switch opcode {
        case 0x01, 0x03, 0x09, 0x0b, 0x21, 0x23, 0x29, 0x2b, 0x31, 0x33, 0x39, 0x3b, 0x63, 0x84, 0x85, 0x88, 0x89, 0x8a, 0x8b, 0x8d:
            return plain(0)
        case 0x6b, 0x80, 0x83, 0xc0, 0xc1: return plain(1)
        case 0x69, 0x81: return has16Bits ? nil : plain(4)
        case 0xc6, 0xc7:
            // The others are transactions.
            guard let modRM = byte(at), modRM >> 3 & 7 == 0 else { return nil }
            return opcode == 0xc6 ? plain(1) : has16Bits ? nil : plain(4)
        case 0xf6, 0xf7:
            guard let modRM = byte(at) else { return nil }
            if modRM >> 3 & 7 > 1 { return plain(0) }
            return opcode == 0xf6 ? plain(1) : has16Bits ? nil : plain(4)
        case 0xff:
            guard let modRM = byte(at), modRM >> 3 & 7 <= 1 else { return nil }
            return plain(0)
        case 0x05, 0x0d, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0xa9: return has16Bits ? nil : (.plain, at + 4 - start)
        case 0x3c, 0xa8: return (.plain, at + 1 - start)
        case 0xb8...0xbf: return has16Bits ? nil : (.plain, at + (isWide ? 8 : 4) - start)
        case 0x50...0x5f: return has16Bits ? nil : (.plain, at - start)
        case 0x90:
            // With REX.B it is an exchange.
            return code[at - 2 >= start ? at - 2 : start] & 0xf1 == 0x41 ? nil : (.padding, at - start)
        case 0x98, 0x99: return (.plain, at - start)
        case 0xcc: return hasPrefix ? nil : (.trap, 1)
        case 0xc3: return hasPrefix ? nil : (.end, 1)
        case 0xe8, 0xe9:
            guard !hasPrefix, let (target, end) = relative(4) else { return nil }
            return (opcode == 0xe8 ? .call(target) : .jump(target), end - start)
        case 0xeb:
            guard !hasPrefix, let (target, end) = relative(1) else { return nil }
            return (.jump(target), end - start)
        case 0x70...0x7f:
            guard !hasPrefix, let (target, end) = relative(1) else { return nil }
            return (.branch(condition: opcode & 15, target), end - start)
        case 0x0f:
            guard let second = byte(at) else { return nil }
            at += 1
            switch second {
            case 0x1f:
                guard let operand = operand() else { return nil }
                return (.padding, at + operand - start)
            case 0x10, 0x11, 0x28, 0x29, 0x40...0x4f, 0x6f, 0x7f, 0x90...0x9f, 0xb6, 0xb7, 0xbe, 0xbf, 0xef: return plain(0)
            case 0x80...0x8f:
                guard !hasPrefix, let (target, end) = relative(4) else { return nil }
                return (.branch(condition: second & 15, target), end - start)
            default: return nil
            }
        default: return nil
        }
    }
}
