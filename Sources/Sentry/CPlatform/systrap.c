// The Sentry's side of a guest thread's slot. Everything read from one is hostile: it is copied once and checked before use. Raw system calls: no
// errno, no cancellation points on the hot path.
#define _GNU_SOURCE
#include "cplatform.h"
#include "stub_layout.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <time.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

// struct sigcontext of arch/x86/include/uapi/asm/sigcontext.h.
struct sigcontext_words {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};

// struct ucontext of the kernel.
struct ucontext_words {
    uint64_t flags, link, stack[3];
    struct sigcontext_words context;
    uint64_t mask;
};

static inline long call6(long number, long a, long b, long c, long d) {
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

static inline uint32_t *word(void *slot, size_t offset) { return (uint32_t *)((uint8_t *)slot + offset); }
static inline uint64_t read64(void *slot, size_t offset) { return __atomic_load_n((uint64_t *)((uint8_t *)slot + offset), __ATOMIC_RELAXED); }

int cplatform_systrap_supported(void) { return (getauxval(AT_HWCAP2) & 2) != 0; }

uint64_t cplatform_timestamp(void) { return __builtin_ia32_rdtsc(); }

void cplatform_slot_prepare(void *slot) {
    memset(slot, 0, SLOT_STACK);
    __atomic_store_n(word(slot, SLOT_TURN), TURN_STUB, __ATOMIC_RELEASE);
}

void cplatform_slot_set_answers(void *slot, const uint64_t *answers) {
    for (int i = 0; i < ANSWER_COUNT; i++)
        __atomic_store_n((uint64_t *)((uint8_t *)slot + SLOT_ANSWERS + 8 * i), answers ? answers[i] : 0, __ATOMIC_RELAXED);
}

int cplatform_slot_is_gone(void *slot) { return __atomic_load_n(word(slot, SLOT_TURN), __ATOMIC_ACQUIRE) == TURN_GONE; }

int cplatform_slot_give(void *slot, int action, uint32_t spins, uint32_t yields) {
    __atomic_store_n(word(slot, SLOT_ACTION), (uint32_t)action, __ATOMIC_RELAXED);
    __atomic_store_n(word(slot, SLOT_SPIN), spins, __ATOMIC_RELAXED);
    __atomic_store_n(word(slot, SLOT_YIELDS), yields, __ATOMIC_RELAXED);
    uint32_t before = __atomic_exchange_n(word(slot, SLOT_TURN), TURN_STUB, __ATOMIC_ACQ_REL);
    if (before & TURN_WAITER) call6(SYS_futex, (long)slot, FUTEX_WAKE, 1, 0);
    return before == TURN_GONE ? -ESRCH : 0;
}

void cplatform_slot_stop_spinning(void *slot) {
    __atomic_store_n(word(slot, SLOT_SPIN), 0, __ATOMIC_RELAXED);
    __atomic_store_n(word(slot, SLOT_YIELDS), 0, __ATOMIC_RELAXED);
}

void cplatform_slot_bury(void *slot) {
    __atomic_store_n(word(slot, SLOT_TURN), TURN_GONE, __ATOMIC_RELEASE);
    call6(SYS_futex, (long)slot, FUTEX_WAKE, 1, 0);
}

void cplatform_slot_nudge(void *slot) { call6(SYS_futex, (long)slot, FUTEX_WAKE, 1, 0); }

static int look(uint32_t turn) {
    switch (turn) {
    case TURN_SENTRY:
    case TURN_SENTRY | TURN_WAITER: return CPLATFORM_SLOT_READY;
    case TURN_GONE: return CPLATFORM_SLOT_GONE;
    case TURN_STUB:
    case TURN_STUB | TURN_WAITER: return CPLATFORM_SLOT_AGAIN;
    default: return CPLATFORM_SLOT_NONSENSE;
    }
}

int cplatform_slot_wait(void *slot, uint64_t spin_cycles, int64_t microseconds) {
    uint32_t *turn = word(slot, SLOT_TURN);
    uint32_t seen = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
    int state = look(seen);
    if (state == CPLATFORM_SLOT_AGAIN && spin_cycles != 0) {
        uint64_t start = __builtin_ia32_rdtsc();
        do {
            __builtin_ia32_pause();
            seen = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
            state = look(seen);
        } while (state == CPLATFORM_SLOT_AGAIN && __builtin_ia32_rdtsc() - start < spin_cycles);
    }
    if (state != CPLATFORM_SLOT_AGAIN) return state;
    uint32_t expected = TURN_STUB;
    if (!__atomic_compare_exchange_n(turn, &expected, TURN_STUB | TURN_WAITER, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        state = look(expected);
        if (state != CPLATFORM_SLOT_AGAIN) return state;
    }
    struct timespec limit = {microseconds / 1000000, microseconds % 1000000 * 1000};
    long result = call6(SYS_futex, (long)turn, FUTEX_WAIT, TURN_STUB | TURN_WAITER, microseconds < 0 ? 0 : (long)&limit);
    state = look(__atomic_load_n(turn, __ATOMIC_ACQUIRE));
    return state == CPLATFORM_SLOT_AGAIN && result == -ETIMEDOUT ? CPLATFORM_SLOT_TIMEOUT : state;
}

int cplatform_slot_look(void *slot) { return look(__atomic_load_n(word(slot, SLOT_TURN), __ATOMIC_ACQUIRE)); }

int cplatform_slot_is_call(void *slot) { return (int32_t)__atomic_load_n(word(slot, SLOT_SIGNAL), __ATOMIC_RELAXED) == SIGNAL_NONE; }

// struct futex_waitv of Linux 5.16.
struct wait_word {
    uint64_t value, address;
    uint32_t flags, reserved;
};

int cplatform_can_wait_for_many(void) { return call6(SYS_futex_waitv, 0, 0, 0, 0) == -EINVAL; }

int cplatform_wait_for_many(const void *own, uint32_t value, void *const *slots, const uint8_t *are_waiting, int count, int64_t microseconds) {
    struct wait_word words[CPLATFORM_MANY + 1];
    if (count > CPLATFORM_MANY) return 0;
    words[0] = (struct wait_word){value, (uint64_t)own, 2 /* FUTEX_32 */ | FUTEX_PRIVATE_FLAG, 0};
    int marked = 0;
    for (; marked < count; marked++) {
        uint32_t *turn = word(slots[marked], SLOT_TURN), seen = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
        int state = look(seen);
        if (state != (are_waiting[marked] ? CPLATFORM_SLOT_READY : CPLATFORM_SLOT_AGAIN)) break;
        if (state == CPLATFORM_SLOT_AGAIN && seen == TURN_STUB) {
            if (!__atomic_compare_exchange_n(turn, &seen, TURN_STUB | TURN_WAITER, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) break;
            seen = TURN_STUB | TURN_WAITER;
        }
        words[marked + 1] = (struct wait_word){seen, (uint64_t)turn, 2, 0};
    }
    long result = 0;
    if (marked == count) {
        struct timespec limit;
        if (microseconds >= 0) {
            clock_gettime(CLOCK_MONOTONIC, &limit);
            limit.tv_sec += microseconds / 1000000, limit.tv_nsec += microseconds % 1000000 * 1000;
            if (limit.tv_nsec >= 1000000000) limit.tv_sec++, limit.tv_nsec -= 1000000000;
        }
        register long r10 __asm__("r10") = microseconds >= 0 ? (long)&limit : 0;
        register long r8 __asm__("r8") = CLOCK_MONOTONIC;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"((long)SYS_futex_waitv), "D"(words), "S"((long)count + 1), "d"(0L), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
    }
    // Nobody needs to wake who does not sleep.
    for (int i = 0; i < marked; i++) {
        uint32_t expected = TURN_STUB | TURN_WAITER;
        if (!are_waiting[i]) __atomic_compare_exchange_n(word(slots[i], SLOT_TURN), &expected, TURN_STUB, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    return result == -ETIMEDOUT ? -ETIMEDOUT : 0;
}

void cplatform_slot_load_call(void *slot, void *registers, struct cplatform_slot_event *event) {
    uint64_t w[18];
    memcpy(w, (uint8_t *)slot + SLOT_RAX, sizeof w);
#define WORD(offset) w[((offset) - SLOT_RAX) / 8]
    struct user_regs_struct *r = registers;
    event->has_frame = 0;
    event->sequence = __atomic_load_n(word(slot, SLOT_SEQUENCE), __ATOMIC_RELAXED);
    event->target = WORD(SLOT_R11);
    r->r15 = WORD(SLOT_R15), r->r14 = WORD(SLOT_R14), r->r13 = WORD(SLOT_R13), r->r12 = WORD(SLOT_R12), r->rbp = WORD(SLOT_RBP);
    r->rbx = WORD(SLOT_RBX), r->r10 = WORD(SLOT_R10), r->r9 = WORD(SLOT_R9), r->r8 = WORD(SLOT_R8), r->rax = WORD(SLOT_RAX);
    r->rdx = WORD(SLOT_RDX), r->rsi = WORD(SLOT_RSI), r->rdi = WORD(SLOT_RDI), r->rsp = WORD(SLOT_RSP), r->rip = WORD(SLOT_RCX);
    r->eflags = WORD(SLOT_FLAGS);
    r->rcx = r->rip, r->r11 = r->eflags;  // as the instruction leaves them
    r->orig_rax = (uint64_t)-1, r->cs = 0x33, r->ss = 0x2b, r->ds = 0, r->es = 0, r->fs = 0, r->gs = 0;
    r->fs_base = read64(slot, SLOT_FS_BASE), r->gs_base = 0;
}

void cplatform_slot_store_call(void *slot, const void *registers, uint64_t target) {
    const struct user_regs_struct *r = registers;
    uint64_t w[18];
    WORD(SLOT_R15) = r->r15, WORD(SLOT_R14) = r->r14, WORD(SLOT_R13) = r->r13, WORD(SLOT_R12) = r->r12, WORD(SLOT_RBP) = r->rbp;
    WORD(SLOT_RBX) = r->rbx, WORD(SLOT_R11) = r->r11, WORD(SLOT_R10) = r->r10, WORD(SLOT_R9) = r->r9, WORD(SLOT_R8) = r->r8;
    WORD(SLOT_RAX) = r->rax, WORD(SLOT_RCX) = r->rcx, WORD(SLOT_RDX) = r->rdx, WORD(SLOT_RSI) = r->rsi, WORD(SLOT_RDI) = r->rdi;
    WORD(SLOT_RSP) = r->rsp, WORD(SLOT_FLAGS) = r->eflags, WORD(SLOT_TARGET) = target;
    memcpy((uint8_t *)slot + SLOT_RAX, w, sizeof w);
    *(volatile uint64_t *)((uint8_t *)slot + SLOT_FS_BASE) = r->fs_base;
}

int cplatform_slot_load(void *slot, uint64_t stub_address, void *registers, struct cplatform_slot_event *event) {
    event->signal = (int32_t)__atomic_load_n(word(slot, SLOT_SIGNAL), __ATOMIC_RELAXED);
    if (event->signal == SIGNAL_NONE) {
        cplatform_slot_load_call(slot, registers, event);
        return 0;
    }
    event->has_frame = 1;
    event->sequence = __atomic_load_n(word(slot, SLOT_SEQUENCE), __ATOMIC_RELAXED);
    uint64_t frame = read64(slot, SLOT_FRAME) - stub_address, info = read64(slot, SLOT_INFO) - stub_address;
    if (frame < SLOT_STACK || frame > STUB_SLOT_SIZE - sizeof(struct ucontext_words) || (frame & 7) != 0) return -EPROTO;
    if (info < SLOT_STACK || info > STUB_SLOT_SIZE - 128 || (info & 7) != 0) return -EPROTO;
    const struct ucontext_words *u = (const struct ucontext_words *)((uint8_t *)slot + frame);
    const struct sigcontext_words *c = &u->context;
    struct user_regs_struct *r = registers;
    event->frame = (uint32_t)frame;
    int32_t words[8];
    memcpy(words, (uint8_t *)slot + info, sizeof words);
    event->code = words[2];
    memcpy(&event->address, &words[4], sizeof event->address);
    event->number = words[6];
    event->resume = read64(slot, SLOT_TARGET);
    event->architecture = (uint32_t)words[7];
    event->error = c->trapno == 14 ? (uint32_t)c->err : 0;
    event->is_page_fault = c->trapno == 14;
    r->r15 = c->r15, r->r14 = c->r14, r->r13 = c->r13, r->r12 = c->r12, r->rbp = c->rbp, r->rbx = c->rbx, r->r11 = c->r11, r->r10 = c->r10;
    r->r9 = c->r9, r->r8 = c->r8, r->rax = c->rax, r->rcx = c->rcx, r->rdx = c->rdx, r->rsi = c->rsi, r->rdi = c->rdi;
    r->orig_rax = (uint64_t)-1, r->rip = c->rip, r->cs = c->cs, r->eflags = c->eflags, r->rsp = c->rsp, r->ss = c->ss;
    r->fs_base = read64(slot, SLOT_FS_BASE), r->gs_base = read64(slot, SLOT_GS_BASE);
    if (r->gs_base == stub_address) r->gs_base = 0;  // ours
    r->ds = 0, r->es = 0, r->fs = c->fs, r->gs = c->gs;
    return 0;
}

void cplatform_slot_store(void *slot, uint64_t stub_address, uint32_t frame, const void *registers) {
    struct ucontext_words *u = (struct ucontext_words *)((uint8_t *)slot + frame);
    struct sigcontext_words *c = &u->context;
    const struct user_regs_struct *r = registers;
    c->r15 = r->r15, c->r14 = r->r14, c->r13 = r->r13, c->r12 = r->r12, c->rbp = r->rbp, c->rbx = r->rbx, c->r11 = r->r11, c->r10 = r->r10;
    c->r9 = r->r9, c->r8 = r->r8, c->rax = r->rax, c->rcx = r->rcx, c->rdx = r->rdx, c->rsi = r->rsi, c->rdi = r->rdi;
    c->rip = r->rip, c->eflags = r->eflags, c->rsp = r->rsp;
    c->cs = 0x33, c->ss = 0x2b;
    u->mask = 0;  // a sibling may have blocked the interrupt signal there
    *(volatile uint64_t *)((uint8_t *)slot + SLOT_FS_BASE) = r->fs_base;
    // A guest that has not set GS has it point to its slot, for trampolines.
    *(volatile uint64_t *)((uint8_t *)slot + SLOT_GS_BASE) = r->gs_base ? r->gs_base : stub_address;
}

// ---- the floating-point image in the frame: FXSAVE area, software bytes at 464, XSAVE header at 512 ----

enum { SOFTWARE = 464, HEADER = 512, LEGACY = 576, MAGIC1 = 0x46505853 };

// The image's place and size in the slot, or -EPROTO.
static long find_image(void *slot, uint32_t frame, uint8_t **image, uint64_t *features) {
    const struct ucontext_words *u = (const struct ucontext_words *)((uint8_t *)slot + frame);
    // The context is at the start of the slot, whose address in the stub is aligned to its size.
    uint64_t offset = __atomic_load_n(&u->context.fpstate, __ATOMIC_RELAXED) & (STUB_SLOT_SIZE - 1);
    if (offset < SLOT_STACK || offset > STUB_SLOT_SIZE - LEGACY || (offset & 63) != 0) return -EPROTO;
    *image = (uint8_t *)slot + offset;
    uint32_t software[6];
    memcpy(software, *image + SOFTWARE, sizeof software);  // magic, extended size, features (64 bits), XSAVE size
    if (software[0] != MAGIC1) return -EPROTO;
    uint32_t size = software[4];
    if (size < LEGACY || size > STUB_SLOT_SIZE - offset - 4) return -EPROTO;
    memcpy(features, &software[2], sizeof *features);
    return size;
}

static long get_image(const uint8_t *image, long size, uint64_t features, uint8_t *buffer, size_t capacity) {
    if ((size_t)size > capacity) size = (long)capacity;
    memcpy(buffer, image, (size_t)size);
    if (size >= LEGACY) {
        // As PTRACE_GETREGSET shows it: the software bytes begin with the features.
        memset(buffer + SOFTWARE, 0, HEADER - SOFTWARE);
        memcpy(buffer + SOFTWARE, &features, sizeof features);
    }
    return size;
}

static long set_image(uint8_t *image, long size, uint64_t features, uint32_t mask, const uint8_t *buffer, size_t count) {
    uint64_t present = 3, rest[7];
    if (count < HEADER) return -EINVAL;
    if (count > (size_t)size) count = (size_t)size;
    uint32_t control;
    memcpy(&control, buffer + 24, sizeof control);
    if (control & ~(mask ? mask & 0x2ffff : 0xffbf)) return -EINVAL;
    if (count >= LEGACY) {
        memcpy(&present, buffer + HEADER, sizeof present);
        memcpy(rest, buffer + HEADER + 8, sizeof rest);
        for (int i = 0; i < 7; i++)
            if (rest[i] != 0) return -EINVAL;
        if (present & ~features) return -EINVAL;
    }
    memcpy(image, buffer, SOFTWARE);
    memset(image + HEADER, 0, LEGACY - HEADER);
    memcpy(image + HEADER, &present, sizeof present);
    if (count > LEGACY) memcpy(image + LEGACY, buffer + LEGACY, count - LEGACY);
    return (long)count;
}

long cplatform_slot_get_xstate(void *slot, uint32_t frame, void *buffer, size_t capacity) {
    uint8_t *image;
    uint64_t features;
    long size = find_image(slot, frame, &image, &features);
    return size < 0 ? size : get_image(image, size, features, buffer, capacity);
}

long cplatform_slot_set_xstate(void *slot, uint32_t frame, const void *buffer, size_t count) {
    uint8_t *image;
    uint64_t features;
    long size = find_image(slot, frame, &image, &features);
    if (size < 0) return size;
    uint32_t mask;
    memcpy(&mask, image + 28, sizeof mask);
    return set_image(image, size, features, mask, buffer, count);
}

// ---- the floating-point image of a thread without frame: what XSAVE with all bits makes ----

enum { KNOWN_FEATURES = 0x2ff };  // x87, SSE, AVX, MPX, AVX-512, PKRU

// The enabled features, and the bits of MXCSR that may be set.
static uint64_t enabled_features(uint32_t *mask) {
    static _Atomic uint64_t features;
    static _Atomic uint32_t control;
    if (features == 0) {
        uint32_t low, high;
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        uint8_t legacy[512] __attribute__((aligned(16)));
        __asm__ volatile("fxsave64 %0" : "=m"(legacy));
        uint32_t bits;
        memcpy(&bits, legacy + 28, sizeof bits);
        control = bits;
        features = (uint64_t)high << 32 | low;
    }
    *mask = control;
    return features;
}

size_t cplatform_state_size(void) {
    uint32_t a, b, c, d, mask;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    if (!__get_cpuid_count(13, 0, &a, &b, &c, &d) || b < LEGACY || b > SLOT_STATE_LIMIT) return 0;
    return enabled_features(&mask) & ~(uint64_t)KNOWN_FEATURES ? 0 : b;
}

size_t cplatform_state_offset(void) { return SLOT_STATE; }

long cplatform_slot_get_state(void *slot, size_t size, void *buffer, size_t capacity) {
    uint32_t mask;
    uint64_t features = enabled_features(&mask);
    long count = get_image((uint8_t *)slot + SLOT_STATE, (long)size, features, buffer, capacity);
    // XSAVE writes the first word of the header alone.
    if (count >= LEGACY) memset((uint8_t *)buffer + HEADER + 8, 0, LEGACY - HEADER - 8);
    return count;
}

long cplatform_slot_set_state(void *slot, size_t size, const void *buffer, size_t count) {
    uint32_t mask;
    uint64_t features = enabled_features(&mask);
    return set_image((uint8_t *)slot + SLOT_STATE, (long)size, features, mask, buffer, count);
}

long cplatform_slot_move_state(void *slot, size_t size, uint32_t frame) {
    uint8_t copy[SLOT_STATE_LIMIT];
    memcpy(copy, (uint8_t *)slot + SLOT_STATE, size);
    return cplatform_slot_set_xstate(slot, frame, copy, size);
}

int cplatform_process_has_ended(int pidfd, int milliseconds) {
    struct pollfd wanted = {.fd = pidfd, .events = POLLIN};
    return poll(&wanted, 1, milliseconds) > 0;
}
