internal import CHost
public import LinuxABI

/// Host terminals.
extension HostCall {
    /// TIOCGWINSZ: rows and columns of a host terminal. ENOTTY for another file.
    public static func windowSize(_ descriptor: Int32) throws(Errno) -> WindowSize {
        var words: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
        // SAFETY: the kernel fills the eight bytes of the tuple.
        let result = unsafe withUnsafeMutablePointer(to: &words) { pointer in
            raw(.ioctl, Int(descriptor), Int(TerminalRequest.TIOCGWINSZ), Int(bitPattern: pointer))
        }
        _ = try check(result)
        return WindowSize(ws_row: words.0, ws_col: words.1, ws_xpixel: words.2, ws_ypixel: words.3)
    }
}
