// Memory: mmap and its family, brk, protection, files in memory, copy-on-write, madvise, memfd, mremap, shared memory.
#include "show.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/uio.h>

static sigjmp_buf back;
static void faulted(int signal) { siglongjmp(back, signal); }
// The signal that touching gives, or 0.
static int touch(volatile char *address, int write) {
    int signal = sigsetjmp(back, 1);
    if (signal) return signal;
    if (write) *address = *address + 1; else (void)*address;
    return 0;
}

enum { page = 4096 };

static void anonymous(void) {
    topic("mmap");
    SHOW(mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    SHOW(mmap(0, page, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    SHOW(mmap(0, page, PROT_READ, MAP_PRIVATE, 999, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    SHOW(mmap(0, page, PROT_READ, MAP_PRIVATE, 0, 5) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    SHOW(mmap((void *)5, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    SHOW(mmap(0, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    char *area = mmap(0, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    note("zero %d", area[5 * page] == 0);
    memset(area, 'x', 16 * page);
    SHOW(munmap(area + 4 * page, 2 * page));
    SHOW(touch(area + 4 * page, 0));
    SHOW(touch(area + 6 * page, 1));
    SHOW(munmap(area + 4 * page, 2 * page));
    SHOW(munmap(area + 1, page));
    SHOW(munmap(area, 0));
    SHOW(mprotect(area, 2 * page, PROT_READ));
    SHOW(touch(area, 0));
    SHOW(touch(area, 1));
    SHOW(mprotect(area, 2 * page, PROT_NONE));
    SHOW(touch(area, 0));
    SHOW(mprotect(area, 2 * page, PROT_READ | PROT_WRITE));
    SHOW(touch(area, 1));
    SHOW(area[1]);
    SHOW(mprotect(area, 8 * page, PROT_READ));
    SHOW(mprotect(area + 1, page, PROT_READ));
    SHOW(mmap(area + 8 * page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    char *fixed = mmap(area + 8 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    note("fixed %d zero %d", fixed == area + 8 * page, *fixed == 0);
    topic("brk");
    char *end = sbrk(0);
    SHOW(sbrk(100000) == end);
    end[99999] = 1;
    SHOW(brk(end + 10));
    SHOW(sbrk(0) == end + 10);
    topic("madvise");
    char *given = mmap(0, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(given, 'y', 4 * page);
    SHOW(madvise(given, 2 * page, MADV_DONTNEED));
    note("%d %d", given[0], given[3 * page]);
    SHOW(madvise(given + 1, page, MADV_DONTNEED));
    SHOW(madvise(given, page, 9999));
    SHOW(madvise(area + 4 * page, page, MADV_NORMAL));
    SHOW(madvise(given, 4 * page, MADV_WILLNEED));
    unsigned char resident[4];
    SHOW(mincore(given, 4 * page, resident));
    SHOW(mincore(given + 1, 4 * page, resident));
    topic("mremap");
    char *moved = mremap(given, 4 * page, 64 * page, MREMAP_MAYMOVE);
    note("moved %d kept %d zero %d", moved != MAP_FAILED, moved[3 * page], moved[60 * page]);
    SHOW(mremap(moved, 64 * page, 2 * page, 0) == moved);
    SHOW(touch(moved + 3 * page, 0));
    SHOW(mremap(moved, 2 * page, 4 * page, MREMAP_FIXED) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    char *there = mmap(0, 8 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mremap(moved, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, there + page) == there + page);
    SHOW(touch(moved, 0));
    SHOW(there[page + 5]);
    SHOW(mlock(there + page, page));
    SHOW(munlock(there + page, page));
    SHOW(msync(there + page, page, MS_SYNC));
    SHOW(msync(there + page, page, MS_SYNC | MS_ASYNC));
}

static void files(void) {
    char buffer[16];
    topic("files in memory");
    int file = open("mapped", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 3 * page; i++) write(file, &(char){'a' + i / page}, 1);
    char *shared = mmap(0, 3 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *own = mmap(0, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    char *second = mmap(0, page, PROT_READ, MAP_SHARED, file, 2 * page);
    note("%c%c %c%c %c", shared[0], shared[page], own[0], own[2 * page], second[0]);
    shared[0] = 'S';
    own[page] = 'P';
    pread(file, buffer, 1, 0);
    note("file %c own %c", buffer[0], own[0]);
    pread(file, buffer, 1, page);
    note("file %c own %c shared %c", buffer[0], own[page], shared[page]);
    pwrite(file, "W", 1, 2 * page);
    note("written %c %c %c", shared[2 * page], own[2 * page], second[0]);
    pwrite(file, "W", 1, page + 1);
    note("after own write %c", own[page + 1]);
    pid_t child = fork();
    if (child == 0) { shared[1] = 'C'; own[1] = 'C'; _exit(0); }
    reap("mapper", child);
    note("shared %c own %c", shared[1], own[1]);
    SHOW(ftruncate(file, page));
    SHOW(touch(shared + 2 * page, 0));
    SHOW(touch(shared + page - 1, 1));
    SHOW(ftruncate(file, 3 * page));
    SHOW(touch(shared + 2 * page, 0));
    SHOW(shared[2 * page]);
    SHOW(msync(shared, 3 * page, MS_SYNC));
    int reader = open("mapped", O_RDONLY);
    SHOW(mmap(0, page, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    char *copy = mmap(0, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
    copy[0] = 'z';
    note("%c %c", copy[0], shared[0]);
    char *readonly = mmap(0, page, PROT_READ, MAP_SHARED, reader, 0);
    SHOW(mprotect(readonly, page, PROT_READ | PROT_WRITE));
    int writer = open("mapped", O_WRONLY);
    SHOW(mmap(0, page, PROT_READ, MAP_SHARED, writer, 0) == MAP_FAILED);
    note("%s", strerrorname_np(errno));
    topic("memory as a file");
    int memory = memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    SHOW(ftruncate(memory, 2 * page));
    char *view = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    view[page] = 'm';
    SHOW(pread(memory, buffer, 1, page));
    SHOW(buffer[0]);
    SHOW(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    SHOW(ftruncate(memory, page));
    SHOW(ftruncate(memory, 3 * page));
    SHOW(fcntl(memory, F_GET_SEALS));
    int shm = shm_open("/nest-shared", O_RDWR | O_CREAT | O_EXCL, 0600);
    SHOW(ftruncate(shm, page));
    char *a = mmap(0, page, PROT_READ | PROT_WRITE, MAP_SHARED, shm, 0), *b = mmap(0, page, PROT_READ, MAP_SHARED, shm, 0);
    a[9] = 'k';
    SHOW(b[9]);
    SHOW(shm_unlink("/nest-shared"));
}

static void code(void) {
    topic("code");
    unsigned char program[] = {0xb8, 0x2a, 0, 0, 0, 0xc3}; // mov $42, %eax; ret
    unsigned char *area = mmap(0, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(area, program, sizeof program);
    SHOW(((int (*)(void))area)());
    area[1] = 43;
    SHOW(((int (*)(void))area)());
    SHOW(mprotect(area, page, PROT_READ | PROT_EXEC));
    SHOW(((int (*)(void))area)());
    SHOW(touch((char *)area, 1));
    SHOW(mprotect(area, page, PROT_READ | PROT_WRITE));
    area[1] = 44;
    SHOW(mprotect(area, page, PROT_READ | PROT_EXEC));
    SHOW(((int (*)(void))area)());
}

static void sharing(void) {
    topic("copy-on-write through generations");
    char *area = mmap(0, 64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 64; i++) area[i * page] = i;
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 64; i += 2) area[i * page]++;
        pid_t grandchild = fork();
        if (grandchild == 0) {
            int sum = 0;
            for (int i = 0; i < 64; i++) { area[i * page]++; sum += area[i * page]; }
            _exit(sum % 251);
        }
        reap("grandchild", grandchild);
        int sum = 0;
        for (int i = 0; i < 64; i++) sum += area[i * page];
        _exit(sum % 251);
    }
    for (int i = 0; i < 64; i++) area[i * page] += 100;
    reap("child", child);
    int sum = 0;
    for (int i = 0; i < 64; i++) sum += (unsigned char)area[i * page];
    note("parent %d", sum);
    topic("other processes' memory");
    static char secret[16] = "parent's bytes";
    strcpy(secret, "changed bytes");
    child = fork();
    if (child == 0) {
        char got[16] = {0};
        struct iovec here = {got, 15}, there = {secret, 15};
        long count = process_vm_readv(getppid(), &here, 1, &there, 1, 0);
        note("read %ld '%s'", count, got);
        _exit(0);
    }
    reap("reader", child);
}

int main(void) {
    workplace("memory");
    signal(SIGSEGV, faulted);
    signal(SIGBUS, faulted);
    anonymous();
    files();
    code();
    sharing();
    return 0;
}
