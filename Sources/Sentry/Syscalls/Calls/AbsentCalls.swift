import LinuxABI
import SentryKernel

/// Calls that this kernel does not have (yet): each is refused as on a Linux built without the feature.
enum AbsentCalls {
    static let calls: [SystemCall] =
        [
            (.mq_open, "POSIX message queues"), (.mq_unlink, "POSIX message queues"), (.mq_timedsend, "POSIX message queues"),
            (.mq_timedreceive, "POSIX message queues"), (.mq_notify, "POSIX message queues"), (.mq_getsetattr, "POSIX message queues"),
            (.io_setup, "Linux AIO"), (.io_destroy, "Linux AIO"), (.io_getevents, "Linux AIO"), (.io_submit, "Linux AIO"),
            (.io_cancel, "Linux AIO"), (.io_pgetevents, "Linux AIO"), (.io_uring_setup, "io_uring"), (.io_uring_enter, "io_uring"),
            (.io_uring_register, "io_uring"), (.epoll_ctl_old, "never in Linux"), (.epoll_wait_old, "never in Linux"),
            (.quotactl, "quotas"), (.quotactl_fd, "quotas"), (.ustat, "superseded by statfs"), (.sysfs, "obsolete"),
            (.set_mempolicy_home_node, "one node"), (.cachestat, "page cache statistics"), (.statmount, "statmount"),
            (.listmount, "listmount"), (.setxattrat, "newer than 6.12"), (.getxattrat, "newer than 6.12"),
            (.listxattrat, "newer than 6.12"), (.removexattrat, "newer than 6.12"), (.open_tree_attr, "newer than 6.12"),
        ].map { (number: SystemCallNumber, why: String) in SystemCall.refused(number, .ENOSYS, why) }
}
