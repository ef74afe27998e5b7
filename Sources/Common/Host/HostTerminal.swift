public import LinuxABI

/// The settings of a terminal (struct termios of the kernel, 36 bytes), kept to be put back.
public struct TerminalSettings: Sendable {
    fileprivate var bytes: [UInt8]

    /// Like cfmakeraw(3): every byte passes as it is, nothing is echoed, no key makes a signal.
    public var raw: TerminalSettings {
        func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) } }
        var result = self
        func set(_ offset: Int, _ value: UInt32) {
            for i in 0..<4 { result.bytes[offset + i] = UInt8(truncatingIfNeeded: value >> UInt32(8 * i)) }
        }
        // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON; OPOST; CSIZE PARENB; ECHO ECHONL ICANON ISIG IEXTEN
        set(0, word(0) & ~0o2753)
        set(4, word(4) & ~1)
        set(8, word(8) & ~0o460 | 0o60)
        set(12, word(12) & ~0o100113)
        // VMIN 1, VTIME 0
        result.bytes[17 + 6] = 1
        result.bytes[17 + 5] = 0
        return result
    }
}

/// Pseudoterminals and terminal settings of the host (ioctl_tty(2)).
extension HostCall {
    /// A new pseudoterminal: `first` is the master, `second` the slave. Neither becomes the controlling terminal.
    public static func openTerminalPair() throws(Errno) -> DescriptorPair {
        let flags = OpenFlag.O_RDWR | OpenFlag.O_NOCTTY
        let master = try open(Array("/dev/ptmx".utf8), flags: flags)
        var unlock: [Int32] = [0]
        // SAFETY: TIOCSPTLCK reads one int.
        try unsafe unlock.withUnsafeMutableBufferPointer { p throws(Errno) in
            _ = try retrying { raw(.ioctl, Int(master.rawValue), 0x4004_5431, Int(bitPattern: p.baseAddress)) }
        }
        // TIOCGPTPEER opens the slave without a path, so it works in any mount namespace.
        let slave = try retrying { raw(.ioctl, Int(master.rawValue), 0x5441, Int(flags | OpenFlag.O_CLOEXEC)) }
        return DescriptorPair(first: master, second: OwnedDescriptor(adopting: Int32(slave)))
    }

    /// True when the descriptor is a terminal.
    public static func isTerminal(_ descriptor: Int32) -> Bool { (try? terminalSettings(descriptor)) != nil }

    /// Whether the caller's process group is the foreground one of the terminal, which may read from it and change its settings.
    public static func isForeground(_ descriptor: Int32) -> Bool {
        var group: [Int32] = [0]
        // SAFETY: TIOCGPGRP fills one int.
        let result = unsafe group.withUnsafeMutableBufferPointer { p in raw(.ioctl, Int(descriptor), 0x540F, Int(bitPattern: p.baseAddress))
        }
        return result == 0 && Int(group[0]) == raw(.getpgid, 0)
    }

    /// TIOCGWINSZ: rows and columns. ENOTTY for another file.
    public static func windowSize(_ descriptor: Int32) throws(Errno) -> WindowSize {
        var words: [4 of UInt16] = [0, 0, 0, 0]
        // SAFETY: struct winsize is four unsigned shorts.
        let result = unsafe withUnsafeMutablePointer(to: &words) { p in
            raw(.ioctl, Int(descriptor), Int(TerminalRequest.TIOCGWINSZ), Int(bitPattern: p))
        }
        _ = try check(result)
        return WindowSize(ws_row: words[0], ws_col: words[1], ws_xpixel: words[2], ws_ypixel: words[3])
    }

    /// TIOCSWINSZ; the foreground process group of the terminal gets SIGWINCH when the size changes.
    public static func setWindowSize(_ descriptor: Int32, _ size: WindowSize) throws(Errno) {
        let words: [4 of UInt16] = [size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel]
        // SAFETY: struct winsize is four unsigned shorts.
        let result = unsafe withUnsafePointer(to: words) { p in
            raw(.ioctl, Int(descriptor), Int(TerminalRequest.TIOCSWINSZ), Int(bitPattern: p))
        }
        _ = try check(result)
    }

    /// TCGETS.
    public static func terminalSettings(_ descriptor: Int32) throws(Errno) -> TerminalSettings {
        var settings = TerminalSettings(bytes: [UInt8](repeating: 0, count: 36))
        // SAFETY: the kernel's struct termios has 36 bytes.
        try unsafe settings.bytes.withUnsafeMutableBufferPointer { p throws(Errno) in
            _ = try retrying { raw(.ioctl, Int(descriptor), 0x5401, Int(bitPattern: p.baseAddress)) }
        }
        return settings
    }

    /// TCSETSW: after what is queued for output has gone.
    public static func setTerminalSettings(_ descriptor: Int32, _ settings: TerminalSettings) throws(Errno) {
        // SAFETY: the kernel's struct termios has 36 bytes, and a value of the type always has as many.
        try unsafe settings.bytes.withUnsafeBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress)
            _ = try retrying { raw(.ioctl, Int(descriptor), 0x5403, address) }
        }
    }
}
