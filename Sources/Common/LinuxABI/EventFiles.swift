/// Flags of inotify_add_watch(2) and of its events (linux/inotify.h).
public enum InotifyFlag {
    /// Every event that can be asked for.
    @inlinable public static var IN_ALL_EVENTS: UInt32 { 0xfff }
    /// The queue has overflowed.
    @inlinable public static var IN_Q_OVERFLOW: UInt32 { 0x4000 }
    /// The watch is gone.
    @inlinable public static var IN_IGNORED: UInt32 { 0x8000 }
    /// Only directories.
    @inlinable public static var IN_ONLYDIR: UInt32 { 0x0100_0000 }
    /// A symbolic link itself.
    @inlinable public static var IN_DONT_FOLLOW: UInt32 { 0x0200_0000 }
    /// No events of unlinked children.
    @inlinable public static var IN_EXCL_UNLINK: UInt32 { 0x0400_0000 }
    /// Only a new watch.
    @inlinable public static var IN_MASK_CREATE: UInt32 { 0x1000_0000 }
    /// Add to an existing watch's events.
    @inlinable public static var IN_MASK_ADD: UInt32 { 0x2000_0000 }
    /// The subject is a directory.
    @inlinable public static var IN_ISDIR: UInt32 { 0x4000_0000 }
    /// One event only.
    @inlinable public static var IN_ONESHOT: UInt32 { 0x8000_0000 }
}

/// Operations and flags of epoll_ctl(2) (linux/eventpoll.h).
public enum EpollFlag {
    @inlinable public static var EPOLL_CTL_ADD: Int32 { 1 }
    @inlinable public static var EPOLL_CTL_DEL: Int32 { 2 }
    @inlinable public static var EPOLL_CTL_MOD: Int32 { 3 }
    /// Wake one epoll instance of all that wait.
    @inlinable public static var EPOLLEXCLUSIVE: UInt32 { 1 << 28 }
    /// Keep the system awake.
    @inlinable public static var EPOLLWAKEUP: UInt32 { 1 << 29 }
    /// One event, then disarmed.
    @inlinable public static var EPOLLONESHOT: UInt32 { 1 << 30 }
    /// Edge-triggered.
    @inlinable public static var EPOLLET: UInt32 { 1 << 31 }
}

/// Flags of eventfd2(2), timerfd_create(2) and memfd_create(2).
public enum EventFileFlag {
    @inlinable public static var EFD_SEMAPHORE: UInt32 { 1 }
    @inlinable public static var TFD_TIMER_ABSTIME: Int32 { 1 }
    @inlinable public static var TFD_TIMER_CANCEL_ON_SET: Int32 { 2 }
    @inlinable public static var MFD_CLOEXEC: UInt32 { 1 }
    @inlinable public static var MFD_ALLOW_SEALING: UInt32 { 2 }
    @inlinable public static var MFD_HUGETLB: UInt32 { 4 }
    @inlinable public static var MFD_NOEXEC_SEAL: UInt32 { 8 }
    @inlinable public static var MFD_EXEC: UInt32 { 16 }
}
