/// Instructions from behind a `syscall`, rewritten to run at another place. Only such as compilers put there are known; what depends on its own address is
/// translated, or refused. Encodings: Intel SDM volume 2, appendix A.
struct MovedCode {
    /// Where an instruction begins in what has been moved.
    struct Place {
        var offset: Int
        /// Where a thread would be in the original that stands there.
        var original: UInt64
        /// Whether the original's instruction begins there, so that a thread that comes to it may go on there.
        var isStart = false
        /// Whether the return address of a call that is not made yet is on the stack.
        var hasPushed = false
    }
    /// What does the same elsewhere, and then goes on where the original would.
    private(set) var bytes: [UInt8] = []
    private(set) var places: [Place] = []
    /// Bytes of the original that are covered.
    private var count = 0
    private let destination: UInt64
    /// Where in `bytes` the target of a jump is, and which.
    private var targets: [(offset: Int, address: UInt64)] = []

    private enum Instruction {
        case plain, padding, trap, end
        /// An operand relative to RIP: where its displacement is.
        case relative(displacement: Int, isEnd: Bool)
        case jump(UInt64)
        case branch(condition: UInt8, UInt64)
        case call(UInt64)
    }

    /// Moves whole instructions from `original`, whose first byte lies at `address`, to `destination`, until at least `minimum` bytes are covered. nil when that cannot be
    /// done. Behind the end of a piece of code others may jump in; what is not known there is left out.
    init?(_ original: ArraySlice<UInt8>, at address: UInt64, covering minimum: Int, to destination: UInt64) {
        self.destination = destination
        let code = Array(original)
        var isEnded = false
        /// As much as a piece of code ended with.
        var whole: (bytes: Int, places: Int)?
        while count < minimum {
            if isEnded { whole = (bytes.count, places.count) }
            guard let (instruction, length) = Self.decode(code, count, address), count + length <= code.count,
                move(instruction, code[count..<count + length], address, &isEnded)
            else {
                guard let whole else { return nil }
                bytes.removeSubrange(whole.bytes...)
                places.removeSubrange(whole.places...)
                isEnded = true
                break
            }
            count += length
        }
        if !isEnded { jump(to: address &+ UInt64(count), from: address &+ UInt64(count)) }
        // What has moved as well is not looked for in the original.
        for (offset, target) in targets where offset < bytes.count {
            guard let place = places.first(where: { $0.isStart && $0.original == target }) else { continue }
            bytes.replaceSubrange(offset..<offset + 8, with: Self.little(destination &+ UInt64(place.offset)))
        }
    }

    /// One instruction; false when it cannot be.
    private mutating func move(_ instruction: Instruction, _ code: ArraySlice<UInt8>, _ address: UInt64, _ isEnded: inout Bool) -> Bool {
        let here = address &+ UInt64(count)
        let next = here &+ UInt64(code.count)
        if isEnded {
            switch instruction {
            // Nobody comes there.
            case .padding, .trap: return true
            default: isEnded = false
            }
        }
        switch instruction {
        case .plain, .padding: append(here, code, isStart: true)
        case .trap: return false
        case .end:
            append(here, code, isStart: true)
            isEnded = true
        case .relative(let displacement, let isEnd):
            if !moveRelative(code, displacement - count, here) { return false }
            isEnded = isEnd
        case .jump(let target):
            jump(to: target, from: here, isStart: true)
            isEnded = true
        case .branch(let condition, let target):
            // The opposite, over the jump.
            append(here, [0x70 | condition ^ 1, 14], isStart: true)
            jump(to: target, from: target)
        case .call(let target):
            // push $low; movl $high, 4(%rsp)
            append(here, [0x68] + Self.little(next).prefix(4), isStart: true)
            places.append(Place(offset: bytes.count, original: here, hasPushed: true))
            bytes += [0xc7, 0x44, 0x24, 0x04] + Self.little(next).suffix(4)
            // Comes back to the original's next instruction.
            jump(to: target, from: target)
            isEnded = true
        }
        return true
    }

    private mutating func append(_ original: UInt64, _ code: some Collection<UInt8>, isStart: Bool = false) {
        places.append(Place(offset: bytes.count, original: original, isStart: isStart))
        bytes += code
    }

    /// jmp *(%rip)
    private mutating func jump(to target: UInt64, from original: UInt64, isStart: Bool = false) {
        append(original, [0xff, 0x25, 0, 0, 0, 0] + Self.little(target), isStart: isStart)
        targets.append((bytes.count - 8, target))
    }

    /// An instruction whose operand is relative to its own address: with another displacement if that can be, else what loads a register by way of itself.
    private mutating func moveRelative(_ code: ArraySlice<UInt8>, _ displacement: Int, _ original: UInt64) -> Bool {
        let code = Array(code)
        let distance = Int64(Int32(truncatingIfNeeded: Self.value(code, displacement, 4)))
        let target = original &+ UInt64(code.count) &+ UInt64(bitPattern: distance)
        let end = destination &+ UInt64(bytes.count + code.count)
        if let near = Int32(exactly: Int64(bitPattern: target &- end)) {
            let own = Self.little(UInt64(bitPattern: Int64(near))).prefix(4)
            append(original, code[..<displacement] + own + code[(displacement + 4)...], isStart: true)
            return true
        }
        let hasPrefix = code[0] & 0xf0 == 0x40
        guard displacement == (hasPrefix ? 3 : 2), displacement + 4 == code.count else { return false }
        let isWide = hasPrefix && code[0] & 8 != 0
        let register = code[displacement - 1] >> 3 & 7
        let extended: UInt8 = hasPrefix ? code[0] >> 2 & 1 : 0
        let load = [0x48 | extended, 0xb8 | register] + Self.little(target)  // movabs $target,%register
        switch code[displacement - 2] {
        case 0x8d where isWide: append(original, load, isStart: true)
        case 0x8b:
            append(original, load, isStart: true)
            // mov 0(%register),%register
            let base: [UInt8] = register == 4 ? [0x24, 0] : [0]
            append(original, [0x40 | (isWide ? 8 : 0) | extended * 5, 0x8b, 0x40 | register << 3 | register] + base)
        default: return false
        }
        return true
    }

    static func little(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) } }

    private static func value(_ code: [UInt8], _ start: Int, _ width: Int) -> UInt64 {
        (0..<width).reduce(0) { $0 | UInt64(code[start + $1]) << UInt64(8 * $1) }
    }

    /// The instruction at `start` and its length, or nil for one that is not known.
    private static func decode(_ code: [UInt8], _ start: Int, _ address: UInt64) -> (Instruction, Int)? {
        var at = start
        func byte(_ index: Int) -> UInt8? { index < code.count ? code[index] : nil }
        var has16Bits = false
        /// f2 or f3
        var repeated: UInt8 = 0
        prefixes: while let prefix = byte(at) {
            switch prefix {
            case 0x66: has16Bits = true
            // What only the loader of 32-bit code gives a meaning, FS, and lock. GS is the platform's.
            case 0x2e, 0x64, 0xf0: break
            case 0xf2, 0xf3: repeated = prefix
            default: break prefixes
            }
            at += 1
            if at - start > 8 { return nil }
        }
        var rex: UInt8 = 0
        if let prefix = byte(at), prefix & 0xf0 == 0x40 {
            rex = prefix
            at += 1
        }
        guard let opcode = byte(at) else { return nil }
        at += 1
        let hasPrefix = at - start > 1
        var displacement: Int?

        /// ModRM, SIB and displacement at `at`.
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
                    if register == 5 { displacement = at + 1 }
                    length += 4
                }
            case 1: length += 1
            default: length += 4
            }
            return length
        }
        func plain(_ immediate: Int, isEnd: Bool = false) -> (Instruction, Int)? {
            guard let operand = operand(), at + operand + immediate <= code.count else { return nil }
            let length = at + operand + immediate - start
            if let displacement { return (.relative(displacement: displacement, isEnd: isEnd), length) }
            return (isEnd ? .end : .plain, length)
        }
        func relative(_ width: Int) -> (target: UInt64, end: Int)? {
            guard at + width <= code.count else { return nil }
            let word = value(code, at, width)
            let signed = width == 1 ? Int64(Int8(truncatingIfNeeded: word)) : Int64(Int32(truncatingIfNeeded: word))
            return (address &+ UInt64(at + width) &+ UInt64(bitPattern: signed), at + width)
        }

        if repeated != 0 {
            switch opcode {
            case 0x90 where rex == 0: return (.plain, at - start)  // pause
            case 0xc3: return (.end, at - start)
            case 0x0f: break
            default: return nil
            }
        }
        switch opcode {
        case 0x00...0x03, 0x08...0x0b, 0x10...0x13, 0x18...0x1b, 0x20...0x23, 0x28...0x2b, 0x30...0x33, 0x38...0x3b, 0x63, 0x84...0x8b,
            0x8d, 0xd0...0xd3:
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
        case 0xfe, 0xff:
            guard let modRM = byte(at) else { return nil }
            switch modRM >> 3 & 7 {
            case 0, 1: return plain(0)
            case 4 where opcode == 0xff && !has16Bits: return plain(0, isEnd: true)
            case 6 where opcode == 0xff && !has16Bits: return plain(0)
            default: return nil
            }
        case 0x05, 0x0d, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0xa9, 0x68: return has16Bits ? nil : (.plain, at + 4 - start)
        case 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0xa8, 0xb0...0xb7, 0x6a: return has16Bits ? nil : (.plain, at + 1 - start)
        case 0xb8...0xbf: return has16Bits ? nil : (.plain, at + (rex & 8 != 0 ? 8 : 4) - start)
        case 0x50...0x5f: return has16Bits ? nil : (.plain, at - start)
        case 0x90:
            // With REX.B it is an exchange.
            return (rex & 1 != 0 ? .plain : .padding, at - start)
        case 0x98, 0x99, 0xc9: return (.plain, at - start)
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
            case 0x10, 0x11, 0x28, 0x29, 0x40...0x4f, 0x57, 0x6e, 0x6f, 0x7e, 0x7f, 0x90...0x9f, 0xa3, 0xab, 0xaf, 0xb0, 0xb1, 0xb3,
                0xb6...0xb8,
                0xbb...0xbf, 0xc0, 0xc1, 0xd6, 0xef:
                return plain(0)
            case 0xba: return plain(1)
            case 0x80...0x8f:
                guard !hasPrefix, let (target, end) = relative(4) else { return nil }
                return (.branch(condition: second & 15, target), end - start)
            case 0xc8...0xcf: return has16Bits ? nil : (.plain, at - start)
            default: return nil
            }
        default: return nil
        }
    }
}
