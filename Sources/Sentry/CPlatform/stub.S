// The whole program of the stub processes: no libc, no stack, no data of its own. See docs/design (platform) and stub_layout.h.
//
// Life: `entry` is the source process, which forks on request. A child maps its ring, installs its filter, hands the listener to the Sentry,
// and becomes the service thread of a new address space: it executes ring commands, and waits in a notified pause(2) whose arguments tell the
// result of the last batch: (commands done, error, value of the last clone).
//
// This text is data here: it is copied into an image that is executed at STUB_BASE. It must be position independent and use no memory
// except its own page, the scratch page (before guest code exists) and the ring. Guest code shares the address space with the service thread
// and may jump anywhere in here; the seccomp filter knows the address behind each `syscall` and what may be called there.
#include "stub_layout.h"

    .section .rodata.cplatform_stub, "a", @progbits
    .balign 16
    .globl cplatform_stub_begin
    .hidden cplatform_stub_begin
cplatform_stub_begin:

entry:
    // Nothing stays mapped but this page: not the kernel's stack, not the vDSO.
    xorl %edi, %edi
    movabsq $STUB_BASE, %rsi
    movl $11, %eax                  // munmap
    syscall
    movabsq $(STUB_BASE + STUB_IMAGE_SIZE), %rdi
    movabsq $(STUB_USER_END - STUB_BASE - STUB_IMAGE_SIZE), %rsi
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
    movl $17, %edi                  // SIGCHLD ignored: children are reaped by the kernel
    leaq ignore_action(%rip), %rsi
    xorl %edx, %edx
    movl $8, %r10d
    movl $13, %eax                  // rt_sigaction
    syscall
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
    movabsq $STUB_SCRATCH, %rbx

source_loop:
    // Request: the ring number (8 bytes). Reply: the error or 0, and the ring number, with [socket of the child, its pidfd].
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
    movl $16, %edx
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
    movl $STUB_RING_FILE, %edi
    movl $3, %eax
    syscall
    movl $1, %edi                   // SECCOMP_SET_MODE_FILTER
    movl $0x28, %esi                // NEW_LISTENER | WAIT_KILLABLE_RECV
    movabsq $(STUB_BASE + STUB_CODE_OFFSET), %rdx
    movl $(filter_program - cplatform_stub_begin), %ecx
    addq %rcx, %rdx
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
    xorl %ebx, %ebx
    xorl %ebp, %ebp
    xorl %r13d, %r13d
    testq %rax, %rax
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
    movl $34, %eax
    xorl %edi, %edi
    xorl %esi, %esi
    xorl %edx, %edx
    syscall
    .globl cplatform_stub_hello_return
    .hidden cplatform_stub_hello_return
cplatform_stub_hello_return:
    // The tracer takes over before this instruction.
    jmp cplatform_stub_hello_return

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
ignore_action:
    .quad 1, 0, 0, 0                // SIG_IGN
source_name:
    .asciz "nestbox-source"
child_name:
    .asciz "nestbox-stub"
    .balign 8
    // struct sock_fprog, then the filter, written when the image is built.
    .globl cplatform_stub_filter
    .hidden cplatform_stub_filter
cplatform_stub_filter:
filter_program:
    .fill 16, 1, 0
    .globl cplatform_stub_end
    .hidden cplatform_stub_end
cplatform_stub_end:

    .section .note.GNU-stack, "", @progbits
