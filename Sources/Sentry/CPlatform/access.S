// Memory access that survives SIGSEGV and SIGBUS: each instruction that may fault has an entry in the fix-up table, and the signal handler
// (access.c) continues at the fix-up. `rep` instructions leave the count that remains in rcx.

    .macro may_fault target
    .pushsection cplatform_fixups, "a", @progbits
    .balign 4
    .long 9990b - .
    .long \target - .
    .popsection
    .endm

    .macro function name
    .globl \name
    .type \name, @function
    .balign 16
\name:
    endbr64
    .endm

    .text

// size_t cplatform_copy(rdi destination, rsi source, rdx count)
    function cplatform_copy
    movq %rdx, %rcx
9990:
    rep movsb
    may_fault 1f
1:
    movq %rcx, %rax
    ret
    .size cplatform_copy, . - cplatform_copy

// size_t cplatform_zero(rdi destination, rsi count)
    function cplatform_zero
    movq %rsi, %rcx
    xorl %eax, %eax
9990:
    rep stosb
    may_fault 1f
1:
    movq %rcx, %rax
    ret
    .size cplatform_zero, . - cplatform_zero

// size_t cplatform_copy_string(rdi destination, rsi source, rdx count, rcx found)
    function cplatform_copy_string
    movl $0, (%rcx)
    testq %rdx, %rdx
    jz 3f
2:
9990:
    movzbl (%rsi), %eax
    may_fault 3f
    movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    testb %al, %al
    jz 1f
    testq %rdx, %rdx
    jnz 2b
    jmp 3f
1:
    movl $1, (%rcx)
3:
    movq %rdx, %rax
    ret
    .size cplatform_copy_string, . - cplatform_copy_string

// int cplatform_load32(rdi address, rsi value)
    function cplatform_load32
9990:
    movl (%rdi), %eax
    may_fault cplatform_access_failed
    movl %eax, (%rsi)
    xorl %eax, %eax
    ret
    .size cplatform_load32, . - cplatform_load32

// int cplatform_exchange32(rdi address, esi operand, rdx old)
    function cplatform_exchange32
9990:
    xchgl %esi, (%rdi)
    may_fault cplatform_access_failed
    movl %esi, (%rdx)
    xorl %eax, %eax
    ret
    .size cplatform_exchange32, . - cplatform_exchange32

// int cplatform_add32(rdi address, esi operand, rdx old)
    function cplatform_add32
9990:
    lock xaddl %esi, (%rdi)
    may_fault cplatform_access_failed
    movl %esi, (%rdx)
    xorl %eax, %eax
    ret
    .size cplatform_add32, . - cplatform_add32

// int cplatform_compare_exchange32(rdi address, rsi expected, edx desired)
    function cplatform_compare_exchange32
    movl (%rsi), %eax
9990:
    lock cmpxchgl %edx, (%rdi)
    may_fault cplatform_access_failed
    movl %eax, (%rsi)
    xorl %eax, %eax
    ret
    .size cplatform_compare_exchange32, . - cplatform_compare_exchange32

    .balign 16
cplatform_access_failed:
    movl $-1, %eax
    ret

    .section .note.GNU-stack, "", @progbits
