// Raw host calls that Swift cannot import: variadic functions, macros, and numbers outside the Glibc module map.
#ifndef CHOST_H
#define CHOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chost_spawn.h"
#include "chost_trap.h"

// A system call made directly: the result, or -errno.
static inline long chost_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
}

// The processor's time-stamp counter.
static inline uint64_t chost_timestamp(void) { return __builtin_ia32_rdtsc(); }

// Tells the processor that this is a loop of looking.
static inline void chost_pause(void) { __builtin_ia32_pause(); }

// Whether the caller runs a guest task. The CPU that it runs on if it does, else -1.
void chost_set_task_thread(int is_task);
int chost_task_cpu(void);

// The offset of the first `word` (little-endian, at any alignment) in `bytes`, or -1.
long chost_find_word(const void *bytes, size_t length, uint32_t word);

// Sends `length` bytes and `descriptor_count` descriptors (SCM_RIGHTS) in one message: bytes sent, or -errno.
long chost_send_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, size_t descriptor_count, int flags);

// Receives up to `length` bytes and up to `*descriptor_count` descriptors, all close-on-exec: bytes received, or -errno.
// On return `*descriptor_count` is the number received; -EMSGSIZE (with none kept) when the peer sent more than fit.
long chost_receive_descriptors(int socket, void *bytes, size_t length, int *descriptors, size_t *descriptor_count, int flags);

// At most `count` malloc arenas. Without it glibc asks how many CPUs there are when the ninth thread allocates, by opening a file of sysfs: a call
// that no confined process may make.
void chost_limit_arenas(int count);

// Starts a detached or joinable thread running `body(context)`: 0, or an errno. `stack_size` 0 means the default.
int chost_thread_start(void (*body)(void *), void *context, size_t stack_size);

// CPUID leaf 1, EDX: what Linux gives programs as AT_HWCAP.
uint32_t chost_hardware_capabilities(void);

// The kernel's least signal stack (AT_MINSIGSTKSZ), in bytes; 0 if the host does not tell.
unsigned long chost_minimum_signal_stack(void);

// Keeps malloc from opening files when it gives memory back (see HostCall.keepAllocatorFromFiles).
void chost_keep_allocator_from_files(void);

// Gives free memory of malloc back to the kernel, and lets go of the program's own code, which comes back page by page as it is used.
void chost_release_memory(void);

#endif
