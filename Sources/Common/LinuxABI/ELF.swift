/// Constants of elf(5) and of the auxiliary vector (getauxval(3)), for 64-bit x86.
public enum ELF {
    public static let ELFCLASS64: UInt8 = 2
    public static let ELFDATA2LSB: UInt8 = 1
    public static let ET_EXEC: UInt16 = 2
    public static let ET_DYN: UInt16 = 3
    public static let EM_X86_64: UInt16 = 62
    public static let PT_LOAD: UInt32 = 1
    public static let PT_INTERP: UInt32 = 3
    public static let PT_PHDR: UInt32 = 6
    public static let PT_GNU_STACK: UInt32 = 0x6474_e551
    public static let PF_X: UInt32 = 1
    public static let PF_W: UInt32 = 2
    public static let PF_R: UInt32 = 4
    /// sizeof(Elf64_Ehdr), in bytes.
    public static let headerSize = 64
    /// sizeof(Elf64_Phdr), in bytes.
    public static let programHeaderSize = 56
}

/// Keys of the auxiliary vector.
public enum AuxiliaryKey {
    public static let AT_NULL: UInt64 = 0
    public static let AT_PHDR: UInt64 = 3
    public static let AT_PHENT: UInt64 = 4
    public static let AT_PHNUM: UInt64 = 5
    public static let AT_PAGESZ: UInt64 = 6
    public static let AT_BASE: UInt64 = 7
    public static let AT_FLAGS: UInt64 = 8
    public static let AT_ENTRY: UInt64 = 9
    public static let AT_UID: UInt64 = 11
    public static let AT_EUID: UInt64 = 12
    public static let AT_GID: UInt64 = 13
    public static let AT_EGID: UInt64 = 14
    public static let AT_PLATFORM: UInt64 = 15
    public static let AT_HWCAP: UInt64 = 16
    public static let AT_CLKTCK: UInt64 = 17
    public static let AT_SECURE: UInt64 = 23
    public static let AT_RANDOM: UInt64 = 25
    public static let AT_HWCAP2: UInt64 = 26
    public static let AT_RSEQ_FEATURE_SIZE: UInt64 = 27
    public static let AT_RSEQ_ALIGN: UInt64 = 28
    public static let AT_EXECFN: UInt64 = 31
    public static let AT_SYSINFO_EHDR: UInt64 = 33
    public static let AT_MINSIGSTKSZ: UInt64 = 51
}
