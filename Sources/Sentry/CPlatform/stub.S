// The whole program of the stub processes: no libc, no stack, no data of its own. See docs/design (platform) and stub_layout.h.
//
// Life: `entry` is the source process, which forks on request. A child maps its ring, installs its filter, hands the listener to the Sentry,
// and becomes the service thread of a new address space: it executes ring commands, and waits in a notified pause(2) whose arguments tell the
// result of the last batch: (commands done, error, value of the last clone).
//
// This text is data here: it is copied into an image that is executed at STUB_BASE. It must be position independent and use no memory
// except its own pages, the scratch page (before guest code exists), the ring, and for guest threads their slot. Guest code shares the address space with the service thread
// and may jump anywhere in here; the seccomp filter knows the address behind each `syscall` and what may be called there.
#include "stub_layout.h"

    .section .rodata.cplatform_stub, "a", @progbits
    .balign 16
    .globl cplatform_stub_begin
    .hidden cplatform_stub_begin
cplatform_stub_begin:

entry:
    // AT_SYSINFO_EHDR from the auxiliary vector that execve left above argv and envp.
    movq (%rsp), %rax
    leaq 16(%rsp,%rax,8), %rsi
1:  lodsq
    testq %rax, %rax
    jnz 1b
    xorl %r13d, %r13d
2:  lodsq
    movq %rax, %rcx
    lodsq
    cmpq $33, %rcx                  // AT_SYSINFO_EHDR
    cmoveq %rax, %r13
    testq %rcx, %rcx
    jnz 2b
    // The host's vDSO goes to a fixed address, part by part. r12: whether all of it did.
    xorl %r12d, %r12d
    testq %r13, %r13
    jz unmap_rest
    leaq vdso_parts(%rip), %rbx
3:  movq 8(%rbx), %rsi
    testq %rsi, %rsi
    jz 4f
    movq (%rbx), %rdi
    addq %r13, %rdi
    movq %rsi, %rdx
    movl $3, %r10d                  // MREMAP_MAYMOVE | MREMAP_FIXED
    movq 16(%rbx), %r8
    movl $25, %eax                  // mremap
    syscall
    xorl %r12d, %r12d
    cmpq $-4095, %rax
    jae unmap_rest
    incl %r12d
    addq $24, %rbx
    jmp 3b
4:
unmap_rest:
    // Nothing else stays mapped but the image: not the kernel's stack.
    xorl %edi, %edi
    movabsq $STUB_BASE, %rsi
    movl $11, %eax                  // munmap
    syscall
    movabsq $(STUB_BASE + STUB_IMAGE_SIZE), %rdi
    movl $(STUB_HOST_VDSO - STUB_BASE - STUB_IMAGE_SIZE), %esi
    movl $11, %eax
    syscall
    movabsq $(STUB_HOST_VDSO + STUB_HOST_VDSO_SIZE), %rdi
    movabsq $(STUB_USER_END - STUB_HOST_VDSO - STUB_HOST_VDSO_SIZE), %rsi
    movl $11, %eax
    syscall
    movabsq $STUB_SCRATCH, %rdi
    movl $4096, %esi
    movl $3, %edx                   // PROT_READ | PROT_WRITE
    movl $0x32, %r10d               // MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    movq $-1, %r8
    xorl %r9d, %r9d
    movl $9, %eax                   // mmap
    syscall
    cmpq $-4095, %rax
    jae die
    xorl %edi, %edi                 // SIG_BLOCK
    leaq all_signals(%rip), %rsi
    xorl %edx, %edx
    movl $8, %r10d
    movl $14, %eax                  // rt_sigprocmask
    syscall
    // What anybody outside may send means nothing to a stub, nor does the end of a child, which the kernel then reaps.
    movl $64, %ebp
5:  leaq ignore_action(%rip), %rsi
    btq %rbp, kept_signals(%rip)
    jnc 6f
    cmpl $0, stub_mode(%rip)
    je 7f
    leaq handle_action(%rip), %rsi
    cmpl $9, %ebp
    je 7f
    cmpl $19, %ebp
    je 7f
6:  movl %ebp, %edi
    xorl %edx, %edx
    movl $8, %r10d
    movl $13, %eax                  // rt_sigaction
    syscall
7:  decl %ebp
    jnz 5b
    movl $38, %edi                  // PR_SET_NO_NEW_PRIVS
    movl $1, %esi
    xorl %edx, %edx
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    movl $157, %eax                 // prctl
    syscall
    movl $15, %edi                  // PR_SET_NAME
    leaq source_name(%rip), %rsi
    movl $157, %eax
    syscall
    movl $1, %edi                   // SECCOMP_SET_MODE_FILTER
    xorl %esi, %esi
    leaq source_filter(%rip), %rdx
    movl $317, %eax                 // seccomp
    syscall
    testq %rax, %rax
    jnz die
    movabsq $STUB_SCRATCH, %rbx
    movq %r12, 48(%rbx)             // in every reply: whether there is a vDSO
    xorl %r13d, %r13d

source_loop:
    // Request: the ring number (8 bytes). Reply: the error or 0, the ring number, and 1 when there is a vDSO, with [socket of the child, its pidfd].
    xorl %edi, %edi                 // STUB_COMMAND_SOCKET
    movq %rbx, %rsi
    movl $8, %edx
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    movl $45, %eax                  // recvfrom
    syscall
    cmpq $8, %rax
    jne die                         // the Sentry is gone
    movq (%rbx), %r15               // the ring number
    movl $1, %edi                   // AF_UNIX
    movl $0x80005, %esi             // SOCK_SEQPACKET | SOCK_CLOEXEC
    xorl %edx, %edx
    leaq 16(%rbx), %r10
    movl $53, %eax                  // socketpair
    syscall
    testq %rax, %rax
    js source_failed
    movl $0x1011, %edi              // CLONE_PIDFD | SIGCHLD
    xorl %esi, %esi
    leaq 24(%rbx), %rdx             // the pidfd
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    movl $56, %eax                  // clone
    syscall
    testq %rax, %rax
    jz child
    js source_failed_close
    movl 24(%rbx), %r14d
    movl $STUB_PAIR_SENTRY, 144(%rbx)
    movl %r14d, 148(%rbx)
    xorl %eax, %eax
    movl $24, %ecx
    source_reply:
    movq %rax, 32(%rbx)             // body: error, ring number
    movq %r15, 40(%rbx)
    movl $24, %edx
    jmp build_message
source_message_built:
    xorl %edi, %edi
    movabsq $STUB_MESSAGE, %rsi
    movl $0x4000, %edx              // MSG_NOSIGNAL
    movl $46, %eax                  // sendmsg
    syscall
    testq %rax, %rax
    js die
    movl $STUB_PAIR_SENTRY, %edi
    movl $3, %eax                   // close
    syscall
    movl $STUB_PAIR_CHILD, %edi
    movl $3, %eax
    syscall
    testl %r14d, %r14d
    jz source_loop
    movl %r14d, %edi
    movl $3, %eax
    syscall
    jmp source_loop
source_failed_close:
source_failed:
    xorl %r14d, %r14d               // no pidfd to close; closing an absent pair is harmless
    xorl %ecx, %ecx
    jmp source_reply

    // The msghdr at STUB_MESSAGE: edx bytes of body at scratch+32, ecx bytes of control at scratch+128. Returns by the value of r13:
    // zero to the source, else to the child.
build_message:
    leaq 32(%rbx), %rsi
    movq %rsi, 200(%rbx)            // iovec.iov_base
    movq %rdx, 208(%rbx)            // iovec.iov_len
    xorl %esi, %esi
    movq %rsi, 64(%rbx)             // msg_name
    movq %rsi, 72(%rbx)             // msg_namelen
    leaq 200(%rbx), %rsi
    movq %rsi, 80(%rbx)             // msg_iov
    movq $1, 88(%rbx)               // msg_iovlen
    leaq 128(%rbx), %rsi
    movq %rsi, 96(%rbx)             // msg_control
    movq %rcx, 104(%rbx)            // msg_controllen
    movq $0, 112(%rbx)              // msg_flags
    movq %rcx, 128(%rbx)            // cmsg_len
    movl $1, 136(%rbx)              // SOL_SOCKET
    movl $1, 140(%rbx)              // SCM_RIGHTS
    testq %r13, %r13
    jz source_message_built
    jmp child_message_built

child:
    movl $15, %edi                  // PR_SET_NAME
    leaq child_name(%rip), %rsi
    movl $157, %eax
    syscall
    xorl %edi, %edi
    movl $3, %eax
    syscall
    movl $STUB_PAIR_SENTRY, %edi
    movl $3, %eax
    syscall
    movabsq $STUB_RING, %rdi
    movl $STUB_RING_SIZE, %esi
    movl $1, %edx                   // PROT_READ
    movl $0x11, %r10d               // MAP_SHARED | MAP_FIXED
    movl $STUB_RING_FILE, %r8d
    movq %r15, %r9
    imulq $STUB_RING_SIZE, %r9, %r9
    movl $9, %eax
    syscall
    cmpq $-4095, %rax
    jae die
    cmpl $0, stub_mode(%rip)
    je child_mapped
    movabsq $STUB_SLOTS, %rdi
    movl $STUB_CHUNK_SIZE, %esi
    movl $3, %edx                   // PROT_READ | PROT_WRITE
    movl $0x11, %r10d
    movl $STUB_SLOT_FILE, %r8d
    movq %r15, %r9
    imulq $STUB_CHUNK_SIZE, %r9, %r9
    movl $9, %eax
    syscall
    cmpq $-4095, %rax
    jae die
child_mapped:
    movl $STUB_RING_FILE, %edi
    movl $3, %eax
    syscall
    movl $STUB_SLOT_FILE, %edi
    movl $3, %eax
    syscall
    movl $1, %edi                   // SECCOMP_SET_MODE_FILTER
    movl $0x28, %esi                // NEW_LISTENER | WAIT_KILLABLE_RECV
    leaq filter_program(%rip), %rdx
    movl $317, %eax                 // seccomp
    syscall
    cmpq $-4095, %rax
    jb child_filtered
    movl $1, %edi
    movl $0x08, %esi                // NEW_LISTENER alone, before Linux 5.19
    movl $317, %eax
    syscall
    cmpq $-4095, %rax
    jae die
child_filtered:
    movl %eax, 144(%rbx)            // the listener
    movq %rax, 32(%rbx)
    movl $20, %ecx
    movl $8, %edx
    movl $1, %r13d
    jmp build_message
child_message_built:
    movl $STUB_PAIR_CHILD, %edi
    movabsq $STUB_MESSAGE, %rsi
    movl $0x4000, %edx
    movl $46, %eax
    syscall
    .globl cplatform_stub_send_return
    .hidden cplatform_stub_send_return
cplatform_stub_send_return:
    movq %rax, %rbp
    movl 144(%rbx), %edi            // the listener: the Sentry has it now
    movl $3, %eax
    syscall
    .globl cplatform_stub_close_listener_return
    .hidden cplatform_stub_close_listener_return
cplatform_stub_close_listener_return:
    movl $STUB_PAIR_CHILD, %edi
    movl $3, %eax
    syscall
    .globl cplatform_stub_close_socket_return
    .hidden cplatform_stub_close_socket_return
cplatform_stub_close_socket_return:
    xorl %ebx, %ebx
    xorl %r13d, %r13d
    testq %rbp, %rbp
    movl $0, %ebp
    jns service_wait
    ud2

service_error:
    movq %rax, %rbp
service_wait:
    movl $34, %eax                  // pause, notified
    movq %rbx, %rdi
    movq %rbp, %rsi
    movq %r13, %rdx
    syscall
    .globl cplatform_stub_wait_return
    .hidden cplatform_stub_wait_return
cplatform_stub_wait_return:
    cmpq $STUB_RING_ENTRIES, %rax
    ja service_wait
    movq %rax, %r14
    xorl %ebx, %ebx
    xorl %ebp, %ebp
    xorl %r13d, %r13d
    movabsq $STUB_RING, %r12
service_next:
    cmpq %r14, %rbx
    jae service_wait
    movq (%r12), %rax
    movq 8(%r12), %rdi
    movq 16(%r12), %rsi
    movq 24(%r12), %rdx
    movq 32(%r12), %r10
    movq 40(%r12), %r8
    movq 48(%r12), %r9
    cmpq $56, %rax
    je service_clone
    syscall
    .globl cplatform_stub_execute_return
    .hidden cplatform_stub_execute_return
cplatform_stub_execute_return:
    cmpq $-4095, %rax
    jae service_error
service_step:
    incq %rbx
    addq $STUB_RING_ENTRY, %r12
    jmp service_next
service_clone:
    syscall
    .globl cplatform_stub_clone_return
    .hidden cplatform_stub_clone_return
cplatform_stub_clone_return:
    testq %rax, %rax
    jz thread_start
    js service_error
    movq %rax, %r13
    jmp service_step

thread_start:
    xorl %r8d, %r8d
    testq %r9, %r9                  // the sixth argument of clone(2), which has five
    jz thread_hello
    // systrap: rsp is the end of the thread's slot, r12 the clone's ring entry, after which its stack_t follows. The ring is the thread's until it has
    // reported.
    leaq STUB_RING_ENTRY(%r12), %rdi
    xorl %esi, %esi
    movl $131, %eax                 // sigaltstack
    syscall
    .globl cplatform_stub_altstack_return
    .hidden cplatform_stub_altstack_return
cplatform_stub_altstack_return:
    movq %rax, %r8
thread_hello:
    movl $34, %eax
    xorl %edi, %edi
    xorl %esi, %esi
    xorl %edx, %edx
    syscall
    .globl cplatform_stub_hello_return
    .hidden cplatform_stub_hello_return
cplatform_stub_hello_return:
    testq %r9, %r9
    jnz systrap_thread
    // ptrace: the tracer takes over before the jump is done.
1:  jmp 1b

    // All signals are blocked until the filter is there: other guest threads can write to the frame of one that comes, and so say where the thread goes.
systrap_thread:
    testq %r8, %r8
    jnz thread_failed
    movl $1, %edi                   // SECCOMP_SET_MODE_FILTER
    xorl %esi, %esi
    leaq guest_filter(%rip), %rdx
    movl $317, %eax                 // seccomp
    syscall
    .globl cplatform_stub_restrict_return
    .hidden cplatform_stub_restrict_return
cplatform_stub_restrict_return:
    testq %rax, %rax
    jnz thread_failed
    movl $2, %edi                   // SIG_SETMASK
    leaq cplatform_stub_no_signals(%rip), %rsi
    xorl %edx, %edx
    movl $8, %r10d
    movl $14, %eax                  // rt_sigprocmask
    syscall
    .globl cplatform_stub_unblock_return
    .hidden cplatform_stub_unblock_return
cplatform_stub_unblock_return:
    // A call that the filter refuses: its signal makes the thread's first frame, which the Sentry fills in.
    movl $-1, %eax
    syscall
    ud2
thread_failed:
    jmp cplatform_stub_thread_exit

    // Where trampolines lead once the guest uses GS itself: the registers are those of a call, rcx behind it.
    // Those of the other form have that address before the place that R11 holds.
    .globl cplatform_stub_trap_any
    .hidden cplatform_stub_trap_any
cplatform_stub_trap_any:
    movq -8(%r11), %rcx
    .globl cplatform_stub_trap
    .hidden cplatform_stub_trap
cplatform_stub_trap:
    ud2

    // sched_yield(2) of a patched call site: rax is its number, r11 the place to go on. An interrupt that hits in here finds the call made.
    .globl cplatform_stub_yield
    .hidden cplatform_stub_yield
cplatform_stub_yield:
    movq %r11, %gs:SLOT_TARGET
    syscall
    .globl cplatform_stub_yield_return
    .hidden cplatform_stub_yield_return
cplatform_stub_yield_return:
    jmp *%gs:SLOT_TARGET

    // Trampolines of the form that does not tell the number: the commonest harmless calls are answered here. r11 is the place to go on, before which lies the address
    // behind the call. Flags are the guest's. Nothing has happened before `cplatform_stub_entry`: an interrupt that hits here finds the call not yet made.
    .globl cplatform_stub_entry_any
    .hidden cplatform_stub_entry_any
cplatform_stub_entry_any:
    leaq -186(%rax), %rcx           // gettid
    jrcxz cplatform_stub_any_thread
    leaq -39(%rax), %rcx            // getpid
    jrcxz cplatform_stub_any_process
    leaq -24(%rax), %rcx            // sched_yield
    jrcxz any_yield
any_other:
    movq -8(%r11), %rcx
    jmp cplatform_stub_entry
any_yield:
    movq %gs:(SLOT_ANSWERS + ANSWER_YIELD), %rcx
    jrcxz any_other
    jmp cplatform_stub_yield
    .globl cplatform_stub_any_process
    .hidden cplatform_stub_any_process
cplatform_stub_any_process:
    movq %gs:(SLOT_ANSWERS + ANSWER_PROCESS), %rcx
    jrcxz any_other
    leaq -1(%rcx), %rax
    jmp *%r11
    .globl cplatform_stub_any_thread
    .hidden cplatform_stub_any_thread
cplatform_stub_any_thread:
    movq %gs:(SLOT_ANSWERS + ANSWER_THREAD), %rcx
    jrcxz any_other
    leaq -1(%rcx), %rax
    jmp *%r11

    // Trampolines of patched call sites come here: GS is the slot. No signal is blocked: one that comes before the turn is given finds the call not yet made,
    // one that comes after finds it made, or answered. r12 = 0 tells that there is no frame.
    .globl cplatform_stub_entry
    .hidden cplatform_stub_entry
cplatform_stub_entry:
    movq %rax, %gs:SLOT_RAX
    movq %rbx, %gs:SLOT_RBX
    rdgsbase %rbx
    movq %rcx, SLOT_RCX(%rbx)
    movq %rdx, SLOT_RDX(%rbx)
    movq %rsi, SLOT_RSI(%rbx)
    movq %rdi, SLOT_RDI(%rbx)
    movq %rbp, SLOT_RBP(%rbx)
    movq %rsp, SLOT_RSP(%rbx)
    movq %r8, SLOT_R8(%rbx)
    movq %r9, SLOT_R9(%rbx)
    movq %r10, SLOT_R10(%rbx)
    movq %r11, SLOT_R11(%rbx)
    movq %r12, SLOT_R12(%rbx)
    movq %r13, SLOT_R13(%rbx)
    movq %r14, SLOT_R14(%rbx)
    movq %r15, SLOT_R15(%rbx)
    leaq SLOT_STACK(%rbx), %rsp
    pushfq
    popq SLOT_FLAGS(%rbx)
    rdfsbase %rax
    movq %rax, SLOT_FS_BASE(%rbx)
    xorl %r12d, %r12d
    incl SLOT_SEQUENCE(%rbx)
    movl $SIGNAL_NONE, SLOT_SIGNAL(%rbx)
    jmp give

    // Every signal of a guest thread ends here, on the slot's stack, all signals blocked: (edi: signal, rsi: siginfo, rdx: ucontext). The frame
    // holds the guest's registers, so all of them are free.
    .globl cplatform_stub_handler
    .hidden cplatform_stub_handler
cplatform_stub_handler:
    movq %rsp, %rbx
    andq $-STUB_SLOT_SIZE, %rbx
    movq %rdx, %r12
    movq %rdx, SLOT_FRAME(%rbx)
    movq %rsi, SLOT_INFO(%rbx)
    movl %edi, SLOT_SIGNAL(%rbx)
    rdfsbase %rax
    movq %rax, SLOT_FS_BASE(%rbx)
    rdgsbase %rax
    movq %rax, SLOT_GS_BASE(%rbx)
give:
    movl $TURN_SENTRY, %eax
    xchgl %eax, SLOT_TURN(%rbx)
    .globl cplatform_stub_given
    .hidden cplatform_stub_given
cplatform_stub_given:
    testl $TURN_WAITER, %eax
    jz handler_look
    movq %rbx, %rdi
    movl $1, %esi                   // FUTEX_WAKE
    movl $1, %edx
    movl $202, %eax                 // futex
    syscall
    .globl cplatform_stub_wake_return
    .hidden cplatform_stub_wake_return
cplatform_stub_wake_return:
handler_look:
    xorl %r13d, %r13d
1:  movl SLOT_TURN(%rbx), %eax
    cmpb $TURN_STUB, %al            // whatever TURN_WAITER says
    je handler_turn
    cmpl SLOT_SPIN(%rbx), %r13d
    jae 2f
    pause
    incl %r13d
    jmp 1b
2:  xorl %r13d, %r13d
3:  cmpl SLOT_YIELDS(%rbx), %r13d
    jae handler_sleep
    movl $24, %eax                  // sched_yield
    syscall
    .globl cplatform_stub_wait_yield_return
    .hidden cplatform_stub_wait_yield_return
cplatform_stub_wait_yield_return:
    movl SLOT_TURN(%rbx), %eax
    cmpb $TURN_STUB, %al            // whatever TURN_WAITER says
    je handler_turn
    incl %r13d
    jmp 3b
handler_sleep:
    movl $TURN_SENTRY, %eax
    movl $(TURN_SENTRY | TURN_WAITER), %ecx
    lock cmpxchgl %ecx, SLOT_TURN(%rbx)
    cmpb $TURN_STUB, %al            // whatever TURN_WAITER says
    je handler_turn
    movq %rbx, %rdi
    xorl %esi, %esi                 // FUTEX_WAIT
    movl %ecx, %edx
    xorl %r10d, %r10d
    movl $202, %eax
    syscall
    .globl cplatform_stub_sleep_return
    .hidden cplatform_stub_sleep_return
cplatform_stub_sleep_return:
    movl SLOT_TURN(%rbx), %eax
    cmpb $TURN_STUB, %al            // whatever TURN_WAITER says
    jne handler_sleep
handler_turn:
    cmpl $ACTION_EXIT, SLOT_ACTION(%rbx)
    je cplatform_stub_thread_exit
    cmpl $ACTION_YIELD, SLOT_ACTION(%rbx)
    jne 1f
    movl $24, %eax                  // sched_yield
    syscall
    .globl cplatform_stub_turn_yield_return
    .hidden cplatform_stub_turn_yield_return
cplatform_stub_turn_yield_return:
1:
    movq SLOT_FS_BASE(%rbx), %rax
    wrfsbase %rax
    testq %r12, %r12
    jz entry_turn
    movq SLOT_GS_BASE(%rbx), %rax
    wrgsbase %rax
    movq %r12, %rsp
    .globl cplatform_stub_restorer
    .hidden cplatform_stub_restorer
cplatform_stub_restorer:
    movl $15, %eax                  // rt_sigreturn
    syscall
    .globl cplatform_stub_sigreturn_return
    .hidden cplatform_stub_sigreturn_return
cplatform_stub_sigreturn_return:
    ud2

entry_turn:
    cmpl $ACTION_FRAME, SLOT_ACTION(%rbx)
    je make_frame
    cmpl $ACTION_SAVE, SLOT_ACTION(%rbx)
    jae move_state
load_words:
    leaq SLOT_STACK(%rbx), %rsp
    pushq SLOT_FLAGS(%rbx)
    popfq
    movq SLOT_RAX(%rbx), %rax
    movq SLOT_RCX(%rbx), %rcx
    movq SLOT_RDX(%rbx), %rdx
    movq SLOT_RSI(%rbx), %rsi
    movq SLOT_RDI(%rbx), %rdi
    movq SLOT_RBP(%rbx), %rbp
    movq SLOT_RSP(%rbx), %rsp
    movq SLOT_R8(%rbx), %r8
    movq SLOT_R9(%rbx), %r9
    movq SLOT_R10(%rbx), %r10
    movq SLOT_R11(%rbx), %r11
    movq SLOT_R12(%rbx), %r12
    movq SLOT_R13(%rbx), %r13
    movq SLOT_R14(%rbx), %r14
    movq SLOT_R15(%rbx), %r15
    movq SLOT_RBX(%rbx), %rbx
    jmp *%gs:SLOT_TARGET
make_frame:
    movl $-1, %eax
    syscall                         // refused; the handler goes on
    ud2
    // The floating-point state, which nothing here has changed. An image that a sibling has spoilt raises a signal as any bad instruction of the guest's.
move_state:
    movl $-1, %eax
    movl $-1, %edx
    je save_state
    xrstor64 SLOT_STATE(%rbx)
    jmp load_words
save_state:
    xsave64 SLOT_STATE(%rbx)
    movl $SIGNAL_NONE, SLOT_SIGNAL(%rbx)
    jmp give
    .globl cplatform_stub_entry_end
    .hidden cplatform_stub_entry_end
cplatform_stub_entry_end:

    .globl cplatform_stub_thread_exit
    .hidden cplatform_stub_thread_exit
cplatform_stub_thread_exit:
    movl $60, %eax                  // exit
    xorl %edi, %edi
    syscall
    .globl cplatform_stub_exit_return
    .hidden cplatform_stub_exit_return
cplatform_stub_exit_return:
    ud2

die:
    movl $1, %edi
    movl $231, %eax                 // exit_group
    syscall
    ud2

    .balign 8
all_signals:
    .quad -1
    .globl cplatform_stub_no_signals
    .hidden cplatform_stub_no_signals
cplatform_stub_no_signals:
    .quad 0
    // Bit N: signal N keeps its default, or has the handler on systrap: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGSTOP, SIGURG, SIGSYS.
kept_signals:
    .quad 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 19 | 1 << 23 | 1 << 31, 0
ignore_action:
    .quad 1, 0, 0, 0                // SIG_IGN
handle_action:
    .quad STUB_BASE + STUB_CODE_OFFSET + (cplatform_stub_handler - cplatform_stub_begin)
    .quad 0x0c000004                // SA_ONSTACK | SA_RESTORER | SA_SIGINFO
    .quad STUB_BASE + STUB_CODE_OFFSET + (cplatform_stub_restorer - cplatform_stub_begin)
    .quad -1
source_name:
    .asciz "nestbox-source"
child_name:
    .asciz "nestbox-stub"
    .balign 8
    // From here on written when the image is built.
    .globl cplatform_stub_mode
    .hidden cplatform_stub_mode
cplatform_stub_mode:
stub_mode:
    .quad 0                         // 1: systrap
    // Up to STUB_HOST_VDSO_PARTS times: offset from AT_SYSINFO_EHDR, length, new address. Length 0 ends them.
    .globl cplatform_stub_vdso_parts
    .hidden cplatform_stub_vdso_parts
cplatform_stub_vdso_parts:
vdso_parts:
    .fill 3 * (STUB_HOST_VDSO_PARTS + 1), 8, 0
    // Three struct sock_fprog; their programs follow.
    .globl cplatform_stub_filters
    .hidden cplatform_stub_filters
cplatform_stub_filters:
filter_program:
    .fill 16, 1, 0
guest_filter:
    .fill 16, 1, 0
source_filter:
    .fill 16, 1, 0
    .globl cplatform_stub_end
    .hidden cplatform_stub_end
cplatform_stub_end:

    .section .note.GNU-stack, "", @progbits
