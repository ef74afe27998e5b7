// The C half of the platforms: the stub program, ptrace, seccomp notifications, and fault-safe access to memory.
// Results are a value or -errno unless said otherwise.
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <stddef.h>
#include <stdint.h>

// ---- stub.c: the source process ----

// First address above guest memory.
uint64_t cplatform_stub_base(void);
uint64_t cplatform_stub_scratch(void);
uint64_t cplatform_stub_thread_exit_address(void);
uint64_t cplatform_stub_wait_address(void);
uint64_t cplatform_stub_hello_address(void);
uint64_t cplatform_stub_execute_address(void);
uint64_t cplatform_stub_clone_address(void);
uint64_t cplatform_stub_exit_address(void);
uint64_t cplatform_stub_send_address(void);
uint64_t cplatform_stub_ring(void);
size_t cplatform_ring_size(void);
size_t cplatform_ring_entries(void);

// What the source stub could not be given (bits of `missing`).
enum {
    CPLATFORM_MISSING_USER_NAMESPACE = 1,
    CPLATFORM_MISSING_EMPTY_ROOT = 2,
};

// Starts the source stub: its pid, or -errno. `command_socket` and `ring_file` are the stub's only descriptors. Flags: `new_network` makes an
// empty network namespace (else the caller's is inherited).
int cplatform_source_start(int command_socket, int ring_file, int new_network, int *missing);

// A memfd of `size` bytes with its shared mapping, sealed so that nobody can map it writable again: descriptor or -errno.
int cplatform_ring_create(size_t size, void **mapping);

// ---- ptrace.c ----

enum {
    CPLATFORM_STOP_SYSCALL,      // system call; registers stored
    CPLATFORM_STOP_SIGNAL,       // signal, code, address set; registers stored
    CPLATFORM_STOP_INTERRUPT,    // the interrupt signal or a PTRACE_INTERRUPT stop; registers stored
    CPLATFORM_STOP_GROUP,        // stopped by an outside SIGSTOP
    CPLATFORM_STOP_EXITED,       // code = exit status
    CPLATFORM_STOP_KILLED,       // signal = deadly signal
    CPLATFORM_STOP_ERROR,        // code = errno
};

struct cplatform_stop {
    int32_t kind, signal, code, syscall_number;
    uint64_t address;
    int32_t sender;              // si_pid of SI_USER signals
};

// The signal that interrupts a stub thread; ignored by default, so one that comes too late does no harm.
#define CPLATFORM_INTERRUPT_SIGNAL 23

// Attaches to the new stub thread `tid` and asks for a stop (PTRACE_SEIZE, PTRACE_INTERRUPT).
int cplatform_attach(int tid);
// Waits for the stop asked for and unblocks all signals.
int cplatform_attach_finish(int tid);
// Loads `registers` (struct user_regs_struct), runs `tid` until it stops (PTRACE_SYSEMU), stores the registers.
void cplatform_resume(int tid, void *registers, struct cplatform_stop *stop);
// The same with PTRACE_CONT: system calls reach the host, that is, the stub's filter. For tests of that filter.
void cplatform_resume_plain(int tid, void *registers, struct cplatform_stop *stop);
// Waits without resuming first (after CPLATFORM_STOP_GROUP).
void cplatform_continue_waiting(int tid, void *registers, struct cplatform_stop *stop);
// Sends `tid` to the stub's exit instruction and lets go of it.
int cplatform_detach_exit(int tid);
// Waits until the killed `tid` is gone. Returns 0.
int cplatform_reap(int tid);
long cplatform_get_xstate(int tid, void *buffer, size_t size);
long cplatform_set_xstate(int tid, const void *buffer, size_t size);
int cplatform_interrupt(int process, int tid);
// SIGCHLD does not report stops, so that the kernel need not send it.
void cplatform_quiet_children(void);

// ---- notify.c ----

struct cplatform_notification {
    uint64_t id;
    uint64_t instruction_pointer;
    uint64_t arguments[3];
    int32_t tid;
};

// -EAGAIN when nothing came within the time, -ESRCH when nobody is left who could send.
int cplatform_notify_receive(int listener, int milliseconds, struct cplatform_notification *notification);
int cplatform_notify_send(int listener, uint64_t id, int64_t value);
// Puts `descriptor` into the stub as `number`.
int cplatform_notify_add(int listener, uint64_t id, int descriptor, int number);
void cplatform_notify_set_synchronous(int listener);
int cplatform_kill(int pidfd, int signal);
// One CPU for `tid` (0: the calling thread).
int cplatform_pin(int tid, int cpu);
// CPUs the calling thread may run on, lowest first: count or -errno.
int cplatform_allowed_cpus(int *cpus, int capacity);
int cplatform_current_cpu(void);
int cplatform_thread_id(void);

// ---- access.S, access.c: memory that may fault ----

// Installs the SIGSEGV and SIGBUS handlers that make the functions below return instead of dying. Idempotent.
void cplatform_access_install(void);

// Addresses travel as integers: they point into mappings whose memory may be refused at any time.

// Copies; the number of bytes not copied (0: all done).
size_t cplatform_copy(uintptr_t destination, uintptr_t source, size_t count);
// Zeroes; the number of bytes not zeroed.
size_t cplatform_zero(uintptr_t destination, size_t count);
// Copies up to a NUL byte, which is copied too; the number of bytes not copied. `*found` is set when there was one.
size_t cplatform_copy_string(uintptr_t destination, uintptr_t source, size_t count, int *found);
// Atomic operations on an aligned 32-bit word: 0, or -1 on a fault.
int cplatform_load32(uintptr_t address, uint32_t *value);
int cplatform_exchange32(uintptr_t address, uint32_t operand, uint32_t *old);
int cplatform_add32(uintptr_t address, uint32_t operand, uint32_t *old);
// Stores `desired` when the word is `*expected`; `*expected` is the word found.
int cplatform_compare_exchange32(uintptr_t address, uint32_t *expected, uint32_t desired);

#endif
