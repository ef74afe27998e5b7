import LinuxABI

/// The bytes of a new program's stack: strings, vectors and the auxiliary vector, as the System V ABI for x86-64 (section 3.4.1) and
/// fs/binfmt_elf.c lay them out. Pure: works on arrays, the loader copies the result out.
struct InitialStack {
    var arguments: [[UInt8]]
    var environment: [[UInt8]]
    /// AT_EXECFN
    var executableName: [UInt8]
    /// AT_RANDOM, 16 bytes.
    var random: [UInt8]
    /// Key and value pairs without those that point into the stack (AT_RANDOM, AT_EXECFN, AT_PLATFORM) and without AT_NULL.
    var auxiliary: [(key: UInt64, value: UInt64)]

    struct Result {
        /// The new stack pointer: argc lies here, 16-byte aligned.
        var pointer: UInt64
        /// What to copy to `pointer`; it ends at the stack's top.
        var bytes: [UInt8]
        var argumentStart, argumentEnd, environmentStart, environmentEnd: UInt64
        /// The whole vector as /proc/PID/auxv shows it.
        var auxiliary: [(key: UInt64, value: UInt64)]
    }

    /// Bytes that the strings and their pointers take: what ARG_MAX limits.
    static func size(_ arguments: [[UInt8]], _ environment: [[UInt8]]) -> Int {
        (arguments + environment).reduce(0) { $0 + $1.count + 1 + 8 }
    }

    /// Lays the stack out below `top`.
    func build(top: UInt64) -> Result {
        // From the top down: 8 zero bytes, the executable's name, environment, arguments, platform, random; then the vectors.
        var strings: [UInt8] = []
        func append(_ string: [UInt8]) -> Int {
            let offset = strings.count
            strings += string
            strings.append(0)
            return offset
        }
        let platformOffset = append(Array("x86_64".utf8))
        let randomOffset = strings.count
        strings += random
        let argumentOffsets = arguments.map(append)
        let argumentEndOffset = strings.count
        let environmentOffsets = environment.map(append)
        let environmentEndOffset = strings.count
        let nameOffset = append(executableName)
        strings += [UInt8](repeating: 0, count: 8)
        let base = (top - UInt64(strings.count)) & ~15
        strings += [UInt8](repeating: 0, count: Int(top - base) - strings.count)
        let place = { (offset: Int) in base + UInt64(offset) }

        var vector = auxiliary
        vector.append((AuxiliaryKey.AT_RANDOM, place(randomOffset)))
        vector.append((AuxiliaryKey.AT_EXECFN, place(nameOffset)))
        vector.append((AuxiliaryKey.AT_PLATFORM, place(platformOffset)))
        vector.append((AuxiliaryKey.AT_NULL, 0))

        var words: [UInt64] = [UInt64(arguments.count)]
        words += argumentOffsets.map(place)
        words.append(0)
        words += environmentOffsets.map(place)
        words.append(0)
        for (key, value) in vector { words += [key, value] }
        let pointer = (base - UInt64(words.count * 8)) & ~15
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(top - pointer))
        for word in words {
            for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        bytes += [UInt8](repeating: 0, count: Int(base - pointer) - bytes.count)
        bytes += strings
        let argumentStart = place(argumentOffsets.first ?? argumentEndOffset)
        return Result(
            pointer: pointer, bytes: bytes, argumentStart: argumentStart, argumentEnd: place(argumentEndOffset),
            environmentStart: place(argumentEndOffset), environmentEnd: place(environmentEndOffset), auxiliary: vector)
    }
}
