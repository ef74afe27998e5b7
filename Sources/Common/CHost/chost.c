#define _GNU_SOURCE
#include "chost.h"

#include <cpuid.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAXIMUM_DESCRIPTORS 253  // SCM_MAX_FD of the kernel

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * MAXIMUM_DESCRIPTORS)];
};

long chost_send_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, size_t descriptor_count, int flags) {
    if (descriptor_count > MAXIMUM_DESCRIPTORS) return -EINVAL;
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
    union control control;
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (descriptor_count > 0) {
        memset(&control, 0, CMSG_SPACE(sizeof(int) * descriptor_count));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * descriptor_count);
    }
    ssize_t sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

long chost_receive_descriptors(int socket, void *bytes, size_t length, int *descriptors, size_t *descriptor_count, int flags) {
    struct iovec vector = {.iov_base = bytes, .iov_len = length};
    union control control;
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    size_t capacity = *descriptor_count, count = 0;
    int overflow = 0;
    *descriptor_count = 0;
    ssize_t received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    if (received < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t present = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        int values[MAXIMUM_DESCRIPTORS];
        memcpy(values, CMSG_DATA(header), present * sizeof(int));
        for (size_t i = 0; i < present; i++) {
            if (count < capacity) descriptors[count++] = values[i];
            else { close(values[i]); overflow = 1; }
        }
    }
    if (overflow || (message.msg_flags & MSG_CTRUNC)) {
        for (size_t i = 0; i < count; i++) close(descriptors[i]);
        return -EMSGSIZE;
    }
    *descriptor_count = count;
    return received;
}

struct start {
    void (*body)(void *);
    void *context;
};

static void *thread_main(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    start.body(start.context);
    return NULL;
}

int chost_thread_start(void (*body)(void *), void *context, size_t stack_size) {
    struct start *start = malloc(sizeof *start);
    if (!start) return ENOMEM;
    *start = (struct start){body, context};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack_size) pthread_attr_setstacksize(&attributes, stack_size);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, thread_main, start);
    pthread_attr_destroy(&attributes);
    if (error) free(start);
    return error;
}

static _Thread_local int is_task_thread;
void chost_set_task_thread(int is_task) { is_task_thread = is_task; }
int chost_task_cpu(void) { return is_task_thread ? sched_getcpu() : -1; }

long chost_find_word(const void *bytes, size_t length, uint32_t word) {
    const uint8_t *found = memmem(bytes, length, &word, sizeof word);
    return found ? found - (const uint8_t *)bytes : -1;
}

uint32_t chost_hardware_capabilities(void) {
    unsigned eax, ebx, ecx, edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) ? edx : 0;
}

unsigned long chost_minimum_signal_stack(void) { return getauxval(51 /* AT_MINSIGSTKSZ */); }

void chost_limit_arenas(int count) { mallopt(M_ARENA_MAX, count); }

void chost_keep_allocator_from_files(void) {
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

// Read-only segments of the program's own file: they can be read again.
static int release_code(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    (void)context;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        uintptr_t first = (info->dlpi_addr + segment->p_vaddr + page - 1) & -page;
        uintptr_t end = (info->dlpi_addr + segment->p_vaddr + segment->p_filesz) & -page;
        if (end > first) madvise((void *)first, end - first, MADV_DONTNEED);
    }
    return 1;  // only the program
}

void chost_release_memory(void) {
    malloc_trim(0);
    dl_iterate_phdr(release_code, NULL);
}
