// Builds the stub's image and starts the source process.
#define _GNU_SOURCE
#include "cplatform.h"
#include "stub_layout.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern const uint8_t cplatform_stub_begin[], cplatform_stub_end[], cplatform_stub_filters[], cplatform_stub_mode[], cplatform_stub_vdso_parts[];
extern const uint8_t cplatform_stub_send_return[], cplatform_stub_wait_return[], cplatform_stub_execute_return[], cplatform_stub_clone_return[],
    cplatform_stub_hello_return[], cplatform_stub_thread_exit[], cplatform_stub_exit_return[], cplatform_stub_close_listener_return[],
    cplatform_stub_close_socket_return[], cplatform_stub_altstack_return[], cplatform_stub_unblock_return[], cplatform_stub_restrict_return[],
    cplatform_stub_wake_return[], cplatform_stub_sleep_return[], cplatform_stub_sigreturn_return[], cplatform_stub_entry[], cplatform_stub_given[],
    cplatform_stub_entry_end[], cplatform_stub_trap[], cplatform_stub_yield[], cplatform_stub_yield_return[], cplatform_stub_turn_yield_return[],
    cplatform_stub_wait_yield_return[],
    cplatform_stub_entry_any[], cplatform_stub_no_signals[], cplatform_stub_any_process[], cplatform_stub_any_thread[], cplatform_stub_trap_any[];
extern const uint8_t cplatform_vdso_begin[], cplatform_vdso_end[], cplatform_vdso_slots[];

#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static size_t offset_of(const uint8_t *label) { return STUB_CODE_OFFSET + (size_t)(label - cplatform_stub_begin); }
static uint64_t address_of(const uint8_t *label) { return STUB_BASE + (uint64_t)offset_of(label); }

uint64_t cplatform_stub_base(void) { return STUB_BASE; }
uint64_t cplatform_stub_code_end(void) { return STUB_BASE + STUB_CODE_SIZE; }
uint64_t cplatform_stub_vdso(void) { return STUB_VDSO; }
uint64_t cplatform_stub_scratch(void) { return STUB_SCRATCH; }
uint64_t cplatform_stub_slots(void) { return STUB_SLOTS; }
uint64_t cplatform_stub_thread_exit_address(void) { return address_of(cplatform_stub_thread_exit); }
uint64_t cplatform_stub_wait_address(void) { return address_of(cplatform_stub_wait_return); }
uint64_t cplatform_stub_hello_address(void) { return address_of(cplatform_stub_hello_return); }
uint64_t cplatform_stub_entry_address(void) { return address_of(cplatform_stub_entry); }
uint64_t cplatform_stub_given_address(void) { return address_of(cplatform_stub_given); }
uint64_t cplatform_stub_unblock_address(void) { return address_of(cplatform_stub_unblock_return) - 2; }
uint64_t cplatform_stub_no_signals_address(void) { return address_of(cplatform_stub_no_signals); }
uint64_t cplatform_stub_entry_end_address(void) { return address_of(cplatform_stub_entry_end); }
uint64_t cplatform_stub_trap_address(void) { return address_of(cplatform_stub_trap); }
uint64_t cplatform_stub_trap_any_address(void) { return address_of(cplatform_stub_trap_any); }
uint64_t cplatform_stub_entry_any_address(void) { return address_of(cplatform_stub_entry_any); }
uint64_t cplatform_stub_yield_address(void) { return address_of(cplatform_stub_yield); }

uint64_t cplatform_stub_call_at(uint64_t place, uint64_t number) {
    if (place >= address_of(cplatform_stub_any_thread)) return SYS_gettid;
    if (place >= address_of(cplatform_stub_any_process)) return SYS_getpid;
    return number;
}
uint64_t cplatform_stub_ring(void) { return STUB_RING; }
size_t cplatform_ring_size(void) { return STUB_RING_SIZE; }
size_t cplatform_ring_entries(void) { return STUB_RING_ENTRIES; }
size_t cplatform_slot_size(void) { return STUB_SLOT_SIZE; }
size_t cplatform_slot_stack(void) { return SLOT_STACK; }
size_t cplatform_chunk_slots(void) { return STUB_CHUNK_SLOTS; }

int cplatform_instructions(uint64_t *addresses, int capacity) {
    const uint8_t *const labels[] = {
        cplatform_stub_send_return,    cplatform_stub_wait_return,     cplatform_stub_execute_return,        cplatform_stub_clone_return,
        cplatform_stub_hello_return,   cplatform_stub_exit_return,     cplatform_stub_close_listener_return, cplatform_stub_close_socket_return,
        cplatform_stub_altstack_return, cplatform_stub_unblock_return, cplatform_stub_restrict_return,       cplatform_stub_wake_return,
        cplatform_stub_sleep_return,   cplatform_stub_sigreturn_return, cplatform_stub_yield_return,      cplatform_stub_turn_yield_return,
        cplatform_stub_wait_yield_return,
    };
    int count = (int)(sizeof labels / sizeof labels[0]);
    for (int i = 0; i < count && i < capacity; i++) addresses[i] = address_of(labels[i]) - 2;
    return count;
}

// ---- filters ----
//
// All of them permit little, mostly by the address behind the `syscall` instruction; everything else, from anywhere, of any architecture, is SIGSYS.
// Guest threads run under all three: on ptrace they are a second wall behind PTRACE_SYSEMU, on systrap they are what raises the signal.

struct program {
    struct sock_filter code[192];
    size_t count;
};

static void emit(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t value) {
    if (p->count < sizeof p->code / sizeof p->code[0]) p->code[p->count] = (struct sock_filter){code, yes, no, value};
    p->count++;
}

enum { DATA_NUMBER = 0, DATA_ARCHITECTURE = 4, DATA_ADDRESS_LOW = 8, DATA_ADDRESS_HIGH = 12, DATA_ARGUMENTS = 16 };

static void load(struct program *p, uint32_t offset) { emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset); }
static void result(struct program *p, uint32_t action) { emit(p, BPF_RET | BPF_K, 0, 0, action); }
// The next `skip` instructions only when the word loaded is `value`.
static void when(struct program *p, uint32_t value, uint8_t skip) { emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value); }
static void unless_trap(struct program *p, uint32_t value) {
    when(p, value, 1);
    emit(p, BPF_JMP | BPF_JA, 0, 0, 1);
    result(p, SECCOMP_RET_TRAP);
}

static void begin(struct program *p) {
    p->count = 0;
    load(p, DATA_ARCHITECTURE);
    unless_trap(p, AUDIT_ARCH_X86_64);
}

// Behind `label`, up to four calls are permitted; a group ends with its result.
static void permit(struct program *p, const uint8_t *label, uint32_t action, int count, const uint32_t *calls) {
    load(p, DATA_ADDRESS_LOW);
    when(p, (uint32_t)address_of(label), (uint8_t)(1 + 2 * count + 1));
    load(p, DATA_NUMBER);
    for (int i = 0; i < count; i++) {
        when(p, calls[i], 1);
        result(p, action);
    }
    result(p, SECCOMP_RET_TRAP);
}

// Behind `label`, one call whose argument has one value.
static void permit_exact(struct program *p, const uint8_t *label, uint32_t call, int argument, uint64_t value) {
    load(p, DATA_ADDRESS_LOW);
    when(p, (uint32_t)address_of(label), 8);
    load(p, DATA_NUMBER);
    when(p, call, 5);
    load(p, DATA_ARGUMENTS + 8 * (uint32_t)argument);
    when(p, (uint32_t)value, 3);
    load(p, DATA_ARGUMENTS + 8 * (uint32_t)argument + 4);
    when(p, (uint32_t)(value >> 32), 1);
    result(p, SECCOMP_RET_ALLOW);
    result(p, SECCOMP_RET_TRAP);
}

#define PERMIT(p, label, action, ...) \
    permit(p, label, action, (int)(sizeof((uint32_t[]){__VA_ARGS__}) / 4), (const uint32_t[]){__VA_ARGS__})

// What guest threads of systrap may still do, from the handler alone. The most frequent first.
static void permit_handler(struct program *p) {
    PERMIT(p, cplatform_stub_yield_return, SECCOMP_RET_ALLOW, SYS_sched_yield);
    PERMIT(p, cplatform_stub_wait_yield_return, SECCOMP_RET_ALLOW, SYS_sched_yield);
    permit_exact(p, cplatform_stub_wake_return, SYS_futex, 1, 1);
    permit_exact(p, cplatform_stub_sleep_return, SYS_futex, 1, 0);
    PERMIT(p, cplatform_stub_sigreturn_return, SECCOMP_RET_ALLOW, SYS_rt_sigreturn);
    PERMIT(p, cplatform_stub_turn_yield_return, SECCOMP_RET_ALLOW, SYS_sched_yield);
    // To unblock all signals: once this filter is there.
    permit_exact(p, cplatform_stub_unblock_return, SYS_rt_sigprocmask, 1, address_of(cplatform_stub_no_signals));
    PERMIT(p, cplatform_stub_exit_return, SECCOMP_RET_ALLOW, SYS_exit);
}

static void only_from_stub(struct program *p) {
    load(p, DATA_ADDRESS_HIGH);
    unless_trap(p, (uint32_t)(STUB_BASE >> 32));
}

// Of every thread of a stub.
static void build_stub_filter(struct program *p) {
    begin(p);
    only_from_stub(p);
    permit_handler(p);
    PERMIT(p, cplatform_stub_execute_return, SECCOMP_RET_ALLOW, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_close);
    PERMIT(p, cplatform_stub_wait_return, SECCOMP_RET_USER_NOTIF, SYS_pause);
    PERMIT(p, cplatform_stub_hello_return, SECCOMP_RET_USER_NOTIF, SYS_pause);
    PERMIT(p, cplatform_stub_clone_return, SECCOMP_RET_ALLOW, SYS_clone);
    PERMIT(p, cplatform_stub_altstack_return, SECCOMP_RET_ALLOW, SYS_sigaltstack);
    PERMIT(p, cplatform_stub_restrict_return, SECCOMP_RET_ALLOW, SYS_seccomp);
    PERMIT(p, cplatform_stub_close_listener_return, SECCOMP_RET_ALLOW, SYS_close);
    PERMIT(p, cplatform_stub_close_socket_return, SECCOMP_RET_ALLOW, SYS_close);
    permit_exact(p, cplatform_stub_send_return, SYS_sendmsg, 1, STUB_MESSAGE);
    result(p, SECCOMP_RET_TRAP);
}

// Of guest threads of systrap, before their first guest instruction.
static void build_guest_filter(struct program *p) {
    begin(p);
    only_from_stub(p);
    permit_handler(p);
    result(p, SECCOMP_RET_TRAP);
}

// Of the source, and so of all that comes from it: what it and they ever need, whatever the address.
static void build_source_filter(struct program *p) {
    static const uint32_t calls[] = {
        SYS_sched_yield, SYS_futex, SYS_rt_sigreturn, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_pause, SYS_close, SYS_recvfrom, SYS_sendmsg,
        SYS_seccomp, SYS_exit, SYS_exit_group, SYS_sigaltstack, SYS_rt_sigprocmask,
    };
    begin(p);
    load(p, DATA_NUMBER);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        when(p, calls[i], 1);
        result(p, SECCOMP_RET_ALLOW);
    }
    // No namespaces: CLONE_NEW*.
    when(p, SYS_clone, 4);
    load(p, DATA_ARGUMENTS);
    emit(p, BPF_JMP | BPF_JSET | BPF_K, 1, 0, CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET);
    result(p, SECCOMP_RET_ALLOW);
    result(p, SECCOMP_RET_TRAP);
    when(p, SYS_socketpair, 4);
    load(p, DATA_ARGUMENTS);
    when(p, 1 /* AF_UNIX */, 1);
    result(p, SECCOMP_RET_ALLOW);
    result(p, SECCOMP_RET_TRAP);
    when(p, SYS_prctl, 4);
    load(p, DATA_ARGUMENTS);
    when(p, 15 /* PR_SET_NAME */, 1);
    result(p, SECCOMP_RET_ALLOW);
    result(p, SECCOMP_RET_TRAP);
    result(p, SECCOMP_RET_TRAP);
}

// ---- the host's vDSO ----

struct vdso_part {
    int64_t offset;
    uint64_t length, address;
};

// Where the parts of this process's vDSO lie, as execve will lay them out in the source too: [vvar...], then [vdso]. 0, or -1 when there is none.
static int find_vdso_parts(struct vdso_part parts[STUB_HOST_VDSO_PARTS], uint64_t *moved_base) {
    uint64_t base = getauxval(AT_SYSINFO_EHDR), lowest = 0;
    size_t count = 0;
    FILE *maps = base ? fopen("/proc/self/maps", "re") : NULL;
    if (!maps) return -1;
    char line[512];
    int failed = 0;
    while (fgets(line, sizeof line, maps)) {
        if (!strstr(line, "[vdso]") && !strstr(line, "[vvar")) continue;
        unsigned long long start, end;
        if (sscanf(line, "%llx-%llx", &start, &end) != 2 || count == STUB_HOST_VDSO_PARTS) {
            failed = 1;
            break;
        }
        if (count == 0) lowest = start;
        parts[count++] = (struct vdso_part){(int64_t)(start - base), end - start, STUB_HOST_VDSO + (start - lowest)};
        if (end - lowest > STUB_HOST_VDSO_SIZE) failed = 1;
    }
    fclose(maps);
    if (failed || count == 0) return -1;
    *moved_base = STUB_HOST_VDSO + (base - lowest);
    return 0;
}

// The value of `name` in the dynamic symbols of the vDSO at `base`, or 0.
static uint64_t vdso_symbol(const uint8_t *base, const char *name) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *segment = (const Elf64_Phdr *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    uint64_t bias = 0;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segment[i].p_type == PT_LOAD && segment[i].p_offset == 0) bias = (uint64_t)base - segment[i].p_vaddr;
        if (segment[i].p_type == PT_DYNAMIC) dynamic = (const Elf64_Dyn *)(base + segment[i].p_offset);
    }
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_SYMTAB) symbols = (const Elf64_Sym *)(bias + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_STRTAB) strings = (const char *)(bias + dynamic->d_un.d_ptr);
    }
    // The string table follows the symbols in every vDSO.
    if (!symbols || (const char *)symbols >= strings) return 0;
    for (const Elf64_Sym *symbol = symbols; (const char *)(symbol + 1) <= strings; symbol++)
        if (symbol->st_shndx != SHN_UNDEF && strcmp(strings + symbol->st_name, name) == 0) return symbol->st_value;
    return 0;
}

// ---- the image ----

static int put_filter(uint8_t *image, size_t *end, int index, const struct program *p) {
    size_t header = offset_of(cplatform_stub_filters) + 16 * (size_t)index, size = p->count * sizeof p->code[0];
    if (p->count > sizeof p->code / sizeof p->code[0] || *end + size > STUB_CODE_SIZE) return -E2BIG;
    uint16_t length = (uint16_t)p->count;
    uint64_t pointer = STUB_BASE + *end;
    memcpy(image + header, &length, sizeof length);
    memcpy(image + header + 8, &pointer, sizeof pointer);
    memcpy(image + *end, p->code, size);
    *end += size;
    return 0;
}

// A static executable: the stub's code and, after it, the guest's vDSO.
static int build_image(uint8_t image[STUB_IMAGE_SIZE], int systrap) {
    size_t code_size = (size_t)(cplatform_stub_end - cplatform_stub_begin);
    size_t vdso_size = (size_t)(cplatform_vdso_end - cplatform_vdso_begin);
    memset(image, 0, STUB_IMAGE_SIZE);
    if (STUB_CODE_OFFSET + code_size > STUB_CODE_SIZE || vdso_size > STUB_VDSO_SIZE) return -E2BIG;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = STUB_BASE + STUB_CODE_OFFSET,
        .e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
    };
    Elf64_Phdr segments[2] = {
        {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = STUB_BASE, .p_filesz = STUB_IMAGE_SIZE, .p_memsz = STUB_IMAGE_SIZE, .p_align = 4096},
        {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16},
    };
    memcpy(image, &header, sizeof header);
    memcpy(image + sizeof header, segments, sizeof segments);
    memcpy(image + STUB_CODE_OFFSET, cplatform_stub_begin, code_size);
    uint64_t mode = systrap ? 1 : 0;
    memcpy(image + offset_of(cplatform_stub_mode), &mode, sizeof mode);

    struct program program;
    size_t end = (STUB_CODE_OFFSET + code_size + 7) & ~(size_t)7;
    int error = 0;
    build_stub_filter(&program);
    error |= put_filter(image, &end, 0, &program);
    build_guest_filter(&program);
    error |= put_filter(image, &end, 1, &program);
    build_source_filter(&program);
    error |= put_filter(image, &end, 2, &program);
    if (error) return -E2BIG;

    memcpy(image + STUB_CODE_SIZE, cplatform_vdso_begin, vdso_size);
    struct vdso_part parts[STUB_HOST_VDSO_PARTS + 1] = {{0}};
    uint64_t moved;
    if (find_vdso_parts(parts, &moved) == 0) {
        memcpy(image + offset_of(cplatform_stub_vdso_parts), parts, sizeof parts);
        const uint8_t *host = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
        static const char *const names[] = {"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_clock_getres"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            uint64_t value = vdso_symbol(host, names[i]);
            if (value) value += moved;
            memcpy(image + STUB_CODE_SIZE + (cplatform_vdso_slots - cplatform_vdso_begin) + 8 * i, &value, sizeof value);
        }
    }
    return 0;
}

struct child_arguments {
    int command_socket, ring_file, slot_file, image;
    int flags;
    int error, missing;
};

#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

// An empty directory as root: a tmpfs of its own, attached nowhere.
static int enter_empty_root(void) {
    int context = (int)syscall(SYS_fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */);
    if (context < 0) return -errno;
    int result = 0, root = -1;
    if (syscall(SYS_fsconfig, context, 1 /* FSCONFIG_SET_STRING */, "size", "4096", 0) != 0 ||
        syscall(SYS_fsconfig, context, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) != 0 ||
        (root = (int)syscall(SYS_fsmount, context, 1 /* FSMOUNT_CLOEXEC */, 0x0f /* ro, nosuid, nodev, noexec */)) < 0 || fchdir(root) != 0 ||
        chroot(".") != 0)
        result = -errno;
    close(context);
    if (root >= 0) close(root);
    return result;
}

// Runs in the child, on memory borrowed from the parent, which waits (CLONE_VM | CLONE_VFORK).
static int source_child(void *context) {
    struct child_arguments *arguments = context;
    if ((arguments->flags & CLONE_NEWNS) == 0 || enter_empty_root() != 0) arguments->missing |= CPLATFORM_MISSING_EMPTY_ROOT;
    // Not a session of its own: the host may schedule each session as a group (autogroup), and the two sides take turns.
    setpgid(0, 0);
    personality(ADDR_NO_RANDOMIZE);  // the kernel's stack stays clear of the image
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++) {}
    int socket = fcntl(arguments->command_socket, F_DUPFD, 10), ring = fcntl(arguments->ring_file, F_DUPFD, 10),
        slots = fcntl(arguments->slot_file, F_DUPFD, 10), image = fcntl(arguments->image, F_DUPFD, 10);
    if (socket < 0 || ring < 0 || slots < 0 || image < 0 || dup2(socket, STUB_COMMAND_SOCKET) < 0 || dup2(ring, STUB_RING_FILE) < 0 ||
        dup2(slots, STUB_SLOT_FILE) < 0 || dup3(image, 3, O_CLOEXEC) < 0 || syscall(SYS_close_range, 4, ~0U, 0) != 0) {
        arguments->error = errno;
        _exit(1);
    }
    char *argv[] = {"nestbox-source", NULL}, *envp[] = {NULL};
    syscall(SYS_execveat, 3, "", argv, envp, AT_EMPTY_PATH);
    arguments->error = errno;
    _exit(1);
}

int cplatform_source_start(int command_socket, int ring_file, int slot_file, int flags, int *missing) {
    int new_network = flags & CPLATFORM_SOURCE_NEW_NETWORK;
    uint8_t image[STUB_IMAGE_SIZE];
    int result = build_image(image, flags & CPLATFORM_SOURCE_SYSTRAP);
    if (result < 0) return result;
    int file = memfd_create("nestbox-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (file < 0 && errno == EINVAL) file = memfd_create("nestbox-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -errno;
    if (write(file, image, sizeof image) != (ssize_t)sizeof image || fchmod(file, 0555) != 0 ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        result = -errno;
        close(file);
        return result;
    }
    size_t stack_size = 64 << 10;
    uint8_t *stack = mmap(NULL, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        close(file);
        return -ENOMEM;
    }
    struct child_arguments arguments = {.command_socket = command_socket, .ring_file = ring_file, .slot_file = slot_file, .image = file};
    int namespaces = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | (new_network ? CLONE_NEWNET : 0);
    arguments.flags = namespaces;
    // Signals of the caller must not run its handlers on the borrowed memory.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    int pid = clone(source_child, stack + stack_size, CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | namespaces | SIGCHLD, &arguments);
    if (pid < 0 && (errno == EPERM || errno == ENOSPC || errno == EINVAL || errno == EUSERS)) {
        arguments.missing |= CPLATFORM_MISSING_USER_NAMESPACE;
        pid = clone(source_child, stack + stack_size, CLONE_VM | CLONE_VFORK | namespaces | SIGCHLD, &arguments);
    }
    result = pid < 0 ? -errno : pid;
    sigprocmask(SIG_SETMASK, &before, NULL);
    munmap(stack, stack_size);
    close(file);
    if (pid > 0 && arguments.error != 0) {
        waitpid(pid, NULL, __WALL);
        return -arguments.error;
    }
    *missing = arguments.missing;
    return result;
}

int cplatform_shared_create(const char *name, size_t size, int read_only, void **mapping) {
    int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -errno;
    if (ftruncate(file, (off_t)size) == 0) {
        *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
        int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | (read_only ? F_SEAL_FUTURE_WRITE : 0);
        if (*mapping != MAP_FAILED && fcntl(file, F_ADD_SEALS, seals) == 0) return file;
    }
    int error = errno;
    close(file);
    return -error;
}
