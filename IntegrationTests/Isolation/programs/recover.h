// How a program goes on after code that does anything to its registers: a signal brings each thread back to its `guard`.
//
// Nothing here may use thread-local storage: FS is what the attack made of it until a thread has landed.
#ifndef RECOVER_H
#define RECOVER_H

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// A thread's own: aligned to its size, with the alternate signal stack above this header, so that the handler finds it by its stack pointer alone.
#define BLOCK_SIZE 0x10000
#define BLOCK_MAGIC 0x6b636f6c62747361
// Of a block that belongs to nobody: a thread that is lost on it ends alone.
#define FOREIGN_MAGIC 0x6b636f6c62747362
struct block {
    uint64_t magic;
    uint64_t fs_base;
    int32_t armed;     // 16: a signal leads back to `guard`
    int32_t unused;    // 20
    int32_t steps;     // 24: so many single steps are passed over
    int32_t noFSGSBase;  // 28
    uint64_t saved[8];  // 32: rbx rbp r12 r13 r14 r15 rsp rip
    uint64_t seed;      // 96: what a noisy thread does next
    uint64_t noise;     // 104: the function that does it
};

// Every register that user code has, as `leap` loads them.
struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, cs, flags, rsp, ss;
};

// Returns 0, and a second time with the number of the signal that ended what came after. Locals changed in between are lost.
__attribute__((returns_twice)) int guard(struct block *block);
// To `registers`, for good.
__attribute__((noreturn)) void leap(const struct registers *registers);
void on_signal(int, siginfo_t *, void *);
void return_from_signal(void);
// A system call and back to the guard with "signal" 64; for `leap`.
extern const char call_and_land[];
extern struct block *main_block;

__asm__(
    "    .text\n"
    "guard:\n"
    "    movq %rbx, 32(%rdi)\n"
    "    movq %rbp, 40(%rdi)\n"
    "    movq %r12, 48(%rdi)\n"
    "    movq %r13, 56(%rdi)\n"
    "    movq %r14, 64(%rdi)\n"
    "    movq %r15, 72(%rdi)\n"
    "    leaq 8(%rsp), %rax\n"
    "    movq %rax, 80(%rdi)\n"
    "    movq (%rsp), %rax\n"
    "    movq %rax, 88(%rdi)\n"
    "    movl $0, 24(%rdi)\n"
    "    movl $1, 16(%rdi)\n"
    "    xorl %eax, %eax\n"
    "    ret\n"
    "leap:\n"
    "    leaq 120(%rdi), %rsp\n"
    "    movq (%rdi), %rax\n"
    "    movq 8(%rdi), %rbx\n"
    "    movq 16(%rdi), %rcx\n"
    "    movq 24(%rdi), %rdx\n"
    "    movq 32(%rdi), %rsi\n"
    "    movq 48(%rdi), %rbp\n"
    "    movq 56(%rdi), %r8\n"
    "    movq 64(%rdi), %r9\n"
    "    movq 72(%rdi), %r10\n"
    "    movq 80(%rdi), %r11\n"
    "    movq 88(%rdi), %r12\n"
    "    movq 96(%rdi), %r13\n"
    "    movq 104(%rdi), %r14\n"
    "    movq 112(%rdi), %r15\n"
    "    movq 40(%rdi), %rdi\n"
    "    iretq\n"
    "call_and_land:\n"
    "    syscall\n"
    "    movq main_block(%rip), %rax\n"
    "    movl $64, %edi\n"
    "    jmp land\n"
    // (edi: signal, rsi: siginfo) on the thread's signal stack.
    "on_signal:\n"
    "    pushq $0x202\n"
    "    popfq\n"
    "    movq %rsp, %rax\n"
    "    andq $-0x10000, %rax\n"
    "    movabsq $0x6b636f6c62747361, %rcx\n"
    "    cmpq %rcx, (%rax)\n"
    "    jne lost\n"
    "    cmpl $14, %edi\n"  // SIGALRM
    "    je tick\n"
    "    cmpl $0, 8(%rsi)\n"  // si_code: sent by a thread
    "    jle 2f\n"
    "    cmpl $5, %edi\n"  // SIGTRAP
    "    jne 1f\n"
    "    cmpl $0, 24(%rax)\n"
    "    jle 1f\n"
    "    decl 24(%rax)\n"
    "2:  ret\n"
    "1:  cmpl $0, 16(%rax)\n"
    "    je lost\n"
    "land:\n"
    "    movl $0, 16(%rax)\n"
    "    cmpl $0, 28(%rax)\n"
    "    jne 3f\n"
    "    movq 8(%rax), %rcx\n"
    "    wrfsbase %rcx\n"
    "4:  fninit\n"
    "    pushq $0x1f80\n"
    "    ldmxcsr (%rsp)\n"
    "    movq 32(%rax), %rbx\n"
    "    movq 40(%rax), %rbp\n"
    "    movq 48(%rax), %r12\n"
    "    movq 56(%rax), %r13\n"
    "    movq 64(%rax), %r14\n"
    "    movq 72(%rax), %r15\n"
    "    movq 80(%rax), %rsp\n"
    "    movq 88(%rax), %rcx\n"
    "    movl %edi, %eax\n"
    "    jmp *%rcx\n"
    "3:  movl %edi, %ebx\n"
    "    movq %rax, %rbp\n"
    "    movq 8(%rbp), %rsi\n"
    "    movl $0x1002, %edi\n"  // ARCH_SET_FS
    "    movl $158, %eax\n"
    "    syscall\n"
    "    movq %rbp, %rax\n"
    "    movl %ebx, %edi\n"
    "    jmp 4b\n"
    "tick:\n"
    "    cmpl $0, 16(%rax)\n"
    "    je 2b\n"
    "    jmp land\n"
    // Nowhere to go back to.
    "lost:\n"
    "    movl $60, %ecx\n"
    "    movabsq $0x6b636f6c62747362, %rdx\n"
    "    cmpq %rdx, (%rax)\n"
    "    movl $97, %edi\n"
    "    movl $231, %eax\n"
    "    cmovel %ecx, %eax\n"
    "    syscall\n"
    "    ud2\n"
    "return_from_signal:\n"
    "    movl $15, %eax\n"
    "    syscall\n"
    "    ud2\n");

struct block *main_block;

static inline long call6(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    long result;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#define CALL_OF(_1, _2, _3, _4, _5, _6, _7, ...) call6(_1, (uint64_t)(_2), (uint64_t)(_3), (uint64_t)(_4), (uint64_t)(_5), (uint64_t)(_6), (uint64_t)(_7))
#define CALL(...) CALL_OF(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

static inline uint64_t get_fs(int noFSGSBase) {
    uint64_t value = 0;
    if (noFSGSBase) CALL(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &value);
    else __asm__ volatile("rdfsbase %0" : "=r"(value));
    return value;
}

// struct sigaction of the kernel.
struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

static inline void handle(int signal) {
    // SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER: landing leaves the handler without rt_sigreturn(2), so it must not change the mask.
    struct kernel_action action = {on_signal, 0x4 | 0x04000000 | 0x08000000 | 0x40000000, return_from_signal, 0};
    CALL(SYS_rt_sigaction, signal, &action, 0, 8);
}

// The block of a thread that is to be.
static inline struct block *make_block(int noFSGSBase) {
    uint8_t *memory = mmap(0, 2 * BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    struct block *block = (struct block *)(((uint64_t)memory + BLOCK_SIZE - 1) & -(uint64_t)BLOCK_SIZE);
    memset(block, 0, sizeof *block);
    block->magic = BLOCK_MAGIC;
    block->noFSGSBase = noFSGSBase;
    return block;
}

// Makes the calling thread's signals come to `block`.
static inline void adopt_block(struct block *block) {
    block->fs_base = get_fs(block->noFSGSBase);
    stack_t stack = {.ss_sp = (uint8_t *)block + 4096, .ss_size = BLOCK_SIZE - 4096};
    CALL(SYS_sigaltstack, &stack, 0);
}

#endif
