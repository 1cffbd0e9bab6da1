#define _GNU_SOURCE
#include "descriptor.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* The server does nothing but read its end, so room comes within a moment unless it has stopped altogether. */
enum { TRIES = 10000, TRY_MS = 1 };

/* True for what passes by itself: the socket is full, or too many descriptors of this user are on their way. */
static bool is_full(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ETOOMANYREFS;
}

/* A message so small is taken whole or not at all. So it needs no lock against Control.send, whose messages are small as well
 * from `ready` on. */
static int send_message(int control, struct msghdr *m)
{
    for (int tries = 0;; tries++) {
        if (sendmsg(control, m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno == EPIPE || errno == ECONNRESET) /* the server is gone: the watchdog sees to it */
            return 0;
        if (errno == EINTR)
            continue;
        if (!is_full(errno) || tries == TRIES)
            return -1;
        poll(NULL, 0, TRY_MS);
    }
}

int descriptor_pass(struct passing *p, int fd, uint64_t *token)
{
    char text[80];
    union { /* aligned for its header */
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights = {0};
    *token = atomic_fetch_add(&p->tokens, 1) + 1;
    uint32_t length =
        (uint32_t)snprintf(text, sizeof text, "{\"type\": \"descriptor\", \"token\": %llu}", (unsigned long long)*token);
    struct iovec parts[] = {{&length, sizeof length}, {text, length}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&m);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return send_message(p->control, &m);
}
