// Pipes and FIFOs, splice and tee, poll and select, eventfd, timerfd, signalfd, epoll, inotify.
#include "show.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static void pipes(void) {
    int ends[2];
    char buffer[70000] = {0};
    topic("pipes");
    SHOW(pipe(ends));
    SHOW(write(ends[1], "abc", 3));
    int available = 0;
    SHOW(ioctl(ends[0], FIONREAD, &available));
    SHOW(available);
    SHOW(read(ends[0], buffer, 2));
    SHOW(read(ends[0], buffer, 10));
    SHOW(lseek(ends[0], 0, SEEK_SET));
    SHOW(write(ends[0], "x", 1));
    SHOW(read(ends[1], buffer, 1));
    SHOW(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    SHOW(read(ends[0], buffer, 1));
    SHOW(fcntl(ends[1], F_SETFL, O_NONBLOCK));
    SHOW(write(ends[1], buffer, 70000));
    SHOW(write(ends[1], buffer, 1));
    SHOW(fcntl(ends[1], F_GETPIPE_SZ));
    SHOW(read(ends[0], buffer, 4096));
    SHOW(write(ends[1], buffer, 5000));
    SHOW(write(ends[1], buffer, 4096));
    SHOW(close(ends[1]));
    long total = 0, got;
    while ((got = read(ends[0], buffer, sizeof buffer)) > 0) total += got;
    note("drained %ld then %ld", total, got);
    close(ends[0]);
    SHOW(pipe2(ends, 0x40));
    SHOW(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    SHOW(fcntl(ends[0], F_GETFD));
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(ends[1], "x", 1));
    close(ends[1]);
    SHOW(pipe((int *)8));
    topic("large writes");
    pipe(ends);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        char block[100000];
        for (int i = 0; i < 100000; i++) block[i] = i % 251;
        for (int i = 0; i < 20; i++) if (write(ends[1], block, sizeof block) != sizeof block) _exit(1);
        _exit(0);
    }
    close(ends[1]);
    unsigned sum = 0;
    total = 0;
    while ((got = read(ends[0], buffer, 65536)) > 0) { for (int i = 0; i < got; i++) sum = sum * 31 + (unsigned char)buffer[i]; total += got; }
    note("%ld bytes %u", total, sum);
    reap("writer", child);
    close(ends[0]);
    topic("fifos");
    SHOW(mkfifo("fifo", 0600));
    child = fork();
    if (child == 0) {
        int writer = open("fifo", O_WRONLY);
        write(writer, "through", 7);
        _exit(0);
    }
    int reader = open("fifo", O_RDONLY);
    total = 0;
    while ((got = read(reader, buffer + total, 100)) > 0) total += got;
    note("%.*s", (int)total, buffer);
    reap("writer", child);
    topic("splice");
    int other[2];
    pipe(ends);
    pipe(other);
    write(ends[1], "splice me", 9);
    SHOW(tee(ends[0], other[1], 100, 0));
    SHOW(read(other[0], buffer, 100));
    SHOW(splice(ends[0], 0, other[1], 0, 6, 0));
    SHOW(read(other[0], buffer, 100));
    int file = open("spliced", O_RDWR | O_CREAT, 0600);
    SHOW(splice(ends[0], 0, file, 0, 100, 0));
    loff_t offset = 0;
    SHOW(splice(file, &offset, ends[1], 0, 2, 0));
    SHOW(offset);
    SHOW(splice(file, 0, file, 0, 2, 0));
}

static void polling(void) {
    int ends[2];
    topic("poll");
    pipe(ends);
    struct pollfd set[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {999, POLLIN, 0}};
    SHOW(poll(set, 3, 0));
    note("%x %x %x", set[0].revents, set[1].revents, set[2].revents);
    write(ends[1], "x", 1);
    SHOW(poll(set, 2, -1));
    note("%x %x", set[0].revents, set[1].revents);
    close(ends[1]);
    SHOW(poll(set, 1, -1));
    note("%x", set[0].revents);
    char byte;
    read(ends[0], &byte, 1);
    SHOW(poll(set, 1, -1));
    note("%x", set[0].revents);
    SHOW(poll(0, 0, 20));
    SHOW(poll((void *)8, 1, 0));
    set[0].fd = -1;
    SHOW(poll(set, 1, 0));
    topic("select");
    close(ends[0]);
    pipe(ends);
    fd_set in, out;
    struct timeval brief = {0, 20000};
    FD_ZERO(&in); FD_SET(ends[0], &in);
    FD_ZERO(&out); FD_SET(ends[1], &out);
    SHOW(select(ends[1] + 1, &in, &out, 0, 0));
    note("%d %d", FD_ISSET(ends[0], &in), FD_ISSET(ends[1], &out));
    FD_ZERO(&in); FD_SET(ends[0], &in);
    SHOW(select(ends[0] + 1, &in, 0, 0, &brief));
    FD_ZERO(&in); FD_SET(60, &in);
    SHOW(select(61, &in, 0, 0, &brief));
    SHOW(select(-1, 0, 0, 0, &brief));
}

static void events(void) {
    uint64_t value;
    topic("eventfd");
    int event = eventfd(3, EFD_NONBLOCK);
    SHOW(read(event, &value, 8));
    SHOW(value);
    SHOW(read(event, &value, 8));
    value = 5;
    SHOW(write(event, &value, 8));
    SHOW(write(event, &value, 8));
    SHOW(read(event, &value, 8));
    SHOW(value);
    SHOW(write(event, &value, 4));
    value = UINT64_MAX;
    SHOW(write(event, &value, 8));
    int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    SHOW(read(semaphore, &value, 8));
    SHOW(value);
    SHOW(read(semaphore, &value, 8));
    SHOW(read(semaphore, &value, 8));
    topic("timerfd");
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    SHOW(read(timer, &value, 8));
    struct itimerspec times = {{0, 10000000}, {0, 10000000}}, old;
    SHOW(timerfd_settime(timer, 0, &times, 0));
    rest(60);
    SHOW(read(timer, &value, 8));
    note("several %d", value >= 3);
    SHOW(timerfd_gettime(timer, &old));
    note("interval %ld", old.it_interval.tv_nsec);
    times.it_value.tv_nsec = -1;
    SHOW(timerfd_settime(timer, 0, &times, 0));
    SHOW(timerfd_create(77, 0));
    topic("signalfd");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    int signals = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo info;
    SHOW(read(signals, &info, sizeof info));
    kill(getpid(), SIGUSR1);
    SHOW(read(signals, &info, sizeof info));
    note("signal %u from self %d code %d", info.ssi_signo, (int)info.ssi_pid == getpid(), info.ssi_code);
    SHOW(read(signals, &info, 10));
}

static void *late_writer(void *descriptor) {
    rest(50);
    write(*(int *)descriptor, "late", 4);
    return 0;
}

static void epolls(void) {
    topic("epoll");
    int ends[2];
    pipe(ends);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7}, got[4];
    SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, ends[0], &event));
    SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, ends[0], &event));
    SHOW(epoll_ctl(poller, EPOLL_CTL_MOD, ends[1], &event));
    SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, poller, &event));
    SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, 999, &event));
    int file = open("plain", O_CREAT | O_RDWR, 0600);
    SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, file, &event));
    SHOW(epoll_wait(poller, got, 4, 0));
    SHOW(epoll_wait(poller, got, 0, 0));
    SHOW(epoll_wait(poller, got, 4, 20));
    write(ends[1], "abc", 3);
    SHOW(epoll_wait(poller, got, 4, -1));
    note("%x %ld", got[0].events, (long)got[0].data.u64);
    SHOW(epoll_wait(poller, got, 4, 0));
    event.events = EPOLLIN | EPOLLET;
    SHOW(epoll_ctl(poller, EPOLL_CTL_MOD, ends[0], &event));
    SHOW(epoll_wait(poller, got, 4, 0));
    SHOW(epoll_wait(poller, got, 4, 0));
    write(ends[1], "d", 1);
    SHOW(epoll_wait(poller, got, 4, 0));
    SHOW(epoll_wait(poller, got, 4, 0));
    event.events = EPOLLIN | EPOLLONESHOT;
    SHOW(epoll_ctl(poller, EPOLL_CTL_MOD, ends[0], &event));
    SHOW(epoll_wait(poller, got, 4, 0));
    SHOW(epoll_wait(poller, got, 4, 0));
    SHOW(epoll_ctl(poller, EPOLL_CTL_MOD, ends[0], &event));
    SHOW(epoll_wait(poller, got, 4, 0));
    SHOW(epoll_ctl(poller, EPOLL_CTL_DEL, ends[0], 0));
    SHOW(epoll_ctl(poller, EPOLL_CTL_DEL, ends[0], 0));
    char buffer[10];
    read(ends[0], buffer, 10);
    event.events = EPOLLIN;
    epoll_ctl(poller, EPOLL_CTL_ADD, ends[0], &event);
    int outer = epoll_create1(0);
    SHOW(epoll_ctl(outer, EPOLL_CTL_ADD, poller, &event));
    pthread_t thread;
    pthread_create(&thread, 0, late_writer, &ends[1]);
    SHOW(epoll_wait(outer, got, 4, 5000));
    pthread_join(thread, 0);
    close(ends[1]);
    SHOW(epoll_wait(poller, got, 4, 0));
    note("%x", got[0].events);
    close(ends[0]);
    SHOW(epoll_wait(poller, got, 4, 0));
    topic("inotify");
    mkdir("watched", 0755);
    int watcher = inotify_init1(IN_NONBLOCK);
    int watch = inotify_add_watch(watcher, "watched", IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_MOVE);
    note("watch %d", watch);
    close(open("watched/a", O_CREAT | O_WRONLY, 0600));
    rename("watched/a", "watched/b");
    unlink("watched/b");
    char space[4096] __attribute__((aligned(8)));
    long size = read(watcher, space, sizeof space);
    for (char *at = space; size > 0 && at < space + size;) {
        struct inotify_event *e = (void *)at;
        note("event %x %s", e->mask, e->len ? e->name : "");
        at += sizeof *e + e->len;
    }
    SHOW(inotify_rm_watch(watcher, watch));
    SHOW(inotify_add_watch(watcher, "none", IN_CREATE));
}

int main(void) {
    workplace("pipes");
    pipes();
    polling();
    events();
    epolls();
    return 0;
}
