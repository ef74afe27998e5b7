/// struct termios of the kernel (asm-generic/termbits.h); 36 bytes in memory, `Termios2` appends the two speeds (44 bytes).
@frozen public struct Termios: Hashable, Sendable {
    /// Size of struct termios (TCGETS), in bytes.
    public static let size = 36
    /// Size of struct termios2 (TCGETS2), in bytes.
    public static let size2 = 44
    /// Size of struct termio (TCGETA), in bytes.
    public static let oldSize = 18
    public var c_iflag: UInt32 = 0
    public var c_oflag: UInt32 = 0
    public var c_cflag: UInt32 = 0
    public var c_lflag: UInt32 = 0
    public var c_line: UInt8 = 0
    public var c_cc = InlineArray<19, UInt8>(repeating: 0)
    /// Bits per second; struct termios2 only.
    public var c_ispeed: UInt32 = 38400
    public var c_ospeed: UInt32 = 38400
    @inlinable public init() {}

    @inlinable public static func == (a: Termios, b: Termios) -> Bool {
        for i in 0..<19 where a.c_cc[i] != b.c_cc[i] { return false }
        return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag && a.c_lflag == b.c_lflag && a.c_line == b.c_line
            && a.c_ispeed == b.c_ispeed && a.c_ospeed == b.c_ospeed
    }
    @inlinable public func hash(into hasher: inout Hasher) {
        hasher.combine(c_iflag)
        hasher.combine(c_oflag)
        hasher.combine(c_cflag)
        hasher.combine(c_lflag)
    }
}

/// struct winsize (ioctl_tty(2)); 8 bytes in memory.
@frozen public struct WindowSize: Hashable, Sendable {
    public static let size = 8
    public var ws_row: UInt16
    public var ws_col: UInt16
    public var ws_xpixel: UInt16
    public var ws_ypixel: UInt16
    @inlinable public init(ws_row: UInt16 = 0, ws_col: UInt16 = 0, ws_xpixel: UInt16 = 0, ws_ypixel: UInt16 = 0) {
        self.ws_row = ws_row
        self.ws_col = ws_col
        self.ws_xpixel = ws_xpixel
        self.ws_ypixel = ws_ypixel
    }
}

/// `c_iflag` of struct termios (termios(3)).
public enum TerminalInputFlag {
    @inlinable public static var IGNBRK: UInt32 { 0x0001 }
    @inlinable public static var BRKINT: UInt32 { 0x0002 }
    @inlinable public static var IGNPAR: UInt32 { 0x0004 }
    @inlinable public static var PARMRK: UInt32 { 0x0008 }
    @inlinable public static var INPCK: UInt32 { 0x0010 }
    @inlinable public static var ISTRIP: UInt32 { 0x0020 }
    @inlinable public static var INLCR: UInt32 { 0x0040 }
    @inlinable public static var IGNCR: UInt32 { 0x0080 }
    @inlinable public static var ICRNL: UInt32 { 0x0100 }
    @inlinable public static var IUCLC: UInt32 { 0x0200 }
    @inlinable public static var IXON: UInt32 { 0x0400 }
    @inlinable public static var IXANY: UInt32 { 0x0800 }
    @inlinable public static var IXOFF: UInt32 { 0x1000 }
    @inlinable public static var IMAXBEL: UInt32 { 0x2000 }
    @inlinable public static var IUTF8: UInt32 { 0x4000 }
}

/// `c_oflag` of struct termios.
public enum TerminalOutputFlag {
    @inlinable public static var OPOST: UInt32 { 0x01 }
    @inlinable public static var OLCUC: UInt32 { 0x02 }
    @inlinable public static var ONLCR: UInt32 { 0x04 }
    @inlinable public static var OCRNL: UInt32 { 0x08 }
    @inlinable public static var ONOCR: UInt32 { 0x10 }
    @inlinable public static var ONLRET: UInt32 { 0x20 }
    @inlinable public static var TABDLY: UInt32 { 0x1800 }
    @inlinable public static var XTABS: UInt32 { 0x1800 }
}

/// `c_cflag` of struct termios.
public enum TerminalControlFlag {
    @inlinable public static var CBAUD: UInt32 { 0x100f }
    @inlinable public static var B0: UInt32 { 0 }
    @inlinable public static var B38400: UInt32 { 0xf }
    @inlinable public static var CSIZE: UInt32 { 0x30 }
    @inlinable public static var CS8: UInt32 { 0x30 }
    @inlinable public static var CREAD: UInt32 { 0x80 }
    @inlinable public static var PARENB: UInt32 { 0x100 }
    @inlinable public static var HUPCL: UInt32 { 0x400 }
    @inlinable public static var CLOCAL: UInt32 { 0x800 }
}

/// `c_lflag` of struct termios.
public enum TerminalLocalFlag {
    @inlinable public static var ISIG: UInt32 { 0x0001 }
    @inlinable public static var ICANON: UInt32 { 0x0002 }
    @inlinable public static var XCASE: UInt32 { 0x0004 }
    @inlinable public static var ECHO: UInt32 { 0x0008 }
    @inlinable public static var ECHOE: UInt32 { 0x0010 }
    @inlinable public static var ECHOK: UInt32 { 0x0020 }
    @inlinable public static var ECHONL: UInt32 { 0x0040 }
    @inlinable public static var NOFLSH: UInt32 { 0x0080 }
    @inlinable public static var TOSTOP: UInt32 { 0x0100 }
    @inlinable public static var ECHOCTL: UInt32 { 0x0200 }
    @inlinable public static var ECHOPRT: UInt32 { 0x0400 }
    @inlinable public static var ECHOKE: UInt32 { 0x0800 }
    @inlinable public static var FLUSHO: UInt32 { 0x1000 }
    @inlinable public static var PENDIN: UInt32 { 0x4000 }
    @inlinable public static var IEXTEN: UInt32 { 0x8000 }
    @inlinable public static var EXTPROC: UInt32 { 0x10000 }
}

/// Indices into `c_cc` of struct termios.
public enum ControlCharacter {
    @inlinable public static var VINTR: Int { 0 }
    @inlinable public static var VQUIT: Int { 1 }
    @inlinable public static var VERASE: Int { 2 }
    @inlinable public static var VKILL: Int { 3 }
    @inlinable public static var VEOF: Int { 4 }
    @inlinable public static var VTIME: Int { 5 }
    @inlinable public static var VMIN: Int { 6 }
    @inlinable public static var VSWTC: Int { 7 }
    @inlinable public static var VSTART: Int { 8 }
    @inlinable public static var VSTOP: Int { 9 }
    @inlinable public static var VSUSP: Int { 10 }
    @inlinable public static var VEOL: Int { 11 }
    @inlinable public static var VREPRINT: Int { 12 }
    @inlinable public static var VDISCARD: Int { 13 }
    @inlinable public static var VWERASE: Int { 14 }
    @inlinable public static var VLNEXT: Int { 15 }
    @inlinable public static var VEOL2: Int { 16 }
}

/// ioctl(2) requests of terminals (asm-generic/ioctls.h, ioctl_tty(2)).
public enum TerminalRequest {
    @inlinable public static var TCGETS: UInt32 { 0x5401 }
    @inlinable public static var TCSETS: UInt32 { 0x5402 }
    @inlinable public static var TCSETSW: UInt32 { 0x5403 }
    @inlinable public static var TCSETSF: UInt32 { 0x5404 }
    @inlinable public static var TCGETA: UInt32 { 0x5405 }
    @inlinable public static var TCSETA: UInt32 { 0x5406 }
    @inlinable public static var TCSETAW: UInt32 { 0x5407 }
    @inlinable public static var TCSETAF: UInt32 { 0x5408 }
    @inlinable public static var TCSBRK: UInt32 { 0x5409 }
    @inlinable public static var TCXONC: UInt32 { 0x540a }
    @inlinable public static var TCFLSH: UInt32 { 0x540b }
    @inlinable public static var TIOCEXCL: UInt32 { 0x540c }
    @inlinable public static var TIOCNXCL: UInt32 { 0x540d }
    @inlinable public static var TIOCSCTTY: UInt32 { 0x540e }
    @inlinable public static var TIOCGPGRP: UInt32 { 0x540f }
    @inlinable public static var TIOCSPGRP: UInt32 { 0x5410 }
    @inlinable public static var TIOCOUTQ: UInt32 { 0x5411 }
    @inlinable public static var TIOCSTI: UInt32 { 0x5412 }
    @inlinable public static var TIOCGWINSZ: UInt32 { 0x5413 }
    @inlinable public static var TIOCSWINSZ: UInt32 { 0x5414 }
    @inlinable public static var TIOCMGET: UInt32 { 0x5415 }
    @inlinable public static var TIOCGSOFTCAR: UInt32 { 0x5419 }
    @inlinable public static var TIOCSSOFTCAR: UInt32 { 0x541a }
    /// The same as FIONREAD.
    @inlinable public static var TIOCINQ: UInt32 { 0x541b }
    @inlinable public static var TIOCLINUX: UInt32 { 0x541c }
    @inlinable public static var TIOCCONS: UInt32 { 0x541d }
    @inlinable public static var TIOCPKT: UInt32 { 0x5420 }
    @inlinable public static var TIOCNOTTY: UInt32 { 0x5422 }
    @inlinable public static var TIOCSETD: UInt32 { 0x5423 }
    @inlinable public static var TIOCGETD: UInt32 { 0x5424 }
    @inlinable public static var TCSBRKP: UInt32 { 0x5425 }
    @inlinable public static var TIOCSBRK: UInt32 { 0x5427 }
    @inlinable public static var TIOCCBRK: UInt32 { 0x5428 }
    @inlinable public static var TIOCGSID: UInt32 { 0x5429 }
    @inlinable public static var TCGETS2: UInt32 { 0x802c_542a }
    @inlinable public static var TCSETS2: UInt32 { 0x402c_542b }
    @inlinable public static var TCSETSW2: UInt32 { 0x402c_542c }
    @inlinable public static var TCSETSF2: UInt32 { 0x402c_542d }
    @inlinable public static var TIOCGPTN: UInt32 { 0x8004_5430 }
    @inlinable public static var TIOCSPTLCK: UInt32 { 0x4004_5431 }
    @inlinable public static var TIOCGDEV: UInt32 { 0x8004_5432 }
    @inlinable public static var TIOCVHANGUP: UInt32 { 0x5437 }
    @inlinable public static var TIOCGPKT: UInt32 { 0x8004_5438 }
    @inlinable public static var TIOCGPTLCK: UInt32 { 0x8004_5439 }
    @inlinable public static var TIOCGEXCL: UInt32 { 0x8004_5440 }
    @inlinable public static var TIOCGPTPEER: UInt32 { 0x5441 }
}

/// Status byte of packet mode (TIOCPKT, ioctl_tty(2)).
public enum PacketStatus {
    @inlinable public static var TIOCPKT_DATA: UInt8 { 0 }
    @inlinable public static var TIOCPKT_FLUSHREAD: UInt8 { 1 }
    @inlinable public static var TIOCPKT_FLUSHWRITE: UInt8 { 2 }
    @inlinable public static var TIOCPKT_STOP: UInt8 { 4 }
    @inlinable public static var TIOCPKT_START: UInt8 { 8 }
    @inlinable public static var TIOCPKT_NOSTOP: UInt8 { 16 }
    @inlinable public static var TIOCPKT_DOSTOP: UInt8 { 32 }
    @inlinable public static var TIOCPKT_IOCTL: UInt8 { 64 }
}

/// Arguments of TCFLSH and TCXONC (tcflush(3), tcflow(3)).
public enum TerminalFlow {
    @inlinable public static var TCIFLUSH: UInt64 { 0 }
    @inlinable public static var TCOFLUSH: UInt64 { 1 }
    @inlinable public static var TCIOFLUSH: UInt64 { 2 }
    @inlinable public static var TCOOFF: UInt64 { 0 }
    @inlinable public static var TCOON: UInt64 { 1 }
    @inlinable public static var TCIOFF: UInt64 { 2 }
    @inlinable public static var TCION: UInt64 { 3 }
}
