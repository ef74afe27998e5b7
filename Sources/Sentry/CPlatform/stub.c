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
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern const uint8_t cplatform_stub_begin[], cplatform_stub_end[], cplatform_stub_filter[];
extern const uint8_t cplatform_stub_send_return[], cplatform_stub_wait_return[], cplatform_stub_execute_return[], cplatform_stub_clone_return[],
    cplatform_stub_hello_return[], cplatform_stub_thread_exit[], cplatform_stub_exit_return[];

#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static uint64_t address_of(const uint8_t *label) { return STUB_BASE + STUB_CODE_OFFSET + (uint64_t)(label - cplatform_stub_begin); }

uint64_t cplatform_stub_base(void) { return STUB_BASE; }
uint64_t cplatform_stub_scratch(void) { return STUB_SCRATCH; }
uint64_t cplatform_stub_thread_exit_address(void) { return address_of(cplatform_stub_thread_exit); }
uint64_t cplatform_stub_wait_address(void) { return address_of(cplatform_stub_wait_return); }
uint64_t cplatform_stub_hello_address(void) { return address_of(cplatform_stub_hello_return); }
uint64_t cplatform_stub_execute_address(void) { return address_of(cplatform_stub_execute_return); }
uint64_t cplatform_stub_clone_address(void) { return address_of(cplatform_stub_clone_return); }
uint64_t cplatform_stub_exit_address(void) { return address_of(cplatform_stub_exit_return); }
uint64_t cplatform_stub_send_address(void) { return address_of(cplatform_stub_send_return); }
uint64_t cplatform_stub_ring(void) { return STUB_RING; }
size_t cplatform_ring_size(void) { return STUB_RING_SIZE; }
size_t cplatform_ring_entries(void) { return STUB_RING_ENTRIES; }

// The filter, in order of frequency. Guest threads never get here while they are traced (PTRACE_SYSEMU answers first): this is the second wall.
// Which address may call what:
//   execute: mmap, munmap, mprotect, close     wait, hello: pause, notified     clone: clone     exit: exit
//   send: sendmsg(STUB_PAIR_CHILD, STUB_MESSAGE), whose memory and descriptor are gone before guest code exists
// Anything else, from anywhere, of any architecture: SIGSYS.
static size_t build_filter(struct sock_filter *out) {
    const uint32_t high = (uint32_t)(STUB_BASE >> 32);
#define LOW(label) (uint32_t)address_of(label)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
    // Jump distances count from the next instruction; `allow` and `trap` are the last two.
    enum { allow = 34, trap = 35 };
    const struct sock_filter program[] = {
        /* 0*/ LOAD(4),
        /* 1*/ EQUAL(AUDIT_ARCH_X86_64, 0, trap - 2),
        /* 2*/ LOAD(12),
        /* 3*/ EQUAL(high, 0, trap - 4),
        /* 4*/ LOAD(8),
        /* 5*/ EQUAL(LOW(cplatform_stub_execute_return), 11 - 6, 0),
        /* 6*/ EQUAL(LOW(cplatform_stub_wait_return), 17 - 7, 0),
        /* 7*/ EQUAL(LOW(cplatform_stub_hello_return), 17 - 8, 0),
        /* 8*/ EQUAL(LOW(cplatform_stub_clone_return), 20 - 9, 0),
        /* 9*/ EQUAL(LOW(cplatform_stub_exit_return), 23 - 10, 0),
        /*10*/ EQUAL(LOW(cplatform_stub_send_return), 26 - 11, trap - 11),
        // execute
        /*11*/ LOAD(0),
        /*12*/ EQUAL(SYS_mmap, allow - 13, 0),
        /*13*/ EQUAL(SYS_munmap, allow - 14, 0),
        /*14*/ EQUAL(SYS_mprotect, allow - 15, 0),
        /*15*/ EQUAL(SYS_close, allow - 16, trap - 16),
        /*16*/ RETURN(SECCOMP_RET_TRAP),
        // wait, hello
        /*17*/ LOAD(0),
        /*18*/ EQUAL(SYS_pause, 0, trap - 19),
        /*19*/ RETURN(SECCOMP_RET_USER_NOTIF),
        // clone
        /*20*/ LOAD(0),
        /*21*/ EQUAL(SYS_clone, allow - 22, trap - 22),
        /*22*/ RETURN(SECCOMP_RET_TRAP),
        // exit
        /*23*/ LOAD(0),
        /*24*/ EQUAL(SYS_exit, allow - 25, trap - 25),
        /*25*/ RETURN(SECCOMP_RET_TRAP),
        // send
        /*26*/ LOAD(0),
        /*27*/ EQUAL(SYS_sendmsg, 0, trap - 28),
        /*28*/ LOAD(16),
        /*29*/ EQUAL(STUB_PAIR_CHILD, 0, trap - 30),
        /*30*/ LOAD(24),
        /*31*/ EQUAL((uint32_t)STUB_MESSAGE, 0, trap - 32),
        /*32*/ LOAD(28),
        /*33*/ EQUAL((uint32_t)(STUB_MESSAGE >> 32), 0, trap - 34),
        /*34*/ RETURN(SECCOMP_RET_ALLOW),
        /*35*/ RETURN(SECCOMP_RET_TRAP),
    };
#undef LOW
    memcpy(out, program, sizeof program);
    return sizeof program / sizeof program[0];
}

// A static executable of one page.
static int build_image(uint8_t image[STUB_IMAGE_SIZE]) {
    size_t code_size = (size_t)(cplatform_stub_end - cplatform_stub_begin);
    memset(image, 0, STUB_IMAGE_SIZE);
    if (STUB_CODE_OFFSET + code_size > STUB_IMAGE_SIZE - 512) return -E2BIG;
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
    size_t filter_offset = STUB_CODE_OFFSET + (size_t)(cplatform_stub_filter - cplatform_stub_begin);
    struct sock_filter filter[64];
    size_t count = build_filter(filter);
    uint16_t length = (uint16_t)count;
    uint64_t pointer = STUB_BASE + filter_offset + 16;
    memcpy(image + filter_offset, &length, sizeof length);
    memcpy(image + filter_offset + 8, &pointer, sizeof pointer);
    memcpy(image + filter_offset + 16, filter, count * sizeof filter[0]);
    return 0;
}

struct child_arguments {
    int command_socket, ring_file, image;
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
    setsid();
    personality(ADDR_NO_RANDOMIZE);  // the kernel's stack stays clear of STUB_BASE
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    int socket = fcntl(arguments->command_socket, F_DUPFD, 10), ring = fcntl(arguments->ring_file, F_DUPFD, 10),
        image = fcntl(arguments->image, F_DUPFD, 10);
    if (socket < 0 || ring < 0 || image < 0 || dup2(socket, STUB_COMMAND_SOCKET) < 0 || dup2(ring, STUB_RING_FILE) < 0 ||
        dup3(image, 2, O_CLOEXEC) < 0 || syscall(SYS_close_range, 3, ~0U, 0) != 0) {
        arguments->error = errno;
        _exit(1);
    }
    char *argv[] = {"nestbox-source", NULL}, *envp[] = {NULL};
    syscall(SYS_execveat, 2, "", argv, envp, AT_EMPTY_PATH);
    arguments->error = errno;
    _exit(1);
}

int cplatform_source_start(int command_socket, int ring_file, int new_network, int *missing) {
    uint8_t image[STUB_IMAGE_SIZE];
    int result = build_image(image);
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
    struct child_arguments arguments = {.command_socket = command_socket, .ring_file = ring_file, .image = file};
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

int cplatform_ring_create(size_t size, void **mapping) {
    int file = memfd_create("nestbox-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -errno;
    if (ftruncate(file, (off_t)size) == 0) {
        *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
        if (*mapping != MAP_FAILED && fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) == 0) return file;
    }
    int error = errno;
    close(file);
    return -error;
}
