/* Open files on their way to the server: the descriptor goes over the control socket, in a message with a token, and a FILE
 * frame names it by the token (docs/reference/wire.md, "Files by descriptor").
 *
 * None of this needs the GIL or Python: asynchronous loops and threads use it alike (link_file in link.h). */
#ifndef AWAITD_DESCRIPTOR_H
#define AWAITD_DESCRIPTOR_H

#include <stdatomic.h>
#include <stdint.h>

/* A part of an open regular file. */
struct file_part {
    int fd;
    uint64_t offset, count;
};

/* How a process passes descriptors: one socket and one row of tokens for all links. */
struct passing {
    int control;             /* borrowed; -1 until it is known */
    uint32_t most;           /* passed on one link with the server not yet at their FILE frames */
    _Atomic uint64_t tokens; /* how many were given out */
};

/* What the server keeps, at most, of descriptors whose FILE frame it has not come to: for all links together. */
enum { PASSED_MAX = 256 };

/* Passes fd under a new token. 0, or -1 with errno. May wait for the server to read what was passed before. */
int descriptor_pass(struct passing *p, int fd, uint64_t *token);

#endif
