// Unix sockets: streams, datagrams, sequenced packets, names in the file system and abstract ones, descriptors and credentials in messages.
#include "show.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t named(struct sockaddr_un *address, const char *name) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (name[0] == '@') { memcpy(address->sun_path + 1, name + 1, strlen(name) - 1); return offsetof(struct sockaddr_un, sun_path) + strlen(name); }
    strcpy(address->sun_path, name);
    return sizeof *address;
}

static void streams(const char *name) {
    note("-- stream %s", name);
    struct sockaddr_un address;
    socklen_t length = named(&address, name);
    char buffer[100] = {0};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(connect(client, (void *)&address, length));
    SHOW(listen(listener, 5));
    SHOW(bind(listener, (void *)&address, length));
    SHOW(bind(client, (void *)&address, length));
    SHOW(bind(listener, (void *)&address, length));
    SHOW(connect(client, (void *)&address, length));
    SHOW(listen(listener, 2));
    SHOW(connect(client, (void *)&address, length));
    SHOW(connect(client, (void *)&address, length));
    SHOW(send(client, "before accept", 13, 0));
    struct sockaddr_un peer;
    socklen_t size = sizeof peer;
    int server = accept4(listener, (void *)&peer, &size, SOCK_CLOEXEC);
    note("accepted %d family %d size %d", server >= 0, peer.sun_family, (int)size);
    SHOW(fcntl(server, F_GETFD));
    SHOW(recv(server, buffer, 6, 0));
    SHOW(recv(server, buffer, 100, MSG_PEEK));
    SHOW(recv(server, buffer, 100, 0));
    SHOW(recv(server, buffer, 100, MSG_DONTWAIT));
    size = sizeof peer;
    SHOW(getpeername(client, (void *)&peer, &size));
    note("peer size %d name '%s'", (int)size - (int)offsetof(struct sockaddr_un, sun_path), peer.sun_path[0] ? peer.sun_path : peer.sun_path + 1);
    int type = 0, error = 1;
    size = sizeof type;
    SHOW(getsockopt(server, SOL_SOCKET, SO_TYPE, &type, &size));
    SHOW(type);
    SHOW(getsockopt(server, SOL_SOCKET, SO_ERROR, &error, &size));
    SHOW(error);
    SHOW(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &type, &size));
    SHOW(type);
    struct ucred credentials;
    size = sizeof credentials;
    SHOW(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    note("peer is self %d uid %d", credentials.pid == getpid(), credentials.uid);
    SHOW(shutdown(client, SHUT_WR));
    SHOW(recv(server, buffer, 100, 0));
    SHOW(send(server, "still", 5, 0));
    SHOW(recv(client, buffer, 100, 0));
    SHOW(send(client, "x", 1, MSG_NOSIGNAL));
    struct pollfd set = {server, POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&set, 1, 0);
    note("poll %x", set.revents);
    close(client);
    poll(&set, 1, 0);
    note("poll %x", set.revents);
    SHOW(send(server, "x", 1, MSG_NOSIGNAL));
    SHOW(recv(server, buffer, 1, 0));
    SHOW(accept4(server, 0, 0, 0));
    SHOW(fcntl(listener, F_SETFL, O_NONBLOCK));
    SHOW(accept(listener, 0, 0));
    close(listener);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(connect(client, (void *)&address, length));
    if (name[0] != '@') {
        struct stat s;
        SHOW(stat(name, &s));
        note("mode %o", s.st_mode);
        SHOW(open(name, O_RDWR));
        SHOW(unlink(name));
    }
}

static void messages(void) {
    topic("datagrams");
    char buffer[100] = {0};
    struct sockaddr_un address, from;
    socklen_t length = named(&address, "datagrams");
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    SHOW(bind(receiver, (void *)&address, length));
    SHOW(sendto(sender, "one", 3, 0, (void *)&address, length));
    SHOW(sendto(sender, "second", 6, 0, (void *)&address, length));
    SHOW(send(sender, "x", 1, 0));
    SHOW(recv(receiver, buffer, 2, 0));
    socklen_t size = sizeof from;
    SHOW(recvfrom(receiver, buffer, 3, MSG_TRUNC, (void *)&from, &size));
    note("sender's name %d", (int)size);
    SHOW(connect(sender, (void *)&address, length));
    SHOW(send(sender, "", 0, 0));
    SHOW(recv(receiver, buffer, 10, 0));
    int pair[2];
    topic("pairs");
    SHOW(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    SHOW(send(pair[0], "packet one", 10, 0));
    SHOW(send(pair[0], "two", 3, 0));
    struct iovec vector = {buffer, 5};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    SHOW(recvmsg(pair[1], &message, 0));
    note("truncated %d", !!(message.msg_flags & MSG_TRUNC));
    SHOW(recv(pair[1], buffer, 100, 0));
    close(pair[0]);
    SHOW(recv(pair[1], buffer, 100, 0));
    close(pair[1]);
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    SHOW(socketpair(AF_UNIX, 99, 0, pair));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 5));
    SHOW(socket(99, SOCK_STREAM, 0));
    topic("descriptors in messages");
    int file = open("passed", O_RDWR | O_CREAT, 0600);
    write(file, "content", 7);
    union { char bytes[CMSG_SPACE(sizeof(int) * 2)]; struct cmsghdr align; } control = {0};
    vector = (struct iovec){"d", 1};
    message = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &file, sizeof file);
    SHOW(sendmsg(pair[0], &message, 0));
    close(file);
    unlink("passed");
    memset(&control, 0, sizeof control);
    vector = (struct iovec){buffer, 10};
    message.msg_controllen = sizeof control;
    SHOW(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC));
    header = CMSG_FIRSTHDR(&message);
    int received = -1;
    if (header) memcpy(&received, CMSG_DATA(header), sizeof received);
    SHOW(fcntl(received, F_GETFD));
    SHOW(pread(received, buffer, 10, 0));
    note("%.7s", buffer);
    int invalid = 999;
    vector = (struct iovec){"d", 1};
    message = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(int))};
    header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &invalid, sizeof invalid);
    SHOW(sendmsg(pair[0], &message, 0));
    topic("credentials in messages");
    int yes = 1;
    SHOW(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
    SHOW(send(pair[0], "c", 1, 0));
    vector = (struct iovec){buffer, 10};
    message = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    SHOW(recvmsg(pair[1], &message, 0));
    header = CMSG_FIRSTHDR(&message);
    struct ucred who = {0};
    if (header && header->cmsg_type == SCM_CREDENTIALS) memcpy(&who, CMSG_DATA(header), sizeof who);
    note("from self %d uid %d", who.pid == getpid(), who.uid);
    topic("between processes");
    pid_t child = fork();
    if (child == 0) {
        fcntl(pair[1], F_SETFL, 0);
        char in[1000];
        long total = 0, got;
        close(pair[0]);
        while ((got = read(pair[1], in, sizeof in)) > 0) total += got;
        _exit(total == 300000 ? 0 : 1);
    }
    close(pair[1]);
    fcntl(pair[0], F_SETFL, 0);
    char block[3000] = {0};
    for (int i = 0; i < 100; i++) write(pair[0], block, sizeof block);
    shutdown(pair[0], SHUT_WR);
    reap("reader", child);
}

int main(void) {
    workplace("sockets");
    signal(SIGPIPE, SIG_IGN);
    streams("stream");
    streams("@nestbox abstract");
    messages();
    return 0;
}
