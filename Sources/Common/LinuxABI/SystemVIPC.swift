/// System V interprocess communication (sysvipc(7)): flags, commands, limits and layouts of x86-64.
public enum IPC {
    public static let IPC_PRIVATE: Int32 = 0
    public static let IPC_CREAT: UInt32 = 0o1000
    public static let IPC_EXCL: UInt32 = 0o2000
    public static let IPC_NOWAIT: UInt32 = 0o4000

    public static let IPC_RMID: Int32 = 0
    public static let IPC_SET: Int32 = 1
    public static let IPC_STAT: Int32 = 2
    public static let IPC_INFO: Int32 = 3

    /// Access bits, as in a file's mode.
    public static let read: UInt32 = 0o444
    public static let write: UInt32 = 0o222

    /// An identifier is a place in the table plus this times a sequence number.
    public static let places: Int32 = 32768
    /// sizeof(struct ipc64_perm), in bytes.
    public static let permissionSize = 48
}

/// shmget(2), shmat(2), shmctl(2).
public enum SharedMemory {
    public static let SHM_RDONLY: UInt32 = 0o10000
    public static let SHM_RND: UInt32 = 0o20000
    public static let SHM_REMAP: UInt32 = 0o40000
    public static let SHM_EXEC: UInt32 = 0o100000
    public static let SHM_HUGETLB: UInt32 = 0o4000
    public static let SHM_DEST: UInt32 = 0o1000
    public static let SHM_LOCKED: UInt32 = 0o2000

    public static let SHM_LOCK: Int32 = 11
    public static let SHM_UNLOCK: Int32 = 12
    public static let SHM_STAT: Int32 = 13
    public static let SHM_INFO: Int32 = 14
    public static let SHM_STAT_ANY: Int32 = 15

    public static let SHMMAX: UInt64 = .max - (1 << 24)
    public static let SHMMNI = 4096
    /// sizeof(struct shmid64_ds), struct shminfo64, struct shm_info.
    public static let statusSize = 112, limitsSize = 72, usageSize = 48
}

/// semget(2), semop(2), semctl(2).
public enum Semaphores {
    public static let SEM_UNDO: UInt16 = 0x1000

    public static let GETPID: Int32 = 11
    public static let GETVAL: Int32 = 12
    public static let GETALL: Int32 = 13
    public static let GETNCNT: Int32 = 14
    public static let GETZCNT: Int32 = 15
    public static let SETVAL: Int32 = 16
    public static let SETALL: Int32 = 17
    public static let SEM_STAT: Int32 = 18
    public static let SEM_INFO: Int32 = 19
    public static let SEM_STAT_ANY: Int32 = 20

    public static let SEMMSL = 32000
    public static let SEMMNI = 32000
    public static let SEMMNS: Int32 = 1_024_000_000
    public static let SEMOPM = 500
    public static let SEMVMX: Int32 = 32767
    /// sizeof(struct semid64_ds), struct seminfo, struct sembuf.
    public static let statusSize = 104, limitsSize = 40, operationSize = 6
}

/// msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
public enum Messages {
    public static let MSG_NOERROR: UInt32 = 0o10000
    public static let MSG_EXCEPT: UInt32 = 0o20000
    public static let MSG_COPY: UInt32 = 0o40000

    public static let MSG_STAT: Int32 = 11
    public static let MSG_INFO: Int32 = 12
    public static let MSG_STAT_ANY: Int32 = 13

    public static let MSGMAX = 8192
    public static let MSGMNB = 16384
    public static let MSGMNI = 32000
    /// sizeof(struct msqid64_ds), struct msginfo.
    public static let statusSize = 120, limitsSize = 32
}
