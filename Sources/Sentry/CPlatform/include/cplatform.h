// The C half of the platforms: the stub program, ptrace, seccomp notifications, and fault-safe access to memory.
// Results are a value or -errno unless said otherwise.
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include "../stub_layout.h"

#include <stddef.h>
#include <stdint.h>

// ---- stub.c: the source process ----

// First address above guest memory.
uint64_t cplatform_stub_base(void);
uint64_t cplatform_stub_scratch(void);
uint64_t cplatform_stub_thread_exit_address(void);
uint64_t cplatform_stub_wait_address(void);
uint64_t cplatform_stub_hello_address(void);
uint64_t cplatform_stub_ring(void);
// Where trampolines trap: in the end, and at first where the call is not known beforehand.
uint64_t cplatform_stub_trap_address(void);
uint64_t cplatform_stub_trap_any_address(void);
// Where trampolines enter the stub; from where on their turn is given; the end of that code.
uint64_t cplatform_stub_entry_address(void);
uint64_t cplatform_stub_given_address(void);
// For tests: the instruction that unblocks a new guest thread's signals, and the set that it may name.
uint64_t cplatform_stub_unblock_address(void);
uint64_t cplatform_stub_no_signals_address(void);
uint64_t cplatform_stub_entry_end_address(void);
// Where trampolines enter the stub whose call is not known beforehand; the code from there up to the entry. The number of the call that a thread makes
// which stands at `place` in it with `number` in RAX.
uint64_t cplatform_stub_entry_any_address(void);
uint64_t cplatform_stub_call_at(uint64_t place, uint64_t number);
// Where trampolines of sched_yield(2) enter; that code ends where cplatform_stub_entry_any_address begins.
uint64_t cplatform_stub_yield_address(void);
size_t cplatform_ring_size(void);
size_t cplatform_ring_entries(void);
size_t cplatform_slot_size(void);
// Offset of the signal stack in a slot.
size_t cplatform_slot_stack(void);
size_t cplatform_chunk_slots(void);
uint64_t cplatform_stub_slots(void);
// The guest's vDSO.
uint64_t cplatform_stub_vdso(void);
// First address above the stub's code.
uint64_t cplatform_stub_code_end(void);
// The addresses of the stub's permitted `syscall` instructions: how many there are; stores at most `capacity`. For tests.
int cplatform_instructions(uint64_t *addresses, int capacity);

// What the source stub could not be given (bits of `missing`).
enum {
    CPLATFORM_MISSING_USER_NAMESPACE = 1,
    CPLATFORM_MISSING_EMPTY_ROOT = 2,
};

enum {
    CPLATFORM_SOURCE_NEW_NETWORK = 1,  // an empty network namespace; else the caller's is inherited
    CPLATFORM_SOURCE_SYSTRAP = 2,      // guest threads take signals themselves
};

// Starts the source stub: its pid, or -errno. The three files are its only descriptors.
int cplatform_source_start(int command_socket, int ring_file, int slot_file, int flags, int *missing);

// A memfd of `size` bytes with its shared mapping: descriptor or -errno. `read_only`: sealed so that nobody can map it writable again.
int cplatform_shared_create(const char *name, size_t size, int read_only, void **mapping);

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

// ---- systrap.c: a guest thread's slot ----

enum {
    CPLATFORM_SLOT_READY,     // the Sentry's turn: there is an event
    CPLATFORM_SLOT_GONE,      // the thread has ended
    CPLATFORM_SLOT_AGAIN,     // woken for another reason
    CPLATFORM_SLOT_TIMEOUT,
    CPLATFORM_SLOT_NONSENSE,  // a guest thread wrote the word
};

struct cplatform_slot_event {
    uint64_t address;         // si_addr, or the address behind the call for SIGSYS
    int32_t signal, code;
    int32_t number;           // si_syscall for SIGSYS
    uint32_t frame;           // offset of the ucontext in the slot, checked
    uint32_t architecture;    // AUDIT_ARCH_* for SIGSYS
    uint32_t error;           // the page fault's error code: 2 write, 16 instruction fetch
    int32_t is_page_fault;
    int32_t has_frame;        // 0: a call that came through a trampoline; only `target` and `sequence` are set besides
    uint32_t sequence;        // counts such calls
    uint64_t target;          // where to go on after such a call, if the guest's registers do not say otherwise
    uint64_t resume;          // with a frame: where a thread goes on that was in sched_yield(2)
};

// Whether the processor and the host let user code change FS and GS (FSGSBASE).
int cplatform_systrap_supported(void);
// The processor's time-stamp counter.
uint64_t cplatform_timestamp(void);
// A slot for a new thread, whose turn it is.
void cplatform_slot_prepare(void *slot);
int cplatform_slot_is_gone(void *slot);
// What the stub may answer without the Sentry: ANSWER_COUNT words, as they are in the slot, or NULL for nothing. Any thread.
void cplatform_slot_set_answers(void *slot, const uint64_t *answers);
// Gives the turn to the stub thread, which then does `action`. It looks `spins` times for its next turn, then lets others run
// up to `yields` times, before it sleeps.
// -ESRCH: the thread had ended before.
int cplatform_slot_give(void *slot, int action, uint32_t spins, uint32_t yields);
// The next turn will be long in coming.
void cplatform_slot_stop_spinning(void *slot);
// The thread is known to be dead: whoever waits for it learns that.
void cplatform_slot_bury(void *slot);
// Wakes whoever waits, to look around.
void cplatform_slot_nudge(void *slot);
// Waits for the Sentry's turn: looks for `spin_cycles` of the time-stamp counter, then sleeps for `microseconds` (negative: no limit).
int cplatform_slot_wait(void *slot, uint64_t spin_cycles, int64_t microseconds);
// How it stands without waiting.
int cplatform_slot_look(void *slot);
// Whether the turn was given by a call that came through a trampoline.
int cplatform_slot_is_call(void *slot);
enum { CPLATFORM_MANY = 120 };
// Whether the host has futex_waitv(2), since Linux 5.16, and permits it.
int cplatform_can_wait_for_many(void);
// Sleeps until something happens in one of up to CPLATFORM_MANY slots, or the private futex word `own` is not `value` any more. Of those marked in `are_waiting` it is
// the Sentry's turn already, and only the end of the stub counts. May return for no reason. -ETIMEDOUT after `microseconds` (negative: no limit), else 0.
int cplatform_wait_for_many(const void *own, uint32_t value, void *const *slots, const uint8_t *are_waiting, int count, int64_t microseconds);
// Takes registers (struct user_regs_struct) and event out of the slot, which the stub knows as `stub_address`: 0, or -EPROTO for nonsense.
int cplatform_slot_load(void *slot, uint64_t stub_address, void *registers, struct cplatform_slot_event *event);
// The same from the words of a call that came through a trampoline, whatever SLOT_SIGNAL says.
void cplatform_slot_load_call(void *slot, void *registers, struct cplatform_slot_event *event);
void cplatform_slot_store(void *slot, uint64_t stub_address, uint32_t frame, const void *registers);
// For a thread without frame: it goes on at `target`.
void cplatform_slot_store_call(void *slot, const void *registers, uint64_t target);
// Whether the process ends within the time.
int cplatform_process_has_ended(int pidfd, int milliseconds);
// The XSAVE image: bytes copied, -EPROTO for a nonsensical frame, -EINVAL for an image that the processor would refuse.
long cplatform_slot_get_xstate(void *slot, uint32_t frame, void *buffer, size_t capacity);
long cplatform_slot_set_xstate(void *slot, uint32_t frame, const void *buffer, size_t count);
// The same for the image that a thread without frame saves and loads, whose size this is: 0 when it does not fit, or is not known in full.
size_t cplatform_state_size(void);
size_t cplatform_state_offset(void);
long cplatform_slot_get_state(void *slot, size_t size, void *buffer, size_t capacity);
long cplatform_slot_set_state(void *slot, size_t size, const void *buffer, size_t count);
// Into the frame that the thread has meanwhile.
long cplatform_slot_move_state(void *slot, size_t size, uint32_t frame);

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
// Whether the thread of notification `id` waits still.
int cplatform_notify_is_waiting(int listener, uint64_t id);
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
