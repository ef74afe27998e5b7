/// Advisory locks of one inode: flock(2), POSIX and OFD record locks of fcntl(2).
public final class FileLocks: Sendable {
    public init() {}
}
